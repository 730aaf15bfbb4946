//! The way of a command from a request to its answer.

use std::time::Duration;

use super::apply::{Answer, Reply};
use super::command::{Command, Envelope};
use super::error::EngineError;
use super::types::Header;
use super::{Engine, EngineResult};
use crate::base::clock;
use crate::base::ids::MemberId;
use crate::raft::ProposeError;

/// What etcd waits for a proposal besides two election timeouts.
pub(super) const REQUEST_BASE_TIMEOUT: Duration = Duration::from_secs(5);

impl Engine {
    /// Replicates a command and gives its outcome with the header of its revision.
    pub(super) async fn propose(&self, command: Command) -> EngineResult<(Header, Reply)> {
        let Answer { revision, reply } = self.replicate(command).await?;
        let header = Header {
            revision,
            ..self.header()
        };
        reply.map(|reply| (header, reply))
    }

    async fn replicate(&self, command: Command) -> EngineResult<Answer> {
        let answer = self.try_replicate(command).await;
        if answer.is_err() {
            self.inner.metrics.server.proposals_failed.inc();
        }
        answer
    }

    async fn try_replicate(&self, command: Command) -> EngineResult<Answer> {
        if command.request_size() > self.inner.max_request_bytes {
            return Err(EngineError::RequestTooLarge);
        }
        let deadline = tokio::time::Instant::from_std(clock::now() + self.inner.request_timeout);
        // Without a leader raft would drop the command. Waiting for one here lets a request that arrives
        // during an election succeed after it.
        let leader = tokio::time::timeout_at(deadline, self.wait_for_leader())
            .await
            .map_err(|_| EngineError::DeadlineExceeded)??;
        let (request, mut waiting) = self.inner.waiters.enter();
        let command = Envelope { request, command }
            .encode()
            .map_err(|_| EngineError::RequestTooLarge)?;
        self.inner.node.propose(command).map_err(refused)?;
        match tokio::time::timeout_at(deadline, waiting.answer()).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(EngineError::Stopped),
            Err(_) => Err(self.why_late(leader)),
        }
    }

    /// Completes with the leader as soon as one is known.
    async fn wait_for_leader(&self) -> EngineResult<MemberId> {
        let known = self.inner.node.leader();
        if known != MemberId::NONE {
            return Ok(known);
        }
        let mut statuses = self.inner.node.subscribe();
        let status = statuses
            .wait_for(|status| status.leader != MemberId::NONE)
            .await
            .map_err(|_| EngineError::Stopped)?;
        Ok(status.leader)
    }

    /// The kind of time-out, as etcd tells them apart: the outcome is unknown in each.
    fn why_late(&self, leader_at_start: MemberId) -> EngineError {
        let leader = self.inner.node.status().leader;
        if leader == leader_at_start {
            EngineError::Timeout
        } else {
            EngineError::TimeoutLeaderFailure
        }
    }
}

fn refused(error: ProposeError) -> EngineError {
    match error {
        ProposeError::Overloaded => EngineError::TooManyRequests,
        ProposeError::TooLarge => EngineError::RequestTooLarge,
        ProposeError::Stopped => EngineError::Stopped,
    }
}
