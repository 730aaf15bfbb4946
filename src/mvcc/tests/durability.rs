//! What is left after a crash is the store as of the last flush, whole: data and applied index agree,
//! across every column family (I5).

use std::path::Path;

use tempfile::TempDir;

use super::{Fixture, leased, options, put};
use crate::base::ids::{LeaseId, Revision};
use crate::base::range::KeyRange;
use crate::mvcc::ops::{DeleteOp, RangeOp};
use crate::mvcc::{Recent, Session, State, hash, lease, load_state, read};
use crate::storage::{MetaKey, Store};

/// A store opened on what a crash would have left.
pub(super) struct Crashed {
    // Closed before its directory is removed.
    pub(super) store: Store,
    _dir: TempDir,
}

/// Copies the directory of an open store as it is, as if the process died here, and opens the copy.
pub(super) fn crash_copy(fixture: &Fixture) -> Crashed {
    let dir = TempDir::new().unwrap();
    copy_files(&fixture.dir.path().join("state"), dir.path());
    Crashed {
        store: Store::open(dir.path(), &options()).unwrap(),
        _dir: dir,
    }
}

/// Copies until the database recorded no change meanwhile: then the copy is what was there at one moment.
fn copy_files(from: &Path, to: &Path) {
    loop {
        let before = recorded(from);
        if try_copy(from, to).is_ok() && before.is_some() && recorded(from) == before {
            return;
        }
        std::fs::remove_dir_all(to).unwrap();
        std::fs::create_dir(to).unwrap();
    }
}

fn try_copy(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// The database's record of the files it consists of, if it does not change right now.
fn recorded(dir: &Path) -> Option<(String, Vec<u8>)> {
    let current = std::fs::read_to_string(dir.join("CURRENT")).ok()?;
    let manifest = std::fs::read(dir.join(current.trim())).ok()?;
    Some((current, manifest))
}

/// A batch that touches every column family in use and notes `index` as applied.
fn step(fixture: &mut Fixture, index: u64) {
    fixture.run(|session| {
        let id = LeaseId(index as i64);
        session.lease_grant(id, 60).unwrap();
        session
            .put(&leased(&format!("leased{index}"), id.0))
            .unwrap();
        session.put(&put("counter", &index.to_string())).unwrap();
        if index.is_multiple_of(3) {
            let op = DeleteOp {
                range: KeyRange::point(super::key(&format!("leased{}", index - 1))),
                prev_kv: false,
            };
            session.delete(&op).unwrap();
        }
        session.put_meta(MetaKey::Applied, index.to_be_bytes().to_vec());
    });
}

fn applied(store: &Store) -> u64 {
    let bytes = store.meta(MetaKey::Applied).unwrap();
    bytes.map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()))
}

/// Checks that the store is exactly the one after batch `index`.
fn assert_is_after(store: &Store, index: u64) {
    let mut expected = Fixture::new();
    (1..=index).for_each(|index| step(&mut expected, index));
    let state = load_state(store).unwrap();
    assert_eq!(applied(store), index);
    assert_eq!(state, expected.state);
    let all = |store, state| read::range(store, state, &RangeOp::new(KeyRange::all())).unwrap();
    assert_eq!(all(store, state), all(expected.store(), expected.state));
    let leases = |store| lease::list(store).unwrap();
    assert_eq!(leases(store), leases(expected.store()));
    let hash = |store, state| hash::hash_kv(store, state, 0).unwrap();
    assert_eq!(hash(store, state), hash(expected.store(), expected.state));
}

#[test]
fn a_crash_falls_back_to_the_last_flush_in_one_piece() {
    let mut fixture = Fixture::new();
    (1..=10).for_each(|index| step(&mut fixture, index));
    assert_is_after(&crash_copy(&fixture).store, 0);
    fixture.store().flush().unwrap();
    (11..=15).for_each(|index| step(&mut fixture, index));
    assert_is_after(&crash_copy(&fixture).store, 10);
    fixture.store().flush().unwrap();
    assert_is_after(&crash_copy(&fixture).store, 15);
}

/// A full write buffer flushes on its own; that, too, must be one point for every column family.
#[test]
fn flushes_on_their_own_are_in_one_piece_too() {
    let mut fixture = Fixture::new();
    let padding = "x".repeat(40_000);
    for index in 1..=200_u64 {
        fixture.run(|session| {
            session.put(&put("counter", &index.to_string())).unwrap();
            // Fills the buffers of `current` and `event`, not that of `meta`.
            session.put(&put(&format!("pad{index}"), &padding)).unwrap();
            session.put_meta(MetaKey::Applied, index.to_be_bytes().to_vec());
        });
        if index % 40 != 0 {
            continue;
        }
        let crashed = crash_copy(&fixture);
        let (state, applied) = (load_state(&crashed.store).unwrap(), applied(&crashed.store));
        assert_eq!(state.revision, Revision(1 + 2 * applied as i64));
        let op = RangeOp::new(KeyRange::point(super::key("counter")));
        let counter = read::range(&crashed.store, state, &op).unwrap();
        let value = counter
            .kvs
            .first()
            .map(|kv| kv.view().unwrap().value.to_vec());
        let expected = (applied > 0).then(|| applied.to_string().into_bytes());
        assert_eq!(value, expected);
        if index == 200 {
            assert!(applied > 0, "a buffer was full at least once");
        }
    }
}

#[test]
fn replaying_after_a_crash_gives_the_same_store() {
    let mut fixture = Fixture::new();
    (1..=6).for_each(|index| step(&mut fixture, index));
    fixture.store().flush().unwrap();
    (7..=12).for_each(|index| step(&mut fixture, index));
    let crashed = crash_copy(&fixture);
    let state = load_state(&crashed.store).unwrap();
    let mut replayed = Fixture {
        store: Some(crashed.store),
        state,
        recent: Recent::with_limits(super::FEW),
        dir: crashed._dir,
    };
    (applied(replayed.store()) + 1..=12).for_each(|index| step(&mut replayed, index));
    assert_is_after(replayed.store(), 12);
}

#[test]
fn a_checkpoint_is_a_store_of_its_own() {
    let mut fixture = Fixture::new();
    (1..=5).for_each(|index| step(&mut fixture, index));
    let copies = TempDir::new().unwrap();
    let path = copies.path().join("copy");
    fixture.store().checkpoint(&path).unwrap();
    (6..=9).for_each(|index| step(&mut fixture, index));
    fixture.compact(4);
    fixture.collect_garbage();
    let copy = Store::open(&path, &options()).unwrap();
    assert_is_after(&copy, 5);
    assert_eq!(load_state(&copy).unwrap().compacted, None);
    drop(copy);
}

#[test]
fn an_unwritten_session_is_nothing() {
    let fixture = Fixture::new();
    let mut session = Session::begin(fixture.store(), State::default());
    session.put(&put("a", "1")).unwrap();
    drop(session);
    assert_eq!(load_state(fixture.store()), Ok(State::default()));
}
