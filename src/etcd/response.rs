//! From results to responses: headers as etcd fills them, key-values as they are stored.

use super::pb::etcdserverpb as pb;
use super::pb::etcdserverpb::response_op::Response as PbResult;
use super::wire::KeyValue;
use crate::base::kv::Kv;
use crate::engine::{Header, Member};
use crate::mvcc::ops::{DeleteResult, OpResult, PutResult, RangeResult, TxnResult};

/// The header of most responses.
pub(super) const fn header(header: Header) -> Option<pb::ResponseHeader> {
    Some(pb::ResponseHeader {
        cluster_id: header.cluster_id.0,
        member_id: header.member_id.0,
        revision: header.revision.0,
        raft_term: header.raft_term,
    })
}

/// The header of responses about the cluster, which name no revision.
pub(super) const fn cluster_header(of: Header) -> Option<pb::ResponseHeader> {
    match header(of) {
        Some(filled) => Some(pb::ResponseHeader {
            revision: 0,
            ..filled
        }),
        None => None,
    }
}

/// The header within a transaction's response: nothing but the revision.
fn inner_header(revision: i64) -> Option<pb::ResponseHeader> {
    Some(pb::ResponseHeader {
        revision,
        ..pb::ResponseHeader::default()
    })
}

/// Wraps stored pairs. The list is reused in place.
pub(super) fn kvs(kvs: Vec<Kv>) -> Vec<KeyValue> {
    kvs.into_iter().map(KeyValue::from).collect()
}

pub(super) fn range(header: Option<pb::ResponseHeader>, result: RangeResult) -> pb::RangeResponse {
    pb::RangeResponse {
        header,
        kvs: kvs(result.kvs),
        more: result.more,
        count: result.count,
    }
}

pub(super) fn put(header: Option<pb::ResponseHeader>, result: PutResult) -> pb::PutResponse {
    pb::PutResponse {
        header,
        prev_kv: result.prev.map(KeyValue::from),
    }
}

pub(super) fn delete(
    header: Option<pb::ResponseHeader>,
    result: DeleteResult,
) -> pb::DeleteRangeResponse {
    pb::DeleteRangeResponse {
        header,
        deleted: result.deleted,
        prev_kvs: kvs(result.prevs),
    }
}

pub(super) fn txn(of: Header, result: TxnResult) -> pb::TxnResponse {
    let after = of.revision.0;
    let mut revision = if changed(&result) { after - 1 } else { after };
    txn_part(header(of), result, &mut revision, after)
}

/// Whether a transaction changed anything, and so took a revision of its own.
fn changed(result: &TxnResult) -> bool {
    result.results.iter().any(|result| match result {
        OpResult::Put(_) => true,
        OpResult::Delete(result) => result.deleted > 0,
        OpResult::Range(_) => false,
        OpResult::Txn(inner) => changed(inner),
    })
}

/// Inner headers carry the revision as of their operation: `revision` is the one before the transaction
/// until the first change, and `after` from then on.
fn txn_part(
    header: Option<pb::ResponseHeader>,
    result: TxnResult,
    revision: &mut i64,
    after: i64,
) -> pb::TxnResponse {
    let succeeded = result.succeeded;
    let responses = result.results.into_iter().map(|result| {
        let response = match result {
            OpResult::Range(result) => {
                PbResult::ResponseRange(range(inner_header(*revision), result))
            }
            OpResult::Put(result) => {
                *revision = after;
                PbResult::ResponsePut(put(inner_header(*revision), result))
            }
            OpResult::Delete(result) => {
                if result.deleted > 0 {
                    *revision = after;
                }
                PbResult::ResponseDeleteRange(delete(inner_header(*revision), result))
            }
            OpResult::Txn(inner) => {
                // A nested response has a header, and nothing in it.
                let header = Some(pb::ResponseHeader::default());
                PbResult::ResponseTxn(txn_part(header, inner, revision, after))
            }
        };
        pb::ResponseOp {
            response: Some(response),
        }
    });
    pb::TxnResponse {
        header,
        succeeded,
        responses: responses.collect(),
    }
}

pub(super) fn member(member: Member) -> pb::Member {
    pb::Member {
        id: member.id,
        name: member.name,
        peer_ur_ls: member.peer_urls,
        client_ur_ls: member.client_urls,
        is_learner: member.is_learner,
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::base::ids::{ClusterId, MemberId, Revision};

    const HEADER: Header = Header {
        cluster_id: ClusterId(1),
        member_id: MemberId(2),
        revision: Revision(9),
        raft_term: 3,
    };

    fn revision_of(response: &pb::ResponseOp) -> i64 {
        let header = match response.response.as_ref().unwrap() {
            PbResult::ResponseRange(response) => &response.header,
            PbResult::ResponsePut(response) => &response.header,
            PbResult::ResponseDeleteRange(response) => &response.header,
            PbResult::ResponseTxn(response) => &response.header,
        };
        let header = header.as_ref().unwrap();
        assert_eq!(
            (header.cluster_id, header.member_id, header.raft_term),
            (0, 0, 0)
        );
        header.revision
    }

    #[test]
    fn cluster_headers_have_no_revision() {
        let header = cluster_header(HEADER).unwrap();
        assert_eq!(
            (header.member_id, header.revision, header.raft_term),
            (2, 0, 3)
        );
    }

    #[test]
    fn inner_headers_follow_the_revision_through_the_transaction() {
        let nested = TxnResult {
            succeeded: true,
            results: vec![OpResult::Put(PutResult::default())],
        };
        let result = TxnResult {
            succeeded: true,
            results: vec![
                OpResult::Range(RangeResult::default()),
                OpResult::Delete(DeleteResult::default()),
                OpResult::Txn(nested),
                OpResult::Range(RangeResult::default()),
            ],
        };
        let response = txn(HEADER, result);
        assert_eq!(response.header, header(HEADER));
        let revisions: Vec<i64> = response.responses.iter().map(revision_of).collect();
        assert_eq!(revisions, [8, 8, 0, 9]);
        let Some(PbResult::ResponseTxn(inner)) = &response.responses[2].response else {
            panic!("not a transaction");
        };
        assert_eq!(revision_of(&inner.responses[0]), 9);
        assert_eq!(inner.header.as_ref().map(Message::encoded_len), Some(0));
    }

    #[test]
    fn without_a_change_every_inner_header_has_the_store_revision() {
        let result = TxnResult {
            succeeded: false,
            results: vec![
                OpResult::Delete(DeleteResult::default()),
                OpResult::Range(RangeResult::default()),
            ],
        };
        let response = txn(HEADER, result);
        let revisions: Vec<i64> = response.responses.iter().map(revision_of).collect();
        assert_eq!(revisions, [9, 9]);
    }

    #[test]
    fn lists_of_pairs_are_wrapped_in_place() {
        assert_eq!(size_of::<Kv>(), size_of::<KeyValue>());
    }
}
