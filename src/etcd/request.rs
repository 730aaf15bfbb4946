//! From requests to operations: what the wire's zeros, negative numbers and unknown enum values mean.
//!
//! Nothing is copied: keys and values stay in the bytes that were received. Checks run in etcd's order,
//! so that a request with several faults gets the same error.

use bytes::Bytes;

use super::pb::etcdserverpb as pb;
use super::pb::etcdserverpb::compare::{
    CompareResult as PbResult, CompareTarget as PbTarget, TargetUnion,
};
use super::pb::etcdserverpb::range_request::{
    SortOrder as PbSortOrder, SortTarget as PbSortTarget,
};
use super::pb::etcdserverpb::request_op::Request as PbOp;
use super::status::Refusal;
use crate::base::ids::{LeaseId, Revision};
use crate::base::range::KeyRange;
use crate::engine::Consistency;
use crate::mvcc::ops::{
    Compare, CompareResult, CompareTarget, DeleteOp, Op, PutOp, RangeOp, RevisionFilter, Sort,
    SortOrder, SortTarget, Txn,
};
use crate::mvcc::validate::{self, Invalid};

type Checked<T> = Result<T, Refusal>;

/// A read by itself, where every revision up to zero means the latest.
pub(super) fn range(request: pb::RangeRequest) -> Checked<RangeOp> {
    let latest = request.revision <= 0;
    let mut op = range_op(request)?;
    if latest {
        op.revision = None;
    }
    Ok(op)
}

/// How fresh a read by itself must be.
pub(super) const fn consistency(serializable: bool) -> Consistency {
    if serializable {
        Consistency::Serializable
    } else {
        Consistency::Linearizable
    }
}

/// A write of one key.
pub(super) fn put(request: pb::PutRequest) -> Checked<PutOp> {
    let op = PutOp {
        key: request.key,
        value: request.value,
        lease: LeaseId(request.lease),
        prev_kv: request.prev_kv,
        ignore_value: request.ignore_value,
        ignore_lease: request.ignore_lease,
    };
    validate::put(&op)?;
    Ok(op)
}

/// A deletion.
pub(super) fn delete(request: pb::DeleteRangeRequest) -> Checked<DeleteOp> {
    let op = DeleteOp {
        range: KeyRange::from_wire(request.key, request.range_end),
        prev_kv: request.prev_kv,
    };
    validate::delete(&op)?;
    Ok(op)
}

/// A transaction, and how fresh it must be if it only reads.
pub(super) fn txn(request: pb::TxnRequest, max_ops: usize) -> Checked<(Txn, Consistency)> {
    let consistency = consistency(only_serializable_reads(&request));
    let txn = txn_op(request, max_ops)?;
    validate::txn(&txn, max_ops)?;
    Ok((txn, consistency))
}

/// etcd's rule: every operation of both branches is a serializable range. Without any operation it holds
/// as well, whatever is compared.
fn only_serializable_reads(request: &pb::TxnRequest) -> bool {
    let mut ops = request.success.iter().chain(&request.failure);
    ops.all(|op| matches!(&op.request, Some(PbOp::RequestRange(range)) if range.serializable))
}

/// A read as part of a transaction, where a negative revision is a revision below all others.
fn range_op(request: pb::RangeRequest) -> Checked<RangeOp> {
    let mut op = RangeOp {
        range: KeyRange::from_wire(request.key, request.range_end),
        limit: u64::try_from(request.limit)
            .ok()
            .filter(|&limit| limit != 0),
        revision: revision(request.revision),
        sort: None,
        keys_only: request.keys_only,
        count_only: request.count_only,
        filter: RevisionFilter {
            min_mod: revision(request.min_mod_revision),
            max_mod: revision(request.max_mod_revision),
            min_create: revision(request.min_create_revision),
            max_create: revision(request.max_create_revision),
        },
    };
    validate::range(&op)?;
    op.sort = sort(request.sort_order, request.sort_target)?;
    Ok(op)
}

const fn revision(number: i64) -> Option<Revision> {
    match number {
        0 => None,
        _ => Some(Revision(number)),
    }
}

fn sort(order: i32, target: i32) -> Checked<Option<Sort>> {
    let order = PbSortOrder::try_from(order).map_err(|_| Refusal::InvalidSort)?;
    let target = PbSortTarget::try_from(target).map_err(|_| Refusal::InvalidSort)?;
    let order = match order {
        PbSortOrder::Descend => SortOrder::Descending,
        PbSortOrder::Ascend | PbSortOrder::None if target == PbSortTarget::Key => return Ok(None),
        PbSortOrder::Ascend => SortOrder::Ascending,
        PbSortOrder::None => SortOrder::Unspecified,
    };
    let target = match target {
        PbSortTarget::Key => SortTarget::Key,
        PbSortTarget::Version => SortTarget::Version,
        PbSortTarget::Create => SortTarget::CreateRevision,
        PbSortTarget::Mod => SortTarget::ModRevision,
        PbSortTarget::Value => SortTarget::Value,
    };
    Ok(Some(Sort { target, order }))
}

/// `max_ops` is what the enclosing transaction leaves. It is checked before anything is converted, and it
/// bounds the depth, since a transaction that holds another one has used up at least one operation.
fn txn_op(request: pb::TxnRequest, max_ops: usize) -> Checked<Txn> {
    let widest = [&request.success, &request.failure]
        .map(Vec::len)
        .into_iter()
        .fold(request.compare.len(), usize::max);
    let left = max_ops.checked_sub(widest).ok_or(Invalid::TooManyOps)?;
    if request.compare.iter().any(|compare| compare.key.is_empty()) {
        return Err(Invalid::EmptyKey.into());
    }
    Ok(Txn {
        compares: collect(request.compare, compare)?,
        success: collect(request.success, |op| branch_op(op, left))?,
        failure: collect(request.failure, |op| branch_op(op, left))?,
    })
}

fn collect<A, B>(items: Vec<A>, convert: impl FnMut(A) -> Checked<B>) -> Checked<Vec<B>> {
    items.into_iter().map(convert).collect()
}

fn branch_op(op: pb::RequestOp, max_ops: usize) -> Checked<Op> {
    Ok(match op.request.ok_or(Refusal::NoOperation)? {
        PbOp::RequestRange(request) => Op::Range(range_op(request)?),
        PbOp::RequestPut(request) => Op::Put(put(request)?),
        PbOp::RequestDeleteRange(request) => Op::Delete(delete(request)?),
        PbOp::RequestTxn(request) => Op::Txn(Box::new(txn_op(request, max_ops)?)),
    })
}

fn compare(compare: pb::Compare) -> Checked<Compare> {
    let result = match PbResult::try_from(compare.result) {
        Ok(PbResult::Equal) => CompareResult::Equal,
        Ok(PbResult::Greater) => CompareResult::Greater,
        Ok(PbResult::Less) => CompareResult::Less,
        Ok(PbResult::NotEqual) => CompareResult::NotEqual,
        Err(_) => return Err(Refusal::InvalidCompare),
    };
    let target = PbTarget::try_from(compare.target).map_err(|_| Refusal::InvalidCompare)?;
    Ok(Compare {
        range: KeyRange::from_wire(compare.key, compare.range_end),
        result,
        target: operand(target, compare.target_union),
    })
}

/// The operand that belongs to the target. One given for another target is not looked at: the operand is
/// then zero or empty, as it is when none is given.
fn operand(target: PbTarget, given: Option<TargetUnion>) -> CompareTarget {
    match (target, given) {
        (PbTarget::Version, Some(TargetUnion::Version(n))) => CompareTarget::Version(n),
        (PbTarget::Create, Some(TargetUnion::CreateRevision(n))) => {
            CompareTarget::CreateRevision(n)
        }
        (PbTarget::Mod, Some(TargetUnion::ModRevision(n))) => CompareTarget::ModRevision(n),
        (PbTarget::Value, Some(TargetUnion::Value(value))) => CompareTarget::Value(value),
        (PbTarget::Lease, Some(TargetUnion::Lease(n))) => CompareTarget::Lease(n),
        (PbTarget::Version, _) => CompareTarget::Version(0),
        (PbTarget::Create, _) => CompareTarget::CreateRevision(0),
        (PbTarget::Mod, _) => CompareTarget::ModRevision(0),
        (PbTarget::Value, _) => CompareTarget::Value(Bytes::new()),
        (PbTarget::Lease, _) => CompareTarget::Lease(0),
    }
}

#[cfg(test)]
#[path = "request_test.rs"]
mod tests;
