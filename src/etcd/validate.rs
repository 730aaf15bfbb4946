//! Structural checks of requests, in etcd's order: where the rules of `mvcc` are asked.

use super::status::Refusal;
use crate::mvcc::ops::{DeleteOp, PutOp, RangeOp, Txn};

/// Checks a read.
pub(super) fn range(op: &RangeOp) -> Result<(), Refusal> {
    key(&op.range.start)
}

/// Checks a write of one key.
pub(super) fn put(op: &PutOp) -> Result<(), Refusal> {
    key(&op.key)?;
    if op.ignore_value && !op.value.is_empty() {
        return Err(Refusal::ValueProvided);
    }
    if op.ignore_lease && !op.lease.is_none() {
        return Err(Refusal::LeaseProvided);
    }
    Ok(())
}

/// Checks a deletion.
pub(super) fn delete(op: &DeleteOp) -> Result<(), Refusal> {
    key(&op.range.start)
}

/// Checks a transaction as a whole; its parts have been checked while it was decoded.
pub(super) fn txn(_txn: &Txn) -> Result<(), Refusal> {
    Ok(())
}

/// Checks that a key is given.
pub(super) fn key(key: &[u8]) -> Result<(), Refusal> {
    if key.is_empty() {
        return Err(Refusal::EmptyKey);
    }
    Ok(())
}
