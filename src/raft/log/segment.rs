//! The header of a segment file, and what is known of each segment in memory.

use super::Hard;

/// Bytes before the first record.
pub(super) const HEADER: usize = 80;
/// The format that this code writes, and the only one it reads.
pub(super) const FORMAT: u32 = 1;
const MAGIC: [u8; 8] = *b"HFRAFTLG";
const RESET: u32 = 1;

/// A point in the log: an index and the term of the entry there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Position {
    /// Log index; 0 is before the first entry.
    pub(crate) index: u64,
    /// Term of the entry at that index.
    pub(crate) term: u64,
}

/// What a segment file says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// The number of the segment; also in the file's name.
    pub(super) number: u64,
    /// The last entry before the segment's first record. Entries above it that earlier segments hold
    /// are void.
    pub(super) base: Position,
    /// Whether the log starts anew here, after a snapshot: everything in earlier segments is void.
    pub(super) reset: bool,
    /// Where the records of the segment before this one end; all of them were durable when this one
    /// was created.
    pub(super) previous_end: u64,
    /// The hard state at the time, so that older segments can be removed.
    pub(super) hard: Hard,
}

/// Why bytes are not a segment header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeaderDefect {
    /// Never written completely, or damaged, or of another segment.
    #[error("segment header is damaged")]
    Damaged,
    /// Written by another version of this program.
    #[error("log format {0} is not supported")]
    Format(u32),
}

impl Header {
    /// The bytes at the beginning of the file.
    pub(super) fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.base.index.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.base.term.to_le_bytes());
        bytes[40..44].copy_from_slice(&u32::from(self.reset).to_le_bytes());
        bytes[48..56].copy_from_slice(&self.previous_end.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.hard.term.to_le_bytes());
        bytes[64..72].copy_from_slice(&self.hard.vote.to_le_bytes());
        bytes[72..80].copy_from_slice(&self.hard.commit.to_le_bytes());
        let crc = crc32c::crc32c(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the header of the file that is named for segment `number`.
    ///
    /// # Errors
    /// [`HeaderDefect`] if the bytes are not that header.
    pub(super) fn decode(bytes: &[u8], number: u64) -> Result<Self, HeaderDefect> {
        let bytes = bytes.first_chunk::<HEADER>().ok_or(HeaderDefect::Damaged)?;
        let mut unsigned = *bytes;
        unsigned[12..16].fill(0);
        if bytes[..8] != MAGIC || crc32c::crc32c(&unsigned) != word(bytes, 12) {
            return Err(HeaderDefect::Damaged);
        }
        if word(bytes, 8) != FORMAT {
            return Err(HeaderDefect::Format(word(bytes, 8)));
        }
        let header = Self {
            number: long(bytes, 16),
            base: Position {
                index: long(bytes, 24),
                term: long(bytes, 32),
            },
            reset: word(bytes, 40) == RESET,
            previous_end: long(bytes, 48),
            hard: Hard {
                term: long(bytes, 56),
                vote: long(bytes, 64),
                commit: long(bytes, 72),
            },
        };
        if header.number == number {
            Ok(header)
        } else {
            Err(HeaderDefect::Damaged)
        }
    }
}

fn word(bytes: &[u8; HEADER], at: usize) -> u32 {
    long(bytes, at) as u32
}

/// Eight bytes at `at`, or fewer at the end of the header.
fn long(bytes: &[u8; HEADER], at: usize) -> u64 {
    bytes
        .iter()
        .skip(at)
        .take(8)
        .rev()
        .fold(0, |value, &byte| value << 8 | u64::from(byte))
}

/// A segment that is part of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// Its number.
    pub(super) number: u64,
    /// See [`Header::base`].
    pub(super) base: Position,
    /// Where the next record goes.
    pub(super) end: u64,
    /// Size of the file.
    pub(super) len: u64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Header {
        Header {
            number: 5,
            base: Position { index: 9, term: 2 },
            reset: true,
            previous_end: 4096,
            hard: Hard {
                term: 3,
                vote: 1,
                commit: 9,
            },
        }
    }

    #[test]
    fn headers_round_trip_and_belong_to_one_number() {
        let bytes = sample().encode();
        assert_eq!(Header::decode(&bytes, 5), Ok(sample()));
        assert_eq!(Header::decode(&bytes, 6), Err(HeaderDefect::Damaged));
        assert_eq!(Header::decode(&bytes[..60], 5), Err(HeaderDefect::Damaged));
    }

    #[test]
    fn another_format_is_named() {
        let mut bytes = sample().encode();
        bytes[8] = 2;
        bytes[12..16].fill(0);
        let crc = crc32c::crc32c(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Header::decode(&bytes, 5), Err(HeaderDefect::Format(2)));
    }

    proptest! {
        #[test]
        fn damage_is_noticed(at in 0_usize..HEADER, bit in 0_u8..8) {
            let mut bytes = sample().encode();
            bytes[at] ^= 1 << bit;
            prop_assert!(Header::decode(&bytes, 5).is_err());
        }

        #[test]
        fn any_bytes_decode_without_panic(bytes: Vec<u8>) {
            let _ = Header::decode(&bytes, 1);
        }
    }
}
