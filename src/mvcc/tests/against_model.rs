//! Every answer equals the model's, whatever the order of commands, batches, flushes, removals and
//! restarts (I4, I5), at every revision that is not compacted.

use std::collections::BTreeSet;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::model::{Event, Model, kv};
use super::strategies::{Step, range, range_op, steps, txn};
use super::{FEW, Fixture};
use crate::base::change::{Change, ChangeKind};
use crate::base::ids::{ChangeId, LeaseId, Revision};
use crate::base::kv::{Kv, KvMeta};
use crate::base::range::KeyRange;
use crate::mvcc::ops::{RangeOp, Txn};
use crate::mvcc::recent::Limits;
use crate::mvcc::{
    Applied, CountCache, MvccError, Session, State, hash, history, lease, read, validate,
};
use crate::storage::records::event_record;

const MAX_OPS: usize = 128;

/// Applies one command to both and compares the outcome.
fn apply(session: &mut Session<'_>, model: &mut Model, step: &Step) {
    match step {
        Step::Put(op) => assert_eq!(session.put(op), model.put(op)),
        Step::Delete(op) => assert_eq!(session.delete(op), Ok(model.delete(op))),
        Step::Txn(txn) => {
            if validate::txn(txn, MAX_OPS).is_ok() {
                assert_eq!(session.txn(txn), model.txn(txn));
            }
        }
        Step::Compact(revision) => {
            assert_eq!(session.compact(*revision), model.compact(*revision));
        }
        Step::Grant(id, ttl) => {
            assert_eq!(session.lease_grant(*id, *ttl), model.grant(*id, *ttl));
        }
        Step::Revoke(id) => assert_eq!(session.lease_revoke(*id), model.revoke(*id)),
        Step::Write | Step::Flush | Step::CollectGarbage | Step::Reopen => {}
    }
    assert_eq!(session.state(), state_of(model));
}

pub(super) fn is_command(step: &Step) -> bool {
    !matches!(
        step,
        Step::Write | Step::Flush | Step::CollectGarbage | Step::Reopen
    )
}

/// Runs the steps on a store and on the model.
fn play(fixture: &mut Fixture, model: &mut Model, steps: &[Step]) {
    for run in steps.chunk_by(|before, after| is_command(before) && is_command(after)) {
        fixture.run(|session| {
            for step in run {
                apply(session, model, step);
            }
        });
        match run {
            [Step::Flush] => fixture.store().flush().unwrap(),
            [Step::CollectGarbage] => fixture.collect_garbage(),
            [Step::Reopen] => fixture.reopen(),
            _ => {}
        }
    }
}

fn state_of(model: &Model) -> State {
    State {
        revision: Revision(model.revision),
        compacted: model.compacted.map(Revision),
    }
}

/// The event as it is stored, made from the model's knowledge.
fn change_of(model: &Model, event: &Event) -> Change {
    let mut before = model.clone();
    before
        .events
        .retain(|other| (other.main, other.sub) < (event.main, event.sub));
    let before = before.content_at(i64::MAX).remove(&event.key);
    let before = before.map(|entry| kv(&event.key, &entry));
    let (kind, after) = match &event.entry {
        Some(entry) => (ChangeKind::Put, kv(&event.key, entry)),
        None => {
            let meta = KvMeta {
                mod_revision: Revision(event.main),
                ..KvMeta::default()
            };
            (ChangeKind::Delete, Kv::encode(event.key.clone(), meta, &[]))
        }
    };
    let visible = before.filter(|_| model.compacted != Some(event.main));
    let (record, prev_at) = event_record(kind, ChangeId::NONE, &after, visible.as_ref());
    Change {
        id: ChangeId::new(Revision(event.main), event.sub),
        kind,
        key: event.key.clone(),
        event: record.slice(16..),
        prev_at,
    }
}

fn check_history(fixture: &Fixture, model: &Model, range: &KeyRange, max: (usize, usize)) {
    let first = model.compacted.unwrap_or(0).max(0);
    let mut next = Revision(first);
    let mut found = Vec::new();
    while next.0 <= model.revision {
        let upto = Revision(model.revision);
        let (page, after) = history::changes(
            fixture.store(),
            fixture.state,
            range,
            next,
            upto,
            max.0,
            max.1,
        )
        .unwrap();
        assert!(after > next, "a page makes progress");
        assert!(page.iter().all(|change| change.id.revision < after));
        let revisions: BTreeSet<Revision> = page.iter().map(|change| change.id.revision).collect();
        assert!(revisions.len() <= max.0.max(1));
        let bytes: usize = page.iter().map(Change::weight).sum();
        assert!(bytes <= max.1 || revisions.len() == 1);
        found.extend(page);
        next = after;
    }
    let expected: Vec<Change> = model
        .events
        .iter()
        .filter(|event| event.main >= first && range.contains(&event.key))
        .map(|event| change_of(model, event))
        .collect();
    assert_eq!(found, expected);
}

/// Compares everything that can be read.
fn check_reads(
    fixture: &Fixture,
    model: &Model,
    counts: &CountCache,
    ops: &[RangeOp],
    txns: &[Txn],
) {
    let (store, state) = (fixture.store(), fixture.state);
    assert_eq!(state, state_of(model));
    for revision in -1..=model.revision + 1 {
        for op in ops {
            let op = RangeOp {
                revision: Some(Revision(revision)),
                ..op.clone()
            };
            assert_eq!(read::range(store, state, &op), model.range(&op));
            let counted = read::range_with_counts(store, state, &op, counts);
            assert_eq!(counted, model.range(&op), "{op:?}");
        }
    }
    for op in ops {
        let op = RangeOp {
            revision: None,
            ..op.clone()
        };
        let counted = read::range_with_counts(store, state, &op, counts);
        assert_eq!(counted, model.range(&op));
    }
    for txn in txns.iter().filter(|txn| read::is_read_only(txn)) {
        assert_eq!(read::txn(store, state, txn), model.clone().txn(txn));
    }
    check_leases(fixture, model);
}

fn check_leases(fixture: &Fixture, model: &Model) {
    let mut leases = lease::list(fixture.store()).unwrap();
    leases.sort_by_key(|(id, _)| *id);
    let leases: Vec<_> = leases.iter().map(|(id, lease)| (*id, lease.ttl)).collect();
    let expected: Vec<(LeaseId, i64)> = model.leases.iter().map(|(&id, &ttl)| (id, ttl)).collect();
    assert_eq!(leases, expected);
    for id in [1, 2, -3].map(LeaseId) {
        let ttl = model.leases.get(&id).copied();
        assert_eq!(lease::get(fixture.store(), id), Ok(ttl));
        let keys: Vec<Bytes> = model.keys_of(id).into_iter().collect();
        assert_eq!(lease::keys(fixture.store(), id), Ok(keys));
    }
}

/// etcd's algorithm over the model's list of changes, in the plainest way.
fn expected_hash(model: &Model, revision: i64) -> u32 {
    let compacted = model.compacted.unwrap_or(-1);
    let alive_at = |at: i64| -> BTreeSet<(i64, Bytes)> {
        let content = model.content_at(at).into_iter();
        content
            .map(|(key, entry)| (entry.meta.mod_revision.0, key))
            .collect()
    };
    let mut keep = alive_at(revision);
    if keep.is_empty() {
        keep = alive_at(compacted);
    }
    let mut bytes = b"key".to_vec();
    for event in model.events.iter().filter(|event| event.main <= revision) {
        let kept = keep.contains(&(event.main, event.key.clone())) && event.entry.is_some();
        if event.main <= compacted && !kept {
            continue;
        }
        bytes.extend(event.main.to_be_bytes());
        bytes.push(b'_');
        bytes.extend(i64::from(event.sub).to_be_bytes());
        let body = match &event.entry {
            Some(entry) => kv(&event.key, entry).body,
            None => {
                bytes.push(b't');
                Bytes::new()
            }
        };
        let key = event.key.clone();
        Kv { key, body }.put_message(&mut bytes);
    }
    crc32c::crc32c(&bytes)
}

fn check_hashes(fixture: &Fixture, model: &Model) {
    let (store, state) = (fixture.store(), fixture.state);
    let first = model.compacted.unwrap_or(1).max(1);
    for revision in first..=model.revision {
        let hash = hash::hash_kv(store, state, revision);
        assert_eq!(hash, Ok(expected_hash(model, revision)), "at {revision}");
    }
    let current = hash::hash_kv(store, state, 0);
    assert_eq!(current, Ok(expected_hash(model, model.revision)));
    let future = hash::hash_kv(store, state, model.revision + 1);
    assert_eq!(future, Err(MvccError::FutureRevision));
    if first > 1 {
        let gone = hash::hash_kv(store, state, first - 1);
        assert_eq!(gone, Err(MvccError::Compacted));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn reads_and_commands_are_the_models(
        steps in steps(),
        ops in vec(range_op(), 6),
        txns in vec(txn(), 3),
        more in steps(),
    ) {
        let (mut fixture, mut model) = (Fixture::new(), Model::default());
        let counts = CountCache::new();
        for steps in [&steps, &more] {
            play(&mut fixture, &mut model, steps);
            check_reads(&fixture, &model, &counts, &ops, &txns);
        }
    }

    /// What the writer keeps of its writes changes no answer, whether all of it stays or almost nothing, and
    /// whether a run goes past it.
    #[test]
    fn what_the_writer_keeps_changes_nothing(
        steps in steps(),
        records in 1..12_usize,
        past in vec(any::<bool>(), 8),
    ) {
        let limits = Limits { records, bytes: 1 << 20, ..FEW };
        let (mut fixture, mut model) = (Fixture::with_limits(limits), Model::default());
        for (part, past) in steps.chunks(8).zip(past) {
            if past {
                let mut session = Session::begin(fixture.store(), fixture.state);
                part.iter().for_each(|step| apply(&mut session, &mut model, step));
                let Applied { batch, state, .. } = session.finish();
                fixture.store().write(batch).unwrap();
                fixture.state = state;
            } else {
                play(&mut fixture, &mut model, part);
            }
        }
        check_reads(&fixture, &model, &CountCache::new(), &[RangeOp::new(KeyRange::all())], &[]);
    }

    #[test]
    fn history_and_hashes_are_the_models(
        steps in steps(),
        ranges in vec(range(), 3),
        max in (1..6_usize, 1..4000_usize),
    ) {
        let (mut fixture, mut model) = (Fixture::new(), Model::default());
        play(&mut fixture, &mut model, &steps);
        check_hashes(&fixture, &model);
        check_history(&fixture, &model, &KeyRange::all(), (1000, 1 << 20));
        for range in &ranges {
            check_history(&fixture, &model, range, max);
        }
    }

    /// A reader that holds an older state reads that state's latest, whatever was written since (I3). Only
    /// a removal that went past it may refuse it.
    #[test]
    fn a_published_state_stays_readable(
        steps in steps(),
        more in steps(),
        ops in vec(range_op(), 6),
    ) {
        let (mut fixture, mut model) = (Fixture::new(), Model::default());
        play(&mut fixture, &mut model, &steps);
        let (then, state) = (model.clone(), fixture.state);
        play(&mut fixture, &mut model, &more);
        for op in ops {
            let op = RangeOp { revision: None, ..op };
            let answer = read::range(fixture.store(), state, &op);
            let passed = model.compacted > Some(then.revision);
            if !(passed && answer == Err(MvccError::Compacted)) {
                prop_assert_eq!(answer, then.range(&op));
            }
        }
    }

    /// A whole run in one session reads its own overlay; the same commands one by one read the store.
    #[test]
    fn changes_of_a_session_are_the_models(steps in steps()) {
        let (fixture, mut model) = (Fixture::new(), Model::default());
        let mut session = Session::begin(fixture.store(), fixture.state);
        for step in &steps {
            apply(&mut session, &mut model, step);
        }
        let applied = session.finish();
        let compacted = model.compacted.take();
        let expected: Vec<Change> =
            model.events.iter().map(|event| change_of(&model, event)).collect();
        prop_assert_eq!(applied.changes, expected);
        prop_assert_eq!(applied.state.compacted, compacted.map(Revision));
    }
}

#[test]
fn pages_of_a_list_agree_with_one_read() {
    let mut fixture = Fixture::new();
    let mut model = Model::default();
    for index in 0..40 {
        let op = super::put(&format!("k{index:02}"), "v");
        fixture.run(|session| session.put(&op)).unwrap();
        model.put(&op).unwrap();
    }
    let counts = CountCache::new();
    let pinned = fixture.state.revision;
    let mut start = super::key("k");
    let mut seen = 0;
    loop {
        let op = RangeOp {
            limit: Some(7),
            revision: Some(pinned),
            ..RangeOp::new(KeyRange::from_wire(start.clone(), super::key("l")))
        };
        let page = read::range_with_counts(fixture.store(), fixture.state, &op, &counts).unwrap();
        assert_eq!(Ok(page.clone()), model.range(&op));
        assert_eq!(page.count, 40 - seen);
        seen += page.kvs.len() as i64;
        if !page.more {
            break;
        }
        let last = &page.kvs.last().unwrap().key;
        start = [last.as_ref(), b"\0"].concat().into();
        // The head moves on while the client pages.
        fixture.run(|session| session.put(&super::put("k999", "v")).unwrap());
        fixture.delete("k00");
    }
    assert_eq!(seen, 40);
}
