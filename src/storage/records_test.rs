use proptest::prelude::*;

use super::*;
use crate::base::ids::LeaseId;

fn id(revision: i64, sub: u32) -> ChangeId {
    ChangeId::new(Revision(revision), sub)
}

fn meta() -> KvMeta {
    KvMeta {
        create_revision: Revision(2),
        mod_revision: Revision(300),
        version: 3,
        lease: LeaseId(9),
    }
}

fn kv(value: &[u8]) -> Kv {
    Kv::encode(Bytes::from_static(b"k"), meta(), value)
}

#[test]
fn golden_bytes_of_a_put_record() {
    let record = put_record(258, &meta(), b"v");
    assert_eq!(
        record.as_ref(),
        [
            1, 0, 0, 1, 2, 0x10, 2, 0x18, 0xac, 2, 0x20, 3, 0x2a, 1, b'v', 0x30, 9
        ]
    );
    assert_eq!(body_of_put_record(&record), kv(b"v").body);
    let body = &record[5..];
    assert_eq!(
        Record::decode(&record),
        Ok(Record::Put {
            id: id(300, 258),
            body
        })
    );
}

#[test]
fn golden_bytes_of_a_tombstone() {
    let record = tombstone_record(id(259, 1));
    assert_eq!(record.as_ref(), [2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 3]);
    assert_eq!(
        Record::decode(&record),
        Ok(Record::Tombstone { id: id(259, 1) })
    );
}

#[test]
fn golden_bytes_of_an_event_of_a_put() {
    let small = |version| {
        let meta = KvMeta {
            create_revision: Revision(2),
            mod_revision: Revision(1 + version),
            version,
            lease: LeaseId::NONE,
        };
        Kv::encode(Bytes::from_static(b"k"), meta, b"v")
    };
    let (record, prev_at) = event_record(ChangeKind::Put, id(2, 1), &small(2), Some(&small(1)));
    assert_eq!(
        record.as_ref(),
        [
            0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 14, // replaced 2.1, prev_kv at 14
            0x12, 12, 0x0a, 1, b'k', 0x10, 2, 0x18, 3, 0x20, 2, 0x2a, 1, b'v', // kv
            0x1a, 12, 0x0a, 1, b'k', 0x10, 2, 0x18, 2, 0x20, 1, 0x2a, 1, b'v', // prev_kv
        ]
    );
    assert_eq!(prev_at, 14);
}

#[test]
fn golden_bytes_of_an_event_of_a_deletion() {
    let meta = KvMeta {
        mod_revision: Revision(5),
        ..KvMeta::default()
    };
    let after = Kv::encode(Bytes::from_static(b"k"), meta, b"");
    let (record, prev_at) = event_record(ChangeKind::Delete, id(4, 0), &after, None);
    assert_eq!(
        record.as_ref(),
        [
            0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 9, // replaced 4.0, no prev_kv
            0x08, 1, 0x12, 5, 0x0a, 1, b'k', 0x18, 5,
        ]
    );
    let change = change_of(id(5, 0), &record).unwrap();
    assert_eq!(change.kind, ChangeKind::Delete);
    assert_eq!((change.prev_at, prev_at), (9, 9));
    assert_eq!(change.event.len(), 9);
}

#[test]
fn golden_bytes_of_the_state() {
    let never = state_record(Revision(258), None);
    assert_eq!(
        never,
        [1, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    );
    let zero = state_record(Revision(1), Some(Revision(0)));
    assert_eq!(parse_state(&zero), Ok((Revision(1), Some(Revision(0)))));
    assert_ne!(zero, state_record(Revision(1), None));
    assert_eq!(parse_state(&never), Ok((Revision(258), None)));
}

#[test]
fn golden_bytes_of_a_lease() {
    let record = lease_record(LeaseRecord::new(258));
    assert_eq!(record.as_ref(), [1, 2, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(parse_lease(&record), Ok(LeaseRecord::new(258)));
    assert_eq!(parse_lease(&[3, 0]), Err(RecordError::Version(3)));
    assert_eq!(parse_lease(&record[..8]), Err(RecordError::Length));
}

#[test]
fn golden_bytes_of_a_lease_that_is_partly_over() {
    let lease = LeaseRecord {
        ttl: 258,
        remaining: Some(7),
    };
    let record = lease_record(lease);
    let golden = [2, 2, 1, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(record.as_ref(), golden);
    assert_eq!(parse_lease(&record), Ok(lease));
    assert_eq!(parse_lease(&record[..16]), Err(RecordError::Length));
    let mut none = golden;
    none[9] = 0;
    assert_eq!(parse_lease(&none), Err(RecordError::Remaining(0)));
}

#[test]
fn damaged_records_are_refused_for_what_they_are() {
    assert_eq!(Record::decode(&[]), Err(RecordError::Length));
    assert_eq!(Record::decode(&[1, 0, 0]), Err(RecordError::Length));
    assert_eq!(Record::decode(&[9, 0, 0, 0, 0]), Err(RecordError::Kind(9)));
    assert_eq!(
        Record::decode(&[1, 0, 0, 0, 0]),
        Err(RecordError::Missing(KV_MOD_REVISION)),
        "a put without a mod revision"
    );
    let (mut event, _) = event_record(ChangeKind::Put, ChangeId::NONE, &kv(b""), None);
    event = [&event[..15], &[200], &event[16..]].concat().into();
    assert_eq!(StoredEvent::decode(&event), Err(RecordError::Length));
    assert_eq!(parse_state(&[1, 2, 3]), Err(RecordError::Length));
    for (revision, compacted) in [(0, 0), (i64::MAX, 0), (5, 6), (5, -1)] {
        let record = state_record(Revision(revision), Some(Revision(compacted)));
        let error = parse_state(&record);
        assert!(matches!(error, Err(RecordError::Revision(_))), "{error:?}");
    }
}

proptest! {
    #[test]
    fn events_round_trip(value: Vec<u8>, before: Option<Vec<u8>>, main in 0..i64::MAX, sub: u32) {
        let after = kv(&value);
        let before = before.map(|value| kv(&value));
        let (record, prev_at) =
            event_record(ChangeKind::Put, id(main, sub), &after, before.as_ref());
        let stored = StoredEvent::decode(&record).unwrap();
        prop_assert_eq!(stored.replaced, id(main, sub));
        prop_assert_eq!(stored.prev_at, prev_at);
        prop_assert_eq!(stored.has_prev(), before.is_some());
        let body = before.as_ref().map(|kv| kv.body.as_ref());
        prop_assert_eq!(stored.prev_body().unwrap(), body);
        let head = stored.head().unwrap();
        prop_assert_eq!((head.kind, head.key), (ChangeKind::Put, &b"k"[..]));
        let mut message = Vec::new();
        after.put_message(&mut message);
        prop_assert_eq!(head.kv, &message[..]);
    }

    #[test]
    fn any_bytes_decode_without_panic(bytes: Vec<u8>) {
        let _ = Record::decode(&bytes);
        if let Ok(event) = StoredEvent::decode(&bytes) {
            let _ = (event.head(), event.prev_body());
        }
        let record = Bytes::from(bytes);
        let _ = change_of(ChangeId::NONE, &record);
        let _ = body_of_put_record(&record);
        let _ = (parse_state(&record), parse_lease(&record));
    }

    /// Damage anywhere in a real record is refused or read as another record; it never panics.
    #[test]
    fn damaged_events_decode_without_panic(at in 0..60_usize, byte: u8, value: Vec<u8>) {
        let (record, _) =
            event_record(ChangeKind::Put, id(7, 0), &kv(&value), Some(&kv(b"before")));
        let mut bytes = record.to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(event) = StoredEvent::decode(&bytes) {
            let _ = (event.head(), event.prev_body());
        }
        let _ = change_of(ChangeId::NONE, &bytes.into());
    }
}
