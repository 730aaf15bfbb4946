//! What can go wrong between two members.

use std::io;
use std::time::Duration;

use super::frame::FrameError;
use super::handshake::Refusal;
use crate::tls::HandshakeError;

/// Why a peer connection could not be made, or ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// HTTP failed before the connection became ours.
    #[error("http: {0}")]
    Http(#[from] hyper::Error),
    /// The other side sent bytes that are not the protocol.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The other side sent a frame that has no place here.
    #[error("unexpected {0} frame")]
    Unexpected(&'static str),
    /// The other side closed the connection.
    #[error("closed by the peer")]
    Closed,
    /// The connection ended inside a frame.
    #[error("connection ended inside a frame")]
    Truncated,
    /// Nothing was heard for too long.
    #[error("nothing heard for {0:?}")]
    Silent(Duration),
    /// A newer connection of the same peer took over.
    #[error("replaced by a newer connection")]
    Replaced,
    /// No connection was made in time.
    #[error("no connection within {0:?}")]
    DialTimeout(Duration),
    /// A peer URL that cannot be dialled.
    #[error("cannot dial {0}")]
    BadUrl(String),
    /// A peer URL with TLS, and nothing to verify the peer by.
    #[error("cannot dial {0}: there is no --peer-trusted-ca-file to verify it by")]
    NoAuthority(String),
    /// TLS failed.
    #[error("tls: {0}")]
    Tls(#[from] HandshakeError),
    /// The peer has no URL.
    #[error("the member has no peer URL")]
    NoUrl,
    /// The other side refused the handshake.
    #[error("{0}")]
    Refused(Refusal),
    /// The other side answered with what no Holdfast member answers.
    #[error("not a Holdfast peer port: {0}")]
    Foreign(String),
}

impl ConnectionError {
    /// Whether trying again soon is pointless: somebody has to change a configuration first.
    pub(super) const fn is_lasting(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.is_lasting(),
            Self::Foreign(_) | Self::BadUrl(_) | Self::NoUrl | Self::NoAuthority(_) => true,
            Self::Tls(error) => error.is_about_certificate(),
            _ => false,
        }
    }
}

/// Why a call to another member has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No such member.
    #[error("unknown member")]
    UnknownMember,
    /// There is no connection. The other member has not seen the call.
    #[error("member is unreachable")]
    Unreachable,
    /// The connection broke while the call was under way: its outcome is unknown.
    #[error("connection lost, outcome unknown")]
    Lost,
    /// No answer in time: the outcome is unknown.
    #[error("timed out")]
    TimedOut,
    /// Too many calls wait or run already. Nothing was done.
    #[error("too many calls")]
    Overloaded,
    /// The request is longer than a frame. Nothing was done.
    #[error("request is too large")]
    TooLarge,
    /// The other member does not take calls yet.
    #[error("member is not ready")]
    NotReady,
    /// The other member's handler said no.
    #[error("{0}")]
    Failed(String),
}

/// Why a snapshot did not get across.
#[derive(Debug, thiserror::Error)]
pub(super) enum SnapshotError {
    /// The connection failed.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// A file could not be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which file or directory.
        path: String,
        /// What the system says.
        error: io::Error,
    },
    /// The offer, or an answer to it, does not decode.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// A file name that could leave the directory, or is not a plain name.
    #[error("file name {0:?} is not allowed")]
    BadName(String),
    /// The directory holds something that is not a regular file.
    #[error("{0:?} is not a regular file")]
    NotAFile(String),
    /// Two files of one name.
    #[error("file {0:?} is offered twice")]
    Duplicate(String),
    /// More files than a snapshot may have.
    #[error("{0} files are more than a snapshot may have")]
    TooManyFiles(usize),
    /// More bytes than configured.
    #[error("{bytes} bytes are above the limit of {limit}")]
    TooLarge {
        /// What was offered.
        bytes: u64,
        /// What is configured.
        limit: u64,
    },
    /// A file's bytes are not those that the sender read.
    #[error("checksum of {0:?} does not match")]
    Checksum(String),
    /// A file ended early or is longer than announced.
    #[error("{0:?} does not have the announced size")]
    Size(String),
    /// A chunk for another place than the next.
    #[error("chunks are out of order")]
    OutOfOrder,
    /// Another transfer is in the way.
    #[error("{0}")]
    Busy(&'static str),
    /// Bytes stopped moving.
    #[error("no progress for {0:?}")]
    Stalled(Duration),
    /// The other side gave up, for this reason.
    #[error("refused: {0}")]
    Refused(String),
    /// Consensus did not take the snapshot.
    #[error("snapshot was not taken over")]
    NotTaken,
    /// The other half of the transfer ended first, or the member stops.
    #[error("interrupted")]
    Interrupted,
}

impl SnapshotError {
    /// Names the file in a system error.
    pub(super) fn file(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |error| Self::File {
            path: path.display().to_string(),
            error,
        }
    }
}
