//! What a transaction is refused for before anything of it happens.

use holdfast::etcd::pb::etcdserverpb::{Compare, PutRequest, RequestOp, TxnRequest};
use tonic::Code;

use crate::harness::cmp::Result::Equal;
use crate::harness::*;

const NO_KEY: &str = "etcdserver: key is not provided";
const TOO_MANY: &str = "etcdserver: too many operations in txn request";

#[tokio::test]
async fn validation() {
    let cases = cases![
        the_largest_number_of_operations_is_accepted,
        one_operation_too_many_is_refused,
        one_failure_operation_too_many_is_refused,
        one_comparison_too_many_is_refused,
        the_lists_do_not_share_their_allowance,
        an_empty_transaction_is_accepted,
        a_nested_transaction_gets_what_its_parent_left,
        a_nested_transaction_beyond_the_allowance_is_refused,
        siblings_do_not_share_their_allowance,
        put_flags_are_checked_in_a_transaction,
        a_refused_transaction_changes_nothing,
    ];
    Suite::new("txn_validation", cases)
        .with(EMPTY_KEYS.iter().map(empty_key_row).collect())
        .run(shared().await)
        .await;
}

type Row = (&'static str, fn() -> TxnRequest, &'static str);

const EMPTY_KEYS: [Row; 9] = [
    (
        "empty_compare_key",
        || txn(vec![cmp::version("", Equal, 0)], vec![], vec![]),
        NO_KEY,
    ),
    ("empty_range_key", || always(vec![op::get("")]), NO_KEY),
    ("empty_put_key", || always(vec![op::put("", "1")]), NO_KEY),
    ("empty_delete_key", || always(vec![op::delete("")]), NO_KEY),
    (
        "empty_key_in_failure",
        || txn(vec![], vec![], vec![op::put("", "1")]),
        NO_KEY,
    ),
    (
        "empty_key_nested",
        || always(vec![op::txn(always(vec![op::get("")]))]),
        NO_KEY,
    ),
    (
        "empty_compare_key_nested",
        || {
            always(vec![op::txn(txn(
                vec![cmp::version("", Equal, 0)],
                vec![],
                vec![],
            ))])
        },
        NO_KEY,
    ),
    (
        "operation_without_a_member",
        || always(vec![RequestOp { request: None }]),
        "etcdserver: key not found",
    ),
    (
        "nested_operation_without_a_member",
        || always(vec![op::txn(always(vec![RequestOp { request: None }]))]),
        "etcdserver: key not found",
    ),
];

fn empty_key_row(&(name, request, message): &Row) -> NamedCase {
    NamedCase::new(name, move |c: Case| async move {
        let result = c.client.txn(request()).await;
        refused(result, Code::InvalidArgument, message);
    })
}

fn puts(c: &Case, count: usize) -> Vec<RequestOp> {
    let key = |n| c.key(&format!("{n:03}"));
    (0..count).map(|n| op::put(key(n), "1")).collect()
}

fn compares(c: &Case, count: usize) -> Vec<Compare> {
    vec![cmp::version(c.key("a"), Equal, 0); count]
}

async fn the_largest_number_of_operations_is_accepted(c: Case) {
    c.client.txn(always(puts(&c, 128))).await.unwrap();
    assert_eq!(c.range(c.all()).await.count, 128);
}

async fn too_many(c: &Case, request: TxnRequest) {
    refused(c.client.txn(request).await, Code::InvalidArgument, TOO_MANY);
    assert_eq!(c.range(c.all()).await.count, 0);
}

async fn one_operation_too_many_is_refused(c: Case) {
    too_many(&c, always(puts(&c, 129))).await;
}

async fn one_failure_operation_too_many_is_refused(c: Case) {
    too_many(&c, txn(vec![], vec![], puts(&c, 129))).await;
}

async fn one_comparison_too_many_is_refused(c: Case) {
    too_many(&c, txn(compares(&c, 129), vec![], vec![])).await;
}

async fn the_lists_do_not_share_their_allowance(c: Case) {
    let request = txn(compares(&c, 128), puts(&c, 128), puts(&c, 128));
    assert!(c.client.txn(request).await.unwrap().succeeded);
}

async fn an_empty_transaction_is_accepted(c: Case) {
    let response = c.client.txn(TxnRequest::default()).await.unwrap();
    assert!(response.succeeded);
    assert_eq!(response.responses, []);
    assert!(revision(&response.header) > 0);
}

/// `outer` puts and one nested transaction of `inner` reads.
fn nested(c: &Case, outer: usize, inner: usize) -> TxnRequest {
    let mut ops = puts(c, outer);
    ops.push(op::txn(always(vec![op::get(c.key("a")); inner])));
    always(ops)
}

async fn a_nested_transaction_gets_what_its_parent_left(c: Case) {
    c.client.txn(nested(&c, 126, 1)).await.unwrap();
    c.client.txn(nested(&c, 27, 100)).await.unwrap();
}

async fn a_nested_transaction_beyond_the_allowance_is_refused(c: Case) {
    too_many(&c, nested(&c, 126, 2)).await;
    too_many(&c, nested(&c, 27, 101)).await;
    too_many(&c, nested(&c, 127, 1)).await;
}

async fn siblings_do_not_share_their_allowance(c: Case) {
    let sibling = op::txn(always(vec![op::get(c.key("a")); 126]));
    let request = always(vec![sibling.clone(), sibling]);
    c.client.txn(request).await.unwrap();
}

async fn put_flags_are_checked_in_a_transaction(c: Case) {
    let value = PutRequest {
        ignore_value: true,
        ..put(c.key("a"), "1")
    };
    let result = c.client.txn(always(vec![op::put_with(value)])).await;
    refused(
        result,
        Code::InvalidArgument,
        "etcdserver: value is provided",
    );
    let lease = PutRequest {
        ignore_lease: true,
        lease: 7,
        ..put(c.key("a"), "")
    };
    let result = c
        .client
        .txn(txn(vec![], vec![], vec![op::put_with(lease)]))
        .await;
    refused(
        result,
        Code::InvalidArgument,
        "etcdserver: lease is provided",
    );
}

async fn a_refused_transaction_changes_nothing(c: Case) {
    let request = always(vec![op::put(c.key("a"), "1"), op::put("", "1")]);
    refused(c.client.txn(request).await, Code::InvalidArgument, NO_KEY);
    assert_eq!(c.stored().await, "");
}
