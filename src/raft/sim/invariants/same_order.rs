//! Every member applies the same entries in the same order (I5, I7).

use std::collections::BTreeMap;

use crate::raft::types::Committed;

/// What was applied at each index.
#[derive(Debug, Default)]
pub(in crate::raft::sim) struct SameOrder {
    entries: BTreeMap<u64, Committed>,
}

impl SameOrder {
    /// A member hands an entry to its state machine.
    pub(in crate::raft::sim) fn hands_over(
        &mut self,
        member: u64,
        entry: &Committed,
    ) -> Result<(), String> {
        let first = self
            .entries
            .entry(entry.index)
            .or_insert_with(|| entry.clone());
        if first == entry {
            return Ok(());
        }
        Err(format!(
            "same order: member {member} applies {entry:?} where another applied {first:?}"
        ))
    }
}
