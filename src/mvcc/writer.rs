//! The changes of one command.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use bytes::Bytes;

use super::error::MvccError;
use super::ops::{DeleteOp, DeleteResult, PutOp, PutResult};
use super::pending::Pending;
use super::recent::Recent;
use super::state::State;
use super::view::{Newest, View};
use crate::base::change::ChangeKind;
use crate::base::ids::{ChangeId, LeaseId, Revision};
use crate::base::kv::{Kv, KvMeta, decode_body};
use crate::base::range::KeyRange;
use crate::storage::Store;
use crate::storage::records::{body_of_put_record, put_record, tombstone_record};

/// Writes to the overlay at the next revision, numbering the changes as it goes.
///
/// Whatever can be refused is checked before the first change: from then on only the store can fail.
pub(super) struct Writer<'s> {
    store: &'s Store,
    recent: Option<&'s Recent>,
    state: State,
    pending: &'s mut Pending,
    next: ChangeId,
}

impl<'s> Writer<'s> {
    pub(super) const fn new(
        store: &'s Store,
        recent: Option<&'s Recent>,
        state: State,
        pending: &'s mut Pending,
    ) -> Self {
        Self {
            store,
            recent,
            state,
            pending,
            next: ChangeId::new(state.revision.next(), 0),
        }
    }

    /// The state after the command: a revision further if it changed anything.
    pub(super) const fn state(&self) -> State {
        let mut state = self.state;
        if self.next.sub > 0 {
            state.revision = self.next.revision;
        }
        state
    }

    /// What the command's next operation reads: its own changes included.
    pub(super) const fn view(&self) -> View<'_> {
        View::with(self.store, self.recent, self.pending)
    }

    /// The revision of the command's changes.
    pub(super) const fn revision(&self) -> Revision {
        self.next.revision
    }

    /// Refuses a put whose lease or key is missing.
    pub(super) fn check_put(&self, op: &PutOp) -> Result<(), MvccError> {
        self.check_lease(op)?;
        self.check_key(op)
    }

    /// As [`check_put`](Self::check_put) for a put of a transaction, where etcd looks for the key first.
    pub(super) fn check_put_in_txn(&self, op: &PutOp) -> Result<(), MvccError> {
        self.check_key(op)?;
        self.check_lease(op)
    }

    fn check_key(&self, op: &PutOp) -> Result<(), MvccError> {
        if (op.ignore_value || op.ignore_lease) && self.view().newest(&op.key)?.body.is_none() {
            return Err(MvccError::KeyNotFound);
        }
        Ok(())
    }

    fn check_lease(&self, op: &PutOp) -> Result<(), MvccError> {
        if !op.lease.is_none() && self.lease(op.lease)?.is_none() {
            return Err(MvccError::LeaseNotFound);
        }
        Ok(())
    }

    /// Writes one key. The caller has [checked](Self::check_put) the operation.
    pub(super) fn put(&mut self, op: &PutOp) -> Result<PutResult, MvccError> {
        let newest = self.view().newest(&op.key)?;
        let before = newest.body.clone().map(|body| Kv {
            key: op.key.clone(),
            body,
        });
        let old = before.as_ref().map(Kv::view).transpose()?;
        let old_meta = old.map(|old| old.meta);
        let meta = KvMeta {
            create_revision: old_meta.map_or(self.next.revision, |meta| meta.create_revision),
            mod_revision: self.next.revision,
            version: old_meta.map_or(0, |meta| meta.version) + 1,
            lease: match old_meta {
                Some(meta) if op.ignore_lease => meta.lease,
                _ => op.lease,
            },
        };
        let value = match &old {
            Some(old) if op.ignore_value => old.value,
            _ => op.value.as_ref(),
        };
        let record = put_record(self.next.sub, &meta, value);
        let after = Kv {
            key: op.key.clone(),
            body: body_of_put_record(&record),
        };
        self.attach(
            &op.key,
            old_meta.map_or(LeaseId::NONE, |meta| meta.lease),
            meta.lease,
        );
        self.change(ChangeKind::Put, &newest, &after, before.as_ref(), record);
        let prev = before.filter(|_| op.prev_kv);
        Ok(PutResult { prev })
    }

    /// Deletes a range of keys, in key order.
    pub(super) fn delete(&mut self, op: &DeleteOp) -> Result<DeleteResult, MvccError> {
        let doomed = self.live(&op.range)?;
        let mut result = DeleteResult::default();
        for (id, kv) in doomed {
            self.delete_live(id, &kv)?;
            result.deleted += 1;
            if op.prev_kv {
                result.prevs.push(kv);
            }
        }
        Ok(result)
    }

    /// Deletes every key attached to a lease, in key order, and gives the keys.
    pub(super) fn delete_attached(&mut self, id: LeaseId) -> Result<Vec<Bytes>, MvccError> {
        let keys = self.attached(id)?;
        for key in &keys {
            self.delete(&DeleteOp {
                range: KeyRange::point(key.clone()),
                prev_kv: false,
            })?;
        }
        Ok(keys.into_iter().collect())
    }

    /// The seconds granted to a lease, if it exists.
    pub(super) fn lease(&self, id: LeaseId) -> Result<Option<i64>, MvccError> {
        match self.pending.leases.get(&id) {
            Some(lease) => Ok(lease.map(|lease| lease.ttl)),
            None => super::lease::get(self.store, id),
        }
    }

    /// The keys attached to a lease.
    pub(super) fn attached(&self, id: LeaseId) -> Result<BTreeSet<Bytes>, MvccError> {
        let mut keys: BTreeSet<Bytes> = super::lease::keys(self.store, id)?.into_iter().collect();
        let changed = self.pending.attachments.range((id, Bytes::new())..);
        for ((_, key), attached) in changed.take_while(|((lease, _), _)| *lease == id) {
            if *attached {
                keys.insert(key.clone());
            } else {
                keys.remove(key);
            }
        }
        Ok(keys)
    }

    /// The keys of a range that exist now.
    fn live(&self, range: &KeyRange) -> Result<Vec<(ChangeId, Kv)>, MvccError> {
        let mut live = Vec::new();
        self.view().scan(range, self.next.revision, |row| {
            live.push((row.id, row.into_kv()));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(live)
    }

    fn delete_live(&mut self, id: ChangeId, before: &Kv) -> Result<(), MvccError> {
        let lease = decode_body(&before.body)?.meta.lease;
        self.attach(&before.key, lease, LeaseId::NONE);
        let meta = KvMeta {
            mod_revision: self.next.revision,
            ..KvMeta::default()
        };
        let after = Kv::encode(before.key.clone(), meta, &[]);
        let newest = Newest {
            id,
            body: Some(before.body.clone()),
        };
        let record = tombstone_record(self.next);
        self.change(ChangeKind::Delete, &newest, &after, Some(before), record);
        Ok(())
    }

    /// Moves a key from one lease to another; either may be none.
    fn attach(&mut self, key: &Bytes, from: LeaseId, to: LeaseId) {
        if from == to {
            return;
        }
        for (lease, attached) in [(from, false), (to, true)] {
            if !lease.is_none() {
                self.pending
                    .attachments
                    .insert((lease, key.clone()), attached);
            }
        }
    }

    /// Records one change and counts it.
    fn change(
        &mut self,
        kind: ChangeKind,
        newest: &Newest,
        after: &Kv,
        before: Option<&Kv>,
        record: Bytes,
    ) {
        // A tombstone that compaction covers may be physically gone on another member.
        let forgotten = newest.body.is_none() && self.state.covers(newest.id.revision);
        let replaced = if forgotten { ChangeId::NONE } else { newest.id };
        self.pending
            .append(self.next, kind, replaced, after, before);
        self.pending.records.insert(after.key.clone(), record);
        self.next.sub += 1;
    }
}
