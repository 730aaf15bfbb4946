//! Physical removal changes no answer at or above the compacted revision, and does remove.

use super::{Fixture, key};
use crate::base::ids::{ChangeId, Revision};
use crate::base::range::KeyRange;
use crate::mvcc::ops::{RangeOp, RangeResult};
use crate::mvcc::{MvccError, history, load_state, read};
use crate::storage::keys::{event_key, parse_event_key};
use crate::storage::records::Record;
use crate::storage::{Batch, Family, MetaKey, Store};

/// Keys that live, keys that died before the compaction and keys that died after it.
fn history_with_deaths(fixture: &mut Fixture) -> Revision {
    for round in 0..5 {
        for index in 0..20 {
            fixture.put(&format!("key{index:02}"), &format!("round {round}"));
        }
    }
    for index in 0..5 {
        fixture.delete(&format!("key{index:02}"));
    }
    let middle = fixture.state.revision;
    for index in 5..10 {
        fixture.delete(&format!("key{index:02}"));
    }
    fixture.put("key00", "born again");
    fixture.put("key19", "last");
    middle
}

fn from_revision(fixture: &Fixture, first: Revision) -> Vec<RangeResult> {
    let revisions = first.0..=fixture.state.revision.0;
    let read = |revision| fixture.all_at(Revision(revision)).unwrap();
    revisions.map(read).collect()
}

fn stored_events(store: &Store) -> Vec<ChangeId> {
    let mut rows = store.scan(Family::Event, &[], None);
    let mut ids = Vec::new();
    while let Some((key, _)) = rows.row().unwrap() {
        ids.push(parse_event_key(key).unwrap());
        rows.advance();
    }
    ids
}

fn stored_tombstones(store: &Store) -> Vec<ChangeId> {
    let mut rows = store.scan(Family::Current, &[], None);
    let mut ids = Vec::new();
    while let Some((_, record)) = rows.row().unwrap() {
        if let Record::Tombstone { id } = Record::decode(record).unwrap() {
            ids.push(id);
        }
        rows.advance();
    }
    ids
}

#[test]
fn no_read_at_or_above_the_compaction_changes() {
    let mut fixture = Fixture::new();
    let middle = history_with_deaths(&mut fixture);
    fixture.compact(middle.0);
    let before = from_revision(&fixture, middle);
    fixture.collect_garbage();
    assert_eq!(from_revision(&fixture, middle), before);
    fixture.reopen();
    assert_eq!(from_revision(&fixture, middle), before);
    let below = fixture.all_at(Revision(middle.0 - 1));
    assert_eq!(below, Err(MvccError::Compacted));
}

#[test]
fn events_below_and_tombstones_up_to_the_compaction_go() {
    let mut fixture = Fixture::new();
    let middle = history_with_deaths(&mut fixture);
    // The files of events are moved below level 0, where they can be dropped whole.
    fixture.store().compact_all().unwrap();
    assert_eq!(stored_tombstones(fixture.store()).len(), 9);
    fixture.compact(middle.0);
    fixture.collect_garbage();
    let events = stored_events(fixture.store());
    assert_eq!(
        events.first(),
        Some(&ChangeId::new(middle, 0)),
        "the compacted revision stays"
    );
    assert_eq!(
        events.last().map(|id| id.revision),
        Some(fixture.state.revision)
    );
    let tombstones = stored_tombstones(fixture.store());
    assert_eq!(tombstones.len(), 5);
    assert!(tombstones.iter().all(|id| id.revision > middle));
    assert_eq!(fixture.store().take_removed(), 4);
    assert_eq!(fixture.store().take_removed(), 0);
}

#[test]
fn events_go_with_their_files_and_are_counted() {
    let mut fixture = Fixture::new();
    for n in 0..10 {
        fixture.put("a", &n.to_string());
    }
    // One file below level 0 with everything so far.
    fixture.store().compact_all().unwrap();
    let middle = fixture.state.revision.next();
    for n in 0..5 {
        fixture.put("b", &n.to_string());
    }
    fixture.compact(middle.0);
    fixture.store().drop_history(middle).unwrap();
    let events = stored_events(fixture.store());
    assert_eq!(events.first(), Some(&ChangeId::new(middle, 0)));
    assert_eq!(fixture.store().take_removed(), 10);
}

#[test]
fn nothing_goes_before_the_compaction_is_in_the_store() {
    let mut fixture = Fixture::new();
    let middle = history_with_deaths(&mut fixture);
    let events = stored_events(fixture.store());
    fixture.store().drop_history(middle).unwrap();
    fixture.store().compact_all().unwrap();
    assert_eq!(stored_events(fixture.store()), events);
    assert_eq!(stored_tombstones(fixture.store()).len(), 9);
}

#[test]
fn the_compaction_is_on_disk_before_anything_goes() {
    let mut fixture = Fixture::new();
    let middle = history_with_deaths(&mut fixture);
    fixture.store().flush().unwrap();
    fixture.compact(middle.0);
    fixture.store().drop_history(middle).unwrap();
    // A crash now must not bring back a state from before the compaction without its history.
    let crashed = super::durability::crash_copy(&fixture);
    let state = load_state(&crashed.store).unwrap();
    assert_eq!(state.compacted, Some(middle));
}

#[test]
fn history_at_the_compacted_revision_has_no_previous_value() {
    let mut fixture = Fixture::new();
    fixture.put("a", "1");
    fixture.put("a", "2");
    fixture.put("a", "3");
    fixture.compact(3);
    let read = |from| {
        let (store, state) = (fixture.store(), fixture.state);
        let all = KeyRange::all();
        history::changes(store, state, &all, from, state.revision, 100, 1 << 20)
    };
    let (changes, next) = read(Revision(3)).unwrap();
    let has_prev: Vec<bool> = changes
        .iter()
        .map(|change| change.event_bytes(true) != change.event_bytes(false))
        .collect();
    assert_eq!(has_prev, [false, true]);
    assert_eq!(next, Revision(5));
    assert_eq!(read(Revision(2)), Err(MvccError::Compacted));
}

#[test]
fn a_reader_that_falls_below_the_floor_is_refused() {
    let mut fixture = Fixture::new();
    let middle = history_with_deaths(&mut fixture);
    // What a reader holds that took the state before the compaction.
    let stale = fixture.state;
    fixture.compact(middle.0);
    fixture.collect_garbage();
    let op = |revision| RangeOp {
        revision: Some(revision),
        ..RangeOp::new(KeyRange::all())
    };
    let read = |revision| read::range(fixture.store(), stale, &op(revision));
    assert_eq!(read(Revision(50)), Err(MvccError::Compacted));
    assert!(read(middle).is_ok());
    let from = Revision(50);
    let all = KeyRange::all();
    let history = history::changes(fixture.store(), stale, &all, from, middle, 9, 1 << 20);
    assert_eq!(history, Err(MvccError::Compacted));
}

/// The tombstone of a key is gone, and with it the only trace that it was alive before: a reader below
/// must be told so, for a range as for one key.
#[test]
fn a_reader_below_a_removed_tombstone_is_refused() {
    let mut fixture = Fixture::new();
    let alive = fixture.put("a", "1");
    let died = fixture.delete("a");
    let stale = fixture.state;
    fixture.compact(died.0);
    fixture.collect_garbage();
    for range in [KeyRange::all(), KeyRange::point(key("a"))] {
        let op = RangeOp {
            revision: Some(alive),
            ..RangeOp::new(range)
        };
        let answer = read::range(fixture.store(), stale, &op);
        assert_eq!(answer, Err(MvccError::Compacted));
    }
}

/// Nothing was removed, but the key was born again after the compaction, and that change names no
/// predecessor: a reader below must not take this for "it did not exist".
#[test]
fn a_reader_below_a_forgotten_tombstone_is_refused() {
    let mut fixture = Fixture::new();
    let alive = fixture.put("a", "1");
    let died = fixture.delete("a");
    let stale = fixture.state;
    fixture.compact(died.0);
    fixture.put("a", "2");
    for range in [KeyRange::all(), KeyRange::point(key("a"))] {
        let op = |revision| RangeOp {
            revision: Some(revision),
            ..RangeOp::new(range.clone())
        };
        let read = |revision| read::range(fixture.store(), stale, &op(revision));
        assert_eq!(read(alive), Err(MvccError::Compacted));
        assert_eq!(read(died).unwrap().count, 0);
    }
}

#[test]
fn a_missing_event_is_corruption_and_not_an_answer() {
    let mut fixture = Fixture::new();
    fixture.put("a", "1");
    fixture.put("a", "2");
    let mut batch = Batch::default();
    let id = ChangeId::new(Revision(3), 0);
    let event = event_key(id);
    batch.delete(Family::Event, event.to_vec().into());
    batch.put_meta(MetaKey::Alarms, Vec::new());
    fixture.store().write(batch).unwrap();
    let error = fixture.all_at(Revision(2)).unwrap_err();
    assert!(error.is_fatal(), "{error}");
    let one = RangeOp::new(KeyRange::point(key("a")));
    assert!(fixture.range(&one).is_ok(), "the head does not need it");
}
