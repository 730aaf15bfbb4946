//! Messages that are written by hand because their bytes already exist when they are sent.
//!
//! A stored key-value is half of its own message ([`Kv`]) and a watch response arrives encoded from the
//! ring ([`Frame`]): the server copies both into the answer and decodes neither. The same types decode
//! what a client receives, so the tests share them with the server.

use std::hash::{Hash, Hasher};

use bytes::{Buf, BufMut, Bytes};
use prost::encoding::{DecodeContext, WireType};
use prost::{DecodeError, Message};

use super::pb::etcdserverpb::ResponseHeader;
use super::pb::mvccpb::Event;
use crate::base::ids::{LeaseId, Revision};
use crate::base::kv::{Kv, KvMeta, KvView};
use crate::watch::Frame;

/// `mvccpb.KeyValue`: a stored pair on the server, decoded fields at a client.
#[derive(Debug, Clone)]
pub struct KeyValue(Repr);

#[derive(Debug, Clone)]
enum Repr {
    Stored(Kv),
    /// Boxed so that a list of stored pairs becomes a list of messages in place.
    Decoded(Box<Fields>),
}

/// `mvccpb.KeyValue` field by field.
#[derive(Clone, PartialEq, Message)]
struct Fields {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(int64, tag = "2")]
    create_revision: i64,
    #[prost(int64, tag = "3")]
    mod_revision: i64,
    #[prost(int64, tag = "4")]
    version: i64,
    #[prost(bytes = "bytes", tag = "5")]
    value: Bytes,
    #[prost(int64, tag = "6")]
    lease: i64,
}

impl KeyValue {
    /// The key.
    pub fn key(&self) -> &Bytes {
        match &self.0 {
            Repr::Stored(kv) => &kv.key,
            Repr::Decoded(fields) => &fields.key,
        }
    }

    /// Main revision of the put that began this generation of the key.
    pub fn create_revision(&self) -> i64 {
        self.view().meta.create_revision.0
    }

    /// Main revision of the last change.
    pub fn mod_revision(&self) -> i64 {
        self.view().meta.mod_revision.0
    }

    /// Number of puts in this generation; 0 only for a deletion.
    pub fn version(&self) -> i64 {
        self.view().meta.version
    }

    /// The attached lease; 0 if there is none.
    pub fn lease(&self) -> i64 {
        self.view().meta.lease.0
    }

    /// The value.
    pub fn value(&self) -> &[u8] {
        self.view().value
    }

    /// Numbers and value at once: cheaper than one by one for a stored pair, which is decoded each time.
    /// A stored body that does not decode reads as zeros; sending it does not look into it.
    pub fn view(&self) -> KvView<'_> {
        match &self.0 {
            Repr::Stored(kv) => kv.view().unwrap_or_default(),
            Repr::Decoded(fields) => KvView {
                meta: KvMeta {
                    create_revision: Revision(fields.create_revision),
                    mod_revision: Revision(fields.mod_revision),
                    version: fields.version,
                    lease: LeaseId(fields.lease),
                },
                value: &fields.value,
            },
        }
    }

    fn into_fields(self) -> Box<Fields> {
        match self.0 {
            Repr::Decoded(fields) => fields,
            Repr::Stored(kv) => {
                let view = kv.view().unwrap_or_default();
                Box::new(Fields {
                    create_revision: view.meta.create_revision.0,
                    mod_revision: view.meta.mod_revision.0,
                    version: view.meta.version,
                    value: kv.body.slice_ref(view.value),
                    lease: view.meta.lease.0,
                    key: kv.key,
                })
            }
        }
    }
}

impl Default for KeyValue {
    fn default() -> Self {
        Self(Repr::Stored(Kv::default()))
    }
}

impl From<Kv> for KeyValue {
    fn from(kv: Kv) -> Self {
        Self(Repr::Stored(kv))
    }
}

impl PartialEq for KeyValue {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key() && self.view() == other.view()
    }
}

impl Eq for KeyValue {}

impl Hash for KeyValue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
        self.mod_revision().hash(state);
    }
}

impl Message for KeyValue {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        match &self.0 {
            Repr::Stored(kv) => kv.put_message(buf),
            Repr::Decoded(fields) => fields.encode_raw(buf),
        }
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        let mut fields = std::mem::take(self).into_fields();
        fields.merge_field(tag, wire_type, buf, ctx)?;
        self.0 = Repr::Decoded(fields);
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        match &self.0 {
            Repr::Stored(kv) => kv.message_len(),
            Repr::Decoded(fields) => fields.encoded_len(),
        }
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

/// `etcdserverpb.WatchResponse`: an encoded frame on the server, decoded fields at a client.
///
/// It is sent as the frame followed by the fields. Concatenated messages merge into one (protobuf
/// encoding specification), and one of the two is always empty.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WatchResponse {
    frame: Frame,
    /// What was decoded; empty on the server.
    pub fields: WatchFields,
}

/// `etcdserverpb.WatchResponse` field by field.
#[derive(Clone, PartialEq, Message)]
pub struct WatchFields {
    /// Who answered, at which revision.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// The watcher; -1 for progress of the whole stream and for creations that failed.
    #[prost(int64, tag = "2")]
    pub watch_id: i64,
    /// Answers a creation.
    #[prost(bool, tag = "3")]
    pub created: bool,
    /// The watcher is gone.
    #[prost(bool, tag = "4")]
    pub canceled: bool,
    /// Set with `canceled` when the start revision is compacted.
    #[prost(int64, tag = "5")]
    pub compact_revision: i64,
    /// Why it was cancelled.
    #[prost(string, tag = "6")]
    pub cancel_reason: String,
    /// More parts of the same response follow.
    #[prost(bool, tag = "7")]
    pub fragment: bool,
    /// Events in the order of their revisions.
    #[prost(message, repeated, tag = "11")]
    pub events: Vec<Event>,
}

impl From<Frame> for WatchResponse {
    fn from(frame: Frame) -> Self {
        Self {
            frame,
            fields: WatchFields::default(),
        }
    }
}

impl Message for WatchResponse {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.frame.head);
        buf.put_slice(&self.frame.body);
        self.fields.encode_raw(buf);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        self.fields.merge_field(tag, wire_type, buf, ctx)
    }

    fn encoded_len(&self) -> usize {
        self.frame.head.len() + self.frame.body.len() + self.fields.encoded_len()
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
#[path = "wire_test.rs"]
mod tests;
