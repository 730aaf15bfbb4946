//! The bounded queue between whoever sends and the task that writes to one peer.
//!
//! Senders never wait: what does not fit is dropped and counted, and consensus sends it again. While no
//! connection can be made the queue is closed, so that a member that comes back is not greeted with
//! heartbeats from the time of its absence.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::frame::Frame;
use super::framed::weight;

/// How much waits at most. Appends in flight are bounded by consensus, well below what the queue for them
/// holds; one that is full all the same is behind by seconds and better cut off.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) frames: usize,
    pub(super) bytes: usize,
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Push {
    Queued,
    Full,
    Closed,
}

#[derive(Debug)]
pub(super) struct Outbox {
    limit: Limit,
    waiting: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    frames: VecDeque<Frame>,
    bytes: usize,
    closed: bool,
}

impl Outbox {
    pub(super) fn new(limit: Limit) -> Self {
        Self {
            limit,
            waiting: Mutex::default(),
            filled: Notify::new(),
        }
    }

    /// Queues a frame if there is room.
    pub(super) fn push(&self, frame: Frame) -> Push {
        let size = weight(&frame);
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Push::Closed;
        }
        if waiting.frames.len() >= self.limit.frames || waiting.bytes + size > self.limit.bytes {
            return Push::Full;
        }
        waiting.bytes += size;
        waiting.frames.push_back(frame);
        drop(waiting);
        self.filled.notify_one();
        Push::Queued
    }

    /// Completes once something waits. For one waiter.
    pub(super) async fn filled(&self) {
        while self.waiting.lock().frames.is_empty() {
            self.filled.notified().await;
        }
    }

    /// Takes the oldest frames, up to about `bytes` and at least one.
    pub(super) fn take(&self, bytes: usize) -> Vec<Frame> {
        let mut waiting = self.waiting.lock();
        let mut taken = Vec::new();
        let mut size = 0;
        while size < bytes
            && let Some(frame) = waiting.frames.pop_front()
        {
            size += weight(&frame);
            taken.push(frame);
        }
        waiting.bytes -= size;
        taken
    }

    /// Lets frames in.
    pub(super) fn open(&self) {
        self.waiting.lock().closed = false;
    }

    /// Drops what waits, keeps everything out, and returns how many frames were lost.
    pub(super) fn close(&self) -> usize {
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        waiting.bytes = 0;
        std::mem::take(&mut waiting.frames).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(len: usize) -> Frame {
        Frame::Message(vec![0; len].into())
    }

    #[test]
    fn both_bounds_hold_and_taking_makes_room() {
        let outbox = Outbox::new(Limit {
            frames: 3,
            bytes: 1000,
        });
        assert_eq!(outbox.push(message(900)), Push::Queued);
        assert_eq!(outbox.push(message(900)), Push::Full);
        assert_eq!(outbox.push(message(1)), Push::Queued);
        assert_eq!(outbox.push(message(1)), Push::Queued);
        assert_eq!(outbox.push(message(1)), Push::Full);
        assert_eq!(outbox.take(100), [message(900)]);
        assert_eq!(outbox.push(message(800)), Push::Queued);
        assert_eq!(outbox.take(usize::MAX).len(), 3);
        assert_eq!(outbox.push(message(900)), Push::Queued);
    }

    #[test]
    fn a_closed_queue_is_empty_and_stays_so() {
        let outbox = Outbox::new(Limit {
            frames: 3,
            bytes: 1000,
        });
        outbox.push(message(1));
        outbox.push(message(1));
        assert_eq!(outbox.close(), 2);
        assert_eq!(outbox.push(message(1)), Push::Closed);
        assert!(outbox.take(usize::MAX).is_empty());
        outbox.open();
        assert_eq!(outbox.push(message(1)), Push::Queued);
    }
}
