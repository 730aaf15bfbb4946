//! Answers cut down to what is looked at: decoding skips the fields that are not named here, which are nearly
//! all the bytes of a long list or a large event. Names and numbers are those of etcd's `rpc.proto` and
//! `kv.proto`.

use bytes::Bytes;
use prost::Message;

/// Of a `RangeResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Counted {
    /// How many keys the range has, without regard to the limit.
    #[prost(int64, tag = "4")]
    pub(super) count: i64,
}

/// Of a `WatchResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Delivery {
    #[prost(bool, tag = "3")]
    pub(super) created: bool,
    #[prost(bool, tag = "4")]
    pub(super) canceled: bool,
    #[prost(string, tag = "6")]
    pub(super) cancel_reason: String,
    #[prost(message, repeated, tag = "11")]
    pub(super) events: Vec<Delivered>,
}

/// Of an `Event`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Delivered {
    #[prost(message, optional, tag = "2")]
    pub(super) kv: Option<Written>,
}

/// Of a `KeyValue`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Written {
    #[prost(bytes = "bytes", tag = "5")]
    pub(super) value: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etcd::pb::etcdserverpb::{RangeResponse, ResponseHeader, WatchResponse};
    use crate::etcd::pb::mvccpb::{Event, KeyValue};

    fn written() -> Written {
        Written {
            value: Bytes::from_static(b"value"),
        }
    }

    /// Decodes what `message` encodes to.
    fn reread<A: Message + Default>(message: &impl Message) -> A {
        A::decode(message.encode_to_vec().as_slice()).unwrap()
    }

    #[test]
    fn a_range_is_counted() {
        let answer = RangeResponse {
            header: Some(ResponseHeader::default()),
            kvs: vec![KeyValue::default(); 2],
            more: true,
            count: 7,
        };
        assert_eq!(reread::<Counted>(&answer).count, 7);
    }

    #[test]
    fn a_delivery_has_its_flags_and_values() {
        let kv: KeyValue = reread(&written());
        assert_eq!(kv.value(), b"value");
        let event = Event {
            kv: Some(kv.clone()),
            prev_kv: Some(kv),
            ..Event::default()
        };
        let mut answer = WatchResponse::default();
        answer.fields.header = Some(ResponseHeader::default());
        answer.fields.watch_id = 9;
        answer.fields.created = true;
        answer.fields.cancel_reason = "because".to_owned();
        answer.fields.events = vec![event; 2];

        let delivered = Delivered {
            kv: Some(written()),
        };
        let expected = Delivery {
            created: true,
            canceled: false,
            cancel_reason: "because".to_owned(),
            events: vec![delivered; 2],
        };
        assert_eq!(reread::<Delivery>(&answer), expected);
    }

    #[test]
    fn a_cancellation_is_seen() {
        let mut answer = WatchResponse::default();
        answer.fields.canceled = true;
        assert!(reread::<Delivery>(&answer).canceled);
    }
}
