//! The apply thread: the single writer of the state machine.
//!
//! It takes whole runs of committed entries, evaluates their commands in log order over one in-memory
//! session, and makes the outcome visible in a fixed order (`docs/invariants.md`): one atomic write to the
//! store, then the published view, then the watch ring, then the answers. A crash between any two steps
//! loses nothing: the store carries the applied index with the data, and the log is replayed from there.
//!
//! No outcome depends on a clock or a random number (invariant I7); the clock is read for metrics and for
//! the deadlines of leases, which are no part of the state. A storage error, or a committed command
//! that does not decode, stops the member: going on would let it drift from the others.

use std::sync::Arc;

use crossbeam::channel::Sender;

use super::answers::Answers;
use super::auth::Auth;
use super::error::EngineError;
use super::evaluate::Effects;
use super::lessor::Lessor;
use super::members::{Members, Membership};
use super::meta;
use super::quota::Quota;
use super::slow::{Applied, Run, SlowLog};
use super::state_dir::StateDir;
use super::stopwatch::Stopwatch;
use super::types::Alarm;
use super::view::{View, Views};
use super::waiters::{AppliedIndex, Marks, Waiters};
use crate::base::clock;
use crate::base::codec::CodecError;
use crate::base::handover::Receiver;
use crate::base::ids::Revision;
use crate::base::metrics::{Metrics, Raised};
use crate::base::shutdown::Lifecycle;
use crate::mvcc;
use crate::mvcc::auth::TokenChange;
use crate::mvcc::ops::{DeleteResult, PutResult, TxnResult};
use crate::mvcc::{MvccError, Recent, Session};
use crate::raft::transport::PeerNetwork;
use crate::raft::{Committed, NodeHandle, Snapshot};
use crate::watch::Publisher;

/// Commands evaluated in one session at most: bounds the overlay and how long an answer waits for its
/// neighbours.
const MAX_RUN_COMMANDS: usize = 4096;

/// What the consensus layer asks of the apply thread.
#[derive(Debug)]
pub(crate) enum Task {
    /// Apply these entries.
    Entries(Vec<Committed>),
    /// Replace the state by a received snapshot and say how it went.
    Install(Snapshot, Sender<Result<(), String>>),
}

/// What a request hears when its command has been applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The store revision right after the command.
    pub(crate) revision: Revision,
    /// The outcome.
    pub(crate) reply: Result<Reply, EngineError>,
    /// When its run was applied.
    pub(crate) applied: Option<Applied>,
}

/// The outcome of a command by its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Nothing to say beyond the revision.
    Done,
    /// Of a put.
    Put(PutResult),
    /// Of a deletion.
    Delete(DeleteResult),
    /// Of a transaction.
    Txn(TxnResult),
    /// Of a sign-in, if tokens are remembered.
    Token(String),
    /// Of a change of the members.
    Membership {
        /// The entry that changed them; `None` if it came too late: another change was first.
        changed_at: Option<u64>,
    },
    /// Of a change of alarms: those that it was about.
    Alarms(Vec<Alarm>),
}

/// Everything the apply thread works on.
pub(crate) struct Applier {
    pub(crate) views: Arc<Views>,
    pub(crate) auth: Arc<Auth>,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) answers: Arc<Answers>,
    pub(crate) applied: Arc<AppliedIndex>,
    pub(crate) publisher: Publisher,
    pub(crate) lessor: Arc<Lessor>,
    pub(crate) members: Arc<Members>,
    pub(crate) network: Arc<PeerNetwork>,
    pub(crate) quota: Arc<Quota>,
    pub(crate) node: NodeHandle,
    pub(crate) compactions: Sender<Revision>,
    pub(crate) state_dir: StateDir,
    pub(crate) marks: Marks,
    /// What this thread has written lately.
    pub(crate) recent: Recent,
    /// The learners of the configuration that is applied.
    pub(crate) learners: Vec<u64>,
    pub(super) stopwatch: Stopwatch,
    pub(super) slow: Arc<SlowLog>,
    pub(crate) metrics: Arc<Metrics>,
}

/// Why the member cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    /// Storage or stored data failed.
    #[error("log entry {index}: {error}")]
    Storage {
        /// The entry that was being applied.
        index: u64,
        /// What failed.
        error: MvccError,
    },
    /// A committed command does not decode: it was written by a newer version, or the log is damaged.
    #[error("log entry {index}: {error}")]
    Command {
        /// The entry.
        index: u64,
        /// What is wrong with it.
        error: CodecError,
    },
}

impl Applier {
    /// Runs until the consensus layer goes away or the member stops.
    pub(crate) fn run(mut self, tasks: &Receiver<Task>, life: &Lifecycle) {
        while let Ok(task) = tasks.recv() {
            if let Err(error) = self.handle(task, tasks) {
                life.fail("apply", &error);
                break;
            }
        }
        // The task that hands them out may have been stopped already.
        self.answers.hand_out(&self.waiters);
    }

    fn handle(&mut self, task: Task, tasks: &Receiver<Task>) -> Result<(), ApplyError> {
        match task {
            Task::Entries(mut entries) => {
                let next = take_waiting(&mut entries, tasks);
                self.apply(&entries)?;
                match next {
                    Some(task) => self.handle(task, tasks),
                    None => Ok(()),
                }
            }
            Task::Install(snapshot, done) => {
                // The consensus layer stops the member on an error, so there is nothing to do here.
                let _ = done.send(self.install(&snapshot));
                Ok(())
            }
        }
    }

    /// Applies a run of entries in one atomic step.
    fn apply(&mut self, entries: &[Committed]) -> Result<(), ApplyError> {
        let Some(last) = entries.last() else {
            return Ok(());
        };
        let began = clock::now();
        let view = View::clone(&self.views.load());
        let mut effects = Effects::default();
        // Whatever fails below leaves an empty one behind.
        let mut recent = std::mem::take(&mut self.recent);
        let mut session = Session::begin_with(&mut recent, &view.store, view.state);
        for entry in entries {
            for command in &entry.commands {
                self.evaluate(&mut session, command, entry, &view, &mut effects)?;
            }
            self.change_members(&mut session, entry, &mut effects)?;
        }
        let evaluated = self.stopwatch.stop();
        let commands: usize = entries.iter().map(|entry| entry.commands.len()).sum();
        if commands > 0 {
            let sizes = &self.metrics.holdfast.apply_commands;
            sizes.observe(commands as f64);
        }
        meta::put_applied(&mut session, last.index, last.term)
            .map_err(|error| command_error(last.index, error))?;
        if let Some(members) = &effects.members {
            meta::put_members(&mut session, &members.members, &members.removed)
                .map_err(|error| command_error(last.index, error))?;
        }
        let standing = effects.standing(&view, &mut session);
        let (alarms, downgrade) = standing.map_err(|error| command_error(last.index, error))?;
        let storage_error = |error| ApplyError::Storage {
            index: last.index,
            error,
        };
        let done = session.finish();
        let state = done.state;
        self.quota.wrote(done.batch.weight() as u64);
        let writing = clock::now();
        let changes = recent
            .write(&view.store, done)
            .map_err(|error| storage_error(error.into()))?;
        self.recent = recent;
        let commits = &self.metrics.disk.backend_commit;
        commits.since(writing);
        let auth = effects.auth.take();
        let auth = auth.unwrap_or_else(|| Arc::clone(&view.auth));
        if auth.is_enabled() != view.auth.is_enabled() {
            tracing::info!(enabled = auth.is_enabled(), "authentication changed");
        }
        // Before the view and the index: whoever sees these must find the token that came with them.
        self.take_tokens(std::mem::take(&mut effects.tokens));
        self.views.publish(View {
            store: Arc::clone(&view.store),
            state,
            auth,
            alarms,
            downgrade,
        });
        // Before the applied index moves: whoever waits for that reads the list of the members next.
        if let Some(members) = effects.members.take() {
            self.take_members(members);
        }
        self.publisher.publish(changes);
        self.applied.advance(last.index, &mut self.marks);
        self.node.applied(last.index);
        let times = Applied {
            began,
            ended: clock::now(),
        };
        for (_, answer) in &mut effects.answers {
            answer.applied = Some(times);
        }
        self.take_effect(effects);
        let run = Run {
            times,
            evaluated,
            index: last.index,
            commands,
        };
        if self.slow.run(&run) {
            self.metrics.server.slow_apply.inc();
        }
        Ok(())
    }

    fn take_tokens(&self, changes: Vec<TokenChange>) {
        if !changes.is_empty()
            && let Some(tokens) = self.auth.tokens.simple()
        {
            tokens.follow(changes, clock::now());
        }
    }

    /// Goes on with other members, and tells the network whom it reaches where.
    fn take_members(&self, members: Membership) {
        self.network
            .update_peers(&members.peers(), &members.departed());
        self.members.replace(members);
    }

    fn take_effect(&self, effects: Effects) {
        if !effects.granted.is_empty() || !effects.revoked.is_empty() {
            let counts = &self.metrics.lease;
            counts.granted.add(effects.granted.len() as u64);
            counts.revoked.add(effects.revoked.len() as u64);
            for (_, ttl) in &effects.granted {
                counts.ttl.observe(*ttl as f64);
            }
            self.lessor
                .change(&effects.granted, &effects.revoked, clock::now());
        }
        self.lessor.checkpointed(&effects.checkpointed);
        if let Some(alarms) = &effects.alarms {
            self.metrics.show_alarms(alarms.labels());
        }
        if let Some(compacted) = effects.compacted {
            // A full queue is no loss: a later compaction covers this one, and so does a restart.
            let _ = self.compactions.try_send(compacted);
        }
        self.answers.leave(effects.answers);
    }

    /// Replaces the store by a received one. Readers of the old store finish on it.
    fn install(&mut self, snapshot: &Snapshot) -> Result<(), String> {
        let _applying = Raised::new(&self.metrics.server.snapshots_applying);
        self.recent = Recent::default();
        let index = snapshot.state.index;
        self.learners = snapshot.state.configuration.learners.clone();
        let store = self
            .state_dir
            .adopt(&snapshot.dir)
            .map_err(|error| error.to_string())?;
        let members = meta::membership(&store).map_err(|error| error.to_string())?;
        let leases = mvcc::lease::list(&store).map_err(|error| error.to_string())?;
        if let Some(tokens) = self.auth.tokens.simple() {
            tokens.forget_all();
        }
        self.take_members(members);
        self.lessor.replace(&leases, clock::now());
        let old = View::clone(&self.views.load());
        let new = View::of(Arc::new(store))?;
        let revision = new.state.revision;
        self.metrics.show_alarms(new.alarms.labels());
        self.quota.measure(&new.store);
        self.views.publish(new);
        self.publisher.reset(revision);
        self.applied.advance(index, &mut self.marks);
        let removed = &self.metrics.mvcc.compacted_records;
        removed.add(old.store.take_removed());
        self.state_dir.retire(old.store);
        Ok(())
    }
}

pub(super) fn command_error(index: u64, error: CodecError) -> ApplyError {
    ApplyError::Command { index, error }
}

/// Adds what already waits to a run, so that one write to the store covers it. A task of another kind
/// ends the run and is returned.
fn take_waiting(entries: &mut Vec<Committed>, tasks: &Receiver<Task>) -> Option<Task> {
    let mut commands: usize = entries.iter().map(|entry| entry.commands.len()).sum();
    while commands < MAX_RUN_COMMANDS {
        match tasks.try_recv() {
            Some(Task::Entries(more)) => {
                commands += more.iter().map(|entry| entry.commands.len()).sum::<usize>();
                entries.extend(more);
            }
            Some(task) => return Some(task),
            None => break,
        }
    }
    None
}
