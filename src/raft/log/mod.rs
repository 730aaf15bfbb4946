//! The raft log on disk, which is also the write-ahead log of the state machine.
//!
//! Segment files are appended to and never changed: an entry that replaces a conflicting one is written
//! after it, and the later record counts. The module has two halves so that nothing is shared and
//! nothing locked. [`Log`] belongs to the raft thread: it knows every entry's place, keeps the newest in
//! memory, decides the layout, and turns each change into a [`Batch`] of plain disk operations.
//! [`Writer`] belongs to the log thread and carries batches out, one sync for many. [`Disk`] is the seam
//! where a test puts a disk that loses and tears writes.
//!
//! What a batch holds is durable once [`Writer::run`] returned; only then may its entries, its term and
//! its vote be acknowledged (invariant I1). After a crash [`Log::open`] accepts a torn tail, which was
//! never acknowledged, and refuses damage to what once was durable.

mod cache;
mod disk;
#[cfg(test)]
mod faulty;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod index;
mod open;
mod plan;
mod record;
mod segment;
mod store;
#[cfg(test)]
mod store_test;
mod writer;

use std::io;

pub(crate) use disk::{Disk, FileDisk};
#[cfg(test)]
pub(crate) use faulty::FaultyDisk;
pub(crate) use plan::Batch;
pub(crate) use record::MAX_PAYLOAD;
pub(crate) use segment::Position;
pub(crate) use store::{Log, LogOptions};
pub(crate) use writer::Writer;

/// What raft must remember besides entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Hard {
    /// The current term.
    pub(crate) term: u64,
    /// Who got this member's vote in that term; 0 for nobody.
    pub(crate) vote: u64,
    /// The highest index known to be committed. May lag behind on disk: it is a hint.
    pub(crate) commit: u64,
}

/// Why the log cannot be used. Every kind is fatal for the member.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk refused an operation.
    #[error("cannot {action} raft log segment {segment:016x}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The segment.
        segment: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The directory of the log cannot be opened or read.
    #[error("cannot open raft log: {0}")]
    Open(io::Error),
    /// What once was durable is damaged. The member must be rebuilt from its peers or a backup.
    #[error("raft log segment {segment:016x} is damaged at offset {offset}: {detail}")]
    Damaged {
        /// The segment.
        segment: u64,
        /// Where in the segment.
        offset: u64,
        /// What was found.
        detail: String,
    },
    /// A segment between others is missing.
    #[error("raft log segment {0:016x} is missing")]
    Missing(u64),
    /// The log was written by another version of this program.
    #[error("raft log segment {segment:016x}: {detail}")]
    Format {
        /// The segment.
        segment: u64,
        /// Which format it has.
        detail: String,
    },
    /// The hard state claims more committed entries than there are: synced writes were lost.
    #[error("raft log ends at {last} but {commit} is committed: synced writes were lost")]
    Lost {
        /// The last index of the log.
        last: u64,
        /// The committed index.
        commit: u64,
    },
    /// The log begins after the state's applied index: entries between them are gone.
    #[error("raft log begins after {first} but the state ends at {applied}")]
    Gap {
        /// The last index before the log.
        first: u64,
        /// The applied index of the state machine.
        applied: u64,
    },
}

impl LogError {
    fn io(action: &'static str, segment: u64) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            segment,
            source,
        }
    }
}
