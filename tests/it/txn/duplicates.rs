//! Writes of one transaction that may not touch the same key.

use holdfast::etcd::pb::etcdserverpb::{RequestOp, TxnRequest};
use tonic::Code;

use crate::harness::*;

#[tokio::test]
async fn duplicates() {
    Suite::new("duplicates", ROWS.iter().map(row).collect())
        .run(shared().await)
        .await;
}

/// Operations over keys that `k` names, and whether they may stand together.
type Row = (&'static str, fn(&Keys) -> TxnRequest, bool);

/// Names keys of a case.
struct Keys(String);

impl Keys {
    fn put(&self, name: &str) -> RequestOp {
        op::put(self.key(name), "1")
    }

    fn get(&self, name: &str) -> RequestOp {
        op::get(self.key(name))
    }

    fn delete(&self, name: &str) -> RequestOp {
        op::delete(self.key(name))
    }

    /// Deletes from `from` up to `to`.
    fn delete_span(&self, from: &str, to: &str) -> RequestOp {
        op::delete_with(delete_span(self.key(from), self.key(to)))
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.0)
    }
}

/// A nested transaction with one branch.
fn nest(ops: Vec<RequestOp>) -> RequestOp {
    op::txn(always(ops))
}

/// A nested transaction with two branches.
fn fork(success: Vec<RequestOp>, failure: Vec<RequestOp>) -> RequestOp {
    op::txn(txn(vec![], success, failure))
}

const ROWS: [Row; 30] = [
    ("two_puts", |k| always(vec![k.put("a"), k.put("a")]), false),
    (
        "two_puts_in_failure",
        |k| txn(vec![], vec![], vec![k.put("a"), k.put("a")]),
        false,
    ),
    (
        "puts_of_different_keys",
        |k| always(vec![k.put("a"), k.put("b")]),
        true,
    ),
    (
        "a_put_in_each_branch",
        |k| txn(vec![], vec![k.put("a")], vec![k.put("a")]),
        true,
    ),
    (
        "put_then_delete",
        |k| always(vec![k.put("a"), k.delete("a")]),
        false,
    ),
    (
        "delete_then_put",
        |k| always(vec![k.delete("a"), k.put("a")]),
        false,
    ),
    (
        "put_and_covering_delete",
        |k| always(vec![k.put("b"), k.delete_span("a", "c")]),
        false,
    ),
    (
        "covering_delete_and_put",
        |k| always(vec![k.delete_span("a", "c"), k.put("b")]),
        false,
    ),
    (
        "put_at_start_of_delete",
        |k| always(vec![k.put("a"), k.delete_span("a", "c")]),
        false,
    ),
    (
        "put_at_end_of_delete",
        |k| always(vec![k.put("c"), k.delete_span("a", "c")]),
        true,
    ),
    (
        "put_beside_delete",
        |k| always(vec![k.put("b"), k.delete("a")]),
        true,
    ),
    (
        "two_deletes",
        |k| always(vec![k.delete("a"), k.delete("a")]),
        true,
    ),
    (
        "overlapping_deletes",
        |k| always(vec![k.delete_span("a", "c"), k.delete_span("b", "d")]),
        true,
    ),
    (
        "put_and_get",
        |k| always(vec![k.put("a"), k.get("a"), k.get("a")]),
        true,
    ),
    (
        "put_and_nested_put",
        |k| always(vec![k.put("a"), nest(vec![k.put("a")])]),
        false,
    ),
    (
        "nested_put_and_put",
        |k| always(vec![nest(vec![k.put("a")]), k.put("a")]),
        false,
    ),
    (
        "put_and_nested_failure_put",
        |k| always(vec![k.put("a"), fork(vec![], vec![k.put("a")])]),
        false,
    ),
    (
        "nested_put_and_covering_delete",
        |k| always(vec![nest(vec![k.put("b")]), k.delete_span("a", "c")]),
        false,
    ),
    (
        "covering_delete_and_nested_put",
        |k| always(vec![k.delete_span("a", "c"), nest(vec![k.put("b")])]),
        false,
    ),
    (
        "puts_in_two_siblings",
        |k| always(vec![nest(vec![k.put("a")]), nest(vec![k.put("a")])]),
        false,
    ),
    (
        "puts_in_branches_of_two_siblings",
        |k| {
            always(vec![
                fork(vec![k.put("a")], vec![]),
                fork(vec![], vec![k.put("a")]),
            ])
        },
        false,
    ),
    (
        "puts_in_both_branches_of_one_nested",
        |k| always(vec![fork(vec![k.put("a")], vec![k.put("a")])]),
        true,
    ),
    (
        "different_puts_in_two_siblings",
        |k| always(vec![nest(vec![k.put("a")]), nest(vec![k.put("b")])]),
        true,
    ),
    (
        "nested_delete_then_nested_put",
        |k| always(vec![nest(vec![k.delete("a")]), nest(vec![k.put("a")])]),
        false,
    ),
    (
        "deletes_in_two_siblings",
        |k| always(vec![nest(vec![k.delete("a")]), nest(vec![k.delete("a")])]),
        true,
    ),
    (
        "two_puts_inside_one_nested",
        |k| always(vec![nest(vec![k.put("a"), k.put("a")])]),
        false,
    ),
    (
        "put_two_levels_deep",
        |k| always(vec![k.put("a"), nest(vec![nest(vec![k.put("a")])])]),
        false,
    ),
    (
        "different_puts_on_three_levels",
        |k| {
            always(vec![
                k.put("a"),
                nest(vec![k.put("b"), nest(vec![k.put("c")])]),
            ])
        },
        true,
    ),
    (
        "put_in_one_branch_nested_put_in_the_other",
        |k| txn(vec![], vec![k.put("a")], vec![nest(vec![k.put("a")])]),
        true,
    ),
    (
        "put_of_a_prefix_beside_a_longer_delete",
        |k| always(vec![k.put("a"), k.delete_span("aa", "ab")]),
        true,
    ),
];

fn row(&(name, request, accepted): &Row) -> NamedCase {
    NamedCase::new(name, move |c: Case| async move {
        let prefix = text(&c.prefix()).to_owned();
        let result = c.client.txn(request(&Keys(prefix))).await;
        if accepted {
            result.unwrap();
        } else {
            let text = "etcdserver: duplicate key given in txn request";
            refused(result, Code::InvalidArgument, text);
            assert_eq!(c.stored().await, "");
        }
    })
}
