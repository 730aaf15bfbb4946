//! Key-values as they are stored and sent: bytes as stored are bytes as sent.

use bytes::{BufMut, Bytes};
use serde::{Deserialize, Serialize};

use super::ids::{LeaseId, Revision};
use super::wire::{self, Field, FieldReader, WireError};

/// A key and the encoded rest of its `mvccpb.KeyValue`.
///
/// `body` is the protobuf encoding of fields 2 to 6 (create_revision, mod_revision, version, value,
/// lease) in field order with proto3's omission of zeros. A complete `KeyValue` message is the key
/// field followed by `body`, so answering a read copies bytes and decodes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Kv {
    /// The user's key; never empty for a stored pair.
    pub key: Bytes,
    /// Encoded fields 2 to 6.
    pub body: Bytes,
}

/// The numbers of a key-value: everything but key and value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KvMeta {
    /// Main revision of the put that began this generation of the key.
    pub create_revision: Revision,
    /// Main revision of the last put.
    pub mod_revision: Revision,
    /// Number of puts in this generation; 1 on creation.
    pub version: i64,
    /// The attached lease.
    pub lease: LeaseId,
}

/// A decoded body: numbers and value, the latter still in the body's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KvView<'a> {
    /// The numbers.
    pub meta: KvMeta,
    /// The value.
    pub value: &'a [u8],
}

impl Kv {
    /// Encodes a key-value from its parts.
    pub fn encode(key: Bytes, meta: KvMeta, value: &[u8]) -> Self {
        let mut body = Vec::with_capacity(body_len(&meta, value.len()));
        encode_body(&mut body, &meta, value);
        Self {
            key,
            body: body.into(),
        }
    }

    /// Reads the numbers and the value.
    ///
    /// # Errors
    /// [`WireError`] if the body is not one that [`Kv::encode`] made.
    pub fn view(&self) -> Result<KvView<'_>, WireError> {
        decode_body(&self.body)
    }

    /// This pair with an empty value, as `keys_only` reads give it.
    ///
    /// # Errors
    /// [`WireError`] if the body does not decode.
    pub fn without_value(&self) -> Result<Self, WireError> {
        Ok(Self::encode(self.key.clone(), self.view()?.meta, &[]))
    }

    /// Length of the complete `KeyValue` message.
    pub fn message_len(&self) -> usize {
        let key = if self.key.is_empty() {
            0
        } else {
            wire::len_field_len(1, self.key.len())
        };
        key + self.body.len()
    }

    /// Appends the complete `KeyValue` message.
    pub fn put_message(&self, buf: &mut impl BufMut) {
        if !self.key.is_empty() {
            wire::put_len_header(buf, 1, self.key.len());
            buf.put_slice(&self.key);
        }
        buf.put_slice(&self.body);
    }
}

/// Length of an encoded body.
pub const fn body_len(meta: &KvMeta, value_len: usize) -> usize {
    let value = if value_len == 0 {
        0
    } else {
        wire::len_field_len(5, value_len)
    };
    wire::varint_field_len(2, meta.create_revision.0 as u64)
        + wire::varint_field_len(3, meta.mod_revision.0 as u64)
        + wire::varint_field_len(4, meta.version as u64)
        + value
        + wire::varint_field_len(6, meta.lease.0 as u64)
}

/// Appends fields 2 to 6 of a `KeyValue`.
pub fn encode_body(buf: &mut impl BufMut, meta: &KvMeta, value: &[u8]) {
    wire::put_varint_field(buf, 2, meta.create_revision.0 as u64);
    wire::put_varint_field(buf, 3, meta.mod_revision.0 as u64);
    wire::put_varint_field(buf, 4, meta.version as u64);
    if !value.is_empty() {
        wire::put_len_header(buf, 5, value.len());
        buf.put_slice(value);
    }
    wire::put_varint_field(buf, 6, meta.lease.0 as u64);
}

/// Reads a body back; unknown fields are skipped.
///
/// # Errors
/// [`WireError`] if the bytes are not protobuf fields.
pub fn decode_body(body: &[u8]) -> Result<KvView<'_>, WireError> {
    let mut view = KvView::default();
    let mut reader = FieldReader::new(body);
    while let Some(field) = reader.next_field()? {
        match field {
            Field::Varint(2, n) => view.meta.create_revision = Revision(n as i64),
            Field::Varint(3, n) => view.meta.mod_revision = Revision(n as i64),
            Field::Varint(4, n) => view.meta.version = n as i64,
            Field::Bytes(5, value) => view.value = value,
            Field::Varint(6, n) => view.meta.lease = LeaseId(n as i64),
            Field::Varint(..) | Field::Bytes(..) => {}
        }
    }
    Ok(view)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn golden_bytes_of_a_body() {
        let meta = KvMeta {
            create_revision: Revision(2),
            mod_revision: Revision(300),
            version: 3,
            lease: LeaseId(-1),
        };
        let kv = Kv::encode(Bytes::from_static(b"k"), meta, b"v");
        let mut message = Vec::new();
        kv.put_message(&mut message);
        assert_eq!(message.len(), kv.message_len());
        assert_eq!(
            message,
            [
                0x0a, 1, b'k', 0x10, 2, 0x18, 0xac, 0x02, 0x20, 3, 0x2a, 1, b'v', 0x30, 0xff, 0xff,
                0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01
            ]
        );
    }

    proptest! {
        #[test]
        fn bodies_round_trip(create: i64, modified: i64, version: i64, lease: i64, value: Vec<u8>) {
            let meta = KvMeta {
                create_revision: Revision(create),
                mod_revision: Revision(modified),
                version,
                lease: LeaseId(lease),
            };
            let kv = Kv::encode(Bytes::from_static(b"k"), meta, &value);
            prop_assert_eq!(kv.body.len(), body_len(&meta, value.len()));
            prop_assert_eq!(kv.view(), Ok(KvView { meta, value: &value }));
        }
    }
}
