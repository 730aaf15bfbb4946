//! A transaction that cannot be executed changes nothing; one that can is not disturbed by the branch it
//! does not take (invariant I5).

use holdfast::etcd::pb::etcdserverpb::{PutRequest, RangeRequest};
use tonic::Code;

use crate::harness::*;

const COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";
const FUTURE: &str = "etcdserver: mvcc: required revision is a future revision";

#[tokio::test]
async fn atomicity() {
    let cases = cases![
        an_unknown_lease_fails_the_whole_transaction,
        ignore_value_on_a_missing_key_fails_the_whole_transaction,
        ignore_lease_on_a_missing_key_fails_the_whole_transaction,
        a_future_range_fails_the_whole_transaction,
        puts_are_checked_before_ranges,
        a_put_is_checked_for_its_key_before_its_lease,
        a_range_at_the_revision_before_is_fine,
        a_nested_error_fails_the_whole_transaction,
        errors_of_the_branch_not_taken_do_not_matter,
        errors_of_a_nested_branch_not_taken_do_not_matter,
        a_read_only_transaction_with_a_future_range_is_refused,
        a_reader_never_sees_half_a_transaction,
    ];
    Suite::new("atomicity", cases).run(shared().await).await;
}

#[tokio::test]
async fn compacted_ranges() {
    let server = Server::fresh().await;
    let cases = cases![
        revision_minus_one_is_the_latest_before_any_compaction,
        its_own_revision_is_a_future_revision,
        a_compacted_range_fails_the_whole_transaction,
        a_compacted_range_in_a_read_only_transaction_is_refused,
        a_compacted_range_in_the_branch_not_taken_does_not_matter,
        revision_minus_one_is_compacted_after_a_compaction,
    ];
    Suite::new("atomicity", cases).run_in_order(&server).await;
}

fn bad_lease(c: &Case) -> PutRequest {
    PutRequest {
        lease: 0x7fff_0000_0000_0002,
        ..put(c.key("b"), "1")
    }
}

fn at(c: &Case, revision: i64) -> RangeRequest {
    RangeRequest {
        revision,
        ..c.all()
    }
}

async fn an_unknown_lease_fails_the_whole_transaction(c: Case) {
    let ops = vec![op::put(c.key("a"), "1"), op::put_with(bad_lease(&c))];
    let result = c.client.txn(always(ops)).await;
    refused(
        result,
        Code::NotFound,
        "etcdserver: requested lease not found",
    );
    assert_eq!(c.stored().await, "");
}

async fn ignore_value_on_a_missing_key_fails_the_whole_transaction(c: Case) {
    let request = PutRequest {
        ignore_value: true,
        ..put(c.key("b"), "")
    };
    let ops = vec![op::put(c.key("a"), "1"), op::put_with(request)];
    let result = c.client.txn(always(ops)).await;
    refused(result, Code::InvalidArgument, "etcdserver: key not found");
    assert_eq!(c.stored().await, "");
}

async fn ignore_lease_on_a_missing_key_fails_the_whole_transaction(c: Case) {
    let request = PutRequest {
        ignore_lease: true,
        ..put(c.key("b"), "1")
    };
    let ops = vec![op::put(c.key("a"), "1"), op::put_with(request)];
    let result = c.client.txn(always(ops)).await;
    refused(result, Code::InvalidArgument, "etcdserver: key not found");
    assert_eq!(c.stored().await, "");
}

async fn a_future_range_fails_the_whole_transaction(c: Case) {
    let future = at(&c, i64::MAX);
    let ops = vec![op::put(c.key("a"), "1"), op::range(future)];
    refused(c.client.txn(always(ops)).await, Code::OutOfRange, FUTURE);
    assert_eq!(c.stored().await, "");
}

async fn puts_are_checked_before_ranges(c: Case) {
    let future = at(&c, i64::MAX);
    let nested = always(vec![op::range(future.clone()), op::put_with(bad_lease(&c))]);
    let ops = vec![op::range(future), op::txn(nested)];
    refused(
        c.client.txn(always(ops)).await,
        Code::NotFound,
        "etcdserver: requested lease not found",
    );
}

async fn a_put_is_checked_for_its_key_before_its_lease(c: Case) {
    let request = PutRequest {
        ignore_value: true,
        value: Default::default(),
        ..bad_lease(&c)
    };
    refused(
        c.client.txn(always(vec![op::put_with(request)])).await,
        Code::InvalidArgument,
        "etcdserver: key not found",
    );
}

async fn its_own_revision_is_a_future_revision(c: Case) {
    let last = c.put("a", "1").await;
    let ops = vec![op::put(c.key("a"), "2"), op::range(at(&c, last + 1))];
    refused(c.client.txn(always(ops)).await, Code::OutOfRange, FUTURE);
    assert_eq!(c.stored().await, "a=1");
}

async fn a_range_at_the_revision_before_is_fine(c: Case) {
    let last = c.put("a", "1").await;
    let ops = vec![op::put(c.key("a"), "2"), op::range(at(&c, last))];
    let response = c.client.txn(always(ops)).await.unwrap();
    assert_eq!(pairs(&answer::range(&response, 1).kvs), "a=1");
    assert_eq!(c.stored().await, "a=2");
}

async fn a_nested_error_fails_the_whole_transaction(c: Case) {
    let nested = op::txn(always(vec![op::put_with(bad_lease(&c))]));
    let ops = vec![op::put(c.key("a"), "1"), nested];
    let result = c.client.txn(always(ops)).await;
    refused(
        result,
        Code::NotFound,
        "etcdserver: requested lease not found",
    );
    assert_eq!(c.stored().await, "");
}

async fn errors_of_the_branch_not_taken_do_not_matter(c: Case) {
    let ignored = PutRequest {
        ignore_value: true,
        ..put(c.key("missing"), "")
    };
    let bad = vec![
        op::put_with(bad_lease(&c)),
        op::put_with(ignored),
        op::range(at(&c, i64::MAX)),
    ];
    let request = txn(vec![], vec![op::put(c.key("a"), "1")], bad);
    assert!(c.client.txn(request).await.unwrap().succeeded);
    assert_eq!(c.stored().await, "a=1");
}

async fn errors_of_a_nested_branch_not_taken_do_not_matter(c: Case) {
    let bad = vec![op::put_with(bad_lease(&c))];
    let nested = op::txn(txn(vec![], vec![op::put(c.key("a"), "1")], bad));
    c.client.txn(always(vec![nested])).await.unwrap();
    assert_eq!(c.stored().await, "a=1");
}

async fn a_read_only_transaction_with_a_future_range_is_refused(c: Case) {
    let ops = vec![op::range(at(&c, i64::MAX))];
    refused(c.client.txn(always(ops)).await, Code::OutOfRange, FUTURE);
}

async fn a_reader_never_sees_half_a_transaction(c: Case) {
    let keys = ["a", "b", "c", "d"];
    let writer = async {
        for n in 0..50 {
            let puts = keys.map(|name| op::put(c.key(name), n.to_string()));
            c.client.txn(always(puts.into())).await.unwrap();
        }
    };
    let reader = async {
        for n in 0..100 {
            let mut all = c.all();
            all.serializable = n % 2 == 0;
            let kvs = c.range(all).await.kvs;
            assert!(kvs.iter().all(|kv| kv.value() == kvs[0].value()));
            assert!(kvs.is_empty() || kvs.len() == keys.len());
        }
    };
    futures::future::join(writer, reader).await;
}

async fn revision_minus_one_is_the_latest_before_any_compaction(c: Case) {
    c.put("a", "1").await;
    let ops = vec![op::range(at(&c, -1)), op::put(c.key("b"), "1")];
    let response = c.client.txn(always(ops)).await.unwrap();
    assert_eq!(pairs(&answer::range(&response, 0).kvs), "a=1");
}

/// A range at a compacted revision.
async fn compacted(c: &Case) -> RangeRequest {
    let first = c.put("a", "1").await;
    let second = c.put("a", "2").await;
    c.client.compact(compact(second)).await.unwrap();
    at(c, first)
}

async fn a_compacted_range_fails_the_whole_transaction(c: Case) {
    let ops = vec![op::put(c.key("b"), "1"), op::range(compacted(&c).await)];
    refused(c.client.txn(always(ops)).await, Code::OutOfRange, COMPACTED);
    assert_eq!(c.stored().await, "a=2");
}

async fn a_compacted_range_in_a_read_only_transaction_is_refused(c: Case) {
    let ops = vec![op::range(compacted(&c).await)];
    refused(c.client.txn(always(ops)).await, Code::OutOfRange, COMPACTED);
}

async fn a_compacted_range_in_the_branch_not_taken_does_not_matter(c: Case) {
    let bad = vec![op::range(compacted(&c).await)];
    let request = txn(vec![], vec![op::put(c.key("a"), "3")], bad);
    c.client.txn(request).await.unwrap();
    assert_eq!(c.stored().await, "a=3");
}

async fn revision_minus_one_is_compacted_after_a_compaction(c: Case) {
    compacted(&c).await;
    let ops = vec![op::put(c.key("b"), "1"), op::range(at(&c, -1))];
    refused(c.client.txn(always(ops)).await, Code::OutOfRange, COMPACTED);
}
