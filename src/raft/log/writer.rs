//! The log thread's half of the log: carries batches out.

use std::sync::Arc;

use super::plan::{Batch, Op};
use super::{Disk, LogError};

/// Writes to one segment are joined up to this size, to save system calls.
const JOIN_BYTES: usize = 1 << 20;

/// Carries out batches in order. After an error it must not be used again: nothing is known of what
/// was written since the last sync, and a second sync may claim success for pages that are lost.
pub(crate) struct Writer {
    disk: Arc<dyn Disk>,
    unsynced: Option<u64>,
}

impl Writer {
    /// A writer on the disk that the log was opened on.
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Self {
        Self {
            disk,
            unsynced: None,
        }
    }

    /// Carries out the batches. If one of them asks for it, all are durable on return.
    ///
    /// # Errors
    /// [`LogError`] if the disk fails.
    pub(crate) fn run(&mut self, batches: Vec<Batch>) -> Result<(), LogError> {
        let sync = batches.iter().any(|batch| batch.sync);
        let mut ops = batches.into_iter().flat_map(|batch| batch.ops).peekable();
        while let Some(op) = ops.next() {
            match op {
                Op::Write {
                    segment,
                    offset,
                    mut bytes,
                } => {
                    while bytes.len() < JOIN_BYTES
                        && let Some(Op::Write { bytes: more, .. }) =
                            ops.next_if(|next| follows(next, segment, offset, bytes.len()))
                    {
                        bytes.extend_from_slice(&more);
                    }
                    self.write(segment, offset, &bytes)?;
                }
                Op::Sync { segment } => self.sync(segment)?,
                Op::Create {
                    segment,
                    len,
                    bytes,
                } => self.create(segment, len, &bytes)?,
                Op::Remove { segment } => self.remove(segment)?,
            }
        }
        match self.unsynced {
            Some(segment) if sync => self.sync(segment),
            _ => Ok(()),
        }
    }

    fn write(&mut self, segment: u64, offset: u64, bytes: &[u8]) -> Result<(), LogError> {
        self.unsynced = Some(segment);
        self.disk
            .write(segment, offset, bytes)
            .map_err(LogError::io("write", segment))
    }

    fn sync(&mut self, segment: u64) -> Result<(), LogError> {
        self.disk
            .sync(segment)
            .map_err(LogError::io("sync", segment))?;
        self.unsynced = None;
        Ok(())
    }

    fn create(&mut self, segment: u64, len: u64, bytes: &[u8]) -> Result<(), LogError> {
        self.disk
            .create(segment, len)
            .map_err(LogError::io("create", segment))?;
        self.write(segment, 0, bytes)?;
        self.sync_dir(segment)
    }

    /// Removals become durable one by one: were a newer one to survive a crash without an older one, a
    /// segment would seem to be missing.
    fn remove(&self, segment: u64) -> Result<(), LogError> {
        self.disk
            .remove(segment, true)
            .map_err(LogError::io("remove", segment))?;
        self.sync_dir(segment)
    }

    fn sync_dir(&self, segment: u64) -> Result<(), LogError> {
        self.disk
            .sync_dir()
            .map_err(LogError::io("sync the directory of", segment))
    }
}

/// Whether `op` writes to `segment` right behind `len` bytes at `offset`.
fn follows(op: &Op, segment: u64, offset: u64, len: usize) -> bool {
    matches!(op, Op::Write { segment: s, offset: o, .. } if *s == segment && *o == offset + len as u64)
}
