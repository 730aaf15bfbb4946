//! The facade: one hub for each store.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam::channel::{self, Sender};

use super::budget::Budget;
use super::catch_up::{ReadJob, Reader};
use super::config::HubConfig;
use super::dispatcher::{Dispatcher, MAX_READS};
use super::frame::Stamp;
use super::outbox::OutboxLimits;
use super::port::{Mailbox, Port};
use super::ring::{Ring, RingLimits, RingWriter};
use super::wake::Wake;
use super::wakes::Wakes;
use super::{History, WatchFrames, WatchRequests};
use crate::base::change::Change;
use crate::base::ids::Revision;
use crate::base::shutdown::Lifecycle;

/// What the threads of a hub share; none of it is locked.
pub(super) struct HubState {
    pub config: HubConfig,
    pub ring: Arc<Ring>,
    pub history: Arc<dyn History>,
    pub counters: Counters,
    pub limits: Arc<OutboxLimits>,
    /// Of the keys that watchers name.
    pub keys: Budget,
    pub wakes: Arc<Wakes>,
    /// The bell of who follows the ring from outside (`follow`).
    pub follower: Arc<Wake>,
}

impl HubState {
    /// The header of responses at `revision`.
    pub(super) fn stamp(&self, revision: Revision) -> Stamp {
        Stamp {
            cluster_id: self.config.cluster_id,
            member_id: self.config.member_id,
            revision,
            term: self.config.term.load(Ordering::Relaxed),
        }
    }
}

/// Kept by the dispatchers, read by anyone.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub streams: AtomicUsize,
    pub watchers: AtomicUsize,
    pub behind: AtomicUsize,
    pub delivered: AtomicU64,
    pub laps: AtomicU64,
}

/// What a hub is doing, for metrics. The numbers are read one after the other while it works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HubStats {
    /// Open streams.
    pub streams: usize,
    /// Watchers, without those that were cancelled because of compaction.
    pub watchers: usize,
    /// Watchers that follow the ring, or wait for a future revision.
    pub synced: usize,
    /// Watchers that have yet to catch up.
    pub behind: usize,
    /// Events handed to streams since the start.
    pub delivered_events: u64,
    /// Responses that wait for their readers.
    pub pending_responses: usize,
    /// Memory of those responses.
    pub pending_bytes: usize,
    /// The ring.
    pub ring: RingStats,
}

/// What the ring keeps, and how its dispatchers follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RingStats {
    /// Changes kept.
    pub changes: u64,
    /// Bytes of the changes in closed segments.
    pub bytes: usize,
    /// Revisions that the slowest dispatcher that has watchers has yet to offer.
    pub lag: u64,
    /// Times that a dispatcher was lapped, since the start.
    pub laps: u64,
}

/// Why a stream cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The member is stopping.
    #[error("the member is stopping")]
    Stopped,
    /// As many streams are open as may be.
    #[error("too many watch streams")]
    TooManyStreams,
}

/// Serves watch streams. Cheap to clone; every clone is the same hub.
#[derive(Clone)]
pub struct Hub {
    state: Arc<HubState>,
    mailboxes: Arc<[Arc<Mailbox>]>,
    opened: Arc<AtomicU64>,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hub").field(&self.stats()).finish()
    }
}

/// A hub whose threads have not been started.
pub(super) struct Parts {
    pub hub: Hub,
    pub publisher: Publisher,
    pub dispatchers: Vec<Dispatcher>,
    pub reader: Reader,
}

impl Hub {
    /// Starts a hub for a store that is at revision `start`, with threads that end when `life` is
    /// stopped.
    ///
    /// # Errors
    /// What the system says when it cannot start a thread.
    pub fn start(
        config: HubConfig,
        history: Arc<dyn History>,
        life: &Lifecycle,
        start: Revision,
    ) -> io::Result<(Self, Publisher)> {
        let history_threads = config.history_threads.max(1);
        let parts = Self::assemble(config, history, start);
        for dispatcher in parts.dispatchers {
            let stop = life.clone();
            life.thread("watch-dispatch", move || dispatcher.run(&stop))?;
        }
        for _ in 0..history_threads {
            let reader = parts.reader.clone();
            life.thread("watch-history", move || reader.run())?;
        }
        Ok((parts.hub, parts.publisher))
    }

    /// Wakes the readers of streams, for as long as it is polled: a task of the runtime does it more cheaply
    /// than the hub's own threads, which do it otherwise.
    pub fn wake_readers(&self) -> impl Future<Output = ()> + Send + use<> {
        Arc::clone(&self.state.wakes).hand_out()
    }

    pub(super) fn assemble(config: HubConfig, history: Arc<dyn History>, start: Revision) -> Parts {
        let limits = RingLimits {
            segment_slots: config.segment_changes,
            segments: config.ring_segments,
            bytes: config.ring_bytes,
        };
        let (writer, ring) = RingWriter::new(limits, start);
        let count = config.dispatchers.max(1);
        let mailboxes: Arc<[_]> = (0..count).map(|_| Arc::new(Mailbox::new(start))).collect();
        // A place for every read that the dispatchers may have under way, so sending never waits.
        let (sender, jobs) = channel::bounded(count * MAX_READS);
        let follower = Arc::new(Wake::new());
        let hub = Self {
            state: Arc::new(HubState {
                limits: Arc::new(outbox_limits(&config)),
                keys: Budget::new(config.key_bytes),
                wakes: Arc::default(),
                follower: Arc::clone(&follower),
                config,
                ring: ring.clone(),
                history: history.clone(),
                counters: Counters::default(),
            }),
            mailboxes: mailboxes.clone(),
            opened: Arc::default(),
        };
        Parts {
            dispatchers: hub.dispatchers(&sender),
            hub,
            publisher: Publisher {
                writer,
                mailboxes,
                follower,
            },
            reader: Reader {
                ring,
                history,
                jobs,
            },
        }
    }

    pub(super) fn state(&self) -> &Arc<HubState> {
        &self.state
    }

    fn dispatchers(&self, jobs: &Sender<ReadJob>) -> Vec<Dispatcher> {
        let mailboxes = self.mailboxes.iter();
        mailboxes
            .map(|mailbox| Dispatcher::new(self.state.clone(), mailbox.clone(), jobs.clone()))
            .collect()
    }

    /// Opens a stream.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&self) -> Result<(WatchRequests, WatchFrames), OpenError> {
        if self.state.counters.streams.load(Ordering::Relaxed) >= self.state.config.max_streams {
            return Err(OpenError::TooManyStreams);
        }
        let key = self.opened.fetch_add(1, Ordering::Relaxed);
        let turn = usize::try_from(key).unwrap_or_default() % self.mailboxes.len();
        let mailbox = self.mailboxes.get(turn);
        let mailbox = mailbox.expect("a turn is below the number of mailboxes");
        let port = Port::open(key, self.state.limits.clone(), mailbox.clone());
        let port = port.ok_or(OpenError::Stopped)?;
        Ok((WatchRequests::new(port.clone()), WatchFrames::new(port)))
    }

    /// What the hub is doing now.
    pub fn stats(&self) -> HubStats {
        let counters = &self.state.counters;
        let watchers = counters.watchers.load(Ordering::Relaxed);
        let behind = counters.behind.load(Ordering::Relaxed).min(watchers);
        HubStats {
            streams: counters.streams.load(Ordering::Relaxed),
            watchers,
            synced: watchers - behind,
            behind,
            delivered_events: counters.delivered.load(Ordering::Relaxed),
            pending_responses: self.state.limits.waiting_frames.load(Ordering::Relaxed),
            pending_bytes: self.state.limits.waiting_bytes.load(Ordering::Relaxed),
            ring: self.ring_stats(),
        }
    }

    fn ring_stats(&self) -> RingStats {
        // Before the head: a dispatcher is never ahead of that.
        let following = self
            .mailboxes
            .iter()
            .filter_map(|mailbox| mailbox.follows());
        let slowest = following.min();
        let (_, head) = self.state.ring.head();
        let lag = slowest.map_or(0, |reached| head.get() - reached.get());
        let (changes, bytes) = self.state.ring.kept();
        RingStats {
            changes,
            bytes,
            lag: u64::try_from(lag).unwrap_or_default(),
            laps: self.state.counters.laps.load(Ordering::Relaxed),
        }
    }
}

fn outbox_limits(config: &HubConfig) -> OutboxLimits {
    OutboxLimits {
        frames: config.stream_buffer_frames,
        bytes: config.stream_buffer_bytes,
        hub_bytes: config.buffer_bytes,
        waiting_frames: AtomicUsize::new(0),
        taken_frames: AtomicU64::new(0),
        waiting_bytes: AtomicUsize::new(0),
    }
}

/// The apply thread's end: the only writer of the ring. Never waits for a reader and shares no lock with
/// one.
#[derive(Debug)]
pub struct Publisher {
    writer: RingWriter,
    mailboxes: Arc<[Arc<Mailbox>]>,
    follower: Arc<Wake>,
}

impl Publisher {
    /// Shows changes to the watchers: whole revisions, in order, after the last ones, and already
    /// readable as history. Waiters of these changes are answered after this returns, so that whoever
    /// saw an answer and then creates a watcher "from now on" does not see its own write.
    pub fn publish(&mut self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        self.writer.publish(changes);
        self.hint();
    }

    /// The store is at `revision` now and the changes up to it were not published (a snapshot was
    /// installed). Every watcher reads on from history.
    pub fn reset(&mut self, revision: Revision) {
        self.writer.jump(revision);
        self.hint();
    }

    fn hint(&self) {
        self.mailboxes
            .iter()
            .for_each(|mailbox| mailbox.wake.hint());
        self.follower.hint();
    }
}
