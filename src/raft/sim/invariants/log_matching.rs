//! Logs that agree on an entry agree on all entries before it.

use crate::raft::log::Log;

/// Compares the logs of two members where both have them.
pub(in crate::raft::sim) fn check_log_matching(a: &Log, b: &Log) -> Result<(), String> {
    let low = a.base().index.max(b.base().index);
    let high = a.last().index.min(b.last().index);
    let mut agreed = false;
    for index in (low + 1..=high).rev() {
        if a.term(index) == b.term(index) {
            agreed = true;
        } else if agreed {
            return Err(format!(
                "log matching: two logs part at {index} and meet again"
            ));
        }
    }
    let read = |log: &Log| log.entries(low + 1, high + 1, u64::MAX);
    if low >= high {
        return Ok(());
    }
    let (ours, theirs) = match (read(a), read(b)) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (Err(error), _) | (_, Err(error)) => return Err(format!("log matching: {error}")),
    };
    match ours
        .iter()
        .zip(&theirs)
        .find(|(a, b)| a.term == b.term && a != b)
    {
        Some((entry, _)) => Err(format!(
            "log matching: entry {} has two contents",
            entry.index
        )),
        None => Ok(()),
    }
}
