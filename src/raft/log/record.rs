//! The bytes of one log record: a fixed header, then the payload, padded to eight bytes.
//!
//! The checksum covers the record's place (segment number and offset) besides its content. A record
//! that an earlier life of a recycled segment left behind, or one copied inside a payload, therefore
//! never passes for a record of this log. `docs/format-raft-log.md` has the byte table.

use super::Hard;

/// Bytes before the payload.
pub(super) const HEADER: usize = 32;
/// Every record begins at a multiple of this, which lets recovery look for records after a bad one.
pub(super) const ALIGN: usize = 8;
/// The largest payload that is written or believed. Far above what the API admits.
pub(crate) const MAX_PAYLOAD: usize = 64 << 20;

const HARD_STATE_PAYLOAD: usize = 8;

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A log entry of commands.
    Normal,
    /// A log entry with a membership change in raft's first encoding.
    ConfChange,
    /// A log entry with a membership change in raft's second encoding.
    ConfChangeV2,
    /// Term, vote and commit index.
    HardState,
}

impl Kind {
    const fn code(self) -> u8 {
        match self {
            Self::Normal => 1,
            Self::ConfChange => 2,
            Self::ConfChangeV2 => 3,
            Self::HardState => 4,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Normal),
            2 => Some(Self::ConfChange),
            3 => Some(Self::ConfChangeV2),
            4 => Some(Self::HardState),
            _ => None,
        }
    }
}

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The number of its segment.
    pub(super) segment: u64,
    /// Its offset in the segment.
    pub(super) offset: u64,
}

/// A record without its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// What the payload is.
    pub(super) kind: Kind,
    /// Offset in this segment below which everything was durable when the record was written. Tells a
    /// torn tail from damage: a bad record below the `synced` of a later one was durable once.
    pub(super) synced: u32,
    /// Term of the entry, or the current term.
    pub(super) term: u64,
    /// Index of the entry, or the commit index.
    pub(super) index: u64,
    /// Data of the entry, or the vote.
    pub(super) payload: &'a [u8],
}

/// Why bytes are not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Defect {
    /// The header is all zeros: nothing was written here.
    #[error("no record")]
    Blank,
    /// The record would reach past the end of the bytes.
    #[error("record is cut off")]
    Truncated,
    /// The length is beyond what is ever written.
    #[error("record claims {0} bytes")]
    Length(u32),
    /// The checksum does not match.
    #[error("checksum mismatch")]
    Checksum,
    /// The checksum matches, but the content is unknown: a later format, or a fault of the writer.
    #[error("unknown record kind {0}")]
    Kind(u8),
    /// A hard state whose payload is not a vote.
    #[error("malformed hard state")]
    HardState,
}

/// Bytes that a record with a payload of `len` takes.
pub(super) const fn record_len(len: usize) -> usize {
    (HEADER + len).next_multiple_of(ALIGN)
}

/// Appends a record that will lie at `place`.
pub(super) fn encode(out: &mut Vec<u8>, place: Place, record: &Record<'_>) {
    let begin = out.len();
    let mut rest = [0_u8; HEADER - 8];
    rest[0] = record.kind.code();
    rest[4..8].copy_from_slice(&record.synced.to_le_bytes());
    rest[8..16].copy_from_slice(&record.term.to_le_bytes());
    rest[16..24].copy_from_slice(&record.index.to_le_bytes());
    let len = record.payload.len() as u32;
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&checksum(place, len, &rest, record.payload).to_le_bytes());
    out.extend_from_slice(&rest);
    out.extend_from_slice(record.payload);
    out.resize(begin + record_len(record.payload.len()), 0);
}

/// Reads the record at the beginning of `bytes`, which lie at `place`. Also gives its whole length.
///
/// # Errors
/// [`Defect`] if there is no such record.
pub(super) fn decode(bytes: &[u8], place: Place) -> Result<(Record<'_>, usize), Defect> {
    let (header, body) = bytes
        .split_first_chunk::<HEADER>()
        .ok_or(Defect::Truncated)?;
    let [l0, l1, l2, l3, c0, c1, c2, c3, rest @ ..] = *header;
    let len = u32::from_le_bytes([l0, l1, l2, l3]);
    if len == 0 && header.iter().all(|&byte| byte == 0) {
        return Err(Defect::Blank);
    }
    if len as usize > MAX_PAYLOAD {
        return Err(Defect::Length(len));
    }
    let payload = body.get(..len as usize).ok_or(Defect::Truncated)?;
    if u32::from_le_bytes([c0, c1, c2, c3]) != checksum(place, len, &rest, payload) {
        return Err(Defect::Checksum);
    }
    let [code, _, _, _, s0, s1, s2, s3, numbers @ ..] = rest;
    let (term, index) = split_numbers(numbers);
    let record = Record {
        kind: Kind::from_code(code).ok_or(Defect::Kind(code))?,
        synced: u32::from_le_bytes([s0, s1, s2, s3]),
        term,
        index,
        payload,
    };
    Ok((record, record_len(payload.len())))
}

/// Whether these bytes, which lie at `offset`, can be a record that proves that the place `bad` before it
/// once was durable. Looks at the header alone.
pub(super) fn may_prove(bytes: &[u8], bad: usize, offset: usize) -> bool {
    let Some((header, _)) = bytes.split_first_chunk::<HEADER>() else {
        return false;
    };
    let [_, _, _, _, _, _, _, _, rest @ ..] = *header;
    let [code, 0, 0, 0, s0, s1, s2, s3, ..] = rest else {
        return false;
    };
    let synced = u32::from_le_bytes([s0, s1, s2, s3]) as usize;
    Kind::from_code(code).is_some() && synced > bad && synced <= offset
}

fn split_numbers(bytes: [u8; 16]) -> (u64, u64) {
    let both = u128::from_le_bytes(bytes);
    (both as u64, (both >> 64) as u64)
}

fn checksum(place: Place, len: u32, rest: &[u8; HEADER - 8], payload: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&place.segment.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &place.offset.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &len.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, rest);
    crc32c::crc32c_append(crc, payload)
}

/// Appends a hard state as a record at `place`.
pub(super) fn encode_hard(out: &mut Vec<u8>, place: Place, hard: Hard, synced: u32) {
    let payload = hard.vote.to_le_bytes();
    let record = Record {
        kind: Kind::HardState,
        synced,
        term: hard.term,
        index: hard.commit,
        payload: &payload,
    };
    encode(out, place, &record);
}

/// Bytes that a hard state record takes.
pub(super) const fn hard_len() -> usize {
    record_len(HARD_STATE_PAYLOAD)
}

impl Record<'_> {
    /// The hard state in this record.
    ///
    /// # Errors
    /// [`Defect::HardState`] if the payload is not a vote.
    pub(super) fn hard(&self) -> Result<Hard, Defect> {
        let vote =
            <[u8; HARD_STATE_PAYLOAD]>::try_from(self.payload).map_err(|_| Defect::HardState)?;
        Ok(Hard {
            term: self.term,
            vote: u64::from_le_bytes(vote),
            commit: self.index,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACE: Place = Place {
        segment: 7,
        offset: 64,
    };

    fn sample(payload: &[u8]) -> Record<'_> {
        Record {
            kind: Kind::Normal,
            synced: 64,
            term: 3,
            index: 9,
            payload,
        }
    }

    #[test]
    fn the_bytes_of_a_record_are_fixed() {
        let mut bytes = Vec::new();
        encode(&mut bytes, PLACE, &sample(b"abc"));
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let crc = &hex[8..16];
        assert_eq!(
            hex,
            format!(
                "03000000{crc}0100000040000000030000000000000009000000000000006162630000000000"
            )
        );
        assert_eq!(crc, "04a64ed3");
    }

    #[test]
    fn a_record_is_valid_only_in_its_place() {
        let mut bytes = Vec::new();
        encode(&mut bytes, PLACE, &sample(b"abc"));
        assert_eq!(decode(&bytes, PLACE), Ok((sample(b"abc"), 40)));
        for (segment, offset) in [(8, 64), (7, 72)] {
            let elsewhere = Place { segment, offset };
            assert_eq!(decode(&bytes, elsewhere), Err(Defect::Checksum));
        }
    }

    #[test]
    fn only_a_header_that_claims_so_may_prove_that_a_place_was_durable() {
        let mut bytes = Vec::new();
        encode(&mut bytes, PLACE, &sample(b"abc"));
        assert!(may_prove(&bytes, 63, 64));
        assert!(!may_prove(&bytes, 64, 64), "not durable then");
        assert!(!may_prove(&bytes, 56, 60), "durable before it was written");
        assert!(!may_prove(&bytes[..HEADER - 1], 63, 64));
        for at in 9..12 {
            let mut other = bytes.clone();
            other[at] = 1;
            assert!(!may_prove(&other, 63, 64));
        }
        // Numbers of a few millions, as lengths would be, one after the other.
        let numbers = 0x0030_0000_u32.to_le_bytes().repeat(64);
        assert!((0..200).all(|at| !may_prove(&numbers[at..], 8, 64)));
    }

    #[test]
    fn blank_space_is_told_from_damage() {
        assert_eq!(decode(&[0; 64], PLACE), Err(Defect::Blank));
        assert_eq!(decode(&[0; 8], PLACE), Err(Defect::Truncated));
        assert_eq!(decode(&[0xff; 64], PLACE), Err(Defect::Length(u32::MAX)));
    }

    proptest! {
        #[test]
        fn records_round_trip(term: u64, index: u64, synced: u32, payload: Vec<u8>) {
            let record = Record { kind: Kind::ConfChangeV2, synced, term, index, payload: &payload };
            let mut bytes = Vec::new();
            encode(&mut bytes, PLACE, &record);
            prop_assert_eq!(decode(&bytes, PLACE), Ok((record, bytes.len())));
            prop_assert_eq!(bytes.len() % ALIGN, 0);
        }

        #[test]
        fn a_flipped_bit_is_noticed(at in 0_usize..(HEADER + 11), bit in 0_u8..8) {
            let mut bytes = Vec::new();
            encode(&mut bytes, PLACE, &sample(b"hello world"));
            bytes[at] ^= 1 << bit;
            prop_assert!(decode(&bytes, PLACE).is_err());
        }

        #[test]
        fn any_bytes_decode_without_panic(bytes: Vec<u8>) {
            if let Ok((record, _)) = decode(&bytes, PLACE) {
                let _ = record.hard();
            }
        }
    }
}
