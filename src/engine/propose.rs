//! The way of a command from a request to its answer.

use std::time::{Duration, Instant};

use super::apply::{Answer, Reply};
use super::command::{Command, Envelope};
use super::error::EngineError;
use super::slow::{ProposalTimes, Summary};
use super::types::Header;
use super::{Engine, EngineResult};
use crate::base::clock;
use crate::base::ids::MemberId;
use crate::mvcc::auth::{Actor, AuthError};
use crate::raft::ProposeError;

/// What etcd waits for a proposal besides two election timeouts.
pub(super) const REQUEST_BASE_TIMEOUT: Duration = Duration::from_secs(5);

impl Engine {
    /// Replicates a command and gives its outcome with the header of its revision.
    ///
    /// A caller that was made out before the last change of users and roles is made out again.
    pub(super) async fn propose(&self, command: Command) -> EngineResult<(Header, Reply)> {
        self.admit_command(&command).await?;
        let Some(mut caller) = self.caller.renewable().map(|_| self.caller.clone()) else {
            return self.propose_as(self.caller.proposing(), command).await;
        };
        // By time and not by number: whoever changes users one after the other may have a change in every round.
        let deadline = clock::now() + self.inner.request_timeout;
        loop {
            let done = self.propose_as(caller.proposing(), command.clone()).await;
            let is_old = done == Err(EngineError::Auth(AuthError::OldRevision));
            if !is_old || clock::now() >= deadline {
                return done;
            }
            match self.renewed(&caller).await? {
                Some(renewed) => caller = renewed,
                None => return done,
            }
        }
    }

    async fn propose_as(&self, actor: &Actor, command: Command) -> EngineResult<(Header, Reply)> {
        let Answer {
            revision, reply, ..
        } = self.replicate(actor, command).await?;
        if reply == Err(EngineError::NoSpace) {
            // Whoever hears of it finds the alarm.
            self.raise_no_space().await;
        }
        let header = Header {
            revision,
            ..self.header()
        };
        reply.map(|reply| (header, reply))
    }

    /// As [`Self::propose`], without the checks that may refuse a command before.
    pub(super) async fn replicate(&self, actor: &Actor, command: Command) -> EngineResult<Answer> {
        let (operation, began) = (command.operation(), clock::now());
        let answer = self.try_replicate(actor, command, began).await;
        let applied = answer.as_ref().ok().and_then(|answer| answer.applied);
        let ended = applied.map_or_else(clock::now, |applied| applied.ended);
        let success = answer.as_ref().is_ok_and(|answer| answer.reply.is_ok());
        let took = ended.saturating_duration_since(began);
        self.inner.requests.command(operation, success, took);
        if answer.is_err() {
            self.inner.metrics.server.proposals_failed.inc();
        }
        answer
    }

    async fn try_replicate(
        &self,
        actor: &Actor,
        command: Command,
        began: Instant,
    ) -> EngineResult<Answer> {
        let size = command.request_size();
        if size > self.inner.max_request_bytes {
            return Err(EngineError::RequestTooLarge);
        }
        let deadline = tokio::time::Instant::from_std(began + self.inner.request_timeout);
        // Without a leader raft would drop the command. Waiting for one here lets a request that arrives
        // during an election succeed after it.
        let known = self.inner.node.leader();
        let (leader, led) = if known == MemberId::NONE {
            let leader = tokio::time::timeout_at(deadline, self.wait_for_leader())
                .await
                .map_err(|_| EngineError::DeadlineExceeded)??;
            (leader, Some(clock::now()))
        } else {
            (known, None)
        };
        let times = ProposalTimes { began, led };
        let summary = Summary::of(&command, size);
        let (request, mut waiting) = self.inner.waiters.enter();
        let envelope = Envelope {
            request,
            actor: actor.clone(),
            command,
        };
        let command = envelope
            .encode()
            .map_err(|_| EngineError::RequestTooLarge)?;
        self.inner.node.propose(command).map_err(refused)?;
        match tokio::time::timeout_at(deadline, waiting.answer()).await {
            Ok(Some(answer)) => {
                if let Some(applied) = answer.applied {
                    self.inner.slow.answered(&summary, times, applied);
                }
                Ok(answer)
            }
            Ok(None) => Err(EngineError::Stopped),
            Err(_) => {
                let error = self.why_late(leader, began);
                let slow = &self.inner.slow;
                slow.given_up(&summary, times, clock::now(), &error);
                Err(error)
            }
        }
    }

    /// Completes with the leader as soon as one is known.
    async fn wait_for_leader(&self) -> EngineResult<MemberId> {
        let mut statuses = self.inner.node.subscribe();
        let status = statuses
            .wait_for(|status| status.leader != MemberId::NONE)
            .await
            .map_err(|_| EngineError::Stopped)?;
        Ok(status.leader)
    }

    /// The kind of time-out, as etcd tells them apart: the outcome is unknown in each.
    pub(super) fn why_late(&self, leader_at_start: MemberId, began: Instant) -> EngineError {
        let leader = self.inner.node.leader();
        if leader != leader_at_start {
            return EngineError::TimeoutLeaderFailure;
        }
        let peers = self.inner.network.stats();
        let in_touch = |id: MemberId| {
            let mut found = peers.iter().filter(|peer| peer.id == id);
            let since = found.find_map(|peer| peer.connected_since);
            since.is_some_and(|since| since <= began)
        };
        let voters = self.inner.members.voters();
        if commits_through(leader, self.inner.member_id, &voters, in_touch) {
            EngineError::Timeout
        } else {
            EngineError::TimeoutConnectionLost
        }
    }
}

/// Whether the members that a command needs have been in touch all the while: the leader, or for the leader
/// itself a majority of the voters.
fn commits_through(
    leader: MemberId,
    me: MemberId,
    voters: &[MemberId],
    in_touch: impl Fn(MemberId) -> bool,
) -> bool {
    if leader != me {
        return in_touch(leader);
    }
    let reached = voters.iter().filter(|id| **id == me || in_touch(**id));
    reached.count() > voters.len() / 2
}

fn refused(error: ProposeError) -> EngineError {
    match error {
        ProposeError::Overloaded => EngineError::TooManyRequests,
        ProposeError::TooLarge => EngineError::RequestTooLarge,
        ProposeError::Stopped => EngineError::Stopped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_needs_the_leader_and_the_leader_a_majority() {
        let [me, b, c] = [1, 2, 3].map(MemberId);
        let voters = [me, b, c];
        let commits = |leader, reached: &[MemberId]| {
            commits_through(leader, me, &voters, |id| reached.contains(&id))
        };
        assert!(commits(b, &[b]));
        assert!(!commits(b, &[c]));
        assert!(commits(me, &[c]));
        assert!(!commits(me, &[]));
        assert!(commits_through(me, me, &[me], |_| false));
    }
}
