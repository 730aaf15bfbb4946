//! Newtypes for the numbers that travel between modules, so that none is taken for another.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A store revision: the count of transactions that changed something, plus one.
///
/// An empty store is at revision 1 and the first change takes 2 (invariant I4). Zero and negative
/// numbers never name a state; on the wire they mean "the latest", which decoding turns into `None`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Revision(pub i64);

impl Revision {
    /// No revision: what "never compacted" and "replaced nothing" are stored as.
    pub const ZERO: Self = Self(0);
    /// The revision of an empty store.
    pub const FIRST: Self = Self(1);

    /// The number itself.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The revision after this one.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The place of one change in the order of all changes: main revision, then sub-revision within it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct ChangeId {
    /// The main revision, shared by every change of one transaction.
    pub revision: Revision,
    /// The sub-revision: 0, 1, 2... in the order in which the transaction made its changes.
    pub sub: u32,
}

impl ChangeId {
    /// What a change that replaced nothing names as its predecessor.
    pub const NONE: Self = Self {
        revision: Revision::ZERO,
        sub: 0,
    };

    /// A change at `sub` within `revision`.
    pub const fn new(revision: Revision, sub: u32) -> Self {
        Self { revision, sub }
    }
}

/// A lease id. Zero means "no lease"; negative ids are legal.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct LeaseId(pub i64);

impl LeaseId {
    /// No lease.
    pub const NONE: Self = Self(0);

    /// Whether this is [`LeaseId::NONE`].
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// The id of a cluster member; never zero for a real member.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct MemberId(pub u64);

impl MemberId {
    /// No member: "no leader known".
    pub const NONE: Self = Self(0);
}

impl fmt::Display for MemberId {
    /// Lower-case hex without padding, as etcd prints ids.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// The id of a cluster.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct ClusterId(pub u64);

impl fmt::Display for ClusterId {
    /// Lower-case hex without padding, as etcd prints ids.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// The id of a watcher within one watch stream.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct WatchId(pub i64);
