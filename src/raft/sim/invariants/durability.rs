//! A write that was acknowledged is never lost (I1).

use std::collections::BTreeMap;

use crate::raft::sim::machine::State;

/// The writes that were acknowledged.
#[derive(Debug, Default)]
pub(in crate::raft::sim) struct Durability {
    acknowledged: BTreeMap<u64, u64>,
}

impl Durability {
    /// A client was told that its command took effect at this index.
    pub(in crate::raft::sim) fn acknowledged(&mut self, command: u64, index: u64) {
        self.acknowledged.insert(command, index);
    }

    /// How many writes were acknowledged.
    pub(in crate::raft::sim) fn count(&self) -> usize {
        self.acknowledged.len()
    }

    /// The newest command that was acknowledged.
    pub(in crate::raft::sim) fn newest(&self) -> u64 {
        self.acknowledged.keys().next_back().copied().unwrap_or(0)
    }

    /// Every write acknowledged at or below what this state has applied is in it.
    pub(in crate::raft::sim) fn check(&self, member: u64, state: &State) -> Result<(), String> {
        let known: std::collections::BTreeSet<u64> = state.commands.iter().copied().collect();
        for (command, &index) in &self.acknowledged {
            if index <= state.applied.index && !known.contains(command) {
                return Err(format!(
                    "durability: member {member} lost command {command}, acknowledged at {index}"
                ));
            }
        }
        Ok(())
    }
}
