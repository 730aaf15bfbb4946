//! What the log needs of a disk, and the real one. A simulation has another that loses what was not
//! synced, tears writes and fails on demand.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::FallocateFlags;

use crate::base::fs::sync_dir;

/// Segment files by number. A name, a file's content and a removal are durable only after the sync
/// that covers them.
pub(crate) trait Disk: Send + Sync {
    /// The segments that exist, with their sizes, in no particular order.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self) -> io::Result<Vec<(u64, u64)>>;

    /// Creates a segment of `len` bytes. Its content is undefined: it may be a recycled file.
    ///
    /// # Errors
    /// What the system says; the disk being full among them, as the space is taken at once.
    fn create(&self, segment: u64, len: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// What the system says.
    fn write(&self, segment: u64, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Reads until `buf` is full.
    ///
    /// # Errors
    /// What the system says; a file that ends first is one.
    fn read(&self, segment: u64, offset: u64, buf: &mut [u8]) -> io::Result<()>;

    /// Fills the segment with zeros from `offset` on.
    ///
    /// # Errors
    /// What the system says.
    fn erase(&self, segment: u64, offset: u64) -> io::Result<()>;

    /// Makes the content of a segment durable.
    ///
    /// # Errors
    /// What the system says. After an error nothing is known of what was written since the last sync.
    fn sync(&self, segment: u64) -> io::Result<()>;

    /// Makes creations and removals durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync_dir(&self) -> io::Result<()>;

    /// Removes a segment. `recycle` allows its file to serve as a later segment.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, segment: u64, recycle: bool) -> io::Result<()>;
}

/// Removed segments that are kept to be written again: enough for the pace at which a log that is cut
/// behind grows in front.
const MAX_SPARES: usize = 2;
const SEGMENT_SUFFIX: &str = "seg";
const SPARE_SUFFIX: &str = "spare";
/// How much is written at once where the file system cannot zero a range by itself.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Bytes that are written ahead in a new segment: enough that few syncs pay for it, little enough that those
/// that do stay short.
const AHEAD: u64 = 1 << 20;

/// Writes zeros.
fn fill(file: &File, from: u64, to: u64) -> io::Result<()> {
    let mut at = from;
    while at < to {
        let step = (to - at).min(ZEROS.len() as u64);
        file.write_all_at(ZEROS.get(..step as usize).unwrap_or_default(), at)?;
        at += step;
    }
    Ok(())
}

/// Files in one directory.
#[derive(Debug)]
pub(crate) struct FileDisk {
    dir: PathBuf,
    fsync: bool,
    open: Mutex<HashMap<u64, Arc<File>>>,
    /// How far new segments have been written, whose blocks are allocated and not written yet.
    written: Mutex<HashMap<u64, u64>>,
    spares: Mutex<Vec<u64>>,
}

impl FileDisk {
    /// Opens the directory, which is created if it is missing. With `fsync` off nothing is ever synced:
    /// for throw-away data only.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn open(dir: &Path, fsync: bool) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        if fsync {
            // A directory that was just created must not vanish with its parent's unsynced entry.
            sync_dir(&dir.join(".."))?;
        }
        let disk = Self {
            dir: dir.to_owned(),
            fsync,
            open: Mutex::default(),
            written: Mutex::default(),
            spares: Mutex::default(),
        };
        *disk.spares.lock() = disk.numbers(SPARE_SUFFIX)?;
        Ok(disk)
    }

    fn path(&self, number: u64, suffix: &str) -> PathBuf {
        self.dir.join(format!("{number:016x}.{suffix}"))
    }

    fn numbers(&self, suffix: &str) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            let name = entry?.file_name();
            let number = name
                .to_str()
                .and_then(|name| name.strip_suffix(suffix)?.strip_suffix('.'))
                .and_then(|hex| u64::from_str_radix(hex, 16).ok());
            numbers.extend(number);
        }
        Ok(numbers)
    }

    fn file(&self, segment: u64) -> io::Result<Arc<File>> {
        if let Some(file) = self.open.lock().get(&segment) {
            return Ok(Arc::clone(file));
        }
        let path = self.path(segment, SEGMENT_SUFFIX);
        let file = Arc::new(File::options().read(true).write(true).open(path)?);
        self.open.lock().insert(segment, Arc::clone(&file));
        Ok(file)
    }

    /// Writes zeros ahead of a write that ends at `end`, if its segment is new and they have not been written.
    ///
    /// A sync of blocks that are allocated but were never written is a transaction of the file system's
    /// journal; with this only every so many syncs are. A segment that was recycled needs none of it.
    fn write_ahead(&self, segment: u64, file: &File, end: u64) -> io::Result<()> {
        let mut written = self.written.lock();
        let Some(until) = written.get_mut(&segment).filter(|until| **until < end) else {
            return Ok(());
        };
        let len = file.metadata()?.len();
        let next = (end.next_multiple_of(AHEAD) + AHEAD).min(len);
        fill(file, end, next)?;
        *until = next;
        if next == len {
            written.remove(&segment);
        }
        Ok(())
    }

    /// Turns a spare of the right size into the segment, if there is one.
    fn recycle(&self, segment: u64, len: u64) -> io::Result<bool> {
        let Some(spare) = self.spares.lock().pop() else {
            return Ok(false);
        };
        let path = self.path(spare, SPARE_SUFFIX);
        if std::fs::metadata(&path)?.len() != len {
            std::fs::remove_file(&path)?;
            return Ok(false);
        }
        std::fs::rename(&path, self.path(segment, SEGMENT_SUFFIX))?;
        Ok(true)
    }
}

impl Disk for FileDisk {
    fn list(&self) -> io::Result<Vec<(u64, u64)>> {
        self.numbers(SEGMENT_SUFFIX)?
            .into_iter()
            .map(|number| {
                let meta = std::fs::metadata(self.path(number, SEGMENT_SUFFIX))?;
                Ok((number, meta.len()))
            })
            .collect()
    }

    fn create(&self, segment: u64, len: u64) -> io::Result<()> {
        if self.recycle(segment, len)? {
            return Ok(());
        }
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(self.path(segment, SEGMENT_SUFFIX))?;
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, len) {
            Err(rustix::io::Errno::OPNOTSUPP) => file.set_len(len)?,
            other => other?,
        }
        self.open.lock().insert(segment, Arc::new(file));
        self.written.lock().insert(segment, 0);
        Ok(())
    }

    fn write(&self, segment: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let file = self.file(segment)?;
        file.write_all_at(bytes, offset)?;
        if self.fsync {
            self.write_ahead(segment, &file, offset + bytes.len() as u64)?;
        }
        Ok(())
    }

    fn read(&self, segment: u64, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file(segment)?.read_exact_at(buf, offset)
    }

    fn erase(&self, segment: u64, offset: u64) -> io::Result<()> {
        let file = self.file(segment)?;
        let len = file.metadata()?.len();
        let flags = FallocateFlags::ZERO_RANGE;
        if rustix::fs::fallocate(&*file, flags, offset, len - offset).is_ok() {
            return Ok(());
        }
        fill(&file, offset, len)
    }

    fn sync(&self, segment: u64) -> io::Result<()> {
        if self.fsync {
            self.file(segment)?.sync_data()?;
        }
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        if self.fsync {
            sync_dir(&self.dir)?;
        }
        Ok(())
    }

    fn remove(&self, segment: u64, recycle: bool) -> io::Result<()> {
        self.open.lock().remove(&segment);
        self.written.lock().remove(&segment);
        let path = self.path(segment, SEGMENT_SUFFIX);
        let mut spares = self.spares.lock();
        if !recycle || spares.len() >= MAX_SPARES {
            return std::fs::remove_file(path);
        }
        std::fs::rename(path, self.path(segment, SPARE_SUFFIX))?;
        spares.push(segment);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removed_segments_come_back_under_a_new_number() {
        let dir = tempfile::tempdir().unwrap();
        let disk = FileDisk::open(&dir.path().join("log"), true).unwrap();
        disk.create(1, 4096).unwrap();
        disk.write(1, 10, b"old").unwrap();
        disk.remove(1, true).unwrap();
        assert_eq!(disk.list().unwrap(), []);
        disk.create(2, 4096).unwrap();
        let mut buf = [0; 3];
        disk.read(2, 10, &mut buf).unwrap();
        assert_eq!(&buf, b"old");
        disk.erase(2, 10).unwrap();
        disk.read(2, 10, &mut buf).unwrap();
        assert_eq!(buf, [0; 3]);
        disk.sync(2).unwrap();
        disk.sync_dir().unwrap();
        assert_eq!(disk.list().unwrap(), [(2, 4096)]);
    }

    #[test]
    fn spares_survive_a_restart_and_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let disk = FileDisk::open(dir.path(), false).unwrap();
        for segment in 1..=4 {
            disk.create(segment, 4096).unwrap();
        }
        for segment in 1..=4 {
            disk.remove(segment, true).unwrap();
        }
        let disk = FileDisk::open(dir.path(), false).unwrap();
        assert_eq!(disk.spares.lock().len(), MAX_SPARES);
        disk.create(9, 8192).unwrap();
        assert_eq!(disk.list().unwrap(), [(9, 8192)]);
    }

    #[test]
    fn a_new_segment_is_written_ahead_and_a_recycled_one_is_not() {
        const LEN: u64 = 3 * AHEAD;
        let dir = tempfile::tempdir().unwrap();
        let disk = FileDisk::open(dir.path(), true).unwrap();
        let ahead = |segment| disk.written.lock().get(&segment).copied();
        disk.create(1, LEN).unwrap();
        disk.write(1, 0, b"record").unwrap();
        assert_eq!(ahead(1), Some(2 * AHEAD));
        disk.write(1, 6, b"another").unwrap();
        let mut read = [1; 16];
        disk.read(1, 0, &mut read).unwrap();
        assert_eq!(&read, b"recordanother\0\0\0");
        disk.write(1, 2 * AHEAD - 1, b"ab").unwrap();
        assert_eq!(ahead(1), None, "all of it has been written");
        disk.sync(1).unwrap();
        disk.remove(1, true).unwrap();
        disk.create(2, LEN).unwrap();
        disk.write(2, 0, b"again").unwrap();
        assert_eq!(ahead(2), None);
    }
}
