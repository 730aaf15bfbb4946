//! What a committed command does: whether its caller may, whether an alarm forbids it, and its outcome.
//!
//! Everything here happens on every member alike (invariant I7). What is to be done outside the store, once the
//! store has the run, is collected in [`Effects`].

use std::sync::Arc;

use bytes::Bytes;

use super::alarms::Alarms;
use super::apply::{Answer, Applier, ApplyError, Reply, command_error};
use super::auth::authorize;
use super::command::{Command, Envelope, RequestId};
use super::error::EngineError;
use super::members::Membership;
use super::membership::Attachment;
use super::meta;
use super::quota::growth;
use super::types::{Alarm, MinorVersion};
use super::view::View;
use crate::base::codec::CodecError;
use crate::base::ids::{LeaseId, Revision};
use crate::mvcc::auth::{Actor, AuthCommand, AuthState, TokenChange};
use crate::mvcc::{MvccError, Session};
use crate::raft::{Committed, Configuration, Role};

/// What a run does outside the store, once the store has it.
#[derive(Default)]
pub(super) struct Effects {
    pub(super) answers: Vec<(RequestId, Answer)>,
    pub(super) granted: Vec<(LeaseId, i64)>,
    pub(super) revoked: Vec<LeaseId>,
    pub(super) checkpointed: Vec<(LeaseId, i64)>,
    pub(super) members: Option<Membership>,
    pub(super) auth: Option<Arc<AuthState>>,
    pub(super) alarms: Option<Alarms>,
    pub(super) downgrade: Option<Option<MinorVersion>>,
    pub(super) compacted: Option<Revision>,
    pub(super) tokens: Vec<TokenChange>,
}

impl Effects {
    /// Users and roles as of the commands so far.
    fn auth<'a>(&'a self, view: &'a View) -> &'a AuthState {
        self.auth.as_ref().unwrap_or(&view.auth)
    }

    fn change_auth(
        &mut self,
        view: &View,
        session: &mut Session<'_>,
        command: &AuthCommand,
        index: u64,
    ) -> Result<Reply, MvccError> {
        let auth = self.auth.get_or_insert_with(|| Arc::clone(&view.auth));
        let changes = session.change_auth(auth, command, index)?;
        let token = changes.iter().find_map(|change| match change {
            TokenChange::Given { token, .. } => Some(Reply::Token(token.clone())),
            _ => None,
        });
        self.tokens.extend(changes);
        Ok(token.unwrap_or(Reply::Done))
    }

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
    pub(super) fn standing(
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
    /// Evaluates one command; a refusal is an answer, not an error.
    pub(super) fn evaluate(
        &mut self,
        session: &mut Session<'_>,
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
        let outcome = self.authorized(session, &actor, command, entry, view, effects);
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => return Err(ApplyError::Storage { index, error }),
        };
        self.stopwatch.end(outcome.is_ok());
        let reply = outcome.and_then(|reply| self.within_quota(grows, view).map(|()| reply));
        self.answer(request, reply, session, effects);
        Ok(())
    }

    /// Keeps an outcome for whoever asked, if that was through this member.
    fn answer(
        &self,
        request: RequestId,
        reply: Result<Reply, EngineError>,
        session: &Session<'_>,
        effects: &mut Effects,
    ) {
        if self.waiters.owns(request) {
            let revision = session.state().revision;
            let answer = Answer {
                revision,
                reply,
                applied: None,
            };
            effects.answers.push((request, answer));
        }
    }

    /// Takes over what an entry changes of who belongs to the cluster: configuration and members together.
    pub(super) fn change_members(
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
        if let Some(Attachment { request, .. }) = attachment {
            let reply = Ok(Reply::Membership { changed_at });
            self.answer(request, reply, session, effects);
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
    fn authorized(
        &self,
        session: &mut Session<'_>,
        actor: &Actor,
        command: Command,
        entry: &Committed,
        view: &View,
        effects: &mut Effects,
    ) -> Result<Result<Reply, EngineError>, MvccError> {
        if let Err(error) = authorize(effects.auth(view), actor, &command, session) {
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
                settled(effects.change_auth(view, session, &command, entry.index))
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
