//! The write side: a run of commands applied to an overlay above the store.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::auth::{AuthCommand, AuthState, TokenChange};
use super::error::MvccError;
use super::ops::{DeleteOp, DeleteResult, PutOp, PutResult};
use super::pending::Pending;
use super::recent::Recent;
use super::state::State;
use super::writer::Writer;
use crate::base::change::Change;
use crate::base::ids::{LeaseId, Revision};
use crate::storage::records::LeaseRecord;
use crate::storage::{Batch, Family, MetaKey, Store};

/// Applies a run of commands in order, each seeing those before it, and gives one batch for all.
///
/// A command that fails leaves no trace; one that changes something takes the next revision (I4, I5).
/// How commands are grouped into runs makes no difference to what is stored (I7). After an error that is
/// [fatal](MvccError::is_fatal) the session must be dropped: a command may be half done in it.
#[derive(Debug)]
pub struct Session<'a> {
    pub(super) store: &'a Store,
    pub(super) state: State,
    pub(super) pending: Pending,
    recent: Option<&'a Recent>,
    begun: State,
    metas: Vec<(MetaKey, Vec<u8>)>,
    /// Rows of users and roles; no value means that one goes.
    auth: Vec<(Bytes, Option<Bytes>)>,
}

/// What a session leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// To be written to the store, in one piece, before `state` is published.
    pub batch: Batch,
    /// What changed, in order: what watchers get once the batch is written.
    pub changes: Vec<Change>,
    /// The state after the run.
    pub state: State,
    /// The revision before it.
    pub(super) begun: Revision,
}

impl<'a> Session<'a> {
    /// A session on a store that is in `state`. Only one may be open at a time, and nothing else may
    /// write to the store until its batch is written.
    pub const fn begin(store: &'a Store, state: State) -> Self {
        Self {
            store,
            state,
            pending: Pending::new(),
            recent: None,
            begun: state,
            metas: Vec::new(),
            auth: Vec::new(),
        }
    }

    /// As [`Self::begin`], for a writer that keeps what it has written lately: [`Recent::write`] takes what the
    /// session leaves behind.
    pub fn begin_with(recent: &'a mut Recent, store: &'a Store, state: State) -> Self {
        recent.begin(state.revision);
        Self {
            recent: Some(recent),
            ..Self::begin(store, state)
        }
    }

    /// The state after the commands so far.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Writes one key.
    ///
    /// # Errors
    /// [`MvccError::KeyNotFound`], [`MvccError::LeaseNotFound`], or a fatal one.
    pub fn put(&mut self, op: &PutOp) -> Result<PutResult, MvccError> {
        self.write(|writer| {
            writer.check_put(op)?;
            writer.put(op)
        })
    }

    /// Deletes a range of keys. No revision is taken if there was none.
    ///
    /// # Errors
    /// Only fatal ones.
    pub fn delete(&mut self, op: &DeleteOp) -> Result<DeleteResult, MvccError> {
        self.write(|writer| writer.delete(op))
    }

    /// Makes reads below `revision` impossible. What becomes invisible is removed later, by
    /// [`Store::drop_history`].
    ///
    /// # Errors
    /// [`MvccError::FutureRevision`] above the current revision; [`MvccError::Compacted`] at or below the
    /// compacted one, and below 0. Compaction to 0 works once, as in etcd.
    pub fn compact(&mut self, revision: i64) -> Result<(), MvccError> {
        if revision > self.state.revision.0 {
            return Err(MvccError::FutureRevision);
        }
        if revision <= self.state.compact_revision() {
            return Err(MvccError::Compacted);
        }
        self.state.compacted = Some(Revision(revision));
        Ok(())
    }

    /// Grants a lease of `ttl` seconds.
    ///
    /// # Errors
    /// [`MvccError::LeaseExists`]; [`MvccError::LeaseNotFound`] for [`LeaseId::NONE`], which is no lease.
    pub fn lease_grant(&mut self, id: LeaseId, ttl: i64) -> Result<(), MvccError> {
        if id.is_none() {
            return Err(MvccError::LeaseNotFound);
        }
        if self.writer().lease(id)?.is_some() {
            return Err(MvccError::LeaseExists);
        }
        self.pending.leases.insert(id, Some(LeaseRecord::new(ttl)));
        Ok(())
    }

    /// Ends a lease and deletes its keys, in one revision if there are any. Gives the keys.
    ///
    /// # Errors
    /// [`MvccError::LeaseNotFound`], or a fatal one.
    pub fn lease_revoke(&mut self, id: LeaseId) -> Result<Vec<Bytes>, MvccError> {
        if self.writer().lease(id)?.is_none() {
            return Err(MvccError::LeaseNotFound);
        }
        let keys = self.write(|writer| writer.delete_attached(id))?;
        self.pending.leases.insert(id, None);
        Ok(keys)
    }

    /// The keys attached to a lease after the commands so far; none if there is no such lease.
    ///
    /// # Errors
    /// Only fatal ones.
    pub fn lease_keys(&mut self, id: LeaseId) -> Result<BTreeSet<Bytes>, MvccError> {
        self.writer().attached(id)
    }

    /// Changes users and roles; `index` is that of the command's log entry. Gives what becomes of tokens.
    ///
    /// # Errors
    /// [`MvccError::Auth`].
    pub fn change_auth(
        &mut self,
        state: &mut Arc<AuthState>,
        command: &AuthCommand,
        index: u64,
    ) -> Result<Vec<TokenChange>, MvccError> {
        let changed = state.apply(command, index)?;
        self.auth.extend(changed.rows);
        Ok(changed.tokens)
    }

    /// Records the seconds that are left to a lease; none, or as many as were granted, is all of its time again.
    /// Gives what was recorded, 0 for all; `None` if there is no such lease.
    ///
    /// # Errors
    /// Only fatal ones.
    pub fn lease_checkpoint(
        &mut self,
        id: LeaseId,
        remaining: i64,
    ) -> Result<Option<i64>, MvccError> {
        let Some(ttl) = self.writer().lease(id)? else {
            return Ok(None);
        };
        let remaining = (1..ttl).contains(&remaining).then_some(remaining);
        let record = LeaseRecord { ttl, remaining };
        self.pending.leases.insert(id, Some(record));
        Ok(Some(remaining.unwrap_or(0)))
    }

    /// Sets a named record in the same batch. A later value for the same key wins.
    pub fn put_meta(&mut self, key: MetaKey, value: Vec<u8>) {
        self.metas.push((key, value));
    }

    /// Ends the run.
    pub fn finish(self) -> Applied {
        let (mut batch, changes) = self.pending.into_writes();
        if self.state != self.begun {
            batch.put_meta(MetaKey::State, self.state.to_record());
        }
        for (key, value) in self.metas {
            batch.put_meta(key, value);
        }
        for (key, value) in self.auth {
            match value {
                Some(value) => batch.put(Family::Auth, key, value),
                None => batch.delete(Family::Auth, key),
            }
        }
        Applied {
            batch,
            changes,
            state: self.state,
            begun: self.begun.revision,
        }
    }

    /// Runs a command that may change keys.
    pub(super) fn write<T>(
        &mut self,
        command: impl FnOnce(&mut Writer<'_>) -> Result<T, MvccError>,
    ) -> Result<T, MvccError> {
        let mut writer = self.writer();
        let result = command(&mut writer)?;
        self.state = writer.state();
        Ok(result)
    }

    fn writer(&mut self) -> Writer<'_> {
        Writer::new(self.store, self.recent, self.state, &mut self.pending)
    }
}
