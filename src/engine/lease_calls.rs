//! What only the leader knows of leases, asked of it by whichever member a client talks to.
//!
//! Renewals never enter the log. The leader answers them from its [`Lessor`](super::lessor::Lessor); other
//! members pass them to it over the peer network.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::command::{Command, LeaseCheckpoint};
use super::error::EngineError;
use super::lessor::Renewal;
use super::{Engine, EngineResult};
use crate::base::clock;
use crate::base::codec;
use crate::base::ids::{LeaseId, MemberId};
use crate::mvcc::auth::Actor;

/// The kind of peer call that carries a [`LeaseCall`].
pub(super) const LEASE_CALL: u16 = 1;
/// Version byte of peer calls.
const CALL_VERSION: u8 = 1;

/// What a member asks of the leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum LeaseCall {
    /// Restart a lease's time.
    Renew(i64),
    /// Granted and remaining seconds.
    Remaining(i64),
}

/// What the leader answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum LeaseReply {
    /// The lease as the leader has it.
    Found(Found),
    /// There is no such lease, or its time is up.
    Missing,
    /// The member asked does not lead, or cannot say yet: it is to be asked again.
    NotLeader,
}

/// A lease that the leader found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Found {
    /// Granted seconds.
    pub(super) granted: i64,
    /// Remaining seconds.
    pub(super) left: i64,
    /// What the leader had applied when it looked.
    pub(super) applied: u64,
}

impl Engine {
    /// Puts a question to the leader, wherever it is, and again if it moves meanwhile.
    pub(super) async fn ask_leader(&self, call: LeaseCall) -> EngineResult<Option<Found>> {
        let deadline = clock::now() + self.inner.request_timeout;
        loop {
            let left = deadline.saturating_duration_since(clock::now());
            if left.is_zero() {
                let known = self.inner.node.leader() != MemberId::NONE;
                return Err(if known {
                    EngineError::Timeout
                } else {
                    EngineError::NoLeader
                });
            }
            match self.ask_leader_once(call, left).await {
                Some(LeaseReply::Found(found)) => return Ok(Some(found)),
                Some(LeaseReply::Missing) => return Ok(None),
                Some(LeaseReply::NotLeader) | None => {
                    if self.inner.life.is_stopping() {
                        return Err(EngineError::Stopped);
                    }
                    tokio::time::sleep(self.inner.heartbeat / 2).await;
                }
            }
        }
    }

    async fn ask_leader_once(&self, call: LeaseCall, timeout: Duration) -> Option<LeaseReply> {
        let leader = self.inner.node.leader();
        if leader == MemberId::NONE {
            return None;
        }
        if leader == self.inner.member_id {
            return Some(self.answer_lease_call(call).await);
        }
        let request = codec::encode(CALL_VERSION, &call).ok()?;
        let reply = self
            .inner
            .network
            .call(leader, LEASE_CALL, request.into(), timeout)
            .await
            .ok()?;
        codec::decode(CALL_VERSION, &reply).ok()
    }

    /// Answers a peer's call; bytes that are no call are answered with nothing.
    pub(super) async fn answer_lease_bytes(&self, request: &[u8]) -> Option<Bytes> {
        let call = codec::decode(CALL_VERSION, request).ok()?;
        let reply = self.answer_lease_call(call).await;
        codec::encode(CALL_VERSION, &reply).ok().map(Bytes::from)
    }

    async fn answer_lease_call(&self, call: LeaseCall) -> LeaseReply {
        if matches!(call, LeaseCall::Renew(_)) {
            // A renewal is answered from what is applied, as long as the lease is there.
            match self.try_lease_call(call) {
                Ok(LeaseReply::Missing) => {}
                Ok(answer) => return answer,
                Err(shortened) => return self.restore_lease(shortened).await,
            }
        }
        // A grant or revocation may be committed, and acknowledged by another member, but not applied here.
        let commit = self.inner.node.status().commit;
        let reach = self.inner.applied.reach(commit);
        if tokio::time::timeout(self.inner.election_timeout, reach)
            .await
            .is_err()
        {
            return LeaseReply::NotLeader;
        }
        match self.try_lease_call(call) {
            Ok(answer) => answer,
            Err(shortened) => self.restore_lease(shortened).await,
        }
    }

    /// Answers from what is applied; an error is the lease that a checkpoint has shortened.
    fn try_lease_call(&self, call: LeaseCall) -> Result<LeaseReply, LeaseId> {
        let lessor = &self.inner.lessor;
        if lessor.leads().is_none() {
            return Ok(LeaseReply::NotLeader);
        }
        let now = clock::now();
        let found = match call {
            LeaseCall::Renew(id) => match lessor.renew(LeaseId(id), now) {
                Renewal::Renewed(ttl) => {
                    self.inner.metrics.lease.renewed.inc();
                    Some((ttl, ttl))
                }
                Renewal::Missing => None,
                Renewal::Later => return Ok(LeaseReply::NotLeader),
                Renewal::Shortened => return Err(LeaseId(id)),
            },
            LeaseCall::Remaining(id) => lessor.remaining(LeaseId(id), now),
        };
        Ok(match found {
            Some((granted, left)) => LeaseReply::Found(Found {
                granted,
                left,
                applied: self.inner.applied.get(),
            }),
            None => LeaseReply::Missing,
        })
    }

    /// Gives a lease its full time again where the next leader would look, then renews it. A renewal that was
    /// acknowledged must not be lost with this leader.
    async fn restore_lease(&self, id: LeaseId) -> LeaseReply {
        let Some(term) = self.inner.lessor.leads() else {
            return LeaseReply::NotLeader;
        };
        let full = LeaseCheckpoint {
            term,
            remaining: vec![(id, 0)],
        };
        if self
            .replicate(&Actor::Member, Command::LeaseCheckpoint(full))
            .await
            .is_err()
        {
            return LeaseReply::NotLeader;
        }
        let renewed = self.try_lease_call(LeaseCall::Renew(id.0));
        renewed.unwrap_or(LeaseReply::NotLeader)
    }
}
