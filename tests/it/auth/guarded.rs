//! Calls that only root may make, and leases.

use holdfast::etcd::pb::etcdserverpb::alarm_request::AlarmAction;
use holdfast::etcd::pb::etcdserverpb::{
    AlarmRequest, DefragmentRequest, HashKvRequest, HashRequest, LeaseKeepAliveRequest,
    LeaseLeasesRequest, LeaseRevokeRequest, MemberListRequest, MoveLeaderRequest, SnapshotRequest,
    StatusRequest,
};
use tonic::{Code, Status};

use super::calls::{self, Admin, Type, permit, permit_prefix};
use crate::harness::*;

also_over_tls![guarded_calls];

#[tokio::test]
async fn guarded_calls() {
    let server = calls::fresh().await;
    let root = Admin(Admin(server.client()).enable_with_root().await);
    let mine = permit_prefix(Type::Readwrite, "mine/");
    root.add_with("user", vec![mine]).await;
    root.add_with("reader", vec![permit(Type::Read, NO_END, NO_END)])
        .await;
    let cases = cases![
        administration_is_for_root,
        users_and_roles_may_look_at_themselves,
        compaction_is_for_root,
        raising_alarms_is_for_root,
        anyone_may_list_members_and_alarms,
        anyone_may_have_leases,
        a_lease_with_foreign_keys_cannot_be_attached_to,
        a_lease_with_foreign_keys_cannot_be_revoked,
        the_keys_of_a_lease_need_reading,
        root_may_ask_for_the_auth_status,
    ];
    Suite::new("guarded", cases)
        .since(
            3,
            6,
            cases![maintenance_is_for_root, anyone_may_ask_for_the_status],
        )
        .since(
            3,
            7,
            cases![
                anyone_may_ask_for_the_auth_status,
                a_lease_with_foreign_keys_cannot_be_kept_alive,
                leases_are_listed_for_those_who_may_read_their_keys,
                a_nested_put_needs_the_keys_of_its_lease,
                nobody_revokes_an_empty_lease,
                a_streamed_range_is_guarded,
            ],
        )
        .run_in_order(&server)
        .await;
}

#[track_caller]
fn denied<T: std::fmt::Debug>(result: Result<T, Status>) {
    refused(
        result,
        Code::PermissionDenied,
        "etcdserver: permission denied",
    );
}

async fn login(c: &Case, name: &str) -> Client {
    Admin(c.client.clone()).as_user(name, name).await
}

async fn administration_is_for_root(c: Case) {
    let user = Admin(login(&c, "user").await);
    denied(user.users().await);
    denied(user.roles().await);
    denied(user.user_add("x", "x").await);
    denied(user.user_delete("reader").await);
    denied(user.change_password("user", "x").await);
    denied(user.user_grant("user", "root").await);
    denied(user.user_revoke("user", "user").await);
    denied(user.role_add("x").await);
    denied(user.role_delete("user").await);
    denied(
        user.role_grant("user", Some(permit(Type::Read, "a", "")))
            .await,
    );
    denied(user.role_revoke("user", "mine/", "mine0").await);
    denied(user.enable().await);
    denied(user.disable().await);
}

async fn users_and_roles_may_look_at_themselves(c: Case) {
    let user = Admin(login(&c, "user").await);
    assert_eq!(user.user_roles("user").await.unwrap(), ["user"]);
    assert_eq!(user.role_permissions("user").await.unwrap().len(), 1);
    denied(user.user_roles("reader").await);
    denied(user.role_permissions("reader").await);
}

async fn compaction_is_for_root(c: Case) {
    let user = login(&c, "user").await;
    denied(user.compact(compact(1)).await);
}

async fn maintenance_is_for_root(c: Case) {
    let user = login(&c, "user").await;
    denied(user.defragment(DefragmentRequest {}).await);
    denied(user.hash(HashRequest {}).await);
    denied(user.hash_kv(HashKvRequest::default()).await);
    denied(user.move_leader(MoveLeaderRequest { target_id: 1 }).await);
    let mut stub = user.maintenance();
    let snapshot = stub.snapshot(SnapshotRequest {}).await;
    let refusal = match snapshot {
        Ok(stream) => stream.into_inner().message().await.map(|_| ()),
        Err(status) => Err(status),
    };
    denied(refusal);
}

async fn raising_alarms_is_for_root(c: Case) {
    let user = login(&c, "user").await;
    for action in [AlarmAction::Activate, AlarmAction::Deactivate] {
        let request = AlarmRequest {
            action: action.into(),
            member_id: 1,
            alarm: 1,
        };
        denied(user.alarm(request).await);
    }
}

async fn anyone_may_list_members_and_alarms(c: Case) {
    let user = login(&c, "user").await;
    user.member_list(MemberListRequest::default())
        .await
        .unwrap();
    user.alarm(AlarmRequest::default()).await.unwrap();
}

async fn anyone_may_ask_for_the_status(c: Case) {
    let user = login(&c, "user").await;
    user.status(StatusRequest {}).await.unwrap();
}

async fn anyone_may_have_leases(c: Case) {
    let user = login(&c, "user").await;
    let id = user.lease_grant(grant(60, 0)).await.unwrap().id;
    let mut request = put("mine/a", "1");
    request.lease = id;
    user.put(request).await.unwrap();
    let keys = user
        .lease_time_to_live(time_to_live(id, true))
        .await
        .unwrap()
        .keys;
    assert_eq!(keys, ["mine/a"]);
    user.lease_revoke(LeaseRevokeRequest { id }).await.unwrap();
}

/// A lease to which root has attached a key that the user may not touch.
async fn foreign_lease(c: &Case) -> i64 {
    let root = login(c, "root").await;
    let id = root.lease_grant(grant(60, 0)).await.unwrap().id;
    let mut request = put("theirs/a", "1");
    request.lease = id;
    root.put(request).await.unwrap();
    id
}

async fn a_lease_with_foreign_keys_cannot_be_attached_to(c: Case) {
    let mut request = put("mine/b", "1");
    request.lease = foreign_lease(&c).await;
    denied(login(&c, "user").await.put(request).await);
}

async fn a_lease_with_foreign_keys_cannot_be_revoked(c: Case) {
    let id = foreign_lease(&c).await;
    let revoke = LeaseRevokeRequest { id };
    denied(login(&c, "user").await.lease_revoke(revoke).await);
    let root = login(&c, "root").await;
    root.lease_revoke(revoke).await.unwrap();
}

async fn the_keys_of_a_lease_need_reading(c: Case) {
    let id = foreign_lease(&c).await;
    let user = login(&c, "user").await;
    denied(user.lease_time_to_live(time_to_live(id, true)).await);
    user.lease_time_to_live(time_to_live(id, false))
        .await
        .unwrap();
    let reader = login(&c, "reader").await;
    reader
        .lease_time_to_live(time_to_live(id, true))
        .await
        .unwrap();
}

async fn a_lease_with_foreign_keys_cannot_be_kept_alive(c: Case) {
    let id = foreign_lease(&c).await;
    for (name, allowed) in [("root", true), ("user", false), ("reader", false)] {
        let client = login(&c, name).await;
        let requests = futures::stream::iter([LeaseKeepAliveRequest { id }]);
        let answers = client.lease().lease_keep_alive(requests).await;
        let renewed = match answers {
            Ok(answers) => answers.into_inner().message().await,
            Err(status) => Err(status),
        };
        if allowed {
            assert_eq!(renewed.unwrap().unwrap().ttl, 60);
        } else {
            denied(renewed);
        }
    }
}

async fn leases_are_listed_for_those_who_may_read_their_keys(c: Case) {
    let id = foreign_lease(&c).await;
    denied(
        login(&c, "user")
            .await
            .lease_leases(LeaseLeasesRequest {})
            .await,
    );
    for name in ["reader", "root"] {
        let client = login(&c, name).await;
        let leases = client
            .lease_leases(LeaseLeasesRequest {})
            .await
            .unwrap()
            .leases;
        assert!(leases.iter().any(|lease| lease.id == id), "{name}");
    }
}

async fn a_nested_put_needs_the_keys_of_its_lease(c: Case) {
    let mut request = put("mine/b", "1");
    request.lease = foreign_lease(&c).await;
    let inner = op::txn(always(vec![op::put_with(request)]));
    denied(login(&c, "user").await.txn(always(vec![inner])).await);
}

async fn nobody_revokes_an_empty_lease(c: Case) {
    let id = login(&c, "user")
        .await
        .lease_grant(grant(60, 0))
        .await
        .unwrap()
        .id;
    let nobody = c.client.lease_revoke(LeaseRevokeRequest { id }).await;
    refused(
        nobody,
        Code::InvalidArgument,
        "etcdserver: user name is empty",
    );
    let reader = login(&c, "reader").await;
    reader
        .lease_revoke(LeaseRevokeRequest { id })
        .await
        .unwrap();
}

async fn a_streamed_range_is_guarded(c: Case) {
    let first = |client: Client, request| async move {
        let stream = client.kv().range_stream(request).await?;
        stream.into_inner().message().await
    };
    denied(first(login(&c, "user").await, span(NO_END, NO_END)).await);
    let mine = first(login(&c, "user").await, prefixed("mine/")).await;
    assert!(mine.unwrap().is_some());
    let nobody = first(c.client.clone(), prefixed("mine/")).await;
    refused(
        nobody,
        Code::InvalidArgument,
        "etcdserver: user name is empty",
    );
}

async fn root_may_ask_for_the_auth_status(c: Case) {
    let root = Admin(login(&c, "root").await);
    assert!(root.status().await.unwrap().enabled);
}

async fn anyone_may_ask_for_the_auth_status(c: Case) {
    let nobody = Admin(c.client.clone());
    assert!(nobody.status().await.unwrap().enabled);
}
