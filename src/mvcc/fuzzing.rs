//! The check of commands as a whole: a store and the plain model of the tests, which must never differ.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "tests/model.rs"]
#[allow(dead_code, reason = "the tests ask the model for more")]
mod model;

use self::model::Model;
use super::ops::{Op, Txn};
use super::{Applied, Session, State, load_state, read};
use crate::base::ids::{LeaseId, Revision};
use crate::storage::{Store, StoreOptions};

/// A step of a script: a command that passed the checks of the API, or the end of a run of commands.
#[derive(Debug, Clone)]
pub enum Step {
    /// An operation by itself.
    Op(Op),
    /// Discard history below a revision.
    Compact(i64),
    /// Grant a lease.
    Grant(LeaseId, i64),
    /// Revoke a lease and delete its keys.
    Revoke(LeaseId),
    /// Write the commands since the last such step to the store, as one batch.
    Write,
}

/// Plays scripts on a store and on the model at the same time.
#[derive(Debug)]
pub struct Twins {
    dir: PathBuf,
    /// A store to which nothing was written. Making one takes longer than most scripts.
    empty: Option<Store>,
}

impl Twins {
    /// Uses a directory of its own for stores.
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            empty: None,
        }
    }

    /// Plays a script on a new store. Every answer is the model's, and so is the state after every command.
    pub fn play(&mut self, script: &[Step]) {
        let store = self.empty.take().unwrap_or_else(|| fresh(&self.dir));
        let mut state = load_state(&store).expect("a new store reads");
        let mut model = Model::default();
        let mut runs = script.split(|step| matches!(step, Step::Write)).peekable();
        let mut clean = true;
        while let Some(run) = runs.next() {
            let mut session = Session::begin(&store, state);
            for step in run {
                apply(&mut session, &mut model, step);
            }
            if runs.peek().is_some() {
                let Applied {
                    batch,
                    state: after,
                    ..
                } = session.finish();
                store.write(batch).expect("scratch space is writable");
                state = after;
                clean = false;
                run.iter()
                    .for_each(|step| compare_reads(&store, state, &model, step));
            }
        }
        self.empty = clean.then_some(store);
    }
}

fn fresh(dir: &Path) -> Store {
    // Nothing is there the first time.
    let _ = fs::remove_dir_all(dir);
    let options = StoreOptions {
        block_cache: 1 << 20,
        write_buffer: 1 << 20,
        write_buffers: 4 << 20,
        background_jobs: 1,
    };
    Store::open(dir, &options).expect("scratch space is writable")
}

fn apply(session: &mut Session<'_>, model: &mut Model, step: &Step) {
    match step {
        Step::Op(Op::Put(op)) => assert_eq!(session.put(op), model.put(op)),
        Step::Op(Op::Delete(op)) => assert_eq!(session.delete(op), Ok(model.delete(op))),
        Step::Op(Op::Txn(txn)) => assert_eq!(session.txn(txn), model.txn(txn)),
        Step::Op(Op::Range(_)) => {
            let Step::Op(op) = step else { return };
            let txn = Txn {
                success: vec![op.clone()],
                ..Txn::default()
            };
            assert_eq!(session.txn(&txn), model.txn(&txn));
        }
        Step::Compact(revision) => assert_eq!(session.compact(*revision), model.compact(*revision)),
        Step::Grant(id, ttl) if !id.is_none() => {
            assert_eq!(session.lease_grant(*id, *ttl), model.grant(*id, *ttl));
        }
        Step::Revoke(id) => assert_eq!(session.lease_revoke(*id), model.revoke(*id)),
        Step::Grant(..) | Step::Write => {}
    }
    let expected = State {
        revision: Revision(model.revision),
        compacted: model.compacted.map(Revision),
    };
    assert_eq!(session.state(), expected);
}

/// Asks the store itself what a script's ranges ask, at every revision.
fn compare_reads(store: &Store, state: State, model: &Model, step: &Step) {
    let Step::Op(Op::Range(op)) = step else {
        return;
    };
    for revision in 0..=model.revision + 1 {
        let mut op = op.clone();
        op.revision = (revision > 0).then_some(Revision(revision));
        assert_eq!(read::range(store, state, &op), model.range(&op));
    }
}
