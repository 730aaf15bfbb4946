//! What the writer keeps of its writes: that it is used, and that it is never wrong. The tests against the
//! model play every command over it as well.

use bytes::Bytes;

use super::{FEW, Fixture, key, put};
use crate::base::ids::Revision;
use crate::mvcc::ops::PutOp;
use crate::mvcc::recent::{Limits, Recent};
use crate::mvcc::{MvccError, Session};
use crate::storage::records::Record;
use crate::storage::{Batch, Family, Store};

const MANY: Limits = Limits {
    records: 100,
    bytes: 1 << 20,
    record_bytes: 1 << 10,
};

/// Takes a key out of the store behind the writer's back.
fn lose(fixture: &Fixture, name: &str) {
    let mut batch = Batch::default();
    batch.delete(Family::Current, key(name));
    fixture.store().write(batch).unwrap();
}

fn replaced(fixture: &mut Fixture, op: &PutOp) -> Option<Bytes> {
    let op = PutOp {
        prev_kv: true,
        ..op.clone()
    };
    let store = fixture.store.as_ref().unwrap();
    let mut session = Session::begin_with(&mut fixture.recent, store, fixture.state);
    session.put(&op).unwrap().prev.map(|kv| kv.body)
}

#[test]
fn what_was_written_lately_is_not_read_from_the_store() {
    let mut fixture = Fixture::with_limits(MANY);
    fixture.put("a", "1");
    assert!(replaced(&mut fixture, &put("a", "2")).is_some());
    lose(&fixture, "a");
    assert!(replaced(&mut fixture, &put("a", "2")).is_some());
    fixture.recent = Recent::with_limits(MANY);
    assert_eq!(replaced(&mut fixture, &put("a", "2")), None);
}

#[test]
fn another_revision_has_other_records() {
    let mut fixture = Fixture::with_limits(MANY);
    fixture.put("a", "1");
    let (mut other, later) = (Fixture::new(), "2");
    other.put("a", "0");
    other.put("a", later);
    (fixture.store, fixture.state) = (other.store.take(), other.state);
    let found = replaced(&mut fixture, &put("a", "3")).unwrap();
    assert!(found.ends_with(later.as_bytes()));
    assert_eq!(fixture.recent.len(), 0);
}

#[test]
fn a_session_that_began_elsewhere_brings_only_its_own_records() {
    let mut fixture = Fixture::with_limits(MANY);
    fixture.put("a", "1");
    let mut past = Session::begin(fixture.store(), fixture.state);
    past.put(&put("a", "2")).unwrap();
    let applied = past.finish();
    fixture.state = applied.state;
    fixture.store().write(applied.batch).unwrap();
    let mut plain = Session::begin(fixture.store(), fixture.state);
    plain.put(&put("b", "1")).unwrap();
    let applied = plain.finish();
    fixture.state = applied.state;
    let store = fixture.store.as_ref().unwrap();
    fixture.recent.write(store, applied).unwrap();
    fixture.recent.assert_agrees(store, fixture.state);
    assert_eq!(fixture.recent.len(), 1);
}

#[test]
fn a_write_that_fails_leaves_nothing() {
    let mut fixture = Fixture::with_limits(MANY);
    fixture.put("a", "1");
    let copy = fixture.dir.path().join("copy");
    fixture.store().checkpoint(&copy).unwrap();
    let broken = Store::open_read_only(&copy).unwrap();
    let mut session = Session::begin_with(&mut fixture.recent, &broken, fixture.state);
    session.put(&put("a", "2")).unwrap();
    session.put(&put("b", "2")).unwrap();
    let applied = session.finish();
    assert!(fixture.recent.write(&broken, applied).is_err());
    assert_eq!(fixture.recent.len(), 0);
    fixture.put("a", "3");
}

#[test]
fn a_session_that_is_dropped_leaves_what_was_there() {
    let mut fixture = Fixture::with_limits(MANY);
    fixture.put("a", "1");
    assert!(replaced(&mut fixture, &put("a", "2")).is_some());
    fixture.recent.assert_agrees(fixture.store(), fixture.state);
    assert_eq!(fixture.recent.len(), 1);
}

#[test]
fn a_deleted_key_is_known_as_deleted() {
    let mut fixture = Fixture::with_limits(MANY);
    fixture.put("a", "1");
    let at = fixture.delete("a");
    let known = fixture.recent.get(b"a").unwrap();
    assert!(matches!(Record::decode(known), Ok(Record::Tombstone { id }) if id.revision == at));
    fixture.compact(at.get());
    fixture.collect_garbage();
    fixture.put("b", "1");
    fixture.recent.assert_agrees(fixture.store(), fixture.state);
    let again = PutOp {
        ignore_value: true,
        ..put("a", "")
    };
    let refused = fixture.run(|session| session.put(&again));
    assert_eq!(refused, Err(MvccError::KeyNotFound));
}

#[test]
fn the_oldest_goes_and_what_is_written_again_stays() {
    let mut fixture = Fixture::with_limits(Limits { records: 4, ..MANY });
    for index in 0..40 {
        fixture.put("often", "v");
        fixture.put(&format!("once{index}"), "v");
        assert!(fixture.recent.get(b"often").is_some());
        assert!(fixture.recent.len() <= 8);
    }
    assert!(fixture.recent.get(b"once0").is_none());
}

#[test]
fn bytes_are_bounded_and_a_heavy_record_hides_no_light_one() {
    let mut fixture = Fixture::with_limits(Limits {
        record_bytes: 400,
        bytes: 3000,
        ..MANY
    });
    fixture.put("a", "light");
    fixture.put("a", &"heavy".repeat(100));
    assert!(fixture.recent.get(b"a").is_none());
    assert_eq!(fixture.put("a", "light"), Revision(4));
    for index in 0..100 {
        fixture.put(&format!("k{index}"), &"x".repeat(300));
        assert!(fixture.recent.len() <= 16);
    }
}

#[test]
fn a_heavy_record_hides_no_light_one_of_the_old_generation() {
    let mut fixture = Fixture::with_limits(Limits {
        records: 2,
        record_bytes: 100,
        ..MANY
    });
    fixture.put("a", "light");
    fixture.put("b", "light");
    assert!(fixture.recent.get(b"a").is_some());
    fixture.put("a", &"heavy".repeat(100));
    assert!(fixture.recent.get(b"a").is_none());
}

#[test]
fn a_key_that_leaves_the_store_leaves_the_writer() {
    let mut fixture = Fixture::with_limits(FEW);
    fixture.put("a", "1");
    let store = fixture.store.as_ref().unwrap();
    let session = Session::begin_with(&mut fixture.recent, store, fixture.state);
    let mut applied = session.finish();
    applied.batch.delete(Family::Current, key("a"));
    fixture.recent.write(store, applied).unwrap();
    assert_eq!(fixture.recent.len(), 0);
}
