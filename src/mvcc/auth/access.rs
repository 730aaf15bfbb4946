//! Whether a caller may do what a request asks for.

use bytes::Bytes;

use super::error::AuthError;
use super::rights::cover;
use super::state::{AuthState, User};
use crate::base::ids::LeaseId;
use crate::base::range::KeyRange;
use crate::mvcc::ops::{DeleteOp, Op, PutOp, Txn};

/// What a caller may do.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a>(Option<(&'a AuthState, &'a User)>);

impl<'a> Access<'a> {
    /// Everything.
    pub(super) const fn everything() -> Self {
        Self(None)
    }

    /// What the roles of a user allow.
    pub(super) const fn of(state: &'a AuthState, user: &'a User) -> Self {
        Self(Some((state, user)))
    }

    /// Whether nothing is refused: authentication is off, or the caller has the role `root`.
    pub const fn is_root(&self) -> bool {
        self.0.is_none()
    }

    /// Refuses to read a range that is not permitted whole.
    ///
    /// # Errors
    /// [`AuthError::PermissionDenied`].
    pub fn read(&self, range: &KeyRange) -> Result<(), AuthError> {
        permit(self.0.is_none_or(|(state, user)| {
            cover(&state.rights(user).map(|rights| &rights.read), range)
        }))
    }

    /// Refuses to write to a range that is not permitted whole.
    ///
    /// # Errors
    /// [`AuthError::PermissionDenied`].
    pub fn write(&self, range: &KeyRange) -> Result<(), AuthError> {
        permit(self.0.is_none_or(|(state, user)| {
            cover(&state.rights(user).map(|rights| &rights.write), range)
        }))
    }

    /// Refuses to read a key.
    ///
    /// # Errors
    /// [`AuthError::PermissionDenied`].
    pub fn read_key(&self, key: &[u8]) -> Result<(), AuthError> {
        match self.0 {
            None => Ok(()),
            Some(_) => self.read(&KeyRange::point(Bytes::copy_from_slice(key))),
        }
    }

    /// Refuses unless every one of these keys may be written: what it takes to end the lease that they are
    /// attached to.
    ///
    /// # Errors
    /// [`AuthError::PermissionDenied`].
    pub fn write_keys(&self, keys: impl IntoIterator<Item = Bytes>) -> Result<(), AuthError> {
        if self.is_root() {
            return Ok(());
        }
        let mut keys = keys.into_iter();
        keys.try_for_each(|key| self.write(&KeyRange::point(key)))
    }

    /// A put: the key, and for its previous value reading too. The keys of its lease are for
    /// [`Self::write_keys`].
    ///
    /// # Errors
    /// [`AuthError::PermissionDenied`].
    pub fn put(&self, op: &PutOp) -> Result<(), AuthError> {
        if self.is_root() {
            return Ok(());
        }
        let key = KeyRange::point(op.key.clone());
        self.write(&key)?;
        if op.prev_kv { self.read(&key) } else { Ok(()) }
    }

    /// A deletion: the range, and for the previous values reading too.
    ///
    /// # Errors
    /// [`AuthError::PermissionDenied`].
    pub fn delete(&self, op: &DeleteOp) -> Result<(), AuthError> {
        self.write(&op.range)?;
        if op.prev_kv {
            self.read(&op.range)
        } else {
            Ok(())
        }
    }

    /// A transaction: all that it compares, and all operations of both branches, whichever would be taken, at
    /// any depth.
    ///
    /// # Errors
    /// [`AuthError::PermissionDenied`].
    pub fn txn(&self, txn: &Txn) -> Result<(), AuthError> {
        if self.is_root() {
            return Ok(());
        }
        let mut compares = txn.compares.iter();
        compares.try_for_each(|compare| self.read(&compare.range))?;
        let mut ops = txn.success.iter().chain(&txn.failure);
        ops.try_for_each(|op| match op {
            Op::Range(op) => self.read(&op.range),
            Op::Put(op) => self.put(op),
            Op::Delete(op) => self.delete(op),
            Op::Txn(inner) => self.txn(inner),
        })
    }
}

const fn permit(permitted: bool) -> Result<(), AuthError> {
    if permitted {
        Ok(())
    } else {
        Err(AuthError::PermissionDenied)
    }
}

/// The leases that the puts of a transaction would attach keys to.
pub(crate) fn leases_of(txn: &Txn, found: &mut std::collections::BTreeSet<LeaseId>) {
    for op in txn.success.iter().chain(&txn.failure) {
        match op {
            Op::Put(op) if !op.lease.is_none() => {
                found.insert(op.lease);
            }
            Op::Txn(inner) => leases_of(inner, found),
            _ => {}
        }
    }
}
