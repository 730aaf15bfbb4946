//! Restoring a backup: a new member directory of a new cluster, from the stream of a
//! [`snapshot`](super::Engine::snapshot) as `etcdctl snapshot save` stores it.
//!
//! The saved file is the archive followed by its SHA-256. Every member of the new cluster is restored from
//! the same file: they begin at the same log index with the same state, and their logs are empty.
//!
//! The state is built in [`UNFINISHED_RESTORE`] beside the place where a member looks for it, and renamed
//! there in one step once all of it is durable: a power cut at any point leaves no state or the whole one.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::backup::{FORMAT, MANIFEST, Manifest};
use super::state_dir::{StateDir, StateDirError};
use super::{Member, meta};
use crate::base::fs::sync_dir;
use crate::base::shutdown::Lifecycle;
use crate::mvcc::{self, Session};
use crate::raft::Configuration;
use crate::storage::StoreOptions;

/// Length of the checksum behind the archive.
const CHECKSUM: u64 = 32;
/// The manifest is a few hundred bytes; nothing larger is read.
const MAX_MANIFEST: u64 = 64 << 10;

/// The entry of a data directory in which a restore builds the state. Nothing starts from it; what a
/// restore that was cut short left there is worth nothing.
pub const UNFINISHED_RESTORE: &str = "restoring";

/// Why a backup cannot be read or restored. The target directory is as it was, or holds beyond that only
/// [`UNFINISHED_RESTORE`], which the next attempt removes.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A file operation failed.
    #[error("{path}: {error}")]
    Io {
        /// What it was about.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file is not a whole backup.
    #[error("{path}: not a Holdfast snapshot: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The target directory already holds data.
    #[error("{0}: already holds data; restore into a new directory")]
    Occupied(PathBuf),
    /// The restored database does not open.
    #[error(transparent)]
    State(#[from] StateDirError),
    /// The restored database does not read.
    #[error("{0}")]
    Unreadable(String),
}

/// Checks a backup's checksum and gives what it says of itself.
///
/// # Errors
/// [`RestoreError`] when the file is not a whole backup.
pub fn snapshot_status(file: &Path) -> Result<Manifest, RestoreError> {
    verify(file)?;
    let mut archive = tar::Archive::new(open(file)?);
    let mut entries = archive.entries().map_err(at(file))?;
    read_manifest(file, &mut entries)
}

/// Restores a backup into the member directory `data_dir` of a new cluster with these members.
///
/// # Errors
/// [`RestoreError`]; nothing that a server would start from is left behind then.
pub fn restore_snapshot(
    file: &Path,
    data_dir: &Path,
    members: &[Member],
) -> Result<Manifest, RestoreError> {
    verify(file)?;
    let root = data_dir.join("state");
    if root.exists() {
        return Err(RestoreError::Occupied(data_dir.to_owned()));
    }
    let building = data_dir.join(UNFINISHED_RESTORE);
    if building.exists() {
        fs::remove_dir_all(&building).map_err(at(&building))?;
    }
    let built = build(file, &building, members);
    let Ok(manifest) = built else {
        // The next attempt removes what cannot be removed now.
        let _ = fs::remove_dir_all(&building);
        return built;
    };
    fs::rename(&building, &root).map_err(at(&root))?;
    sync_dir(data_dir).map_err(at(data_dir))?;
    Ok(manifest)
}

/// Makes a state directory of the backup for these members. All of it is durable when this returns, but for
/// its own name.
pub(super) fn build(
    file: &Path,
    root: &Path,
    members: &[Member],
) -> Result<Manifest, RestoreError> {
    let database = StateDir::first_database(root);
    fs::create_dir_all(&database).map_err(at(&database))?;
    let manifest = unpack(file, &database)?;
    let (_, store) = StateDir::open(root.to_owned(), StoreOptions::default(), Lifecycle::new())?;
    let state = mvcc::load_state(&store).map_err(unreadable)?;
    let mut session = Session::begin(&store, state);
    meta::put_configuration(&mut session, &configuration(members)).map_err(unreadable)?;
    // Whoever was removed from the old cluster is no stranger to the new one.
    meta::put_members(&mut session, members, &[]).map_err(unreadable)?;
    let done = session.finish();
    store.write(done.batch).map_err(unreadable)?;
    store.flush().map_err(unreadable)?;
    Ok(manifest)
}

fn configuration(members: &[Member]) -> Configuration {
    Configuration {
        voters: members.iter().map(|member| member.id).collect(),
        ..Configuration::default()
    }
}

/// Compares the checksum at the end with that of everything before it.
fn verify(path: &Path) -> Result<(), RestoreError> {
    let file = open(path)?;
    let len = file.metadata().map_err(at(path))?.len();
    if len % 512 != CHECKSUM || len < 512 {
        return Err(damaged(
            path,
            "its length is not that of an archive and a checksum",
        ));
    }
    let mut content = io::BufReader::with_capacity(1 << 20, file);
    let mut hash = Sha256::new();
    io::copy(
        &mut Read::take(&mut content, len - CHECKSUM),
        &mut HashWriter(&mut hash),
    )
    .map_err(at(path))?;
    let mut stored = [0; CHECKSUM as usize];
    content.read_exact(&mut stored).map_err(at(path))?;
    if hash.finalize().as_slice() != stored {
        return Err(damaged(path, "its checksum does not match its content"));
    }
    Ok(())
}

struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes the files of a backup into a directory, and gives what it says of itself.
pub(super) fn unpack(path: &Path, into: &Path) -> Result<Manifest, RestoreError> {
    let mut archive = tar::Archive::new(open(path)?);
    let mut entries = archive.entries().map_err(at(path))?;
    let manifest = read_manifest(path, &mut entries)?;
    for entry in entries {
        let mut entry = entry.map_err(at(path))?;
        let name = entry.path().map_err(at(path))?.into_owned();
        // Plain names only: an archive must not write outside its directory.
        if name.file_name() != Some(name.as_os_str()) {
            return Err(damaged(path, &format!("it holds a file named {name:?}")));
        }
        // A sparse file of a few bytes can unpack to more than any disk holds.
        if !entry.header().entry_type().is_file() {
            return Err(damaged(path, &format!("{name:?} is no plain file")));
        }
        let target = into.join(&name);
        let mut file = File::create(&target).map_err(at(&target))?;
        io::copy(&mut entry, &mut file).map_err(at(&target))?;
        file.sync_all().map_err(at(&target))?;
    }
    sync_dir(into).map_err(at(into))?;
    Ok(manifest)
}

fn read_manifest<'a, R: Read + 'a>(
    path: &Path,
    entries: &mut tar::Entries<'a, R>,
) -> Result<Manifest, RestoreError> {
    let first = entries.next().transpose().map_err(at(path))?;
    let entry = first.filter(|entry| entry.path().is_ok_and(|name| name == Path::new(MANIFEST)));
    let entry = entry.ok_or_else(|| damaged(path, "it does not begin with a manifest"))?;
    let manifest: Manifest = serde_json::from_reader(entry.take(MAX_MANIFEST))
        .map_err(|error| damaged(path, &error.to_string()))?;
    if manifest.format != FORMAT {
        let reason = format!(
            "it has format {}, this program reads {FORMAT}",
            manifest.format
        );
        return Err(damaged(path, &reason));
    }
    Ok(manifest)
}

fn open(path: &Path) -> Result<File, RestoreError> {
    File::open(path).map_err(at(path))
}

fn damaged(path: &Path, reason: &str) -> RestoreError {
    RestoreError::Damaged {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

fn unreadable(error: impl std::fmt::Display) -> RestoreError {
    RestoreError::Unreadable(error.to_string())
}

fn at(path: &Path) -> impl Fn(io::Error) -> RestoreError + use<> {
    let path = path.to_owned();
    move |error| RestoreError::Io {
        path: path.clone(),
        error,
    }
}
