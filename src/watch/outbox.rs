//! The responses that wait for one stream's reader.
//!
//! A queue is full when it holds too many frames or bytes, or when it holds anything at all while the
//! hub as a whole holds too much. Live events are only [offered](Outbox::offer): a full queue refuses
//! them and remembers to ask for more once it has drained. Answers to the client's own requests and
//! catch-up pages are made only while there is room and are always taken, so a queue exceeds its limit
//! by at most one page and [`RESERVED`] answers.
//!
//! The lock is held for one push or one pop, by at most the stream's dispatcher and its reader. Nothing
//! that is shared between streams is locked.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use super::Frame;

/// What every outbox of a hub has in common.
#[derive(Debug)]
pub(super) struct OutboxLimits {
    /// Frames that may wait in one stream.
    pub frames: usize,
    /// Bytes that may wait in one stream.
    pub bytes: usize,
    /// Bytes that may wait in all streams together.
    pub hub_bytes: usize,
    /// Frames that wait in all streams together.
    pub waiting_frames: AtomicUsize,
    /// Frames that readers have taken since the start.
    pub taken_frames: AtomicU64,
    /// Bytes that wait in all streams together; a shared body counts once, spread over its streams.
    pub waiting_bytes: AtomicUsize,
}

/// A frame that waits, with its part of the hub's memory.
#[derive(Debug)]
struct Waiting {
    frame: Frame,
    charge: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// The hub ended the stream; what waits may still be read.
    Ended,
    /// The reader is gone; nothing is kept.
    Deserted,
}

#[derive(Debug)]
struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// The dispatcher wants to hear when there is room.
    wanted: bool,
    phase: Phase,
    reader: Option<Waker>,
}

/// See the module comment.
#[derive(Debug)]
pub(super) struct Outbox {
    limits: Arc<OutboxLimits>,
    queue: Mutex<Queue>,
}

/// Readers that are to be woken when a round of offers is over.
#[derive(Debug, Default)]
pub(super) struct Readers(Vec<Waker>);

impl Readers {
    /// Takes all that are to be woken.
    pub(super) fn take(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.0)
    }
}

/// Answers to requests that find room beyond the limit: a client that is slow to read events can still
/// cancel its watchers.
const RESERVED: usize = 16;

/// An emptied queue gives room for more frames than this back to the allocator.
const KEPT_CAPACITY: usize = 16;

impl Outbox {
    pub(super) fn new(limits: Arc<OutboxLimits>) -> Self {
        let queue = Queue {
            waiting: VecDeque::new(),
            bytes: 0,
            wanted: false,
            phase: Phase::Open,
            reader: None,
        };
        Self {
            limits,
            queue: Mutex::new(queue),
        }
    }

    /// Queues a frame whose body is shared by `sharers` streams, unless the queue is full. The reader is to
    /// be woken with `readers`.
    pub(super) fn offer(&self, frame: Frame, sharers: usize, readers: &mut Readers) -> bool {
        let mut queue = self.queue.lock();
        if self.is_full(&queue) {
            queue.wanted = true;
            return false;
        }
        let reader = self.put(&mut queue, frame, sharers);
        drop(queue);
        readers.0.extend(reader);
        true
    }

    /// Queues a frame even if the queue is full.
    pub(super) fn push(&self, frame: Frame, sharers: usize) {
        let mut queue = self.queue.lock();
        let reader = self.put(&mut queue, frame, sharers);
        drop(queue);
        wake(reader);
    }

    /// Whether the queue is not full; if it is, the reader will ring once it has drained.
    pub(super) fn has_room(&self) -> bool {
        let mut queue = self.queue.lock();
        let full = self.is_full(&queue);
        queue.wanted |= full;
        !full
    }

    /// Whether the answer to a request finds room; if it does not, the reader will ring once it has
    /// drained.
    pub(super) fn has_room_to_answer(&self) -> bool {
        let mut queue = self.queue.lock();
        let limit = if self.is_hub_full() {
            0
        } else {
            self.limits.frames
        };
        let full = queue.waiting.len() >= limit + RESERVED;
        queue.wanted |= full;
        !full
    }

    /// Whether the hub's memory for waiting frames is running out.
    pub(super) fn is_scarce(&self) -> bool {
        self.limits.waiting_bytes.load(Ordering::Relaxed) >= self.limits.hub_bytes / 2
    }

    /// The next frame, `None` after the last one of a stream that has ended, and whether the dispatcher
    /// waits to hear that there is room now.
    pub(super) fn poll_next(&self, context: &Context<'_>) -> (Poll<Option<Frame>>, bool) {
        let mut queue = self.queue.lock();
        let Some(waiting) = queue.waiting.pop_front() else {
            if queue.phase != Phase::Open {
                return (Poll::Ready(None), false);
            }
            queue.reader = Some(context.waker().clone());
            return (Poll::Pending, false);
        };
        queue.bytes -= waiting.frame.size();
        self.uncharge(1, waiting.charge);
        self.limits.taken_frames.fetch_add(1, Ordering::Relaxed);
        if queue.waiting.is_empty() {
            queue.waiting.shrink_to(KEPT_CAPACITY);
        }
        let ring = queue.wanted && self.is_drained(&queue);
        queue.wanted &= !ring;
        (Poll::Ready(Some(waiting.frame)), ring)
    }

    /// Ends the stream from the hub's side.
    pub(super) fn end(&self) {
        let mut queue = self.queue.lock();
        if queue.phase == Phase::Open {
            queue.phase = Phase::Ended;
        }
        let reader = queue.reader.take();
        drop(queue);
        wake(reader);
    }

    /// Ends the stream from the reader's side and drops what waits.
    pub(super) fn desert(&self) {
        let mut queue = self.queue.lock();
        queue.phase = Phase::Deserted;
        queue.bytes = 0;
        queue.reader = None;
        let dropped = std::mem::take(&mut queue.waiting);
        drop(queue);
        self.uncharge(
            dropped.len(),
            dropped.iter().map(|waiting| waiting.charge).sum(),
        );
    }

    /// Whether the reader is gone.
    pub(super) fn is_deserted(&self) -> bool {
        self.queue.lock().phase == Phase::Deserted
    }

    /// Gives the waker that is to be called after the lock is released.
    fn put(&self, queue: &mut Queue, frame: Frame, sharers: usize) -> Option<Waker> {
        if queue.phase != Phase::Open {
            return None;
        }
        let charge = frame.head.len() + frame.body.len() / sharers.max(1) + size_of::<Waiting>();
        self.limits.waiting_frames.fetch_add(1, Ordering::Relaxed);
        self.limits
            .waiting_bytes
            .fetch_add(charge, Ordering::Relaxed);
        queue.bytes += frame.size();
        queue.waiting.push_back(Waiting { frame, charge });
        queue.reader.take()
    }

    fn uncharge(&self, frames: usize, bytes: usize) {
        self.limits
            .waiting_frames
            .fetch_sub(frames, Ordering::Relaxed);
        self.limits
            .waiting_bytes
            .fetch_sub(bytes, Ordering::Relaxed);
    }

    fn is_full(&self, queue: &Queue) -> bool {
        if queue.waiting.is_empty() {
            return false;
        }
        queue.waiting.len() >= self.limits.frames
            || queue.bytes >= self.limits.bytes
            || self.is_hub_full()
    }

    fn is_hub_full(&self) -> bool {
        self.limits.waiting_bytes.load(Ordering::Relaxed) >= self.limits.hub_bytes
    }

    /// Half empty, so that a reader at its limit does not ring for every frame.
    fn is_drained(&self, queue: &Queue) -> bool {
        queue.waiting.len() <= self.limits.frames / 2 && queue.bytes <= self.limits.bytes / 2
    }
}

fn wake(reader: Option<Waker>) {
    if let Some(reader) = reader {
        reader.wake();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn outbox(frames: usize, bytes: usize, hub_bytes: usize) -> Outbox {
        Outbox::new(Arc::new(OutboxLimits {
            frames,
            bytes,
            hub_bytes,
            waiting_frames: AtomicUsize::new(0),
            taken_frames: AtomicU64::new(0),
            waiting_bytes: AtomicUsize::new(0),
        }))
    }

    fn frame(size: usize) -> Frame {
        Frame {
            head: Bytes::new(),
            body: vec![0; size].into(),
        }
    }

    fn offer(outbox: &Outbox, size: usize, sharers: usize) -> bool {
        outbox.offer(frame(size), sharers, &mut Readers::default())
    }

    fn pop(outbox: &Outbox) -> (Poll<Option<Frame>>, bool) {
        outbox.poll_next(&Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_full_outbox_refuses_and_rings_when_half_empty() {
        let outbox = outbox(4, 1000, 1 << 20);
        for _ in 0..4 {
            assert!(offer(&outbox, 1, 1));
        }
        assert!(!offer(&outbox, 1, 1));
        assert!(!pop(&outbox).1);
        assert!(pop(&outbox).1);
        assert!(!pop(&outbox).1, "it rings once");
    }

    #[test]
    fn bytes_fill_it_too_and_one_frame_always_fits() {
        let outbox = outbox(100, 10, 1 << 20);
        assert!(offer(&outbox, 50, 1));
        assert!(!outbox.has_room());
        assert!(pop(&outbox).1);
        assert!(outbox.has_room());
    }

    #[test]
    fn a_hub_over_its_budget_leaves_each_stream_one_frame() {
        let outbox = outbox(100, 1000, 150);
        assert!(offer(&outbox, 100, 1));
        assert!(!offer(&outbox, 1, 1));
        assert!(pop(&outbox).1);
        assert!(offer(&outbox, 100, 1));
    }

    #[test]
    fn shared_bodies_are_charged_in_parts() {
        let outbox = outbox(100, 10_000, 1000);
        assert!(offer(&outbox, 4000, 10));
        let charged = outbox.limits.waiting_bytes.load(Ordering::Relaxed);
        assert!((400..600).contains(&charged), "{charged}");
        outbox.desert();
        assert_eq!(outbox.limits.waiting_bytes.load(Ordering::Relaxed), 0);
        assert_eq!(outbox.limits.waiting_frames.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_reader_that_waits_is_to_be_woken_once() {
        let mut readers = Readers::default();
        let outbox = outbox(10, 1000, 1 << 20);
        assert!(outbox.offer(frame(1), 1, &mut readers));
        assert!(readers.take().is_empty());
        assert!(pop(&outbox).0.is_ready() && pop(&outbox).0.is_pending());
        assert!(outbox.offer(frame(1), 1, &mut readers));
        assert!(outbox.offer(frame(1), 1, &mut readers));
        assert_eq!(readers.take().len(), 1);
    }

    #[test]
    fn an_ended_stream_can_be_read_to_its_end() {
        let outbox = outbox(10, 1000, 1 << 20);
        assert!(offer(&outbox, 1, 1));
        outbox.end();
        outbox.push(frame(2), 1);
        assert_eq!(pop(&outbox).0, Poll::Ready(Some(frame(1))));
        assert_eq!(pop(&outbox).0, Poll::Ready(None));
    }
}
