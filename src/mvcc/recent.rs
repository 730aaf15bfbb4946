//! The newest records of keys that were written lately, so that the next write of one of them finds it
//! without a search in the store.
//!
//! Every write reads what it replaces, and most writes replace something: leases, the status of nodes. The
//! one writer keeps what it has written last; what is not here is read from the store.
//!
//! Invariants:
//! - What is here is what `current` has at [`Recent::revision`], to the byte; a tombstone may be here that
//!   compaction has removed there, which makes no difference to any command (invariant I7).
//! - A revision has one content, whatever store it is read from. So a session that begins at another one,
//!   after a received snapshot or a write that went past this, finds nothing here.
//! - What was not written, or failed half way, leaves nothing here.
//!
//! Records wait in two generations: what is written joins the young one, which takes the place of the old one
//! when it is full. Whatever was written again meanwhile is in the young one by then.

use std::collections::HashMap;

use bytes::Bytes;

use super::session::Applied;
use crate::base::change::Change;
use crate::base::ids::Revision;
#[cfg(test)]
use crate::storage::records::Record;
use crate::storage::{Family, Store, StoreError};

/// Records of a generation. Both together hold the leases and the status of ten thousand nodes.
const MAX_RECORDS: usize = 16 << 10;
/// Bytes of a generation, with what the map and the allocator take.
const MAX_BYTES: usize = 8 << 20;
/// A record that is heavier is left to the store: it would push out hundreds of others.
const MAX_RECORD_BYTES: usize = 64 << 10;
/// What a record takes besides the bytes of its key and its own, roughly.
const ENTRY_BYTES: usize = 160;

/// The newest records of keys that were written lately. Owned by whoever writes to the store.
#[derive(Debug)]
pub struct Recent {
    revision: Revision,
    limits: Limits,
    young: Generation,
    old: Generation,
}

/// What a generation may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) records: usize,
    pub(super) bytes: usize,
    pub(super) record_bytes: usize,
}

#[derive(Debug, Default)]
struct Generation {
    records: HashMap<Bytes, Bytes, foldhash::fast::RandomState>,
    bytes: usize,
}

impl Default for Recent {
    fn default() -> Self {
        Self::with_limits(Limits {
            records: MAX_RECORDS,
            bytes: MAX_BYTES,
            record_bytes: MAX_RECORD_BYTES,
        })
    }
}

impl Recent {
    /// Nothing yet.
    pub(super) fn with_limits(limits: Limits) -> Self {
        Self {
            revision: Revision::ZERO,
            limits,
            young: Generation::default(),
            old: Generation::default(),
        }
    }

    /// Writes what a session left behind, and keeps its records. Gives the changes.
    ///
    /// # Errors
    /// As [`Store::write`]; then nothing is kept any more.
    pub fn write(&mut self, store: &Store, applied: Applied) -> Result<Vec<Change>, StoreError> {
        self.begin(applied.begun);
        for (key, record) in applied.batch.writes_to(Family::Current) {
            match record {
                Some(record) => self.keep(key, record),
                None => self.forget(key),
            }
        }
        self.revision = applied.state.revision;
        if let Err(error) = store.write(applied.batch) {
            self.clear();
            return Err(error);
        }
        Ok(applied.changes)
    }

    /// Makes sure that only records of `revision` are here.
    pub(super) fn begin(&mut self, revision: Revision) {
        if self.revision != revision {
            self.clear();
            self.revision = revision;
        }
    }

    /// The newest record of `key`; `None` if it is not known here.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Bytes> {
        let young = self.young.records.get(key);
        young.or_else(|| self.old.records.get(key))
    }

    fn keep(&mut self, key: &Bytes, record: &Bytes) {
        if key.len() + record.len() > self.limits.record_bytes {
            self.forget(key);
            return;
        }
        self.young.insert(key, record);
        let Limits { records, bytes, .. } = self.limits;
        if self.young.records.len() >= records || self.young.bytes >= bytes {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
    }

    /// Both generations may have the key: the old one what the young one has newer.
    fn forget(&mut self, key: &Bytes) {
        self.young.remove(key);
        self.old.remove(key);
    }

    fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

impl Generation {
    fn insert(&mut self, key: &Bytes, record: &Bytes) {
        self.bytes += record.len();
        if let Some(known) = self.records.get_mut(key) {
            self.bytes -= known.len();
            *known = record.clone();
        } else {
            self.bytes += key.len() + ENTRY_BYTES;
            self.records.insert(key.clone(), record.clone());
        }
    }

    fn remove(&mut self, key: &Bytes) {
        if let Some(record) = self.records.remove(key) {
            self.bytes -= key.len() + record.len() + ENTRY_BYTES;
        }
    }

    fn clear(&mut self) {
        self.records.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
impl Recent {
    /// Compares everything that is here with the store, and the counts with what they count.
    pub(super) fn assert_agrees(&self, store: &Store, state: super::State) {
        assert_eq!(self.revision, state.revision);
        for generation in [&self.young, &self.old] {
            assert!(generation.records.len() <= self.limits.records);
            let weigh = |(key, record): (&Bytes, &Bytes)| key.len() + record.len() + ENTRY_BYTES;
            let bytes: usize = generation.records.iter().map(weigh).sum();
            assert_eq!(generation.bytes, bytes);
            assert!(bytes < self.limits.bytes + self.limits.record_bytes + ENTRY_BYTES);
        }
        let old = self.old.records.keys();
        for key in self.young.records.keys().chain(old) {
            let known = self.get(key).unwrap();
            match store.current(key).unwrap() {
                Some(stored) => assert_eq!(known[..], *stored, "{key:?}"),
                None => match Record::decode(known).unwrap() {
                    Record::Tombstone { id } => assert!(state.covers(id.revision), "{key:?}"),
                    Record::Put { .. } => panic!("the store lacks {key:?}"),
                },
            }
        }
    }

    /// How many records are here.
    pub(super) fn len(&self) -> usize {
        let young = &self.young.records;
        let old = self.old.records.keys();
        young.len() + old.filter(|key| !young.contains_key(*key)).count()
    }
}
