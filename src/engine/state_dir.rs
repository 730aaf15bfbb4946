//! Which database directory is the state machine's, and how it is replaced in one atomic step.
//!
//! `state/CURRENT` names one of the directories beside it. A received snapshot is moved in, opened, and only
//! then named: a crash at any point leaves either the old or the new state, and what is named by nobody is
//! removed at the next start.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::base::fs::sync_dir;
use crate::base::shutdown::Lifecycle;
use crate::storage::{Store, StoreError, StoreOptions};

const CURRENT: &str = "CURRENT";
const PREFIX: &str = "db-";
/// The generation of a database that replaced no other.
const FIRST: u64 = 1;

/// The directory that holds the database directories.
#[derive(Debug)]
pub(crate) struct StateDir {
    root: PathBuf,
    generation: u64,
    options: StoreOptions,
    life: Lifecycle,
}

/// Why the state cannot be opened or replaced.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// A file operation failed.
    #[error("{path}: {error}")]
    Io {
        /// What it was about.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// `CURRENT` does not name a database directory.
    #[error("{path}: does not name a database directory: {content:?}")]
    Current {
        /// The file.
        path: PathBuf,
        /// What it says.
        content: String,
    },
    /// Databases are there, and nothing says which one is current.
    #[error(
        "{path}: missing, although there is {database}: which database is current is not known"
    )]
    Unnamed {
        /// The file that would say so.
        path: PathBuf,
        /// A database that is no first one.
        database: String,
    },
    /// The database does not open.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl StateDir {
    /// The database that [`Self::open`] opens if none is named, and names.
    pub(super) fn first_database(root: &Path) -> PathBuf {
        database(root, FIRST)
    }

    /// Opens the current database, or makes a first one.
    pub(crate) fn open(
        root: PathBuf,
        options: StoreOptions,
        life: Lifecycle,
    ) -> Result<(Self, Store), StateDirError> {
        fs::create_dir_all(&root).map_err(at(&root))?;
        let current = read_current(&root)?;
        let dir = Self {
            root,
            generation: current.unwrap_or(FIRST),
            options,
            life,
        };
        if current.is_some() {
            // A process that was killed may have named it and not synced that. What it replaced goes now.
            sync_dir(&dir.root).map_err(at(&dir.root))?;
        }
        dir.remove_unnamed(current.is_some())?;
        let store = Store::open(&dir.database(dir.generation), &dir.options)?;
        if current.is_none() {
            dir.name(dir.generation)?;
        }
        Ok((dir, store))
    }

    /// Makes the database in `from` the current one; the directory is moved.
    pub(crate) fn adopt(&mut self, from: &Path) -> Result<Store, StateDirError> {
        let generation = self.generation + 1;
        let database = self.database(generation);
        fs::rename(from, &database).map_err(at(from))?;
        sync_dir(&self.root).map_err(at(&self.root))?;
        let store = Store::open(&database, &self.options)?;
        self.name(generation)?;
        self.generation = generation;
        Ok(store)
    }

    /// Removes the database of the generation before the current one as soon as the last reader has let go
    /// of it.
    pub(crate) fn retire(&self, store: Arc<Store>) {
        let database = self.database(self.generation - 1);
        let life = self.life.clone();
        let remove = move || {
            let store = Arc::downgrade(&store);
            while store.strong_count() > 0 && !life.is_stopping() {
                std::thread::sleep(Duration::from_millis(50));
            }
            // What cannot be removed now is removed at the next start.
            if store.strong_count() == 0
                && let Err(error) = fs::remove_dir_all(&database)
            {
                tracing::warn!(path = %database.display(), %error, "cannot remove replaced state");
            }
        };
        if let Err(error) = self.life.thread("retire-state", remove) {
            tracing::warn!(%error, "cannot start a thread to remove replaced state");
        }
    }

    fn database(&self, generation: u64) -> PathBuf {
        database(&self.root, generation)
    }

    /// Points `CURRENT` at a generation, atomically and durably.
    fn name(&self, generation: u64) -> Result<(), StateDirError> {
        let path = self.root.join(CURRENT);
        let temporary = self.root.join("CURRENT.tmp");
        let write = || -> io::Result<()> {
            let mut file = File::create(&temporary)?;
            writeln!(file, "{PREFIX}{generation:010}")?;
            file.sync_all()?;
            fs::rename(&temporary, &path)
        };
        write().map_err(at(&path))?;
        sync_dir(&self.root).map_err(at(&self.root))
    }

    /// Removes what an interrupted replacement left behind. Before the first database is named none is replaced.
    fn remove_unnamed(&self, is_named: bool) -> Result<(), StateDirError> {
        let keep = self.database(self.generation);
        for entry in fs::read_dir(&self.root).map_err(at(&self.root))? {
            let path = entry.map_err(at(&self.root))?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(name) = name.filter(|name| name.starts_with(PREFIX) && path != keep) else {
                continue;
            };
            if !is_named {
                return Err(StateDirError::Unnamed {
                    path: self.root.join(CURRENT),
                    database: name.to_owned(),
                });
            }
            fs::remove_dir_all(&path).map_err(at(&path))?;
        }
        Ok(())
    }
}

fn database(root: &Path, generation: u64) -> PathBuf {
    root.join(format!("{PREFIX}{generation:010}"))
}

fn read_current(root: &Path) -> Result<Option<u64>, StateDirError> {
    let path = root.join(CURRENT);
    let content = match fs::read_to_string(&path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StateDirError::Io { path, error }),
    };
    let generation = content
        .trim_end()
        .strip_prefix(PREFIX)
        .and_then(|number| number.parse().ok());
    match generation {
        Some(generation) => Ok(Some(generation)),
        None => Err(StateDirError::Current { path, content }),
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> StateDirError + use<> {
    let path = path.to_owned();
    move |error| StateDirError::Io { path, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(root: &Path) -> (StateDir, Store) {
        StateDir::open(root.to_owned(), StoreOptions::default(), Lifecycle::new()).unwrap()
    }

    #[test]
    fn an_adopted_database_is_the_one_that_a_restart_finds() {
        let root = tempfile::tempdir().unwrap();
        let state = root.path().join("state");
        let incoming = root.path().join("incoming");
        let (mut dir, store) = open(&state);
        store.checkpoint(&incoming).unwrap();
        drop(store);
        let adopted = dir.adopt(&incoming).unwrap();
        assert!(!incoming.exists());
        drop(adopted);
        let (dir, _store) = open(&state);
        assert_eq!(dir.generation, 2);
        assert!(!state.join("db-0000000001").exists());
    }

    #[test]
    fn an_interrupted_adoption_leaves_the_old_state() {
        let root = tempfile::tempdir().unwrap();
        let state = root.path().join("state");
        let (dir, store) = open(&state);
        // As if the crash came between the move and the naming.
        store.checkpoint(&dir.database(2)).unwrap();
        drop((dir, store));
        let (dir, _store) = open(&state);
        assert_eq!(dir.generation, 1);
        assert!(!state.join("db-0000000002").exists());
    }

    #[test]
    fn nothing_is_removed_when_the_name_is_lost() {
        let root = tempfile::tempdir().unwrap();
        let state = root.path().join("state");
        let (dir, store) = open(&state);
        store.checkpoint(&dir.database(2)).unwrap();
        drop((dir, store));
        fs::remove_file(state.join(CURRENT)).unwrap();
        let error = StateDir::open(state.clone(), StoreOptions::default(), Lifecycle::new());
        let said = error.unwrap_err().to_string();
        assert!(
            said.contains("CURRENT: missing, although there is db-0000000002"),
            "{said}"
        );
        assert!(state.join("db-0000000001").exists() && state.join("db-0000000002").exists());
    }

    #[test]
    fn a_damaged_name_is_refused_by_its_path() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(CURRENT), "nonsense").unwrap();
        let error = StateDir::open(
            root.path().to_owned(),
            StoreOptions::default(),
            Lifecycle::new(),
        )
        .unwrap_err();
        assert!(error.to_string().contains("CURRENT"), "{error}");
        assert!(error.to_string().contains("nonsense"), "{error}");
    }
}
