//! Users, roles and tokens on every member of a cluster.

use std::time::Duration;

use tonic::Code;

use super::calls::{self, Admin, Type, permit_prefix};
use crate::harness::*;

also_over_tls![
    members_know_each_others_tokens,
    unrelated_changes_do_not_fail_requests
];

/// A token that one member gave counts on all at once, and ends on all at once.
#[tokio::test]
async fn members_know_each_others_tokens() {
    let settings = calls::settings().flag("bcrypt-cost", 4);
    let cluster = Cluster::start(settings).await;
    let admin = Admin(cluster.client(0));
    let root = Admin(admin.enable_with_root().await);
    root.add_with("ann", vec![permit_prefix(Type::Readwrite, "ann/")])
        .await;
    for giver in 0..cluster.len() {
        let given = Admin(cluster.client(giver))
            .authenticate("ann", "ann")
            .await;
        let token = given.unwrap();
        for member in 0..cluster.len() {
            let ann = cluster.client(member).with_metadata("token", &token);
            ann.put(put("ann/a", "1")).await.unwrap();
            let foreign = ann.range(point("a")).await;
            refused(
                foreign,
                Code::PermissionDenied,
                "etcdserver: permission denied",
            );
        }
    }
    let token = Admin(cluster.client(1))
        .authenticate("ann", "ann")
        .await
        .unwrap();
    root.change_password("ann", "new").await.unwrap();
    for member in 0..cluster.len() {
        let ann = cluster.client(member).with_metadata("token", &token);
        let ended = ann.range(point("ann/a")).await;
        refused(
            ended,
            Code::Unauthenticated,
            "etcdserver: invalid auth token",
        );
    }
}

/// A change of users and roles under way does not fail requests that it does not concern. With etcd it may: its
/// clients then try again.
#[tokio::test]
async fn unrelated_changes_do_not_fail_requests() {
    if !Program::get().is_own() {
        return;
    }
    let settings = calls::settings().flag("bcrypt-cost", 4);
    let server = Server::start(settings).await;
    let admin = Admin(server.client());
    let root = Admin(admin.enable_with_root().await);
    root.add_with("ann", vec![permit_prefix(Type::Readwrite, "ann/")])
        .await;
    let ann = admin.as_user("ann", "ann").await;
    let changes = async {
        for n in 0..60 {
            root.role_add(&format!("role-{n}")).await.unwrap();
        }
    };
    let requests = async {
        for n in 0..200 {
            ann.put(put("ann/a", n.to_string())).await.unwrap();
            ann.range(point("ann/a")).await.unwrap();
        }
    };
    futures::join!(changes, requests);
}

/// Each use of a simple token renews it.
#[tokio::test]
async fn an_unused_token_ends() {
    let settings = calls::settings()
        .flag("bcrypt-cost", 4)
        .flag("auth-token-ttl", 3);
    let server = Server::start(settings).await;
    let root = Admin(server.client()).enable_with_root().await;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        root.range(point("a")).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let ended = root.range(point("a")).await;
    refused(
        ended,
        Code::Unauthenticated,
        "etcdserver: invalid auth token",
    );
}
