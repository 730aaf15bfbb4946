//! The envelope around objects: four bytes, then `runtime.Unknown` with kind, version and the object's message.

use super::wire::{BYTES, Reader, WireError, put_bytes, put_message};

/// What every unary body and stored object begins with.
pub const PREFIX: &[u8; 4] = b"k8s\0";

/// `runtime.Unknown`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unknown<'a> {
    pub api_version: &'a str,
    pub kind: &'a str,
    /// The message of the object.
    pub raw: &'a [u8],
    pub content_encoding: &'a str,
    pub content_type: &'a str,
}

impl<'a> Unknown<'a> {
    /// Reads what follows [`PREFIX`].
    ///
    /// # Errors
    /// The bytes are no message.
    pub fn read(bytes: &'a [u8]) -> Result<Self, WireError> {
        const NAME: &str = "Unknown";
        let mut unknown = Self::default();
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            match reader.tag(NAME)? {
                (1, BYTES) => unknown.types(reader.bytes()?)?,
                (2, BYTES) => unknown.raw = reader.bytes()?,
                (3, BYTES) => unknown.content_encoding = text(reader.bytes()?)?,
                (4, BYTES) => unknown.content_type = text(reader.bytes()?)?,
                (1..=4, wire) => return Err(wrong(wire, NAME)),
                (_, wire) => reader.skip(wire)?,
            }
        }
        Ok(unknown)
    }

    fn types(&mut self, bytes: &'a [u8]) -> Result<(), WireError> {
        const NAME: &str = "TypeMeta";
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            match reader.tag(NAME)? {
                (1, BYTES) => self.api_version = text(reader.bytes()?)?,
                (2, BYTES) => self.kind = text(reader.bytes()?)?,
                (1 | 2, wire) => return Err(wrong(wire, NAME)),
                (_, wire) => reader.skip(wire)?,
            }
        }
        Ok(())
    }
}

fn wrong(wire: u64, field: &str) -> WireError {
    WireError::WrongType {
        wire,
        field: field.into(),
    }
}

fn text(bytes: &[u8]) -> Result<&str, WireError> {
    std::str::from_utf8(bytes)
        .map_err(|_| WireError::Leaf("string field contains invalid UTF-8".into()))
}

/// Appends the prefix and the envelope; `raw` writes the object's message.
pub(super) fn write(
    api_version: &str,
    kind: &str,
    out: &mut Vec<u8>,
    raw: impl FnOnce(&mut Vec<u8>),
) {
    out.extend_from_slice(PREFIX);
    put_message(out, 1, |out| {
        put_bytes(out, 1, api_version.as_bytes());
        put_bytes(out, 2, kind.as_bytes());
    });
    put_message(out, 2, raw);
    put_bytes(out, 3, b"");
    put_bytes(out, 4, b"");
}
