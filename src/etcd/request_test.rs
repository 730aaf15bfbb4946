use proptest::prelude::*;
use prost::Message;

use super::*;

const MAX_OPS: usize = 128;

fn range_request(key: &'static [u8]) -> pb::RangeRequest {
    pb::RangeRequest {
        key: Bytes::from_static(key),
        ..pb::RangeRequest::default()
    }
}

fn op(request: PbOp) -> pb::RequestOp {
    pb::RequestOp {
        request: Some(request),
    }
}

fn put_op(key: &'static [u8]) -> pb::RequestOp {
    op(PbOp::RequestPut(pb::PutRequest {
        key: Bytes::from_static(key),
        ..pb::PutRequest::default()
    }))
}

fn success(ops: Vec<pb::RequestOp>) -> pb::TxnRequest {
    pb::TxnRequest {
        success: ops,
        ..pb::TxnRequest::default()
    }
}

#[test]
fn zero_and_negative_numbers_mean_none() {
    let request = pb::RangeRequest {
        limit: -5,
        revision: -1,
        max_mod_revision: -1,
        ..range_request(b"k")
    };
    let op = range(request).unwrap();
    assert_eq!((op.limit, op.revision), (None, None));
    assert_eq!(op.filter.max_mod, Some(Revision(-1)));
    assert_eq!(op.filter.min_mod, None);
    assert_eq!(
        op,
        RangeOp {
            filter: op.filter,
            ..RangeOp::new(KeyRange::point(Bytes::from_static(b"k")))
        }
    );
}

#[test]
fn a_negative_revision_within_a_transaction_stays_one() {
    let request = pb::RangeRequest {
        revision: -1,
        ..range_request(b"k")
    };
    let (txn, _) = txn(success(vec![op(PbOp::RequestRange(request))]), MAX_OPS).unwrap();
    let Op::Range(op) = &txn.success[0] else {
        panic!("not a range");
    };
    assert_eq!(op.revision, Some(Revision(-1)));
}

#[test]
fn sort_options_are_etcds() {
    let sorted = |order, target| {
        range(pb::RangeRequest {
            sort_order: order,
            sort_target: target,
            ..range_request(b"k")
        })
        .map(|op| op.sort)
    };
    assert_eq!(sorted(0, 0), Ok(None));
    assert_eq!(sorted(1, 0), Ok(None));
    let by = |target, order| Ok(Some(Sort { target, order }));
    assert_eq!(sorted(2, 0), by(SortTarget::Key, SortOrder::Descending));
    assert_eq!(
        sorted(0, 2),
        by(SortTarget::CreateRevision, SortOrder::Unspecified)
    );
    assert_eq!(
        sorted(1, 2),
        by(SortTarget::CreateRevision, SortOrder::Ascending)
    );
    assert_eq!(sorted(2, 4), by(SortTarget::Value, SortOrder::Descending));
    assert_eq!(sorted(9, 0), Err(Refusal::InvalidSort));
    assert_eq!(sorted(0, 9), Err(Refusal::InvalidSort));
}

#[test]
fn an_empty_key_is_told_before_a_bad_sort() {
    let request = pb::RangeRequest {
        sort_target: 9,
        ..pb::RangeRequest::default()
    };
    assert_eq!(range(request), Err(Invalid::EmptyKey.into()));
    assert_eq!(
        delete(pb::DeleteRangeRequest::default()),
        Err(Invalid::EmptyKey.into())
    );
    assert_eq!(
        put(pb::PutRequest::default()),
        Err(Invalid::EmptyKey.into())
    );
}

#[test]
fn ignoring_what_is_given_is_refused() {
    let given = pb::PutRequest {
        key: Bytes::from_static(b"k"),
        value: Bytes::from_static(b"v"),
        lease: 7,
        ignore_value: true,
        ignore_lease: true,
        prev_kv: false,
    };
    assert_eq!(put(given.clone()), Err(Invalid::ValueProvided.into()));
    let without_value = pb::PutRequest {
        value: Bytes::new(),
        ..given
    };
    assert_eq!(put(without_value), Err(Invalid::LeaseProvided.into()));
}

#[test]
fn an_operation_that_is_none_is_a_missing_key() {
    let request = success(vec![pb::RequestOp::default()]);
    assert_eq!(txn(request, MAX_OPS).unwrap_err(), Refusal::NoOperation);
}

#[test]
fn nested_transactions_use_up_the_allowance_of_their_parent() {
    let nested = |inner: usize| {
        let read = op(PbOp::RequestRange(range_request(b"k")));
        let mut ops = vec![read.clone(); 126];
        ops.push(op(PbOp::RequestTxn(success(vec![read; inner]))));
        txn(success(ops), MAX_OPS).map(|_| ())
    };
    assert_eq!(nested(1), Ok(()));
    assert_eq!(nested(2), Err(Invalid::TooManyOps.into()));
}

#[test]
fn an_operand_of_another_target_is_not_looked_at() {
    let request = |target, union| {
        let compare = pb::Compare {
            key: Bytes::from_static(b"k"),
            target,
            target_union: union,
            ..pb::Compare::default()
        };
        let request = pb::TxnRequest {
            compare: vec![compare],
            ..pb::TxnRequest::default()
        };
        txn(request, MAX_OPS).map(|(txn, _)| txn.compares[0].target.clone())
    };
    assert_eq!(
        request(PbTarget::Mod.into(), Some(TargetUnion::Version(7))),
        Ok(CompareTarget::ModRevision(0))
    );
    assert_eq!(
        request(PbTarget::Value.into(), None),
        Ok(CompareTarget::Value(Bytes::new()))
    );
    assert_eq!(
        request(PbTarget::Lease.into(), Some(TargetUnion::Lease(-3))),
        Ok(CompareTarget::Lease(-3))
    );
    assert_eq!(request(9, None), Err(Refusal::InvalidCompare));
}

#[test]
fn unknown_compare_results_are_refused() {
    let compare = pb::Compare {
        key: Bytes::from_static(b"k"),
        result: 4,
        ..pb::Compare::default()
    };
    let request = pb::TxnRequest {
        compare: vec![compare],
        ..pb::TxnRequest::default()
    };
    assert_eq!(txn(request, MAX_OPS).unwrap_err(), Refusal::InvalidCompare);
}

#[test]
fn a_transaction_is_serializable_only_if_every_operation_is_a_serializable_range() {
    let read = |serializable| {
        op(PbOp::RequestRange(pb::RangeRequest {
            serializable,
            ..range_request(b"k")
        }))
    };
    let of = |success, failure| {
        let request = pb::TxnRequest {
            success,
            failure,
            ..pb::TxnRequest::default()
        };
        txn(request, MAX_OPS).unwrap().1
    };
    assert_eq!(of(vec![], vec![]), Consistency::Serializable);
    assert_eq!(
        of(vec![read(true)], vec![read(true)]),
        Consistency::Serializable
    );
    assert_eq!(
        of(vec![read(true)], vec![read(false)]),
        Consistency::Linearizable
    );
    assert_eq!(
        of(vec![read(true)], vec![put_op(b"k")]),
        Consistency::Linearizable
    );
}

/// The depth of a chain of transactions, one in the other, that survives its own encoding.
fn decoded_chain(depth: usize) -> Result<Checked<usize>, prost::DecodeError> {
    let chain = (1..depth).fold(success(vec![]), |inner, _| {
        success(vec![op(PbOp::RequestTxn(inner))])
    });
    let decoded = pb::TxnRequest::decode(chain.encode_to_vec().as_slice())?;
    Ok(txn(decoded, MAX_OPS).map(|(txn, _)| {
        let mut depth = 1;
        let mut level = &txn;
        while let Some(Op::Txn(inner)) = level.success.first() {
            level = inner;
            depth += 1;
        }
        depth
    }))
}

#[test]
fn deep_nesting_is_converted_until_decoding_refuses_it() {
    assert_eq!(decoded_chain(40).unwrap(), Ok(40));
    assert!(decoded_chain(100).is_err());
}

fn any_key() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(0_u8..3, 0..3).prop_map(Bytes::from)
}

fn any_op() -> impl Strategy<Value = pb::RequestOp> + Clone {
    let range = (any_key(), any_key(), -2_i64..3, -1_i32..4, any::<bool>()).prop_map(
        |(key, range_end, revision, sort_order, serializable)| {
            PbOp::RequestRange(pb::RangeRequest {
                key,
                range_end,
                revision,
                sort_order,
                serializable,
                ..pb::RangeRequest::default()
            })
        },
    );
    let put = (any_key(), any_key(), any::<bool>()).prop_map(|(key, value, ignore_value)| {
        PbOp::RequestPut(pb::PutRequest {
            key,
            value,
            ignore_value,
            ..pb::PutRequest::default()
        })
    });
    let delete = (any_key(), any_key()).prop_map(|(key, range_end)| {
        PbOp::RequestDeleteRange(pb::DeleteRangeRequest {
            key,
            range_end,
            prev_kv: false,
        })
    });
    let leaf = prop_oneof![
        range.prop_map(op),
        put.prop_map(op),
        delete.prop_map(op),
        Just(pb::RequestOp::default()),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        any_txn(inner).prop_map(|txn| op(PbOp::RequestTxn(txn)))
    })
}

fn any_txn(
    ops: impl Strategy<Value = pb::RequestOp> + Clone,
) -> impl Strategy<Value = pb::TxnRequest> {
    let compare = (any_key(), -1_i32..6, -1_i32..5).prop_map(|(key, target, result)| pb::Compare {
        key,
        target,
        result,
        ..pb::Compare::default()
    });
    let branch = proptest::collection::vec(ops, 0..4);
    (
        proptest::collection::vec(compare, 0..2),
        branch.clone(),
        branch,
    )
        .prop_map(|(compare, success, failure)| pb::TxnRequest {
            compare,
            success,
            failure,
        })
}

fn count(txn: &Txn) -> usize {
    let ops = txn.success.iter().chain(&txn.failure);
    let nested = ops.map(|op| match op {
        Op::Txn(txn) => 1 + count(txn),
        Op::Range(_) | Op::Put(_) | Op::Delete(_) => 1,
    });
    nested.sum()
}

fn requested(txn: &pb::TxnRequest) -> usize {
    let ops = txn.success.iter().chain(&txn.failure);
    let nested = ops.map(|op| match &op.request {
        Some(PbOp::RequestTxn(txn)) => 1 + requested(txn),
        _ => 1,
    });
    nested.sum()
}

proptest! {
    /// Whatever bytes arrive, decoding and conversion end in an operation or an error.
    #[test]
    fn arbitrary_bytes_are_converted_or_refused(bytes: Vec<u8>) {
        let _ = pb::RangeRequest::decode(bytes.as_slice()).map(range);
        let _ = pb::PutRequest::decode(bytes.as_slice()).map(put);
        let _ = pb::DeleteRangeRequest::decode(bytes.as_slice()).map(delete);
        let _ = pb::TxnRequest::decode(bytes.as_slice()).map(|request| txn(request, MAX_OPS));
        // As an operation of a transaction, so that more of the bytes decode.
        let mut nested = vec![0x12];
        prost::encoding::encode_varint(bytes.len() as u64, &mut nested);
        nested.extend_from_slice(&bytes);
        let _ = pb::TxnRequest::decode(nested.as_slice()).map(|request| txn(request, MAX_OPS));
    }

    /// Transactions that are well formed on the wire end in all of their operations or in an error.
    #[test]
    fn no_operation_is_lost(request in any_txn(any_op()), max_ops in 0_usize..6) {
        let asked = requested(&request);
        if let Ok((txn, _)) = txn(request, max_ops) {
            prop_assert_eq!(count(&txn), asked);
        }
    }

    #[test]
    fn arbitrary_enum_values_never_panic(order: i32, target: i32, result: i32) {
        let _ = sort(order, target);
        let _ = compare(pb::Compare { target, result, ..pb::Compare::default() });
    }
}
