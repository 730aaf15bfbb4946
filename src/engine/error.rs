//! What can go wrong with a request, in the engine's terms. Each API maps it to its own errors once.

use super::membership::MemberRefusal;
use crate::mvcc::MvccError;
use crate::mvcc::auth::AuthError;
use crate::watch::OpenError;

/// Why the engine refused or could not finish a request. Nothing has changed unless a variant says that
/// the outcome is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The key is missing and `ignore_value` or `ignore_lease` needs it.
    #[error("key not found")]
    KeyNotFound,
    /// The revision is below the compacted revision.
    #[error("required revision has been compacted")]
    Compacted,
    /// The revision is above the store's.
    #[error("required revision is a future revision")]
    FutureRevision,
    /// No such lease.
    #[error("requested lease not found")]
    LeaseNotFound,
    /// The lease id is taken.
    #[error("lease already exists")]
    LeaseExists,
    /// The time to live is above the maximum.
    #[error("too large lease TTL")]
    LeaseTtlTooLarge,
    /// The encoded command is larger than the request limit.
    #[error("request is too large")]
    RequestTooLarge,
    /// A queue is full, or the state machine lags too far behind the log.
    #[error("too many requests")]
    TooManyRequests,
    /// The space quota is used up, or an alarm says so.
    #[error("database space exceeded")]
    NoSpace,
    /// An alarm says that members differ.
    #[error("corrupt cluster")]
    Corrupt,
    /// The cluster is being taken back to an earlier release already.
    #[error("cluster has a downgrade job in progress")]
    DowngradeInProgress,
    /// No leader is known.
    #[error("no leader")]
    NoLeader,
    /// Only the leader can do this.
    #[error("not leader")]
    NotLeader,
    /// The leader changed while a read waited.
    #[error("leader changed")]
    LeaderChanged,
    /// The request was accepted but not finished in time: its outcome is unknown.
    #[error("request timed out")]
    Timeout,
    /// As [`Self::Timeout`], and there was a leader change within the wait.
    #[error("request timed out, possibly due to previous leader failure")]
    TimeoutLeaderFailure,
    /// As [`Self::Timeout`], and the connection to the leader, or the leader's own to a majority, was not up
    /// all the while.
    #[error("request timed out, possibly due to connection lost")]
    TimeoutConnectionLost,
    /// No leader was known from the request's arrival to its deadline.
    #[error("context deadline exceeded")]
    DeadlineExceeded,
    /// The caller may not, or users and roles forbid it.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// A change of the members that etcd's rules refuse.
    #[error(transparent)]
    Membership(#[from] MemberRefusal),
    /// A leader transfer to a member that cannot lead.
    #[error("bad leader transferee")]
    BadTransferee,
    /// A leader transfer did not finish in time.
    #[error("request timed out, leader transfer took too long")]
    TransferTimeout,
    /// The member is stopping.
    #[error("server stopped")]
    Stopped,
    /// Storage failed; the member is stopping.
    #[error("{0}")]
    Internal(String),
}

impl From<OpenError> for EngineError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Stopped => Self::Stopped,
            OpenError::TooManyStreams => Self::TooManyRequests,
        }
    }
}

impl From<MvccError> for EngineError {
    fn from(error: MvccError) -> Self {
        match error {
            MvccError::Compacted => Self::Compacted,
            MvccError::FutureRevision => Self::FutureRevision,
            MvccError::KeyNotFound => Self::KeyNotFound,
            MvccError::LeaseNotFound => Self::LeaseNotFound,
            MvccError::LeaseExists => Self::LeaseExists,
            MvccError::Auth(error) => Self::Auth(error),
            other => Self::Internal(other.to_string()),
        }
    }
}
