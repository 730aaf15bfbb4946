//! Checks of a request that need no state, made before it is proposed.
//!
//! They are etcd's, in etcd's order, with one rule made stricter: etcd lets two odd transactions through
//! that change a key twice in one revision (a put with a from-key deletion that covers it, and a nested
//! put with a deletion in a later sibling). Here no transaction does: a key changes at most once in a
//! revision.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::ops::{DeleteOp, Op, PutOp, RangeOp, Txn};
use crate::base::range::KeyRange;

/// What is wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A key is empty.
    #[error("key is not provided")]
    EmptyKey,
    /// `ignore_value` comes with a value.
    #[error("value is provided")]
    ValueProvided,
    /// `ignore_lease` comes with a lease.
    #[error("lease is provided")]
    LeaseProvided,
    /// A transaction has more operations than allowed.
    #[error("too many operations in txn request")]
    TooManyOps,
    /// A transaction would change a key twice.
    #[error("duplicate key given in txn request")]
    DuplicateKey,
}

/// Checks a read.
///
/// # Errors
/// [`Invalid::EmptyKey`].
pub fn range(op: &RangeOp) -> Result<(), Invalid> {
    non_empty(&op.range.start)
}

/// Checks a write.
///
/// # Errors
/// [`Invalid::EmptyKey`], [`Invalid::ValueProvided`], [`Invalid::LeaseProvided`].
pub fn put(op: &PutOp) -> Result<(), Invalid> {
    non_empty(&op.key)?;
    if op.ignore_value && !op.value.is_empty() {
        return Err(Invalid::ValueProvided);
    }
    if op.ignore_lease && !op.lease.is_none() {
        return Err(Invalid::LeaseProvided);
    }
    Ok(())
}

/// Checks a deletion.
///
/// # Errors
/// [`Invalid::EmptyKey`].
pub fn delete(op: &DeleteOp) -> Result<(), Invalid> {
    non_empty(&op.range.start)
}

/// Checks a transaction, both branches. `max_ops` bounds the longest of its three lists; a nested
/// transaction may use what its parent's longest list leaves of it.
///
/// # Errors
/// Any [`Invalid`].
pub fn txn(txn: &Txn, max_ops: usize) -> Result<(), Invalid> {
    shape(txn, max_ops)?;
    Touched::of(&txn.success)?;
    Touched::of(&txn.failure)?;
    Ok(())
}

fn shape(txn: &Txn, max_ops: usize) -> Result<(), Invalid> {
    let longest = txn
        .compares
        .len()
        .max(txn.success.len())
        .max(txn.failure.len());
    let left = max_ops.checked_sub(longest).ok_or(Invalid::TooManyOps)?;
    for compare in &txn.compares {
        non_empty(&compare.range.start)?;
    }
    for op in txn.success.iter().chain(&txn.failure) {
        match op {
            Op::Range(op) => range(op)?,
            Op::Put(op) => put(op)?,
            Op::Delete(op) => delete(op)?,
            Op::Txn(nested) => shape(nested, left)?,
        }
    }
    Ok(())
}

fn non_empty(key: &Bytes) -> Result<(), Invalid> {
    if key.is_empty() {
        Err(Invalid::EmptyKey)
    } else {
        Ok(())
    }
}

/// What a branch may change.
#[derive(Default)]
struct Touched<'t> {
    puts: BTreeSet<&'t Bytes>,
    deletions: Vec<&'t KeyRange>,
}

impl<'t> Touched<'t> {
    /// What the operations of one branch may change, if none of it collides.
    fn of(ops: &'t [Op]) -> Result<Self, Invalid> {
        let mut touched = Self::default();
        for op in ops {
            match op {
                Op::Range(_) => {}
                Op::Put(op) => touched.join(Self::put(&op.key))?,
                Op::Delete(op) => touched.join(Self::deletion(&op.range))?,
                Op::Txn(txn) => touched.join(Self::of_either(txn)?)?,
            }
        }
        Ok(touched)
    }

    /// What a nested transaction may change. Only one of its branches runs, so between the two nothing
    /// collides.
    fn of_either(txn: &'t Txn) -> Result<Self, Invalid> {
        let mut either = Self::of(&txn.success)?;
        let other = Self::of(&txn.failure)?;
        either.puts.extend(other.puts);
        either.deletions.extend(other.deletions);
        Ok(either)
    }

    fn put(key: &'t Bytes) -> Self {
        Self {
            puts: BTreeSet::from([key]),
            deletions: Vec::new(),
        }
    }

    fn deletion(range: &'t KeyRange) -> Self {
        Self {
            puts: BTreeSet::new(),
            deletions: vec![range],
        }
    }

    /// Adds what a sibling may change. Overlapping deletions are fine: the second finds nothing.
    fn join(&mut self, other: Self) -> Result<(), Invalid> {
        let twice = other.puts.iter().any(|key| self.puts.contains(key));
        if twice || self.deletes_any(&other.puts) || other.deletes_any(&self.puts) {
            return Err(Invalid::DuplicateKey);
        }
        self.puts.extend(other.puts);
        self.deletions.extend(other.deletions);
        Ok(())
    }

    fn deletes_any(&self, puts: &BTreeSet<&Bytes>) -> bool {
        let covers = |range: &&KeyRange| {
            let next = puts.range::<Bytes, _>(&range.start..).next();
            next.is_some_and(|key| range.contains(key))
        };
        self.deletions.iter().any(covers)
    }
}
