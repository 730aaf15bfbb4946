//! What the API's ends of a stream share with the dispatcher that serves it.
//!
//! Nothing is sent *to* a dispatcher. Whoever has work for it (a request, room in an outbox, an end)
//! leaves the work in the stream's port and rings; the dispatcher's [`Mailbox`] lists each port that
//! rang at most once, so the list is bounded by the number of streams.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::task::{Context, Poll};

use crossbeam::queue::SegQueue;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::catch_up::PageRead;
use super::outbox::{Outbox, OutboxLimits};
use super::stream::{Frame, StreamClosed, WatchRequest};
use super::wake::Wake;
use crate::base::ids::Revision;

/// Requests of one stream that may wait; a client that sends more waits in its own transport.
const WAITING_REQUESTS: usize = 16;

/// Where a dispatcher finds its work.
#[derive(Debug)]
pub(super) struct Mailbox {
    rang: SegQueue<Arc<Port>>,
    /// Bounded by the reads that the dispatcher has under way.
    pages: SegQueue<PageRead>,
    /// What the dispatcher has delivered: how far a catch-up may read.
    revision: AtomicI64,
    closed: AtomicBool,
    /// Whether the dispatcher has watchers; without, it follows the ring only when it has mail.
    watched: AtomicBool,
    pub(super) wake: Wake,
}

impl Mailbox {
    pub(super) fn new(revision: Revision) -> Self {
        Self {
            rang: SegQueue::new(),
            pages: SegQueue::new(),
            revision: AtomicI64::new(revision.get()),
            closed: AtomicBool::new(false),
            watched: AtomicBool::new(false),
            wake: Wake::new(),
        }
    }

    /// Ports that rang, at most `count`.
    pub(super) fn take_rang(&self, count: usize) -> Vec<Arc<Port>> {
        std::iter::from_fn(|| self.rang.pop()).take(count).collect()
    }

    /// The reads that have ended.
    pub(super) fn take_pages(&self) -> Vec<PageRead> {
        std::iter::from_fn(|| self.pages.pop()).collect()
    }

    pub(super) fn has_mail(&self) -> bool {
        !self.rang.is_empty() || !self.pages.is_empty()
    }

    pub(super) fn deliver(&self, page: PageRead) {
        self.pages.push(page);
        self.wake.call();
    }

    /// What the dispatcher has delivered; it is published for whoever learns it here.
    pub(super) fn revision(&self) -> Revision {
        Revision(self.revision.load(Ordering::Acquire))
    }

    pub(super) fn set_revision(&self, revision: Revision) {
        self.revision.store(revision.get(), Ordering::Release);
    }

    /// The dispatcher has watchers now, or none any more.
    pub(super) fn set_watched(&self, watched: bool) {
        self.watched.store(watched, Ordering::Relaxed);
    }

    /// What a dispatcher that follows the ring has delivered.
    pub(super) fn follows(&self) -> Option<Revision> {
        let watched = self.watched.load(Ordering::Relaxed);
        watched.then(|| self.revision())
    }

    /// The dispatcher is leaving: gives the ports that it has not looked at.
    pub(super) fn close(&self) -> Vec<Arc<Port>> {
        self.closed.store(true, Ordering::SeqCst);
        self.take_rang(usize::MAX)
    }
}

/// See the module comment.
#[derive(Debug)]
pub(super) struct Port {
    /// Unique in its hub.
    pub key: u64,
    pub outbox: Outbox,
    mailbox: Arc<Mailbox>,
    /// Listed in the mailbox and not yet looked at.
    rang: AtomicBool,
    requests: Mutex<VecDeque<WatchRequest>>,
    /// A permit for each place in `requests`; closed with the stream.
    room: Semaphore,
}

impl Port {
    /// Opens a port at a dispatcher; `None` if that has stopped.
    pub(super) fn open(
        key: u64,
        limits: Arc<OutboxLimits>,
        mailbox: Arc<Mailbox>,
    ) -> Option<Arc<Self>> {
        let port = Arc::new(Self {
            key,
            outbox: Outbox::new(limits),
            mailbox,
            rang: AtomicBool::new(false),
            requests: Mutex::default(),
            room: Semaphore::new(WAITING_REQUESTS),
        });
        port.ring();
        // Either the leaving dispatcher finds the port that just rang, or this finds that it left.
        let left = port.mailbox.closed.load(Ordering::SeqCst);
        (!left).then_some(port)
    }

    pub(super) async fn send(self: &Arc<Self>, request: WatchRequest) -> Result<(), StreamClosed> {
        let permit = self.room.acquire().await.map_err(|_| StreamClosed)?;
        permit.forget();
        self.requests.lock().push_back(request);
        self.ring();
        Ok(())
    }

    pub(super) fn take_request(&self) -> Option<WatchRequest> {
        let request = self.requests.lock().pop_front()?;
        self.room.add_permits(1);
        Some(request)
    }

    pub(super) fn poll_next(self: &Arc<Self>, context: &Context<'_>) -> Poll<Option<Frame>> {
        let (frame, ring) = self.outbox.poll_next(context);
        if ring {
            self.ring();
        }
        frame
    }

    /// The dispatcher looks at the port: gives the number of requests so far. Whatever happens from now
    /// on rings again.
    pub(super) fn answer(&self) -> usize {
        // A read-modify-write, so that it is ordered after the ring that it answers.
        self.rang.swap(false, Ordering::AcqRel);
        self.requests.lock().len()
    }

    /// The reader is gone.
    pub(super) fn desert(self: &Arc<Self>) {
        self.outbox.desert();
        self.room.close();
        self.ring();
    }

    /// The hub ends the stream.
    pub(super) fn end(&self) {
        self.outbox.end();
        self.room.close();
    }

    /// Lists the port in its dispatcher's mailbox, if it is not, and wakes the dispatcher.
    fn ring(self: &Arc<Self>) {
        if !self.rang.swap(true, Ordering::AcqRel) {
            self.mailbox.rang.push(Arc::clone(self));
            self.mailbox.wake.call();
        }
    }
}
