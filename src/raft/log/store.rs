//! The raft thread's half of the log: what it contains, where it lies, and what changes it.

use std::collections::VecDeque;
use std::sync::Arc;

use raft::eraftpb::{Entry, EntryType};

use super::cache::Cache;
use super::index::{Index, Slot};
use super::plan::{Batch, Plan};
use super::record::{self, Kind, Record};
use super::segment::{Position, Segment};
use super::{Disk, Hard, LogError};

/// How much one read of old entries takes from the disk at most, beyond one entry.
const READ_BYTES: usize = 4 << 20;
/// Dead bytes between two entries that are read over rather than around.
const READ_GAP: u64 = 4096;

/// Sizes of the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogOptions {
    /// Size of a segment file.
    pub(crate) segment_bytes: u64,
    /// How many bytes of entries stay in memory once they are durable.
    pub(crate) cache_bytes: usize,
}

/// How far the log is known to be durable.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Durable {
    /// The segment that was written last.
    pub(super) segment: u64,
    /// Its durable length.
    pub(super) end: u64,
    /// The last durable entry that still is part of the log.
    pub(super) last: u64,
}

/// A batch that was planned and not yet reported durable.
#[derive(Debug)]
struct Waiting {
    number: u64,
    reaches: Durable,
}

/// The log as the raft thread sees it. See the [module](super) for the division of work.
pub(crate) struct Log {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) options: LogOptions,
    pub(super) index: Index,
    pub(super) cache: Cache,
    /// Oldest first; the last is the one that is written. Never empty.
    pub(super) segments: VecDeque<Segment>,
    pub(super) hard: Hard,
    pub(super) durable: Durable,
    waiting: VecDeque<Waiting>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log")
            .field("base", &self.base())
            .field("last", &self.last())
            .field("hard", &self.hard)
            .finish_non_exhaustive()
    }
}

impl Log {
    /// A log as recovery found it. `open` is the segment to go on in; all of it is durable.
    pub(super) fn recovered(
        disk: Arc<dyn Disk>,
        options: LogOptions,
        index: Index,
        segments: VecDeque<Segment>,
        hard: Hard,
    ) -> Self {
        let durable = Durable {
            segment: segments.back().map_or(0, |open| open.number),
            end: segments.back().map_or(0, |open| open.end),
            last: index.last().index,
        };
        Self {
            disk,
            options,
            index,
            cache: Cache::new(options.cache_bytes),
            segments,
            hard,
            durable,
            waiting: VecDeque::new(),
        }
    }

    /// The position before the first entry.
    pub(crate) fn base(&self) -> Position {
        self.index.base()
    }

    /// The last position.
    pub(crate) fn last(&self) -> Position {
        self.index.last()
    }

    /// The term at `index`, known from the base to the last entry.
    pub(crate) fn term(&self, index: u64) -> Option<u64> {
        self.index.term(index)
    }

    /// The hard state as of the last batch.
    pub(crate) const fn hard(&self) -> Hard {
        self.hard
    }

    /// The index after which the entries up to `index` have at most `bytes` bytes.
    pub(crate) fn reach_back(&self, index: u64, bytes: u64) -> u64 {
        self.index.reach_back(index, bytes)
    }

    /// Bytes that the log takes on the disk.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.len).sum()
    }

    /// Appends entries, which may replace the end of the log, and takes over the hard state. `number` is
    /// what [`Self::persisted`] will be told once the batch is durable.
    pub(crate) fn append(&mut self, number: u64, entries: Vec<Entry>, hard: Hard) -> Batch {
        let mut plan = self.plan();
        if (hard.term, hard.vote) != (self.hard.term, self.hard.vote) {
            // Goes before the entries, so that no torn tail leaves entries of a term that the member
            // does not know. The commit index waits for the entries it may refer to.
            self.hard.term = hard.term;
            self.hard.vote = hard.vote;
            plan.put_hard(self.hard, self.last());
        }
        for entry in entries {
            self.add(&mut plan, entry);
        }
        if hard != self.hard {
            self.hard = hard;
            plan.put_hard(hard, self.last());
        }
        let batch = self.adopt(plan, true);
        self.await_durable(number);
        batch
    }

    /// Takes note that entries up to `commit` are committed. Nobody waits for this to be durable.
    pub(crate) fn note_commit(&mut self, commit: u64) -> Option<Batch> {
        if commit <= self.hard.commit {
            return None;
        }
        self.hard.commit = commit;
        let mut plan = self.plan();
        plan.put_hard(self.hard, self.last());
        Some(self.adopt(plan, false))
    }

    /// Drops everything and goes on after `base`, which a snapshot covers.
    pub(crate) fn reset(&mut self, number: u64, base: Position, hard: Hard) -> Batch {
        let mut plan = self.plan();
        self.hard = hard;
        plan.reset(base, hard);
        for segment in self.segments.drain(..) {
            plan.remove(segment.number);
        }
        let (batch, segments) = plan.finish(true);
        self.segments.extend(segments.last());
        self.truncate(0);
        self.index = Index::after(base);
        self.await_durable(number);
        batch
    }

    /// Gives up segments whose entries all are at or below `index`. Gives `None` if there are none.
    pub(crate) fn cut(&mut self, index: u64) -> Option<Batch> {
        let keep_from = self.first_needed(index)?;
        let mut plan = self.plan();
        for segment in self.segments.drain(..keep_from) {
            plan.remove(segment.number);
        }
        let base = self.segments.front()?.base;
        self.index.compact(base);
        self.cache.compact(base.index);
        Some(plan.finish(false).0)
    }

    /// The first segment that must stay when the log is cut at `index`, if any before it can go: the last
    /// that begins there or before. A later one may begin at a lower index than one in front of it, where
    /// entries were replaced across the border between them, so it is looked for from the back.
    fn first_needed(&self, index: u64) -> Option<usize> {
        let begins = |segment: &Segment| segment.base.index <= index;
        let last = self.segments.iter().rposition(begins);
        last.filter(|&at| at > 0)
    }

    /// Hears that the batch with this number, and all before it, are durable.
    pub(crate) fn persisted(&mut self, number: u64) {
        while self
            .waiting
            .front()
            .is_some_and(|batch| batch.number <= number)
        {
            if let Some(batch) = self.waiting.pop_front() {
                self.durable = batch.reaches;
            }
        }
        self.cache.shrink(self.durable.last);
    }

    /// Reads the entries in `low..high`, all of which must exist. Stops once they exceed `max_bytes`,
    /// but gives at least one.
    ///
    /// # Errors
    /// [`LogError`] if the disk fails or gives something else than was written.
    pub(crate) fn entries(
        &self,
        low: u64,
        high: u64,
        max_bytes: u64,
    ) -> Result<Vec<Entry>, LogError> {
        let cached = self.cache.first().unwrap_or(high).clamp(low, high);
        let mut out = Taken::new(max_bytes);
        let mut at = low;
        while at < cached && !out.full {
            at = self.read_run(at, cached, &mut out)?;
        }
        for entry in self.cache.from(cached).take((high - cached) as usize) {
            if out.full || !out.admits(entry.data.len()) {
                break;
            }
            out.entries.push(entry.clone());
        }
        Ok(out.entries)
    }

    /// Reads entries that lie one after the other in a segment, and gives the index after the last.
    fn read_run(&self, low: u64, high: u64, out: &mut Taken) -> Result<u64, LogError> {
        let Some(first) = self.index.slot(low) else {
            return Ok(high);
        };
        let segment = first.place.segment;
        let mut end = first.place.offset;
        let mut next = low;
        while let Some(slot) = self.index.slot(next).filter(|_| next < high) {
            let near = slot.place.offset.wrapping_sub(end) <= READ_GAP;
            if slot.place.segment != segment || !near || !out.admits(slot.len as usize) {
                break;
            }
            end = slot.place.offset + record::record_len(slot.len as usize) as u64;
            next += 1;
            if end - first.place.offset > READ_BYTES as u64 {
                break;
            }
        }
        let mut buf = vec![0; (end - first.place.offset) as usize];
        self.disk
            .read(segment, first.place.offset, &mut buf)
            .map_err(LogError::io("read", segment))?;
        for index in low..next {
            if let Some(slot) = self.index.slot(index) {
                let skip = (slot.place.offset - first.place.offset) as usize;
                let bytes = buf.get(skip..).unwrap_or_default();
                out.entries.push(read_back(bytes, slot, index)?);
            }
        }
        Ok(next)
    }

    fn add(&mut self, plan: &mut Plan, entry: Entry) {
        if entry.index <= self.last().index {
            self.truncate(entry.index - 1);
        }
        debug_assert_eq!(
            entry.index,
            self.last().index + 1,
            "raft appends without gaps"
        );
        let replaces_older_segment = self.last().index < plan.open().base.index;
        if replaces_older_segment || !plan.fits(entry.data.len()) {
            plan.rotate(self.last(), self.hard, entry.data.len());
        }
        let place = plan.put(&Record {
            kind: kind_of(&entry),
            synced: 0,
            term: entry.term,
            index: entry.index,
            payload: &entry.data,
        });
        self.index.push(Slot {
            place,
            len: entry.data.len() as u32,
            term: entry.term,
        });
        self.cache.push(entry);
    }

    /// Forgets the entries after `index`: others take their place.
    fn truncate(&mut self, index: u64) {
        self.index.truncate(index);
        self.cache.truncate(index + 1);
        self.durable.last = self.durable.last.min(index);
        for batch in &mut self.waiting {
            batch.reaches.last = batch.reaches.last.min(index);
        }
    }

    fn plan(&self) -> Plan {
        let open = self.open_segment();
        let synced = if self.durable.segment == open.number {
            self.durable.end
        } else {
            0
        };
        Plan::new(open, synced, self.options.segment_bytes)
    }

    fn open_segment(&self) -> Segment {
        *self.segments.back().expect("a log has a segment")
    }

    fn adopt(&mut self, plan: Plan, sync: bool) -> Batch {
        let (batch, segments) = plan.finish(sync);
        self.segments.pop_back();
        self.segments.extend(segments);
        batch
    }

    fn await_durable(&mut self, number: u64) {
        let open = self.open_segment();
        let reaches = Durable {
            segment: open.number,
            end: open.end,
            last: self.last().index,
        };
        self.waiting.push_back(Waiting { number, reaches });
    }
}

/// Entries gathered up to a number of bytes.
struct Taken {
    entries: Vec<Entry>,
    left: u64,
    any: bool,
    full: bool,
}

impl Taken {
    const fn new(max_bytes: u64) -> Self {
        Self {
            entries: Vec::new(),
            left: max_bytes,
            any: false,
            full: false,
        }
    }

    /// Whether an entry with this much data may be added; counts it if so.
    fn admits(&mut self, len: usize) -> bool {
        let cost = (len + record::HEADER) as u64;
        if self.any && cost > self.left {
            self.full = true;
            return false;
        }
        self.any = true;
        self.left = self.left.saturating_sub(cost);
        true
    }
}

fn kind_of(entry: &Entry) -> Kind {
    match EntryType::from_i32(entry.entry_type) {
        Some(EntryType::EntryConfChange) => Kind::ConfChange,
        Some(EntryType::EntryConfChangeV2) => Kind::ConfChangeV2,
        _ => Kind::Normal,
    }
}

/// Decodes an entry that is known to lie in `slot`.
fn read_back(bytes: &[u8], slot: &Slot, index: u64) -> Result<Entry, LogError> {
    let damaged = |detail: String| LogError::Damaged {
        segment: slot.place.segment,
        offset: slot.place.offset,
        detail,
    };
    let (record, _) =
        record::decode(bytes, slot.place).map_err(|defect| damaged(defect.to_string()))?;
    if (record.index, record.term) != (index, slot.term) {
        return Err(damaged(format!("entry {index} is not there")));
    }
    let entry_type = match record.kind {
        Kind::ConfChange => EntryType::EntryConfChange,
        Kind::ConfChangeV2 => EntryType::EntryConfChangeV2,
        Kind::Normal | Kind::HardState => EntryType::EntryNormal,
    };
    Ok(Entry {
        entry_type: entry_type as i32,
        term: record.term,
        index,
        data: record.payload.to_vec(),
        ..Entry::default()
    })
}
