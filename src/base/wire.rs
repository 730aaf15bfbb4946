//! The few protobuf primitives that the engine needs to splice messages without decoding them:
//! varints, field tags and length-delimited fields (protobuf encoding specification).

use bytes::BufMut;

/// Wire type of varint fields.
pub const VARINT: u32 = 0;
/// Wire type of length-delimited fields.
pub const LEN: u32 = 2;

/// Why bytes are not the protobuf message they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end inside a field.
    #[error("message is truncated")]
    Truncated,
    /// A varint is longer than ten bytes.
    #[error("varint is longer than ten bytes")]
    Overlong,
    /// A field has a wire type that this message never uses.
    #[error("unexpected wire type {0}")]
    WireType(u32),
}

/// The number of bytes of `value` as a varint.
pub const fn varint_len(value: u64) -> usize {
    // Each byte carries seven bits; zero still takes one byte.
    (((value | 1).ilog2() * 9 + 73) / 64) as usize
}

/// Appends `value` as a varint.
pub fn put_varint(buf: &mut impl BufMut, mut value: u64) {
    while value >= 0x80 {
        buf.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    buf.put_u8(value as u8);
}

/// Appends a varint field, or nothing for zero as proto3 does.
pub fn put_varint_field(buf: &mut impl BufMut, field: u32, value: u64) {
    if value != 0 {
        put_varint(buf, u64::from(field << 3 | VARINT));
        put_varint(buf, value);
    }
}

/// The number of bytes that [`put_varint_field`] appends.
pub const fn varint_field_len(field: u32, value: u64) -> usize {
    if value == 0 {
        0
    } else {
        varint_len((field << 3) as u64) + varint_len(value)
    }
}

/// Appends the tag and the length of a length-delimited field whose content the caller appends next.
pub fn put_len_header(buf: &mut impl BufMut, field: u32, len: usize) {
    put_varint(buf, u64::from(field << 3 | LEN));
    put_varint(buf, len as u64);
}

/// The number of bytes of a length-delimited field with its header.
pub const fn len_field_len(field: u32, len: usize) -> usize {
    varint_len((field << 3) as u64) + varint_len(len as u64) + len
}

/// Reads protobuf fields from a slice, front to back.
#[derive(Debug, Clone)]
pub struct FieldReader<'a> {
    rest: &'a [u8],
}

/// One field: its number and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field<'a> {
    /// A varint field.
    Varint(u32, u64),
    /// A length-delimited field.
    Bytes(u32, &'a [u8]),
}

impl<'a> FieldReader<'a> {
    /// A reader at the start of `message`.
    pub const fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// What has not been read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next field, or `None` at the end.
    ///
    /// # Errors
    /// [`WireError`] when the bytes are not a message of varint and length-delimited fields.
    pub fn next_field(&mut self) -> Result<Option<Field<'a>>, WireError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| WireError::Overlong)?;
        match (tag & 7) as u32 {
            VARINT => Ok(Some(Field::Varint(number, self.varint()?))),
            LEN => {
                let len = usize::try_from(self.varint()?).map_err(|_| WireError::Truncated)?;
                let (value, rest) = self
                    .rest
                    .split_at_checked(len)
                    .ok_or(WireError::Truncated)?;
                self.rest = rest;
                Ok(Some(Field::Bytes(number, value)))
            }
            other => Err(WireError::WireType(other)),
        }
    }

    /// The next varint.
    ///
    /// # Errors
    /// [`WireError`] when the bytes end first or the varint is overlong.
    pub fn varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0_u64;
        for (index, &byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.rest = self.rest.get(index + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        if self.rest.len() >= 10 {
            Err(WireError::Overlong)
        } else {
            Err(WireError::Truncated)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn varints_round_trip(value: u64) {
            let mut buf = Vec::new();
            put_varint(&mut buf, value);
            prop_assert_eq!(buf.len(), varint_len(value));
            prop_assert_eq!(FieldReader::new(&buf).varint(), Ok(value));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let mut reader = FieldReader::new(&bytes);
            while let Ok(Some(_)) = reader.next_field() {}
        }
    }

    #[test]
    fn truncation_is_told_from_excess() {
        assert_eq!(
            FieldReader::new(&[0x80]).varint(),
            Err(WireError::Truncated)
        );
        assert_eq!(
            FieldReader::new(&[0x80; 11]).varint(),
            Err(WireError::Overlong)
        );
        assert_eq!(
            FieldReader::new(&[0x0a, 5, 1]).next_field(),
            Err(WireError::Truncated)
        );
    }
}
