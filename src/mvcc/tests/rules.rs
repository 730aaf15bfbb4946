//! etcd's rules that are easy to get wrong, one by one (etcd API contract: revision model, put, delete,
//! transactions, leases, compaction).

use bytes::Bytes;

use super::{Fixture, key, leased, point, put};
use crate::base::change::ChangeKind;
use crate::base::ids::{ChangeId, LeaseId, Revision};
use crate::base::kv::Kv;
use crate::base::range::KeyRange;
use crate::mvcc::ops::{
    Compare, CompareResult, CompareTarget, DeleteOp, Op, OpResult, PutOp, RangeOp, RangeResult,
    Txn, TxnResult,
};
use crate::mvcc::validate::{self, Invalid};
use crate::mvcc::{MvccError, Session, State, lease, read};

const MAX_OPS: usize = 128;

fn get(name: &str) -> Op {
    Op::Range(RangeOp::new(point(name)))
}

fn get_at(name: &str, revision: i64) -> Op {
    Op::Range(RangeOp {
        revision: Some(Revision(revision)),
        ..RangeOp::new(point(name))
    })
}

fn delete(range: KeyRange) -> Op {
    Op::Delete(DeleteOp {
        range,
        prev_kv: false,
    })
}

fn nested(compares: Vec<Compare>, success: Vec<Op>, failure: Vec<Op>) -> Op {
    Op::Txn(Box::new(Txn {
        compares,
        success,
        failure,
    }))
}

fn all(success: Vec<Op>) -> Txn {
    Txn {
        success,
        ..Txn::default()
    }
}

fn compare(name: &str, result: CompareResult, target: CompareTarget) -> Compare {
    Compare {
        range: point(name),
        result,
        target,
    }
}

fn exists(name: &str) -> Compare {
    compare(
        name,
        CompareResult::Greater,
        CompareTarget::CreateRevision(0),
    )
}

fn run(fixture: &mut Fixture, txn: &Txn) -> Result<TxnResult, MvccError> {
    fixture.run(|session| session.txn(txn))
}

fn value_in(result: &OpResult) -> Option<Vec<u8>> {
    match result {
        OpResult::Range(RangeResult { kvs, .. }) => value_of(kvs.first()),
        other => panic!("not a range result: {other:?}"),
    }
}

fn value_of(kv: Option<&Kv>) -> Option<Vec<u8>> {
    kv.map(|kv| kv.view().unwrap().value.to_vec())
}

#[test]
fn revisions_count_the_transactions_that_change_something() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.state, State::default());
    assert_eq!(fixture.state.revision, Revision(1));
    assert_eq!(fixture.put("a", "1"), Revision(2));
    assert_eq!(fixture.put("a", "1"), Revision(3), "the same value counts");
    assert_eq!(fixture.delete("b"), Revision(3), "no hit does not");
    assert_eq!(fixture.delete("a"), Revision(4));
    run(&mut fixture, &all(vec![get("a"), delete(point("b"))])).unwrap();
    assert_eq!(fixture.state.revision, Revision(4));
    run(
        &mut fixture,
        &all(vec![Op::Put(put("a", "")), Op::Put(put("b", ""))]),
    )
    .unwrap();
    assert_eq!(fixture.state.revision, Revision(5));
    let fresh = fixture.all_at(Revision(5)).unwrap();
    let meta = fresh.kvs[0].view().unwrap().meta;
    assert_eq!(
        (meta.create_revision, meta.version),
        (Revision(5), 1),
        "a new generation"
    );
}

#[test]
fn a_value_condition_on_a_missing_key_never_holds() {
    let mut fixture = Fixture::new();
    let value = |result| compare("none", result, CompareTarget::Value(Bytes::new()));
    for result in [
        CompareResult::Equal,
        CompareResult::NotEqual,
        CompareResult::Less,
        CompareResult::Greater,
    ] {
        let txn = Txn {
            compares: vec![value(result)],
            ..Txn::default()
        };
        assert!(!run(&mut fixture, &txn).unwrap().succeeded);
    }
    let zero = compare("none", CompareResult::Equal, CompareTarget::Version(0));
    let txn = Txn {
        compares: vec![zero],
        ..Txn::default()
    };
    assert!(run(&mut fixture, &txn).unwrap().succeeded);
}

#[test]
fn a_condition_over_a_range_needs_every_key() {
    let mut fixture = Fixture::new();
    fixture.put("k1", "x");
    fixture.put("k2", "x");
    let over = |target| Txn {
        compares: vec![Compare {
            range: KeyRange::prefix(key("k")),
            result: CompareResult::Equal,
            target,
        }],
        ..Txn::default()
    };
    let by_value = over(CompareTarget::Value(key("x")));
    assert!(run(&mut fixture, &by_value).unwrap().succeeded);
    let by_version = over(CompareTarget::Version(1));
    fixture.put("k2", "x");
    assert!(!run(&mut fixture, &by_version).unwrap().succeeded);
}

#[test]
fn conditions_of_the_whole_tree_see_the_state_before() {
    let mut fixture = Fixture::new();
    let inner = nested(
        vec![exists("a")],
        vec![Op::Put(put("seen", ""))],
        vec![Op::Put(put("unseen", ""))],
    );
    let result = run(&mut fixture, &all(vec![Op::Put(put("a", "1")), inner])).unwrap();
    let OpResult::Txn(inner) = &result.results[1] else {
        panic!("nested result expected");
    };
    assert!(!inner.succeeded);
    let keys = fixture.all_at(fixture.state.revision).unwrap().kvs;
    let keys: Vec<&[u8]> = keys.iter().map(|kv| kv.key.as_ref()).collect();
    assert_eq!(keys, [&b"a"[..], b"unseen"]);
}

#[test]
fn operations_see_the_writes_before_them() {
    let mut fixture = Fixture::new();
    fixture.put("a", "old");
    let ops = vec![
        get("a"),
        Op::Put(put("a", "new")),
        get("a"),
        get_at("a", 2),
        nested(vec![], vec![get("a")], vec![]),
    ];
    let results = run(&mut fixture, &all(ops)).unwrap().results;
    assert_eq!(value_in(&results[0]).as_deref(), Some(&b"old"[..]));
    assert_eq!(value_in(&results[2]).as_deref(), Some(&b"new"[..]));
    assert_eq!(
        value_in(&results[3]).as_deref(),
        Some(&b"old"[..]),
        "a read at a revision sees that revision"
    );
    let OpResult::Txn(inner) = &results[4] else {
        panic!("nested result expected");
    };
    assert_eq!(value_in(&inner.results[0]).as_deref(), Some(&b"new"[..]));
}

#[test]
fn the_path_taken_is_checked_before_anything_runs() {
    let mut fixture = Fixture::new();
    fixture.put("a", "1");
    let missing_lease = Op::Put(leased("x", 99));
    let ignore_value = Op::Put(PutOp {
        ignore_value: true,
        value: Bytes::new(),
        ..put("x", "")
    });
    let refused = [
        (missing_lease.clone(), MvccError::LeaseNotFound),
        (ignore_value, MvccError::KeyNotFound),
        (get_at("a", 3), MvccError::FutureRevision),
    ];
    for (op, error) in refused {
        let txn = all(vec![Op::Put(put("a", "2")), op]);
        assert_eq!(run(&mut fixture, &txn), Err(error));
        assert_eq!(fixture.state.revision, Revision(2));
    }
    let now = fixture.all_at(Revision(2)).unwrap();
    assert_eq!(value_of(now.kvs.first()).as_deref(), Some(&b"1"[..]));
    // The other branch may hold what would be refused.
    let txn = Txn {
        failure: vec![missing_lease],
        success: vec![Op::Put(put("a", "2"))],
        ..Txn::default()
    };
    assert!(run(&mut fixture, &txn).unwrap().succeeded);
}

#[test]
fn a_failed_command_leaves_no_trace_in_its_session() {
    let fixture = Fixture::new();
    let mut session = Session::begin(fixture.store(), fixture.state);
    session.put(&put("a", "1")).unwrap();
    assert!(session.put(&leased("b", 5)).is_err());
    let txn = all(vec![Op::Put(put("c", "")), Op::Put(leased("b", 5))]);
    assert!(session.txn(&txn).is_err());
    assert!(session.compact(9).is_err());
    assert!(session.lease_revoke(LeaseId(5)).is_err());
    let applied = session.finish();
    assert_eq!(applied.state.revision, Revision(2));
    let changed: Vec<&[u8]> = applied.changes.iter().map(|c| c.key.as_ref()).collect();
    assert_eq!(changed, [&b"a"[..]]);
}

#[test]
fn negative_revisions_follow_etcds_quirk() {
    let mut fixture = Fixture::new();
    fixture.put("a", "1");
    let minus = |revision| all(vec![get_at("a", revision), Op::Put(put("b", ""))]);
    assert!(run(&mut fixture, &minus(-1)).is_ok());
    assert_eq!(run(&mut fixture, &minus(-2)), Err(MvccError::Compacted));
    fixture.compact(0);
    assert_eq!(fixture.state.compacted, Some(Revision(0)));
    assert_eq!(run(&mut fixture, &minus(-1)), Err(MvccError::Compacted));
    let read_only = all(vec![get_at("a", -1)]);
    let answer = read::txn(fixture.store(), fixture.state, &read_only);
    assert_eq!(answer, Err(MvccError::Compacted));
}

#[test]
fn compaction_bounds_are_etcds() {
    let mut fixture = Fixture::new();
    fixture.put("a", "1");
    fixture.put("a", "2");
    let compact = |fixture: &mut Fixture, to| fixture.run(|session| session.compact(to));
    assert_eq!(compact(&mut fixture, -1), Err(MvccError::Compacted));
    assert_eq!(compact(&mut fixture, 4), Err(MvccError::FutureRevision));
    assert_eq!(compact(&mut fixture, 0), Ok(()));
    assert_eq!(compact(&mut fixture, 0), Err(MvccError::Compacted));
    assert_eq!(compact(&mut fixture, 3), Ok(()), "to the current revision");
    assert_eq!(compact(&mut fixture, 3), Err(MvccError::Compacted));
    assert_eq!(fixture.all_at(Revision(2)), Err(MvccError::Compacted));
    assert!(fixture.all_at(Revision(3)).is_ok());
    assert_eq!(fixture.all_at(Revision(4)), Err(MvccError::FutureRevision));
}

#[test]
fn leases_attach_move_and_take_their_keys_along() {
    let mut fixture = Fixture::new();
    let keys = |fixture: &Fixture, id| lease::keys(fixture.store(), LeaseId(id)).unwrap();
    fixture.run(|session| {
        session.lease_grant(LeaseId(1), 10).unwrap();
        session.lease_grant(LeaseId(-2), 20).unwrap();
        let again = session.lease_grant(LeaseId(1), 30);
        assert_eq!(again, Err(MvccError::LeaseExists));
        let none = session.lease_grant(LeaseId::NONE, 30);
        assert_eq!(none, Err(MvccError::LeaseNotFound));
        for name in ["z", "a", "m"] {
            session.put(&leased(name, 1)).unwrap();
        }
    });
    assert_eq!(keys(&fixture, 1), ["a", "m", "z"].map(key));
    fixture.run(|session| {
        session.put(&leased("m", -2)).unwrap();
        // Zero detaches.
        session.put(&put("z", "")).unwrap();
    });
    assert_eq!(keys(&fixture, 1), ["a"].map(key));
    assert_eq!(keys(&fixture, -2), ["m"].map(key));
    let before = fixture.state.revision;
    let gone = fixture.run(|session| {
        session.put(&leased("b", 1)).unwrap();
        session.lease_revoke(LeaseId(1))
    });
    assert_eq!(gone, Ok(["a", "b"].map(key).to_vec()));
    assert_eq!(fixture.state.revision.0, before.0 + 2, "one for all keys");
    assert_eq!(lease::get(fixture.store(), LeaseId(1)), Ok(None));
    assert!(keys(&fixture, 1).is_empty());
    fixture.delete("m");
    assert!(keys(&fixture, -2).is_empty());
    let before = fixture.state.revision;
    fixture.run(|session| session.lease_revoke(LeaseId(-2)).unwrap());
    assert_eq!(fixture.state.revision, before, "no key, no revision");
}

#[test]
fn ignored_parts_of_a_put_are_kept() {
    let mut fixture = Fixture::new();
    fixture.run(|session| {
        session.lease_grant(LeaseId(1), 10).unwrap();
        session.put(&leased("a", 1)).unwrap();
        let keep_both = PutOp {
            value: Bytes::new(),
            ignore_value: true,
            ignore_lease: true,
            prev_kv: true,
            ..put("a", "")
        };
        let prev = session.put(&keep_both).unwrap().prev.unwrap();
        assert_eq!(prev.view().unwrap().meta.version, 1);
    });
    let kv = &fixture.all_at(fixture.state.revision).unwrap().kvs[0];
    let view = kv.view().unwrap();
    assert_eq!(view.value, b"leased");
    assert_eq!((view.meta.lease, view.meta.version), (LeaseId(1), 2));
}

#[test]
fn changes_name_what_they_replaced() {
    let fixture = Fixture::new();
    let mut session = Session::begin(fixture.store(), fixture.state);
    session.put(&put("a", "1")).unwrap();
    session
        .txn(&all(vec![
            Op::Put(put("b", "1")),
            delete(KeyRange::from_wire(key("a"), key("b"))),
        ]))
        .unwrap();
    let changes = session.finish().changes;
    let summary: Vec<(ChangeId, ChangeKind, bool)> = changes
        .iter()
        .map(|change| {
            let has_prev = change.prev_at < change.event.len();
            (change.id, change.kind, has_prev)
        })
        .collect();
    let id = |revision, sub| ChangeId::new(Revision(revision), sub);
    assert_eq!(
        summary,
        [
            (id(2, 0), ChangeKind::Put, false),
            (id(3, 0), ChangeKind::Put, false),
            (id(3, 1), ChangeKind::Delete, true),
        ]
    );
}

#[test]
fn requests_are_validated_as_etcd_does() {
    assert_eq!(validate::put(&put("", "v")), Err(Invalid::EmptyKey));
    let op = PutOp {
        ignore_value: true,
        ..put("a", "v")
    };
    assert_eq!(validate::put(&op), Err(Invalid::ValueProvided));
    let op = PutOp {
        ignore_lease: true,
        ..leased("a", 1)
    };
    assert_eq!(validate::put(&op), Err(Invalid::LeaseProvided));
    let nothing = KeyRange::from_wire(Bytes::new(), key("z"));
    let op = DeleteOp {
        range: nothing.clone(),
        prev_kv: false,
    };
    assert_eq!(validate::delete(&op), Err(Invalid::EmptyKey));
    assert_eq!(
        validate::range(&RangeOp::new(nothing)),
        Err(Invalid::EmptyKey)
    );
}

#[test]
fn nested_transactions_share_what_the_parent_leaves() {
    let puts = |count: usize| -> Vec<Op> {
        let names = (0..count).map(|index| format!("key{index}"));
        names.map(|name| Op::Put(put(&name, ""))).collect()
    };
    assert_eq!(validate::txn(&all(puts(128)), MAX_OPS), Ok(()));
    let too_many = Err(Invalid::TooManyOps);
    assert_eq!(validate::txn(&all(puts(129)), MAX_OPS), too_many);
    let with_nested = |inner: usize| {
        let mut ops = puts(126);
        let names = (0..inner).map(|index| Op::Put(put(&format!("inner{index}"), "")));
        ops.push(nested(vec![], names.collect(), vec![]));
        all(ops)
    };
    assert_eq!(validate::txn(&with_nested(1), MAX_OPS), Ok(()));
    assert_eq!(validate::txn(&with_nested(2), MAX_OPS), too_many);
}

#[test]
fn a_key_changes_at_most_once_in_a_transaction() {
    let a = || Op::Put(put("a", ""));
    let covering = || delete(KeyRange::from_wire(key("a"), key("b")));
    let in_success = |op| nested(vec![], vec![op], vec![]);
    let in_failure = |op| nested(vec![], vec![], vec![op]);
    let refused = [
        vec![a(), a()],
        vec![a(), covering()],
        vec![covering(), a()],
        vec![a(), in_success(a())],
        vec![in_failure(a()), a()],
        vec![in_success(a()), covering()],
        vec![in_success(a()), in_success(a())],
        vec![in_success(a()), in_failure(a())],
        vec![in_success(covering()), in_success(a())],
        // Stricter than etcd, which lets these two through by accident.
        vec![in_success(a()), in_success(covering())],
        vec![a(), delete(KeyRange::from_wire(key("a"), key("\0")))],
    ];
    for ops in refused {
        let shown = format!("{ops:?}");
        assert_eq!(
            validate::txn(&all(ops), MAX_OPS),
            Err(Invalid::DuplicateKey),
            "{shown}"
        );
    }
    let accepted = [
        vec![nested(vec![], vec![a()], vec![a()])],
        vec![nested(vec![], vec![a()], vec![covering()])],
        vec![covering(), covering()],
        vec![a(), delete(KeyRange::from_wire(key("b"), key("c")))],
        vec![a(), get("a"), get("a")],
    ];
    for ops in accepted {
        let shown = format!("{ops:?}");
        assert_eq!(validate::txn(&all(ops), MAX_OPS), Ok(()), "{shown}");
    }
    let either = Txn {
        success: vec![a()],
        failure: vec![a()],
        ..Txn::default()
    };
    assert_eq!(validate::txn(&either, MAX_OPS), Ok(()));
}
