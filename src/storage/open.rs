//! Opening a state directory: ours alone, writable, of our format.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::path::Path;

use rocksdb::{ColumnFamilyDescriptor, Options};
use rustix::fs::{FlockOperation, flock};

use super::batch::Batch;
use super::error::StoreError;
use super::gc::{Mark, Removal};
use super::keys::MetaKey;
use super::options::StoreOptions;
use super::store::{Database, Family, Store};

/// The version of everything that `docs/format.md` describes.
pub const FORMAT_VERSION: u32 = 1;

/// RocksDB's file that says which manifest is the current one: without it there is no database.
const DATABASE_MARK: &str = "CURRENT";
const LOCK_FILE: &str = "holdfast.lock";

impl Store {
    /// Opens the store in `dir`, making it if there is none. Takes milliseconds whatever its size:
    /// nothing is scanned or rebuilt.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Unwritable`], [`StoreError::Foreign`],
    /// [`StoreError::Format`]; [`StoreError::Database`] when RocksDB finds damage.
    pub fn open(dir: &Path, options: &StoreOptions) -> Result<Self, StoreError> {
        refuse_foreign_files(dir)?;
        let lock = lock_directory(dir)?;
        refuse_foreign_database(dir)?;
        // Until the format and the compacted revision are known, nothing may be removed.
        let removal = Removal::default();
        let store = Self {
            db: open_database(dir, options, &removal)?,
            floor: Mark::default(),
            removal,
            _lock: Some(lock),
        };
        store.settle_format(dir)?;
        let compacted = store.compacted()?.unwrap_or_default();
        store.floor.raise(compacted);
        store.removal.removable.raise(compacted);
        Ok(store)
    }

    /// Opens a [checkpoint](Self::checkpoint) to look inside. Changes no file in it.
    ///
    /// # Errors
    /// [`StoreError::Foreign`], [`StoreError::Format`]; [`StoreError::Database`] when RocksDB finds damage.
    pub fn open_read_only(dir: &Path) -> Result<Self, StoreError> {
        let removal = Removal::default();
        let families = families(&StoreOptions::default(), &removal);
        let database = Options::default();
        let store = Self {
            db: Database::open_cf_descriptors_read_only(&database, dir, families, false)?,
            floor: Mark::default(),
            removal,
            _lock: None,
        };
        if store.meta(MetaKey::Format)?.is_none() {
            return Err(StoreError::Foreign(dir.into()));
        }
        store.settle_format(dir)?;
        store.floor.raise(store.compacted()?.unwrap_or_default());
        Ok(store)
    }

    /// Checks the format version, or writes it if the store is new.
    fn settle_format(&self, dir: &Path) -> Result<(), StoreError> {
        match self.meta(MetaKey::Format)? {
            Some(found) => {
                let found: [u8; 4] = found
                    .try_into()
                    .map_err(|_| StoreError::Foreign(dir.into()))?;
                let found = u32::from_be_bytes(found);
                if found == FORMAT_VERSION {
                    return Ok(());
                }
                Err(StoreError::Format {
                    path: dir.into(),
                    found,
                })
            }
            None if self.db.latest_sequence_number() == 0 => {
                let mut batch = Batch::default();
                batch.put_meta(MetaKey::Format, FORMAT_VERSION.to_be_bytes().to_vec());
                self.write(batch)?;
                self.flush()
            }
            None => Err(StoreError::Foreign(dir.into())),
        }
    }
}

fn open_database(
    dir: &Path,
    options: &StoreOptions,
    removal: &Removal,
) -> Result<Database, StoreError> {
    Ok(Database::open_cf_descriptors(
        &options.database(),
        dir,
        families(options, removal),
    )?)
}

fn families(options: &StoreOptions, removal: &Removal) -> Vec<ColumnFamilyDescriptor> {
    let cache = options.block_cache();
    let describe = |family: Family| {
        let options = options.family(family, &cache, removal);
        ColumnFamilyDescriptor::new(family.name(), options)
    };
    Family::ALL.into_iter().map(describe).collect()
}

/// Makes the directory if need be, and holds its lock for as long as the file lives.
fn lock_directory(dir: &Path) -> Result<File, StoreError> {
    let unwritable = |error: std::io::Error| StoreError::Unwritable {
        path: dir.into(),
        reason: error.to_string(),
    };
    fs::create_dir_all(dir).map_err(unwritable)?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(dir.join(LOCK_FILE))
        .map_err(unwritable)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(StoreError::InUse(dir.into())),
        Err(error) => Err(unwritable(error.into())),
    }
}

/// Refuses a directory that is no database and has files in it that neither we nor RocksDB made.
fn refuse_foreign_files(dir: &Path) -> Result<(), StoreError> {
    if !dir.is_dir() || dir.join(DATABASE_MARK).exists() {
        return Ok(());
    }
    match holds_database_files_only(dir) {
        Ok(true) => Ok(()),
        Ok(false) => Err(StoreError::Foreign(dir.into())),
        Err(error) => Err(StoreError::io(dir, &error)),
    }
}

/// Refuses a database that is not ours, without changing it. A creation that a crash cut short passes: it
/// holds nothing yet.
fn refuse_foreign_database(dir: &Path) -> Result<(), StoreError> {
    if !dir.join(DATABASE_MARK).exists() || is_our_database(dir)? {
        Ok(())
    } else {
        Err(StoreError::Foreign(dir.into()))
    }
}

fn is_our_database(dir: &Path) -> Result<bool, StoreError> {
    let options = Options::default();
    let found = Database::list_cf(&options, dir)?;
    let known =
        |name: &String| name == "default" || Family::ALL.iter().any(|family| family.name() == name);
    if !found.iter().all(known) {
        return Ok(false);
    }
    if found.len() > Family::ALL.len() {
        return Ok(true);
    }
    let partial = Database::open_cf_for_read_only(&options, dir, found, false)?;
    Ok(partial.latest_sequence_number() == 0)
}

fn holds_database_files_only(dir: &Path) -> std::io::Result<bool> {
    for entry in fs::read_dir(dir)? {
        if !entry?.file_name().to_str().is_some_and(is_database_file) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a file belongs to a database that was being made.
fn is_database_file(name: &str) -> bool {
    const NAMES: [&str; 4] = [LOCK_FILE, "LOCK", "LOG", "IDENTITY"];
    const PREFIXES: [&str; 3] = ["LOG.old", "MANIFEST-", "OPTIONS-"];
    const SUFFIXES: [&str; 3] = [".log", ".sst", ".dbtmp"];
    NAMES.contains(&name)
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}
