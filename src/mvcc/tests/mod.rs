//! Tests of the whole module: against a plain model, and of its promises one by one.

mod against_model;
mod compaction;
mod concurrency;
mod determinism;
mod durability;
mod golden_hash;
mod model;
mod recent;
mod rules;
mod state_hash;
mod strategies;

use bytes::Bytes;
use tempfile::TempDir;

use super::ops::{PutOp, RangeOp, RangeResult};
use super::recent::{Limits, Recent};
use super::{MvccError, Session, State, load_state, read};
use crate::base::ids::{LeaseId, Revision};
use crate::base::range::KeyRange;
use crate::storage::{Store, StoreOptions};

/// A store in a directory of its own, with the state that was written last.
struct Fixture {
    // Closed before its directory is removed.
    store: Option<Store>,
    state: State,
    recent: Recent,
    dir: TempDir,
}

/// So few that some go with almost every write, and those with the longest key and value never stay.
const FEW: Limits = Limits {
    records: 3,
    bytes: 700,
    record_bytes: 40,
};

impl Fixture {
    fn new() -> Self {
        Self::with_limits(FEW)
    }

    /// A fixture whose writer keeps so many of its records.
    fn with_limits(limits: Limits) -> Self {
        let dir = TempDir::new().unwrap();
        let store = open(&dir);
        let state = load_state(&store).unwrap();
        Self {
            dir,
            store: Some(store),
            state,
            recent: Recent::with_limits(limits),
        }
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    /// Runs commands as one session and writes what they did.
    fn run<T>(&mut self, commands: impl FnOnce(&mut Session<'_>) -> T) -> T {
        let store = self.store.as_ref().unwrap();
        let mut session = Session::begin_with(&mut self.recent, store, self.state);
        let result = commands(&mut session);
        let applied = session.finish();
        self.state = applied.state;
        self.recent.write(store, applied).unwrap();
        self.recent.assert_agrees(store, self.state);
        result
    }

    fn put(&mut self, key: &str, value: &str) -> Revision {
        self.run(|session| session.put(&put(key, value)).unwrap());
        self.state.revision
    }

    fn delete(&mut self, key: &str) -> Revision {
        let op = super::ops::DeleteOp {
            range: point(key),
            prev_kv: false,
        };
        self.run(|session| session.delete(&op).unwrap());
        self.state.revision
    }

    fn compact(&mut self, revision: i64) {
        self.run(|session| session.compact(revision).unwrap());
    }

    /// Removes what compaction made invisible, everywhere.
    fn collect_garbage(&self) {
        let below = self.state.compacted.unwrap_or_default();
        self.store().drop_history(below).unwrap();
        self.store().compact_all().unwrap();
    }

    fn reopen(&mut self) {
        self.store().flush().unwrap();
        self.store = None;
        self.store = Some(open(&self.dir));
        self.state = load_state(self.store()).unwrap();
    }

    fn range(&self, op: &RangeOp) -> Result<RangeResult, MvccError> {
        read::range(self.store(), self.state, op)
    }

    /// Everything at a revision.
    fn all_at(&self, revision: Revision) -> Result<RangeResult, MvccError> {
        self.range(&RangeOp {
            revision: Some(revision),
            ..RangeOp::new(KeyRange::all())
        })
    }
}

/// Small buffers, so that a test that wants files gets them from few writes.
fn options() -> StoreOptions {
    StoreOptions {
        block_cache: 1 << 20,
        write_buffer: 1 << 20,
        write_buffers: 4 << 20,
        background_jobs: 1,
    }
}

fn open(dir: &TempDir) -> Store {
    Store::open(&dir.path().join("state"), &options()).unwrap()
}

fn key(key: &str) -> Bytes {
    Bytes::copy_from_slice(key.as_bytes())
}

fn point(name: &str) -> KeyRange {
    KeyRange::point(key(name))
}

fn put(name: &str, value: &str) -> PutOp {
    PutOp::new(key(name), key(value))
}

fn leased(name: &str, lease: i64) -> PutOp {
    PutOp {
        lease: LeaseId(lease),
        ..put(name, "leased")
    }
}
