//! Put and its flags.

use holdfast::etcd::pb::etcdserverpb::PutRequest;
use tonic::Code;

use crate::harness::*;

const LEASE_NOT_FOUND: &str = "etcdserver: requested lease not found";

#[tokio::test]
async fn puts() {
    let cases = cases![
        an_empty_key_is_refused,
        an_empty_value_is_stored,
        without_prev_kv_none_is_returned,
        prev_kv_of_a_new_key_is_absent,
        prev_kv_is_the_whole_state_before,
        prev_kv_after_a_delete_is_absent,
        ignore_value_keeps_the_value,
        ignore_value_still_changes_revision_and_version,
        ignore_value_may_change_the_lease,
        ignore_value_on_a_missing_key_is_refused,
        ignore_value_on_a_deleted_key_is_refused,
        ignore_value_with_a_value_is_refused,
        ignore_lease_keeps_the_lease,
        ignore_lease_on_a_missing_key_is_refused,
        ignore_lease_with_a_lease_is_refused,
        ignoring_both_touches_the_key,
        a_lease_is_attached,
        an_unknown_lease_is_refused,
        a_negative_unknown_lease_is_refused,
        the_lease_is_looked_for_before_the_key,
        a_put_without_a_lease_detaches,
        a_put_with_another_lease_moves_the_key,
        a_large_value_is_stored,
        concurrent_puts_of_one_key_all_count,
        concurrent_puts_get_different_revisions,
    ];
    Suite::new("put", cases).run(shared().await).await;
}

async fn an_empty_key_is_refused(c: Case) {
    let result = c.client.put(put("", "1")).await;
    refused(
        result,
        Code::InvalidArgument,
        "etcdserver: key is not provided",
    );
}

async fn an_empty_value_is_stored(c: Case) {
    c.put("a", "").await;
    let kv = c.get("a").await.unwrap();
    assert_eq!((kv.value(), kv.version()), (&b""[..], 1));
}

fn with_prev(c: &Case, name: &str, value: &str) -> PutRequest {
    PutRequest {
        prev_kv: true,
        ..put(c.key(name), value)
    }
}

async fn without_prev_kv_none_is_returned(c: Case) {
    c.put("a", "1").await;
    let response = c.client.put(put(c.key("a"), "2")).await.unwrap();
    assert_eq!(response.prev_kv, None);
}

async fn prev_kv_of_a_new_key_is_absent(c: Case) {
    let response = c.client.put(with_prev(&c, "a", "1")).await.unwrap();
    assert_eq!(response.prev_kv, None);
}

async fn prev_kv_is_the_whole_state_before(c: Case) {
    let lease = c.lease(60).await;
    let created = c.put("a", "1").await;
    let modified = c.put_leased("a", "2", lease).await;
    let response = c.client.put(with_prev(&c, "a", "3")).await.unwrap();
    let prev = response.prev_kv.unwrap();
    assert_eq!((prev.key(), prev.value()), (&c.key("a"), &b"2"[..]));
    assert_eq!(
        (prev.create_revision(), prev.mod_revision(), prev.version()),
        (created, modified, 2)
    );
    assert_eq!(prev.lease(), lease);
}

async fn prev_kv_after_a_delete_is_absent(c: Case) {
    c.put("a", "1").await;
    c.delete("a").await;
    let response = c.client.put(with_prev(&c, "a", "2")).await.unwrap();
    assert_eq!(response.prev_kv, None);
}

fn ignoring_value(c: &Case, name: &str) -> PutRequest {
    PutRequest {
        ignore_value: true,
        ..put(c.key(name), "")
    }
}

fn ignoring_lease(c: &Case, name: &str, value: &str) -> PutRequest {
    PutRequest {
        ignore_lease: true,
        ..put(c.key(name), value)
    }
}

async fn ignore_value_keeps_the_value(c: Case) {
    c.put("a", "1").await;
    c.client.put(ignoring_value(&c, "a")).await.unwrap();
    assert_eq!(c.stored().await, "a=1");
}

async fn ignore_value_still_changes_revision_and_version(c: Case) {
    let before = c.put("a", "1").await;
    c.client.put(ignoring_value(&c, "a")).await.unwrap();
    let kv = c.get("a").await.unwrap();
    assert!(kv.mod_revision() > before);
    assert_eq!((kv.version(), kv.create_revision()), (2, before));
}

async fn ignore_value_may_change_the_lease(c: Case) {
    let lease = c.lease(60).await;
    c.put("a", "1").await;
    let request = PutRequest {
        lease,
        ..ignoring_value(&c, "a")
    };
    c.client.put(request).await.unwrap();
    let kv = c.get("a").await.unwrap();
    assert_eq!((kv.value(), kv.lease()), (&b"1"[..], lease));
}

async fn ignore_value_on_a_missing_key_is_refused(c: Case) {
    let result = c.client.put(ignoring_value(&c, "a")).await;
    refused(result, Code::InvalidArgument, "etcdserver: key not found");
    assert_eq!(c.stored().await, "");
}

async fn ignore_value_on_a_deleted_key_is_refused(c: Case) {
    c.put("a", "1").await;
    c.delete("a").await;
    let result = c.client.put(ignoring_value(&c, "a")).await;
    refused(result, Code::InvalidArgument, "etcdserver: key not found");
}

async fn ignore_value_with_a_value_is_refused(c: Case) {
    c.put("a", "1").await;
    let request = PutRequest {
        value: bytes("2"),
        ..ignoring_value(&c, "a")
    };
    let result = c.client.put(request).await;
    refused(
        result,
        Code::InvalidArgument,
        "etcdserver: value is provided",
    );
    assert_eq!(c.stored().await, "a=1");
}

async fn ignore_lease_keeps_the_lease(c: Case) {
    let lease = c.lease(60).await;
    c.put_leased("a", "1", lease).await;
    c.client.put(ignoring_lease(&c, "a", "2")).await.unwrap();
    let kv = c.get("a").await.unwrap();
    assert_eq!((kv.value(), kv.lease()), (&b"2"[..], lease));
}

async fn ignore_lease_on_a_missing_key_is_refused(c: Case) {
    let result = c.client.put(ignoring_lease(&c, "a", "1")).await;
    refused(result, Code::InvalidArgument, "etcdserver: key not found");
}

async fn ignore_lease_with_a_lease_is_refused(c: Case) {
    let lease = c.lease(60).await;
    c.put("a", "1").await;
    let request = PutRequest {
        lease,
        ..ignoring_lease(&c, "a", "2")
    };
    let result = c.client.put(request).await;
    refused(
        result,
        Code::InvalidArgument,
        "etcdserver: lease is provided",
    );
}

async fn ignoring_both_touches_the_key(c: Case) {
    let lease = c.lease(60).await;
    let before = c.put_leased("a", "1", lease).await;
    let request = PutRequest {
        ignore_lease: true,
        ..ignoring_value(&c, "a")
    };
    c.client.put(request).await.unwrap();
    let kv = c.get("a").await.unwrap();
    assert_eq!(
        (kv.value(), kv.lease(), kv.version()),
        (&b"1"[..], lease, 2)
    );
    assert!(kv.mod_revision() > before);
}

async fn a_lease_is_attached(c: Case) {
    let lease = c.lease(60).await;
    c.put_leased("a", "1", lease).await;
    assert_eq!(c.get("a").await.unwrap().lease(), lease);
}

async fn an_unknown_lease_is_refused(c: Case) {
    let request = PutRequest {
        lease: 0x7fff_0000_0000_0001,
        ..put(c.key("a"), "1")
    };
    refused(c.client.put(request).await, Code::NotFound, LEASE_NOT_FOUND);
    assert_eq!(c.stored().await, "");
}

async fn a_negative_unknown_lease_is_refused(c: Case) {
    let request = PutRequest {
        lease: -77,
        ..put(c.key("a"), "1")
    };
    refused(c.client.put(request).await, Code::NotFound, LEASE_NOT_FOUND);
}

async fn the_lease_is_looked_for_before_the_key(c: Case) {
    let request = PutRequest {
        lease: -77,
        ignore_value: true,
        ..put(c.key("none"), "")
    };
    refused(c.client.put(request).await, Code::NotFound, LEASE_NOT_FOUND);
}

async fn attached(c: &Case, lease: i64) -> Vec<bytes::Bytes> {
    let request = time_to_live(lease, true);
    c.client.lease_time_to_live(request).await.unwrap().keys
}

async fn a_put_without_a_lease_detaches(c: Case) {
    let lease = c.lease(60).await;
    c.put_leased("a", "1", lease).await;
    assert_eq!(attached(&c, lease).await, [c.key("a")]);
    c.put("a", "2").await;
    assert_eq!(c.get("a").await.unwrap().lease(), 0);
    assert!(attached(&c, lease).await.is_empty());
}

async fn a_put_with_another_lease_moves_the_key(c: Case) {
    let (first, second) = (c.lease(60).await, c.lease(60).await);
    c.put_leased("a", "1", first).await;
    c.put_leased("a", "1", second).await;
    assert!(attached(&c, first).await.is_empty());
    assert_eq!(attached(&c, second).await, [c.key("a")]);
}

async fn a_large_value_is_stored(c: Case) {
    let value = "v".repeat(1024 * 1024);
    c.put("a", &value).await;
    assert_eq!(c.get("a").await.unwrap().value(), value.as_bytes());
}

async fn concurrent_puts_of_one_key_all_count(c: Case) {
    let puts = (0..50).map(|_| c.put("a", "1"));
    let mut revisions = futures::future::join_all(puts).await;
    revisions.sort_unstable();
    let kv = c.get("a").await.unwrap();
    assert_eq!(kv.version(), 50);
    assert_eq!(kv.create_revision(), revisions[0]);
    assert_eq!(kv.mod_revision(), revisions[49]);
}

async fn concurrent_puts_get_different_revisions(c: Case) {
    let names: Vec<_> = (0..50).map(|n| n.to_string()).collect();
    let puts = names.iter().map(|name| c.put(name, "1"));
    let mut revisions = futures::future::join_all(puts).await;
    revisions.sort_unstable();
    revisions.dedup();
    assert_eq!(revisions.len(), 50);
}
