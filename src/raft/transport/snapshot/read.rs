//! The sender's disk side: reads the offered files on a blocking thread.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::super::error::SnapshotError;
use super::super::frame::Frame;
use super::CHUNK;
use super::offer::{OfferedFile, Resume};

/// Reads every file and queues what the receiver lacks of it, then [`Frame::Finish`] or the error that
/// ended it. Blocks; ends early when nobody takes the frames any more.
pub(super) fn read_files(
    dir: &Path,
    files: &[OfferedFile],
    resume: &Resume,
    frames: &mpsc::Sender<Result<Frame, SnapshotError>>,
) {
    let outcome =
        files
            .iter()
            .zip(&resume.offsets)
            .enumerate()
            .try_for_each(|(number, (file, &offset))| {
                let place = Place {
                    dir,
                    file,
                    number: number as u32,
                };
                place.read(offset, frames)
            });
    let _ = frames.blocking_send(outcome.map(|()| Frame::Finish));
}

/// One file of the offer.
struct Place<'a> {
    dir: &'a Path,
    file: &'a OfferedFile,
    number: u32,
}

impl Place<'_> {
    fn read(
        &self,
        offset: u64,
        frames: &mpsc::Sender<Result<Frame, SnapshotError>>,
    ) -> Result<(), SnapshotError> {
        let path = self.dir.join(&self.file.name);
        let mut source = File::open(&path).map_err(SnapshotError::file(&path))?;
        let mut crc = 0;
        let mut at = 0;
        while at < self.file.size {
            // Up to the offset only the checksum is wanted, and a chunk never spans it.
            let end = if at < offset { offset } else { self.file.size };
            let mut data = vec![0; (end - at).min(CHUNK as u64) as usize];
            source
                .read_exact(&mut data)
                .map_err(SnapshotError::file(&path))?;
            crc = crc32c::crc32c_append(crc, &data);
            let begin = at;
            at += data.len() as u64;
            if begin >= offset {
                self.queue(begin, data.into(), frames)?;
            } else if frames.is_closed() {
                return Err(SnapshotError::Interrupted);
            }
        }
        let file = self.number;
        let end = Frame::FileEnd { file, crc };
        frames
            .blocking_send(Ok(end))
            .map_err(|_| SnapshotError::Interrupted)
    }

    fn queue(
        &self,
        offset: u64,
        data: Bytes,
        frames: &mpsc::Sender<Result<Frame, SnapshotError>>,
    ) -> Result<(), SnapshotError> {
        let file = self.number;
        let chunk = Frame::Chunk { file, offset, data };
        frames
            .blocking_send(Ok(chunk))
            .map_err(|_| SnapshotError::Interrupted)
    }
}
