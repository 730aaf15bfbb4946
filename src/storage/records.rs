//! The values of every column family, as pure encoders and decoders.
//!
//! Layouts are fixed and hand-written, with the user's data as ready-made protobuf: bytes as stored are
//! bytes as sent. Decoders take whatever is on disk and never panic; they check what the reader relies
//! on and borrow the rest.

use bytes::{BufMut, Bytes};

use crate::base::change::{Change, ChangeKind};
use crate::base::ids::{ChangeId, Revision};
use crate::base::kv::{self, Kv, KvMeta};
use crate::base::wire::{self, Field, FieldReader, WireError};

const PUT: u8 = 1;
const TOMBSTONE: u8 = 2;
/// Kind and sub-revision, before the body of a put record.
const RECORD_HEADER: usize = 5;
/// Replaced revision and sub-revision, and the place of prev_kv, before the encoded event.
pub(crate) const EVENT_HEADER: usize = 16;
const STATE_VERSION: u8 = 1;
const STATE_LEN: usize = 18;
const LEASE_VERSION: u8 = 1;
const LEASE_REMAINING_VERSION: u8 = 2;

const EVENT_TYPE: u32 = 1;
const EVENT_KV: u32 = 2;
const EVENT_PREV_KV: u32 = 3;
const TYPE_DELETE: u64 = 1;
const KV_KEY: u32 = 1;
const KV_MOD_REVISION: u32 = 3;

/// Why stored bytes are not the record they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The record ends too early, or has bytes after its end.
    #[error("record has the wrong length")]
    Length,
    /// The kind byte is unknown.
    #[error("unknown record kind {0}")]
    Kind(u8),
    /// The version byte is unknown.
    #[error("unknown record version {0}")]
    Version(u8),
    /// A field that the record must have is missing.
    #[error("record lacks field {0}")]
    Missing(u32),
    /// A revision that cannot be.
    #[error("impossible revision {0}")]
    Revision(i64),
    /// A lease that has nothing left, which is written in another way.
    #[error("impossible rest of a lease: {0}")]
    Remaining(i64),
    /// A key of a column family does not parse.
    #[error("malformed key")]
    Key,
    /// The protobuf inside does not parse.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// The newest version of a key, as `current` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record<'a> {
    /// The key exists.
    Put {
        /// The change that wrote it.
        id: ChangeId,
        /// Fields 2 to 6 of its `KeyValue` (see [`Kv::body`]).
        body: &'a [u8],
    },
    /// The key was deleted.
    Tombstone {
        /// The change that deleted it.
        id: ChangeId,
    },
}

impl<'a> Record<'a> {
    /// Reads a record.
    ///
    /// # Errors
    /// [`RecordError`] if the bytes are not a record.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let (&kind, rest) = bytes.split_first().ok_or(RecordError::Length)?;
        let (sub, rest) = rest.split_first_chunk::<4>().ok_or(RecordError::Length)?;
        let sub = u32::from_be_bytes(*sub);
        match kind {
            PUT => Ok(Self::Put {
                id: ChangeId::new(mod_revision(rest)?, sub),
                body: rest,
            }),
            TOMBSTONE => {
                let revision = rest.try_into().map_err(|_| RecordError::Length)?;
                let id = ChangeId::new(Revision(i64::from_be_bytes(revision)), sub);
                Ok(Self::Tombstone { id })
            }
            other => Err(RecordError::Kind(other)),
        }
    }

    /// The change that wrote the record.
    pub const fn id(&self) -> ChangeId {
        match self {
            Self::Put { id, .. } | Self::Tombstone { id } => *id,
        }
    }
}

/// Encodes the record of a key that exists.
pub fn put_record(sub: u32, meta: &KvMeta, value: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(RECORD_HEADER + kv::body_len(meta, value.len()));
    bytes.put_u8(PUT);
    bytes.put_u32(sub);
    kv::encode_body(&mut bytes, meta, value);
    bytes.into()
}

/// The body within what [`put_record`] made, sharing its memory.
pub fn body_of_put_record(record: &Bytes) -> Bytes {
    record.slice(RECORD_HEADER.min(record.len())..)
}

/// Encodes the record of a deleted key.
pub fn tombstone_record(id: ChangeId) -> Bytes {
    let mut bytes = Vec::with_capacity(RECORD_HEADER + 8);
    bytes.put_u8(TOMBSTONE);
    bytes.put_u32(id.sub);
    bytes.put_i64(id.revision.0);
    bytes.into()
}

/// The mod revision of a body, without reading the value behind it.
fn mod_revision(body: &[u8]) -> Result<Revision, RecordError> {
    let mut reader = FieldReader::new(body);
    while let Some(field) = reader.next_field()? {
        if let Field::Varint(KV_MOD_REVISION, revision) = field {
            return Ok(Revision(revision as i64));
        }
    }
    Err(RecordError::Missing(KV_MOD_REVISION))
}

/// A change, as `event` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredEvent<'a> {
    /// The change that wrote the version which this one replaced, a tombstone included;
    /// [`ChangeId::NONE`] if there was none.
    pub replaced: ChangeId,
    /// Where prev_kv begins in `event`; its length if there is none.
    pub prev_at: usize,
    /// The encoded `mvccpb.Event`.
    pub event: &'a [u8],
}

/// What an event says without its previous key-value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventHead<'a> {
    /// What happened.
    pub kind: ChangeKind,
    /// To which key.
    pub key: &'a [u8],
    /// The encoded `KeyValue` message of the event.
    pub kv: &'a [u8],
}

impl<'a> StoredEvent<'a> {
    /// Reads an event's header; [`Self::head`] and [`Self::prev_body`] read further.
    ///
    /// # Errors
    /// [`RecordError`] if the bytes are not an event record.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let (revision, rest) = bytes.split_first_chunk::<8>().ok_or(RecordError::Length)?;
        let (sub, rest) = rest.split_first_chunk::<4>().ok_or(RecordError::Length)?;
        let (prev_at, event) = rest.split_first_chunk::<4>().ok_or(RecordError::Length)?;
        let prev_at = u32::from_be_bytes(*prev_at) as usize;
        if prev_at > event.len() {
            return Err(RecordError::Length);
        }
        Ok(Self {
            replaced: ChangeId::new(
                Revision(i64::from_be_bytes(*revision)),
                u32::from_be_bytes(*sub),
            ),
            prev_at,
            event,
        })
    }

    /// Whether the key existed before the change.
    pub const fn has_prev(&self) -> bool {
        self.prev_at < self.event.len()
    }

    /// What happened, and to which key.
    ///
    /// # Errors
    /// [`RecordError`] if the event has no key-value with a key.
    pub fn head(&self) -> Result<EventHead<'a>, RecordError> {
        let mut kind = ChangeKind::Put;
        let mut reader = FieldReader::new(self.event.get(..self.prev_at).unwrap_or_default());
        while let Some(field) = reader.next_field()? {
            match field {
                Field::Varint(EVENT_TYPE, TYPE_DELETE) => kind = ChangeKind::Delete,
                Field::Bytes(EVENT_KV, kv) => {
                    let (key, _) = split_key(kv)?;
                    return Ok(EventHead { kind, key, kv });
                }
                Field::Varint(..) | Field::Bytes(..) => {}
            }
        }
        Err(RecordError::Missing(EVENT_KV))
    }

    /// The body of the previous key-value, if there was one.
    ///
    /// # Errors
    /// [`RecordError`] if what stands in its place is not a key-value.
    pub fn prev_body(&self) -> Result<Option<&'a [u8]>, RecordError> {
        let prev = self.event.get(self.prev_at..).unwrap_or_default();
        match FieldReader::new(prev).next_field()? {
            None => Ok(None),
            Some(Field::Bytes(EVENT_PREV_KV, kv)) => split_key(kv).map(|(_, body)| Some(body)),
            Some(_) => Err(RecordError::Missing(EVENT_PREV_KV)),
        }
    }
}

/// Splits an encoded `KeyValue` into key and body.
fn split_key(kv: &[u8]) -> Result<(&[u8], &[u8]), RecordError> {
    let mut reader = FieldReader::new(kv);
    match reader.next_field()? {
        Some(Field::Bytes(KV_KEY, key)) => Ok((key, reader.rest())),
        _ => Err(RecordError::Missing(KV_KEY)),
    }
}

/// Encodes an event record: what happened, the key-value after it, and the one before if there was one.
/// Also gives the place of prev_kv within the event.
pub fn event_record(
    kind: ChangeKind,
    replaced: ChangeId,
    after: &Kv,
    before: Option<&Kv>,
) -> (Bytes, usize) {
    let kind = match kind {
        ChangeKind::Put => 0,
        ChangeKind::Delete => TYPE_DELETE,
    };
    let after_len = after.message_len();
    let prev_at =
        wire::varint_field_len(EVENT_TYPE, kind) + wire::len_field_len(EVENT_KV, after_len);
    let prev_len = before.map_or(0, |kv| wire::len_field_len(EVENT_PREV_KV, kv.message_len()));
    let mut bytes = Vec::with_capacity(EVENT_HEADER + prev_at + prev_len);
    bytes.put_i64(replaced.revision.0);
    bytes.put_u32(replaced.sub);
    bytes.put_u32(u32::try_from(prev_at).expect("a request is far below 4 GiB"));
    wire::put_varint_field(&mut bytes, EVENT_TYPE, kind);
    wire::put_len_header(&mut bytes, EVENT_KV, after_len);
    after.put_message(&mut bytes);
    if let Some(kv) = before {
        wire::put_len_header(&mut bytes, EVENT_PREV_KV, kv.message_len());
        kv.put_message(&mut bytes);
    }
    (bytes.into(), prev_at)
}

/// The change that an event record describes, sharing the record's memory.
///
/// # Errors
/// [`RecordError`] if the bytes are not an event record.
pub fn change_of(id: ChangeId, record: &Bytes) -> Result<Change, RecordError> {
    let stored = StoredEvent::decode(record)?;
    let head = stored.head()?;
    Ok(Change {
        id,
        kind: head.kind,
        key: record.slice_ref(head.key),
        event: record.slice_ref(stored.event),
        prev_at: stored.prev_at,
    })
}

/// Encodes the state of the key space: its revision, and the compacted one if there is any.
pub fn state_record(revision: Revision, compacted: Option<Revision>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(STATE_LEN);
    bytes.put_u8(STATE_VERSION);
    bytes.put_i64(revision.0);
    bytes.put_u8(compacted.is_some().into());
    bytes.put_i64(compacted.unwrap_or_default().0);
    bytes
}

/// Reads what [`state_record`] wrote.
///
/// # Errors
/// [`RecordError`] if the bytes are not such a record.
pub fn parse_state(bytes: &[u8]) -> Result<(Revision, Option<Revision>), RecordError> {
    let (&version, rest) = bytes.split_first().ok_or(RecordError::Length)?;
    if version != STATE_VERSION {
        return Err(RecordError::Version(version));
    }
    let (revision, rest) = rest.split_first_chunk::<8>().ok_or(RecordError::Length)?;
    let (&flag, rest) = rest.split_first().ok_or(RecordError::Length)?;
    let compacted = rest.try_into().map_err(|_| RecordError::Length)?;
    let (revision, compacted) = (i64::from_be_bytes(*revision), i64::from_be_bytes(compacted));
    if !(1..i64::MAX).contains(&revision) {
        return Err(RecordError::Revision(revision));
    }
    if !(0..=revision).contains(&compacted) {
        return Err(RecordError::Revision(compacted));
    }
    match flag {
        0 => Ok((Revision(revision), None)),
        1 => Ok((Revision(revision), Some(Revision(compacted)))),
        other => Err(RecordError::Kind(other)),
    }
}

/// What is known of a lease. Another version of the record may add to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseRecord {
    /// Seconds granted.
    pub ttl: i64,
    /// Seconds that were left when a leader last said so, above 0; `None` is all of them.
    pub remaining: Option<i64>,
}

impl LeaseRecord {
    /// A lease with all of its time.
    pub const fn new(ttl: i64) -> Self {
        let remaining = None;
        Self { ttl, remaining }
    }
}

/// Encodes a lease: the version byte, then little-endian numbers. Only a lease of which less than all is left
/// takes the longer version.
pub fn lease_record(lease: LeaseRecord) -> Bytes {
    let mut bytes = vec![match lease.remaining {
        None => LEASE_VERSION,
        Some(_) => LEASE_REMAINING_VERSION,
    }];
    bytes.extend_from_slice(&lease.ttl.to_le_bytes());
    if let Some(remaining) = lease.remaining {
        bytes.extend_from_slice(&remaining.to_le_bytes());
    }
    bytes.into()
}

/// Reads what [`lease_record`] wrote.
///
/// # Errors
/// [`RecordError`] if the bytes are not such a record.
pub fn parse_lease(bytes: &[u8]) -> Result<LeaseRecord, RecordError> {
    match bytes.split_first() {
        None => Err(RecordError::Length),
        Some((&LEASE_VERSION, rest)) => Ok(LeaseRecord::new(lease_number(rest)?)),
        Some((&LEASE_REMAINING_VERSION, rest)) => {
            let (ttl, remaining) = rest.split_at_checked(8).ok_or(RecordError::Length)?;
            let remaining = lease_number(remaining)?;
            if remaining <= 0 {
                return Err(RecordError::Remaining(remaining));
            }
            Ok(LeaseRecord {
                ttl: lease_number(ttl)?,
                remaining: Some(remaining),
            })
        }
        Some((&other, _)) => Err(RecordError::Version(other)),
    }
}

/// A number of a lease's record, which must be all there is.
fn lease_number(bytes: &[u8]) -> Result<i64, RecordError> {
    let bytes = bytes.try_into().map_err(|_| RecordError::Length)?;
    Ok(i64::from_le_bytes(bytes))
}

#[cfg(test)]
#[path = "records_test.rs"]
mod tests;
