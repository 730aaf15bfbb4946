//! The keys of queues, and the requests about them.

use bytes::Bytes;

use crate::base::range::prefix_end;
use crate::etcd::pb::etcdserverpb as pb;
use crate::etcd::pb::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use crate::etcd::pb::etcdserverpb::request_op::Request as Op;
use crate::etcd::pb::etcdserverpb::response_op::Response as Outcome;
use crate::etcd::pb::mvccpb::KeyValue;

/// What every key of a queue begins with.
pub(super) fn prefix_of(name: &[u8]) -> Bytes {
    [name, b"/"].concat().into()
}

/// The key of a lease in a queue, as Go prints a number in hex.
pub(super) fn key_of(prefix: &[u8], lease: i64) -> Bytes {
    let sign = if lease < 0 { "-" } else { "" };
    let number = format!("{sign}{:x}", lease.unsigned_abs());
    [prefix, number.as_bytes()].concat().into()
}

pub(super) fn whole(prefix: &Bytes) -> pb::RangeRequest {
    pb::RangeRequest {
        key: prefix.clone(),
        range_end: prefix_end(prefix).unwrap_or_else(|| Bytes::from_static(b"\0")),
        ..pb::RangeRequest::default()
    }
}

pub(super) fn point(key: &Bytes) -> pb::RangeRequest {
    pb::RangeRequest {
        key: key.clone(),
        ..pb::RangeRequest::default()
    }
}

pub(super) fn put(key: &Bytes, value: Bytes, lease: i64) -> Op {
    Op::RequestPut(pb::PutRequest {
        key: key.clone(),
        value,
        lease,
        ..pb::PutRequest::default()
    })
}

pub(super) const fn op(request: Op) -> pb::RequestOp {
    pb::RequestOp {
        request: Some(request),
    }
}

/// That a key was created at `revision`; 0 is that it is not there.
pub(super) fn created_at(key: &Bytes, revision: i64) -> pb::Compare {
    pb::Compare {
        result: CompareResult::Equal.into(),
        target: CompareTarget::Create.into(),
        key: key.clone(),
        target_union: Some(TargetUnion::CreateRevision(revision)),
        ..pb::Compare::default()
    }
}

/// The pair that the transaction which enters a queue found instead of creating one.
pub(super) fn found_in(response: &pb::TxnResponse) -> Option<&KeyValue> {
    match response.responses.first()?.response.as_ref()? {
        Outcome::ResponseRange(range) => range.kvs.first(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::range::KeyRange;

    #[test]
    fn keys_are_named_as_go_prints_leases() {
        let prefix = prefix_of(b"jobs");
        assert_eq!(key_of(&prefix, 101), "jobs/65");
        assert_eq!(key_of(&prefix, -255), "jobs/-ff");
        assert_eq!(key_of(&prefix_of(b""), i64::MIN), "/-8000000000000000");
    }

    #[test]
    fn a_queue_holds_its_own_keys_only() {
        let range = whole(&prefix_of(b"a"));
        let range = KeyRange::from_wire(range.key, range.range_end);
        assert!(range.contains(b"a/1"));
        for other in [&b"a"[..], b"a0", b"ab/1", b"a."] {
            assert!(!range.contains(other), "{other:?}");
        }
    }
}
