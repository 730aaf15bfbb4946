//! One member left of three: what still works, what is refused, and how.

use std::time::Duration;

use holdfast::etcd::pb::etcdserverpb::{
    AlarmRequest, HashKvRequest, LeaseLeasesRequest, MemberListRequest, StatusRequest,
};
use tokio::time::sleep;
use tonic::{Code, Request};

use crate::harness::*;

const TIMED_OUT: &str = "etcdserver: request timed out";
const NO_LEADER: &str = "etcdserver: no leader";

#[tokio::test]
async fn without_a_quorum() {
    let cluster = Cluster::start(Settings::default().quick_elections()).await;
    let leader = cluster.leader().await;
    let client = cluster.client(leader);
    client.put(put("a", "1")).await.unwrap();
    client.lease_grant(grant(600, 1)).await.unwrap();
    cluster.converge().await;
    let mut cut = Watch::open_requiring_leader(&client);
    assert!(cut.create(watch_key("a")).await.created);
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    for index in others {
        cluster[index].pause();
    }
    a_write_in_flight_times_out(&client).await;
    while cluster
        .status(leader)
        .await
        .is_none_or(|status| status.leader != 0)
    {
        sleep(Duration::from_millis(50)).await;
    }
    let status = cut.message().await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unavailable, NO_LEADER)
    );
    let cases = cases![
        a_put_ends_at_its_deadline,
        a_delete_ends_at_its_deadline,
        a_lease_grant_ends_at_its_deadline,
        an_alarm_list_ends_at_its_deadline,
        a_compaction_ends_at_its_deadline,
        a_write_transaction_ends_at_its_deadline,
        a_nested_transaction_ends_at_its_deadline,
        a_linearizable_read_times_out,
        a_read_only_transaction_times_out,
        a_linearizable_member_list_times_out,
        time_to_live_has_no_leader,
        a_serializable_read_is_answered,
        a_transaction_of_serializable_reads_is_answered,
        a_transaction_without_operations_is_answered,
        a_local_member_list_is_answered,
        status_names_no_leader,
        hashes_and_leases_are_answered,
        a_call_that_requires_a_leader_is_refused_at_once,
        a_stream_that_requires_a_leader_is_refused_at_once,
        a_plain_watch_stays_open_and_silent,
        health_says_no_leader,
        serializable_health_and_livez_are_well,
        readyz_fails_by_its_linearizable_read,
    ];
    Suite::new("no_quorum", cases).run(&cluster[leader]).await;
    for index in others {
        cluster[index].resume();
    }
    cluster.leader().await;
    a_write_is_taken_again(&cluster, leader).await;
}

/// Accepted by the leader, never committed.
async fn a_write_in_flight_times_out(client: &Client) {
    let status = client.put(put("unknown", "1")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().starts_with(TIMED_OUT), "{status:?}");
}

async fn a_write_is_taken_again(cluster: &Cluster, index: usize) {
    while cluster.client(index).put(put("b", "1")).await.is_err() {
        sleep(Duration::from_millis(100)).await;
    }
    let response = cluster.client(index).range(point("a")).await.unwrap();
    assert_eq!(pairs(&response.kvs), "a=1");
}

/// No leader ever took the request.
#[track_caller]
fn deadline<T: std::fmt::Debug>(result: Result<T, tonic::Status>) {
    refused(result, Code::DeadlineExceeded, "context deadline exceeded");
}

async fn a_put_ends_at_its_deadline(c: Case) {
    deadline(c.client.put(put("b", "1")).await);
}

async fn a_delete_ends_at_its_deadline(c: Case) {
    deadline(c.client.delete_range(delete("b")).await);
}

async fn a_lease_grant_ends_at_its_deadline(c: Case) {
    deadline(c.client.lease_grant(grant(60, 0)).await);
}

async fn an_alarm_list_ends_at_its_deadline(c: Case) {
    deadline(c.client.alarm(AlarmRequest::default()).await);
}

async fn a_compaction_ends_at_its_deadline(c: Case) {
    deadline(c.client.compact(compact(1)).await);
}

async fn a_write_transaction_ends_at_its_deadline(c: Case) {
    deadline(c.client.txn(always(vec![op::put("b", "1")])).await);
}

fn local(key: &str) -> holdfast::etcd::pb::etcdserverpb::RangeRequest {
    let mut request = point(key);
    request.serializable = true;
    request
}

/// Goes through the log even if all it does is serializable.
async fn a_nested_transaction_ends_at_its_deadline(c: Case) {
    let nested = op::txn(always(vec![op::range(local("a"))]));
    deadline(c.client.txn(always(vec![nested])).await);
}

async fn a_linearizable_read_times_out(c: Case) {
    let result = c.client.range(point("a")).await;
    refused(result, Code::Unavailable, TIMED_OUT);
}

async fn a_read_only_transaction_times_out(c: Case) {
    let mixed = vec![op::range(local("a")), op::get("a")];
    let result = c.client.txn(always(mixed)).await;
    refused(result, Code::Unavailable, TIMED_OUT);
}

async fn a_linearizable_member_list_times_out(c: Case) {
    let request = MemberListRequest { linearizable: true };
    let result = c.client.member_list(request).await;
    refused(result, Code::Unavailable, TIMED_OUT);
}

async fn time_to_live_has_no_leader(c: Case) {
    let result = c.client.lease_time_to_live(time_to_live(1, false)).await;
    refused(result, Code::Unavailable, NO_LEADER);
}

async fn a_serializable_read_is_answered(c: Case) {
    let response = c.client.range(local("a")).await.unwrap();
    assert_eq!(pairs(&response.kvs), "a=1");
}

async fn a_transaction_of_serializable_reads_is_answered(c: Case) {
    let exists = vec![cmp::created("a", cmp::Result::Greater, 0)];
    let reads = vec![op::range(local("a")); 2];
    let response = c.client.txn(txn(exists, reads, vec![])).await.unwrap();
    assert_eq!(pairs(&answer::range(&response, 1).kvs), "a=1");
}

async fn a_transaction_without_operations_is_answered(c: Case) {
    assert!(c.client.txn(always(vec![])).await.unwrap().succeeded);
    let missing = vec![cmp::created("a", cmp::Result::Equal, 0)];
    let response = c.client.txn(txn(missing, vec![], vec![])).await.unwrap();
    assert!(!response.succeeded);
}

async fn a_local_member_list_is_answered(c: Case) {
    let request = MemberListRequest {
        linearizable: false,
    };
    let response = c.client.member_list(request).await.unwrap();
    assert_eq!(response.members.len(), 3);
}

async fn status_names_no_leader(c: Case) {
    let status = c.client.status(StatusRequest {}).await.unwrap();
    assert_eq!(status.leader, 0);
    assert_eq!(status.errors, [NO_LEADER]);
}

async fn hashes_and_leases_are_answered(c: Case) {
    c.client.hash_kv(HashKvRequest::default()).await.unwrap();
    let leases = c.client.lease_leases(LeaseLeasesRequest {}).await.unwrap();
    assert_eq!(leases.leases.len(), 1);
}

async fn a_call_that_requires_a_leader_is_refused_at_once(c: Case) {
    let mut request = Request::new(local("a"));
    let value = "true".parse().unwrap();
    request.metadata_mut().insert("hasleader", value);
    let result = c.client.kv().range(request).await;
    refused(result, Code::Unavailable, NO_LEADER);
}

async fn a_stream_that_requires_a_leader_is_refused_at_once(c: Case) {
    let mut watch = Watch::open_requiring_leader(&c.client);
    watch.send_create(watch_key("a")).await;
    refused(watch.message().await, Code::Unavailable, NO_LEADER);
}

async fn a_plain_watch_stays_open_and_silent(c: Case) {
    let (mut watch, created) = Watch::start(&c.client, watch_key("a")).await;
    assert!(created.created);
    watch.stays_quiet().await;
}

async fn get(c: &Case, path: &str) -> (u16, String) {
    let answer = c.client.http(path).await;
    (answer.status.as_u16(), answer.text().into())
}

async fn health_says_no_leader(c: Case) {
    let body = "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}\n";
    assert_eq!(get(&c, "/health").await, (503, body.into()));
}

async fn serializable_health_and_livez_are_well(c: Case) {
    for path in [
        "/health?serializable=true",
        "/livez",
        "/readyz?exclude=linearizable_read",
        "/readyz/serializable_read",
    ] {
        assert_eq!(get(&c, path).await.0, 200, "{path}");
    }
}

async fn readyz_fails_by_its_linearizable_read(c: Case) {
    let (status, body) = get(&c, "/readyz").await;
    assert_eq!(status, 503);
    let line = format!("[-]linearizable_read failed: {TIMED_OUT}");
    assert!(body.lines().any(|found| found == line), "{body}");
    assert!(body.contains("[+]serializable_read ok"), "{body}");
}
