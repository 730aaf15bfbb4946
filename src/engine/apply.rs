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

use bytes::Bytes;
use crossbeam::channel::Sender;

use super::alarms::Alarms;
use super::answers::Answers;
use super::auth::{Auth, authorize};
use super::command::{Command, Envelope, RequestId};
use super::error::EngineError;
use super::lessor::Lessor;
use super::members::{Members, Membership};
use super::membership::Attachment;
use super::meta;
use super::quota::{Quota, growth};
use super::slow::{Applied, Run, SlowLog};
use super::state_dir::StateDir;
use super::stopwatch::Stopwatch;
use super::types::{Alarm, MinorVersion};
use super::view::{View, Views};
use super::waiters::{AppliedIndex, Marks, Waiters};
use crate::base::clock;
use crate::base::codec::CodecError;
use crate::base::handover::Receiver;
use crate::base::ids::{LeaseId, Revision};
use crate::base::metrics::{Metrics, Raised};
use crate::base::shutdown::Lifecycle;
use crate::mvcc::auth::{Actor, AuthCommand, AuthState, TokenChange};
use crate::mvcc::ops::{DeleteResult, PutResult, TxnResult};
use crate::mvcc::{self, MvccError, Recent, Session};
use crate::raft::transport::PeerNetwork;
use crate::raft::{Committed, Configuration, NodeHandle, Role, Snapshot};
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

/// What a run does outside the store, once the store has it.
#[derive(Default)]
struct Effects {
    answers: Vec<(RequestId, Answer)>,
    granted: Vec<(LeaseId, i64)>,
    revoked: Vec<LeaseId>,
    checkpointed: Vec<(LeaseId, i64)>,
    members: Option<Membership>,
    alarms: Option<Alarms>,
    downgrade: Option<Option<MinorVersion>>,
    compacted: Option<Revision>,
    tokens: Vec<TokenChange>,
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
        let mut auth = Arc::clone(&view.auth);
        // Whatever fails below leaves an empty one behind.
        let mut recent = std::mem::take(&mut self.recent);
        let mut session = Session::begin_with(&mut recent, &view.store, view.state);
        for entry in entries {
            for command in &entry.commands {
                self.evaluate(&mut session, &mut auth, command, entry, &view, &mut effects)?;
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
        if auth.is_enabled() != view.auth.is_enabled() {
            tracing::info!(enabled = auth.is_enabled(), "authentication changed");
        }
        // Before the view and the index: whoever sees these must find the token that came with them.
        self.take_tokens(std::mem::take(&mut effects.tokens));
        self.metrics
            .auth
            .revision
            .set(auth.revision().cast_signed());
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

    /// Evaluates one command; a refusal is an answer, not an error.
    fn evaluate(
        &mut self,
        session: &mut Session<'_>,
        auth: &mut Arc<AuthState>,
        command: &Bytes,
        entry: &Committed,
        view: &View,
        effects: &mut Effects,
    ) -> Result<(), ApplyError> {
        let index = entry.index;
        let Envelope {
            request,
            actor,
            command,
        } = Envelope::decode(command).map_err(|error| command_error(index, error))?;
        self.stopwatch.begin(&command);
        let grows = growth(&command);
        let outcome = self.authorized(session, auth, &actor, command, entry, view, effects);
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => return Err(ApplyError::Storage { index, error }),
        };
        self.stopwatch.end(outcome.is_ok());
        let reply = outcome.and_then(|reply| self.within_quota(grows, view).map(|()| reply));
        if self.waiters.owns(request) {
            let revision = session.state().revision;
            let answer = Answer {
                revision,
                reply,
                applied: None,
            };
            effects.answers.push((request, answer));
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
            let answer = Answer {
                revision,
                reply,
                applied: None,
            };
            effects.answers.push((request, answer));
        }
        Ok(())
    }

    /// The membership as far as a run has come.
    fn membership(&self, effects: &mut Effects) -> Membership {
        let known = effects.members.take();
        known.unwrap_or_else(|| Membership::clone(&self.members.load()))
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

    /// Executes a command if its caller may have it and no alarm forbids it. The error is one that ends the
    /// member; a refusal is an outcome.
    #[expect(clippy::too_many_arguments, reason = "what a run of commands shares")]
    fn authorized(
        &self,
        session: &mut Session<'_>,
        auth: &mut Arc<AuthState>,
        actor: &Actor,
        command: Command,
        entry: &Committed,
        view: &View,
        effects: &mut Effects,
    ) -> Result<Result<Reply, EngineError>, MvccError> {
        if let Err(error) = authorize(auth, actor, &command, session) {
            return settled(Err(error));
        }
        if let Some(refusal) = effects.alarms(view).refusal(&command) {
            return Ok(Err(refusal));
        }
        match command {
            Command::RaiseAlarm(alarm) => Ok(effects.raise(view, alarm)),
            Command::LowerAlarm(alarm) => Ok(Ok(effects.lower(view, alarm))),
            Command::Downgrade(target) => Ok(effects.set_downgrade(view, target)),
            Command::LeaseCheckpoint(checkpoint) if checkpoint.term != entry.term => {
                Ok(Ok(Reply::Done))
            }
            Command::Auth(command) => {
                settled(change_auth(session, auth, &command, entry.index, effects))
            }
            command => settled(self.execute(session, command, effects)),
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
                let mut membership = self.membership(effects);
                membership.publish(member);
                effects.members = Some(membership);
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
            | Command::Auth(_)
            | Command::RaiseAlarm(_)
            | Command::LowerAlarm(_)
            | Command::Downgrade(_) => Ok(Reply::Done),
        }
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
        self.metrics
            .auth
            .revision
            .set(new.auth.revision().cast_signed());
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

/// Parts what ends the member from what is merely refused.
fn settled(outcome: Result<Reply, MvccError>) -> Result<Result<Reply, EngineError>, MvccError> {
    match outcome {
        Err(error) if error.is_fatal() => Err(error),
        outcome => Ok(outcome.map_err(EngineError::from)),
    }
}

fn change_auth(
    session: &mut Session<'_>,
    auth: &mut Arc<AuthState>,
    command: &AuthCommand,
    index: u64,
    effects: &mut Effects,
) -> Result<Reply, MvccError> {
    let changes = session.change_auth(auth, command, index)?;
    let token = changes.iter().find_map(|change| match change {
        TokenChange::Given { token, .. } => Some(Reply::Token(token.clone())),
        _ => None,
    });
    effects.tokens.extend(changes);
    Ok(token.unwrap_or(Reply::Done))
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
