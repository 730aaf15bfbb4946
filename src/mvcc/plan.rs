//! Which operations a transaction runs.
//!
//! All conditions of the whole tree are decided first, against the state before the transaction, so no
//! write of it can sway a nested condition (etcd's rule). What is left is a plan without conditions.

use super::compare::all_hold;
use super::error::MvccError;
use super::ops::{DeleteOp, Op, PutOp, RangeOp, Txn};
use super::view::View;
use crate::base::ids::Revision;

/// The branch taken, with the branches taken inside it.
#[derive(Debug)]
pub(super) struct Plan<'t> {
    pub(super) succeeded: bool,
    pub(super) steps: Vec<Step<'t>>,
}

/// One operation that will run.
#[derive(Debug)]
pub(super) enum Step<'t> {
    Range(&'t RangeOp),
    Put(&'t PutOp),
    Delete(&'t DeleteOp),
    Txn(Plan<'t>),
}

impl<'t> Plan<'t> {
    /// Decides every condition at revision `at`.
    pub(super) fn choose(view: &View<'_>, at: Revision, txn: &'t Txn) -> Result<Self, MvccError> {
        let succeeded = all_hold(view, at, &txn.compares)?;
        let ops = if succeeded {
            &txn.success
        } else {
            &txn.failure
        };
        let step = |op: &'t Op| {
            Ok(match op {
                Op::Range(op) => Step::Range(op),
                Op::Put(op) => Step::Put(op),
                Op::Delete(op) => Step::Delete(op),
                Op::Txn(txn) => Step::Txn(Self::choose(view, at, txn)?),
            })
        };
        let steps = ops.iter().map(step).collect::<Result<_, MvccError>>()?;
        Ok(Self { succeeded, steps })
    }
}
