//! Why a request cannot be answered.

use super::auth::AuthError;
use crate::storage::StoreError;
use crate::storage::records::RecordError;

/// Why a read or a command failed. A command that fails has changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MvccError {
    /// The revision is below the compacted one.
    #[error("required revision has been compacted")]
    Compacted,
    /// The revision is above the store's.
    #[error("required revision is a future revision")]
    FutureRevision,
    /// `ignore_value` or `ignore_lease` needs the key, and it does not exist.
    #[error("key not found")]
    KeyNotFound,
    /// No such lease.
    #[error("requested lease not found")]
    LeaseNotFound,
    /// The lease id is taken.
    #[error("lease already exists")]
    LeaseExists,
    /// The caller may not, or users and roles forbid it.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StoreError),
    /// What is stored contradicts itself.
    #[error("corrupt state: {0}")]
    Corrupt(&'static str),
}

impl MvccError {
    /// Whether the member must stop: the store cannot be trusted, and a session that returned this must
    /// be dropped, not finished.
    pub const fn is_fatal(&self) -> bool {
        matches!(self, Self::Storage(_) | Self::Corrupt(_))
    }
}

impl From<RecordError> for MvccError {
    fn from(error: RecordError) -> Self {
        Self::Storage(error.into())
    }
}

impl From<crate::base::wire::WireError> for MvccError {
    fn from(error: crate::base::wire::WireError) -> Self {
        RecordError::Wire(error).into()
    }
}
