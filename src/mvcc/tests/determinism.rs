//! The same commands give the same logical content (I7), however they are grouped into batches and
//! whether or not anything was physically removed.

use proptest::prelude::*;

use super::Fixture;
use super::against_model::is_command;
use super::strategies::{Step, steps};
use crate::base::ids::ChangeId;
use crate::mvcc::{Session, hash, hash_state, validate};
use crate::storage::Family;
use crate::storage::keys::{event_key, parse_event_key};
use crate::storage::records::{Record, RecordError};

/// Runs one command; refusals are part of the behaviour and make no difference.
fn command(session: &mut Session<'_>, step: &Step) {
    let _ = match step {
        Step::Put(op) => session.put(op).map(|_| ()),
        Step::Delete(op) => session.delete(op).map(|_| ()),
        Step::Txn(txn) if validate::txn(txn, 128).is_ok() => session.txn(txn).map(|_| ()),
        Step::Compact(revision) => session.compact(*revision),
        Step::Grant(id, ttl) => session.lease_grant(*id, *ttl),
        Step::Revoke(id) => session.lease_revoke(*id).map(|_| ()),
        _ => Ok(()),
    };
}

/// All commands in one batch, and nothing removed.
fn in_one_batch(steps: &[Step]) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.run(|session| steps.iter().for_each(|step| command(session, step)));
    fixture
}

/// Each command in a batch of its own, with garbage collected after each compaction.
fn one_by_one(steps: &[Step]) -> Fixture {
    let mut fixture = Fixture::new();
    for step in steps.iter().filter(|step| is_command(step)) {
        fixture.run(|session| command(session, step));
        if matches!(step, Step::Compact(_)) {
            fixture.collect_garbage();
        }
    }
    fixture
}

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// What a column family holds, without what compaction allows to be gone.
fn logical(fixture: &Fixture, family: Family) -> Rows {
    let compacted = fixture.state.compacted.unwrap_or_default();
    let first = event_key(ChangeId::new(compacted, 0));
    let mut rows = fixture.store().scan(family, &[], None);
    let mut content = Rows::new();
    while let Some((key, value)) = rows.row().unwrap() {
        let gone = match family {
            Family::Current => is_forgotten(fixture, value).unwrap(),
            Family::Event => key < &first[..],
            _ => false,
        };
        if !gone {
            content.push((key.to_vec(), value.to_vec()));
        }
        rows.advance();
    }
    content
}

fn is_forgotten(fixture: &Fixture, record: &[u8]) -> Result<bool, RecordError> {
    Ok(match Record::decode(record)? {
        Record::Put { .. } => false,
        Record::Tombstone { id } => fixture.state.covers(id.revision),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn grouping_and_removal_make_no_difference(steps in steps()) {
        let (whole, pieces) = (in_one_batch(&steps), one_by_one(&steps));
        prop_assert_eq!(whole.state, pieces.state);
        for family in [Family::Current, Family::Event, Family::Lease, Family::Meta] {
            prop_assert_eq!(logical(&whole, family), logical(&pieces, family));
        }
        let hash = |fixture: &Fixture| hash::hash_kv(fixture.store(), fixture.state, 0).unwrap();
        prop_assert_eq!(hash(&whole), hash(&pieces));
        prop_assert_eq!(hash_state(whole.store()), hash_state(pieces.store()));
    }
}

#[test]
fn a_tombstone_that_may_be_gone_counts_as_absent() {
    let replaced_by_rebirth = |collect: bool| {
        let mut fixture = Fixture::new();
        fixture.put("a", "1");
        let died = fixture.delete("a");
        fixture.compact(died.0);
        if collect {
            fixture.collect_garbage();
        }
        fixture.put("a", "2");
        let events = logical(&fixture, Family::Event);
        let (key, record) = events.last().unwrap().clone();
        let id = parse_event_key(&key).unwrap();
        assert_eq!(id.revision, fixture.state.revision);
        record
    };
    assert_eq!(replaced_by_rebirth(false), replaced_by_rebirth(true));
}
