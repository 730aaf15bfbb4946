//! A leader has every entry that was committed in an earlier term.

use std::collections::BTreeMap;

use crate::raft::log::Log;

/// The entries known to be committed.
#[derive(Debug, Default)]
pub(in crate::raft::sim) struct LeaderCompleteness {
    /// Index to the entry's term and the term in which it was seen to be committed.
    committed: BTreeMap<u64, (u64, u64)>,
}

impl LeaderCompleteness {
    /// A member that is in `seen_in` has learned that an entry is committed.
    pub(in crate::raft::sim) fn committed(&mut self, index: u64, term: u64, seen_in: u64) {
        self.committed.entry(index).or_insert((term, seen_in));
    }

    /// A member has just been elected.
    pub(in crate::raft::sim) fn leads(&self, term: u64, log: &Log) -> Result<(), String> {
        for (&index, &(entry_term, seen_in)) in self.committed.range(log.base().index + 1..) {
            if seen_in < term && log.term(index) != Some(entry_term) {
                return Err(format!(
                    "leader completeness: the leader of term {term} lacks entry {index}, committed by term {seen_in}"
                ));
            }
        }
        Ok(())
    }
}
