//! One of the threads that follow the ring and feed the streams.
//!
//! A dispatcher owns its streams, watchers and index, so nothing here is locked. One [step] looks at its
//! mail, walks what has been published, hands the events to the synced watchers (a *flush*), and only
//! then looks into the mail: requests are therefore handled at one revision, at which every synced
//! watcher has been offered everything. That is what makes `created` and progress responses true: their
//! header has that revision, and nothing at or below it can follow.
//!
//! A flush stops at a revision boundary. It comes at once after a pause. While changes keep coming, the time to the
//! next one grows with the number of responses that it takes, and is longer while most readers have not taken
//! the last one's yet ([`HubConfig`]), unless [`COALESCE_BYTES`] are pending or there is mail.
//!
//! A watcher whose stream has no room in a flush, or that starts in the past, or that was synced when
//! the ring jumped or lapped its dispatcher, is *behind*: it keeps the next revision it needs and
//! nothing else. `catch_up` brings it back.
//!
//! [step]: Dispatcher::step

mod catch_up;
mod progress;
mod requests;
mod watcher;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Wake as TaskWake, Waker};
use std::time::{Duration, Instant};

use crossbeam::channel::Sender;

use super::catch_up::ReadJob;
use super::config::HubConfig;
use super::frame::Heads;
use super::group::Groups;
use super::hub::HubState;
use super::port::Mailbox;
use super::ring::{Cursor, Entry, Next};
use crate::base::clock;
use crate::base::ids::Revision;
use crate::base::shutdown::Lifecycle;

pub(super) use catch_up::MAX_READS;
use catch_up::Reads;
use watcher::{Stream, Watcher};

/// Pending bytes at which a flush does not wait any longer.
const COALESCE_BYTES: usize = 64 << 10;

/// Streams that a step looks at before events are walked again: about a millisecond of requests.
const SERVED_PER_STEP: usize = 256;

/// What a dispatcher does after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// Events are pending: go on after this time.
    Nap(Duration),
    /// Nothing to do until somebody rings or this time has come.
    Until(Option<Instant>),
}

/// See the module comment.
pub(super) struct Dispatcher {
    hub: Arc<HubState>,
    mailbox: Arc<Mailbox>,
    cursor: Cursor,
    /// Every synced watcher has been offered everything up to here.
    revision: Revision,
    /// What has been read from the ring; above `revision` while events are pending.
    walked: Revision,
    flushed_at: Option<Instant>,
    /// Responses of the last flush.
    flushed: usize,
    /// The count of taken frames at which most of the last flush has been taken. Readers that do not read
    /// at all are made up for by those of other streams.
    mostly_taken: u64,
    streams: HashMap<u64, Stream>,
    watchers: HashMap<u64, Watcher>,
    /// The last key given to a watcher.
    last_key: u64,
    groups: Groups,
    /// Watchers by the future revision at which they start.
    future: BTreeMap<Revision, BTreeSet<u64>>,
    /// Streams by the time of their next periodic progress.
    ticks: BTreeSet<(Instant, u64)>,
    reads: Reads,
    heads: Heads,
    /// Scratch space of a flush.
    laggards: Vec<u64>,
}

impl Dispatcher {
    pub(super) fn new(hub: Arc<HubState>, mailbox: Arc<Mailbox>, jobs: Sender<ReadJob>) -> Self {
        let (cursor, revision) = hub.ring.head();
        Self {
            heads: Heads::new(hub.stamp(revision)),
            hub,
            mailbox,
            cursor,
            revision,
            walked: revision,
            flushed_at: None,
            flushed: 0,
            mostly_taken: 0,
            streams: HashMap::new(),
            watchers: HashMap::new(),
            last_key: 0,
            groups: Groups::default(),
            future: BTreeMap::new(),
            ticks: BTreeSet::new(),
            reads: Reads::new(jobs),
            laggards: Vec::new(),
        }
    }

    /// Works until the member stops.
    pub(super) fn run(mut self, life: &Lifecycle) {
        let mut stopped = pin!(life.stopped());
        let bell = Waker::from(Arc::new(StopBell(self.mailbox.clone())));
        let mut context = Context::from_waker(&bell);
        while stopped.as_mut().poll(&mut context).is_pending() {
            match self.step(clock::now()) {
                Rest::Nap(pause) => self.nap(life, pause),
                Rest::Until(deadline) => self.sleep(life, deadline),
            }
        }
    }

    /// Lets events gather; what is published does not wake, mail does.
    fn nap(&self, life: &Lifecycle, pause: Duration) {
        let wake = &self.mailbox.wake;
        wake.arm(true);
        if self.mailbox.has_mail() || life.is_stopping() {
            wake.disarm();
            return;
        }
        wake.sleep(Some(pause));
    }

    fn sleep(&self, life: &Lifecycle, deadline: Option<Instant>) {
        // Without watchers nothing that is published matters until a stream rings.
        let deep = self.watchers.is_empty();
        let wake = &self.mailbox.wake;
        wake.arm(deep);
        let published = self.hub.ring.published();
        let busy = !deep && !self.cursor.is_at(published);
        if busy || self.mailbox.has_mail() || life.is_stopping() {
            wake.disarm();
            return;
        }
        let pause = deadline.map(|deadline| deadline.saturating_duration_since(clock::now()));
        wake.sleep(pause);
    }

    /// Does what there is to do at `now`.
    pub(super) fn step(&mut self, now: Instant) -> Rest {
        // Only requests that are there before the walk are handled after it: what their clients had seen
        // was published, so it is walked.
        let rang = self.mailbox.take_rang(SERVED_PER_STEP);
        let rang: Vec<_> = rang.into_iter().map(|port| (port.answer(), port)).collect();
        let pages = self.mailbox.take_pages();
        self.walk();
        let wait = self.coalescing(now);
        if let Some(pause) = wait
            && rang.is_empty()
            && pages.is_empty()
        {
            return Rest::Nap(pause);
        }
        if self.walked > self.revision {
            self.flush();
            self.flushed_at = Some(now);
        }
        // The term may have changed although nothing was written.
        self.heads.renew(self.hub.stamp(self.revision));
        for page in pages {
            self.take_page(page);
        }
        for (requests, port) in rang {
            self.serve(&port, requests, now);
        }
        self.tick(now);
        self.start_reads();
        Rest::Until(self.ticks.first().map(|&(at, _)| at))
    }

    /// How long the pending events should wait for others.
    fn coalescing(&self, now: Instant) -> Option<Duration> {
        let pending = self.groups.pending_bytes();
        if pending == 0 || pending >= COALESCE_BYTES {
            return None;
        }
        let since = now.saturating_duration_since(self.flushed_at?);
        let config = &self.hub.config;
        let crowded = self.hub.limits.taken_frames.load(Ordering::Relaxed) < self.mostly_taken;
        // What is for a few waits for nobody, and what is for many not because of a few.
        let audience = self.groups.audience().min(self.flushed);
        let pause = match window(config, audience).checked_sub(since) {
            Some(pause) => pause,
            // Readers that are done sooner are noticed after a short nap.
            None if crowded => config
                .coalesce_crowded
                .checked_sub(since)?
                .min(config.coalesce),
            None => return None,
        };
        (!pause.is_zero()).then_some(pause)
    }

    /// Reads what is published and matches it.
    fn walk(&mut self) {
        let hub = self.hub.clone();
        if self.watchers.is_empty() {
            let (cursor, revision) = hub.ring.head();
            self.cursor = cursor;
            self.jump(revision);
            return;
        }
        let published = hub.ring.published();
        loop {
            match self.cursor.peek(&hub.ring, published) {
                Next::Entry(Entry::Change(change)) => {
                    let revision = change.id.revision;
                    if revision > self.walked && self.groups.pending_bytes() >= COALESCE_BYTES {
                        self.flush();
                        continue;
                    }
                    self.groups.add(change);
                    self.walked = revision;
                }
                Next::Entry(Entry::Jump(revision)) => {
                    let revision = *revision;
                    self.flush();
                    self.jump(revision);
                }
                Next::Lapped => {
                    // What is pending may end inside a revision. Nobody has received any of it.
                    self.groups.discard();
                    self.hub.counters.laps.fetch_add(1, Ordering::Relaxed);
                    let (cursor, revision) = hub.ring.head();
                    self.cursor = cursor;
                    self.jump(revision);
                    return;
                }
                Next::End => return,
            }
            self.cursor.advance();
        }
    }

    /// Offers what is pending to the synced watchers.
    fn flush(&mut self) {
        let next = self.revision.next();
        self.heads.renew(self.hub.stamp(self.walked));
        let mut laggards = std::mem::take(&mut self.laggards);
        // Before there is anything to take: readers are quick.
        let taken = self.hub.limits.taken_frames.load(Ordering::Relaxed);
        let mut flushed = self.groups.flush(&mut self.heads, &mut laggards);
        self.mostly_taken = taken + most(flushed.frames);
        self.flushed = flushed.frames;
        self.hub.wakes.wake(flushed.readers.take());
        let delivered = &self.hub.counters.delivered;
        delivered.fetch_add(flushed.events, Ordering::Relaxed);
        for key in laggards.drain(..) {
            self.fall_behind(key, next);
        }
        self.laggards = laggards;
        self.reach(self.walked);
    }

    /// Goes to a revision without having seen the changes up to it. Nothing is pending.
    fn jump(&mut self, revision: Revision) {
        let next = self.revision.next();
        if revision >= next {
            for key in self.groups.all_members() {
                self.fall_behind(key, next);
            }
        }
        self.reach(revision);
    }

    /// Every synced watcher has been offered everything up to `revision`.
    fn reach(&mut self, revision: Revision) {
        self.walked = revision;
        if revision == self.revision {
            return;
        }
        self.revision = revision;
        self.mailbox.set_revision(revision);
        self.heads.renew(self.hub.stamp(revision));
        while let Some(entry) = self.future.first_entry()
            && *entry.key() <= revision.next()
        {
            let (start, keys) = entry.remove_entry();
            for key in keys {
                self.start_at(key, start);
            }
        }
    }
}

/// The time between flushes to an audience of this size.
fn window(config: &HubConfig, audience: usize) -> Duration {
    let responses = u32::try_from(audience).unwrap_or(u32::MAX);
    let window = config.coalesce_per_response.saturating_mul(responses);
    window.min(config.coalesce_crowded).max(config.coalesce)
}

/// So many of a flush's frames are most of them: half of a few, and of many nearly all. Not quite all, since a
/// few readers may never read.
fn most(frames: usize) -> u64 {
    (frames - (frames / 2).min(8 + frames / 8)) as u64
}

impl Drop for Dispatcher {
    /// Ends every stream, also those that have just been opened, and also when the thread panics.
    fn drop(&mut self) {
        let late = self.mailbox.close();
        let served = self.streams.values().map(|stream| &stream.port);
        served.chain(&late).for_each(|port| port.end());
    }
}

/// Wakes a dispatcher when the member stops.
struct StopBell(Arc<Mailbox>);

impl TaskWake for StopBell {
    fn wake(self: Arc<Self>) {
        self.0.wake.call();
    }
}
