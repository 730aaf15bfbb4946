//! All column families at one point.

use rocksdb::{ReadOptions, SnapshotWithThreadMode};

use super::cursor::Cursor;
use super::error::StoreError;
use super::keys::MetaKey;
use super::store::{Database, Family, Store};

/// The store as it was when this was made, for readers of more than one column family.
///
/// Making and dropping one takes a mutex of RocksDB's for a moment, and while it lives compactions keep what
/// it sees: for maintenance, not for requests. What compaction to a revision removes it does not keep; see
/// [`Store::floor`].
pub(crate) struct Frozen<'a> {
    store: &'a Store,
    snapshot: SnapshotWithThreadMode<'a, Database>,
}

impl Store {
    /// Keeps the store as it is now.
    pub(crate) fn freeze(&self) -> Frozen<'_> {
        Frozen {
            store: self,
            snapshot: self.db.snapshot(),
        }
    }
}

impl Frozen<'_> {
    /// Scans a column family from `first` to its end.
    pub(crate) fn scan(&self, family: Family, first: &[u8]) -> Cursor<'_> {
        let mut options = ReadOptions::default();
        // One pass over everything would push out what requests need.
        options.fill_cache(false);
        let family = self.store.family(family);
        let mut rows = self.snapshot.raw_iterator_cf_opt(family, options);
        rows.seek(first);
        Cursor::new(rows)
    }

    /// A named record.
    pub(crate) fn meta(&self, key: MetaKey) -> Result<Option<Vec<u8>>, StoreError> {
        let family = self.store.family(Family::Meta);
        Ok(self.snapshot.get_cf(family, key.name())?)
    }
}
