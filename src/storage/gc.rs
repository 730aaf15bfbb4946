//! What compaction makes unreadable, and its physical removal.
//!
//! Compaction to revision C is logical first: the state says C, and from the moment that state is written
//! reads below C are refused. Then [`Store::drop_history`] removes whole files of events below C and lets
//! RocksDB's compactions drop the tombstones of `current` at or below C. Nothing scans the key space,
//! nothing pauses. Events below C that share a file with later ones stay until a later compaction takes the
//! file, or [`Store::compact_all`] rewrites it: a range deletion would win little space and be in the way of
//! every scan (`docs/decisions/0001-storage-layout.md`).
//!
//! Two marks, which only rise, make it safe:
//! - The *floor* is the compacted revision of the state that was written last. It rises **before** the
//!   batch is written, and a reader looks at it **after** it took its view (cursor or value). From then on
//!   tombstones at or below C may be missing, and a change may name no predecessor where there was one
//!   below C; a view that could have met either for revision R is seen as such: floor above R.
//! - *Removable* is what the filter goes by. It never passes the compacted revision that is **on disk**.
//!   Removal is durable at once while recent writes are not, so after a crash the store may be an older
//!   one: replaying the log over it must find every event and tombstone that the older state may ask for.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use rocksdb::WriteBatch;
use rocksdb::compaction_filter::Decision;

use super::error::StoreError;
use super::keys::event_key;
use super::records::Record;
use super::store::{Family, Store, unlogged};
use crate::base::ids::{ChangeId, Revision};

/// A revision that only rises, shared between threads.
#[derive(Debug, Clone, Default)]
pub(super) struct Mark(Arc<AtomicI64>);

impl Mark {
    pub(super) fn get(&self) -> Revision {
        Revision(self.0.load(Ordering::Acquire))
    }

    pub(super) fn raise(&self, to: Revision) {
        self.0.fetch_max(to.0, Ordering::AcqRel);
    }
}

/// What may be removed from disk, and how much has been.
#[derive(Debug, Clone, Default)]
pub(super) struct Removal {
    pub(super) removable: Mark,
    /// Records removed and not yet [taken](Store::take_removed).
    records: Arc<AtomicU64>,
}

impl Removal {
    /// What RocksDB asks for each record of `current` that it rewrites: whether a tombstone may go.
    pub(super) fn filter(&self) -> impl FnMut(u32, &[u8], &[u8]) -> Decision + Send + 'static {
        let removal = self.clone();
        move |_level, _key, record| match Record::decode(record) {
            Ok(Record::Tombstone { id }) if id.revision <= removal.removable.get() => {
                removal.count(1);
                Decision::Remove
            }
            // A record that does not decode is kept: whoever reads it reports it.
            _ => Decision::Keep,
        }
    }

    fn count(&self, records: u64) {
        self.records.fetch_add(records, Ordering::Relaxed);
    }
}

impl Store {
    /// Removes events below `below` and lets tombstones at or below it go, in the background.
    ///
    /// Never removes more than the compacted revision of the stored state allows, which is first put on
    /// disk (one flush). Events of revision `below` itself stay: a watch may start there.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub fn drop_history(&self, below: Revision) -> Result<(), StoreError> {
        let allowed = self.compacted()?.unwrap_or_default();
        let below = below.min(allowed);
        if below <= Revision::FIRST {
            return Ok(());
        }
        self.flush()?;
        self.removal.removable.raise(below);
        // The end of a file deletion is inclusive.
        let first = event_key(ChangeId::NONE);
        let last = event_key(ChangeId::new(Revision(below.0 - 1), u32::MAX));
        let before = self.event_files(&last)?;
        let events = self.family(Family::Event);
        self.db.delete_file_in_range_cf(events, first, last)?;
        let after = self.event_files(&last)?;
        let gone = before.iter().filter(|(name, _)| !after.contains_key(*name));
        self.removal.count(gone.map(|(_, events)| events).sum());
        Ok(())
    }

    /// How many records were removed after compactions since this was asked last: tombstones, and events of
    /// files that were dropped. Not events that [`Self::compact_all`] left out.
    pub fn take_removed(&self) -> u64 {
        self.removal.records.swap(0, Ordering::Relaxed)
    }

    /// The floor: a view taken before this call is whole for every revision from it on.
    pub(crate) fn floor(&self) -> Revision {
        self.floor.get()
    }

    /// Marks the events that whole-file removal left behind as deleted.
    pub(super) fn delete_ragged_edge(&self) -> Result<(), StoreError> {
        let first = event_key(ChangeId::NONE);
        let end = event_key(ChangeId::new(self.removal.removable.get(), 0));
        let mut edge = WriteBatch::default();
        edge.delete_range_cf(self.family(Family::Event), first, end);
        Ok(self.db.write_opt(edge, &unlogged())?)
    }

    /// The files that hold events up to `last` and no later ones, with the number of their events. Files of
    /// level 0, which cannot be dropped, are not among them.
    fn event_files(&self, last: &[u8]) -> Result<HashMap<String, u64>, StoreError> {
        let files = self.db.live_files()?.into_iter();
        Ok(files
            .filter(|file| file.column_family_name == Family::Event.name() && file.level > 0)
            .filter(|file| file.end_key.as_deref().is_some_and(|end| end <= last))
            .map(|file| (file.name, file.num_entries))
            .collect())
    }
}
