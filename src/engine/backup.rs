//! Backups: a consistent copy of the state as one stream of bytes.
//!
//! The stream is a tar archive (POSIX ustar), so that its length is a multiple of 512 as etcd's clients
//! check, and so that anyone can look inside: first [`MANIFEST`], then the database files of a checkpoint.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::error::EngineError;
use super::view::View;
use super::{Engine, EngineResult, meta};
use crate::base::clock;
use crate::storage::Store;

/// Name of the archive's first entry.
pub const MANIFEST: &str = "holdfast-snapshot.json";
/// Version of the archive's layout.
pub(super) const FORMAT: u32 = 1;
/// Bytes per piece of the stream.
const PIECE: usize = 256 << 10;
/// Pieces that wait for a slow client.
const PIECES_AHEAD: usize = 4;
/// Backups under way at once: each holds a thread and the files of a checkpoint. Further ones wait.
const MAX_BACKUPS: usize = 4;
/// Tar's block size.
const BLOCK: u64 = 512;

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the archive's layout.
    pub format: u32,
    /// The cluster it was taken from, in hex.
    pub cluster_id: String,
    /// The store revision it holds.
    pub revision: i64,
    /// The last applied log index it holds.
    pub raft_index: u64,
    /// The term of that entry.
    pub raft_term: u64,
}

/// A checkpoint directory that goes away with its backup.
struct Checkpoint {
    dir: PathBuf,
    files: Vec<(PathBuf, u64)>,
    manifest: Vec<u8>,
}

impl Engine {
    /// A consistent copy of the state as one stream of bytes in Holdfast's own snapshot format, whose
    /// length is a multiple of 512. The total length comes first.
    ///
    /// # Errors
    /// [`EngineError::Internal`] when the copy cannot be made; later failures arrive in the channel.
    pub async fn snapshot(&self) -> EngineResult<(u64, mpsc::Receiver<EngineResult<Bytes>>)> {
        let permit = Arc::clone(&self.inner.backups)
            .acquire_owned()
            .await
            .map_err(|_| EngineError::Stopped)?;
        let began = clock::now();
        let engine = self.clone();
        let checkpoint = self.blocking(move || engine.checkpoint()).await?;
        let length = checkpoint.archive_len();
        let (pieces, receiver) = mpsc::channel(PIECES_AHEAD);
        let copies = self.inner.metrics.disk.backend_snapshot.clone();
        let write = move || {
            let _permit = permit;
            match checkpoint.write(PieceWriter(&pieces)) {
                Ok(()) => copies.since(began),
                // The client may be gone; then nobody wants the error.
                Err(error) => drop(pieces.blocking_send(Err(internal(&error)))),
            }
        };
        self.inner
            .life
            .thread("backup", write)
            .map_err(|error| internal(&error))?;
        Ok((length, receiver))
    }

    fn checkpoint(&self) -> EngineResult<Checkpoint> {
        let number = self.inner.backup_number.fetch_add(1, Ordering::Relaxed);
        let dir = self.inner.backup_root.join(format!("{number:010}"));
        let view = View::clone(&self.inner.views.load());
        view.store
            .checkpoint(&dir)
            .map_err(|error| internal(&error))?;
        let mut checkpoint = Checkpoint {
            dir,
            files: Vec::new(),
            manifest: Vec::new(),
        };
        let copy = Store::open_read_only(&checkpoint.dir).map_err(|error| internal(&error))?;
        let applied = meta::applied_state(&copy).map_err(|error| internal(&error))?;
        let state = crate::mvcc::load_state(&copy)?;
        drop(copy);
        let manifest = Manifest {
            format: FORMAT,
            cluster_id: self.inner.cluster_id.to_string(),
            revision: state.revision.get(),
            raft_index: applied.as_ref().map_or(0, |applied| applied.index),
            raft_term: applied.as_ref().map_or(0, |applied| applied.term),
        };
        checkpoint.manifest = serde_json::to_vec(&manifest).map_err(|error| internal(&error))?;
        checkpoint.files = files_of(&checkpoint.dir).map_err(|error| internal(&error))?;
        Ok(checkpoint)
    }
}

impl Checkpoint {
    /// Length of the archive that [`Self::write`] writes.
    fn archive_len(&self) -> u64 {
        let entry = |len: u64| BLOCK + len.next_multiple_of(BLOCK);
        let files: u64 = self.files.iter().map(|(_, len)| entry(*len)).sum();
        entry(self.manifest.len() as u64) + files + 2 * BLOCK
    }

    fn write(&self, pieces: PieceWriter<'_>) -> io::Result<()> {
        let mut archive = tar::Builder::new(io::BufWriter::with_capacity(PIECE, pieces));
        append(
            &mut archive,
            Path::new(MANIFEST),
            self.manifest.len() as u64,
            &*self.manifest,
        )?;
        for (name, len) in &self.files {
            let file = File::open(self.dir.join(name))?;
            append(&mut archive, name, *len, io::Read::take(file, *len))?;
        }
        archive.into_inner()?.flush()
    }
}

impl Drop for Checkpoint {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.dir) {
            tracing::warn!(path = %self.dir.display(), %error, "cannot remove a backup's checkpoint");
        }
    }
}

fn append<W: Write>(
    archive: &mut tar::Builder<W>,
    name: &Path,
    len: u64,
    content: impl io::Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(len);
    header.set_mode(0o600);
    archive.append_data(&mut header, name, content)
}

/// The plain files of a checkpoint with their sizes, in order of their names.
fn files_of(dir: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        // Info logs and locks are of the open database, not of its content.
        let name = entry.file_name();
        let is_content = !matches!(name.to_str(), None | Some("LOG" | "LOCK"));
        if metadata.is_file() && is_content {
            files.push((PathBuf::from(name), metadata.len()));
        }
    }
    files.sort();
    Ok(files)
}

/// Turns what is written into pieces of the stream.
struct PieceWriter<'a>(&'a mpsc::Sender<EngineResult<Bytes>>);

impl Write for PieceWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .blocking_send(Ok(Bytes::copy_from_slice(bytes)))
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn internal(error: &dyn std::fmt::Display) -> EngineError {
    EngineError::Internal(error.to_string())
}

/// The semaphore that bounds backups.
pub(super) fn backup_permits() -> Arc<tokio::sync::Semaphore> {
    Arc::new(tokio::sync::Semaphore::new(MAX_BACKUPS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_promised_length_is_the_length_written() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("checkpoint");
        std::fs::create_dir(&dir).unwrap();
        for (name, len) in [("a.sst", 0), ("b.sst", 512), ("c.sst", 700_001)] {
            std::fs::write(dir.join(name), vec![7_u8; len]).unwrap();
        }
        std::fs::write(dir.join("LOG"), "not content").unwrap();
        let checkpoint = Checkpoint {
            files: files_of(&dir).unwrap(),
            dir: dir.clone(),
            manifest: b"{}".to_vec(),
        };
        let promised = checkpoint.archive_len();
        let (pieces, mut receiver) = mpsc::channel(100);
        checkpoint.write(PieceWriter(&pieces)).unwrap();
        drop(pieces);
        let mut archive = Vec::new();
        while let Ok(piece) = receiver.try_recv() {
            archive.extend_from_slice(&piece.unwrap());
        }
        assert_eq!(archive.len() as u64, promised);
        assert_eq!(promised % BLOCK, 0);
        let names: Vec<_> = tar::Archive::new(&archive[..])
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().into_owned())
            .collect();
        assert_eq!(
            names,
            [MANIFEST, "a.sst", "b.sst", "c.sst"].map(PathBuf::from)
        );
        drop(checkpoint);
        assert!(!dir.exists());
    }
}
