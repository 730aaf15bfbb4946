//! What can go wrong with the store on disk.

use std::path::PathBuf;

use super::open::FORMAT_VERSION;
use super::records::RecordError;

/// Why the store could not be opened, read or written.
///
/// The first four are about opening and name the directory; the operator can act on each. The others
/// mean that the disk or the data on it cannot be trusted: the member stops (a failed write is never
/// retried into an unknown state).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another process, or another part of this one, has the directory open.
    #[error("{}: in use by another process", .0.display())]
    InUse(PathBuf),
    /// The directory cannot be made or written.
    #[error("{}: cannot be written: {reason}", .path.display())]
    Unwritable {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The directory holds something that is not a Holdfast state.
    #[error("{}: holds something other than a Holdfast state", .0.display())]
    Foreign(PathBuf),
    /// The directory holds a state of another format version.
    #[error("{}: format version {found}, this build reads {FORMAT_VERSION}", .path.display())]
    Format {
        /// The directory.
        path: PathBuf,
        /// The version found.
        found: u32,
    },
    /// A file operation beside the database failed.
    #[error("{}: {reason}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The database failed.
    #[error("database: {0}")]
    Database(String),
    /// A stored record does not decode.
    #[error("corrupt record: {0}")]
    Record(#[from] RecordError),
}

impl StoreError {
    /// An I/O error at `path`.
    pub(super) fn io(path: impl Into<PathBuf>, error: &std::io::Error) -> Self {
        Self::Io {
            path: path.into(),
            reason: error.to_string(),
        }
    }
}

impl From<rocksdb::Error> for StoreError {
    fn from(error: rocksdb::Error) -> Self {
        Self::Database(error.into_string())
    }
}
