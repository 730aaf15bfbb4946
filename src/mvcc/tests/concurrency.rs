//! Readers beside the writer and beside physical removal: every answer is one revision, whole (I3, I5).

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::{Fixture, key, put};
use crate::base::range::KeyRange;
use crate::mvcc::ops::{DeleteOp, Op, RangeOp, RangeResult, Txn};
use crate::mvcc::{MvccError, Session, State, read};
use crate::storage::Store;

const ROUNDS: usize = 400;
const COMPACT_EVERY: usize = 40;
const KEYS: usize = 8;

/// Writes the round's number to every key in one transaction. On odd rounds the last key is deleted
/// instead, so there are tombstones to remove.
fn round(number: usize) -> Txn {
    let name = |index: usize| format!("group/{index}");
    let mut ops: Vec<Op> = (0..KEYS - 1)
        .map(|index| Op::Put(put(&name(index), &number.to_string())))
        .collect();
    ops.push(if number % 2 == 1 {
        Op::Delete(DeleteOp {
            range: KeyRange::point(key(&name(KEYS - 1))),
            prev_kv: false,
        })
    } else {
        Op::Put(put(&name(KEYS - 1), &number.to_string()))
    });
    Txn {
        success: ops,
        ..Txn::default()
    }
}

/// Applies the rounds, publishing the state after each write, as the engine does.
fn write_rounds(store: &Store, published: &Mutex<State>) {
    for number in 0..ROUNDS {
        let mut session = Session::begin(store, *published.lock());
        session.txn(&round(number)).unwrap();
        if number % COMPACT_EVERY == COMPACT_EVERY - 1 {
            let revision = session.state().revision.0;
            session.compact(revision - 1).unwrap();
        }
        let applied = session.finish();
        store.write(applied.batch).unwrap();
        *published.lock() = applied.state;
    }
}

/// Checks that an answer at `state` is one round, whole.
fn assert_whole(answer: &RangeResult, state: State) {
    let values: Vec<&[u8]> = answer
        .kvs
        .iter()
        .map(|kv| kv.view().unwrap().value)
        .collect();
    let Some(first) = values.first() else {
        assert_eq!(state, State::default());
        return;
    };
    assert!(values.iter().all(|value| value == first), "{values:?}");
    let number: usize = std::str::from_utf8(first).unwrap().parse().unwrap();
    assert_eq!(state.revision.0, 2 + number as i64, "of its own revision");
    assert_eq!(values.len(), KEYS - number % 2);
    assert_eq!(answer.count, values.len() as i64);
}

fn read_until(store: &Store, published: &Mutex<State>, done: &AtomicBool) -> usize {
    let op = RangeOp::new(KeyRange::prefix(key("group/")));
    let mut reads = 0;
    while !done.load(Ordering::Acquire) {
        let state = *published.lock();
        match read::range(store, state, &op) {
            Ok(answer) => assert_whole(&answer, state),
            // A removal overtook the read; the next one takes a newer state.
            Err(MvccError::Compacted) => assert!(published.lock().compacted > state.compacted),
            Err(other) => panic!("{other}"),
        }
        reads += 1;
    }
    reads
}

#[test]
fn readers_see_whole_revisions_beside_writes_and_removal() {
    let fixture = Fixture::new();
    let (store, published) = (fixture.store(), Mutex::new(fixture.state));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| read_until(store, &published, &done)))
            .collect();
        let remover = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                let below = published.lock().compacted.unwrap_or_default();
                store.drop_history(below).unwrap();
                store.compact_all().unwrap();
            }
        });
        write_rounds(store, &published);
        done.store(true, Ordering::Release);
        remover.join().unwrap();
        for reader in readers {
            assert!(reader.join().unwrap() > 0);
        }
    });
}
