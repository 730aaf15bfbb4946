//! Status, Defragment, MoveLeader, the gRPC health service.

use holdfast::etcd::pb::etcdserverpb::{
    DefragmentRequest, MemberListRequest, MoveLeaderRequest, StatusRequest, StatusResponse,
};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::harness::*;

also_over_tls![maintenance];

#[tokio::test]
async fn maintenance() {
    let cases = cases![
        the_version_is_a_plain_semver,
        the_version_supports_watch_progress,
        a_single_member_leads_itself,
        indexes_grow_with_writes,
        sizes_are_plausible,
        a_voter_is_no_learner,
        a_healthy_member_reports_no_errors,
        defragment_answers_without_a_header,
        defragment_keeps_the_data,
        moving_the_leader_to_itself_is_accepted,
        moving_the_leader_to_a_stranger_is_refused,
        the_health_service_serves,
        the_health_service_knows_only_the_empty_name,
        watching_health_tells_at_once,
    ];
    let newer = cases![
        the_storage_version_is_told,
        the_quota_is_told,
        no_downgrade_is_running
    ];
    let server = Server::fresh().await;
    Suite::new("maintenance", cases)
        .since(3, 6, newer)
        .run(&server)
        .await;
}

async fn status(c: &Case) -> StatusResponse {
    c.client.status(StatusRequest {}).await.unwrap()
}

fn semver(version: &str) -> Vec<u64> {
    let part = |part: &str| part.parse().expect("a number");
    version.split('.').map(part).collect()
}

async fn the_version_is_a_plain_semver(c: Case) {
    assert_eq!(semver(&status(&c).await.version).len(), 3);
}

/// kube-apiserver trusts progress notifications only of these versions.
async fn the_version_supports_watch_progress(c: Case) {
    let version = semver(&status(&c).await.version);
    assert!(version >= vec![3, 4, 31]);
    assert!(!(vec![3, 5, 0]..vec![3, 5, 13]).contains(&version));
}

async fn a_single_member_leads_itself(c: Case) {
    let status = status(&c).await;
    let header = status.header.unwrap();
    assert_eq!(status.leader, header.member_id);
    assert_eq!(status.raft_term, header.raft_term);
}

async fn indexes_grow_with_writes(c: Case) {
    let before = status(&c).await;
    for _ in 0..5 {
        c.put("a", "1").await;
    }
    let after = status(&c).await;
    assert!(after.raft_index >= before.raft_index + 5);
    assert!(after.raft_applied_index >= before.raft_applied_index + 5);
    assert!(after.raft_applied_index <= after.raft_index);
}

async fn sizes_are_plausible(c: Case) {
    c.put("a", &"v".repeat(100_000)).await;
    let status = status(&c).await;
    assert!(status.db_size > 0);
    assert!(status.db_size_in_use > 0);
    assert!(status.db_size_in_use <= status.db_size);
}

async fn a_voter_is_no_learner(c: Case) {
    assert!(!status(&c).await.is_learner);
}

async fn a_healthy_member_reports_no_errors(c: Case) {
    assert!(status(&c).await.errors.is_empty());
}

async fn the_storage_version_is_told(c: Case) {
    assert_eq!(semver(&status(&c).await.storage_version).len(), 3);
}

async fn the_quota_is_told(c: Case) {
    assert_eq!(status(&c).await.db_size_quota, 2 * 1024 * 1024 * 1024);
}

async fn no_downgrade_is_running(c: Case) {
    let info = status(&c).await.downgrade_info.unwrap_or_default();
    assert_eq!((info.enabled, info.target_version.as_str()), (false, ""));
}

async fn defragment_answers_without_a_header(c: Case) {
    let response = c.client.defragment(DefragmentRequest {}).await.unwrap();
    assert_eq!(response.header, None);
}

async fn defragment_keeps_the_data(c: Case) {
    let last = c.put_all("a=1 b=2 a=3").await;
    c.client.defragment(DefragmentRequest {}).await.unwrap();
    assert_eq!(c.stored().await, "a=3 b=2");
    assert!(c.put("c", "4").await > last);
}

async fn own_id(c: &Case) -> u64 {
    let list = c.client.member_list(MemberListRequest::default()).await;
    list.unwrap().members[0].id
}

async fn moving_the_leader_to_itself_is_accepted(c: Case) {
    let target_id = own_id(&c).await;
    let response = c.client.move_leader(MoveLeaderRequest { target_id }).await;
    assert_eq!(response.unwrap().header, None);
}

async fn moving_the_leader_to_a_stranger_is_refused(c: Case) {
    let result = c
        .client
        .move_leader(MoveLeaderRequest { target_id: 1 })
        .await;
    refused(
        result,
        Code::FailedPrecondition,
        "etcdserver: bad leader transferee",
    );
}

fn named(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.into(),
    }
}

async fn the_health_service_serves(c: Case) {
    let mut health = HealthClient::new(c.client.channel());
    let response = health.check(named("")).await.unwrap().into_inner();
    assert_eq!(response.status(), ServingStatus::Serving);
}

async fn the_health_service_knows_only_the_empty_name(c: Case) {
    let mut health = HealthClient::new(c.client.channel());
    let status = health.check(named("etcdserverpb.KV")).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

async fn watching_health_tells_at_once(c: Case) {
    let mut health = HealthClient::new(c.client.channel());
    let mut stream = health.watch(named("")).await.unwrap().into_inner();
    let first = stream.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);
}
