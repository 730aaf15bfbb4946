//! The thread that keeps the views: walks the ring, publishes each new world, and tells the watchers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crossbeam::channel::Receiver;

use super::event::Event;
use super::watchers::Watchers;
use super::world::{Stored, World};
use super::{Shared, WatchAsked, WatchError, WatchOpened, WatchStart};
use crate::base::change::{Change, ChangeKind};
use crate::base::kv::{self, KvView};
use crate::base::shutdown::Lifecycle;
use crate::base::wire::{Field, FieldReader};
use crate::kube::metrics::KubeMetrics;
use crate::watch::{Follower, HistoryError};

/// Events and their bytes that are kept for watchers that come back.
const KEPT_EVENTS: usize = 100_000;
const KEPT_BYTES: usize = 64 << 20;
/// The longest sleep: how late the end of the member is noticed.
const NAP: Duration = Duration::from_millis(100);
/// Between looks for watchers whose clients are gone.
const SWEEP_EVERY: u32 = 50;

/// See the module comment.
pub(super) struct Feeder {
    pub(super) shared: Arc<Shared>,
    pub(super) follower: Follower,
    pub(super) asked: Receiver<WatchAsked>,
    metrics: Arc<KubeMetrics>,
    /// The prefix of everything that is kept.
    pub(super) root: Bytes,
    world: World,
    watchers: Watchers,
    recent: VecDeque<Arc<Event>>,
    recent_bytes: usize,
    /// Every event above this revision is in `recent`.
    complete_above: i64,
}

impl Feeder {
    pub(super) fn new(
        shared: Arc<Shared>,
        follower: Follower,
        (asked, metrics): (Receiver<WatchAsked>, Arc<KubeMetrics>),
        root: Bytes,
        world: World,
    ) -> Self {
        Self {
            complete_above: world.revision,
            shared,
            follower,
            asked,
            metrics,
            root,
            world,
            watchers: Watchers::default(),
            recent: VecDeque::new(),
            recent_bytes: 0,
        }
    }

    /// Works until the member stops. `reload` reads a whole world from the store, where history has been
    /// compacted away under this thread.
    pub(super) fn run(mut self, life: &Lifecycle, reload: impl Fn() -> Result<World, String>) {
        let mut idle = 0;
        while !life.is_stopping() {
            match self.step() {
                Ok(true) => idle = 0,
                Ok(false) => {
                    idle += 1;
                    if idle % SWEEP_EVERY == 0 {
                        self.watchers.sweep();
                    }
                    self.follower.sleep(NAP, || !self.asked.is_empty());
                }
                Err(HistoryError::Compacted(_)) => self.begin_anew(&reload),
                Err(error @ HistoryError::Storage(_)) => {
                    tracing::error!(%error, "the views cannot follow the store");
                    std::thread::sleep(NAP);
                }
            }
        }
    }

    /// Takes what has been published, then answers who asks: a watcher therefore begins at the revision of
    /// the world that it is given, with every later event to come.
    fn step(&mut self) -> Result<bool, HistoryError> {
        let mut told = Vec::new();
        let Self {
            follower,
            world,
            root,
            ..
        } = self;
        let walked = follower.walk(|change| {
            if change.key.starts_with(root)
                && let Some(event) = advance(world, change)
            {
                told.push(Arc::new(event));
            }
        });
        world.revision = follower.reached().get();
        for event in &told {
            let series = self.metrics.places.of_key(&event.key);
            if let Some(series) = &series {
                series.received.inc();
                series.dispatched.inc();
            }
            let ended = self.watchers.tell(event);
            if let Some(series) = &series {
                series.terminated.add(ended);
            }
        }
        told.into_iter().for_each(|event| self.keep(event));
        let mut worked = walked?;
        if !self.follower.is_whole() {
            return Ok(true);
        }
        // After the watchers have been told: whoever learns of the revision finds its events queued.
        self.shared.publish(&self.world);
        while let Ok(WatchAsked {
            start,
            prefix,
            reply,
        }) = self.asked.try_recv()
        {
            // Gone already if nobody waits for the answer.
            let _ = reply.send(self.open(start, &prefix));
            worked = true;
        }
        Ok(worked)
    }

    fn open(&mut self, start: WatchStart, prefix: &Bytes) -> Result<WatchOpened, WatchError> {
        let mut opened = WatchOpened {
            world: None,
            backlog: Vec::new(),
            revision: self.world.revision,
            events: self.watchers.add(prefix.clone()),
        };
        match start {
            WatchStart::State => opened.world = Some(self.world.clone()),
            WatchStart::Now => {}
            WatchStart::After(revision) if revision < self.complete_above => {
                return Err(WatchError::TooOld {
                    oldest: self.complete_above,
                });
            }
            WatchStart::After(revision) => {
                let from = self
                    .recent
                    .partition_point(|event| event.revision <= revision);
                let wanted = self.recent.iter().skip(from);
                let wanted = wanted.filter(|event| is_within(&event.key, prefix));
                opened.backlog = wanted.cloned().collect();
            }
        }
        Ok(opened)
    }

    fn keep(&mut self, event: Arc<Event>) {
        self.recent_bytes += event.weight();
        self.recent.push_back(event);
        // Whole revisions leave together, so that what is left is complete above the last one that left.
        while self.recent.len() > KEPT_EVENTS || self.recent_bytes > KEPT_BYTES {
            let Some(oldest) = self.recent.pop_front() else {
                break;
            };
            self.recent_bytes -= oldest.weight();
            self.complete_above = oldest.revision;
        }
    }

    fn begin_anew(&mut self, reload: &impl Fn() -> Result<World, String>) {
        tracing::warn!(
            "history was compacted before the views had read it; reading everything again"
        );
        match reload() {
            Ok(world) => {
                self.watchers.end_all();
                self.recent.clear();
                self.recent_bytes = 0;
                self.complete_above = world.revision;
                self.follower
                    .skip_to(crate::base::ids::Revision(world.revision));
                self.world = world;
                self.shared.publish(&self.world);
            }
            Err(error) => {
                tracing::error!(%error, "the views cannot read the store");
                std::thread::sleep(NAP);
            }
        }
    }
}

/// Whether a key is the one named by `prefix` or below it.
fn is_within(key: &[u8], prefix: &[u8]) -> bool {
    key == prefix || (prefix.ends_with(b"/") && key.starts_with(prefix))
}

/// Takes a change over into the world. None if it says nothing, which is a defect of who wrote it.
fn advance(world: &mut World, change: &Change) -> Option<Event> {
    let revision = change.id.revision.get();
    let key = change.key.clone();
    world.touch(&key, revision);
    let (now, before) = match change.kind {
        ChangeKind::Put => {
            let value = Bytes::copy_from_slice(written(&change.event)?.value);
            let stored = Arc::new(Stored::new(key.clone(), value, revision));
            (Some(Arc::clone(&stored)), world.put(stored))
        }
        ChangeKind::Delete => (None, world.remove(&key)),
    };
    Some(Event::new(revision, key, now, before))
}

/// The key-value of an encoded `mvccpb.Event`.
fn written(event: &[u8]) -> Option<KvView<'_>> {
    let mut fields = FieldReader::new(event);
    while let Ok(Some(field)) = fields.next_field() {
        if let Field::Bytes(2, kv) = field {
            return kv::decode_body(kv).ok();
        }
    }
    None
}
