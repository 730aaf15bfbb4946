//! Threads that keep the disk in order behind the apply thread: none of them holds up a read or a write.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam::channel::Receiver;
use tokio::sync::watch;

use super::quota::Quota;
use super::view::Views;
use super::waiters::AppliedIndex;
use crate::base::clock;
use crate::base::ids::Revision;
use crate::base::metrics::{Histogram, MvccMetrics};
use crate::base::shutdown::Lifecycle;
use crate::raft::NodeHandle;

/// Log bytes after which memory tables are flushed: bounds what a restart replays.
const FLUSH_BYTES: u64 = 64 << 20;
/// How long applied entries may stay unflushed while the store is otherwise idle.
const FLUSH_INTERVAL: Duration = Duration::from_secs(30);
/// How often the flusher looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Removes compacted history when the apply thread has compacted.
pub(super) struct Compactor {
    pub(super) views: Arc<Views>,
    pub(super) removed: watch::Sender<Revision>,
    pub(super) quota: Arc<Quota>,
    pub(super) metrics: MvccMetrics,
    pub(super) life: Lifecycle,
}

impl Compactor {
    pub(super) fn run(self, compactions: &Receiver<Revision>) {
        while let Ok(first) = compactions.recv() {
            // Only the newest matters: it covers the others.
            let compacted = compactions.try_iter().fold(first, Ord::max);
            let store = Arc::clone(&self.views.load().store);
            let began = clock::now();
            if let Err(error) = store.drop_history(compacted) {
                self.life.fail("compaction", &error);
                return;
            }
            let took = clock::now().saturating_duration_since(began);
            self.metrics
                .compaction_duration
                .observe(took.as_secs_f64() * 1000.0);
            let now = clock::unix_time().as_secs();
            let now = i64::try_from(now).unwrap_or(i64::MAX);
            self.metrics.last_compaction.set(now);
            self.quota.measure(&store);
            self.removed.send_replace(compacted);
        }
    }
}

/// Flushes memory tables now and then, and tells the log how much of it is no longer needed.
pub(super) struct Flusher {
    pub(super) views: Arc<Views>,
    pub(super) applied: Arc<AppliedIndex>,
    pub(super) log_bytes: Arc<AtomicU64>,
    pub(super) node: NodeHandle,
    pub(super) quota: Arc<Quota>,
    /// How long flushes take.
    pub(super) flushes: Histogram,
    pub(super) life: Lifecycle,
}

impl Flusher {
    pub(super) fn run(self) {
        let mut flushed_index = self.applied.get();
        let mut flushed_bytes = 0;
        let mut flushed_at = clock::now();
        while !self.life.is_stopping() {
            std::thread::park_timeout(LOOK_INTERVAL);
            self.quota.measure(&self.views.load().store);
            let bytes = self.log_bytes.load(Ordering::Relaxed);
            let due = clock::now().duration_since(flushed_at) >= FLUSH_INTERVAL;
            let index = self.applied.get();
            if index == flushed_index || !(due || bytes - flushed_bytes >= FLUSH_BYTES) {
                continue;
            }
            // The index is read before the flush: everything up to it is in what is flushed.
            let store = Arc::clone(&self.views.load().store);
            let began = clock::now();
            if let Err(error) = store.flush() {
                self.life.fail("flush", &error);
                return;
            }
            self.flushes.since(began);
            self.node.flushed(index);
            (flushed_index, flushed_bytes, flushed_at) = (index, bytes, clock::now());
        }
    }
}
