//! The store: column families, reads, batches, flushes, copies.

use std::fs::File;
use std::ops::Deref;
use std::path::Path;

use rocksdb::checkpoint::Checkpoint;
use rocksdb::{
    BottommostLevelCompaction, ColumnFamily, CompactOptions, DBWithThreadMode, FlushOptions,
    ReadOptions, SingleThreaded, WriteBatch, WriteOptions, properties,
};

use super::batch::{Batch, Write};
use super::cursor::Cursor;
use super::error::StoreError;
use super::gc::{Mark, Removal};
use super::keys::{MetaKey, event_key};
use super::records;
use crate::base::fs::sync_dir;
use crate::base::ids::{ChangeId, Revision};

/// The column families never change while the store is open, so looking one up needs no lock.
pub(super) type Database = DBWithThreadMode<SingleThreaded>;

/// A column family. Their names are part of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Family {
    /// User key to its newest version.
    Current,
    /// Change id to what changed.
    Event,
    /// Leases and what is attached to them.
    Lease,
    /// Users and roles.
    Auth,
    /// Named records.
    Meta,
}

impl Family {
    pub(crate) const ALL: [Self; 5] = [
        Self::Current,
        Self::Event,
        Self::Lease,
        Self::Auth,
        Self::Meta,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Event => "event",
            Self::Lease => "lease",
            Self::Auth => "auth",
            Self::Meta => "meta",
        }
    }
}

/// An open state directory. Share it by reference or `Arc`; dropping the last one closes it.
///
/// Closing flushes, so that a clean stop leaves nothing to replay; nothing relies on it.
pub struct Store {
    // Declared before the lock, so that the database closes while the directory is still ours.
    pub(super) db: Database,
    pub(super) floor: Mark,
    pub(super) removal: Removal,
    /// None for a copy that is only read: it may be shared, and gets no lock file of ours.
    pub(super) _lock: Option<File>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.db.path())
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Writes a batch: all of it is visible to reads that begin after this returns, none of it to
    /// cursors made before. It is durable only after the next [flush](Self::flush).
    ///
    /// # Errors
    /// [`StoreError`]; the member must stop then.
    pub fn write(&self, batch: Batch) -> Result<(), StoreError> {
        // Each write has a tag, a family and two lengths before its bytes.
        let mut raw = WriteBatch::with_capacity_bytes(batch.weight() + 16 * batch.len() + 16);
        // Writes to one family follow each other.
        let mut known = (Family::Meta, self.family(Family::Meta));
        for write in batch.writes {
            self.raise_floor(&write)?;
            if known.0 != write.family {
                known = (write.family, self.family(write.family));
            }
            let family = known.1;
            match write.value {
                Some(value) => raw.put_cf(family, &write.key, &value),
                None => raw.delete_cf(family, &write.key),
            }
        }
        Ok(self.db.write_opt(raw, &unlogged())?)
    }

    /// Puts everything written so far on disk, all column families at one point.
    ///
    /// # Errors
    /// [`StoreError::Database`]; the member must stop then.
    pub fn flush(&self) -> Result<(), StoreError> {
        let mut options = FlushOptions::default();
        options.set_wait(true);
        let families: Vec<&ColumnFamily> =
            Family::ALL.iter().map(|&name| self.family(name)).collect();
        Ok(self.db.flush_cfs_opt(&families, &options)?)
    }

    /// Makes a consistent copy of the store in `dir`, which must not exist, out of hard links where the
    /// file system allows. Flushes first; the copy is on disk when this returns.
    ///
    /// # Errors
    /// [`StoreError::Database`] and [`StoreError::Io`]; the store itself is not affected.
    pub fn checkpoint(&self, dir: &Path) -> Result<(), StoreError> {
        self.flush()?;
        Checkpoint::new(&self.db)?.create_checkpoint(dir)?;
        sync_directory(dir)
    }

    /// A named record.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn meta(&self, key: MetaKey) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.db.get_cf(self.family(Family::Meta), key.name())?)
    }

    /// Bytes on disk and in write buffers. Files that have been replaced and only wait for a reader to let go
    /// do not count: they go without anyone doing anything.
    pub fn disk_size(&self) -> u64 {
        self.sum(properties::LIVE_SST_FILES_SIZE) + self.buffered()
    }

    /// An estimate of the bytes that would remain if everything dead were removed.
    pub fn live_size(&self) -> u64 {
        self.sum(properties::ESTIMATE_LIVE_DATA_SIZE) + self.buffered()
    }

    /// About how many keys there are; deleted ones count until compaction removes them.
    pub fn key_count_estimate(&self) -> u64 {
        self.number(Family::Current, properties::ESTIMATE_NUM_KEYS)
    }

    /// Rewrites every column family without what is dead. Reads and writes go on meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Database`] if a write or the flush before it fails.
    pub fn compact_all(&self) -> Result<(), StoreError> {
        self.delete_ragged_edge()?;
        self.flush()?;
        let mut options = CompactOptions::default();
        options.set_exclusive_manual_compaction(false);
        options.set_bottommost_level_compaction(BottommostLevelCompaction::ForceOptimized);
        let all = None::<&[u8]>;
        for name in Family::ALL {
            self.db
                .compact_range_cf_opt(self.family(name), all, all, &options);
        }
        Ok(())
    }

    /// The newest version of `key`, tombstones included.
    pub(crate) fn current(
        &self,
        key: &[u8],
    ) -> Result<Option<impl Deref<Target = [u8]> + use<'_>>, StoreError> {
        Ok(self.db.get_pinned_cf(self.family(Family::Current), key)?)
    }

    /// The event record of a change.
    pub(crate) fn event(
        &self,
        id: ChangeId,
    ) -> Result<Option<impl Deref<Target = [u8]> + use<'_>>, StoreError> {
        let key = event_key(id);
        Ok(self.db.get_pinned_cf(self.family(Family::Event), key)?)
    }

    /// A value of the lease column family.
    pub(crate) fn lease(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.db.get_cf(self.family(Family::Lease), key)?)
    }

    /// Scans a column family from `first` to below `end`, or to its end.
    pub(crate) fn scan(&self, family: Family, first: &[u8], end: Option<&[u8]>) -> Cursor<'_> {
        let mut options = ReadOptions::default();
        // History is passed over once, and is long: it would push out what gets and lists come back to.
        options.fill_cache(family != Family::Event);
        if let Some(end) = end {
            options.set_iterate_upper_bound(end);
        }
        let mut rows = self.db.raw_iterator_cf_opt(self.family(family), options);
        rows.seek(first);
        Cursor::new(rows)
    }

    /// A state that is about to be written makes what lies below its compaction unreadable.
    fn raise_floor(&self, write: &Write) -> Result<(), StoreError> {
        if write.family == Family::Meta
            && write.key == MetaKey::State.name()
            && let Some(state) = &write.value
            && let (_, Some(compacted)) = records::parse_state(state)?
        {
            self.floor.raise(compacted);
        }
        Ok(())
    }

    /// The compacted revision of the stored state.
    pub(super) fn compacted(&self) -> Result<Option<Revision>, StoreError> {
        match self.meta(MetaKey::State)? {
            None => Ok(None),
            Some(state) => Ok(records::parse_state(&state)?.1),
        }
    }

    pub(super) fn family(&self, family: Family) -> &ColumnFamily {
        self.db
            .cf_handle(family.name())
            .expect("the store opens with every column family")
    }

    fn buffered(&self) -> u64 {
        self.sum(properties::CUR_SIZE_ALL_MEM_TABLES)
    }

    fn sum(&self, property: &properties::PropName) -> u64 {
        let of = |family| self.number(family, property);
        Family::ALL.into_iter().map(of).sum()
    }

    /// One number of RocksDB's; 0 if it cannot be read, which is no reason to fail a report.
    fn number(&self, family: Family, property: &properties::PropName) -> u64 {
        let value = self.db.property_int_value_cf(self.family(family), property);
        value.ok().flatten().unwrap_or(0)
    }
}

/// How every write is made: without RocksDB's own log.
pub(super) fn unlogged() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.disable_wal(true);
    options
}

/// Puts every file of a flat directory on disk, and the directory's entries.
fn sync_directory(dir: &Path) -> Result<(), StoreError> {
    let failed = |error: std::io::Error| StoreError::io(dir, &error);
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let file = File::open(entry.map_err(failed)?.path()).map_err(failed)?;
        file.sync_all().map_err(failed)?;
    }
    sync_dir(dir).map_err(failed)
}
