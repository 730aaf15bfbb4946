//! At most one leader in a term.

use std::collections::BTreeMap;

/// The leaders that were seen.
#[derive(Debug, Default)]
pub(in crate::raft::sim) struct ElectionSafety {
    leaders: BTreeMap<u64, u64>,
}

impl ElectionSafety {
    /// A member leads in this term.
    pub(in crate::raft::sim) fn leads(&mut self, member: u64, term: u64) -> Result<(), String> {
        let first = *self.leaders.entry(term).or_insert(member);
        if first == member {
            return Ok(());
        }
        Err(format!(
            "election safety: {first} and {member} both lead in term {term}"
        ))
    }

    /// How many terms had a leader.
    pub(in crate::raft::sim) fn count(&self) -> usize {
        self.leaders.len()
    }
}
