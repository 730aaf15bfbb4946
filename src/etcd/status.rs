//! Errors as clients of etcd see them.
//!
//! Clients map errors by the text of the message, so code and text are contract to the letter
//! (etcd's `rpctypes` tables). This is the only place that has them.

use tonic::{Code, Status};

use crate::engine::{AuthError, EngineError, MemberRefusal};
use crate::mvcc::validate::Invalid;

/// Why a request is refused before the engine sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// It breaks a rule of the store.
    #[error("etcdserver: {0}")]
    Invalid(#[from] Invalid),
    /// An operation of a transaction is none. The words are etcd's.
    #[error("etcdserver: key not found")]
    NoOperation,
    /// A sort order or target has no meaning.
    #[error("etcdserver: invalid sort option")]
    InvalidSort,
    /// A compare's target or result has no meaning. etcd evaluates such a compare to something arbitrary;
    /// no client sends one.
    #[error("etcdserver: invalid compare option")]
    InvalidCompare,
    /// A peer URL is missing or malformed.
    #[error("etcdserver: given member URLs are invalid")]
    BadMemberUrls,
    /// An alarm action has no meaning.
    #[error("etcdserver: invalid alarm action")]
    InvalidAlarmAction,
    /// There is no such alarm.
    #[error("etcdserver: invalid alarm type")]
    InvalidAlarmType,
    /// A version is none.
    #[error("etcdserver: wrong downgrade target version format")]
    DowngradeFormat,
    /// A version that the cluster cannot be taken back to.
    #[error("etcdserver: invalid downgrade target version")]
    DowngradeTarget,
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        Self::invalid_argument(refusal.to_string())
    }
}

impl From<EngineError> for Status {
    fn from(error: EngineError) -> Self {
        let (code, text) = match error {
            EngineError::KeyNotFound => (Code::InvalidArgument, "etcdserver: key not found"),
            EngineError::Compacted => (
                Code::OutOfRange,
                "etcdserver: mvcc: required revision has been compacted",
            ),
            EngineError::FutureRevision => (
                Code::OutOfRange,
                "etcdserver: mvcc: required revision is a future revision",
            ),
            EngineError::LeaseNotFound => (Code::NotFound, "etcdserver: requested lease not found"),
            EngineError::LeaseExists => {
                (Code::FailedPrecondition, "etcdserver: lease already exists")
            }
            EngineError::LeaseTtlTooLarge => (Code::OutOfRange, "etcdserver: too large lease TTL"),
            EngineError::RequestTooLarge => {
                (Code::InvalidArgument, "etcdserver: request is too large")
            }
            EngineError::TooManyRequests => {
                (Code::ResourceExhausted, "etcdserver: too many requests")
            }
            EngineError::NoSpace => (
                Code::ResourceExhausted,
                "etcdserver: mvcc: database space exceeded",
            ),
            EngineError::Corrupt => (Code::DataLoss, "etcdserver: corrupt cluster"),
            EngineError::DowngradeInProgress => (
                Code::FailedPrecondition,
                "etcdserver: cluster has a downgrade job in progress",
            ),
            EngineError::NoLeader => return no_leader(),
            EngineError::NotLeader => (Code::FailedPrecondition, "etcdserver: not leader"),
            EngineError::LeaderChanged => (Code::Unavailable, "etcdserver: leader changed"),
            EngineError::Timeout => (Code::Unavailable, "etcdserver: request timed out"),
            EngineError::TimeoutLeaderFailure => (
                Code::Unavailable,
                "etcdserver: request timed out, possibly due to previous leader failure",
            ),
            EngineError::TimeoutConnectionLost => (
                Code::Unavailable,
                "etcdserver: request timed out, possibly due to connection lost",
            ),
            EngineError::DeadlineExceeded => return deadline_exceeded(),
            EngineError::Auth(error) => return error.into(),
            EngineError::Membership(refusal) => (membership(refusal), refusal.reason()),
            EngineError::BadTransferee => (
                Code::FailedPrecondition,
                "etcdserver: bad leader transferee",
            ),
            EngineError::TransferTimeout => (
                Code::Unknown,
                "etcdserver: request timed out, leader transfer took too long",
            ),
            EngineError::Stopped => return stopped(),
            EngineError::Internal(text) => return Self::unknown(text),
        };
        Self::new(code, text)
    }
}

impl From<AuthError> for Status {
    fn from(error: AuthError) -> Self {
        let code = match error {
            AuthError::RootUserMissing
            | AuthError::RootRoleMissing
            | AuthError::UserExists
            | AuthError::UserNotFound
            | AuthError::RoleExists
            | AuthError::RoleNotFound
            | AuthError::RoleNotGranted
            | AuthError::PermissionNotGranted
            | AuthError::NotEnabled => Code::FailedPrecondition,
            AuthError::UserEmpty
            | AuthError::RoleEmpty
            | AuthError::AuthenticationFailed
            | AuthError::PermissionNotGiven
            | AuthError::InvalidManagement
            | AuthError::OldRevision => Code::InvalidArgument,
            AuthError::PermissionDenied => Code::PermissionDenied,
            AuthError::InvalidToken => Code::Unauthenticated,
            AuthError::TooLarge => Code::ResourceExhausted,
            // etcd has no code for these, and words of their own.
            AuthError::NoPassword | AuthError::VerifyOnly => {
                return Self::unknown(format!("auth: {error}"));
            }
            AuthError::PasswordTooLong => return Self::unknown(format!("bcrypt: {error}")),
        };
        Self::new(code, format!("etcdserver: {error}"))
    }
}

/// The codes of refused changes of the members, whose texts are etcd's already.
const fn membership(refusal: MemberRefusal) -> Code {
    match refusal {
        MemberRefusal::NotFound => Code::NotFound,
        MemberRefusal::Unhealthy => Code::Unavailable,
        MemberRefusal::IdExists
        | MemberRefusal::UrlExists
        | MemberRefusal::NotLearner
        | MemberRefusal::NotInSync
        | MemberRefusal::TooManyLearners
        | MemberRefusal::NotEnoughStarted => Code::FailedPrecondition,
    }
}

/// The member has no vote, and so does not serve this.
pub(crate) fn not_for_learners() -> Status {
    Status::failed_precondition("etcdserver: rpc not supported for learner")
}

/// No leader is known.
pub(crate) fn no_leader() -> Status {
    Status::unavailable("etcdserver: no leader")
}

/// The client's own time is over.
pub(crate) fn deadline_exceeded() -> Status {
    Status::deadline_exceeded("context deadline exceeded")
}

/// The member is stopping.
pub(crate) fn stopped() -> Status {
    Status::unavailable("etcdserver: server stopped")
}

/// A method that this service does not have, in gRPC's words for servers that never heard of it.
pub(crate) fn unknown_method(service: &str, method: &str) -> Status {
    Status::unimplemented(format!("unknown method {method} for service {service}"))
}

/// A service that this server does not have.
pub(crate) fn unknown_service(service: &str) -> Status {
    Status::unimplemented(format!("unknown service {service}"))
}

/// Why the client's half of a stream broke.
pub(crate) fn received(status: Status) -> Status {
    as_size_limit(&status).unwrap_or(status)
}

/// Whether the client's half of a stream broke by what the client sent. That it went away is its own decision
/// (etcd's `isClientCtxErr`).
pub(crate) fn is_failure_of_stream(broken: &Status) -> bool {
    matches!(
        broken.code(),
        Code::Internal | Code::OutOfRange | Code::ResourceExhausted | Code::Unimplemented
    )
}

/// Gives a message over the receive limit the code and text that etcd's clients know.
///
/// tonic tells it by text only, and never otherwise answers `OutOfRange` before a handler runs.
pub(crate) fn as_size_limit(status: &Status) -> Option<Status> {
    if status.code() != Code::OutOfRange {
        return None;
    }
    let numbers = status
        .message()
        .strip_prefix("Error, decoded message length too large: found ")?;
    let (found, rest) = numbers.split_once(" bytes, the limit is: ")?;
    let limit = rest.strip_suffix(" bytes")?;
    Some(Status::resource_exhausted(format!(
        "grpc: received message larger than max ({found} vs. {limit})"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of the tables in which clients look the text up.
    #[test]
    fn engine_errors_have_etcds_codes_and_texts() {
        let rows = [
            (
                EngineError::KeyNotFound,
                Code::InvalidArgument,
                "etcdserver: key not found",
            ),
            (
                EngineError::Compacted,
                Code::OutOfRange,
                "etcdserver: mvcc: required revision has been compacted",
            ),
            (
                EngineError::FutureRevision,
                Code::OutOfRange,
                "etcdserver: mvcc: required revision is a future revision",
            ),
            (
                EngineError::LeaseNotFound,
                Code::NotFound,
                "etcdserver: requested lease not found",
            ),
            (
                EngineError::NoLeader,
                Code::Unavailable,
                "etcdserver: no leader",
            ),
            (
                MemberRefusal::NotFound.into(),
                Code::NotFound,
                "etcdserver: member not found",
            ),
            (
                MemberRefusal::UrlExists.into(),
                Code::FailedPrecondition,
                "etcdserver: Peer URLs already exists",
            ),
            (
                MemberRefusal::Unhealthy.into(),
                Code::Unavailable,
                "etcdserver: unhealthy cluster",
            ),
            (
                EngineError::NoSpace,
                Code::ResourceExhausted,
                "etcdserver: mvcc: database space exceeded",
            ),
            (
                EngineError::Corrupt,
                Code::DataLoss,
                "etcdserver: corrupt cluster",
            ),
            (
                EngineError::DowngradeInProgress,
                Code::FailedPrecondition,
                "etcdserver: cluster has a downgrade job in progress",
            ),
            (
                EngineError::DeadlineExceeded,
                Code::DeadlineExceeded,
                "context deadline exceeded",
            ),
            (
                EngineError::Internal("disk on fire".into()),
                Code::Unknown,
                "disk on fire",
            ),
        ];
        for (error, code, text) in rows {
            let status = Status::from(error);
            assert_eq!((status.code(), status.message()), (code, text));
        }
    }

    #[test]
    fn refusals_are_invalid_arguments() {
        let rows = [
            (Refusal::NoOperation, "etcdserver: key not found"),
            (Invalid::EmptyKey.into(), "etcdserver: key is not provided"),
            (
                Invalid::ValueProvided.into(),
                "etcdserver: value is provided",
            ),
            (
                Invalid::LeaseProvided.into(),
                "etcdserver: lease is provided",
            ),
            (
                Invalid::TooManyOps.into(),
                "etcdserver: too many operations in txn request",
            ),
            (
                Invalid::DuplicateKey.into(),
                "etcdserver: duplicate key given in txn request",
            ),
        ];
        for (refusal, text) in rows {
            let status = Status::from(refusal);
            assert_eq!(
                (status.code(), status.message()),
                (Code::InvalidArgument, text)
            );
        }
    }

    #[test]
    fn only_the_size_limit_is_reworded() {
        let tonics = Status::out_of_range(
            "Error, decoded message length too large: found 3000000 bytes, the limit is: 2097152 bytes",
        );
        let reworded = as_size_limit(&tonics).unwrap();
        assert_eq!(reworded.code(), Code::ResourceExhausted);
        assert_eq!(
            reworded.message(),
            "grpc: received message larger than max (3000000 vs. 2097152)"
        );
        assert!(as_size_limit(&EngineError::Compacted.into()).is_none());
    }
}
