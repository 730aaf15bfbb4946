//! Getting tokens, carrying them, losing them.

use tonic::Code;

use super::calls::{self, Admin, Type, permit_prefix};
use crate::harness::*;

also_over_tls![tokens, authentication_survives_a_restart];

#[tokio::test]
async fn tokens() {
    let server = calls::fresh().await;
    let admin = Admin(server.client());
    admin.enable_with_root().await;
    let cases = cases![
        a_call_without_a_token_has_no_user,
        a_made_up_token_is_invalid,
        a_wrong_password_is_refused,
        an_unknown_user_is_refused_alike,
        a_user_without_password_gets_no_token,
        a_token_is_letters_and_an_index,
        a_token_may_come_as_authorization,
        tokens_differ,
        a_new_password_ends_old_tokens,
        a_deleted_users_token_ends,
        root_cannot_be_taken_apart,
        health_needs_no_token,
        watches_without_a_token_say_why,
        many_tokens_at_once,
    ];
    Suite::new("tokens", cases).run_in_order(&server).await;
}

/// Authentication stays on across a restart; simple tokens do not survive it.
#[tokio::test]
async fn authentication_survives_a_restart() {
    let mut server = calls::fresh().await;
    let admin = Admin(server.client());
    let root = admin.enable_with_root().await;
    root.put(put("a", "1")).await.unwrap();
    server.kill();
    server.restart().await;
    let admin = Admin(server.client());
    no_user(admin.0.range(point("a")).await);
    let root = admin.as_user("root", "root").await;
    assert_eq!(pairs(&root.range(point("a")).await.unwrap().kvs), "a=1");
    Admin(root).disable().await.unwrap();
    assert_eq!(admin.0.range(point("a")).await.unwrap().count, 1);
}

#[track_caller]
fn no_user<T: std::fmt::Debug>(result: Result<T, tonic::Status>) {
    refused(
        result,
        Code::InvalidArgument,
        "etcdserver: user name is empty",
    );
}

#[track_caller]
fn invalid_token<T: std::fmt::Debug>(result: Result<T, tonic::Status>) {
    refused(
        result,
        Code::Unauthenticated,
        "etcdserver: invalid auth token",
    );
}

async fn root(c: &Case) -> Admin {
    Admin(Admin(c.client.clone()).as_user("root", "root").await)
}

async fn a_call_without_a_token_has_no_user(c: Case) {
    no_user(c.client.range(point("a")).await);
    no_user(c.client.put(put("a", "1")).await);
    no_user(c.client.txn(always(vec![op::put("a", "1")])).await);
    no_user(c.client.lease_grant(grant(60, 0)).await);
    no_user(c.client.compact(compact(1)).await);
    no_user(c.client.member_list(Default::default()).await);
    no_user(Admin(c.client.clone()).users().await);
}

async fn a_made_up_token_is_invalid(c: Case) {
    for token in ["x", "abcdefghijklmnop.1", "a.b.c"] {
        let client = c.client.with_metadata("token", token);
        invalid_token(client.range(point("a")).await);
    }
}

const FAILED: &str = "etcdserver: authentication failed, invalid user ID or password";

async fn a_wrong_password_is_refused(c: Case) {
    let admin = Admin(c.client.clone());
    for password in ["", "wrong", "Root"] {
        let result = admin.authenticate("root", password).await;
        refused(result, Code::InvalidArgument, FAILED);
    }
}

async fn an_unknown_user_is_refused_alike(c: Case) {
    let result = Admin(c.client.clone()).authenticate("nobody", "pw").await;
    refused(result, Code::InvalidArgument, FAILED);
}

async fn a_user_without_password_gets_no_token(c: Case) {
    let root = root(&c).await;
    root.user_add_without_password("certified").await.unwrap();
    let result = Admin(c.client.clone()).authenticate("certified", "").await;
    let text = "auth: authentication failed, password was given for no password user";
    refused(result, Code::Unknown, text);
}

async fn a_token_is_letters_and_an_index(c: Case) {
    let token = Admin(c.client.clone())
        .authenticate("root", "root")
        .await
        .unwrap();
    let (letters, index) = token.split_once('.').unwrap();
    assert_eq!(letters.len(), 16);
    assert!(letters.bytes().all(|byte| byte.is_ascii_alphabetic()));
    assert!(index.parse::<u64>().unwrap() > 0);
}

async fn a_token_may_come_as_authorization(c: Case) {
    let token = Admin(c.client.clone())
        .authenticate("root", "root")
        .await
        .unwrap();
    let client = c.client.with_metadata("authorization", &token);
    client.range(point("a")).await.unwrap();
}

async fn tokens_differ(c: Case) {
    let admin = Admin(c.client.clone());
    let first = admin.authenticate("root", "root").await.unwrap();
    let second = admin.authenticate("root", "root").await.unwrap();
    assert_ne!(first, second);
    for token in [first, second] {
        let client = c.client.with_metadata("token", &token);
        client.range(point("a")).await.unwrap();
    }
}

async fn a_new_password_ends_old_tokens(c: Case) {
    let root = root(&c).await;
    root.add_with("ann", vec![permit_prefix(Type::Read, c.prefix())])
        .await;
    let admin = Admin(c.client.clone());
    let ann = admin.as_user("ann", "ann").await;
    ann.range(c.all()).await.unwrap();
    root.change_password("ann", "new").await.unwrap();
    invalid_token(ann.range(c.all()).await);
    admin.authenticate("ann", "ann").await.unwrap_err();
    admin
        .as_user("ann", "new")
        .await
        .range(c.all())
        .await
        .unwrap();
}

async fn a_deleted_users_token_ends(c: Case) {
    let root = root(&c).await;
    root.add_with("bob", vec![permit_prefix(Type::Read, c.prefix())])
        .await;
    let bob = Admin(c.client.clone()).as_user("bob", "bob").await;
    bob.range(c.all()).await.unwrap();
    root.user_delete("bob").await.unwrap();
    invalid_token(bob.range(c.all()).await);
}

async fn root_cannot_be_taken_apart(c: Case) {
    let root = root(&c).await;
    let text = "etcdserver: invalid auth management";
    let refuse = |result| refused::<()>(result, Code::InvalidArgument, text);
    refuse(root.user_delete("root").await);
    refuse(root.role_delete("root").await);
    refuse(root.user_revoke("root", "root").await);
}

async fn health_needs_no_token(c: Case) {
    for path in ["/health", "/livez", "/readyz", "/version", "/metrics"] {
        let answer = c.client.http(path).await;
        assert_eq!(answer.status, 200, "{path}");
    }
}

async fn watches_without_a_token_say_why(c: Case) {
    let reasons = [
        (
            c.client.clone(),
            "rpc error: code = InvalidArgument desc = etcdserver: user name is empty",
        ),
        (
            c.client.with_metadata("token", "bad.1"),
            "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token",
        ),
    ];
    for (client, reason) in reasons {
        let (_watch, response) = Watch::start(&client, watch_key("a")).await;
        assert_eq!(
            (response.watch_id, response.created, response.canceled),
            (-1, true, true)
        );
        assert_eq!(response.cancel_reason, reason);
    }
}

async fn many_tokens_at_once(c: Case) {
    let admin = Admin(c.client.clone());
    let tokens = (0..10).map(|_| admin.authenticate("root", "root"));
    for token in futures::future::join_all(tokens).await {
        let client = c.client.with_metadata("token", &token.unwrap());
        client.range(point("a")).await.unwrap();
    }
}
