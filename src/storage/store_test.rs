//! Opening, refusing, sizes.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::store::Family;
use super::{Batch, FORMAT_VERSION, MetaKey, Store, StoreError, StoreOptions};

fn open(dir: &Path) -> Result<Store, StoreError> {
    Store::open(dir, &StoreOptions::default())
}

fn state_in(dir: &TempDir) -> PathBuf {
    dir.path().join("state")
}

#[test]
fn a_store_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Store>();
}

#[test]
fn a_directory_in_use_is_refused() {
    let dir = TempDir::new().unwrap();
    let path = state_in(&dir);
    let store = open(&path).unwrap();
    assert_eq!(open(&path).err(), Some(StoreError::InUse(path.clone())));
    drop(store);
    assert!(open(&path).is_ok());
}

#[test]
fn a_directory_that_cannot_be_made_is_refused() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, b"not a directory").unwrap();
    let error = open(&file.join("state")).err();
    assert!(
        matches!(error, Some(StoreError::Unwritable { .. })),
        "{error:?}"
    );
}

#[test]
fn foreign_files_are_refused_and_left_alone() {
    let dir = TempDir::new().unwrap();
    let foreign = dir.path().join("notes.txt");
    std::fs::write(&foreign, b"mine").unwrap();
    let refused = StoreError::Foreign(dir.path().into());
    assert_eq!(open(dir.path()).err(), Some(refused));
    assert_eq!(std::fs::read(foreign).unwrap(), b"mine");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_foreign_database_is_refused() {
    let make = |family: Option<&str>| {
        let dir = TempDir::new().unwrap();
        let mut options = rocksdb::Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        let db = rocksdb::DB::open_cf(&options, dir.path(), family).unwrap();
        db.put(b"some", b"data").unwrap();
        drop(db);
        dir
    };
    for family in [None, Some("theirs")] {
        let dir = make(family);
        let families = || rocksdb::DB::list_cf(&rocksdb::Options::default(), dir.path()).unwrap();
        let before = families();
        let refused = StoreError::Foreign(dir.path().into());
        assert_eq!(open(dir.path()).err(), Some(refused), "{family:?}");
        assert_eq!(families(), before, "left alone");
    }
}

#[test]
fn a_creation_that_was_cut_short_is_taken_up() {
    let dir = TempDir::new().unwrap();
    let mut options = rocksdb::Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    drop(rocksdb::DB::open_cf(&options, dir.path(), ["current", "event"]).unwrap());
    let store = open(dir.path()).unwrap();
    assert!(store.meta(MetaKey::Format).unwrap().is_some());
}

#[test]
fn another_format_version_is_refused() {
    let dir = TempDir::new().unwrap();
    let path = state_in(&dir);
    let store = open(&path).unwrap();
    let written = store.meta(MetaKey::Format).unwrap();
    assert_eq!(written.as_deref(), Some(&FORMAT_VERSION.to_be_bytes()[..]));
    let mut batch = Batch::default();
    batch.put_meta(MetaKey::Format, 7_u32.to_be_bytes().to_vec());
    store.write(batch).unwrap();
    store.flush().unwrap();
    drop(store);
    let refused = StoreError::Format {
        path: path.clone(),
        found: 7,
    };
    assert_eq!(open(&path).err(), Some(refused));
}

#[test]
fn damage_is_reported_and_not_opened_over() {
    let dir = TempDir::new().unwrap();
    let path = state_in(&dir);
    drop(open(&path).unwrap());
    std::fs::write(path.join("CURRENT"), b"MANIFEST-999999\n").unwrap();
    let error = open(&path).err();
    assert!(matches!(error, Some(StoreError::Database(_))), "{error:?}");
}

#[test]
fn batches_are_plain_data() {
    let mut batch = Batch::default();
    assert!(batch.is_empty());
    batch.put_meta(MetaKey::Applied, b"first".to_vec());
    batch.put_meta(MetaKey::Applied, b"second".to_vec());
    batch.put(Family::Current, b"k".to_vec().into(), b"v".to_vec().into());
    batch.delete(Family::Current, b"k".to_vec().into());
    assert_eq!((batch.len(), batch.is_empty()), (4, false));
    assert_eq!(batch.weight(), 2 * 7 + 5 + 6 + 2 + 1);
    let dir = TempDir::new().unwrap();
    let store = open(&state_in(&dir)).unwrap();
    store.write(batch).unwrap();
    let applied = store.meta(MetaKey::Applied).unwrap();
    assert_eq!(applied.as_deref(), Some(&b"second"[..]));
    assert!(store.current(b"k").unwrap().is_none());
}

#[test]
fn a_cursor_sees_the_store_as_it_was() {
    let dir = TempDir::new().unwrap();
    let store = open(&state_in(&dir)).unwrap();
    let write = |key: &'static [u8]| {
        let mut batch = Batch::default();
        batch.put(Family::Current, bytes::Bytes::from_static(key), "v".into());
        store.write(batch).unwrap();
    };
    write(b"a");
    let mut rows = store.scan(Family::Current, b"", None);
    write(b"b");
    store.compact_all().unwrap();
    let mut keys = Vec::new();
    while let Some((key, _)) = rows.row().unwrap() {
        keys.push(key.to_vec());
        rows.advance();
    }
    rows.advance();
    assert!(rows.row().unwrap().is_none());
    assert_eq!(keys, [b"a"]);
}

#[test]
fn sizes_grow_with_the_data_and_survive_a_flush() {
    let dir = TempDir::new().unwrap();
    let store = open(&state_in(&dir)).unwrap();
    let empty = store.disk_size();
    let mut batch = Batch::default();
    for index in 0..1000_u32 {
        // Bytes that do not compress.
        let value: Vec<u8> = (0..100_u32)
            .map(|byte| (index.wrapping_mul(2_654_435_761).rotate_left(byte) >> 7) as u8)
            .collect();
        batch.put(
            Family::Current,
            index.to_be_bytes().to_vec().into(),
            value.into(),
        );
    }
    store.write(batch).unwrap();
    assert!(store.disk_size() > empty + 100_000);
    store.flush().unwrap();
    assert!(store.disk_size() > 20_000);
    assert!(store.live_size() > 20_000);
}
