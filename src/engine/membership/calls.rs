//! The way of a change to the leader, from whichever member was asked.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{MemberChange, MemberRefusal};
use crate::base::clock;
use crate::base::codec;
use crate::base::ids::MemberId;
use crate::engine::error::EngineError;
use crate::engine::types::Member;
use crate::engine::{Engine, EngineResult};
use crate::raft::transport::CallError;

/// The kind of peer call that carries a [`MemberChange`].
pub(in crate::engine) const MEMBER_CALL: u16 = 2;
/// The longest change that another member may ask for: above what the API lets in.
const MAX_CHANGE: usize = 128 << 10;
/// Version byte of these calls.
pub(super) const CALL_VERSION: u8 = 1;

/// A change that took place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Changed {
    /// The log entry that brought it.
    pub(super) index: u64,
    /// All members after it.
    pub(super) members: Vec<Member>,
}

/// What the leader says of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Outcome {
    /// It took place.
    Changed(Changed),
    /// It is refused, and nothing has changed.
    Refused(MemberRefusal),
    /// The member asked does not lead, and nothing has changed.
    NotLeader,
    /// It was not done in time; whether it will be is unknown.
    TimedOut,
    /// The member asked is stopping; whether it was done is unknown.
    Stopped,
}

impl Engine {
    /// Has a change carried out by the leader, wherever it is. Asks again only where nothing was done.
    pub(super) async fn have_changed(&self, change: MemberChange) -> EngineResult<Changed> {
        let began = clock::now();
        let deadline = began + self.inner.request_timeout;
        let at_start = self.inner.node.leader();
        loop {
            let left = deadline.saturating_duration_since(clock::now());
            if left.is_zero() {
                let unknown = self.inner.node.leader() == MemberId::NONE;
                return Err(if unknown {
                    EngineError::DeadlineExceeded
                } else {
                    EngineError::Timeout
                });
            }
            match self.ask_for_change(&change, left).await? {
                Outcome::Changed(changed) => return Ok(changed),
                Outcome::Refused(refusal) => return Err(refusal.into()),
                Outcome::TimedOut => return Err(self.why_late(at_start, began)),
                Outcome::Stopped if self.inner.life.is_stopping() => {
                    return Err(EngineError::Stopped);
                }
                Outcome::Stopped => return Err(EngineError::TimeoutLeaderFailure),
                Outcome::NotLeader => tokio::time::sleep(self.inner.heartbeat / 2).await,
            }
        }
    }

    async fn ask_for_change(
        &self,
        change: &MemberChange,
        timeout: Duration,
    ) -> EngineResult<Outcome> {
        let leader = self.inner.node.leader();
        if self.inner.life.is_stopping() {
            return Err(EngineError::Stopped);
        }
        if leader == MemberId::NONE {
            // Members that are out of touch are the likely reason, and a better answer than none.
            return Ok(if self.is_unhealthy_for(change) {
                Outcome::Refused(MemberRefusal::Unhealthy)
            } else {
                Outcome::NotLeader
            });
        }
        if leader == self.inner.member_id {
            return Ok(self.change_as_leader(change, clock::now() + timeout).await);
        }
        let request =
            codec::encode(CALL_VERSION, change).map_err(|_| EngineError::RequestTooLarge)?;
        let call = self
            .inner
            .network
            .call(leader, MEMBER_CALL, request.into(), timeout);
        Ok(match call.await {
            Ok(reply) => codec::decode(CALL_VERSION, &reply).unwrap_or(Outcome::TimedOut),
            Err(
                CallError::UnknownMember
                | CallError::Unreachable
                | CallError::Overloaded
                | CallError::NotReady,
            ) => Outcome::NotLeader,
            Err(_) => Outcome::TimedOut,
        })
    }

    /// Answers another member's call; bytes that are no change are answered with nothing.
    pub(in crate::engine) async fn answer_member_call(&self, request: &[u8]) -> Option<Bytes> {
        if request.len() > MAX_CHANGE {
            return None;
        }
        let change = codec::decode(CALL_VERSION, request).ok()?;
        let outcome = if self.inner.node.leader() == self.inner.member_id {
            let deadline = clock::now() + self.inner.request_timeout;
            self.change_as_leader(&change, deadline).await
        } else {
            Outcome::NotLeader
        };
        codec::encode(CALL_VERSION, &outcome).ok().map(Bytes::from)
    }
}
