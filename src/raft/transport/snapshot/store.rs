//! The receiver's disk side: collects the files of a snapshot, possibly over several connections.
//!
//! A snapshot grows in `<directory>/<name>.partial` and is renamed to `<directory>/<name>` when every file
//! is verified and synced. Partial directories survive a restart, that is what makes a transfer resumable;
//! there are never more than one for each transfer that runs, plus one that was interrupted last.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::super::error::SnapshotError;
use super::CHUNK;
use super::offer::{Offer, OfferedFile, Resume};
use crate::base::clock;
use crate::base::fs::sync_dir;
use crate::base::ids::MemberId;
use crate::base::metrics::Histogram;

/// Transfers at a time. One is usual; two happen when the leader changes during the first.
const MAX_INCOMING: usize = 2;

const PARTIAL: &str = "partial";

/// The directory for incoming snapshots and who writes there now.
#[derive(Debug)]
pub(in super::super) struct Incoming {
    dir: PathBuf,
    pub(super) max_bytes: u64,
    /// How long making a file durable takes.
    syncs: Histogram,
    active: Mutex<HashMap<MemberId, String>>,
}

/// The right to write one snapshot; given back when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    incoming: Arc<Incoming>,
    from: MemberId,
}

impl Incoming {
    /// Makes the directory, and deletes what an earlier run received but did not take over.
    pub(in super::super) fn open(
        dir: PathBuf,
        max_bytes: u64,
        syncs: Histogram,
    ) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        let incoming = Self {
            dir,
            max_bytes,
            syncs,
            active: Mutex::default(),
        };
        incoming.delete(|path| !is_partial(path))?;
        Ok(incoming)
    }

    /// Takes the right to write `name`, one for each sender.
    pub(super) fn begin(
        self: &Arc<Self>,
        from: MemberId,
        name: &str,
    ) -> Result<Slot, SnapshotError> {
        let mut active = self.active.lock();
        if active.contains_key(&from) {
            return Err(SnapshotError::Busy("an earlier transfer has not ended yet"));
        }
        if active.len() >= MAX_INCOMING {
            return Err(SnapshotError::Busy("too many snapshots are arriving"));
        }
        active.insert(from, name.to_owned());
        let incoming = self.clone();
        Ok(Slot { incoming, from })
    }

    /// Deletes the directories that `doomed` points out.
    fn delete(&self, doomed: impl Fn(&Path) -> bool) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if path.is_dir() && doomed(&path) {
                fs::remove_dir_all(&path)?;
            }
        }
        Ok(())
    }

    /// Whether a transfer writes this directory now.
    fn is_active(&self, path: &Path) -> bool {
        let stem = path.file_stem().unwrap_or_default();
        self.active
            .lock()
            .values()
            .any(|name| stem == name.as_str())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.incoming.active.lock().remove(&self.from);
    }
}

fn is_partial(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == PARTIAL)
}

/// A snapshot that is being written. All its methods block.
#[derive(Debug)]
pub(super) struct Store {
    /// Kept until the snapshot is taken over, so that no second transfer meets this one in its files.
    _slot: Slot,
    incoming: Arc<Incoming>,
    partial: PathBuf,
    complete: PathBuf,
    files: Vec<OfferedFile>,
    done: usize,
    current: Option<Target>,
}

/// The file that is being written.
#[derive(Debug)]
struct Target {
    path: PathBuf,
    file: File,
    written: u64,
    crc: u32,
}

impl Store {
    /// Opens the snapshot's directory and drops partial snapshots that nobody will ask for again. `None` if
    /// this very snapshot was taken over already and only has not been moved away yet: the sender did not
    /// hear so and tries again.
    pub(super) fn open(
        slot: Slot,
        name: &str,
        offer: &Offer,
    ) -> Result<Option<Self>, SnapshotError> {
        let incoming = slot.incoming.clone();
        let cleared = incoming.delete(|path| is_partial(path) && !incoming.is_active(path));
        cleared.map_err(SnapshotError::file(&incoming.dir))?;
        let complete = incoming.dir.join(name);
        if complete.exists() {
            return Ok(None);
        }
        let partial = complete.with_extension(PARTIAL);
        fs::create_dir_all(&partial).map_err(SnapshotError::file(&partial))?;
        Ok(Some(Self {
            _slot: slot,
            incoming,
            partial,
            complete,
            files: offer.files.clone(),
            done: 0,
            current: None,
        }))
    }

    /// How much of each file is there. A file that is longer than announced is none of ours.
    pub(super) fn resume(&self) -> Result<Resume, SnapshotError> {
        let mut offsets = Vec::with_capacity(self.files.len());
        for file in &self.files {
            let path = self.partial.join(&file.name);
            let length = match fs::metadata(&path) {
                Ok(metadata) => metadata.len(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
                Err(error) => return Err(SnapshotError::file(&path)(error)),
            };
            offsets.push(if length > file.size { 0 } else { length });
        }
        Ok(Resume { offsets })
    }

    /// Appends a piece of the file that is due.
    pub(super) fn chunk(
        &mut self,
        file: u32,
        offset: u64,
        data: &Bytes,
    ) -> Result<(), SnapshotError> {
        let (target, announced) = self.due(file)?;
        if offset != target.written {
            return Err(SnapshotError::OutOfOrder);
        }
        if data.len() as u64 > announced.size - target.written {
            return Err(SnapshotError::Size(announced.name.clone()));
        }
        target
            .file
            .write_all(data)
            .map_err(SnapshotError::file(&target.path))?;
        target.written += data.len() as u64;
        target.crc = crc32c::crc32c_append(target.crc, data);
        Ok(())
    }

    /// Verifies and syncs the file that is due. One that does not match is deleted.
    pub(super) fn file_end(&mut self, file: u32, crc: u32) -> Result<(), SnapshotError> {
        let (target, announced) = self.due(file)?;
        if target.written != announced.size {
            return Err(SnapshotError::Size(announced.name.clone()));
        }
        if target.crc != crc {
            let wrong = SnapshotError::Checksum(announced.name.clone());
            fs::remove_file(&target.path).map_err(SnapshotError::file(&target.path))?;
            return Err(wrong);
        }
        let began = clock::now();
        let synced = target.file.sync_all();
        synced.map_err(SnapshotError::file(&target.path))?;
        self.incoming.syncs.since(began);
        self.current = None;
        self.done += 1;
        Ok(())
    }

    /// Moves the complete snapshot into place and lets `take_over` have it. One step that no lost
    /// connection divides: a complete directory that was not offered to anybody would lie in the way of
    /// every later attempt.
    pub(super) fn finish(self, take_over: impl FnOnce(&Path) -> bool) -> Result<(), SnapshotError> {
        if self.done != self.files.len() {
            return Err(SnapshotError::OutOfOrder);
        }
        sync_dir(&self.partial).map_err(SnapshotError::file(&self.partial))?;
        fs::rename(&self.partial, &self.complete).map_err(SnapshotError::file(&self.complete))?;
        let dir = &self.incoming.dir;
        sync_dir(dir).map_err(SnapshotError::file(dir))?;
        if take_over(&self.complete) {
            return Ok(());
        }
        let deleted = fs::remove_dir_all(&self.complete);
        deleted.map_err(SnapshotError::file(&self.complete))?;
        Err(SnapshotError::NotTaken)
    }

    /// The file that is due, opened if it is not yet; anything else is out of order.
    fn due(&mut self, file: u32) -> Result<(&mut Target, &OfferedFile), SnapshotError> {
        if file as usize != self.done {
            return Err(SnapshotError::OutOfOrder);
        }
        let announced = self.files.get(self.done).ok_or(SnapshotError::OutOfOrder)?;
        let target = match self.current.take() {
            Some(target) => target,
            None => Target::open(self.partial.join(&announced.name), announced.size)?,
        };
        Ok((self.current.insert(target), announced))
    }
}

impl Target {
    /// Opens a file behind what it holds already, with the checksum of that.
    fn open(path: PathBuf, size: u64) -> Result<Self, SnapshotError> {
        let open = || {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            let mut file = options.open(&path)?;
            if file.metadata()?.len() > size {
                file.set_len(0)?;
            }
            let (written, crc) = checksum(&mut file)?;
            file.seek(SeekFrom::Start(written))?;
            Ok((file, written, crc))
        };
        let (file, written, crc) = open().map_err(SnapshotError::file(&path))?;
        Ok(Self {
            path,
            file,
            written,
            crc,
        })
    }
}

/// Length and crc32c of what a file holds from here to its end.
fn checksum(file: &mut File) -> io::Result<(u64, u32)> {
    let mut buffer = vec![0; CHUNK];
    let (mut length, mut crc) = (0, 0);
    loop {
        let count = file.read(&mut buffer)?;
        let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else {
            return Ok((length, crc));
        };
        length += count as u64;
        crc = crc32c::crc32c_append(crc, read);
    }
}
