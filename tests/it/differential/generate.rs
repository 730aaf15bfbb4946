//! Random requests, hostile on purpose.

use bytes::Bytes;
use holdfast::etcd::pb::etcdserverpb::*;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::call::{Call, Outcome};
use crate::harness::{NO_END, bytes, cmp, end_of, op, watch_key};

/// Few keys, so that requests meet each other; so few that a sort keeps equal elements in key order in
/// every implementation.
const KEYS: [&[u8]; 11] = [
    b"\0",
    b"\0\0",
    b"a",
    b"a\0",
    b"a/",
    b"a/b",
    b"b",
    b"b\xff",
    b"c",
    b"\xff",
    b"\xff\xff",
];
const LEASES: [i64; 7] = [1, 2, 3, 77, -1, i64::MAX, i64::MIN];
/// Long enough to outlive the test, but for those that are refused or raised.
const TTLS: [i64; 5] = [1_000, 5_000, 9_000_000_000, 9_000_000_001, i64::MAX];
const MAX_DEPTH: u32 = 3;

pub struct Generator {
    random: StdRng,
    revision: i64,
    compacted: i64,
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            revision: 1,
            compacted: -1,
        }
    }

    pub fn next(&mut self) -> Call {
        match self.random.random_range(0..100) {
            0..28 => Call::Range(self.range(false)),
            28..48 => Call::Put(self.put()),
            48..58 => Call::Delete(self.delete()),
            58..84 => Call::Txn(self.txn(0)),
            84..86 => Call::Compact(self.compact()),
            86..89 => Call::Grant(LeaseGrantRequest {
                ttl: *TTLS.choose(&mut self.random).unwrap(),
                id: *LEASES.choose(&mut self.random).unwrap(),
            }),
            89..90 => Call::ShortGrant(self.random.random_range(-3..4)),
            90..92 => Call::Revoke(self.lease()),
            92..94 => Call::TimeToLive(LeaseTimeToLiveRequest {
                id: self.lease(),
                keys: self.random.random(),
            }),
            94..95 => Call::Leases,
            95..97 => Call::KeepAlive(self.lease()),
            97 if self.one_in(2) => Call::Watch(self.watches()),
            _ => Call::HashKv(self.hash_revision()),
        }
    }

    /// Takes note of what an answer says about the store.
    pub fn learn(&mut self, answer: &Outcome) {
        if let Some(revision) = answer.revision() {
            self.revision = self.revision.max(revision);
        }
        if let Some(compacted) = answer.compacted() {
            self.compacted = compacted;
        }
    }

    /// Watchers of everything that the store remembers, and of what begins just before that.
    pub fn final_watches(&self) -> Call {
        let first = self.compacted.max(1);
        let from = |start_revision| WatchCreateRequest {
            range_end: bytes(b"\0"),
            start_revision,
            prev_kv: true,
            ..watch_key(b"\0")
        };
        Call::Watch([first - 1, first, first + 1].map(from).into())
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.random.random_ratio(1, n)
    }

    fn key(&mut self) -> Bytes {
        if self.one_in(40) {
            return Bytes::new();
        }
        bytes(KEYS.choose(&mut self.random).unwrap())
    }

    /// Mostly a point; else any end, also one before the key.
    fn end(&mut self, key: &[u8]) -> Bytes {
        match self.random.random_range(0..10) {
            0..5 => Bytes::new(),
            5..7 => self.key(),
            7 => end_of(key),
            8 => bytes(b"\0\0"),
            _ => bytes(b"\0"),
        }
    }

    fn value(&mut self) -> Bytes {
        let values: [&[u8]; 5] = [b"", b"x", b"y", b"\xff\0", &[b'l'; 40]];
        bytes(values.choose(&mut self.random).unwrap())
    }

    fn lease(&mut self) -> i64 {
        if self.one_in(8) {
            0
        } else {
            *LEASES.choose(&mut self.random).unwrap()
        }
    }

    fn pick_revision(&mut self) -> i64 {
        let (revision, compacted) = (self.revision, self.compacted);
        match self.random.random_range(0..16) {
            0 => -1,
            1 => -2,
            2 => i64::MIN,
            3 => i64::MAX,
            4 => revision + 1,
            5 => compacted,
            6 => compacted - 1,
            7 => compacted + 1,
            8 => revision,
            9 => revision + 2,
            _ => self.random.random_range(compacted.max(0)..=revision),
        }
    }

    /// Above the compacted revision: below, etcd answers from what it noted while it compacted.
    fn hash_revision(&mut self) -> i64 {
        let first = self.compacted.max(0) + 1;
        self.random
            .random_range(first..=self.revision.max(first) + 1)
    }

    fn maybe_revision(&mut self, one_in: u32) -> i64 {
        if self.one_in(one_in) {
            self.pick_revision()
        } else {
            0
        }
    }

    fn range(&mut self, inner: bool) -> RangeRequest {
        let key = self.key();
        let range_end = match self.end(&key) {
            end if end.is_empty() && self.one_in(2) => bytes(b"\0"),
            end => end,
        };
        let limits = [0, 0, 0, 1, 2, 3, 5, 100, -1, i64::MIN, i64::MAX];
        RangeRequest {
            range_end,
            key,
            limit: *limits.choose(&mut self.random).unwrap(),
            revision: self.maybe_revision(if inner { 8 } else { 2 }),
            sort_order: self.random.random_range(0..3),
            sort_target: self.random.random_range(0..5),
            serializable: self.random.random(),
            keys_only: self.one_in(4),
            count_only: self.one_in(6),
            min_mod_revision: self.maybe_revision(8),
            max_mod_revision: self.maybe_revision(8),
            min_create_revision: self.maybe_revision(8),
            max_create_revision: self.maybe_revision(8),
        }
    }

    fn put(&mut self) -> PutRequest {
        let ignore_value = self.one_in(8);
        let ignore_lease = self.one_in(8);
        let lease = if self.one_in(3) { self.lease() } else { 0 };
        PutRequest {
            key: self.key(),
            value: if ignore_value && !self.one_in(5) {
                Bytes::new()
            } else {
                self.value()
            },
            lease: if ignore_lease && !self.one_in(5) {
                0
            } else {
                lease
            },
            prev_kv: self.random.random(),
            ignore_value,
            ignore_lease,
        }
    }

    fn delete(&mut self) -> DeleteRangeRequest {
        let key = self.key();
        DeleteRangeRequest {
            range_end: self.end(&key),
            key,
            prev_kv: self.random.random(),
        }
    }

    /// Rarely without an upper bound: over those etcd and its peers disagree (see `is_known_quirk`).
    fn inner_delete(&mut self) -> DeleteRangeRequest {
        let mut delete = self.delete();
        if delete.range_end == NO_END && !self.one_in(20) {
            delete.range_end = bytes(b"\xff\xff\xff");
        }
        delete
    }

    fn compact(&mut self) -> CompactionRequest {
        let revision = if self.one_in(4) {
            self.pick_revision()
        } else {
            let first = self.compacted.max(1);
            let last = (first + 30).min(self.revision);
            self.random.random_range(first..=last)
        };
        CompactionRequest {
            // A store compacted to 0 answers HashKV from a cache in etcd.
            revision: if revision == 0 { 1 } else { revision },
            physical: true,
        }
    }

    fn txn(&mut self, depth: u32) -> TxnRequest {
        if depth == 0 && self.one_in(60) {
            return self.wide_txn();
        }
        let reads_only = self.one_in(5);
        TxnRequest {
            compare: self.list(3, Self::compare),
            success: self.list(4, |this| this.op(depth, reads_only)),
            failure: self.list(4, |this| this.op(depth, reads_only)),
        }
    }

    fn list<T>(&mut self, below: usize, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let len = self.random.random_range(0..below);
        (0..len).map(|_| item(self)).collect()
    }

    fn op(&mut self, depth: u32, reads_only: bool) -> RequestOp {
        if reads_only {
            return op::range(self.range(true));
        }
        match self.random.random_range(0..20) {
            0..7 => op::range(self.range(true)),
            7..13 => op::put_with(self.put()),
            13..17 => op::delete_with(self.inner_delete()),
            17..19 if depth < MAX_DEPTH => op::txn(self.txn(depth + 1)),
            19 if self.one_in(4) => RequestOp { request: None },
            _ => op::put_with(self.put()),
        }
    }

    /// Around the limit on operations, with a transaction inside.
    fn wide_txn(&mut self) -> TxnRequest {
        let outer = self.random.random_range(125..130);
        let inner = self.random.random_range(0..4);
        let nested = TxnRequest {
            success: (0..inner).map(|_| op::range(self.range(true))).collect(),
            ..TxnRequest::default()
        };
        let mut success: Vec<_> = (1..outer).map(|_| op::get("a")).collect();
        success.push(op::txn(nested));
        TxnRequest {
            success,
            ..TxnRequest::default()
        }
    }

    /// Watchers of one stream.
    fn watches(&mut self) -> Vec<WatchCreateRequest> {
        let count = self.random.random_range(1..5);
        (0..count).map(|_| self.watch()).collect()
    }

    fn watch(&mut self) -> WatchCreateRequest {
        let key = self.key();
        // -1 is what streams answer themselves under: refused here, accepted by etcd.
        let ids = [0, 0, 0, 1, 2, -3, i64::MAX, i64::MIN];
        WatchCreateRequest {
            range_end: self.end(&key),
            key,
            start_revision: self.maybe_revision(2),
            progress_notify: self.random.random(),
            filters: self.list(3, |this| this.random.random_range(0..2)),
            prev_kv: self.random.random(),
            watch_id: *ids.choose(&mut self.random).unwrap(),
            fragment: self.random.random(),
        }
    }

    fn compare(&mut self) -> Compare {
        let number = match self.random.random_range(0..4) {
            0 => 0,
            1 => 1,
            _ => self.pick_revision(),
        };
        let operand = match self.random.random_range(0..7) {
            0 => None,
            1 => Some(compare::TargetUnion::Version(number)),
            2 => Some(compare::TargetUnion::CreateRevision(number)),
            3 => Some(compare::TargetUnion::ModRevision(number)),
            4 => Some(compare::TargetUnion::Value(self.value())),
            _ => Some(compare::TargetUnion::Lease(self.lease())),
        };
        let results = [
            cmp::Result::Equal,
            cmp::Result::Greater,
            cmp::Result::Less,
            cmp::Result::NotEqual,
        ];
        let key = self.key();
        Compare {
            result: (*results.choose(&mut self.random).unwrap()).into(),
            target: self.random.random_range(0..5),
            range_end: self.end(&key),
            key,
            target_union: operand,
        }
    }
}
