//! What was handed to the state machine and is not applied yet.

use std::collections::VecDeque;

/// Committed entries that may wait for the state machine; etcd's `maxGapBetweenApplyAndCommitIndex`.
pub(super) const MAX_ENTRIES: u64 = 5000;
/// Bytes of commands that may wait for the state machine.
pub(super) const MAX_BYTES: usize = 64 << 20;

/// Entries on their way through the state machine.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    entries: VecDeque<(u64, usize)>,
    bytes: usize,
}

impl Backlog {
    /// Counts an entry that was handed over.
    pub(super) fn push(&mut self, index: u64, bytes: usize) {
        self.entries.push_back((index, bytes));
        self.bytes += bytes;
    }

    /// Forgets the entries up to `applied`.
    pub(super) fn applied(&mut self, applied: u64) {
        while let Some(&(index, bytes)) = self.entries.front()
            && index <= applied
        {
            self.entries.pop_front();
            self.bytes -= bytes;
        }
    }

    /// Forgets everything: a snapshot took the place of the state.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether no more should be handed over for now.
    pub(super) fn is_full(&self) -> bool {
        self.entries.len() as u64 >= MAX_ENTRIES || self.bytes >= MAX_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_entries_are_bounded() {
        let mut backlog = Backlog::default();
        backlog.push(1, MAX_BYTES - 1);
        assert!(!backlog.is_full());
        backlog.push(2, 1);
        assert!(backlog.is_full());
        backlog.applied(1);
        assert!(!backlog.is_full());
        for index in 3..MAX_ENTRIES + 2 {
            backlog.push(index, 0);
        }
        assert!(backlog.is_full());
        backlog.applied(u64::MAX);
        assert!(!backlog.is_full());
    }
}
