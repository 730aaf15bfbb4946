//! The wire format: varints, tags and lengths.

/// Why bytes are no message, in gogo's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("unexpected EOF")]
    Ended,
    #[error("proto: integer overflow")]
    Overflow,
    #[error("proto: negative length found during unmarshaling")]
    Length,
    #[error("proto: unexpected end of group")]
    Group,
    #[error("proto: {of}: illegal tag {number} (wire type {wire})")]
    Tag { of: String, number: i32, wire: u64 },
    #[error("proto: illegal wireType {0}")]
    Type(u64),
    #[error("proto: wrong wireType = {wire} for field {field}")]
    WrongType { wire: u64, field: String },
    #[error("proto: exceeded max depth")]
    Depth,
    /// A leaf that cannot be, such as a quantity with letters.
    #[error("{0}")]
    Leaf(String),
}

pub(super) const VARINT: u64 = 0;
pub(super) const FIXED64: u64 = 1;
pub(super) const BYTES: u64 = 2;
const GROUP: u64 = 3;
const END: u64 = 4;
const FIXED32: u64 = 5;

/// Reads a message from its front.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_empty(self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0u64;
        let mut shift = 0;
        loop {
            let (byte, rest) = self.rest.split_first().ok_or(WireError::Ended)?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
            if shift >= 64 {
                return Err(WireError::Overflow);
            }
        }
    }

    /// The number and wire type of the next field.
    pub(super) fn tag(&mut self, of: &str) -> Result<(u32, u64), WireError> {
        let tag = self.varint()?;
        // Go keeps the lower half.
        let number = (tag >> 3) as u32;
        match i32::try_from(number) {
            Ok(1..) => Ok((number, tag & 7)),
            _ => Err(WireError::Tag {
                of: of.to_owned(),
                number: number.cast_signed(),
                wire: tag,
            }),
        }
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let length = self.varint()?;
        let length = i64::try_from(length).map_err(|_| WireError::Length)?;
        let length = usize::try_from(length).map_err(|_| WireError::Length)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(WireError::Ended)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(super) fn fixed64(&mut self) -> Result<u64, WireError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(WireError::Ended)?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    /// Passes over a field that the type does not have.
    pub(super) fn skip(&mut self, wire: u64) -> Result<(), WireError> {
        let mut wire = wire;
        let mut groups = 0u32;
        loop {
            match wire {
                VARINT => drop(self.varint()?),
                FIXED64 => drop(self.fixed64()?),
                BYTES => drop(self.bytes()?),
                FIXED32 => {
                    let (_, rest) = self.rest.split_at_checked(4).ok_or(WireError::Ended)?;
                    self.rest = rest;
                }
                GROUP => groups += 1,
                END => groups = groups.checked_sub(1).ok_or(WireError::Group)?,
                other => return Err(WireError::Type(other)),
            }
            if groups == 0 {
                return Ok(());
            }
            wire = self.varint()? & 7;
        }
    }
}

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) fn put_tag(out: &mut Vec<u8>, number: u32, wire: u64) {
    put_varint(out, u64::from(number) << 3 | wire);
}

pub(super) fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_tag(out, number, BYTES);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(super) fn put_int(out: &mut Vec<u8>, number: u32, value: i64) {
    put_tag(out, number, VARINT);
    // Negative numbers take ten bytes.
    put_varint(out, value.cast_unsigned());
}

/// Writes a message as a field: its length is known once it is written.
pub(super) fn put_message(out: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>)) {
    put_tag(out, number, BYTES);
    let at = out.len();
    out.push(0);
    write(out);
    let length = out.len() - at - 1;
    if let (0..0x80, Some(first)) = (length, out.get_mut(at)) {
        *first = length as u8;
        return;
    }
    let mut prefix = Vec::with_capacity(5);
    put_varint(&mut prefix, length as u64);
    out.splice(at..=at, prefix);
}
