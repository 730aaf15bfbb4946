//! Requests of clients, as libFuzzer makes them up field by field, on a store and on a plain model of it.
#![no_main]

use std::cell::RefCell;

use arbitrary::{Arbitrary, Result, Unstructured};
use holdfast::base::ids::LeaseId;
use holdfast::etcd::pb::etcdserverpb as pb;
use holdfast::etcd::pb::etcdserverpb::compare::TargetUnion;
use holdfast::etcd::pb::etcdserverpb::request_op::Request;
use holdfast::fuzzing::{Step, Twins, operation};
use holdfast_fuzz::SCRATCH;

thread_local! {
    static TWINS: RefCell<Twins> = RefCell::new(Twins::new(&SCRATCH.join("store")));
}

libfuzzer_sys::fuzz_target!(|script: Script| {
    TWINS.with_borrow_mut(|twins| twins.play(&script.0));
});

/// Steps that passed the checks of the API.
#[derive(Debug)]
struct Script(Vec<Step>);

/// The model replays its whole history for every question.
const MAX_STEPS: usize = 24;

impl<'a> Arbitrary<'a> for Script {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let mut steps = Vec::new();
        while !u.is_empty() && steps.len() < MAX_STEPS {
            steps.extend(step(u)?);
        }
        Ok(Self(steps))
    }
}

fn step(u: &mut Unstructured<'_>) -> Result<Option<Step>> {
    Ok(Some(match u.int_in_range(0..=15)? {
        0 => Step::Compact(revision(u)?),
        1 => Step::Grant(lease(u)?, 60),
        2 => Step::Revoke(lease(u)?),
        3 => Step::Write,
        _ => {
            let request = Some(request(u, 3)?);
            return Ok(operation(pb::RequestOp { request }).map(Step::Op));
        }
    }))
}

fn request(u: &mut Unstructured<'_>, depth: usize) -> Result<Request> {
    Ok(match u.int_in_range(0..=7)? {
        0..=2 => Request::RequestPut(put(u)?),
        3 | 4 => Request::RequestRange(range(u)?),
        5 => Request::RequestDeleteRange(pb::DeleteRangeRequest {
            key: key(u)?,
            range_end: range_end(u)?,
            prev_kv: u.arbitrary()?,
        }),
        _ if depth == 0 => Request::RequestPut(put(u)?),
        _ => Request::RequestTxn(pb::TxnRequest {
            compare: some(u, compare)?,
            success: some(u, |u| branch(u, depth - 1))?,
            failure: some(u, |u| branch(u, depth - 1))?,
        }),
    })
}

fn branch(u: &mut Unstructured<'_>, depth: usize) -> Result<pb::RequestOp> {
    let request = Some(request(u, depth)?);
    Ok(pb::RequestOp { request })
}

fn some<T>(
    u: &mut Unstructured<'_>,
    mut one: impl FnMut(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    (0..u.int_in_range(0..=3)?).map(|_| one(u)).collect()
}

fn put(u: &mut Unstructured<'_>) -> Result<pb::PutRequest> {
    Ok(pb::PutRequest {
        key: key(u)?,
        value: value(u)?,
        lease: if u.ratio(1, 4)? { lease(u)?.0 } else { 0 },
        prev_kv: u.arbitrary()?,
        ignore_value: u.ratio(1, 8)?,
        ignore_lease: u.ratio(1, 8)?,
    })
}

fn range(u: &mut Unstructured<'_>) -> Result<pb::RangeRequest> {
    Ok(pb::RangeRequest {
        key: key(u)?,
        range_end: range_end(u)?,
        limit: u.int_in_range(-1..=6)?,
        revision: revision(u)?,
        sort_order: u.int_in_range(0..=3)?,
        sort_target: u.int_in_range(0..=5)?,
        serializable: u.arbitrary()?,
        keys_only: u.arbitrary()?,
        count_only: u.ratio(1, 8)?,
        min_mod_revision: bound(u)?,
        max_mod_revision: bound(u)?,
        min_create_revision: bound(u)?,
        max_create_revision: bound(u)?,
    })
}

fn compare(u: &mut Unstructured<'_>) -> Result<pb::Compare> {
    let number = revision(u)?;
    let (target, operand) = match u.int_in_range(0..=4)? {
        0 => (0, TargetUnion::Version(number)),
        1 => (1, TargetUnion::CreateRevision(number)),
        2 => (2, TargetUnion::ModRevision(number)),
        3 => (3, TargetUnion::Value(value(u)?)),
        _ => (4, TargetUnion::Lease(number)),
    };
    Ok(pb::Compare {
        result: u.int_in_range(0..=3)?,
        target,
        key: key(u)?,
        range_end: range_end(u)?,
        target_union: u.ratio(7, 8)?.then_some(operand),
    })
}

/// Few keys, so that steps meet each other.
fn key(u: &mut Unstructured<'_>) -> Result<bytes::Bytes> {
    let keys: [&[u8]; 8] = [
        b"a",
        b"a\0",
        b"a/1",
        b"b",
        b"b/1",
        b"\xff",
        b"\xff\xff",
        b"",
    ];
    Ok(bytes::Bytes::from_static(u.choose(&keys)?))
}

fn range_end(u: &mut Unstructured<'_>) -> Result<bytes::Bytes> {
    match u.int_in_range(0..=3)? {
        0 | 1 => Ok(bytes::Bytes::new()),
        2 => Ok(bytes::Bytes::from_static(b"\0")),
        _ => key(u),
    }
}

fn value(u: &mut Unstructured<'_>) -> Result<bytes::Bytes> {
    let values: [&[u8]; 3] = [b"", b"x", b"a longer value"];
    Ok(bytes::Bytes::from_static(u.choose(&values)?))
}

fn lease(u: &mut Unstructured<'_>) -> Result<LeaseId> {
    u.int_in_range(-1..=2).map(LeaseId)
}

fn revision(u: &mut Unstructured<'_>) -> Result<i64> {
    u.int_in_range(-2..=20)
}

fn bound(u: &mut Unstructured<'_>) -> Result<i64> {
    Ok(if u.ratio(1, 6)? { revision(u)? } else { 0 })
}
