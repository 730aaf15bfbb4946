//! Removal of snapshot directories that nobody needs any more.

use std::path::PathBuf;
use std::sync::Arc;

use crate::base::shutdown::Lifecycle;
use crate::raft::types::Snapshot;

/// Snapshots that are given up, until those who still read them are done.
#[derive(Debug, Default)]
pub(super) struct Discarded {
    waiting: Vec<Arc<Snapshot>>,
}

impl Discarded {
    /// Takes over snapshots that the core has given up.
    pub(super) fn extend(&mut self, snapshots: Vec<Arc<Snapshot>>) {
        self.waiting.extend(snapshots);
    }

    /// Removes what nobody reads any more, on a thread of its own: it may take the disk a while.
    pub(super) fn remove_unused(&mut self, life: &Lifecycle) {
        let (unused, used) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition::<Vec<_>, _>(|snapshot| Arc::strong_count(snapshot) == 1);
        self.waiting = used;
        if unused.is_empty() {
            return;
        }
        let dirs: Vec<PathBuf> = unused.iter().map(|snapshot| snapshot.dir.clone()).collect();
        let started = life.thread("raft-snap-rm", move || dirs.iter().for_each(remove));
        if let Err(error) = started {
            tracing::warn!(%error, "snapshots are left behind");
        }
    }
}

fn remove(dir: &PathBuf) {
    if let Err(error) = std::fs::remove_dir_all(dir) {
        tracing::warn!(dir = %dir.display(), %error, "snapshot is left behind");
    }
}
