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
use std::time::Duration;

use bytes::Bytes;
use crossbeam::channel::Sender;

use super::answers::Answers;
use super::command::{Command, Envelope, RequestId};
use super::error::EngineError;
use super::lessor::Lessor;
use super::members::{Members, Membership};
use super::membership::Attachment;
use super::meta;
use super::state_dir::StateDir;
use super::stopwatch::Stopwatch;
use super::view::{View, Views};
use super::waiters::{AppliedIndex, Marks, Waiters};
use crate::base::clock;
use crate::base::codec::CodecError;
use crate::base::handover::Receiver;
use crate::base::ids::{LeaseId, Revision};
use crate::base::metrics::{Metrics, Raised};
use crate::base::shutdown::Lifecycle;
use crate::mvcc::ops::{DeleteResult, PutResult, TxnResult};
use crate::mvcc::{self, MvccError, Recent, Session};
use crate::raft::transport::PeerNetwork;
use crate::raft::{Committed, Configuration, NodeHandle, Role, Snapshot};
use crate::watch::Publisher;

/// Commands evaluated in one session at most: bounds the overlay and how long an answer waits for its
/// neighbours.
const MAX_RUN_COMMANDS: usize = 4096;

/// A run that takes longer is counted as slow (etcd's `--warning-apply-duration`).
const SLOW_APPLY: Duration = Duration::from_millis(100);

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
    /// Of a change of the members.
    Membership {
        /// The entry that changed them; `None` if it came too late: another change was first.
        changed_at: Option<u64>,
    },
}

/// Everything the apply thread works on.
pub(crate) struct Applier {
    pub(crate) views: Arc<Views>,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) answers: Arc<Answers>,
    pub(crate) applied: Arc<AppliedIndex>,
    pub(crate) publisher: Publisher,
    pub(crate) lessor: Arc<Lessor>,
    pub(crate) members: Arc<Members>,
    pub(crate) network: Arc<PeerNetwork>,
    pub(crate) node: NodeHandle,
    pub(crate) compactions: Sender<Revision>,
    pub(crate) state_dir: StateDir,
    pub(crate) marks: Marks,
    /// What this thread has written lately.
    pub(crate) recent: Recent,
    /// The learners of the configuration that is applied.
    pub(crate) learners: Vec<u64>,
    pub(super) stopwatch: Stopwatch,
    pub(crate) metrics: Arc<Metrics>,
}

/// What a run does outside the store, once the store has it.
#[derive(Default)]
struct Effects {
    answers: Vec<(RequestId, Answer)>,
    granted: Vec<(LeaseId, i64)>,
    revoked: Vec<LeaseId>,
    members: Option<Membership>,
    compacted: Option<Revision>,
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
                self.evaluate(&mut session, command, entry.index, &mut effects)?;
            }
            self.change_members(&mut session, entry, &mut effects)?;
        }
        self.stopwatch.stop();
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
        let storage_error = |error| ApplyError::Storage {
            index: last.index,
            error,
        };
        let done = session.finish();
        let state = done.state;
        let writing = clock::now();
        let changes = recent
            .write(&view.store, done)
            .map_err(|error| storage_error(error.into()))?;
        self.recent = recent;
        let commits = &self.metrics.disk.backend_commit;
        commits.since(writing);
        self.views.publish(View {
            store: Arc::clone(&view.store),
            state,
        });
        // Before the applied index moves: whoever waits for that reads the list of the members next.
        if let Some(members) = effects.members.take() {
            self.take_members(members);
        }
        self.publisher.publish(changes);
        self.applied.advance(last.index, &mut self.marks);
        self.node.applied(last.index);
        self.take_effect(effects);
        if clock::now().duration_since(began) > SLOW_APPLY {
            self.metrics.server.slow_apply.inc();
        }
        Ok(())
    }

    /// Evaluates one command; a refusal is an answer, not an error.
    fn evaluate(
        &mut self,
        session: &mut Session<'_>,
        command: &Bytes,
        index: u64,
        effects: &mut Effects,
    ) -> Result<(), ApplyError> {
        let Envelope { request, command } =
            Envelope::decode(command).map_err(|error| command_error(index, error))?;
        self.stopwatch.begin(&command);
        let outcome = self.execute(session, command, effects);
        let reply = match outcome {
            Ok(reply) => Ok(reply),
            Err(error) if error.is_fatal() => return Err(ApplyError::Storage { index, error }),
            Err(error) => Err(error.into()),
        };
        self.stopwatch.end(reply.is_ok());
        if self.waiters.owns(request) {
            let revision = session.state().revision;
            effects.answers.push((request, Answer { revision, reply }));
        }
        Ok(())
    }

    /// Takes over what an entry changes of who belongs to the cluster: configuration and members together.
    fn change_members(
        &mut self,
        session: &mut Session<'_>,
        entry: &Committed,
        effects: &mut Effects,
    ) -> Result<(), ApplyError> {
        let wrong = |error| command_error(entry.index, error);
        let attachment = entry.attachment.as_deref().map(Attachment::decode);
        let attachment = attachment.transpose().map_err(wrong)?;
        let changed_at = entry.configuration.as_ref().map(|new| new.changed_at);
        if let Some(configuration) = &entry.configuration {
            self.count_promotions(configuration);
            meta::put_configuration(session, configuration).map_err(wrong)?;
            let mut membership = self.membership(effects);
            membership.changed_at = configuration.changed_at;
            if let Some(Attachment { change, .. }) = &attachment {
                tracing::info!(index = entry.index, ?change, "members changed");
                membership.change(change.clone());
            }
            effects.members = Some(membership);
        }
        if let Some(Attachment { request, .. }) = attachment
            && self.waiters.owns(request)
        {
            let reply = Ok(Reply::Membership { changed_at });
            let revision = session.state().revision;
            effects.answers.push((request, Answer { revision, reply }));
        }
        Ok(())
    }

    /// The membership as far as a run has come.
    fn membership(&self, effects: &mut Effects) -> Membership {
        let known = effects.members.take();
        known.unwrap_or_else(|| Membership::clone(&self.members.load()))
    }

    /// Counts the learners that became voters, if this member led the cluster through it.
    fn count_promotions(&mut self, configuration: &Configuration) {
        let learners = std::mem::replace(&mut self.learners, configuration.learners.clone());
        if self.node.status().role == Role::Leader {
            let counts = &self.metrics.server.learner_promotions;
            counts.add(promotions(&learners, configuration));
        }
    }

    fn execute(
        &self,
        session: &mut Session<'_>,
        command: Command,
        effects: &mut Effects,
    ) -> Result<Reply, MvccError> {
        let counts = &self.metrics.mvcc;
        match command {
            Command::Put(op) => {
                counts.puts.inc();
                let size = op.key.len() + op.value.len();
                counts.put_bytes.inc_by(i64::try_from(size).unwrap_or(0));
                session.put(&op).map(Reply::Put)
            }
            Command::Delete(op) => {
                counts.deletes.inc();
                session.delete(&op).map(Reply::Delete)
            }
            Command::Txn(txn) => {
                counts.txns.inc();
                session.txn(&txn).map(Reply::Txn)
            }
            Command::Compact { revision } => {
                session.compact(revision)?;
                effects.compacted = session.state().compacted;
                Ok(Reply::Done)
            }
            Command::LeaseGrant { id, ttl } => {
                session.lease_grant(id, ttl)?;
                effects.granted.push((id, ttl));
                Ok(Reply::Done)
            }
            Command::LeaseRevoke { id } => {
                session.lease_revoke(id)?;
                effects.granted.retain(|(granted, _)| *granted != id);
                effects.revoked.push(id);
                Ok(Reply::Done)
            }
            Command::PublishMember(member) => {
                let mut membership = self.membership(effects);
                membership.publish(member);
                effects.members = Some(membership);
                Ok(Reply::Done)
            }
            Command::Barrier => Ok(Reply::Done),
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
        let state = mvcc::load_state(&store).map_err(|error| error.to_string())?;
        let members = meta::membership(&store).map_err(|error| error.to_string())?;
        let leases = mvcc::lease::list(&store).map_err(|error| error.to_string())?;
        self.take_members(members);
        self.lessor.replace(&leases, clock::now());
        let old = View::clone(&self.views.load());
        self.views.publish(View {
            store: Arc::new(store),
            state,
        });
        self.publisher.reset(state.revision);
        self.applied.advance(index, &mut self.marks);
        let removed = &self.metrics.mvcc.compacted_records;
        removed.add(old.store.take_removed());
        self.state_dir.retire(old.store);
        Ok(())
    }
}

fn command_error(index: u64, error: CodecError) -> ApplyError {
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

/// How many of the former learners vote now.
fn promotions(learners: &[u64], configuration: &Configuration) -> u64 {
    let votes = |id: &&u64| configuration.voters.contains(id);
    learners.iter().filter(votes).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promotion_is_a_learner_that_votes_and_not_one_that_left() {
        let configuration = Configuration {
            voters: vec![1, 2, 4],
            learners: vec![3],
            ..Configuration::default()
        };
        assert_eq!(promotions(&[3, 4, 5], &configuration), 1);
        assert_eq!(promotions(&[], &configuration), 0);
    }
}
