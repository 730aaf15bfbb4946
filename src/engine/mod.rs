//! The one facade that both APIs use: propose and apply, read, watch, leases, maintenance.
//!
//! Commands travel `propose -> raft -> apply -> watch ring -> answer`; the apply thread is the only
//! writer of the state (`docs/invariants.md` states the order). Nothing here knows gRPC or HTTP.

mod alarm_calls;
mod alarms;
mod answers;
mod apply;
mod auth;
mod auto_compaction;
mod background;
mod backup;
mod barrier;
mod command;
mod config;
mod corruption;
mod error;
mod evaluate;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod lease_calls;
mod lease_expiry;
mod leases;
mod lessor;
mod machine;
mod maintenance;
mod members;
mod membership;
mod meta;
mod peers;
mod propose;
mod quota;
mod read;
mod report;
mod restore;
mod slow;
mod start;
mod state_dir;
mod stopwatch;
mod types;
mod view;
mod waiters;

pub use auth::{
    Acting, AuthConfig, Caller, Credentials, Demand, Jwt, JwtError, JwtSettings, NewPassword,
    TokenConfig,
};
pub use backup::{MANIFEST, Manifest};
pub use config::EngineConfig;
pub use error::EngineError;
pub use membership::MemberRefusal;
pub use restore::{RestoreError, UNFINISHED_RESTORE, restore_snapshot, snapshot_status};
pub use slow::{ReadTimes, Shown, SlowLimits, SlowLog};
pub use start::StartError;
pub use state_dir::StateDirError;
pub use types::*;

pub use crate::mvcc::auth::{AuthError, Permission, PermissionKind};

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use self::answers::Answers;
use self::apply::Reply;
use self::auth::Auth;
use self::barrier::Readers;
use self::command::Command;
use self::lessor::Lessor;
use self::members::Members;
use self::quota::Quota;
use self::view::Views;
use self::waiters::{AppliedIndex, Waiters};
use crate::base::ids::{ClusterId, MemberId, Revision};
use crate::base::metrics::Metrics;
use crate::base::shutdown::Lifecycle;
use crate::mvcc;
use crate::mvcc::ops::{
    DeleteOp, DeleteResult, PutOp, PutResult, RangeOp, RangeResult, Txn, TxnResult,
};
use crate::raft::transport::PeerNetwork;
use crate::raft::{NodeHandle, Role};
use crate::watch::{Follower, Hub, WatchFrames, WatchRequests};

/// A running member's store. Cheap to clone; every clone is the same store.
///
/// Requests are validated with `mvcc::validate` by the caller before they come here.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
    /// On whose behalf: of the member itself, unless [`Self::for_clients`] or [`Self::acting`] says otherwise.
    caller: Caller,
}

struct Inner {
    cluster_id: ClusterId,
    member_id: MemberId,
    heartbeat: Duration,
    election_timeout: Duration,
    request_timeout: Duration,
    max_request_bytes: usize,
    views: Arc<Views>,
    counts: mvcc::CountCache,
    auth: Arc<Auth>,
    waiters: Arc<Waiters>,
    answers: Arc<Answers>,
    readers: Readers,
    applied: Arc<AppliedIndex>,
    lessor: Arc<Lessor>,
    members: Arc<Members>,
    slow: Arc<SlowLog>,
    /// Held by the change of the members that is decided on: one at a time.
    member_turn: tokio::sync::Mutex<()>,
    strict_reconfig: bool,
    max_learners: usize,
    quota: Arc<Quota>,
    node: NodeHandle,
    hub: Hub,
    /// Commands of the largest entry since somebody last asked.
    largest_round: Arc<AtomicUsize>,
    /// The current term, for the headers of all responses, so that none names an older one than another did.
    term: Arc<AtomicU64>,
    network: Arc<PeerNetwork>,
    /// Cancelled once the cluster has this member's name and client URLs.
    published: CancellationToken,
    /// The revision below which this member has removed history.
    removed: watch::Sender<Revision>,
    backups: Arc<Semaphore>,
    backup_root: PathBuf,
    backup_number: AtomicU64,
    metrics: Arc<Metrics>,
    life: Lifecycle,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What every call gives.
pub type EngineResult<T> = Result<T, EngineError>;

impl Engine {
    /// The header of a response that is made now.
    pub fn header(&self) -> Header {
        Header {
            cluster_id: self.inner.cluster_id,
            member_id: self.inner.member_id,
            revision: self.inner.views.load().state.revision,
            raft_term: self.inner.term.load(Ordering::Relaxed),
        }
    }

    /// Reads a range at one revision.
    ///
    /// # Errors
    /// [`EngineError::Compacted`], [`EngineError::FutureRevision`]; for linearizable reads also
    /// [`EngineError::Timeout`] and [`EngineError::LeaderChanged`].
    pub async fn range(
        &self,
        op: RangeOp,
        consistency: Consistency,
    ) -> EngineResult<(Header, RangeResult)> {
        self.settle(consistency).await?;
        self.read_range(op).await
    }

    /// Reads a range at one revision in chunks of bounded size. Every chunk carries key-values; the last
    /// one carries the header, `more` and `count` (see [`RangeChunk`]).
    ///
    /// # Errors
    /// As [`Self::range`]; later failures arrive in the channel and end it.
    pub async fn range_stream(
        &self,
        op: RangeOp,
        consistency: Consistency,
    ) -> EngineResult<mpsc::Receiver<EngineResult<RangeChunk>>> {
        self.settle(consistency).await?;
        self.stream_range(op)
    }

    /// Writes one key.
    ///
    /// # Errors
    /// What the operation itself can fail with, and the errors of every replicated command:
    /// [`EngineError::RequestTooLarge`], [`EngineError::TooManyRequests`], the time-outs.
    pub async fn put(&self, op: PutOp) -> EngineResult<(Header, PutResult)> {
        match self.propose(Command::Put(op)).await? {
            (header, Reply::Put(result)) => Ok((header, result)),
            (_, other) => Err(unexpected(&other)),
        }
    }

    /// Deletes a range of keys.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub async fn delete(&self, op: DeleteOp) -> EngineResult<(Header, DeleteResult)> {
        match self.propose(Command::Delete(op)).await? {
            (header, Reply::Delete(result)) => Ok((header, result)),
            (_, other) => Err(unexpected(&other)),
        }
    }

    /// Runs a transaction. One that only reads does not go through the log: it is linearizable unless
    /// `consistency` says otherwise.
    ///
    /// # Errors
    /// As [`Self::put`] and [`Self::range`].
    pub async fn txn(
        &self,
        txn: Txn,
        consistency: Consistency,
    ) -> EngineResult<(Header, TxnResult)> {
        if mvcc::read::is_read_only(&txn) {
            return self.timed_read_txn(txn, consistency).await;
        }
        match self.propose(Command::Txn(txn)).await? {
            (header, Reply::Txn(result)) => Ok((header, result)),
            (_, other) => Err(unexpected(&other)),
        }
    }

    /// Opens a watch stream.
    ///
    /// # Errors
    /// [`EngineError::Stopped`], or [`EngineError::TooManyRequests`] if too many are open.
    pub fn open_watch(&self) -> EngineResult<(WatchRequests, WatchFrames)> {
        Ok(self.inner.hub.open()?)
    }

    /// Follows every change from `reached` on, for one copy of the store that is kept beside it.
    pub fn follow(&self, reached: Revision) -> Follower {
        self.inner.hub.follow(reached)
    }

    /// Completes once the cluster knows this member's name and client URLs: from then on every member's
    /// list shows clients the way here.
    pub async fn published(&self) {
        self.inner.published.cancelled().await;
    }

    /// Where requests that took long are told.
    pub fn slow_log(&self) -> &SlowLog {
        &self.inner.slow
    }

    /// Runs what must be brought to an end even if the request that began it is dropped. Ends early only
    /// with the member. The caller bounds how many there are.
    pub fn finish(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.inner.life.task(name, work);
    }

    /// Whether a leader is known now.
    pub fn has_leader(&self) -> bool {
        self.inner.node.leader() != MemberId::NONE
    }

    /// The most commands that one log entry carried since the last call: about how many clients of the whole
    /// cluster write at the same time.
    pub fn take_largest_round(&self) -> usize {
        self.inner.largest_round.swap(0, Ordering::Relaxed)
    }

    /// The term in which this member leads now.
    fn led_term(&self) -> Option<u64> {
        let status = self.inner.node.status();
        (status.role == Role::Leader).then_some(status.term)
    }

    /// Completes when no leader has been known for three election timeouts: what ends streams that ask
    /// for a leader (`hasleader` metadata).
    pub async fn leader_lost(&self) {
        let mut statuses = self.inner.node.subscribe();
        loop {
            let lost = statuses.wait_for(|status| status.leader == MemberId::NONE);
            if lost.await.is_err() {
                return;
            }
            let found = statuses.wait_for(|status| status.leader != MemberId::NONE);
            match tokio::time::timeout(self.inner.election_timeout * 3, found).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("member_id", &self.inner.member_id)
            .finish_non_exhaustive()
    }
}

/// A command was answered with another command's outcome: a defect, told apart from every refusal.
fn unexpected(reply: &Reply) -> EngineError {
    EngineError::Internal(format!("unexpected reply {reply:?}"))
}

#[cfg(test)]
#[path = "engine_test.rs"]
mod tests;

#[cfg(test)]
mod alarm_test;
