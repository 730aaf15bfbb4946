//! Messages through JSON and back, against the generated types.

use bytes::Bytes;
use proptest::prelude::{Just, Strategy, any, prop_compose, prop_oneof, proptest};
use proptest::prop_assert_eq;
use prost::Message;
use serde_json::{Value, json};

use super::*;
use crate::etcd::grpc::PREFIX_BYTES;
use crate::etcd::pb::etcdserverpb as pb;
use crate::etcd::pb::etcdserverpb::compare::TargetUnion;
use crate::etcd::pb::etcdserverpb::request_op::Request as Op;

fn method(path: &str) -> Arc<Method> {
    Arc::clone(Methods::new().get(path).unwrap())
}

/// What the services are sent for a request.
fn sent<M: Message + Default>(path: &str, text: &str) -> Result<M, Status> {
    let framed = json::decode(&method(path).input, text.as_bytes())?;
    Ok(M::decode(framed.slice(PREFIX_BYTES..)).unwrap())
}

/// What clients are told of an answer.
fn told(path: &str, message: &impl Message) -> Value {
    let text = json::encode(&method(path).output, message.encode_to_vec().into()).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn bytes() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from)
}

prop_compose! {
    fn range()(
        key in bytes(), range_end in bytes(), limit: i64, revision: i64,
        sort_order in 0..3, sort_target in 0..5, serializable: bool, keys_only: bool,
        min_mod_revision: i64,
    ) -> pb::RangeRequest {
        pb::RangeRequest {
            key, range_end, limit, revision, sort_order, sort_target, serializable, keys_only,
            min_mod_revision, ..pb::RangeRequest::default()
        }
    }
}

prop_compose! {
    fn compare()(
        key in bytes(), range_end in bytes(), result in 0..4, target in 0..5, union in union(),
    ) -> pb::Compare {
        pb::Compare { key, range_end, result, target, target_union: union }
    }
}

fn union() -> impl Strategy<Value = Option<TargetUnion>> {
    prop_oneof![
        Just(None),
        any::<i64>().prop_map(|n| Some(TargetUnion::Version(n))),
        any::<i64>().prop_map(|n| Some(TargetUnion::Lease(n))),
        bytes().prop_map(|value| Some(TargetUnion::Value(value))),
    ]
}

fn txn() -> impl Strategy<Value = pb::TxnRequest> {
    let op = prop_oneof![
        Just(None),
        range().prop_map(|request| Some(Op::RequestRange(request))),
        (bytes(), bytes(), any::<i64>()).prop_map(|(key, value, lease)| {
            let put = pb::PutRequest {
                key,
                value,
                lease,
                ..pb::PutRequest::default()
            };
            Some(Op::RequestPut(put))
        }),
    ];
    let op = op.prop_map(|request| pb::RequestOp { request });
    let compares = proptest::collection::vec(compare(), 0..3);
    let ops = proptest::collection::vec(op, 0..3);
    let txn = (compares, ops).prop_map(|(compare, success)| pb::TxnRequest {
        compare,
        success,
        failure: Vec::new(),
    });
    txn.prop_recursive(3, 6, 2, |inner| {
        proptest::collection::vec(inner, 0..2).prop_map(|txns| pb::TxnRequest {
            failure: txns
                .into_iter()
                .map(|txn| pb::RequestOp {
                    request: Some(Op::RequestTxn(txn)),
                })
                .collect(),
            ..pb::TxnRequest::default()
        })
    })
}

proptest! {
    #[test]
    fn a_request_is_the_same_through_json(txn in txn()) {
        let kind = &method("kv/txn").input;
        let text = json::encode(kind, txn.encode_to_vec().into()).unwrap();
        let text = String::from_utf8(text).unwrap();
        prop_assert_eq!(sent::<pb::TxnRequest>("kv/txn", &text).unwrap(), txn);
    }

    #[test]
    fn any_bytes_pass_the_check(data: Vec<u8>) {
        check(&data);
    }

    #[test]
    fn any_text_passes_the_check(choice: u8, text in "\\{[\\[\\]{}\":,a-z0-9_ ]{0,60}\\}") {
        check(&[&[choice], text.as_bytes()].concat());
    }
}

#[test]
fn numbers_names_and_enums_are_read_in_every_spelling() {
    let expected = pb::RangeRequest {
        key: Bytes::from_static(b"a"),
        range_end: Bytes::from_static(&[0xfb, 0xff]),
        limit: 7,
        sort_order: 2,
        ..pb::RangeRequest::default()
    };
    for text in [
        r#"{"key":"YQ==","range_end":"+/8=","limit":7,"sort_order":"DESCEND"}"#,
        r#"{"key":"YQ","rangeEnd":"-_8","limit":"7","sortOrder":2} and more"#,
        r#"{"key":"YQ==","range_end":"-_8=","limit":7.0,"sort_order":2,"x":{"y":[1]},"revision":null}"#,
    ] {
        assert_eq!(
            sent::<pb::RangeRequest>("kv/range", text).unwrap(),
            expected
        );
    }
    let unknown = r#"{"sort_order":"NOPE"}"#;
    assert_eq!(
        sent::<pb::RangeRequest>("kv/range", unknown).unwrap(),
        pb::RangeRequest::default()
    );
    let empty = sent::<pb::RangeRequest>("kv/range", " \n").unwrap();
    assert_eq!(empty, pb::RangeRequest::default());
}

#[test]
fn what_is_none_of_the_message_is_refused() {
    let deep = format!(
        "{}{}",
        r#"{"success":[{"request_txn":"#.repeat(50),
        "}]}".repeat(50)
    );
    for (path, text) in [
        ("kv/range", "{"),
        ("kv/range", "[1]"),
        ("kv/range", "null"),
        ("kv/range", r#"{"key":5}"#),
        ("kv/range", r#"{"key":"***"}"#),
        ("kv/range", r#"{"limit":1.5}"#),
        ("kv/range", r#"{"limit":"x"}"#),
        ("kv/range", r#"{"limit":"9223372036854775808"}"#),
        ("kv/range", r#"{"keys_only":"true"}"#),
        ("kv/txn", r#"{"compare":[{"version":"1","value":"YQ=="}]}"#),
        ("kv/txn", &deep),
    ] {
        let refused = sent::<pb::TxnRequest>(path, text).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{text}");
    }
}

#[test]
fn answers_have_the_names_of_the_protocol_and_no_zeros() {
    let member = pb::Member {
        id: u64::MAX,
        peer_ur_ls: vec!["http://a".into()],
        ..pb::Member::default()
    };
    let list = pb::MemberListResponse {
        header: Some(pb::ResponseHeader::default()),
        members: vec![member],
    };
    let expected = json!({
        "header": {},
        "members": [{"ID": "18446744073709551615", "peerURLs": ["http://a"]}],
    });
    assert_eq!(told("cluster/member/list", &list), expected);
    let event = crate::etcd::pb::mvccpb::Event {
        r#type: 1,
        ..Default::default()
    };
    let watch = crate::etcd::wire::WatchFields {
        watch_id: -1,
        events: vec![event],
        ..Default::default()
    };
    let expected = json!({"watch_id": "-1", "events": [{"type": "DELETE"}]});
    assert_eq!(told("watch", &watch), expected);
    let alarms = pb::AlarmResponse {
        alarms: vec![pb::AlarmMember {
            member_id: 1,
            alarm: 77,
        }],
        ..Default::default()
    };
    let expected = json!({"alarms": [{"memberID": "1", "alarm": 77}]});
    assert_eq!(told("maintenance/alarm", &alarms), expected);
}

#[tokio::test]
async fn requests_of_a_stream_end_with_what_is_none() {
    use http_body_util::BodyExt as _;
    let text = r#" {"ID":1}{"ID":"2"} {"ID":"x"} {"ID":4}"#;
    let requests = Requests::new(Body::from(text), method("lease/keepalive"), 100);
    let framed = requests.collect().await.unwrap().to_bytes();
    let mut frames = frames::Frames::default();
    frames.push(&framed);
    let mut ids = Vec::new();
    while let Some(message) = frames.next().unwrap() {
        ids.push(pb::LeaseKeepAliveRequest::decode(message).unwrap().id);
    }
    assert_eq!(ids, [1, 2]);
}
