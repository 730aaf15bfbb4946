//! Commands on their way into the log, and how often they may set out.
//!
//! A round of proposals costs every member the same few wake-ups, messages and syncs, however many commands are
//! in it. So only few rounds are under way at a time, and what arrives meanwhile shares the next one: an idle
//! cluster takes a command at once, a busy one takes many together, and nothing waits for a timer. A leader
//! counts what its followers forward among its own, or each of their rounds would be an entry of its own.

use std::collections::VecDeque;

use bytes::Bytes;

use super::settings::MAX_UNCOMMITTED;
use crate::raft::frame;

/// Commands are packed into one entry up to this size. Larger entries save nothing more and delay the
/// commands in front.
const ENTRY_BYTES: usize = 256 << 10;
/// Rounds under way at a time: one travels while the next is written. With one the disk would idle while
/// acknowledgements travel; more make each round smaller.
const MAX_ROUNDS: usize = 2;

/// Commands that wait, and the rounds under way.
#[derive(Debug, Default)]
pub(super) struct Proposals {
    waiting: VecDeque<Bytes>,
    bytes: usize,
    /// The commit indexes that end the rounds under way, in order.
    rounds: VecDeque<u64>,
    /// The term in which those rounds began.
    term: u64,
}

impl Proposals {
    pub(super) fn push(&mut self, command: Bytes) {
        self.bytes += command.len();
        self.waiting.push_back(command);
    }

    /// Adds commands that a follower forwarded, as many as there is room for. The others are lost, as a
    /// message may be.
    pub(super) fn push_forwarded(&mut self, commands: Vec<Bytes>) {
        for command in commands {
            if self.bytes + command.len() > MAX_UNCOMMITTED {
                tracing::debug!("dropped a forwarded command: too many wait");
                return;
            }
            self.push(command);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether further commands would set out with the next entry.
    pub(super) fn has_room(&self) -> bool {
        self.bytes < ENTRY_BYTES
    }

    /// Takes the commands of one entry. Not empty if any wait.
    pub(super) fn take_entry(&mut self) -> Vec<Bytes> {
        let mut commands: Vec<Bytes> = Vec::new();
        let mut size = 0;
        while let Some(next) = self.waiting.front() {
            size += next.len() + frame::overhead(1);
            if !commands.is_empty() && size > ENTRY_BYTES {
                break;
            }
            self.bytes -= next.len();
            commands.extend(self.waiting.pop_front());
        }
        commands
    }

    /// Gives back what [`Self::take_entry`] took and could not be proposed.
    pub(super) fn put_back(&mut self, commands: Vec<Bytes>) {
        for command in commands.into_iter().rev() {
            self.bytes += command.len();
            self.waiting.push_front(command);
        }
    }

    /// Forgets what waits.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.bytes = 0;
    }

    /// Whether a round may begin now.
    pub(super) fn may_begin(&self) -> bool {
        self.rounds.len() < MAX_ROUNDS
    }

    /// Begins a round that is over when the index `end` is committed.
    pub(super) fn begin(&mut self, end: u64) {
        self.rounds.push_back(end);
    }

    /// Ends the rounds up to the commit index, and those of earlier terms, which may have been lost.
    pub(super) fn observe(&mut self, term: u64, committed: u64) {
        if self.term != term {
            self.term = term;
            self.rounds.clear();
        }
        while self.rounds.front().is_some_and(|&end| end <= committed) {
            self.rounds.pop_front();
        }
    }

    /// Ends all rounds: a follower cannot know whether what it forwarded has arrived.
    pub(super) fn forget_rounds(&mut self) {
        self.rounds.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(len: usize) -> Bytes {
        vec![7; len].into()
    }

    #[test]
    fn entries_are_filled_and_never_split_a_command() {
        let mut proposals = Proposals::default();
        for len in [ENTRY_BYTES / 2, ENTRY_BYTES, 1, 2] {
            proposals.push(command(len));
        }
        assert!(!proposals.has_room());
        let lens = |commands: &[Bytes]| commands.iter().map(Bytes::len).collect::<Vec<_>>();
        assert_eq!(lens(&proposals.take_entry()), [ENTRY_BYTES / 2]);
        let large = proposals.take_entry();
        assert_eq!(lens(&large), [ENTRY_BYTES]);
        proposals.put_back(large);
        assert_eq!(lens(&proposals.take_entry()), [ENTRY_BYTES]);
        assert!(proposals.has_room());
        assert_eq!(lens(&proposals.take_entry()), [1, 2]);
        assert!(proposals.is_empty() && proposals.bytes == 0);
    }

    #[test]
    fn rounds_end_with_their_index_and_with_their_term() {
        let mut proposals = Proposals::default();
        proposals.observe(1, 4);
        proposals.begin(5);
        assert!(proposals.may_begin());
        proposals.begin(8);
        assert!(!proposals.may_begin());
        proposals.observe(1, 5);
        assert!(proposals.may_begin());
        proposals.begin(9);
        proposals.observe(1, 7);
        assert!(!proposals.may_begin());
        proposals.observe(2, 7);
        assert!(proposals.may_begin());
    }

    #[test]
    fn what_followers_forward_is_bounded() {
        let mut proposals = Proposals::default();
        let half = command(MAX_UNCOMMITTED / 2);
        proposals.push_forwarded(vec![half.clone(), half, command(1)]);
        assert_eq!(proposals.waiting.len(), 2);
    }
}
