//! A hash over everything that is replicated, equal on all members that have applied the same.
//!
//! As etcd does it for its `Hash` call: CRC-32C over each table's name and then its keys and values, in
//! order, without what a member has for itself, which is the applied index and term. The tables are our own,
//! so the number means nothing to an etcd; `hash::hash_kv` has one that does.
//!
//! Members differ in what compaction has removed from disk so far. So events below the compacted revision
//! and tombstones at or below it are left out, whether they are still there or not (I7).

use super::error::MvccError;
use super::state::State;
use crate::base::ids::{ChangeId, Revision};
use crate::storage::keys::event_key;
use crate::storage::records::Record;
use crate::storage::{Family, Frozen, MetaKey, Store};

/// The named records that every member has alike.
const REPLICATED: [MetaKey; 5] = [
    MetaKey::State,
    MetaKey::Configuration,
    MetaKey::Members,
    MetaKey::Alarms,
    MetaKey::Downgrade,
];

/// The hash of the store as it is now, and the state that it was in.
///
/// # Errors
/// [`MvccError::Compacted`] if a compaction removed something meanwhile: the hash is to be taken again.
/// Others are fatal.
pub fn hash_state(store: &Store) -> Result<(u32, State), MvccError> {
    let frozen = store.freeze();
    let state = match frozen.meta(MetaKey::State)? {
        None => State::default(),
        Some(record) => State::from_record(&record)?,
    };
    let compacted = state.compacted.unwrap_or_default();
    let mut crc = 0;
    for family in Family::ALL {
        crc = crc32c::crc32c_append(crc, family.name().as_bytes());
        crc = match family {
            Family::Current => hash_current(&frozen, state, crc)?,
            Family::Event => {
                let first = event_key(ChangeId::new(compacted, 0));
                hash_rows(&frozen, family, &first, crc)?
            }
            Family::Lease | Family::Auth => hash_rows(&frozen, family, &[], crc)?,
            Family::Meta => hash_named(&frozen, crc)?,
        };
    }
    // What is frozen is safe from writes and not from removal.
    if store.floor() > compacted {
        return Err(MvccError::Compacted);
    }
    Ok((crc, state))
}

fn hash_current(frozen: &Frozen<'_>, state: State, mut crc: u32) -> Result<u32, MvccError> {
    let mut rows = frozen.scan(Family::Current, &[]);
    while let Some((key, record)) = rows.row()? {
        let gone = |revision: Revision| state.covers(revision);
        if !matches!(Record::decode(record)?, Record::Tombstone { id } if gone(id.revision)) {
            crc = hash_row(crc, key, record);
        }
        rows.advance();
    }
    Ok(crc)
}

fn hash_rows(
    frozen: &Frozen<'_>,
    family: Family,
    first: &[u8],
    mut crc: u32,
) -> Result<u32, MvccError> {
    let mut rows = frozen.scan(family, first);
    while let Some((key, value)) = rows.row()? {
        crc = hash_row(crc, key, value);
        rows.advance();
    }
    Ok(crc)
}

fn hash_named(frozen: &Frozen<'_>, mut crc: u32) -> Result<u32, MvccError> {
    for key in REPLICATED {
        if let Some(record) = frozen.meta(key)? {
            crc = hash_row(crc, key.name(), &record);
        }
    }
    Ok(crc)
}

fn hash_row(crc: u32, key: &[u8], value: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(crc, key), value)
}
