//! The check of what clients send: every request that the services decode, and what it turns into.

use bytes::Bytes;
use prost::Message;

use super::pb::etcdserverpb as pb;
use super::pb::mvccpb::{Event, KeyValue};
use super::wire::WatchResponse;
use super::{grpc, request as convert};
use crate::base::kv::Kv;
use crate::mvcc::validate;

const MAX_OPS: usize = 128;

/// Reads bytes behind the first as a message of the kind that the first says. A message is the same once
/// it is written and read again; an operation that a request turns into passes the checks of the store.
pub fn request(data: &[u8]) {
    let Some((&kind, data)) = data.split_first() else {
        return;
    };
    match kind {
        0 => range(data),
        1 => put(data),
        2 => delete(data),
        3 => txn(data),
        4 => watch(data),
        5 => stored_pair(data),
        6 => drop(same::<WatchResponse>(data)),
        7 => drop(same::<pb::RangeResponse>(data)),
        8 => drop(same::<Event>(data)),
        9 => drop(same::<pb::CompactionRequest>(data)),
        10 => drop(same::<pb::LeaseGrantRequest>(data)),
        11 => drop(same::<pb::LeaseTimeToLiveRequest>(data)),
        12 => drop(same::<pb::AlarmRequest>(data)),
        13 => drop(same::<pb::MemberAddRequest>(data)),
        14 => drop(same::<pb::HashKvRequest>(data)),
        15 => drop(same::<pb::TxnResponse>(data)),
        _ => {}
    }
}

/// What clients send as JSON.
pub use super::gateway::check as json;

fn same<M: Message + Default + PartialEq + std::fmt::Debug>(data: &[u8]) -> Option<M> {
    let message = M::decode(Bytes::copy_from_slice(data)).ok()?;
    let encoded = message.encode_to_vec();
    assert_eq!(encoded.len(), message.encoded_len());
    let again = M::decode(encoded.as_slice());
    assert!(
        again.as_ref() == Ok(&message),
        "{message:?} became {again:?}"
    );
    Some(message)
}

fn range(data: &[u8]) {
    if let Some(Ok(op)) = same::<pb::RangeRequest>(data).map(convert::range) {
        assert_eq!(validate::range(&op), Ok(()));
        assert!(op.revision.is_none_or(|revision| revision.get() > 0));
        assert_ne!(op.limit, Some(0));
    }
}

fn put(data: &[u8]) {
    if let Some(Ok(op)) = same::<pb::PutRequest>(data).map(convert::put) {
        assert_eq!(validate::put(&op), Ok(()));
    }
}

fn delete(data: &[u8]) {
    if let Some(Ok(op)) = same::<pb::DeleteRangeRequest>(data).map(convert::delete) {
        assert_eq!(validate::delete(&op), Ok(()));
    }
}

fn txn(data: &[u8]) {
    let Some(request) = same::<pb::TxnRequest>(data) else {
        return;
    };
    if let Ok((txn, _)) = convert::txn(request, MAX_OPS) {
        assert_eq!(validate::txn(&txn, MAX_OPS), Ok(()));
    }
}

fn watch(data: &[u8]) {
    if let Some(union) = same::<pb::WatchRequest>(data).and_then(|watch| watch.request_union) {
        let _ = grpc::watch_request(union);
    }
}

/// A stored pair is sent as the bytes it is stored as, whatever they are. A client that reads them sees
/// what the server sees in them.
fn stored_pair(data: &[u8]) {
    let stored = Kv {
        key: Bytes::from_static(b"k"),
        body: Bytes::copy_from_slice(data),
    };
    let sent = KeyValue::from(stored.clone()).encode_to_vec();
    assert_eq!(sent.len(), stored.message_len());
    assert!(sent.ends_with(data));
    let received = same::<KeyValue>(&sent);
    if let (Ok(view), Some(received)) = (stored.view(), received)
        // A key among the body's own fields is none of ours.
        && received.key() == b"k".as_slice()
    {
        assert_eq!(received.view(), view);
    }
}

/// The operation that a request by itself turns into, if it is accepted.
#[cfg(fuzzing)]
pub fn operation(op: pb::RequestOp) -> Option<crate::mvcc::ops::Op> {
    use super::pb::etcdserverpb::request_op::Request;
    use crate::mvcc::ops::Op;
    let op = match op.request? {
        Request::RequestRange(range) => Op::Range(convert::range(range).ok()?),
        Request::RequestPut(put) => Op::Put(convert::put(put).ok()?),
        Request::RequestDeleteRange(range) => Op::Delete(convert::delete(range).ok()?),
        Request::RequestTxn(txn) => Op::Txn(Box::new(convert::txn(txn, MAX_OPS).ok()?.0)),
    };
    Some(op)
}
