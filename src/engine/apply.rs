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

use super::alarms::Alarms;
use super::answers::Answers;
use super::command::{Command, Envelope, RequestId};
use super::error::EngineError;
use super::lessor::Lessor;
use super::members::Members;
use super::meta;
use super::quota::{Quota, growth};
use super::state_dir::StateDir;
use super::stopwatch::Stopwatch;
use super::types::{Alarm, Member, MinorVersion};
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
    /// Of a change of alarms: those that it was about.
    Alarms(Vec<Alarm>),
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
    pub(crate) metrics: Arc<Metrics>,
}

/// What a run does outside the store, once the store has it.
#[derive(Default)]
struct Effects {
    answers: Vec<(RequestId, Answer)>,
    granted: Vec<(LeaseId, i64)>,
    revoked: Vec<LeaseId>,
    checkpointed: Vec<(LeaseId, i64)>,
    members: Option<Vec<Member>>,
    alarms: Option<Alarms>,
    downgrade: Option<Option<MinorVersion>>,
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

impl Effects {
    /// The alarms as of the commands so far.
    fn alarms<'a>(&'a self, view: &'a View) -> &'a Alarms {
        self.alarms.as_ref().unwrap_or(&view.alarms)
    }

    fn change_alarms(&mut self, view: &View) -> &mut Alarms {
        self.alarms
            .get_or_insert_with(|| Alarms::clone(&view.alarms))
    }

    fn raise(&mut self, view: &View, alarm: Alarm) -> Result<Reply, EngineError> {
        self.change_alarms(view).raise(alarm)?;
        Ok(Reply::Alarms(vec![alarm]))
    }

    fn lower(&mut self, view: &View, alarm: Alarm) -> Reply {
        let lowered = self.change_alarms(view).lower(alarm);
        Reply::Alarms(lowered.then_some(alarm).into_iter().collect())
    }

    fn set_downgrade(
        &mut self,
        view: &View,
        target: Option<MinorVersion>,
    ) -> Result<Reply, EngineError> {
        let running = self.downgrade.unwrap_or(view.downgrade).is_some();
        if running && target.is_some() {
            return Err(EngineError::DowngradeInProgress);
        }
        self.downgrade = Some(target);
        Ok(Reply::Done)
    }

    /// Records what changed of the alarms and the downgrade, and gives both for the next view.
    fn standing(
        &self,
        view: &View,
        session: &mut Session<'_>,
    ) -> Result<(Arc<Alarms>, Option<MinorVersion>), CodecError> {
        let mut standing = (Arc::clone(&view.alarms), view.downgrade);
        if let Some(alarms) = &self.alarms {
            meta::put_alarms(session, alarms)?;
            standing.0 = Arc::new(alarms.clone());
        }
        if let Some(target) = self.downgrade {
            meta::put_downgrade(session, target)?;
            standing.1 = target;
        }
        Ok(standing)
    }
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
            if let Some(configuration) = &entry.configuration {
                self.count_promotions(configuration);
                meta::put_configuration(&mut session, configuration)
                    .map_err(|error| command_error(entry.index, error))?;
            }
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
            meta::put_members(&mut session, members)
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
        self.views.publish(View {
            store: Arc::clone(&view.store),
            state,
            alarms,
            downgrade,
        });
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
        entry: &Committed,
        view: &View,
        effects: &mut Effects,
    ) -> Result<(), ApplyError> {
        let index = entry.index;
        let Envelope { request, command } =
            Envelope::decode(command).map_err(|error| command_error(index, error))?;
        self.stopwatch.begin(&command);
        let grows = growth(&command);
        let refusal = effects.alarms(view).refusal(&command);
        let outcome = match (refusal, command) {
            (Some(refusal), _) => Err(refusal),
            (None, Command::RaiseAlarm(alarm)) => effects.raise(view, alarm),
            (None, Command::LowerAlarm(alarm)) => Ok(effects.lower(view, alarm)),
            (None, Command::Downgrade(target)) => effects.set_downgrade(view, target),
            (None, Command::LeaseCheckpoint(checkpoint)) if checkpoint.term != entry.term => {
                Ok(Reply::Done)
            }
            (None, command) => match self.execute(session, command, effects) {
                Err(error) if error.is_fatal() => {
                    return Err(ApplyError::Storage { index, error });
                }
                outcome => outcome.map_err(EngineError::from),
            },
        };
        self.stopwatch.end(outcome.is_ok());
        let reply = outcome.and_then(|reply| self.within_quota(grows, view).map(|()| reply));
        if self.waiters.owns(request) {
            let revision = session.state().revision;
            effects.answers.push((request, Answer { revision, reply }));
        }
        Ok(())
    }

    /// What is written stays written, on every member alike; but whoever wrote beyond the quota of the member
    /// that it asked hears of it (etcd's rule), and the alarm is raised.
    fn within_quota(&self, grows: u64, view: &View) -> Result<(), EngineError> {
        if self.quota.admits(grows, &view.store) {
            return Ok(());
        }
        self.quota.exceed();
        Err(EngineError::NoSpace)
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
                effects.checkpointed.retain(|(lease, _)| *lease != id);
                effects.revoked.push(id);
                Ok(Reply::Done)
            }
            Command::PublishMember(member) => {
                let known = effects.members.take();
                let known = known.unwrap_or_else(|| self.members.list().to_vec());
                effects.members = Some(publish_member(known, member));
                Ok(Reply::Done)
            }
            Command::LeaseCheckpoint(checkpoint) => {
                for (id, remaining) in checkpoint.remaining {
                    if let Some(remaining) = session.lease_checkpoint(id, remaining)? {
                        effects.checkpointed.push((id, remaining));
                    }
                }
                Ok(Reply::Done)
            }
            // The others are no business of the store's.
            Command::Barrier
            | Command::RaiseAlarm(_)
            | Command::LowerAlarm(_)
            | Command::Downgrade(_) => Ok(Reply::Done),
        }
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
        if let Some(members) = effects.members {
            self.members.replace(members);
        }
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
        let members = meta::members(&store).map_err(|error| error.to_string())?;
        let leases = mvcc::lease::list(&store).map_err(|error| error.to_string())?;
        self.members.replace(members);
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

/// Records what a started member says of itself; members that are not in the list are ignored.
fn publish_member(mut members: Vec<Member>, started: Member) -> Vec<Member> {
    if let Some(member) = members.iter_mut().find(|member| member.id == started.id) {
        member.name = started.name;
        member.client_urls = started.client_urls;
    }
    members
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
