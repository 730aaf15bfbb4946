//! Recovery: what the segment files contain after a stop of any kind.
//!
//! Only the last segment can have a torn tail: a segment is synced before the next one is created, and
//! the next one's header says where it ended. In the last one, a bad record is the torn tail of an
//! unacknowledged write unless a later record proves that it once was durable.

use std::collections::VecDeque;
use std::sync::Arc;

use super::index::{Index, Slot};
use super::plan;
use super::record::{self, Defect, Kind, Place, Record};
use super::segment::{self, Header, HeaderDefect, Position, Segment};
use super::{Disk, Hard, Log, LogError, LogOptions};
use crate::raft::wire::MAX_NUMBER;

impl Log {
    /// Opens the log on `disk`, and creates it if there is none.
    ///
    /// # Errors
    /// [`LogError`] if the disk fails or durable content is missing or damaged.
    pub(crate) fn open(disk: Arc<dyn Disk>, options: LogOptions) -> Result<Self, LogError> {
        let mut found = disk.list().map_err(LogError::Open)?;
        found.sort_unstable();
        check_complete(&found)?;
        let mut recovery = Recovery::default();
        let mut headers = read_headers(disk.as_ref(), &found)?.into_iter().peekable();
        let mut bytes = Vec::new();
        while let Some((header, len)) = headers.next() {
            recovery.enter(&header, len)?;
            let end = headers.peek().map(|(next, _)| next);
            if end.is_some_and(|next| next.reset) {
                continue;
            }
            recovery.replay(disk.as_ref(), end.map(|next| next.previous_end), &mut bytes)?;
        }
        recovery.finish(disk, options)
    }
}

/// Segment numbers are consecutive: removal goes from the oldest on, one at a time.
fn check_complete(found: &[(u64, u64)]) -> Result<(), LogError> {
    for pair in found.windows(2) {
        if let [(before, _), (after, _)] = *pair
            && before + 1 != after
        {
            return Err(LogError::Missing(before + 1));
        }
    }
    Ok(())
}

fn read_headers(disk: &dyn Disk, found: &[(u64, u64)]) -> Result<Vec<(Header, u64)>, LogError> {
    let mut headers = Vec::with_capacity(found.len());
    for (at, &(number, len)) in found.iter().enumerate() {
        let mut bytes = vec![0; segment::HEADER.min(len as usize)];
        disk.read(number, 0, &mut bytes)
            .map_err(LogError::io("read", number))?;
        match Header::decode(&bytes, number) {
            Ok(header) => headers.push((header, len)),
            Err(HeaderDefect::Damaged) if at + 1 == found.len() => {
                drop_unborn(disk, number, len)?;
            }
            Err(HeaderDefect::Damaged) => {
                return Err(damaged(number, 0, &HeaderDefect::Damaged));
            }
            Err(format @ HeaderDefect::Format(_)) => {
                return Err(LogError::Format {
                    segment: number,
                    detail: format.to_string(),
                });
            }
        }
    }
    Ok(headers)
}

/// Removes the last segment, whose creation a crash interrupted. It is not recycled: what it holds was
/// written under the number that the next segment takes.
fn drop_unborn(disk: &dyn Disk, number: u64, len: u64) -> Result<(), LogError> {
    let mut bytes = Vec::new();
    read_all(disk, number, len, &mut bytes)?;
    if let Some(proof) = proof_of_damage(&bytes, number, 0) {
        return Err(damaged(number, 0, &proof));
    }
    disk.remove(number, false)
        .map_err(LogError::io("remove", number))?;
    disk.sync_dir()
        .map_err(LogError::io("sync the directory of", number))
}

/// Reads a segment into `bytes`, over what was read before: to be given new memory for each segment, all of
/// which the system clears first, takes longer than the reading.
fn read_all(disk: &dyn Disk, number: u64, len: u64, bytes: &mut Vec<u8>) -> Result<(), LogError> {
    let len = len as usize;
    if bytes.capacity() < len {
        *bytes = vec![0; len];
    }
    bytes.resize(len, 0);
    disk.read(number, 0, bytes)
        .map_err(LogError::io("read", number))
}

/// Refuses terms and indexes that no log reaches. Nothing that counts on from one may overflow.
fn check_numbers(
    segment: u64,
    offset: u64,
    position: Position,
    hard: Hard,
) -> Result<(), LogError> {
    let numbers = [position.index, position.term, hard.term, hard.commit];
    match numbers.into_iter().find(|&number| number > MAX_NUMBER) {
        None => Ok(()),
        Some(number) => Err(damaged(
            segment,
            offset,
            &format!("{number} is out of range"),
        )),
    }
}

fn damaged(segment: u64, offset: u64, detail: &dyn std::fmt::Display) -> LogError {
    LogError::Damaged {
        segment,
        offset,
        detail: detail.to_string(),
    }
}

/// Looks behind a bad place for a record that was written when that place was durable already.
fn proof_of_damage(bytes: &[u8], segment: u64, bad: usize) -> Option<String> {
    let begin = bad.max(segment::HEADER - record::ALIGN) + record::ALIGN;
    (begin..bytes.len())
        .step_by(BLANK_BLOCK)
        // Blank space is most of a segment; skip it without computing anything.
        .filter(|&block| !is_blank(block_at(bytes, block)))
        .flat_map(|block| (block..block + BLANK_BLOCK).step_by(record::ALIGN))
        .find_map(|offset| {
            let rest = bytes.get(offset..)?;
            if is_blank(rest.get(..record::ALIGN)?) {
                return None;
            }
            let place = Place {
                segment,
                offset: offset as u64,
            };
            // A recycled segment is full of what clients wrote: to compute the checksum of whatever looks
            // like a length could take hours.
            if !record::may_prove(rest, bad, offset) {
                return None;
            }
            record::decode(rest, place).ok()?;
            Some(format!(
                "the record at {offset} was written after this was durable"
            ))
        })
}

/// What is looked at together when blank space is skipped. A multiple of the alignment of records.
const BLANK_BLOCK: usize = 4096;

/// The block that begins at `offset`, or what there is of it.
fn block_at(bytes: &[u8], offset: usize) -> &[u8] {
    let rest = bytes.get(offset..).unwrap_or_default();
    rest.get(..BLANK_BLOCK).unwrap_or(rest)
}

/// Whether all bytes are zero. Without an early end, so that many are looked at in one instruction.
fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |any, byte| any | byte) == 0
}

/// The log as far as it has been read.
#[derive(Debug, Default)]
struct Recovery {
    index: Index,
    segments: VecDeque<Segment>,
    /// Segments that are no longer part of the log, oldest first.
    void: Vec<u64>,
    hard: Hard,
}

impl Recovery {
    /// Goes on to the next segment.
    fn enter(&mut self, header: &Header, len: u64) -> Result<(), LogError> {
        let base = header.base;
        check_numbers(header.number, 0, base, header.hard)?;
        let begins = self.segments.is_empty();
        if begins || header.reset || base.index < self.index.base().index {
            // The front of a log, a snapshot, or what is left of an interrupted removal.
            self.void
                .extend(self.segments.drain(..).map(|old| old.number));
            self.index = Index::after(base);
        } else if self.index.term(base.index) == Some(base.term) {
            self.index.truncate(base.index);
        } else {
            let last = self.index.last().index;
            let detail = format!("goes on after {} but the log ends at {last}", base.index);
            return Err(damaged(header.number, 0, &detail));
        }
        self.hard = header.hard;
        self.segments.push_back(Segment {
            number: header.number,
            base,
            end: segment::HEADER as u64,
            len,
        });
        Ok(())
    }

    /// Reads the records of the segment that was entered last, up to `end` if that is known.
    /// `bytes` is memory to read it into.
    fn replay(
        &mut self,
        disk: &dyn Disk,
        end: Option<u64>,
        bytes: &mut Vec<u8>,
    ) -> Result<(), LogError> {
        let Some(mut segment) = self.segments.back().copied() else {
            return Ok(());
        };
        read_all(disk, segment.number, segment.len, bytes)?;
        let defect = loop {
            if end == Some(segment.end) {
                break None;
            }
            let place = Place {
                segment: segment.number,
                offset: segment.end,
            };
            let rest = bytes.get(segment.end as usize..).unwrap_or_default();
            match record::decode(rest, place) {
                Ok((record, len)) => {
                    self.apply(&record, place)?;
                    segment.end += len as u64;
                }
                Err(defect) => break Some(defect),
            }
        };
        if let Some(open) = self.segments.back_mut() {
            *open = segment;
        }
        match (defect, end) {
            (None, _) => Ok(()),
            (Some(defect), Some(_)) => Err(damaged(segment.number, segment.end, &defect)),
            (Some(defect), None) => cut_tail(disk, &segment, bytes, defect),
        }
    }

    fn apply(&mut self, record: &Record<'_>, place: Place) -> Result<(), LogError> {
        if record.kind == Kind::HardState {
            let hard = record
                .hard()
                .map_err(|defect| damaged(place.segment, place.offset, &defect))?;
            check_numbers(place.segment, place.offset, Position::default(), hard)?;
            self.hard = hard;
            return Ok(());
        }
        let position = Position {
            index: record.index,
            term: record.term,
        };
        check_numbers(place.segment, place.offset, position, Hard::default())?;
        let before = record.index.checked_sub(1);
        match before.and_then(|before| self.index.term(before)) {
            Some(term) if term <= record.term => self.index.truncate(record.index - 1),
            _ => {
                let detail = format!(
                    "entry {} of term {} does not follow the entries before it",
                    record.index, record.term
                );
                return Err(damaged(place.segment, place.offset, &detail));
            }
        }
        self.index.push(Slot {
            place,
            len: record.payload.len() as u32,
            term: record.term,
        });
        Ok(())
    }

    fn finish(mut self, disk: Arc<dyn Disk>, options: LogOptions) -> Result<Log, LogError> {
        for number in self.void {
            disk.remove(number, true)
                .map_err(LogError::io("remove", number))?;
            disk.sync_dir()
                .map_err(LogError::io("sync the directory of", number))?;
        }
        match self.segments.back() {
            Some(open) => make_durable(disk.as_ref(), open.number)?,
            None => self
                .segments
                .push_back(create_first(disk.as_ref(), options)?),
        }
        let last = self.index.last().index;
        if self.hard.commit > last {
            return Err(LogError::Lost {
                last,
                commit: self.hard.commit,
            });
        }
        Ok(Log::recovered(
            disk,
            options,
            self.index,
            self.segments,
            self.hard,
        ))
    }
}

/// Ends the log where its last segment turns bad, after making sure that this is a torn tail. What lies
/// behind is erased, so that no remnant can ever line up with records written later.
fn cut_tail(
    disk: &dyn Disk,
    segment: &Segment,
    bytes: &[u8],
    defect: Defect,
) -> Result<(), LogError> {
    let end = segment.end as usize;
    if let Defect::Kind(_) | Defect::HardState = defect {
        return Err(damaged(segment.number, segment.end, &defect));
    }
    if let Some(proof) = proof_of_damage(bytes, segment.number, end) {
        return Err(damaged(segment.number, segment.end, &proof));
    }
    let rest = bytes.get(end..).unwrap_or_default();
    if rest.chunks(BLANK_BLOCK).all(is_blank) {
        return Ok(());
    }
    tracing::debug!(
        segment = segment.number,
        end,
        "erasing behind the raft log's end"
    );
    disk.erase(segment.number, segment.end)
        .map_err(LogError::io("erase the tail of", segment.number))
}

/// A process that was killed leaves records that were written but never synced. From now on they count
/// as durable, so they have to be.
fn make_durable(disk: &dyn Disk, segment: u64) -> Result<(), LogError> {
    disk.sync(segment)
        .and_then(|()| disk.sync_dir())
        .map_err(LogError::io("sync", segment))
}

fn create_first(disk: &dyn Disk, options: LogOptions) -> Result<Segment, LogError> {
    const FIRST: u64 = 1;
    let header = Header {
        number: FIRST,
        base: Position::default(),
        reset: false,
        previous_end: 0,
        hard: Hard::default(),
    };
    let (bytes, open) = plan::first_bytes(&header, 0, options.segment_bytes);
    disk.create(FIRST, open.len)
        .and_then(|()| disk.write(FIRST, 0, &bytes))
        .and_then(|()| disk.sync(FIRST))
        .and_then(|()| disk.sync_dir())
        .map_err(LogError::io("create", FIRST))?;
    Ok(open)
}
