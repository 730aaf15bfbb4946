//! Random commands over few keys, so that they meet each other often.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::base::ids::{LeaseId, Revision};
use crate::base::range::{KeyRange, RangeEnd};
use crate::mvcc::ops::{
    Compare, CompareResult, CompareTarget, DeleteOp, Op, PutOp, RangeOp, RevisionFilter, Sort,
    SortOrder, SortTarget, Txn,
};

/// A step of a test: a command, or something that must make no difference.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Put(PutOp),
    Delete(DeleteOp),
    Txn(Txn),
    Compact(i64),
    Grant(LeaseId, i64),
    Revoke(LeaseId),
    /// Ends the run of commands and writes its batch.
    Write,
    Flush,
    CollectGarbage,
    Reopen,
}

const KEYS: [&[u8]; 10] = [
    b"\0",
    b"a",
    b"a\0",
    b"a/",
    b"a/1",
    b"a/2",
    b"b",
    b"b/1",
    b"\xff",
    b"\xff\xff",
];

const VALUES: [&[u8]; 4] = [b"", b"x", b"y", b"a longer value"];

pub(super) fn key() -> impl Strategy<Value = Bytes> {
    prop::sample::select(&KEYS[..]).prop_map(Bytes::from_static)
}

fn value() -> impl Strategy<Value = Bytes> {
    prop::sample::select(&VALUES[..]).prop_map(Bytes::from_static)
}

fn lease() -> impl Strategy<Value = LeaseId> {
    prop::sample::select(&[1, 2, -3_i64][..]).prop_map(LeaseId)
}

/// Small numbers: most fall on revisions that a short test reaches.
fn number() -> impl Strategy<Value = i64> {
    -2..30_i64
}

pub(super) fn range() -> impl Strategy<Value = KeyRange> {
    let end = prop_oneof![
        2 => Just(RangeEnd::Point),
        1 => Just(RangeEnd::Unbounded),
        2 => key().prop_map(RangeEnd::Before),
    ];
    (key(), end).prop_map(|(start, end)| KeyRange { start, end })
}

fn put() -> impl Strategy<Value = PutOp> {
    let lease = prop_oneof![3 => Just(LeaseId::NONE), 1 => lease()];
    let rarely = || prop::bool::weighted(0.15);
    (key(), value(), lease, any::<bool>(), rarely(), rarely()).prop_map(
        |(key, value, lease, prev_kv, ignore_value, ignore_lease)| PutOp {
            key,
            value: if ignore_value { Bytes::new() } else { value },
            lease: if ignore_lease { LeaseId::NONE } else { lease },
            prev_kv,
            ignore_value,
            ignore_lease,
        },
    )
}

fn delete() -> impl Strategy<Value = DeleteOp> {
    (range(), any::<bool>()).prop_map(|(range, prev_kv)| DeleteOp { range, prev_kv })
}

fn sort() -> impl Strategy<Value = Sort> {
    let targets = [
        SortTarget::Key,
        SortTarget::Version,
        SortTarget::CreateRevision,
        SortTarget::ModRevision,
        SortTarget::Value,
    ];
    let orders = [
        SortOrder::Ascending,
        SortOrder::Descending,
        SortOrder::Unspecified,
    ];
    let (targets, orders) = (targets.to_vec(), orders.to_vec());
    (prop::sample::select(targets), prop::sample::select(orders))
        .prop_map(|(target, order)| Sort { target, order })
}

fn filter() -> impl Strategy<Value = RevisionFilter> {
    let bound = || prop::option::weighted(0.3, number().prop_map(Revision));
    (bound(), bound(), bound(), bound()).prop_map(|(min_mod, max_mod, min_create, max_create)| {
        RevisionFilter {
            min_mod,
            max_mod,
            min_create,
            max_create,
        }
    })
}

pub(super) fn range_op() -> impl Strategy<Value = RangeOp> {
    let plain = prop_oneof![2 => Just(RevisionFilter::default()), 1 => filter()];
    (
        range(),
        prop::option::of(1..8_u64),
        prop::option::weighted(0.4, number().prop_map(Revision)),
        prop::option::of(sort()),
        any::<bool>(),
        prop::bool::weighted(0.15),
        plain,
    )
        .prop_map(
            |(range, limit, revision, sort, keys_only, count_only, filter)| RangeOp {
                range,
                limit,
                revision,
                sort,
                keys_only,
                count_only,
                filter,
            },
        )
}

fn compare() -> impl Strategy<Value = Compare> {
    let results = [
        CompareResult::Equal,
        CompareResult::Greater,
        CompareResult::Less,
        CompareResult::NotEqual,
    ];
    let target = prop_oneof![
        (0..4_i64).prop_map(CompareTarget::Version),
        number().prop_map(CompareTarget::CreateRevision),
        number().prop_map(CompareTarget::ModRevision),
        value().prop_map(CompareTarget::Value),
        (0..3_i64).prop_map(CompareTarget::Lease),
    ];
    (range(), prop::sample::select(results.to_vec()), target).prop_map(|(range, result, target)| {
        Compare {
            range,
            result,
            target,
        }
    })
}

pub(super) fn txn() -> impl Strategy<Value = Txn> {
    let leaf = prop_oneof![
        range_op().prop_map(Op::Range),
        put().prop_map(Op::Put),
        delete().prop_map(Op::Delete),
    ];
    let op = leaf.prop_recursive(2, 8, 3, |op| {
        (vec(compare(), 0..2), vec(op.clone(), 0..3), vec(op, 0..3)).prop_map(
            |(compares, success, failure)| {
                Op::Txn(Box::new(Txn {
                    compares,
                    success,
                    failure,
                }))
            },
        )
    });
    (vec(compare(), 0..3), vec(op.clone(), 0..4), vec(op, 0..4)).prop_map(
        |(compares, success, failure)| Txn {
            compares,
            success,
            failure,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => put().prop_map(Step::Put),
        4 => delete().prop_map(Step::Delete),
        8 => txn().prop_map(Step::Txn),
        1 => number().prop_map(Step::Compact),
        2 => (lease(), 2..100_i64).prop_map(|(id, ttl)| Step::Grant(id, ttl)),
        1 => lease().prop_map(Step::Revoke),
        6 => Just(Step::Write),
        1 => Just(Step::Flush),
        1 => Just(Step::CollectGarbage),
        1 => Just(Step::Reopen),
    ]
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..60)
}
