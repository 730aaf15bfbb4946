use proptest::prelude::*;

use super::*;
use crate::etcd::pb::etcdserverpb::RangeResponse;
use crate::etcd::pb::mvccpb::event::EventType;

/// `RangeResponse` as the schema compiler alone would make it.
#[derive(Clone, PartialEq, Message)]
struct PlainRange {
    #[prost(message, optional, tag = "1")]
    header: Option<ResponseHeader>,
    #[prost(message, repeated, tag = "2")]
    kvs: Vec<Fields>,
    #[prost(bool, tag = "3")]
    more: bool,
    #[prost(int64, tag = "4")]
    count: i64,
}

prop_compose! {
    fn fields()(key: Vec<u8>, create_revision: i64, mod_revision: i64, version: i64,
                value: Vec<u8>, lease: i64) -> Fields {
        Fields {
            key: key.into(),
            create_revision,
            mod_revision,
            version,
            value: value.into(),
            lease,
        }
    }
}

fn stored(fields: &Fields) -> KeyValue {
    let meta = KvMeta {
        create_revision: Revision(fields.create_revision),
        mod_revision: Revision(fields.mod_revision),
        version: fields.version,
        lease: LeaseId(fields.lease),
    };
    Kv::encode(fields.key.clone(), meta, &fields.value).into()
}

proptest! {
    #[test]
    fn stored_pairs_are_sent_as_the_plain_message(fields in fields()) {
        let message = stored(&fields);
        prop_assert_eq!(message.encoded_len(), fields.encoded_len());
        prop_assert_eq!(message.encode_to_vec(), fields.encode_to_vec());
    }

    #[test]
    fn plain_messages_are_read_field_by_field(fields in fields()) {
        let message = KeyValue::decode(fields.encode_to_vec().as_slice()).unwrap();
        prop_assert_eq!(message.key(), &fields.key);
        prop_assert_eq!(message.create_revision(), fields.create_revision);
        prop_assert_eq!(message.mod_revision(), fields.mod_revision);
        prop_assert_eq!(message.version(), fields.version);
        prop_assert_eq!(message.value(), fields.value.as_ref());
        prop_assert_eq!(message.lease(), fields.lease);
        prop_assert_eq!(&message, &stored(&fields));
        prop_assert_eq!(message.encode_to_vec(), fields.encode_to_vec());
    }

    #[test]
    fn nested_pairs_round_trip(kvs in proptest::collection::vec(fields(), 0..5), more: bool) {
        let plain = PlainRange { header: None, kvs, more, count: 7 };
        let ours = RangeResponse {
            header: None,
            kvs: plain.kvs.iter().map(stored).collect(),
            more,
            count: 7,
        };
        prop_assert_eq!(ours.encode_to_vec(), plain.encode_to_vec());
        prop_assert_eq!(RangeResponse::decode(plain.encode_to_vec().as_slice()).unwrap(), ours);
    }

    #[test]
    fn arbitrary_bytes_decode_or_fail(bytes: Vec<u8>) {
        let plain = Fields::decode(bytes.as_slice());
        let ours = KeyValue::decode(bytes.as_slice());
        prop_assert_eq!(ours.is_ok(), plain.is_ok());
        let plain = WatchFields::decode(bytes.as_slice());
        let ours = WatchResponse::decode(bytes.as_slice());
        prop_assert_eq!(ours.map(|response| response.fields).ok(), plain.ok());
    }

    #[test]
    fn frames_are_sent_as_they_are(head: Vec<u8>, body: Vec<u8>) {
        let mut expected = head.clone();
        expected.extend_from_slice(&body);
        let response = WatchResponse::from(Frame { head: head.into(), body: body.into() });
        prop_assert_eq!(response.encoded_len(), expected.len());
        prop_assert_eq!(response.encode_to_vec(), expected);
    }
}

#[test]
fn a_later_field_overrides_a_stored_one() {
    let mut message = stored(&Fields {
        key: Bytes::from_static(b"k"),
        version: 1,
        value: Bytes::from_static(b"v"),
        ..Fields::default()
    });
    message.merge([0x20_u8, 9].as_slice()).unwrap();
    assert_eq!(message.version(), 9);
    assert_eq!(message.key().as_ref(), b"k");
    assert_eq!(message.value(), b"v");
    message.clear();
    assert_eq!(message, KeyValue::default());
    assert_eq!(message.encoded_len(), 0);
}

#[test]
fn a_frame_is_read_back_as_fields() {
    let whole = WatchFields {
        header: Some(ResponseHeader {
            revision: 9,
            ..ResponseHeader::default()
        }),
        watch_id: -1,
        events: vec![Event {
            r#type: EventType::Delete.into(),
            kv: Some(stored(&Fields {
                key: Bytes::from_static(b"k"),
                mod_revision: 9,
                ..Fields::default()
            })),
            prev_kv: None,
        }],
        ..WatchFields::default()
    };
    let head = WatchFields {
        events: Vec::new(),
        ..whole.clone()
    };
    let body = WatchFields {
        events: whole.events.clone(),
        ..WatchFields::default()
    };
    let sent = WatchResponse::from(Frame {
        head: head.encode_to_vec().into(),
        body: body.encode_to_vec().into(),
    });
    let received = WatchResponse::decode(sent.encode_to_vec().as_slice()).unwrap();
    assert_eq!(received.fields, whole);
}
