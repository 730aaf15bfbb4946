//! The conditions of a transaction.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use super::error::MvccError;
use super::ops::{Compare, CompareResult, CompareTarget};
use super::view::View;
use crate::base::ids::Revision;
use crate::base::kv::{KvView, decode_body};

/// Whether every condition holds at revision `at`. None at all hold.
pub(super) fn all_hold(
    view: &View<'_>,
    at: Revision,
    compares: &[Compare],
) -> Result<bool, MvccError> {
    for compare in compares {
        if !holds(view, at, compare)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A condition holds if every key of its range satisfies it. If there is no key, the numbers of the
/// missing key are 0, and a condition on its value fails whatever the operator.
fn holds(view: &View<'_>, at: Revision, compare: &Compare) -> Result<bool, MvccError> {
    let mut found = false;
    let mut all = true;
    view.scan(&compare.range, at, |row| {
        found = true;
        all = satisfies(&decode_body(&row.body)?, compare);
        Ok(if all {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        })
    })?;
    if found {
        return Ok(all);
    }
    let on_value = matches!(compare.target, CompareTarget::Value(_));
    Ok(!on_value && satisfies(&KvView::default(), compare))
}

/// Whether one key satisfies a condition.
fn satisfies(stored: &KvView<'_>, compare: &Compare) -> bool {
    let meta = &stored.meta;
    let order = match &compare.target {
        CompareTarget::Version(given) => meta.version.cmp(given),
        CompareTarget::CreateRevision(given) => meta.create_revision.0.cmp(given),
        CompareTarget::ModRevision(given) => meta.mod_revision.0.cmp(given),
        CompareTarget::Value(given) => stored.value.cmp(given),
        CompareTarget::Lease(given) => meta.lease.0.cmp(given),
    };
    match compare.result {
        CompareResult::Equal => order == Ordering::Equal,
        CompareResult::Greater => order == Ordering::Greater,
        CompareResult::Less => order == Ordering::Less,
        CompareResult::NotEqual => order != Ordering::Equal,
    }
}
