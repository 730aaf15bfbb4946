//! What the facade takes and gives beyond the key-value operations of `mvcc::ops`.

use std::time::Duration;

use crate::base::ids::{ClusterId, LeaseId, MemberId, Revision};

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// Observes every write acknowledged before the read began (invariant I2).
    Linearizable,
    /// This member's applied state, possibly stale (invariant I3). Works without a quorum.
    Serializable,
}

/// What every response of the etcd API carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The cluster that answered.
    pub cluster_id: ClusterId,
    /// The member that answered.
    pub member_id: MemberId,
    /// The store revision when the request was applied or served.
    pub revision: Revision,
    /// The raft term at that time.
    pub raft_term: u64,
}

/// Which history is discarded without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoCompaction {
    /// None.
    Off,
    /// What is older than this.
    Periodic(Duration),
    /// All but this many revisions.
    Revisions(i64),
}

/// A member of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Member {
    /// Its id.
    pub id: u64,
    /// Its name; empty until it has started once.
    pub name: String,
    /// Where its peers reach it.
    pub peer_urls: Vec<String>,
    /// Where clients reach it; empty until it has started once.
    pub client_urls: Vec<String>,
    /// Whether it has no vote.
    pub is_learner: bool,
}

/// What is left of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseInfo {
    /// The lease.
    pub id: LeaseId,
    /// Seconds left; -1 if there is no such lease.
    pub ttl: i64,
    /// Seconds granted; 0 if there is no such lease.
    pub granted_ttl: i64,
    /// The keys attached to it, if asked for.
    pub keys: Vec<bytes::Bytes>,
}

/// What a member says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatus {
    /// The header with the current revision and term.
    pub header: Header,
    /// Bytes of the state on disk.
    pub db_size: u64,
    /// Bytes of live data among them, estimated.
    pub db_size_in_use: u64,
    /// The leader as this member sees it; zero if none.
    pub leader: MemberId,
    /// Highest committed index.
    pub raft_index: u64,
    /// Highest applied index.
    pub raft_applied_index: u64,
    /// Whether this member has no vote.
    pub is_learner: bool,
    /// What the cluster is being taken back to, if it is.
    pub downgrade: Option<MinorVersion>,
}

/// An alarm that is raised. Part of the log and of the state on disk.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct Alarm {
    /// The member it concerns.
    pub member: MemberId,
    /// What is wrong.
    pub kind: AlarmKind,
}

/// What an alarm says. The order is the format.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub enum AlarmKind {
    /// The space quota is used up.
    NoSpace,
    /// The data differs from other members'.
    Corrupt,
}

impl AlarmKind {
    /// etcd's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoSpace => "NOSPACE",
            Self::Corrupt => "CORRUPT",
        }
    }
}

/// A minor release of the API that members serve. Part of the log and of the state on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MinorVersion {
    /// The first number.
    pub major: u64,
    /// The second number.
    pub minor: u64,
}

impl std::fmt::Display for MinorVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.0", self.major, self.minor)
    }
}

/// The answer to a hash of the key space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvHash {
    /// CRC-32C over the revisions that the store keeps (etcd's algorithm).
    pub hash: u32,
    /// The compacted revision; -1 if the store was never compacted.
    pub compact_revision: i64,
    /// The revision the hash was taken at.
    pub hash_revision: i64,
}

/// A part of a range that is read in chunks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RangeChunk {
    /// The next key-values in key order.
    pub kvs: Vec<crate::base::kv::Kv>,
    /// Set on the last chunk only.
    pub end: Option<RangeEndInfo>,
}

/// What closes a range that is read in chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeEndInfo {
    /// The header as of the start of the read.
    pub header: Header,
    /// Whether the limit cut the result.
    pub more: bool,
    /// Keys in the range.
    pub count: i64,
}
