//! Hashes that etcd 3.5.30 gave for the same history, asked over its API.

use super::{Fixture, key, leased, point, put};
use crate::base::ids::LeaseId;
use crate::base::range::KeyRange;
use crate::mvcc::hash::hash_kv;
use crate::mvcc::ops::{DeleteOp, Op, PutOp, Txn};

fn deletion(range: KeyRange) -> DeleteOp {
    DeleteOp {
        range,
        prev_kv: false,
    }
}

/// Revisions 2 to 10.
fn history(fixture: &mut Fixture) {
    fixture.run(|session| {
        session.lease_grant(LeaseId(7), 100_000).unwrap();
        session.put(&put("a", "1")).unwrap();
        let with_lease = |name: &str, value: &str| PutOp {
            value: key(value),
            ..leased(name, 7)
        };
        session.put(&with_lease("b", "2")).unwrap();
        session.put(&put("a", "3")).unwrap();
        session.delete(&deletion(point("b"))).unwrap();
        session.put(&put("c", "")).unwrap();
        let success = vec![
            Op::Put(put("d", "x")),
            Op::Delete(deletion(point("a"))),
            Op::Put(with_lease("b", "again")),
        ];
        let txn = Txn {
            success,
            ..Txn::default()
        };
        session.txn(&txn).unwrap();
        session.put(&put("e", &"v".repeat(300))).unwrap();
        let c_to_e = KeyRange::from_wire(key("c"), key("e"));
        session.delete(&deletion(c_to_e)).unwrap();
        session.put(&put("f", "6")).unwrap();
    });
}

#[track_caller]
fn expect(fixture: &Fixture, expected: &[(i64, u32)]) {
    for &(revision, hash) in expected {
        let found = hash_kv(fixture.store(), fixture.state, revision);
        assert_eq!(found, Ok(hash), "at revision {revision}");
    }
}

#[test]
fn hashes_are_etcds() {
    let mut fixture = Fixture::new();
    expect(&fixture, &[(0, 1_084_519_789)]);
    history(&mut fixture);
    expect(
        &fixture,
        &[
            (2, 2_587_454_935),
            (5, 4_179_884_692),
            (7, 2_788_269_899),
            (8, 316_091_485),
            (9, 36_164_429),
            (10, 3_945_683_785),
            (0, 3_945_683_785),
        ],
    );
    fixture.compact(5);
    let at_5 = [
        (6, 244_968_164),
        (7, 320_402_949),
        (9, 1_467_921_664),
        (10, 31_684_420),
    ];
    expect(&fixture, &at_5);
    fixture.collect_garbage();
    expect(&fixture, &at_5);
    fixture.compact(8);
    expect(&fixture, &[(9, 1_700_783_613), (10, 2_741_916_735)]);
    fixture.compact(9);
    fixture.collect_garbage();
    expect(&fixture, &[(10, 1_428_987_181)]);
    // Nothing is alive at 11: etcd then hashes what was alive at the compacted revision.
    let all = KeyRange::from_wire(key("\0"), key("\0"));
    fixture.run(|session| session.delete(&deletion(all)).unwrap());
    expect(&fixture, &[(11, 946_287_994), (10, 1_428_987_181)]);
    fixture.put("g", "7");
    expect(&fixture, &[(11, 946_287_994), (12, 1_431_261_693)]);
}
