//! Finding the version of a key at a revision.
//!
//! A [`View`] reads the store, and for the write side the pending changes above it. `current` gives the
//! newest version; while that is newer than the revision asked for, the event that wrote it names the
//! change it replaced and carries the key-value before it. Events above the compacted revision are always
//! there, so every revision that may be read can be reached.
//!
//! Compaction goes on meanwhile. A view is taken first (a value, or a cursor), then the floor is looked at
//! (`storage::gc` says why in that order): if it is above the revision, the view may lack a tombstone or a
//! link of the chain, and the read is refused instead of answered wrongly.

use std::borrow::Cow;
use std::ops::ControlFlow;

use bytes::Bytes;

use super::error::MvccError;
use super::merged::Merged;
use super::pending::Pending;
use super::recent::Recent;
use crate::base::ids::{ChangeId, Revision};
use crate::base::kv::Kv;
use crate::base::range::KeyRange;
use crate::storage::Store;
use crate::storage::records::{Record, StoredEvent};

/// A reader of the store with what a run has pending, and what its writer knows by heart.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    store: &'a Store,
    recent: Option<&'a Recent>,
    pending: Option<&'a Pending>,
}

/// A live version of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    /// The change that wrote it.
    pub(super) id: ChangeId,
    /// Its encoded fields.
    pub(super) body: Bytes,
}

/// A live version where it was found: the change that wrote it, and its encoded fields.
type Found<'r> = (ChangeId, Cow<'r, [u8]>);

/// A live version met by a scan.
pub(super) struct Row<'r> {
    pub(super) key: &'r [u8],
    pub(super) id: ChangeId,
    pub(super) body: Cow<'r, [u8]>,
}

impl Row<'_> {
    /// The row as an answer's key-value.
    pub(super) fn into_kv(self) -> Kv {
        Kv {
            key: Bytes::copy_from_slice(self.key),
            body: self.body.into_owned().into(),
        }
    }
}

/// The newest record of a key, as a change of it needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Newest {
    /// The change that wrote it, tombstone or not; [`ChangeId::NONE`] if there is none.
    pub(super) id: ChangeId,
    /// Its encoded fields if the key exists.
    pub(super) body: Option<Bytes>,
}

impl Newest {
    fn of(record: &[u8], keep: impl FnOnce(&[u8]) -> Bytes) -> Result<Self, MvccError> {
        Ok(match Record::decode(record)? {
            Record::Put { id, body } => Self {
                id,
                body: Some(keep(body)),
            },
            Record::Tombstone { id } => Self { id, body: None },
        })
    }
}

impl<'a> View<'a> {
    /// A view of the store alone.
    pub(super) const fn of(store: &'a Store) -> Self {
        Self {
            store,
            recent: None,
            pending: None,
        }
    }

    /// A view of the store with pending changes above it.
    pub(super) const fn with(
        store: &'a Store,
        recent: Option<&'a Recent>,
        pending: &'a Pending,
    ) -> Self {
        Self {
            store,
            recent,
            pending: Some(pending),
        }
    }

    pub(super) const fn store(&self) -> &'a Store {
        self.store
    }

    /// The newest record of `key`.
    pub(super) fn newest(&self, key: &[u8]) -> Result<Newest, MvccError> {
        if let Some(record) = self.known(key) {
            return Newest::of(record, |body| record.slice_ref(body));
        }
        match self.store.current(key)? {
            Some(record) => Newest::of(&record, Bytes::copy_from_slice),
            None => Ok(Newest {
                id: ChangeId::NONE,
                body: None,
            }),
        }
    }

    /// The version of `key` at revision `at`.
    pub(super) fn get(&self, key: &[u8], at: Revision) -> Result<Option<Version>, MvccError> {
        let version = self.record(key, |record| {
            let version = self.version(record, at)?;
            Ok(version.map(|(id, body)| Version {
                id,
                body: body.into_owned().into(),
            }))
        })?;
        self.check_floor(at)?;
        Ok(version.flatten())
    }

    /// Calls `each` for every key of `range` that exists at revision `at`, in key order, until it breaks.
    pub(super) fn scan(
        &self,
        range: &KeyRange,
        at: Revision,
        mut each: impl FnMut(Row<'_>) -> Result<ControlFlow<()>, MvccError>,
    ) -> Result<(), MvccError> {
        if range.is_empty() {
            return Ok(());
        }
        if range.is_point() {
            if let Some(Version { id, body }) = self.get(&range.start, at)? {
                let (key, body) = (range.start.as_ref(), Cow::Borrowed(body.as_ref()));
                let _ = each(Row { key, id, body })?;
            }
            return Ok(());
        }
        let mut rows = Merged::new(self.store, self.pending, range);
        self.check_floor(at)?;
        while let Some((key, record)) = rows.row()? {
            if let Some((id, body)) = self.version(Record::decode(record)?, at)?
                && each(Row { key, id, body })?.is_break()
            {
                break;
            }
            rows.advance()?;
        }
        Ok(())
    }

    /// The newest record of `key`, if it is in memory.
    fn known(&self, key: &[u8]) -> Option<&'a Bytes> {
        let pending = self.pending.and_then(|pending| pending.records.get(key));
        pending.or_else(|| self.recent?.get(key))
    }

    /// Hands the newest record of `key` to `read`, if there is one.
    fn record<T>(
        &self,
        key: &[u8],
        read: impl FnOnce(Record<'_>) -> Result<T, MvccError>,
    ) -> Result<Option<T>, MvccError> {
        if let Some(record) = self.known(key) {
            return read(Record::decode(record)?).map(Some);
        }
        match self.store.current(key)? {
            None => Ok(None),
            Some(record) => read(Record::decode(&record)?).map(Some),
        }
    }

    /// The version at `at` of the key whose newest record is `record`.
    fn version<'r>(
        &self,
        record: Record<'r>,
        at: Revision,
    ) -> Result<Option<Found<'r>>, MvccError> {
        if record.id().revision > at {
            return self.before(record.id(), at);
        }
        match record {
            Record::Put { id, body } => Ok(Some((id, Cow::Borrowed(body)))),
            Record::Tombstone { .. } => Ok(None),
        }
    }

    /// The version at `at` of the key that `change`, later than `at`, changed.
    fn before<'r>(
        &self,
        mut change: ChangeId,
        at: Revision,
    ) -> Result<Option<Found<'r>>, MvccError> {
        loop {
            let step = self.event(change, |event| {
                if event.replaced.revision > at {
                    return Ok(ControlFlow::Continue(event.replaced));
                }
                let body = event.prev_body()?;
                let version = body.map(|body| (event.replaced, Cow::Owned(body.to_vec())));
                Ok(ControlFlow::Break(version))
            })?;
            match step {
                ControlFlow::Break(version) => return Ok(version),
                // Each step goes back in time, so the walk ends.
                ControlFlow::Continue(older) if older < change => change = older,
                ControlFlow::Continue(_) => {
                    return Err(MvccError::Corrupt("a change replaces a later one"));
                }
            }
        }
    }

    /// Hands the event record of `id` to `read`.
    fn event<T>(
        &self,
        id: ChangeId,
        read: impl FnOnce(StoredEvent<'_>) -> Result<T, MvccError>,
    ) -> Result<T, MvccError> {
        if let Some(record) = self.pending.and_then(|pending| pending.event(id)) {
            return read(StoredEvent::decode(record)?);
        }
        match self.store.event(id)? {
            Some(record) => read(StoredEvent::decode(&record)?),
            // Below the floor it was removed while this read went on; above it must be there.
            None if id.revision < self.store.floor() => Err(MvccError::Compacted),
            None => Err(MvccError::Corrupt("an event is missing")),
        }
    }

    /// Refuses a read at `at` if what was looked at before this call may have lacked something.
    pub(super) fn check_floor(&self, at: Revision) -> Result<(), MvccError> {
        if at < self.store.floor() {
            Err(MvccError::Compacted)
        } else {
            Ok(())
        }
    }
}
