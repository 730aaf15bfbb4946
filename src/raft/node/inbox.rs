//! Bounded inboxes of the raft thread, and the bell that wakes it.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use crossbeam::queue::ArrayQueue;
use crossbeam::sync::Unparker;
use raft::eraftpb::Message;
use tokio::sync::oneshot;

use crate::base::ids::MemberId;
use crate::raft::configuration::Change;
use crate::raft::core::MAX_UNDER_WAY;
use crate::raft::error::ReadIndexError;
use crate::raft::types::Snapshot;

/// Commands that may wait for the raft thread: about a hundred milliseconds of the highest load.
pub(super) const MAX_PROPOSALS: usize = 16_384;
/// Bytes of commands that may wait.
pub(super) const MAX_PROPOSAL_BYTES: usize = 64 << 20;
/// Messages of peers that may wait. A message more is dropped and sent again by its sender.
pub(super) const MAX_MESSAGES: usize = 4096;
/// Bytes of peers' messages that may wait.
pub(super) const MAX_MESSAGE_BYTES: usize = 64 << 20;
// A follower that is sent as much as it may be still has room for everyone else's messages.
const _: () = assert!(MAX_UNDER_WAY <= MAX_MESSAGE_BYTES / 2);
/// Reads that may wait to be counted into a round.
pub(super) const MAX_READS: usize = 65_536;
/// Rare requests: transfers, membership changes, peers that cannot be reached.
pub(super) const MAX_CONTROLS: usize = 1024;

/// A read that waits for its index.
pub(super) type Reader = oneshot::Sender<Result<u64, ReadIndexError>>;

/// A message of a peer.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) message: Message,
    pub(super) snapshot: Option<Snapshot>,
}

/// A rare request.
#[derive(Debug)]
pub(super) enum Control {
    /// A peer cannot be reached.
    Unreachable(MemberId),
    /// Leadership should move.
    Transfer(MemberId),
    /// The configuration should change.
    Change(Vec<Change>),
}

/// Wakes the raft thread.
#[derive(Debug, Clone)]
pub(super) struct Bell(pub(super) Unparker);

impl Bell {
    /// Wakes the thread, or keeps it from parking if it is awake.
    pub(super) fn ring(&self) {
        self.0.unpark();
    }
}

/// A queue that is bounded in items and in bytes, without locks.
#[derive(Debug)]
pub(super) struct Queue<T> {
    items: ArrayQueue<(T, usize)>,
    bytes: AtomicUsize,
    max_bytes: usize,
}

/// The queue is full.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl<T> Queue<T> {
    /// An empty queue.
    pub(super) fn new(max_items: usize, max_bytes: usize) -> Self {
        Self {
            items: ArrayQueue::new(max_items),
            bytes: AtomicUsize::new(0),
            max_bytes,
        }
    }

    /// Adds an item. One item may exceed the bytes if there is no other.
    pub(super) fn push(&self, item: T, bytes: usize) -> Result<(), Full> {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = before == 0 || before + bytes <= self.max_bytes;
        if fits && self.items.push((item, bytes)).is_ok() {
            return Ok(());
        }
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        Err(Full)
    }

    /// Takes the oldest item.
    pub(super) fn pop(&self) -> Option<T> {
        let (item, bytes) = self.items.pop()?;
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        Some(item)
    }

    /// Whether there are no items.
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// The inboxes.
#[derive(Debug)]
pub(super) struct Inboxes {
    pub(super) proposals: Queue<Bytes>,
    pub(super) messages: Queue<Incoming>,
    pub(super) reads: Queue<Reader>,
    pub(super) controls: Queue<Control>,
}

impl Inboxes {
    pub(super) fn new() -> Self {
        Self {
            proposals: Queue::new(MAX_PROPOSALS, MAX_PROPOSAL_BYTES),
            messages: Queue::new(MAX_MESSAGES, MAX_MESSAGE_BYTES),
            reads: Queue::new(MAX_READS, usize::MAX),
            controls: Queue::new(MAX_CONTROLS, usize::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_bounded_in_items_and_bytes() {
        let queue = Queue::new(2, 10);
        assert_eq!(queue.push('a', 11), Ok(()));
        assert_eq!(queue.push('b', 1), Err(Full));
        assert_eq!(queue.pop(), Some('a'));
        assert_eq!(queue.push('c', 4), Ok(()));
        assert_eq!(queue.push('d', 4), Ok(()));
        assert_eq!(queue.push('e', 1), Err(Full));
        assert_eq!(queue.pop(), Some('c'));
        assert_eq!(queue.push('f', 7), Err(Full));
        assert_eq!(queue.push('f', 6), Ok(()));
    }
}
