//! Short spellings of requests and of what came back.

use bytes::Bytes;
use holdfast::base::range::prefix_end;
use holdfast::etcd::pb::etcdserverpb::*;
use holdfast::etcd::pb::mvccpb::{Event, KeyValue};

/// The end of the range that has no upper bound.
pub const NO_END: &[u8] = &[0];

pub fn bytes(of: impl AsRef<[u8]>) -> Bytes {
    Bytes::copy_from_slice(of.as_ref())
}

pub fn text(of: &[u8]) -> &str {
    std::str::from_utf8(of).unwrap()
}

pub fn point(key: impl AsRef<[u8]>) -> RangeRequest {
    RangeRequest {
        key: bytes(key),
        ..Default::default()
    }
}

pub fn span(key: impl AsRef<[u8]>, range_end: impl AsRef<[u8]>) -> RangeRequest {
    RangeRequest {
        range_end: bytes(range_end),
        ..point(key)
    }
}

/// The smallest key above every key that begins with `prefix`.
pub fn end_of(prefix: impl AsRef<[u8]>) -> Bytes {
    prefix_end(prefix.as_ref()).unwrap_or_else(|| bytes(NO_END))
}

pub fn prefixed(prefix: impl AsRef<[u8]>) -> RangeRequest {
    let end = end_of(&prefix);
    span(prefix, end)
}

pub fn put(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> PutRequest {
    PutRequest {
        key: bytes(key),
        value: bytes(value),
        ..Default::default()
    }
}

pub fn delete(key: impl AsRef<[u8]>) -> DeleteRangeRequest {
    DeleteRangeRequest {
        key: bytes(key),
        ..Default::default()
    }
}

pub fn delete_span(key: impl AsRef<[u8]>, range_end: impl AsRef<[u8]>) -> DeleteRangeRequest {
    DeleteRangeRequest {
        range_end: bytes(range_end),
        ..delete(key)
    }
}

pub fn watch_key(key: impl AsRef<[u8]>) -> WatchCreateRequest {
    WatchCreateRequest {
        key: bytes(key),
        ..Default::default()
    }
}

pub fn watch_prefix(prefix: impl AsRef<[u8]>) -> WatchCreateRequest {
    WatchCreateRequest {
        range_end: end_of(&prefix),
        ..watch_key(prefix)
    }
}

pub fn grant(ttl: i64, id: i64) -> LeaseGrantRequest {
    LeaseGrantRequest { ttl, id }
}

pub fn time_to_live(id: i64, keys: bool) -> LeaseTimeToLiveRequest {
    LeaseTimeToLiveRequest { id, keys }
}

pub fn compact(revision: i64) -> CompactionRequest {
    CompactionRequest {
        revision,
        physical: false,
    }
}

/// Operations of a transaction.
pub mod op {
    use super::*;
    use request_op::Request;

    fn op(request: Request) -> RequestOp {
        RequestOp {
            request: Some(request),
        }
    }

    pub fn range(request: RangeRequest) -> RequestOp {
        op(Request::RequestRange(request))
    }

    pub fn get(key: impl AsRef<[u8]>) -> RequestOp {
        range(point(key))
    }

    pub fn put_with(request: PutRequest) -> RequestOp {
        op(Request::RequestPut(request))
    }

    pub fn put(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> RequestOp {
        put_with(super::put(key, value))
    }

    pub fn delete_with(request: DeleteRangeRequest) -> RequestOp {
        op(Request::RequestDeleteRange(request))
    }

    pub fn delete(key: impl AsRef<[u8]>) -> RequestOp {
        delete_with(super::delete(key))
    }

    pub fn txn(request: TxnRequest) -> RequestOp {
        op(Request::RequestTxn(request))
    }
}

/// Comparisons of a transaction.
pub mod cmp {
    use super::*;
    use compare::TargetUnion;
    pub use compare::{CompareResult as Result, CompareTarget as Target};

    pub fn compare(key: impl AsRef<[u8]>, result: Result, operand: TargetUnion) -> Compare {
        let target = match operand {
            TargetUnion::Version(_) => Target::Version,
            TargetUnion::CreateRevision(_) => Target::Create,
            TargetUnion::ModRevision(_) => Target::Mod,
            TargetUnion::Value(_) => Target::Value,
            TargetUnion::Lease(_) => Target::Lease,
        };
        Compare {
            result: result.into(),
            target: target.into(),
            key: bytes(key),
            range_end: Bytes::new(),
            target_union: Some(operand),
        }
    }

    pub fn version(key: impl AsRef<[u8]>, result: Result, version: i64) -> Compare {
        compare(key, result, TargetUnion::Version(version))
    }

    pub fn created(key: impl AsRef<[u8]>, result: Result, revision: i64) -> Compare {
        compare(key, result, TargetUnion::CreateRevision(revision))
    }

    pub fn modified(key: impl AsRef<[u8]>, result: Result, revision: i64) -> Compare {
        compare(key, result, TargetUnion::ModRevision(revision))
    }

    pub fn value(key: impl AsRef<[u8]>, result: Result, value: impl AsRef<[u8]>) -> Compare {
        compare(key, result, TargetUnion::Value(bytes(value)))
    }

    /// The same comparison for every key from its key on, below `range_end`.
    pub fn over(compare: Compare, range_end: impl AsRef<[u8]>) -> Compare {
        Compare {
            range_end: bytes(range_end),
            ..compare
        }
    }
}

pub fn txn(compare: Vec<Compare>, success: Vec<RequestOp>, failure: Vec<RequestOp>) -> TxnRequest {
    TxnRequest {
        compare,
        success,
        failure,
    }
}

/// A transaction that always takes its first branch.
pub fn always(success: Vec<RequestOp>) -> TxnRequest {
    txn(Vec::new(), success, Vec::new())
}

/// What a response's transaction operation answered; panics if it is another kind.
pub mod answer {
    use super::*;
    use response_op::Response;

    #[track_caller]
    pub fn range(of: &TxnResponse, index: usize) -> &RangeResponse {
        match &of.responses[index].response {
            Some(Response::ResponseRange(response)) => response,
            other => panic!("response {index} is {other:?}"),
        }
    }

    #[track_caller]
    pub fn put(of: &TxnResponse, index: usize) -> &PutResponse {
        match &of.responses[index].response {
            Some(Response::ResponsePut(response)) => response,
            other => panic!("response {index} is {other:?}"),
        }
    }

    #[track_caller]
    pub fn delete(of: &TxnResponse, index: usize) -> &DeleteRangeResponse {
        match &of.responses[index].response {
            Some(Response::ResponseDeleteRange(response)) => response,
            other => panic!("response {index} is {other:?}"),
        }
    }

    #[track_caller]
    pub fn txn(of: &TxnResponse, index: usize) -> &TxnResponse {
        match &of.responses[index].response {
            Some(Response::ResponseTxn(response)) => response,
            other => panic!("response {index} is {other:?}"),
        }
    }
}

/// The revision of a header that must be there.
#[track_caller]
pub fn revision(header: &Option<ResponseHeader>) -> i64 {
    header.as_ref().expect("a response header").revision
}

/// Keys and values as `key=value key=value`, each key cut to what follows its last slash.
pub fn pairs(kvs: &[KeyValue]) -> String {
    let pair = |kv: &KeyValue| format!("{}={}", leaf(kv.key()), text(kv.value()));
    kvs.iter().map(pair).collect::<Vec<_>>().join(" ")
}

/// Keys alone, each cut to what follows its last slash.
pub fn names(kvs: &[KeyValue]) -> String {
    let names: Vec<_> = kvs.iter().map(|kv| leaf(kv.key())).collect();
    names.join(" ")
}

fn leaf(key: &[u8]) -> &str {
    text(key).rsplit('/').next().unwrap_or_default()
}

/// Events as `PUT key=value` and `DELETE key`, comma separated.
pub fn told(events: &[Event]) -> String {
    events.iter().map(tell).collect::<Vec<_>>().join(", ")
}

fn tell(event: &Event) -> String {
    let kv = event.kv.as_ref().expect("an event has a key");
    match event.r#type() {
        holdfast::etcd::pb::mvccpb::event::EventType::Put => {
            format!("PUT {}={}", leaf(kv.key()), text(kv.value()))
        }
        holdfast::etcd::pb::mvccpb::event::EventType::Delete => {
            format!("DELETE {}", leaf(kv.key()))
        }
    }
}

/// The revision of an event.
#[track_caller]
pub fn event_revision(event: &Event) -> i64 {
    event
        .kv
        .as_ref()
        .expect("an event has a key")
        .mod_revision()
}
