//! Forward iteration over a column family, with errors that cannot be overlooked.

use rocksdb::DBRawIteratorWithThreadMode;

use super::error::StoreError;
use super::store::Database;

/// A key and its value.
pub(crate) type KeyValueRow<'a> = (&'a [u8], &'a [u8]);

/// A place in a scan.
///
/// A cursor is a consistent view: it sees the store as it was when the cursor was made, whatever is
/// written, compacted or dropped while it lives.
pub(crate) struct Cursor<'a> {
    rows: DBRawIteratorWithThreadMode<'a, Database>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(rows: DBRawIteratorWithThreadMode<'a, Database>) -> Self {
        Self { rows }
    }

    /// Key and value at the cursor; `None` past the end.
    pub(crate) fn row(&self) -> Result<Option<KeyValueRow<'_>>, StoreError> {
        match self.rows.item() {
            Some(row) => Ok(Some(row)),
            None => Ok(self.rows.status().map(|()| None)?),
        }
    }

    /// Moves on. Past the end it stays there.
    pub(crate) fn advance(&mut self) {
        if self.rows.valid() {
            self.rows.next();
        }
    }
}
