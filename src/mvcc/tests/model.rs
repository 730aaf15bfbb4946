//! The semantics in the plainest way: the full list of changes, replayed for every question.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::base::ids::{LeaseId, Revision};
use crate::base::kv::{Kv, KvMeta};
use crate::base::range::KeyRange;
use crate::mvcc::MvccError;
use crate::mvcc::ops::{
    Compare, CompareResult, CompareTarget, DeleteOp, DeleteResult, Op, OpResult, PutOp, PutResult,
    RangeOp, RangeResult, RevisionFilter, SortOrder, SortTarget, Txn, TxnResult,
};

/// A key's value and numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Entry {
    pub(super) meta: KvMeta,
    pub(super) value: Bytes,
}

/// A change, with no entry for a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) main: i64,
    pub(super) sub: u32,
    pub(super) key: Bytes,
    pub(super) entry: Option<Entry>,
}

pub(super) type Content = BTreeMap<Bytes, Entry>;

/// Everything that ever happened.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) revision: i64,
    pub(super) compacted: Option<i64>,
    pub(super) events: Vec<Event>,
    pub(super) leases: BTreeMap<LeaseId, i64>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            revision: 1,
            compacted: None,
            events: Vec::new(),
            leases: BTreeMap::new(),
        }
    }
}

impl Model {
    pub(super) fn content_at(&self, revision: i64) -> Content {
        let mut content = Content::new();
        for event in self.events.iter().filter(|event| event.main <= revision) {
            match &event.entry {
                Some(entry) => content.insert(event.key.clone(), entry.clone()),
                None => content.remove(&event.key),
            };
        }
        content
    }

    pub(super) fn keys_of(&self, lease: LeaseId) -> BTreeSet<Bytes> {
        let content = self.content_at(self.revision);
        let attached = content
            .into_iter()
            .filter(|(_, entry)| entry.meta.lease == lease);
        attached.map(|(key, _)| key).collect()
    }

    pub(super) fn put(&mut self, op: &PutOp) -> Result<PutResult, MvccError> {
        self.check_lease(op)?;
        self.check_key(op)?;
        let result = self.do_put(op, self.revision + 1);
        self.revision += 1;
        Ok(result)
    }

    pub(super) fn delete(&mut self, op: &DeleteOp) -> DeleteResult {
        let result = self.do_delete(op, self.revision + 1);
        self.revision += i64::from(result.deleted > 0);
        result
    }

    pub(super) fn txn(&mut self, txn: &Txn) -> Result<TxnResult, MvccError> {
        let before = self.content_at(self.revision);
        let decided = decide(&before, txn);
        self.check_puts(txn, &decided)?;
        self.check_ranges(txn, &decided)?;
        let events = self.events.len();
        let result = self.run(txn, &decided);
        self.revision += i64::from(self.events.len() > events);
        Ok(result)
    }

    pub(super) fn compact(&mut self, revision: i64) -> Result<(), MvccError> {
        if revision > self.revision {
            return Err(MvccError::FutureRevision);
        }
        if revision <= self.compacted.unwrap_or(-1) {
            return Err(MvccError::Compacted);
        }
        self.compacted = Some(revision);
        Ok(())
    }

    pub(super) fn grant(&mut self, id: LeaseId, ttl: i64) -> Result<(), MvccError> {
        if self.leases.contains_key(&id) {
            return Err(MvccError::LeaseExists);
        }
        self.leases.insert(id, ttl);
        Ok(())
    }

    pub(super) fn revoke(&mut self, id: LeaseId) -> Result<Vec<Bytes>, MvccError> {
        if self.leases.remove(&id).is_none() {
            return Err(MvccError::LeaseNotFound);
        }
        let keys: Vec<Bytes> = self.keys_of(id).into_iter().collect();
        for key in &keys {
            let op = DeleteOp {
                range: KeyRange::point(key.clone()),
                prev_kv: false,
            };
            self.do_delete(&op, self.revision + 1);
        }
        self.revision += i64::from(!keys.is_empty());
        Ok(keys)
    }

    /// A read outside a transaction.
    pub(super) fn range(&self, op: &RangeOp) -> Result<RangeResult, MvccError> {
        self.check_range(op)?;
        Ok(select(&self.content_for(op), op))
    }

    fn content_for(&self, op: &RangeOp) -> Content {
        match op.revision {
            Some(revision) if revision.0 > 0 => self.content_at(revision.0),
            _ => self.content_at(i64::MAX),
        }
    }

    fn check_range(&self, op: &RangeOp) -> Result<(), MvccError> {
        match op.revision {
            Some(revision) if revision.0 > self.revision => Err(MvccError::FutureRevision),
            Some(revision) if revision.0 < self.compacted.unwrap_or(-1) => {
                Err(MvccError::Compacted)
            }
            _ => Ok(()),
        }
    }

    fn check_key(&self, op: &PutOp) -> Result<(), MvccError> {
        let exists = self.content_at(i64::MAX).contains_key(&op.key);
        if (op.ignore_value || op.ignore_lease) && !exists {
            return Err(MvccError::KeyNotFound);
        }
        Ok(())
    }

    fn check_lease(&self, op: &PutOp) -> Result<(), MvccError> {
        if op.lease.0 != 0 && !self.leases.contains_key(&op.lease) {
            return Err(MvccError::LeaseNotFound);
        }
        Ok(())
    }

    fn check_puts(&self, txn: &Txn, decided: &Decided) -> Result<(), MvccError> {
        let mut nested = decided.nested.iter();
        for op in decided.branch(txn) {
            match op {
                Op::Put(op) => self.check_key(op).and_then(|()| self.check_lease(op))?,
                Op::Txn(txn) => self.check_puts(txn, nested.next().unwrap())?,
                Op::Range(_) | Op::Delete(_) => {}
            }
        }
        Ok(())
    }

    fn check_ranges(&self, txn: &Txn, decided: &Decided) -> Result<(), MvccError> {
        let mut nested = decided.nested.iter();
        for op in decided.branch(txn) {
            match op {
                Op::Range(op) => self.check_range(op)?,
                Op::Txn(txn) => self.check_ranges(txn, nested.next().unwrap())?,
                Op::Put(_) | Op::Delete(_) => {}
            }
        }
        Ok(())
    }

    fn run(&mut self, txn: &Txn, decided: &Decided) -> TxnResult {
        let mut nested = decided.nested.iter();
        let mut results = Vec::new();
        for op in decided.branch(txn) {
            results.push(match op {
                Op::Range(op) => OpResult::Range(select(&self.content_for(op), op)),
                Op::Put(op) => OpResult::Put(self.do_put(op, self.revision + 1)),
                Op::Delete(op) => OpResult::Delete(self.do_delete(op, self.revision + 1)),
                Op::Txn(txn) => OpResult::Txn(self.run(txn, nested.next().unwrap())),
            });
        }
        TxnResult {
            succeeded: decided.succeeded,
            results,
        }
    }

    fn do_put(&mut self, op: &PutOp, main: i64) -> PutResult {
        let before = self.content_at(i64::MAX).remove(&op.key);
        let old = before.clone().unwrap_or_default();
        let create = if before.is_some() {
            old.meta.create_revision
        } else {
            Revision(main)
        };
        let meta = KvMeta {
            create_revision: create,
            mod_revision: Revision(main),
            version: old.meta.version + 1,
            lease: if op.ignore_lease {
                old.meta.lease
            } else {
                op.lease
            },
        };
        let value = if op.ignore_value {
            old.value
        } else {
            op.value.clone()
        };
        self.append(main, op.key.clone(), Some(Entry { meta, value }));
        let prev = before.filter(|_| op.prev_kv);
        PutResult {
            prev: prev.map(|entry| kv(&op.key, &entry)),
        }
    }

    fn do_delete(&mut self, op: &DeleteOp, main: i64) -> DeleteResult {
        let mut result = DeleteResult::default();
        for (key, entry) in self.content_at(i64::MAX) {
            if op.range.contains(&key) {
                result.deleted += 1;
                if op.prev_kv {
                    result.prevs.push(kv(&key, &entry));
                }
                self.append(main, key, None);
            }
        }
        result
    }

    fn append(&mut self, main: i64, key: Bytes, entry: Option<Entry>) {
        let same = self.events.iter().filter(|event| event.main == main);
        let sub = same.count() as u32;
        self.events.push(Event {
            main,
            sub,
            key,
            entry,
        });
    }
}

/// Which branch of a transaction is taken, and of those nested in it.
pub(super) struct Decided {
    succeeded: bool,
    nested: Vec<Decided>,
}

impl Decided {
    fn branch<'t>(&self, txn: &'t Txn) -> &'t [Op] {
        if self.succeeded {
            &txn.success
        } else {
            &txn.failure
        }
    }
}

fn decide(content: &Content, txn: &Txn) -> Decided {
    let succeeded = txn.compares.iter().all(|compare| holds(content, compare));
    let branch = if succeeded {
        &txn.success
    } else {
        &txn.failure
    };
    let nested = branch.iter().filter_map(|op| match op {
        Op::Txn(txn) => Some(decide(content, txn)),
        _ => None,
    });
    Decided {
        succeeded,
        nested: nested.collect(),
    }
}

fn holds(content: &Content, compare: &Compare) -> bool {
    let keys = content
        .iter()
        .filter(|(key, _)| compare.range.contains(key));
    let entries: Vec<&Entry> = keys.map(|(_, entry)| entry).collect();
    if entries.is_empty() {
        return !matches!(compare.target, CompareTarget::Value(_))
            && satisfies(&Entry::default(), compare);
    }
    entries.into_iter().all(|entry| satisfies(entry, compare))
}

fn satisfies(entry: &Entry, compare: &Compare) -> bool {
    let order = match &compare.target {
        CompareTarget::Version(given) => entry.meta.version.cmp(given),
        CompareTarget::CreateRevision(given) => entry.meta.create_revision.0.cmp(given),
        CompareTarget::ModRevision(given) => entry.meta.mod_revision.0.cmp(given),
        CompareTarget::Value(given) => entry.value.cmp(given),
        CompareTarget::Lease(given) => entry.meta.lease.0.cmp(given),
    };
    match compare.result {
        CompareResult::Equal => order.is_eq(),
        CompareResult::Greater => order.is_gt(),
        CompareResult::Less => order.is_lt(),
        CompareResult::NotEqual => order.is_ne(),
    }
}

pub(super) fn kv(key: &Bytes, entry: &Entry) -> Kv {
    Kv::encode(key.clone(), entry.meta, &entry.value)
}

fn select(content: &Content, op: &RangeOp) -> RangeResult {
    let in_range = content.iter().filter(|(key, _)| op.range.contains(key));
    let mut entries: Vec<(&Bytes, &Entry)> = in_range.collect();
    let count = entries.len() as i64;
    if op.count_only {
        return RangeResult {
            count,
            ..RangeResult::default()
        };
    }
    entries.retain(|(_, entry)| {
        let (modified, created) = (entry.meta.mod_revision, entry.meta.create_revision);
        op.filter.min_mod.is_none_or(|bound| modified >= bound)
            && op.filter.max_mod.is_none_or(|bound| modified <= bound)
            && op.filter.min_create.is_none_or(|bound| created >= bound)
            && op.filter.max_create.is_none_or(|bound| created <= bound)
    });
    let limit = op.limit.unwrap_or(u64::MAX) as usize;
    if let Some(sort) = op.sort {
        if sort.order == SortOrder::Unspecified && op.filter == RevisionFilter::default() {
            entries.truncate(limit.saturating_add(1));
        }
        entries.sort_by(|(key_a, a), (key_b, b)| {
            let order = match sort.target {
                SortTarget::Key => key_a.cmp(key_b),
                SortTarget::Version => a.meta.version.cmp(&b.meta.version),
                SortTarget::CreateRevision => a.meta.create_revision.cmp(&b.meta.create_revision),
                SortTarget::ModRevision => a.meta.mod_revision.cmp(&b.meta.mod_revision),
                SortTarget::Value => a.value.cmp(&b.value),
            };
            if sort.order == SortOrder::Descending {
                order.reverse()
            } else {
                order
            }
        });
    }
    let more = entries.len() > limit;
    entries.truncate(limit);
    let kvs = entries.into_iter().map(|(key, entry)| {
        let value = if op.keys_only { &[][..] } else { &entry.value };
        Kv::encode(key.clone(), entry.meta, value)
    });
    RangeResult {
        kvs: kvs.collect(),
        more,
        count,
    }
}
