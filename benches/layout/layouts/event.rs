//! Encoding and splicing of `mvccpb.Event` and `mvccpb.KeyValue`.

use holdfast::base::{
    kv::{KvView, decode_body},
    wire::{Field, FieldReader, len_field_len, put_len_header, put_varint_field},
};

use super::Result;

/// Field of `kvs` in RangeResponse.
const KVS: u32 = 2;
/// Field of `events` in WatchResponse.
const EVENTS: u32 = 11;

/// The parts of an encoded event.
#[derive(Debug, Clone, Copy)]
pub(super) struct EventView<'a> {
    pub(super) key: &'a [u8],
    /// Body of the new key-value.
    pub(super) body: &'a [u8],
    /// Body of the previous key-value, if the event has it.
    pub(super) previous: Option<&'a [u8]>,
    /// Length of the event without the previous key-value.
    pub(super) cut: usize,
}

/// Appends an event: type, key-value, and previous key-value last.
pub(super) fn put_event(
    into: &mut Vec<u8>,
    delete: bool,
    key: &[u8],
    body: &[u8],
    previous: Option<&[u8]>,
) {
    put_varint_field(into, 1, u64::from(delete));
    put_kv(into, 2, key, body);
    if let Some(previous) = previous {
        put_kv(into, 3, key, previous);
    }
}

/// Appends a key-value to a list's answer.
pub(super) fn put_listed(into: &mut Vec<u8>, key: &[u8], body: &[u8]) {
    put_kv(into, KVS, key, body);
}

/// Appends an encoded event to a watcher's answer.
pub(super) fn put_watched(into: &mut Vec<u8>, event: &[u8]) {
    put_len_header(into, EVENTS, event.len());
    into.extend_from_slice(event);
}

/// Appends an event whose previous key-value is stored elsewhere to a watcher's answer.
pub(super) fn put_watched_with(into: &mut Vec<u8>, event: &[u8], key: &[u8], previous: &[u8]) {
    let message = len_field_len(1, key.len()) + previous.len();
    put_len_header(into, EVENTS, event.len() + len_field_len(3, message));
    into.extend_from_slice(event);
    put_kv(into, 3, key, previous);
}

fn put_kv(into: &mut Vec<u8>, field: u32, key: &[u8], body: &[u8]) {
    put_len_header(into, field, len_field_len(1, key.len()) + body.len());
    put_len_header(into, 1, key.len());
    into.extend_from_slice(key);
    into.extend_from_slice(body);
}

/// Takes an event apart without copying.
pub(super) fn view(event: &[u8]) -> Result<EventView<'_>> {
    let mut fields = FieldReader::new(event);
    let mut new = None;
    let mut previous = None;
    let mut cut = event.len();
    while let Some(field) = fields.next_field()? {
        match field {
            Field::Bytes(2, message) => {
                new = Some(split_kv(message)?);
                cut = event.len() - fields.rest().len();
            }
            Field::Bytes(3, message) => previous = Some(split_kv(message)?.1),
            Field::Varint(..) | Field::Bytes(..) => {}
        }
    }
    let (key, body) = new.ok_or("an event without key-value")?;
    Ok(EventView {
        key,
        body,
        previous,
        cut,
    })
}

fn split_kv(message: &[u8]) -> Result<(&[u8], &[u8])> {
    let mut fields = FieldReader::new(message);
    match fields.next_field()? {
        Some(Field::Bytes(1, key)) => Ok((key, fields.rest())),
        _ => Err("a key-value without key".into()),
    }
}

/// Reads a body; a tombstone is a body of version 0.
pub(super) fn body_view(body: &[u8]) -> Result<KvView<'_>> {
    Ok(decode_body(body)?)
}
