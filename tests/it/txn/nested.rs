//! Transactions inside transactions.

use crate::harness::cmp::Result::{Equal, Greater};
use crate::harness::*;

#[tokio::test]
async fn nesting() {
    let cases = cases![
        a_nested_transaction_answers_in_place,
        a_nested_header_is_there_but_empty,
        nested_writes_share_the_revision,
        a_nested_comparison_does_not_see_earlier_writes,
        a_nested_comparison_chooses_its_own_branch,
        a_nested_range_sees_earlier_writes,
        an_outer_range_sees_nested_writes,
        three_levels_work,
        a_nested_transaction_in_the_branch_not_taken_does_not_run,
        a_nested_failure_does_not_fail_the_parent,
        a_nested_read_only_transaction_does_not_bump,
        events_come_in_execution_order,
    ];
    Suite::new("nested", cases).run(shared().await).await;
}

async fn a_nested_transaction_answers_in_place(c: Case) {
    c.put("a", "1").await;
    let inner = always(vec![op::get(c.key("a")), op::put(c.key("b"), "2")]);
    let outer = always(vec![
        op::get(c.key("b")),
        op::txn(inner),
        op::get(c.key("b")),
    ]);
    let response = c.client.txn(outer).await.unwrap();
    assert_eq!(response.responses.len(), 3);
    assert_eq!(pairs(&answer::range(&response, 0).kvs), "");
    let inner = answer::txn(&response, 1);
    assert!(inner.succeeded);
    assert_eq!(pairs(&answer::range(inner, 0).kvs), "a=1");
    answer::put(inner, 1);
    assert_eq!(pairs(&answer::range(&response, 2).kvs), "b=2");
}

async fn a_nested_header_is_there_but_empty(c: Case) {
    let inner = always(vec![op::put(c.key("a"), "1")]);
    let response = c.client.txn(always(vec![op::txn(inner)])).await.unwrap();
    let inner = answer::txn(&response, 0);
    assert_eq!(inner.header, Some(Default::default()));
}

async fn nested_writes_share_the_revision(c: Case) {
    let inner = always(vec![op::put(c.key("b"), "2")]);
    let outer = always(vec![op::put(c.key("a"), "1"), op::txn(inner)]);
    let response = c.client.txn(outer).await.unwrap();
    let written = revision(&response.header);
    let kvs = c.range(c.all()).await.kvs;
    assert_eq!(pairs(&kvs), "a=1 b=2");
    assert!(kvs.iter().all(|kv| kv.mod_revision() == written));
}

async fn a_nested_comparison_does_not_see_earlier_writes(c: Case) {
    let missing = vec![cmp::version(c.key("a"), Equal, 0)];
    let inner = txn(
        missing,
        vec![op::put(c.key("missing"), "1")],
        vec![op::put(c.key("there"), "1")],
    );
    let outer = always(vec![op::put(c.key("a"), "1"), op::txn(inner)]);
    let response = c.client.txn(outer).await.unwrap();
    assert!(answer::txn(&response, 1).succeeded);
    assert_eq!(c.stored().await, "a=1 missing=1");
}

async fn a_nested_comparison_chooses_its_own_branch(c: Case) {
    c.put("a", "1").await;
    let exists = vec![cmp::created(c.key("a"), Greater, 0)];
    let is_two = vec![cmp::value(c.key("a"), Equal, "2")];
    let inner = txn(
        is_two,
        vec![op::put(c.key("two"), "1")],
        vec![op::put(c.key("other"), "1")],
    );
    let outer = txn(exists, vec![op::txn(inner)], vec![]);
    let response = c.client.txn(outer).await.unwrap();
    assert!(response.succeeded);
    assert!(!answer::txn(&response, 0).succeeded);
    assert_eq!(c.stored().await, "a=1 other=1");
}

async fn a_nested_range_sees_earlier_writes(c: Case) {
    let inner = always(vec![op::range(c.all())]);
    let outer = always(vec![op::put(c.key("a"), "1"), op::txn(inner)]);
    let response = c.client.txn(outer).await.unwrap();
    let inner = answer::txn(&response, 1);
    assert_eq!(pairs(&answer::range(inner, 0).kvs), "a=1");
}

async fn an_outer_range_sees_nested_writes(c: Case) {
    let inner = always(vec![op::put(c.key("a"), "1")]);
    let outer = always(vec![op::txn(inner), op::range(c.all())]);
    let response = c.client.txn(outer).await.unwrap();
    assert_eq!(pairs(&answer::range(&response, 1).kvs), "a=1");
}

async fn three_levels_work(c: Case) {
    let third = always(vec![op::put(c.key("c"), "3"), op::range(c.all())]);
    let second = always(vec![op::put(c.key("b"), "2"), op::txn(third)]);
    let first = always(vec![op::put(c.key("a"), "1"), op::txn(second)]);
    let response = c.client.txn(first).await.unwrap();
    let third = answer::txn(answer::txn(&response, 1), 1);
    assert_eq!(pairs(&answer::range(third, 1).kvs), "a=1 b=2 c=3");
}

async fn a_nested_transaction_in_the_branch_not_taken_does_not_run(c: Case) {
    let nested = op::txn(always(vec![op::put(c.key("no"), "1")]));
    let request = txn(vec![], vec![op::put(c.key("yes"), "1")], vec![nested]);
    c.client.txn(request).await.unwrap();
    assert_eq!(c.stored().await, "yes=1");
}

async fn a_nested_failure_does_not_fail_the_parent(c: Case) {
    let never = vec![cmp::version(c.key("a"), Greater, 99)];
    let inner = txn(never, vec![op::put(c.key("x"), "1")], vec![]);
    let outer = always(vec![op::put(c.key("a"), "1"), op::txn(inner)]);
    let response = c.client.txn(outer).await.unwrap();
    assert!(response.succeeded);
    assert!(!answer::txn(&response, 1).succeeded);
    assert_eq!(c.stored().await, "a=1");
}

async fn a_nested_read_only_transaction_does_not_bump(c: Case) {
    let before = c.put("a", "1").await;
    let inner = always(vec![op::get(c.key("a"))]);
    let response = c.client.txn(always(vec![op::txn(inner)])).await.unwrap();
    let inner = answer::txn(&response, 0);
    let seen = &answer::range(inner, 0).kvs[0];
    assert_eq!((seen.mod_revision(), seen.version()), (before, 1));
    assert_eq!(c.get("a").await.unwrap().mod_revision(), before);
}

async fn events_come_in_execution_order(c: Case) {
    c.put("z", "0").await;
    let mut watch = c.watch_all().await;
    let inner = always(vec![op::put(c.key("d"), "2"), op::delete(c.key("z"))]);
    let outer = always(vec![
        op::put(c.key("e"), "1"),
        op::txn(inner),
        op::put(c.key("a"), "3"),
    ]);
    c.client.txn(outer).await.unwrap();
    let events = watch.next().await.events;
    assert_eq!(told(&events), "PUT e=1, PUT d=2, DELETE z, PUT a=3");
}
