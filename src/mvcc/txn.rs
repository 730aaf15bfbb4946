//! Transactions that go through the log.

use super::error::MvccError;
use super::ops::{OpResult, Txn, TxnResult};
use super::plan::{Plan, Step};
use super::select::select;
use super::session::Session;
use super::state::State;
use super::writer::Writer;

impl Session<'_> {
    /// Runs a transaction: decides its conditions, checks the operations of the path taken, then runs
    /// them in order. Whatever is refused is refused before anything changes.
    ///
    /// # Errors
    /// What its operations can fail with; [`MvccError::Compacted`] and [`MvccError::FutureRevision`] for
    /// reads at a revision, judged against the state before the transaction.
    pub fn txn(&mut self, txn: &Txn) -> Result<TxnResult, MvccError> {
        let before = self.state;
        self.write(|writer| {
            let plan = Plan::choose(&writer.view(), before.revision, txn)?;
            check_puts(writer, &plan)?;
            check_ranges(before, &plan)?;
            run(writer, before, &plan)
        })
    }
}

/// Puts are checked before ranges, wherever they stand, so that a transaction with several faults is
/// refused for the same one as by etcd.
fn check_puts(writer: &Writer<'_>, plan: &Plan<'_>) -> Result<(), MvccError> {
    for step in &plan.steps {
        match step {
            Step::Put(op) => writer.check_put_in_txn(op)?,
            Step::Txn(plan) => check_puts(writer, plan)?,
            Step::Range(_) | Step::Delete(_) => {}
        }
    }
    Ok(())
}

fn check_ranges(before: State, plan: &Plan<'_>) -> Result<(), MvccError> {
    for step in &plan.steps {
        match step {
            Step::Range(op) => {
                before.check(op.revision)?;
            }
            Step::Txn(plan) => check_ranges(before, plan)?,
            Step::Put(_) | Step::Delete(_) => {}
        }
    }
    Ok(())
}

fn run(writer: &mut Writer<'_>, before: State, plan: &Plan<'_>) -> Result<TxnResult, MvccError> {
    let mut results = Vec::with_capacity(plan.steps.len());
    for step in &plan.steps {
        results.push(match step {
            Step::Range(op) => {
                let at = before.check(op.revision)?.unwrap_or(writer.revision());
                OpResult::Range(select(&writer.view(), op, at, None)?)
            }
            Step::Put(op) => OpResult::Put(writer.put(op)?),
            Step::Delete(op) => OpResult::Delete(writer.delete(op)?),
            Step::Txn(plan) => OpResult::Txn(run(writer, before, plan)?),
        });
    }
    Ok(TxnResult {
        succeeded: plan.succeeded,
        results,
    })
}
