//! Records of `current` with the pending ones of a run laid over them.

use std::cmp::Ordering;
use std::collections::btree_map;

use bytes::Bytes;

use super::error::MvccError;
use super::pending::Pending;
use crate::base::range::KeyRange;
use crate::storage::{Cursor, Family, KeyValueRow, Store};

/// A scan in key order over both; where both have a key, the pending record hides the stored one.
pub(super) struct Merged<'a> {
    stored: Cursor<'a>,
    pending: Option<btree_map::Range<'a, Bytes, Bytes>>,
    head: Option<(&'a Bytes, &'a Bytes)>,
}

/// Which side the next record comes from. The end of both counts as stored.
enum Side {
    Stored,
    Pending,
    Both,
}

impl<'a> Merged<'a> {
    /// Begins a scan. The range must not be [empty](KeyRange::is_empty).
    pub(super) fn new(store: &'a Store, pending: Option<&'a Pending>, range: &KeyRange) -> Self {
        let end = range.upper_bound();
        let stored = store.scan(Family::Current, &range.start, end.as_deref());
        let mut pending = pending
            .filter(|pending| !pending.records.is_empty())
            .map(|pending| pending.records.range(range.bounds()));
        let head = pending.as_mut().and_then(Iterator::next);
        Self {
            stored,
            pending,
            head,
        }
    }

    /// Key and record at the scan's place; `None` past the end.
    pub(super) fn row(&self) -> Result<Option<KeyValueRow<'_>>, MvccError> {
        match self.side()? {
            Side::Stored => Ok(self.stored.row()?),
            Side::Pending | Side::Both => {
                let head = self.head;
                Ok(head.map(|(key, record)| (key.as_ref(), record.as_ref())))
            }
        }
    }

    /// Moves on.
    pub(super) fn advance(&mut self) -> Result<(), MvccError> {
        match self.side()? {
            Side::Stored => self.stored.advance(),
            Side::Pending => self.advance_pending(),
            Side::Both => {
                self.stored.advance();
                self.advance_pending();
            }
        }
        Ok(())
    }

    fn advance_pending(&mut self) {
        self.head = self.pending.as_mut().and_then(Iterator::next);
    }

    fn side(&self) -> Result<Side, MvccError> {
        // Every read outside a session ends here.
        let Some((pending, _)) = self.head else {
            return Ok(Side::Stored);
        };
        let Some((stored, _)) = self.stored.row()? else {
            return Ok(Side::Pending);
        };
        Ok(match stored.cmp(pending) {
            Ordering::Less => Side::Stored,
            Ordering::Equal => Side::Both,
            Ordering::Greater => Side::Pending,
        })
    }
}
