//! The one facade that both APIs use: propose and apply, read, watch, leases, maintenance.
//!
//! Commands travel `propose -> raft -> apply -> watch ring -> answer`; the apply thread is the only
//! writer of the state (`docs/invariants.md` states the order). Nothing here knows gRPC or HTTP.

mod error;
mod types;

pub use error::EngineError;
pub use types::*;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::base::ids::{LeaseId, MemberId};
use crate::mvcc::ops::{
    DeleteOp, DeleteResult, PutOp, PutResult, RangeOp, RangeResult, Txn, TxnResult,
};

use crate::watch::{WatchFrames, WatchRequests};

/// A running member's store. Cheap to clone; every clone is the same store.
///
/// Requests are validated with `mvcc::validate` by the caller before they come here.
#[derive(Debug, Clone)]
pub struct Engine {}

/// What every call gives.
pub type EngineResult<T> = Result<T, EngineError>;

impl Engine {
    /// The header of a response that is made now.
    pub fn header(&self) -> Header {
        Header {
            cluster_id: Default::default(),
            member_id: Default::default(),
            revision: Default::default(),
            raft_term: 0,
        }
    }

    /// Reads a range at one revision.
    ///
    /// # Errors
    /// [`EngineError::Compacted`], [`EngineError::FutureRevision`]; for linearizable reads also
    /// [`EngineError::Timeout`] and [`EngineError::LeaderChanged`].
    pub async fn range(
        &self,
        _op: RangeOp,
        _consistency: Consistency,
    ) -> EngineResult<(Header, RangeResult)> {
        Err(EngineError::Stopped)
    }

    /// Reads a range at one revision in chunks of bounded size. Every chunk carries key-values; the last
    /// one carries the header, `more` and `count` (see [`RangeChunk`]).
    ///
    /// # Errors
    /// As [`Self::range`]; later failures arrive in the channel and end it.
    pub async fn range_stream(
        &self,
        _op: RangeOp,
        _consistency: Consistency,
    ) -> EngineResult<mpsc::Receiver<EngineResult<RangeChunk>>> {
        Err(EngineError::Stopped)
    }

    /// Writes one key.
    ///
    /// # Errors
    /// What the operation itself can fail with, and the errors of every replicated command:
    /// [`EngineError::RequestTooLarge`], [`EngineError::TooManyRequests`], the time-outs.
    pub async fn put(&self, _op: PutOp) -> EngineResult<(Header, PutResult)> {
        Err(EngineError::Stopped)
    }

    /// Deletes a range of keys.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub async fn delete(&self, _op: DeleteOp) -> EngineResult<(Header, DeleteResult)> {
        Err(EngineError::Stopped)
    }

    /// Runs a transaction. One that only reads does not go through the log: it is linearizable unless
    /// `consistency` says otherwise.
    ///
    /// # Errors
    /// As [`Self::put`] and [`Self::range`].
    pub async fn txn(
        &self,
        _txn: Txn,
        _consistency: Consistency,
    ) -> EngineResult<(Header, TxnResult)> {
        Err(EngineError::Stopped)
    }

    /// Discards history below `revision`. With `physical`, also waits until this member has removed it.
    ///
    /// # Errors
    /// [`EngineError::Compacted`], [`EngineError::FutureRevision`], and those of every command.
    pub async fn compact(&self, _revision: i64, _physical: bool) -> EngineResult<Header> {
        Err(EngineError::Stopped)
    }

    /// Grants a lease; `LeaseId::NONE` lets the member choose the id. Gives the id and the granted
    /// seconds, which are raised to the minimum.
    ///
    /// # Errors
    /// [`EngineError::LeaseExists`], [`EngineError::LeaseTtlTooLarge`], and those of every command.
    pub async fn lease_grant(
        &self,
        _id: LeaseId,
        _ttl: i64,
    ) -> EngineResult<(Header, LeaseId, i64)> {
        Err(EngineError::Stopped)
    }

    /// Revokes a lease and deletes its keys in one revision.
    ///
    /// # Errors
    /// [`EngineError::LeaseNotFound`], and those of every command.
    pub async fn lease_revoke(&self, _id: LeaseId) -> EngineResult<Header> {
        Err(EngineError::Stopped)
    }

    /// Renews a lease. Gives the granted seconds, or 0 if there is no such lease. Answered by the leader;
    /// other members ask it.
    ///
    /// # Errors
    /// [`EngineError::NoLeader`], [`EngineError::Timeout`].
    pub async fn lease_keep_alive(&self, _id: LeaseId) -> EngineResult<(Header, i64)> {
        Err(EngineError::Stopped)
    }

    /// What is left of a lease. Answered by the leader; other members ask it.
    ///
    /// # Errors
    /// [`EngineError::NoLeader`], [`EngineError::Timeout`].
    pub async fn lease_time_to_live(
        &self,
        _id: LeaseId,
        _keys: bool,
    ) -> EngineResult<(Header, LeaseInfo)> {
        Err(EngineError::Stopped)
    }

    /// Every lease this member knows, by expiry.
    ///
    /// # Errors
    /// [`EngineError::Internal`] when storage fails.
    pub async fn leases(&self) -> EngineResult<(Header, Vec<LeaseId>)> {
        Err(EngineError::Stopped)
    }

    /// The members, by id.
    ///
    /// # Errors
    /// As a read of the given consistency.
    pub async fn members(&self, _consistency: Consistency) -> EngineResult<(Header, Vec<Member>)> {
        Err(EngineError::Stopped)
    }

    /// What this member says of itself. Never waits.
    ///
    /// # Errors
    /// [`EngineError::Internal`] when storage fails.
    pub fn status(&self) -> EngineResult<MemberStatus> {
        Err(EngineError::Stopped)
    }

    /// Waits until this member could serve a linearizable read now: what `/readyz` asks.
    ///
    /// # Errors
    /// As a linearizable read.
    pub async fn read_barrier(&self) -> EngineResult<()> {
        Err(EngineError::Stopped)
    }

    /// Hash of the kept revisions up to `revision` (0 is the current one).
    ///
    /// # Errors
    /// [`EngineError::Compacted`], [`EngineError::FutureRevision`].
    pub async fn hash_kv(&self, _revision: i64) -> EngineResult<(Header, KvHash)> {
        Err(EngineError::Stopped)
    }

    /// Hash over the whole state on disk; differs between members legitimately.
    ///
    /// # Errors
    /// [`EngineError::Internal`] when storage fails.
    pub async fn hash(&self) -> EngineResult<(Header, u32)> {
        Err(EngineError::Stopped)
    }

    /// A consistent copy of the state as one stream of bytes in Holdfast's own snapshot format, whose
    /// length is a multiple of 512. The total length comes first.
    ///
    /// # Errors
    /// [`EngineError::Internal`] when the copy cannot be made; later failures arrive in the channel.
    pub async fn snapshot(&self) -> EngineResult<(u64, mpsc::Receiver<EngineResult<Bytes>>)> {
        Err(EngineError::Stopped)
    }

    /// Asks storage to rewrite itself and waits for it. Reads and writes go on meanwhile.
    ///
    /// # Errors
    /// [`EngineError::Internal`] when storage fails.
    pub async fn defragment(&self) -> EngineResult<()> {
        Err(EngineError::Stopped)
    }

    /// Hands leadership to another member and waits until it has it.
    ///
    /// # Errors
    /// [`EngineError::NotLeader`], [`EngineError::BadTransferee`], [`EngineError::TransferTimeout`].
    pub async fn move_leader(&self, _target: MemberId) -> EngineResult<()> {
        Err(EngineError::Stopped)
    }

    /// The alarms that are raised, through the log as etcd reads them.
    ///
    /// # Errors
    /// Those of every command.
    pub async fn alarms(&self) -> EngineResult<(Header, Vec<Alarm>)> {
        Err(EngineError::Stopped)
    }

    /// The alarms as this member's applied state has them, without waiting for anyone.
    ///
    /// # Errors
    /// [`EngineError::Internal`] when storage fails.
    pub fn local_alarms(&self) -> EngineResult<Vec<Alarm>> {
        Err(EngineError::Stopped)
    }

    /// Opens a watch stream. `None` when the member is stopping.
    pub fn open_watch(&self) -> Option<(WatchRequests, WatchFrames)> {
        None
    }

    /// Whether a leader is known now.
    pub fn has_leader(&self) -> bool {
        false
    }

    /// Completes when no leader has been known for three election timeouts: what ends streams that ask
    /// for a leader (`hasleader` metadata).
    pub async fn leader_lost(&self) {
        std::future::pending::<()>().await;
    }
}
