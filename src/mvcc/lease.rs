//! Leases as the store has them. Time is not here: the engine keeps deadlines, from when it became able to.

use bytes::Bytes;

use super::error::MvccError;
use crate::base::ids::LeaseId;
use crate::base::range::prefix_end;
use crate::storage::keys::{
    attachment_bounds, attachment_prefix, lease_bounds, lease_key, parse_attachment_key,
    parse_lease_key,
};
use crate::storage::records::{LeaseRecord, RecordError, parse_lease};
use crate::storage::{Family, Store};

/// Every lease with its record, in no order that means anything.
///
/// # Errors
/// Only fatal ones.
pub fn list(store: &Store) -> Result<Vec<(LeaseId, LeaseRecord)>, MvccError> {
    let (first, end) = lease_bounds();
    let mut rows = store.scan(Family::Lease, &first, Some(&end));
    let mut leases = Vec::new();
    while let Some((key, record)) = rows.row()? {
        let id = parse_lease_key(key).ok_or(RecordError::Key)?;
        leases.push((id, parse_lease(record)?));
        rows.advance();
    }
    Ok(leases)
}

/// The keys attached to a lease, in key order; none if there is no such lease.
///
/// # Errors
/// Only fatal ones.
pub fn keys(store: &Store, id: LeaseId) -> Result<Vec<Bytes>, MvccError> {
    let prefix = attachment_prefix(id);
    let end = prefix_end(&prefix);
    let mut rows = store.scan(Family::Lease, &prefix, end.as_deref());
    let mut keys = Vec::new();
    while let Some((key, _)) = rows.row()? {
        let (_, key) = parse_attachment_key(key).ok_or(RecordError::Key)?;
        keys.push(Bytes::copy_from_slice(key));
        rows.advance();
    }
    Ok(keys)
}

/// Shows every key that is attached to any lease, until one is refused.
///
/// # Errors
/// What `visit` refuses with, or a fatal one.
pub fn visit_attached(
    store: &Store,
    mut visit: impl FnMut(&[u8]) -> Result<(), MvccError>,
) -> Result<(), MvccError> {
    let (first, end) = attachment_bounds();
    let mut rows = store.scan(Family::Lease, &first, Some(&end));
    while let Some((key, _)) = rows.row()? {
        let (_, key) = parse_attachment_key(key).ok_or(RecordError::Key)?;
        visit(key)?;
        rows.advance();
    }
    Ok(())
}

/// The seconds granted to a lease, if it exists.
///
/// # Errors
/// Only fatal ones.
pub fn get(store: &Store, id: LeaseId) -> Result<Option<i64>, MvccError> {
    let record = store.lease(&lease_key(id))?;
    Ok(record
        .map(|record| parse_lease(&record))
        .transpose()?
        .map(|lease| lease.ttl))
}
