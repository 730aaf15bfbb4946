//! The one place that names bincode: records with a leading version byte and a size limit.
//!
//! The encoding is bincode 1.3 with fixed-width integers and trailing bytes rejected. It does not
//! describe itself and enum variants are numbered in order of declaration, so variants are only ever
//! appended and a changed struct takes a new version byte (`docs/decisions/0002-codecs.md`).

use bincode::Options;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Nothing larger is decoded, wherever it comes from: it bounds what a corrupt length can allocate.
pub const MAX_RECORD_BYTES: u64 = 64 << 20;

/// Why bytes are not a record.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// There is not even a version byte.
    #[error("record is empty")]
    Empty,
    /// The record was written by a version of the format that this program does not know.
    #[error("record has format version {found}, this program reads {expected}")]
    Version {
        /// The version byte found.
        found: u8,
        /// The version byte this program writes.
        expected: u8,
    },
    /// The bytes after the version byte do not decode.
    #[error("record does not decode: {0}")]
    Malformed(#[from] bincode::Error),
}

fn options() -> impl Options {
    bincode::DefaultOptions::new()
        .with_fixint_encoding()
        .with_limit(MAX_RECORD_BYTES)
}

/// Encodes `value` behind the version byte.
///
/// # Errors
/// [`CodecError::Malformed`] if the record would be larger than [`MAX_RECORD_BYTES`].
pub fn encode<T: Serialize>(version: u8, value: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = vec![version];
    options().serialize_into(&mut bytes, value)?;
    Ok(bytes)
}

/// Decodes a record that [`encode`] made with the same version.
///
/// # Errors
/// [`CodecError`], for any bytes that are not such a record, trailing bytes included.
pub fn decode<T: DeserializeOwned>(version: u8, bytes: &[u8]) -> Result<T, CodecError> {
    let (&found, rest) = bytes.split_first().ok_or(CodecError::Empty)?;
    if found != version {
        return Err(CodecError::Version {
            found,
            expected: version,
        });
    }
    Ok(options().deserialize(rest)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        let bytes = encode(1, &(7_u16, Some("ab"))).unwrap();
        assert_eq!(bytes, [1, 7, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, b'a', b'b']);
    }

    #[test]
    fn foreign_bytes_are_refused_by_kind() {
        assert!(matches!(decode::<u8>(1, &[]), Err(CodecError::Empty)));
        assert!(matches!(
            decode::<u8>(1, &[2, 0]),
            Err(CodecError::Version {
                found: 2,
                expected: 1
            })
        ));
        assert!(matches!(
            decode::<u8>(1, &[1, 0, 0]),
            Err(CodecError::Malformed(_))
        ));
        // A length that promises more than the limit allocates nothing.
        let huge = [1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        assert!(matches!(
            decode::<Vec<u8>>(1, &huge),
            Err(CodecError::Malformed(_))
        ));
    }
}
