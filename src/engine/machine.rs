//! Where the consensus layer meets the engine: committed entries go to the apply thread, snapshots are
//! made and taken on threads of their own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use crossbeam::channel::{Sender, bounded};

use super::apply::Task;
use super::meta;
use super::view::Views;
use crate::base::clock;
use crate::base::ids::MemberId;
use crate::base::metrics::{Histogram, Metrics};
use crate::raft::{Committed, NodeHandle, Snapshot, StateMachine, Status};
use crate::storage::Store;

/// The engine as the consensus layer sees it.
pub(super) struct Machine {
    pub(super) tasks: Sender<Task>,
    pub(super) snapshots: Sender<u64>,
    /// Counts the log bytes handed over, for the flusher.
    pub(super) log_bytes: Arc<AtomicU64>,
    /// The current term, for the headers of responses.
    pub(super) term: Arc<AtomicU64>,
    /// The leader as last heard, to count changes.
    pub(super) leader: MemberId,
    pub(super) metrics: Arc<Metrics>,
}

impl StateMachine for Machine {
    fn apply(&mut self, entries: Vec<Committed>) {
        let commands = entries.iter().flat_map(|entry| &entry.commands);
        let bytes: usize = commands.map(Bytes::len).sum();
        self.log_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        // The consensus layer hands over no more than its own bound of unapplied entries, which is below
        // this queue's: sending does not block. It fails only when the member stops.
        let _ = self.tasks.send(Task::Entries(entries));
    }

    fn install(&mut self, snapshot: Snapshot) -> Result<(), String> {
        let (done, outcome) = bounded(1);
        let stopped = || "the apply thread has stopped".to_owned();
        self.tasks
            .send(Task::Install(snapshot, done))
            .map_err(|_| stopped())?;
        outcome.recv().map_err(|_| stopped())?
    }

    fn make_snapshot(&mut self, index: u64) {
        // The queue holds one: the consensus layer asks again only after an answer.
        let _ = self.snapshots.try_send(index);
    }

    fn status_changed(&mut self, status: &Status) {
        self.term.fetch_max(status.term, Ordering::Relaxed);
        if status.leader != MemberId::NONE && status.leader != self.leader {
            self.leader = status.leader;
            self.metrics.server.leader_changes.inc();
        }
        tracing::info!(
            role = ?status.role,
            term = status.term,
            leader = %status.leader,
            "raft status changed"
        );
    }
}

/// Makes snapshots when asked: checkpoints of the live store, which goes on being written meanwhile.
pub(super) struct SnapshotMaker {
    pub(super) views: Arc<Views>,
    pub(super) node: NodeHandle,
    pub(super) root: PathBuf,
    /// How long making one takes.
    pub(super) copies: Histogram,
}

impl SnapshotMaker {
    pub(super) fn run(self, requests: &crossbeam::channel::Receiver<u64>) {
        let mut number = 0_u64;
        while requests.recv().is_ok() {
            number += 1;
            let began = clock::now();
            let made = self.make(number);
            match &made {
                Ok(_) => self.copies.since(began),
                Err(error) => tracing::warn!(%error, "cannot make a snapshot"),
            }
            self.node.snapshot_made(made);
        }
    }

    /// The checkpoint is consistent by itself: every write carries its applied index, so the index that is
    /// found inside is the index of the data.
    fn make(&self, number: u64) -> Result<Snapshot, String> {
        let dir = self.root.join(format!("{number:010}"));
        let store = Arc::clone(&self.views.load().store);
        remove_all_but(&self.root, &[number.saturating_sub(1)]);
        store.checkpoint(&dir).map_err(|error| error.to_string())?;
        let copy = Store::open_read_only(&dir).map_err(|error| error.to_string())?;
        let state = meta::applied_state(&copy)
            .map_err(|error| error.to_string())?
            .ok_or("the checkpoint holds no applied state")?;
        Ok(Snapshot { state, dir })
    }
}

/// Removes older snapshots; the newest may still be on its way to a member.
fn remove_all_but(root: &Path, keep: &[u64]) {
    let Ok(entries) = std::fs::read_dir(root) else {
        return;
    };
    for entry in entries.flatten() {
        let number = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u64>().ok());
        if number.is_some_and(|number| !keep.contains(&number))
            && let Err(error) = std::fs::remove_dir_all(entry.path())
        {
            tracing::warn!(path = %entry.path().display(), %error, "cannot remove an old snapshot");
        }
    }
}
