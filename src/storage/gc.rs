//! What compaction makes unreadable, and its physical removal.
//!
//! Compaction to revision C is logical first: the state says C, and from the moment that state is written
//! reads below C are refused. Then [`Store::drop_history`] removes whole files of events below C and lets
//! RocksDB's compactions drop the tombstones of `current` at or below C. Nothing scans the key space,
//! nothing pauses.
//!
//! Two marks, which only rise, make it safe:
//! - The *floor* is the compacted revision of the state that was written last. It rises **before** the
//!   batch is written, and a reader looks at it **after** it took its view (cursor or value). From then on
//!   tombstones at or below C may be missing, and a change may name no predecessor where there was one
//!   below C; a view that could have met either for revision R is seen as such: floor above R.
//! - *Removable* is what the filter goes by. It never passes the compacted revision that is **on disk**.
//!   Removal is durable at once while recent writes are not, so after a crash the store may be an older
//!   one: replaying the log over it must find every event and tombstone that the older state may ask for.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

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

    /// What RocksDB asks for each record of `current` that it rewrites: whether a tombstone may go.
    pub(super) fn filter(&self) -> impl FnMut(u32, &[u8], &[u8]) -> Decision + Send + 'static {
        let removable = self.clone();
        move |_level, _key, record| match Record::decode(record) {
            Ok(Record::Tombstone { id }) if id.revision <= removable.get() => Decision::Remove,
            // A record that does not decode is kept: whoever reads it reports it.
            _ => Decision::Keep,
        }
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
        self.removable.raise(below);
        self.drop_events_below(below)
    }

    /// The floor: a view taken before this call is whole for every revision from it on.
    pub(crate) fn floor(&self) -> Revision {
        self.floor.get()
    }

    fn drop_events_below(&self, below: Revision) -> Result<(), StoreError> {
        let events = self.family(Family::Event);
        let first = event_key(ChangeId::NONE);
        // The end of a file deletion is inclusive.
        let last = event_key(ChangeId::new(Revision(below.0 - 1), u32::MAX));
        self.db.delete_file_in_range_cf(events, first, last)?;
        let mut edge = WriteBatch::default();
        let end = event_key(ChangeId::new(below, 0));
        edge.delete_range_cf(events, first, end);
        self.db.write_opt(edge, &unlogged())?;
        Ok(())
    }
}
