//! What a run of commands has changed and the store does not have yet.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::base::change::{Change, ChangeKind};
use crate::base::ids::{ChangeId, LeaseId};
use crate::base::kv::Kv;
use crate::storage::keys::{attachment_key, event_key, lease_key};
use crate::storage::records::{EVENT_HEADER, LeaseRecord, event_record, lease_record};
use crate::storage::{Batch, Family};

/// The overlay of a [`Session`](super::Session): later commands of the run see it above the store.
#[derive(Debug)]
pub(super) struct Pending {
    /// The newest record of each key that changed, as `current` will have it.
    pub(super) records: BTreeMap<Bytes, Bytes>,
    /// Every change, in order, with its event record.
    pub(super) events: Vec<PendingEvent>,
    /// Leases granted (`Some`) and revoked (`None`).
    pub(super) leases: BTreeMap<LeaseId, Option<LeaseRecord>>,
    /// Attachments made (`true`) and undone (`false`).
    pub(super) attachments: BTreeMap<(LeaseId, Bytes), bool>,
}

/// A change and the record that `event` will have of it.
#[derive(Debug)]
pub(super) struct PendingEvent {
    pub(super) change: Change,
    pub(super) record: Bytes,
}

impl Pending {
    pub(super) const fn new() -> Self {
        Self {
            records: BTreeMap::new(),
            events: Vec::new(),
            leases: BTreeMap::new(),
            attachments: BTreeMap::new(),
        }
    }

    /// The event record of a change of this run.
    pub(super) fn event(&self, id: ChangeId) -> Option<&Bytes> {
        let index = self
            .events
            .binary_search_by_key(&id, |event| event.change.id);
        self.events.get(index.ok()?).map(|event| &event.record)
    }

    /// Appends a change: what happened, which change it replaced, the key-value after and before it.
    pub(super) fn append(
        &mut self,
        id: ChangeId,
        kind: ChangeKind,
        replaced: ChangeId,
        after: &Kv,
        before: Option<&Kv>,
    ) {
        let (record, prev_at) = event_record(kind, replaced, after, before);
        let change = Change {
            id,
            kind,
            key: after.key.clone(),
            event: record.slice(EVENT_HEADER..),
            prev_at,
        };
        self.events.push(PendingEvent { change, record });
    }

    /// Turns the overlay into writes and the list of changes. Each key of `current` is written once,
    /// however often it changed, and in key order: that is the cheapest order for the write buffer.
    pub(super) fn into_writes(self) -> (Batch, Vec<Change>) {
        let mut batch = Batch::with_capacity(self.records.len() + self.events.len() + 2);
        for (key, record) in self.records {
            batch.put(Family::Current, key, record);
        }
        let mut changes = Vec::with_capacity(self.events.len());
        for event in self.events {
            let key = Bytes::copy_from_slice(&event_key(event.change.id));
            batch.put(Family::Event, key, event.record);
            changes.push(event.change);
        }
        for (id, lease) in self.leases {
            let key = Bytes::copy_from_slice(&lease_key(id));
            match lease {
                Some(lease) => batch.put(Family::Lease, key, lease_record(lease)),
                None => batch.delete(Family::Lease, key),
            }
        }
        for ((id, key), attached) in self.attachments {
            let key = attachment_key(id, &key);
            if attached {
                batch.put(Family::Lease, key, Bytes::new());
            } else {
                batch.delete(Family::Lease, key);
            }
        }
        (batch, changes)
    }
}
