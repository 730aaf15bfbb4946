//! Requests and results of the key-value API, free of any wire format.
//!
//! Limits, empty keys and duplicate keys are checked by [`validate`](super::validate) before a request
//! is proposed; the evaluation may rely on it.

use std::cell::Cell;

use bytes::Bytes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::base::ids::{LeaseId, Revision};
use crate::base::kv::Kv;
use crate::base::range::KeyRange;

/// What a range result is ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SortTarget {
    /// Byte order of the key.
    Key,
    /// Number of puts in the generation.
    Version,
    /// Revision of creation.
    CreateRevision,
    /// Revision of the last change.
    ModRevision,
    /// Byte order of the value.
    Value,
}

/// The direction of a [`Sort`]; one byte in a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum SortOrder {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
    /// What the wire's `NONE` means with a target other than the key: ascending, but without revision
    /// filters the limit applies to the keys in byte order first, and only those and the one after them
    /// are sorted. etcd leaves the rest unread; clients can see it, so it is done alike.
    Unspecified,
}

impl From<SortOrder> for u8 {
    fn from(order: SortOrder) -> Self {
        match order {
            SortOrder::Ascending => 0,
            SortOrder::Descending => 1,
            SortOrder::Unspecified => 2,
        }
    }
}

impl TryFrom<u8> for SortOrder {
    type Error = &'static str;

    fn try_from(byte: u8) -> Result<Self, Self::Error> {
        match byte {
            0 => Ok(Self::Ascending),
            1 => Ok(Self::Descending),
            2 => Ok(Self::Unspecified),
            _ => Err("unknown sort order"),
        }
    }
}

/// An order other than ascending by key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sort {
    /// What to compare.
    pub target: SortTarget,
    /// In which direction.
    pub order: SortOrder,
}

/// Inclusive bounds on revisions; `None` is no bound. A key-value outside any of them is left out of the
/// result but still counted (etcd's rule).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RevisionFilter {
    /// Lower bound on mod_revision.
    pub min_mod: Option<Revision>,
    /// Upper bound on mod_revision.
    pub max_mod: Option<Revision>,
    /// Lower bound on create_revision.
    pub min_create: Option<Revision>,
    /// Upper bound on create_revision.
    pub max_create: Option<Revision>,
}

/// A read of a range of keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeOp {
    /// The keys to read.
    pub range: KeyRange,
    /// The most key-values to return; `None` is no limit.
    pub limit: Option<u64>,
    /// The revision to read at; `None` is the latest. The wire's zero and, outside transactions, its
    /// negative numbers become `None`.
    pub revision: Option<Revision>,
    /// `None` is ascending by key.
    pub sort: Option<Sort>,
    /// Leave values out.
    pub keys_only: bool,
    /// Only count.
    pub count_only: bool,
    /// Bounds on revisions.
    pub filter: RevisionFilter,
}

impl RangeOp {
    /// A plain read of `range` at the latest revision.
    pub fn new(range: KeyRange) -> Self {
        Self {
            range,
            limit: None,
            revision: None,
            sort: None,
            keys_only: false,
            count_only: false,
            filter: RevisionFilter::default(),
        }
    }
}

/// A write of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutOp {
    /// The key.
    pub key: Bytes,
    /// The new value.
    pub value: Bytes,
    /// The lease to attach; [`LeaseId::NONE`] detaches.
    pub lease: LeaseId,
    /// Return the key-value as it was before.
    pub prev_kv: bool,
    /// Keep the old value; the key must exist.
    pub ignore_value: bool,
    /// Keep the old lease; the key must exist.
    pub ignore_lease: bool,
}

impl PutOp {
    /// A plain write of `value` to `key`.
    pub const fn new(key: Bytes, value: Bytes) -> Self {
        Self {
            key,
            value,
            lease: LeaseId::NONE,
            prev_kv: false,
            ignore_value: false,
            ignore_lease: false,
        }
    }
}

/// A deletion of a range of keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteOp {
    /// The keys to delete.
    pub range: KeyRange,
    /// Return the deleted key-values.
    pub prev_kv: bool,
}

/// How a stored operand relates to the given one: stored ⟨op⟩ given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CompareResult {
    /// Stored equals given.
    Equal,
    /// Stored is greater.
    Greater,
    /// Stored is less.
    Less,
    /// Stored differs.
    NotEqual,
}

/// What is compared, with the operand given by the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CompareTarget {
    /// The version; a missing key counts as 0.
    Version(i64),
    /// The create revision; a missing key counts as 0.
    CreateRevision(i64),
    /// The mod revision; a missing key counts as 0.
    ModRevision(i64),
    /// The value; false for a missing key whatever the operator.
    Value(Bytes),
    /// The lease; a missing key counts as 0.
    Lease(i64),
}

/// One condition of a transaction. Over a range it must hold for every key in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compare {
    /// The keys it speaks of.
    pub range: KeyRange,
    /// The relation.
    pub result: CompareResult,
    /// What is compared, and with what.
    pub target: CompareTarget,
}

/// One operation of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Read.
    Range(RangeOp),
    /// Write.
    Put(PutOp),
    /// Delete.
    Delete(DeleteOp),
    /// A nested transaction.
    #[serde(deserialize_with = "nested_txn")]
    Txn(Box<Txn>),
}

/// How deep transactions may lie in each other when they are read from the log. A client cannot nest them
/// deeper than 50: each level takes two of the hundred levels of messages that are decoded in a request.
const MAX_NESTED: usize = 64;

/// Reads a nested transaction. A few bytes of a damaged record are one more level, and only a bound keeps
/// a record full of them from using up the stack.
fn nested_txn<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<Txn>, D::Error> {
    thread_local!(static DEPTH: Cell<usize> = const { Cell::new(0) });
    struct Level;
    impl Drop for Level {
        fn drop(&mut self) {
            DEPTH.set(DEPTH.get() - 1);
        }
    }
    DEPTH.set(DEPTH.get() + 1);
    let _level = Level;
    if DEPTH.get() > MAX_NESTED {
        return Err(D::Error::custom("transactions are nested too deeply"));
    }
    Box::deserialize(deserializer)
}

/// A transaction: conditions, what to do if all hold, and what to do otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Txn {
    /// All must hold; none means success.
    pub compares: Vec<Compare>,
    /// Done if all conditions hold.
    pub success: Vec<Op>,
    /// Done otherwise.
    pub failure: Vec<Op>,
}

/// The answer to a [`RangeOp`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RangeResult {
    /// The key-values, in the order asked for.
    pub kvs: Vec<Kv>,
    /// Whether the limit cut the result.
    pub more: bool,
    /// Keys in the range at the read revision, whatever limit and filters say.
    pub count: i64,
}

/// The answer to a [`PutOp`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PutResult {
    /// The key-value before, if asked for and there was one.
    pub prev: Option<Kv>,
}

/// The answer to a [`DeleteOp`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeleteResult {
    /// Keys deleted.
    pub deleted: i64,
    /// What was deleted, in key order, if asked for.
    pub prevs: Vec<Kv>,
}

/// The answer to an [`Op`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpResult {
    /// To a read.
    Range(RangeResult),
    /// To a write.
    Put(PutResult),
    /// To a deletion.
    Delete(DeleteResult),
    /// To a nested transaction.
    Txn(TxnResult),
}

/// The answer to a [`Txn`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TxnResult {
    /// Whether all conditions held.
    pub succeeded: bool,
    /// One answer for each operation of the branch taken.
    pub results: Vec<OpResult>,
}
