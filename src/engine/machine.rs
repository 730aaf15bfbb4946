//! Where the consensus layer meets the engine: committed entries go to the apply thread, snapshots are
//! made and taken on threads of their own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use crossbeam::channel::{Sender, bounded};

use super::apply::Task;
use super::meta;
use super::view::Views;
use crate::base::clock;
use crate::base::handover;
use crate::base::ids::MemberId;
use crate::base::metrics::{Histogram, Metrics};
use crate::raft::{AppliedState, Committed, NodeHandle, Snapshot, StateMachine, Status};
use crate::storage::Store;

/// The engine as the consensus layer sees it.
pub(super) struct Machine {
    pub(super) tasks: handover::Sender<Task>,
    pub(super) snapshots: Sender<u64>,
    /// Counts the log bytes handed over, for the flusher.
    pub(super) log_bytes: Arc<AtomicU64>,
    /// Commands of the largest entry since somebody last asked.
    pub(super) largest_round: Arc<AtomicUsize>,
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
        let rounds = entries.iter().map(|entry| entry.commands.len());
        self.largest_round
            .fetch_max(rounds.clone().max().unwrap_or(0), Ordering::Relaxed);
        let sizes = &self.metrics.holdfast.entry_commands;
        rounds
            .filter(|&commands| commands > 0)
            .for_each(|commands| sizes.observe(commands as f64));
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
        make_snapshot(&store, dir)
    }
}

/// What succeeds belongs to the consensus layer, which removes it when nobody reads it any more; what fails
/// is removed here.
fn make_snapshot(store: &Store, dir: PathBuf) -> Result<Snapshot, String> {
    let checkpoint = store.checkpoint(&dir).map_err(|error| error.to_string());
    match checkpoint.and_then(|()| state_in(&dir)) {
        Ok(state) => Ok(Snapshot { state, dir }),
        Err(error) => {
            if dir.exists()
                && let Err(error) = std::fs::remove_dir_all(&dir)
            {
                tracing::warn!(path = %dir.display(), %error, "a failed snapshot is left behind");
            }
            Err(error)
        }
    }
}

/// The state that a copy of a store holds.
fn state_in(dir: &Path) -> Result<AppliedState, String> {
    let copy = Store::open_read_only(dir).map_err(|error| error.to_string())?;
    meta::applied_state(&copy)
        .map_err(|error| error.to_string())?
        .ok_or_else(|| "the copy holds no applied state".to_owned())
}

/// Refuses a received snapshot whose files are not the state that it was announced as: the log would go on
/// after an index that the state has not reached, and nothing would ever tell.
pub(super) fn check_received(snapshot: &Snapshot) -> Result<(), String> {
    let found = state_in(&snapshot.dir)?;
    if found == snapshot.state {
        return Ok(());
    }
    let (announced, found) = (&snapshot.state, &found);
    Err(format!(
        "announced as {announced:?}, its files hold {found:?}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mvcc::{self, Session};
    use crate::raft::Configuration;
    use crate::storage::StoreOptions;

    fn store(dir: &Path, index: u64) -> Store {
        let store = Store::open(dir, &StoreOptions::default()).unwrap();
        let state = mvcc::load_state(&store).unwrap();
        let mut session = Session::begin(&store, state);
        meta::put_configuration(&mut session, &Configuration::default()).unwrap();
        meta::put_applied(&mut session, index, 2).unwrap();
        store.write(session.finish().batch).unwrap();
        store
    }

    #[test]
    fn a_snapshot_is_what_its_files_hold() {
        let root = tempfile::tempdir().unwrap();
        let store = store(&root.path().join("db"), 7);
        let mut snapshot = make_snapshot(&store, root.path().join("copy")).unwrap();
        assert_eq!((snapshot.state.index, snapshot.state.term), (7, 2));
        assert_eq!(check_received(&snapshot), Ok(()));
        snapshot.state.index = 8;
        let refused = check_received(&snapshot).unwrap_err();
        assert!(refused.contains("index: 8"), "{refused}");
        std::fs::remove_file(snapshot.dir.join("CURRENT")).unwrap();
        assert!(check_received(&snapshot).is_err());
    }

    #[test]
    fn a_snapshot_that_cannot_be_made_leaves_nothing_and_harms_no_other() {
        let root = tempfile::tempdir().unwrap();
        let good = store(&root.path().join("good"), 7);
        let first = make_snapshot(&good, root.path().join("0000000001")).unwrap();
        let empty = Store::open(&root.path().join("empty"), &StoreOptions::default()).unwrap();
        for number in 2..5 {
            let dir = root.path().join(format!("{number:010}"));
            assert!(make_snapshot(&empty, dir.clone()).is_err());
            assert!(!dir.exists());
        }
        assert_eq!(check_received(&first), Ok(()));
    }
}
