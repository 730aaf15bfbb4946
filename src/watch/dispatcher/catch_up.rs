//! Watchers that are behind: their turns at reading, and their way back to the ring.
//!
//! A stream has one page under way at a time and asks for it only while it has room, so what a slow or
//! hostile stream costs is bounded, and the pool serves streams in turn. Watchers of several streams
//! that need the same page share it. A page brings its watcher near the dispatcher's revision; the few
//! changes that came meanwhile are read here from the ring, and then it is synced.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam::channel::Sender;

use super::Dispatcher;
use super::watcher::{Place, Stream};
use crate::base::ids::Revision;
use crate::watch::HistoryError;
use crate::watch::catch_up::{Budget, Page, PageRead, ReadJob, from_ring};
use crate::watch::group::{Interest, frames};

/// Pages that one dispatcher may have under way: they are what its streams' catch-up costs in memory.
pub(in crate::watch) const MAX_READS: usize = 16;

/// What a dispatcher itself reads to bring a watcher back: tens of microseconds of its time.
const TAIL: Budget = Budget {
    entries: 1024,
    bytes: 64 << 10,
};

/// A page under way.
#[derive(Debug)]
struct Read {
    interest: Arc<Interest>,
    from: Revision,
    /// Stream and watcher.
    waiters: Vec<(u64, u64)>,
}

/// The pages under way and the streams that want one.
#[derive(Debug)]
pub(super) struct Reads {
    jobs: Sender<ReadJob>,
    under_way: HashMap<u64, Read>,
    by_need: HashMap<(Arc<Interest>, Revision), u64>,
    wanting: VecDeque<u64>,
    last_id: u64,
}

impl Reads {
    pub(super) fn new(jobs: Sender<ReadJob>) -> Self {
        Self {
            jobs,
            under_way: HashMap::new(),
            by_need: HashMap::new(),
            wanting: VecDeque::new(),
            last_id: 0,
        }
    }

    /// Lists a stream that has watchers behind and no page under way.
    pub(super) fn want(&mut self, key: u64, stream: &mut Stream) {
        if !stream.wanting && !stream.reading && !stream.behind.is_empty() {
            stream.wanting = true;
            self.wanting.push_back(key);
        }
    }

    fn next_stream(&mut self) -> Option<u64> {
        if self.under_way.len() < MAX_READS {
            self.wanting.pop_front()
        } else {
            None
        }
    }

    /// Joins those who wait for the page that begins at `from`, if it is under way.
    fn join(&mut self, interest: &Arc<Interest>, from: Revision, waiter: (u64, u64)) -> bool {
        let need = (interest.clone(), from);
        let id = self.by_need.get(&need);
        let read = id.and_then(|id| self.under_way.get_mut(id));
        let joined = read.map(|read| read.waiters.push(waiter));
        joined.is_some()
    }

    /// Has a page read.
    fn ask(&mut self, job: ReadJob, waiter: (u64, u64)) {
        let read = Read {
            interest: job.interest.clone(),
            from: job.from,
            waiters: vec![waiter],
        };
        let need = (job.interest.clone(), job.from);
        self.by_need.insert(need, job.id);
        self.under_way.insert(job.id, read);
        // There is a place for every read under way. Without readers the member is stopping.
        let _stopping = self.jobs.try_send(job);
    }

    fn end(&mut self, id: u64) -> Option<Read> {
        let read = self.under_way.remove(&id)?;
        self.by_need.remove(&(read.interest.clone(), read.from));
        Some(read)
    }
}

impl Dispatcher {
    /// Asks for pages, one for each stream in turn.
    pub(super) fn start_reads(&mut self) {
        while let Some(key) = self.reads.next_stream() {
            self.start_read(key);
        }
    }

    fn start_read(&mut self, stream_key: u64) {
        let Some(stream) = self.streams.get_mut(&stream_key) else {
            return;
        };
        stream.wanting = false;
        if stream.reading || !stream.port.outbox.has_room() {
            return;
        }
        let Some((_, key)) = stream.behind.pop_first() else {
            return;
        };
        let Some(watcher) = self.watchers.get(&key) else {
            return;
        };
        let (Place::Behind { next, .. }, Some(interest)) =
            (watcher.place, self.groups.interest(watcher.group))
        else {
            return;
        };
        stream.reading = true;
        let waiter = (stream_key, key);
        if !self.reads.join(&interest, next, waiter) {
            self.reads.last_id += 1;
            let job = ReadJob {
                id: self.reads.last_id,
                interest,
                from: next,
                scarce: stream.port.outbox.is_scarce(),
                mailbox: self.mailbox.clone(),
            };
            self.reads.ask(job, waiter);
        }
        self.set_place(key, Place::Reading);
    }

    /// Hands a page to those who wait for it and lets their streams go on.
    pub(super) fn take_page(&mut self, outcome: PageRead) {
        let Some(read) = self.reads.end(outcome.id) else {
            return;
        };
        // A watcher that was cancelled meanwhile is not there any more; keys are never used again.
        let mut waiters = read.waiters.clone();
        waiters.retain(|(_, key)| self.watchers.contains_key(key));
        match outcome.page {
            Ok(page) => self.settle(&read.interest, &page, &waiters),
            Err(HistoryError::Compacted(compacted)) => {
                for &(_, key) in &waiters {
                    self.cancel_compacted(key, compacted);
                }
            }
            Err(HistoryError::Storage(reason)) => {
                tracing::error!(%reason, "history of watchers cannot be read");
                for &(_, key) in &waiters {
                    self.cancel_failed(key, &reason);
                }
            }
        }
        for (key, _) in read.waiters {
            if let Some(stream) = self.streams.get_mut(&key) {
                stream.reading = false;
                self.reads.want(key, stream);
            }
        }
    }

    /// Hands a page out, and what the ring has had since to those who have room for it.
    fn settle(&mut self, interest: &Interest, page: &Page, waiters: &[(u64, u64)]) {
        let tail = self.tail(interest, page.next);
        for &(stream, key) in waiters {
            let mut next = page.next;
            let room = self.hand_out(page, stream, key, waiters.len());
            if let Some(tail) = tail.as_ref().filter(|_| room) {
                self.hand_out(tail, stream, key, waiters.len());
                next = tail.next;
            }
            self.start_at(key, next.min(self.revision.next()));
        }
    }

    /// The last changes before `self.revision`, if the ring has them and they are few.
    fn tail(&self, interest: &Interest, from: Revision) -> Option<Page> {
        if from > self.revision || from <= self.hub.history.compacted() {
            return None;
        }
        from_ring(&self.hub.ring, interest, from, self.revision, TAIL)
    }

    /// Queues a page for one watcher, which shares it with others; says whether there is room for more.
    fn hand_out(&mut self, page: &Page, stream: u64, key: u64, sharers: usize) -> bool {
        let (Some(stream), Some(watcher)) = (self.streams.get(&stream), self.watchers.get(&key))
        else {
            return false;
        };
        let outbox = &stream.port.outbox;
        if page.events > 0 {
            let fragment = watcher.fragment.then_some(self.hub.config.fragment_bytes);
            for frame in frames(&mut self.heads, watcher.id, fragment, &page.body) {
                outbox.push(frame, sharers);
            }
            let delivered = &self.hub.counters.delivered;
            delivered.fetch_add(page.events as u64, Ordering::Relaxed);
        }
        outbox.has_room()
    }
}
