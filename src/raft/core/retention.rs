//! Which part of the log is kept, and the snapshots for those who need what is not.
//!
//! The log is cut only below what the state machine has flushed: the rest is its write-ahead log. Above
//! that rule it is kept for followers that lag, until it grows too large for that; a follower that needs
//! what is gone gets a snapshot, and the log behind that snapshot is kept for it under the same limit.

use std::sync::Arc;

use super::Core;
use crate::raft::types::Snapshot;

/// Ticks that a snapshot is kept after the last peer that needed one: another may need it soon, but its
/// hard links keep files alive.
const SNAPSHOT_IDLE_TICKS: usize = 100;

/// Snapshots on their way from the state machine to peers.
#[derive(Debug, Default)]
pub(super) struct Retention {
    /// The index that the snapshot being made will reach at least.
    making: Option<u64>,
    idle_ticks: usize,
}

impl Core {
    /// Takes a snapshot that was asked for with [`super::Output::make_snapshot`]. After a failure it is
    /// asked for again when a peer still needs it.
    pub(crate) fn snapshot_made(&mut self, made: Result<Snapshot, String>) {
        self.retention.making = None;
        self.retention.idle_ticks = 0;
        match made {
            Ok(snapshot) => {
                let old = self.raw.mut_store().snapshot.replace(Arc::new(snapshot));
                self.discarded.extend(old);
            }
            Err(error) => tracing::warn!(%error, "snapshot could not be made"),
        }
    }

    /// The index at or after which a snapshot must be made now.
    pub(super) fn wanted_snapshot(&mut self) -> Option<u64> {
        let wanted = self.raw.store().take_wanted()?;
        if self.retention.making.is_some() {
            return None;
        }
        self.retention.making = Some(self.applied);
        Some(wanted.max(1))
    }

    /// Lets go of a snapshot that nobody has needed for a while.
    pub(super) fn tick_snapshot(&mut self) {
        let in_use = self.progress().iter().any(|peer| peer.in_snapshot);
        self.retention.idle_ticks = if in_use {
            0
        } else {
            self.retention.idle_ticks + 1
        };
        if self.retention.idle_ticks > SNAPSHOT_IDLE_TICKS {
            let old = self.raw.mut_store().snapshot.take();
            self.discarded.extend(old);
        }
    }

    /// Gives up the part of the log that nobody needs.
    pub(super) fn cut_log(&mut self) {
        let target = self.cut_target();
        let batch = self.raw.mut_store().log.cut(target);
        self.loose.extend(batch);
    }

    fn cut_target(&self) -> u64 {
        if self.log().disk_bytes() > self.settings.max_log_bytes {
            return self.flushed;
        }
        let in_bytes = self
            .log()
            .reach_back(self.flushed, self.settings.catchup_bytes);
        let usual = self.flushed.saturating_sub(self.settings.catchup_entries);
        let usual = usual.max(in_bytes);
        let progress = self.progress();
        let slowest = progress
            .iter()
            .filter(|peer| peer.active && !peer.in_snapshot)
            .map(|peer| peer.matched);
        let in_snapshot = progress.iter().any(|peer| peer.in_snapshot);
        let sending = self.raw.store().snapshot.as_ref().filter(|_| in_snapshot);
        slowest
            .chain(sending.map(|snapshot| snapshot.state.index))
            .chain(self.retention.making)
            .fold(usual, u64::min)
    }
}
