//! The read side: ranges and transactions that only read.
//!
//! Each read is at one revision of a state that was published after its batch was written, so it is one
//! consistent snapshot (I3) without holding anything (I9).

use super::count::CountCache;
use super::error::MvccError;
use super::ops::{Op, OpResult, RangeOp, RangeResult, Txn, TxnResult};
use super::plan::{Plan, Step};
use super::select::select;
use super::state::State;
use super::view::View;
use crate::storage::Store;

/// Reads a range at the revision asked for, the latest of `state` by default. The count is exact.
///
/// # Errors
/// [`MvccError::Compacted`], [`MvccError::FutureRevision`], or a fatal one. A read at the latest revision
/// can meet `Compacted` too, when a compaction to a later revision is written while it runs: the caller
/// takes the state published since and reads again.
pub fn range(store: &Store, state: State, op: &RangeOp) -> Result<RangeResult, MvccError> {
    read(store, state, op, None)
}

/// As [`range`], with a cache that spares walking the rest of a range that the limit cut.
///
/// # Errors
/// As [`range`].
pub fn range_with_counts(
    store: &Store,
    state: State,
    op: &RangeOp,
    counts: &CountCache,
) -> Result<RangeResult, MvccError> {
    read(store, state, op, Some(counts))
}

/// Runs a transaction that [only reads](is_read_only). Its conditions, and its ranges without a revision,
/// are at the latest revision of `state`.
///
/// # Errors
/// As [`range`].
pub fn txn(store: &Store, state: State, txn: &Txn) -> Result<TxnResult, MvccError> {
    let plan = Plan::choose(&View::of(store), state.revision, txn)?;
    follow(store, state, &plan)
}

/// Whether every operation of both branches is a range. A nested transaction does not count as one,
/// whatever it holds: it goes through the log (etcd's rule).
pub fn is_read_only(txn: &Txn) -> bool {
    let ops = txn.success.iter().chain(&txn.failure);
    ops.into_iter().all(|op| matches!(op, Op::Range(_)))
}

fn follow(store: &Store, state: State, plan: &Plan<'_>) -> Result<TxnResult, MvccError> {
    let answer = |step: &Step<'_>| match step {
        Step::Range(op) => read(store, state, op, None).map(OpResult::Range),
        Step::Txn(plan) => follow(store, state, plan).map(OpResult::Txn),
        Step::Put(_) | Step::Delete(_) => Err(MvccError::Corrupt("a read writes")),
    };
    let results = plan.steps.iter().map(answer).collect::<Result<_, _>>()?;
    Ok(TxnResult {
        succeeded: plan.succeeded,
        results,
    })
}

fn read(
    store: &Store,
    state: State,
    op: &RangeOp,
    counts: Option<&CountCache>,
) -> Result<RangeResult, MvccError> {
    let at = state.check(op.revision)?.unwrap_or(state.revision);
    select(&View::of(store), op, at, counts)
}
