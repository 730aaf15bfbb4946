//! A hash over the revisions that the store keeps, equal to etcd's for the same history.
//!
//! etcd hashes its backend in revision order: CRC-32C over the bucket's name `key`, then for each kept
//! revision its key (main and sub-revision, `t` appended for a tombstone) and the encoded `KeyValue`. Of
//! revisions at or below the compacted one it takes those that are still the newest of their key at the
//! revision asked for; if no key is alive then, those that were alive at the compacted revision. A
//! tombstone exactly at the compacted revision is left out. All of it is logical: what is physically
//! there makes no difference (I7).
//!
//! Kept revisions below the compaction are scattered over the key space, so they are hashed one by one
//! where they are found and the pieces are put together in revision order afterwards: 24 bytes of memory
//! for each key instead of its data.

use std::ops::ControlFlow;

use bytes::Bytes;

use super::error::MvccError;
use super::state::State;
use super::view::{Row, View};
use crate::base::change::ChangeKind;
use crate::base::ids::{ChangeId, Revision};
use crate::base::kv::Kv;
use crate::base::range::KeyRange;
use crate::storage::keys::{event_key, parse_event_key};
use crate::storage::records::{EventHead, RecordError, StoredEvent};
use crate::storage::{Family, Store};

/// What the hash begins with: the name of etcd's bucket.
const BUCKET: &[u8] = b"key";
const TOMBSTONE_MARK: u8 = b't';

/// The hash of everything kept up to revision `revision`; 0 is the current one. Comparable between
/// members, and with etcd, at the same revision and the same compacted revision.
///
/// # Errors
/// [`MvccError::Compacted`], [`MvccError::FutureRevision`], or a fatal one.
pub fn hash_kv(store: &Store, state: State, revision: i64) -> Result<u32, MvccError> {
    let asked = (revision != 0).then_some(Revision(revision));
    let upto = state.check(asked)?.unwrap_or(state.revision);
    let mut crc = crc32c::crc32c(BUCKET);
    let compacted = state.compacted.unwrap_or_default();
    if compacted > Revision::ZERO {
        let shift = Shift::new();
        for piece in kept_below(store, compacted, upto)? {
            crc = shift.join(crc, piece.crc, piece.len);
        }
    }
    hash_events(store, compacted, upto, crc)
}

/// The hash of one kept revision, to be joined with those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Piece {
    id: ChangeId,
    crc: u32,
    len: u32,
}

/// What is kept of revisions up to `compacted`, in order.
fn kept_below(store: &Store, compacted: Revision, upto: Revision) -> Result<Vec<Piece>, MvccError> {
    let mut alive = false;
    let mut pieces = Vec::new();
    let mut collect = |at: Revision| {
        View::of(store).scan(&KeyRange::all(), at, |row| {
            alive = true;
            if row.id.revision <= compacted {
                pieces.push(piece(row)?);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok::<_, MvccError>(alive)
    };
    if !collect(upto)? {
        collect(compacted)?;
    }
    pieces.sort_unstable();
    Ok(pieces)
}

fn piece(row: Row<'_>) -> Result<Piece, MvccError> {
    let id = row.id;
    let kv = row.into_kv();
    let mut message = Vec::with_capacity(17 + kv.message_len());
    message.extend_from_slice(&revision_key(id));
    kv.put_message(&mut message);
    let len = u32::try_from(message.len()).map_err(|_| RecordError::Length)?;
    Ok(Piece {
        id,
        crc: crc32c::crc32c(&message),
        len,
    })
}

/// Continues `crc` over every event above `after` up to `upto`.
fn hash_events(
    store: &Store,
    after: Revision,
    upto: Revision,
    mut crc: u32,
) -> Result<u32, MvccError> {
    let first = event_key(ChangeId::new(after.next(), 0));
    let end = event_key(ChangeId::new(upto.next(), 0));
    let mut rows = store.scan(Family::Event, &first, Some(&end));
    View::of(store).check_floor(after.next())?;
    while let Some((key, record)) = rows.row()? {
        let id = parse_event_key(key).ok_or(RecordError::Key)?;
        crc = hash_event(crc, id, &StoredEvent::decode(record)?.head()?);
        rows.advance();
    }
    Ok(crc)
}

fn hash_event(crc: u32, id: ChangeId, event: &EventHead<'_>) -> u32 {
    let crc = crc32c::crc32c_append(crc, &revision_key(id));
    match event.kind {
        ChangeKind::Put => crc32c::crc32c_append(crc, event.kv),
        ChangeKind::Delete => {
            // etcd stores a tombstone as a key-value with nothing but the key.
            let key = Bytes::copy_from_slice(event.key);
            let mut message = vec![TOMBSTONE_MARK];
            Kv {
                key,
                body: Bytes::new(),
            }
            .put_message(&mut message);
            crc32c::crc32c_append(crc, &message)
        }
    }
}

/// A revision as etcd writes it in a key: main, `_`, sub, both eight bytes big endian.
fn revision_key(id: ChangeId) -> [u8; 17] {
    let mut key = [b'_'; 17];
    let (main, rest) = key.split_at_mut(8);
    main.copy_from_slice(&id.revision.0.to_be_bytes());
    let (_, sub) = rest.split_at_mut(1);
    sub.copy_from_slice(&u64::from(id.sub).to_be_bytes());
    key
}

/// Joins checksums of consecutive pieces without their data.
///
/// A CRC is linear: the checksum of `a` followed by `b` is that of `a` carried over `b.len()` zero bytes,
/// plus that of `b`. Carrying over 2^n zero bytes is a 32 by 32 matrix over bits; they are made once.
struct Shift {
    powers: [[u32; 32]; 32],
}

impl Shift {
    fn new() -> Self {
        // One zero bit: shift right, and subtract the polynomial if a bit fell out.
        const POLYNOMIAL: u32 = 0x82f6_3b78;
        let mut power = [0; 32];
        for (index, row) in power.iter_mut().enumerate() {
            *row = if index == 0 {
                POLYNOMIAL
            } else {
                1 << (index - 1)
            };
        }
        for _ in 0..3 {
            power = square(&power);
        }
        let mut powers = [[0; 32]; 32];
        for slot in &mut powers {
            *slot = power;
            power = square(&power);
        }
        Self { powers }
    }

    /// The checksum of something with checksum `first` followed by `len` bytes with checksum `second`.
    fn join(&self, first: u32, second: u32, len: u32) -> u32 {
        let powers = self.powers.iter().enumerate();
        let used = powers.filter(|(bit, _)| len >> bit & 1 == 1);
        used.fold(first, |crc, (_, power)| times(power, crc)) ^ second
    }
}

/// Matrix times vector over bits; `matrix` holds the image of each single bit.
fn times(matrix: &[u32; 32], vector: u32) -> u32 {
    let images = matrix.iter().enumerate();
    let set = images.filter(|(bit, _)| vector >> bit & 1 == 1);
    set.fold(0, |sum, (_, image)| sum ^ image)
}

fn square(matrix: &[u32; 32]) -> [u32; 32] {
    matrix.map(|image| times(matrix, image))
}
