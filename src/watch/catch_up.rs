//! Reading what a watcher has missed, from the ring if it still has it, else from [`History`].
//!
//! Pages are read by a small pool of threads that may block, and never by a dispatcher. They hold no
//! lock. A page covers whole revisions, and says where the next one begins.

use std::sync::Arc;

use bytes::Bytes;
use crossbeam::channel::Receiver;

use super::group::Interest;
use super::port::Mailbox;
use super::ring::{Cursor, Entry, Next, Published, Ring};
use super::{History, HistoryError};
use crate::base::change::Change;
use crate::base::ids::Revision;

/// Distinct revisions in one catch-up response; what etcd keeps to.
const PAGE_REVISIONS: usize = 1000;
/// Bytes of one page after which no other revision is added. A quarter of the size at which etcd splits
/// responses: large enough to amortise a read, small enough to let other streams have their turn.
const PAGE_BYTES: usize = 512 << 10;
/// The same while the hub's memory for responses is running out: what a client can still make the hub
/// keep for a stream that it stops reading.
const SCARCE_PAGE_BYTES: usize = 16 << 10;

/// Encoded events of one interest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    /// The events; may be none.
    pub body: Bytes,
    /// How many they are.
    pub events: usize,
    /// The first revision that the page does not cover.
    pub next: Revision,
}

/// A page that a dispatcher asks for.
#[derive(Debug)]
pub(super) struct ReadJob {
    pub id: u64,
    pub interest: Arc<Interest>,
    pub from: Revision,
    /// Keep the page small.
    pub scarce: bool,
    /// Where the page goes.
    pub mailbox: Arc<Mailbox>,
}

/// The outcome of a [`ReadJob`].
#[derive(Debug)]
pub(super) struct PageRead {
    pub id: u64,
    pub page: Result<Page, HistoryError>,
}

/// One thread of the pool.
#[derive(Clone)]
pub(super) struct Reader {
    pub ring: Arc<Ring>,
    pub history: Arc<dyn History>,
    pub jobs: Receiver<ReadJob>,
}

impl Reader {
    /// Works until every dispatcher is gone.
    pub(super) fn run(&self) {
        while let Ok(job) = self.jobs.recv() {
            self.perform(&job);
        }
    }

    pub(super) fn perform(&self, job: &ReadJob) {
        // Asked for late, so that little is missing once the page arrives.
        let upto = job.mailbox.revision();
        let bytes = if job.scarce {
            SCARCE_PAGE_BYTES
        } else {
            PAGE_BYTES
        };
        let page = self.read(&job.interest, job.from, upto, bytes);
        job.mailbox.deliver(PageRead { id: job.id, page });
    }

    fn read(
        &self,
        interest: &Interest,
        from: Revision,
        upto: Revision,
        max_bytes: usize,
    ) -> Result<Page, HistoryError> {
        // At the compacted revision history knows to leave out the previous values; below, to refuse.
        if from > self.history.compacted()
            && let Some(page) = from_ring(
                &self.ring,
                interest,
                from,
                upto,
                Budget {
                    entries: usize::MAX,
                    bytes: max_bytes,
                },
            )
        {
            return Ok(page);
        }
        let read = self
            .history
            .changes(&interest.range, from, upto, PAGE_REVISIONS, max_bytes)?;
        if read.next <= from {
            let stuck = format!("history has no changes from revision {from} on");
            return Err(HistoryError::Storage(stuck));
        }
        let mut body = Vec::new();
        let encoded = read.changes.iter().filter(|c| interest.put(&mut body, c));
        let events = encoded.count();
        let body = body.into();
        let next = read.next;
        Ok(Page { body, events, next })
    }
}

/// When a page of the ring ends, at the next revision.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    /// Changes looked at.
    pub entries: usize,
    /// Bytes of events.
    pub bytes: usize,
}

/// A page of the ring's changes from `from` up to and including `upto`, which is published. `None` if the ring does not reach back that far.
pub(super) fn from_ring(
    ring: &Ring,
    interest: &Interest,
    from: Revision,
    upto: Revision,
    budget: Budget,
) -> Option<Page> {
    let cursor = ring.seek(from)?;
    let page = Builder::new(interest, from);
    page.collect(ring, cursor, ring.published(), upto, budget)
}

/// A page that is being read from the ring.
struct Builder<'a> {
    interest: &'a Interest,
    body: Vec<u8>,
    events: usize,
    entries: usize,
    /// Distinct revisions among the events.
    revisions: usize,
    /// Revision of the last entry, and body and events before it.
    revision: Revision,
    before: (usize, usize),
}

impl<'a> Builder<'a> {
    const fn new(interest: &'a Interest, from: Revision) -> Self {
        Self {
            interest,
            body: Vec::new(),
            events: 0,
            entries: 0,
            revisions: 0,
            revision: Revision(from.get() - 1),
            before: (0, 0),
        }
    }

    /// Reads on from a cursor at the page's first change.
    fn collect(
        mut self,
        ring: &Ring,
        mut cursor: Cursor,
        published: Published,
        upto: Revision,
        budget: Budget,
    ) -> Option<Page> {
        let from = self.revision.next();
        let next = loop {
            match cursor.peek(ring, published) {
                Next::Entry(Entry::Change(change)) => {
                    let revision = change.id.revision;
                    if revision > upto {
                        break upto.next();
                    }
                    if revision > self.revision && self.is_full(budget) {
                        break revision;
                    }
                    self.add(change);
                }
                Next::End => break upto.next(),
                // What is read so far ends at a revision.
                Next::Entry(Entry::Jump(_)) => break self.revision.next(),
                // What is read so far may end inside one.
                Next::Lapped => break self.cut(),
            }
            cursor.advance();
        };
        (next > from).then(|| self.finish(next))
    }

    fn is_full(&self, budget: Budget) -> bool {
        self.revisions >= PAGE_REVISIONS
            || self.body.len() >= budget.bytes
            || self.entries >= budget.entries
    }

    fn add(&mut self, change: &Change) {
        self.entries += 1;
        if change.id.revision > self.revision {
            self.revision = change.id.revision;
            self.before = (self.body.len(), self.events);
        }
        if self.interest.range.contains(&change.key) && self.interest.put(&mut self.body, change) {
            self.revisions += usize::from(self.events == self.before.1);
            self.events += 1;
        }
    }

    /// Takes back the last revision, which may be incomplete.
    fn cut(&mut self) -> Revision {
        self.body.truncate(self.before.0);
        self.events = self.before.1;
        self.revision
    }

    fn finish(self, next: Revision) -> Page {
        Page {
            body: self.body.into(),
            events: self.events,
            next,
        }
    }
}

#[cfg(test)]
#[path = "catch_up_test.rs"]
mod tests;
