//! The check of keys and values as they lie in the store.

use bytes::Bytes;

use super::keys::{
    attachment_key, event_key, lease_key, parse_attachment_key, parse_event_key, parse_lease_key,
};
use super::records::{
    Record, StoredEvent, body_of_put_record, change_of, event_record, lease_record, parse_lease,
    parse_state, put_record, state_record, tombstone_record,
};
use crate::base::ids::{ChangeId, Revision};
use crate::base::kv::{Kv, KvView, decode_body};

/// Reads bytes as every kind of key and value that the store holds. What a fixed layout decodes to is
/// written as the same bytes; what holds protobuf decodes to the same numbers once written by us.
pub fn records(data: &[u8]) {
    keys(data);
    let bytes = Bytes::copy_from_slice(data);
    current(&bytes);
    event(&bytes);
    if let Ok((revision, compacted)) = parse_state(data)
        // Without a compaction the writer leaves zeros, which the reader does not look at.
        && (compacted.is_some() || data.ends_with(&[0; 8]))
    {
        assert_eq!(state_record(revision, compacted), data);
    }
    if let Ok(lease) = parse_lease(data) {
        assert_eq!(lease_record(lease), data);
    }
}

fn keys(data: &[u8]) {
    if let Some(id) = parse_event_key(data) {
        assert_eq!(event_key(id), data);
    }
    if let Some(id) = parse_lease_key(data) {
        assert_eq!(lease_key(id), data);
    }
    if let Some((id, key)) = parse_attachment_key(data) {
        assert_eq!(attachment_key(id, key), data);
    }
}

fn current(bytes: &Bytes) {
    match Record::decode(bytes) {
        Err(_) => {}
        Ok(Record::Tombstone { id }) => assert_eq!(tombstone_record(id), bytes),
        Ok(Record::Put { id, body }) => {
            assert_eq!(body_of_put_record(bytes), body);
            if let Ok(view) = decode_body(body) {
                let again = put_record(id.sub, &view.meta, view.value);
                check_body(&body_of_put_record(&again), &view);
            }
        }
    }
}

fn event(bytes: &Bytes) {
    let Ok(stored) = StoredEvent::decode(bytes) else {
        return;
    };
    assert_eq!(stored.has_prev(), stored.prev_at < stored.event.len());
    let prev = stored.prev_body();
    let id = ChangeId::new(Revision(7), 0);
    let (Ok(change), Ok(head)) = (change_of(id, bytes), stored.head()) else {
        return;
    };
    assert_eq!((change.kind, change.prev_at), (head.kind, stored.prev_at));
    // What decodes as a whole can be written as an event of our own, and is the same change then.
    let (Ok(after), Ok(prev)) = (body_of(head.kv), prev) else {
        return;
    };
    let pair = |body: &[u8]| Kv {
        key: change.key.clone(),
        body: Bytes::copy_from_slice(body),
    };
    let before = prev.map(pair);
    let (record, _) = event_record(change.kind, stored.replaced, &pair(after), before.as_ref());
    let again = StoredEvent::decode(&record).expect("it was just written");
    let again_head = again.head().expect("it was just written");
    assert_eq!(again.replaced, stored.replaced);
    assert_eq!((again_head.kind, again_head.key), (head.kind, head.key));
    assert_eq!(again.prev_body(), Ok(prev));
}

/// What follows the key of an encoded `KeyValue`, if the key is there and not empty.
fn body_of(kv: &[u8]) -> Result<&[u8], ()> {
    use crate::base::wire::{Field, FieldReader};
    let mut reader = FieldReader::new(kv);
    match reader.next_field() {
        Ok(Some(Field::Bytes(1, key))) if !key.is_empty() => Ok(reader.rest()),
        _ => Err(()),
    }
}

fn check_body(body: &[u8], expected: &KvView<'_>) {
    assert_eq!(decode_body(body).as_ref(), Ok(expected));
}
