//! Comparisons: every target with every result, missing keys, ranges, mismatched operands.

use std::cmp::Ordering;

use holdfast::etcd::pb::etcdserverpb::Compare;
use holdfast::etcd::pb::etcdserverpb::compare::TargetUnion;

use crate::harness::cmp::{Result, Target};
use crate::harness::*;

#[tokio::test]
async fn comparisons() {
    let cases = cases![
        no_comparison_is_true,
        all_comparisons_must_hold,
        a_deleted_key_compares_as_missing,
        a_missing_value_is_never_anything,
        an_empty_value_equals_an_empty_value,
        values_compare_bytewise,
        a_range_comparison_must_hold_for_every_key,
        a_range_comparison_fails_for_one_key,
        a_range_comparison_without_a_key_compares_zero,
        a_range_comparison_of_values_without_a_key_is_false,
        a_range_comparison_from_a_key_on_is_open_ended,
        a_range_comparison_with_an_inverted_range_sees_no_key,
        an_operand_of_another_target_reads_as_zero,
        a_value_operand_for_a_number_target_reads_as_zero,
        a_missing_operand_reads_as_zero,
        a_missing_value_operand_reads_as_empty,
        create_and_mod_revision_differ_after_a_change,
        a_transaction_that_fails_takes_the_other_branch,
    ];
    Suite::new("compare", cases)
        .with(table("present", present_row))
        .with(table("missing", missing_row))
        .run(shared().await)
        .await;
}

const TARGETS: [Target; 5] = [
    Target::Version,
    Target::Create,
    Target::Mod,
    Target::Value,
    Target::Lease,
];
const RESULTS: [Result; 4] = [
    Result::Equal,
    Result::Greater,
    Result::Less,
    Result::NotEqual,
];
const ORDERS: [Ordering; 3] = [Ordering::Less, Ordering::Equal, Ordering::Greater];

/// One case for each target and result; each tries operands below, at and above the stored one.
fn table(kind: &str, row: fn(Target, Result) -> RowCase) -> Vec<NamedCase> {
    let all = TARGETS
        .into_iter()
        .flat_map(|target| RESULTS.map(|result| (target, result)));
    all.map(|(target, result)| {
        let run = row(target, result);
        NamedCase::new(format!("{kind}_{target:?}_{result:?}"), run)
    })
    .collect()
}

type RowCase = Box<dyn FnOnce(Case) -> futures::future::LocalBoxFuture<'static, ()>>;

/// Whether `stored ⟨result⟩ given` holds when `stored` compares to `given` as `order` says.
fn expected(result: Result, order: Ordering) -> bool {
    match result {
        Result::Equal => order.is_eq(),
        Result::Greater => order.is_gt(),
        Result::Less => order.is_lt(),
        Result::NotEqual => order.is_ne(),
    }
}

/// An operand to which a stored value of `at` compares as `order`.
fn operand(target: Target, at: i64, order: Ordering) -> TargetUnion {
    let number = match order {
        Ordering::Less => at + 1,
        Ordering::Equal => at,
        Ordering::Greater => at - 1,
    };
    match target {
        Target::Version => TargetUnion::Version(number),
        Target::Create => TargetUnion::CreateRevision(number),
        Target::Mod => TargetUnion::ModRevision(number),
        Target::Lease => TargetUnion::Lease(number),
        Target::Value => TargetUnion::Value(bytes(format!("{number:020}"))),
    }
}

fn present_row(target: Target, result: Result) -> RowCase {
    Box::new(move |c| {
        Box::pin(async move {
            let lease = c.lease(60).await;
            c.put("a", "").await;
            c.put_leased("a", &format!("{:020}", 500), lease).await;
            let kv = c.get("a").await.unwrap();
            let stored = match target {
                Target::Version => 2,
                Target::Create => kv.create_revision(),
                Target::Mod => kv.mod_revision(),
                Target::Lease => lease,
                Target::Value => 500,
            };
            for order in ORDERS {
                let compare = cmp::compare(c.key("a"), result, operand(target, stored, order));
                let holds = holds(&c, vec![compare]).await;
                assert_eq!(holds, expected(result, order), "stored is {order:?}");
            }
        })
    })
}

/// A missing key compares as 0, but its value is never anything.
fn missing_row(target: Target, result: Result) -> RowCase {
    Box::new(move |c| {
        Box::pin(async move {
            for order in ORDERS {
                let compare = cmp::compare(c.key("a"), result, operand(target, 0, order));
                let expected = target != Target::Value && expected(result, order);
                let holds = holds(&c, vec![compare]).await;
                assert_eq!(holds, expected, "zero is {order:?}");
            }
        })
    })
}

/// Whether the comparisons hold, tried in a write transaction and in a read-only one.
async fn holds(c: &Case, compare: Vec<Compare>) -> bool {
    let key = c.key("probe");
    let write = vec![op::delete(&key)];
    let write = txn(compare.clone(), write.clone(), write);
    let read = txn(compare, vec![op::get(&key)], vec![op::get(&key)]);
    let write = c.client.txn(write).await.unwrap().succeeded;
    let read = c.client.txn(read).await.unwrap().succeeded;
    assert_eq!(write, read, "write and read-only transactions disagree");
    write
}

async fn no_comparison_is_true(c: Case) {
    assert!(holds(&c, Vec::new()).await);
}

async fn all_comparisons_must_hold(c: Case) {
    c.put_all("a=1 b=2").await;
    let a = |value| cmp::value(c.key("a"), Result::Equal, value);
    let b = |value| cmp::value(c.key("b"), Result::Equal, value);
    assert!(holds(&c, vec![a("1"), b("2")]).await);
    assert!(!holds(&c, vec![a("1"), b("1")]).await);
    assert!(!holds(&c, vec![a("2"), b("2")]).await);
    assert!(!holds(&c, vec![a("1"), a("2")]).await);
}

async fn a_deleted_key_compares_as_missing(c: Case) {
    c.put("a", "1").await;
    c.delete("a").await;
    let key = c.key("a");
    assert!(holds(&c, vec![cmp::version(&key, Result::Equal, 0)]).await);
    assert!(holds(&c, vec![cmp::modified(&key, Result::Equal, 0)]).await);
    assert!(holds(&c, vec![cmp::created(&key, Result::Equal, 0)]).await);
    assert!(!holds(&c, vec![cmp::value(&key, Result::NotEqual, "1")]).await);
}

async fn a_missing_value_is_never_anything(c: Case) {
    for result in RESULTS {
        let compare = cmp::value(c.key("a"), result, "");
        assert!(!holds(&c, vec![compare]).await, "{result:?}");
    }
}

async fn an_empty_value_equals_an_empty_value(c: Case) {
    c.put("a", "").await;
    let key = c.key("a");
    assert!(holds(&c, vec![cmp::value(&key, Result::Equal, "")]).await);
    assert!(holds(&c, vec![cmp::value(&key, Result::Less, "\0")]).await);
}

async fn values_compare_bytewise(c: Case) {
    c.put("a", "b").await;
    let key = c.key("a");
    for smaller in ["", "a", "aa", "10", "B", "a\u{ff}"] {
        let compare = cmp::value(&key, Result::Greater, smaller);
        assert!(holds(&c, vec![compare]).await, "b > {smaller:?}");
    }
    for larger in ["ba", "c", "b\0", "\u{80}"] {
        let compare = cmp::value(&key, Result::Less, larger);
        assert!(holds(&c, vec![compare]).await, "b < {larger:?}");
    }
}

fn over_all(c: &Case, compare: Compare) -> Compare {
    cmp::over(compare, end_of(c.prefix()))
}

async fn a_range_comparison_must_hold_for_every_key(c: Case) {
    c.put_all("a=1 b=1 c=1").await;
    let all = cmp::value(c.prefix(), Result::Equal, "1");
    assert!(holds(&c, vec![over_all(&c, all)]).await);
    let all = cmp::version(c.prefix(), Result::Less, 2);
    assert!(holds(&c, vec![over_all(&c, all)]).await);
}

async fn a_range_comparison_fails_for_one_key(c: Case) {
    c.put_all("a=1 b=1 c=2 b=1").await;
    let all = cmp::value(c.prefix(), Result::Equal, "1");
    assert!(!holds(&c, vec![over_all(&c, all)]).await);
    let all = cmp::version(c.prefix(), Result::Equal, 1);
    assert!(!holds(&c, vec![over_all(&c, all)]).await);
}

async fn a_range_comparison_without_a_key_compares_zero(c: Case) {
    let none = cmp::modified(c.prefix(), Result::Equal, 0);
    assert!(holds(&c, vec![over_all(&c, none)]).await);
    let some = cmp::version(c.prefix(), Result::Greater, 0);
    assert!(!holds(&c, vec![over_all(&c, some)]).await);
}

async fn a_range_comparison_of_values_without_a_key_is_false(c: Case) {
    for result in RESULTS {
        let none = cmp::value(c.prefix(), result, "1");
        assert!(!holds(&c, vec![over_all(&c, none)]).await, "{result:?}");
    }
}

async fn a_range_comparison_from_a_key_on_is_open_ended(c: Case) {
    let last = c.put("a", "1").await;
    let later = cmp::modified(c.key("a"), Result::Less, last + 1_000_000);
    assert!(holds(&c, vec![cmp::over(later, NO_END)]).await);
    let earlier = cmp::modified(c.key("a"), Result::Greater, last);
    assert!(!holds(&c, vec![cmp::over(earlier, NO_END)]).await);
}

async fn a_range_comparison_with_an_inverted_range_sees_no_key(c: Case) {
    c.put_all("a=1 b=1").await;
    let inverted = cmp::over(cmp::version(c.key("b"), Result::Equal, 0), c.key("a"));
    assert!(holds(&c, vec![inverted]).await);
}

async fn an_operand_of_another_target_reads_as_zero(c: Case) {
    c.put("a", "1").await;
    let mut compare = cmp::version(c.key("a"), Result::Greater, i64::MAX);
    compare.target = Target::Mod.into();
    assert!(holds(&c, vec![compare.clone()]).await);
    compare.result = Result::Equal.into();
    compare.key = c.key("missing");
    assert!(holds(&c, vec![compare]).await);
}

async fn a_value_operand_for_a_number_target_reads_as_zero(c: Case) {
    c.put("a", "1").await;
    let mut compare = cmp::value(c.key("a"), Result::Greater, "zzz");
    compare.target = Target::Create.into();
    assert!(holds(&c, vec![compare]).await);
}

async fn a_missing_operand_reads_as_zero(c: Case) {
    c.put("a", "1").await;
    let mut compare = cmp::version(c.key("a"), Result::Greater, 0);
    compare.target_union = None;
    assert!(holds(&c, vec![compare.clone()]).await);
    compare.result = Result::Equal.into();
    assert!(!holds(&c, vec![compare]).await);
}

async fn a_missing_value_operand_reads_as_empty(c: Case) {
    c.put_all("a= b=1").await;
    let mut compare = cmp::value(c.key("a"), Result::Equal, "");
    compare.target_union = None;
    assert!(holds(&c, vec![compare.clone()]).await);
    compare.key = c.key("b");
    assert!(!holds(&c, vec![compare]).await);
}

async fn create_and_mod_revision_differ_after_a_change(c: Case) {
    let created = c.put("a", "1").await;
    let modified = c.put("a", "2").await;
    let key = c.key("a");
    let both = |created, modified| {
        vec![
            cmp::created(&key, Result::Equal, created),
            cmp::modified(&key, Result::Equal, modified),
        ]
    };
    assert!(holds(&c, both(created, modified)).await);
    assert!(!holds(&c, both(modified, created)).await);
}

async fn a_transaction_that_fails_takes_the_other_branch(c: Case) {
    c.put("a", "1").await;
    let wrong = vec![cmp::value(c.key("a"), Result::Equal, "2")];
    let request = txn(
        wrong,
        vec![op::put(c.key("yes"), "1")],
        vec![op::put(c.key("no"), "1"), op::get(c.key("a"))],
    );
    let response = c.client.txn(request).await.unwrap();
    assert!(!response.succeeded);
    assert_eq!(response.responses.len(), 2);
    assert_eq!(pairs(&answer::range(&response, 1).kvs), "a=1");
    assert_eq!(c.stored().await, "a=1 no=1");
}
