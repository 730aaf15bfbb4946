//! Bounded inboxes of the raft thread, and the bell that wakes it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use crossbeam::queue::ArrayQueue;
use crossbeam::sync::Unparker;
use parking_lot::Mutex;
use raft::eraftpb::Message;
use tokio::sync::oneshot;

use crate::base::ids::MemberId;
use crate::raft::configuration::ProposedChange;
use crate::raft::core::MAX_UNDER_WAY;
use crate::raft::error::{ChangeError, ReadIndexError};
use crate::raft::transport::MAX_MESSAGE;
use crate::raft::types::Snapshot;

/// Commands that may wait for the raft thread: about a hundred milliseconds of the highest load.
pub(super) const MAX_PROPOSALS: usize = 16_384;
/// Bytes of commands that may wait.
pub(super) const MAX_PROPOSAL_BYTES: usize = 64 << 20;
/// Messages of peers that may wait. A message more is dropped and sent again by its sender.
pub(super) const MAX_MESSAGES: usize = 4096;
/// Bytes of peers' messages that may wait.
pub(super) const MAX_MESSAGE_BYTES: usize = 64 << 20;
/// Messages of one peer that may wait, so that one that floods this member crowds out no other.
const MAX_PEER_MESSAGES: usize = MAX_MESSAGES / 2;
/// Bytes of one peer's messages that may wait.
const MAX_PEER_BYTES: usize = MAX_MESSAGE_BYTES / 4 * 3;
// A leader's share holds all that it may have under way, and whatever it sends, each other message has room.
const _: () = assert!(MAX_UNDER_WAY < MAX_PEER_BYTES);
const _: () = assert!(MAX_MESSAGE <= MAX_MESSAGE_BYTES - MAX_PEER_BYTES);
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
    /// The configuration should change; whoever asks is told whether that was proposed.
    Change(ProposedChange, oneshot::Sender<Result<(), ChangeError>>),
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

/// The messages of all peers in the order of their arrival, of each peer no more than its share.
#[derive(Debug)]
pub(super) struct Messages {
    queue: Queue<Waiting>,
    /// What waits of each peer of which something waits. Locked for moments.
    shares: Mutex<BTreeMap<MemberId, Share>>,
}

/// A message that is counted among its peer's.
#[derive(Debug)]
struct Waiting {
    from: MemberId,
    bytes: usize,
    incoming: Incoming,
}

#[derive(Debug, Default)]
struct Share {
    messages: usize,
    bytes: usize,
}

impl Messages {
    fn new() -> Self {
        Self {
            queue: Queue::new(MAX_MESSAGES, MAX_MESSAGE_BYTES),
            shares: Mutex::default(),
        }
    }

    /// Adds a message that a peer sent in so many bytes.
    pub(super) fn push(
        &self,
        from: MemberId,
        incoming: Incoming,
        bytes: usize,
    ) -> Result<(), Full> {
        if !self.shares.lock().entry(from).or_default().take(bytes) {
            // Others of the peer wait: one message alone never exceeds a share.
            return Err(Full);
        }
        let waiting = Waiting {
            from,
            bytes,
            incoming,
        };
        let pushed = self.queue.push(waiting, bytes);
        if pushed.is_err() {
            self.give_back(from, bytes);
        }
        pushed
    }

    /// Takes the oldest message.
    pub(super) fn pop(&self) -> Option<Incoming> {
        let waiting = self.queue.pop()?;
        self.give_back(waiting.from, waiting.bytes);
        Some(waiting.incoming)
    }

    /// Whether there are no messages.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    fn give_back(&self, from: MemberId, bytes: usize) {
        if let Entry::Occupied(mut share) = self.shares.lock().entry(from) {
            share.get_mut().messages -= 1;
            share.get_mut().bytes -= bytes;
            if share.get().messages == 0 {
                share.remove();
            }
        }
    }
}

impl Share {
    fn take(&mut self, bytes: usize) -> bool {
        let fits = self.messages < MAX_PEER_MESSAGES && self.bytes + bytes <= MAX_PEER_BYTES;
        if fits {
            self.messages += 1;
            self.bytes += bytes;
        }
        fits
    }
}

/// The inboxes.
#[derive(Debug)]
pub(super) struct Inboxes {
    pub(super) proposals: Queue<Bytes>,
    pub(super) messages: Messages,
    pub(super) reads: Queue<Reader>,
    pub(super) controls: Queue<Control>,
}

impl Inboxes {
    pub(super) fn new() -> Self {
        Self {
            proposals: Queue::new(MAX_PROPOSALS, MAX_PROPOSAL_BYTES),
            messages: Messages::new(),
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

    /// Adds messages of this many bytes until one is refused; gives how many were not.
    fn flood(messages: &Messages, from: u64, bytes: usize) -> usize {
        let message = || Incoming {
            message: Message::default(),
            snapshot: None,
        };
        let push = || messages.push(MemberId(from), message(), bytes);
        std::iter::from_fn(|| push().ok()).count()
    }

    #[test]
    fn a_peer_that_floods_crowds_out_no_other() {
        let messages = Messages::new();
        assert_eq!(flood(&messages, 1, 10), MAX_PEER_MESSAGES);
        assert_eq!(flood(&messages, 2, 10), MAX_MESSAGES - MAX_PEER_MESSAGES);
        assert_eq!(flood(&messages, 3, 10), 0);
        while messages.pop().is_some() {}
        assert_eq!(flood(&messages, 1, MAX_UNDER_WAY), 1);
        assert_eq!(flood(&messages, 1, MAX_MESSAGE), 1);
        assert_eq!(flood(&messages, 1, 1), 0);
        assert_eq!(flood(&messages, 2, MAX_MESSAGE), 1);
        // The refused ones have taken nothing.
        while messages.pop().is_some() {}
        assert!(messages.shares.lock().is_empty());
    }
}
