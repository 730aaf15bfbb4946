//! DeleteRange.

use holdfast::etcd::pb::etcdserverpb::DeleteRangeRequest;
use tonic::Code;

use crate::harness::*;

#[tokio::test]
async fn deletes() {
    let cases = cases![
        an_empty_key_is_refused,
        one_key_is_deleted,
        a_missing_key_deletes_nothing,
        a_second_delete_deletes_nothing,
        a_half_open_range_is_deleted,
        a_prefix_is_deleted,
        an_inverted_range_deletes_nothing,
        without_prev_kv_none_are_returned,
        prev_kvs_come_in_key_order,
        prev_kv_of_a_single_key_is_its_whole_state,
        prev_kvs_of_nothing_are_none,
        deleted_keys_leave_their_lease,
        many_keys_go_at_one_revision,
        a_key_can_be_created_again,
    ];
    Suite::new("delete", cases).run(shared().await).await;
}

#[tokio::test]
async fn deletes_of_everything() {
    let server = Server::fresh().await;
    let cases = cases![everything_from_a_key_on_is_deleted, everything_is_deleted,];
    Suite::new("delete", cases).run_in_order(&server).await;
}

async fn an_empty_key_is_refused(c: Case) {
    let result = c.client.delete_range(delete("")).await;
    refused(
        result,
        Code::InvalidArgument,
        "etcdserver: key is not provided",
    );
}

async fn deleted(c: &Case, request: DeleteRangeRequest) -> i64 {
    c.client.delete_range(request).await.unwrap().deleted
}

async fn one_key_is_deleted(c: Case) {
    c.put_all("a=1 aa=2").await;
    assert_eq!(deleted(&c, delete(c.key("a"))).await, 1);
    assert_eq!(c.stored().await, "aa=2");
}

async fn a_missing_key_deletes_nothing(c: Case) {
    c.put("b", "1").await;
    assert_eq!(deleted(&c, delete(c.key("a"))).await, 0);
    assert_eq!(c.stored().await, "b=1");
}

async fn a_second_delete_deletes_nothing(c: Case) {
    c.put("a", "1").await;
    assert_eq!(deleted(&c, delete(c.key("a"))).await, 1);
    assert_eq!(deleted(&c, delete(c.key("a"))).await, 0);
}

async fn a_half_open_range_is_deleted(c: Case) {
    c.put_all("a=1 b=2 c=3 d=4").await;
    assert_eq!(deleted(&c, delete_span(c.key("b"), c.key("d"))).await, 2);
    assert_eq!(c.stored().await, "a=1 d=4");
}

async fn a_prefix_is_deleted(c: Case) {
    c.put_all("a=1 ab=2 abc=3 b=4").await;
    let end = end_of(c.key("ab"));
    assert_eq!(deleted(&c, delete_span(c.key("ab"), end)).await, 2);
    assert_eq!(c.stored().await, "a=1 b=4");
}

async fn an_inverted_range_deletes_nothing(c: Case) {
    c.put_all("a=1 b=2").await;
    assert_eq!(deleted(&c, delete_span(c.key("b"), c.key("a"))).await, 0);
    assert_eq!(deleted(&c, delete_span(c.key("b"), c.key("b"))).await, 0);
    assert_eq!(c.stored().await, "a=1 b=2");
}

async fn without_prev_kv_none_are_returned(c: Case) {
    c.put("a", "1").await;
    let response = c.client.delete_range(delete(c.key("a"))).await.unwrap();
    assert_eq!(response.prev_kvs, []);
}

fn all_with_prev(c: &Case) -> DeleteRangeRequest {
    DeleteRangeRequest {
        prev_kv: true,
        ..delete_span(c.prefix(), end_of(c.prefix()))
    }
}

async fn prev_kvs_come_in_key_order(c: Case) {
    c.put_all("c=3 a=1 b=2").await;
    let response = c.client.delete_range(all_with_prev(&c)).await.unwrap();
    assert_eq!(pairs(&response.prev_kvs), "a=1 b=2 c=3");
    assert_eq!(response.deleted, 3);
}

async fn prev_kv_of_a_single_key_is_its_whole_state(c: Case) {
    let lease = c.lease(60).await;
    c.put("a", "1").await;
    c.put_leased("a", "2", lease).await;
    let stored = c.get("a").await.unwrap();
    let request = DeleteRangeRequest {
        prev_kv: true,
        ..delete(c.key("a"))
    };
    let response = c.client.delete_range(request).await.unwrap();
    assert_eq!((stored.lease(), stored.version()), (lease, 2));
    assert_eq!(response.prev_kvs, [stored]);
}

async fn prev_kvs_of_nothing_are_none(c: Case) {
    let response = c.client.delete_range(all_with_prev(&c)).await.unwrap();
    assert_eq!((response.deleted, response.prev_kvs.len()), (0, 0));
}

async fn deleted_keys_leave_their_lease(c: Case) {
    let lease = c.lease(60).await;
    c.put_leased("a", "1", lease).await;
    c.delete("a").await;
    let request = time_to_live(lease, true);
    let response = c.client.lease_time_to_live(request).await.unwrap();
    assert!(response.keys.is_empty());
}

async fn many_keys_go_at_one_revision(c: Case) {
    let puts = (0..100).map(|n| op::put(c.key(&format!("{n:03}")), "1"));
    c.client.txn(always(puts.collect())).await.unwrap();
    let mut watch = c.watch_all().await;
    assert_eq!(deleted(&c, all_with_prev(&c)).await, 100);
    let events = watch.next().await.events;
    assert_eq!(events.len(), 100);
    let first = event_revision(&events[0]);
    assert!(events.iter().all(|event| event_revision(event) == first));
}

async fn a_key_can_be_created_again(c: Case) {
    c.put_all("a=1 a=2").await;
    c.delete("a").await;
    let again = c.put("a", "3").await;
    let kv = c.get("a").await.unwrap();
    assert_eq!((kv.version(), kv.create_revision()), (1, again));
}

async fn everything_from_a_key_on_is_deleted(c: Case) {
    for key in ["a", "b", "c"] {
        c.client.put(put(key, "1")).await.unwrap();
    }
    assert_eq!(deleted(&c, delete_span("b", NO_END)).await, 2);
    assert_eq!(names(&c.range(span(NO_END, NO_END)).await.kvs), "a");
}

async fn everything_is_deleted(c: Case) {
    for key in ["\0", "b", "\u{7f}"] {
        c.client.put(put(key, "1")).await.unwrap();
    }
    let there = c.range(span(NO_END, NO_END)).await.count;
    assert_eq!(deleted(&c, delete_span(NO_END, NO_END)).await, there);
    assert_eq!(c.range(span(NO_END, NO_END)).await.count, 0);
}
