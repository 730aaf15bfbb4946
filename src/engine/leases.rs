//! Leases: requests about them, and the leader's task that revokes those whose time is up.
//!
//! Renewals never enter the log. The leader answers them from its [`Lessor`](super::lessor::Lessor); other
//! members pass them to it over the peer network.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::command::Command;
use super::error::EngineError;
use super::lessor::MAX_TTL;
use super::types::{Header, LeaseInfo};
use super::{Engine, EngineResult};
use crate::base::clock;
use crate::base::codec;
use crate::base::ids::{LeaseId, MemberId};
use crate::mvcc;
use crate::raft::Role;

/// How often the leader looks for leases whose time is up (etcd's pace).
const EXPIRY_INTERVAL: Duration = Duration::from_millis(500);
/// Leases revoked per look (etcd's pace: 1000 a second).
const EXPIRED_PER_LOOK: usize = 500;
/// Revocations under way at once.
const PARALLEL_REVOKES: usize = 16;
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
    /// Granted and remaining seconds, as of an applied index of the leader's.
    Found {
        granted: i64,
        left: i64,
        applied: u64,
    },
    /// There is no such lease, or its time is up.
    Missing,
    /// The member asked does not lead.
    NotLeader,
}

/// A lease that the leader found.
#[derive(Debug, Clone, Copy)]
struct Found {
    granted: i64,
    left: i64,
    applied: u64,
}

impl Engine {
    /// The least time to live that is granted: one and a half election timeouts, in whole seconds.
    fn min_ttl(&self) -> i64 {
        let timeout = self.inner.election_timeout.as_millis() * 3 / 2;
        i64::try_from(timeout.div_ceil(1000)).unwrap_or(i64::MAX)
    }

    /// Grants a lease; `LeaseId::NONE` lets the member choose the id. Gives the id and the granted
    /// seconds, which are raised to the minimum.
    ///
    /// # Errors
    /// [`EngineError::LeaseExists`], [`EngineError::LeaseTtlTooLarge`], and those of every command.
    pub async fn lease_grant(&self, id: LeaseId, ttl: i64) -> EngineResult<(Header, LeaseId, i64)> {
        if ttl > MAX_TTL {
            return Err(EngineError::LeaseTtlTooLarge);
        }
        let ttl = ttl.max(self.min_ttl());
        loop {
            let chosen = if id.is_none() { random_lease_id() } else { id };
            match self.propose(Command::LeaseGrant { id: chosen, ttl }).await {
                // A random id that is taken is rare, and another one will do.
                Err(EngineError::LeaseExists) if id.is_none() => {}
                Err(error) => return Err(error),
                Ok((header, _)) => return Ok((header, chosen, ttl)),
            }
        }
    }

    /// Revokes a lease and deletes its keys in one revision.
    ///
    /// # Errors
    /// [`EngineError::LeaseNotFound`], and those of every command.
    pub async fn lease_revoke(&self, id: LeaseId) -> EngineResult<Header> {
        let (header, _) = self.propose(Command::LeaseRevoke { id }).await?;
        Ok(header)
    }

    /// Renews a lease. Gives the granted seconds, or 0 if there is no such lease. Answered by the leader;
    /// other members ask it.
    ///
    /// # Errors
    /// [`EngineError::NoLeader`], [`EngineError::Timeout`].
    pub async fn lease_keep_alive(&self, id: LeaseId) -> EngineResult<(Header, i64)> {
        let ttl = match self.ask_leader(LeaseCall::Renew(id.0)).await? {
            Some(found) => found.granted,
            None => 0,
        };
        Ok((self.header(), ttl))
    }

    /// What is left of a lease. Answered by the leader; other members ask it.
    ///
    /// # Errors
    /// [`EngineError::NoLeader`], [`EngineError::Timeout`].
    pub async fn lease_time_to_live(
        &self,
        id: LeaseId,
        keys: bool,
    ) -> EngineResult<(Header, LeaseInfo)> {
        let mut info = LeaseInfo {
            id,
            ttl: -1,
            granted_ttl: 0,
            keys: Vec::new(),
        };
        if let Some(found) = self.ask_leader(LeaseCall::Remaining(id.0)).await? {
            info.granted_ttl = found.granted;
            info.ttl = found.left;
            if keys {
                // The leader had applied this much when it answered: what is read here is no older.
                let reach = self.inner.applied.reach(found.applied);
                tokio::time::timeout(self.inner.request_timeout, reach)
                    .await
                    .map_err(|_| EngineError::Timeout)?;
                let read =
                    move |_: &Self, view: &super::view::View| mvcc::lease::keys(&view.store, id);
                info.keys = self.read(false, None, read).await?.1;
            }
        }
        Ok((self.header(), info))
    }

    /// Every lease this member knows, by expiry.
    ///
    /// # Errors
    /// None today; the signature leaves room for a store that must be asked.
    pub async fn leases(&self) -> EngineResult<(Header, Vec<LeaseId>)> {
        Ok((self.header(), self.inner.lessor.list()))
    }

    /// Puts a question to the leader, wherever it is, and again if it moves meanwhile.
    async fn ask_leader(&self, call: LeaseCall) -> EngineResult<Option<Found>> {
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
                Some(LeaseReply::Found {
                    granted,
                    left,
                    applied,
                }) => {
                    return Ok(Some(Found {
                        granted,
                        left,
                        applied,
                    }));
                }
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
    pub(super) async fn answer_peer_call(&self, kind: u16, request: Bytes) -> Option<Bytes> {
        if kind != LEASE_CALL {
            return None;
        }
        let call = codec::decode(CALL_VERSION, &request).ok()?;
        let reply = self.answer_lease_call(call).await;
        codec::encode(CALL_VERSION, &reply).ok().map(Bytes::from)
    }

    async fn answer_lease_call(&self, call: LeaseCall) -> LeaseReply {
        if matches!(call, LeaseCall::Renew(_)) {
            // A renewal is answered from what is applied, as long as the lease is there.
            let answer = self.try_lease_call(call);
            if !matches!(answer, LeaseReply::Missing) {
                return answer;
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
        self.try_lease_call(call)
    }

    fn try_lease_call(&self, call: LeaseCall) -> LeaseReply {
        let lessor = &self.inner.lessor;
        if !lessor.leads() {
            return LeaseReply::NotLeader;
        }
        let now = clock::now();
        let found = match call {
            LeaseCall::Renew(id) => {
                self.inner.metrics.lease.renewed.inc();
                lessor.renew(LeaseId(id), now).map(|ttl| (ttl, ttl))
            }
            LeaseCall::Remaining(id) => lessor.remaining(LeaseId(id), now),
        };
        match found {
            Some((granted, left)) => LeaseReply::Found {
                granted,
                left,
                applied: self.inner.applied.get(),
            },
            None => LeaseReply::Missing,
        }
    }

    /// Revokes leases whose time is up, for as long as this member leads.
    pub(super) async fn expire_leases(self) {
        let permits = Arc::new(Semaphore::new(PARALLEL_REVOKES));
        let mut ticks = tokio::time::interval(EXPIRY_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for id in self.inner.lessor.expired(clock::now(), EXPIRED_PER_LOOK) {
                self.inner.metrics.lease.expired.inc();
                let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                    return;
                };
                let engine = self.clone();
                self.inner.life.task("revoke-lease", async move {
                    // A revocation that fails is tried again when the lessor offers the lease again.
                    if let Err(error) = engine.propose(Command::LeaseRevoke { id }).await {
                        tracing::debug!(lease = id.0, %error, "revocation of an expired lease failed");
                    }
                    drop(permit);
                });
            }
        }
    }

    fn leads_in(&self, term: u64) -> bool {
        let status = self.inner.node.status();
        status.role == Role::Leader && status.term == term
    }

    /// Keeps the lessor in step with this member's role.
    pub(super) async fn follow_role(self) {
        let mut statuses = self.inner.node.subscribe();
        let mut led_term = None;
        loop {
            let (role, term) = {
                let status = statuses.borrow_and_update();
                (status.role, status.term)
            };
            match (role, led_term) {
                (Role::Leader, led) if led != Some(term) => {
                    // A new leader knows every lease only once it has applied all that was committed before
                    // its term, which a read barrier shows. If it fails, the role may have changed.
                    if self.read_barrier().await.is_ok() && self.leads_in(term) {
                        led_term = Some(term);
                        self.inner
                            .lessor
                            .lead(clock::now(), self.inner.election_timeout);
                    } else {
                        tokio::time::sleep(self.inner.heartbeat / 2).await;
                    }
                    continue;
                }
                (Role::Leader, _) => {}
                (_, Some(_)) => {
                    led_term = None;
                    self.inner.lessor.follow();
                }
                (_, None) => {}
            }
            if statuses.changed().await.is_err() {
                return;
            }
        }
    }
}

/// A positive id that nobody has chosen before, most likely.
fn random_lease_id() -> LeaseId {
    LeaseId(rand::random_range(1..=i64::MAX))
}
