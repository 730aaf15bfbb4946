//! The log on disks that behave and on disks that do not.

use std::io::ErrorKind;
use std::sync::Arc;

use raft::eraftpb::Entry;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

const OPTIONS: LogOptions = LogOptions {
    segment_bytes: 1024,
    cache_bytes: 256,
};

fn entry(index: u64, term: u64, len: usize) -> Entry {
    Entry {
        index,
        term,
        data: vec![(index ^ term) as u8; len],
        ..Entry::default()
    }
}

fn run(range: std::ops::RangeInclusive<u64>, term: u64) -> Vec<Entry> {
    range.map(|index| entry(index, term, 40)).collect()
}

fn hard(term: u64, commit: u64) -> Hard {
    Hard {
        term,
        vote: 1,
        commit,
    }
}

/// A log with its writer: every change is durable at once.
struct Pair {
    disk: FaultyDisk,
    log: Log,
    writer: Writer,
    number: u64,
}

impl Pair {
    fn open(disk: &FaultyDisk) -> Result<Self, LogError> {
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        Ok(Self {
            disk: disk.clone(),
            log: Log::open(Arc::clone(&shared), OPTIONS)?,
            writer: Writer::new(shared),
            number: 0,
        })
    }

    fn new() -> Self {
        Self::open(&FaultyDisk::new()).unwrap()
    }

    fn reopen(self) -> Self {
        Self::open(&self.disk).unwrap()
    }

    fn append(&mut self, entries: Vec<Entry>, hard: Hard) {
        self.number += 1;
        let batch = self.log.append(self.number, entries, hard);
        self.writer.run(vec![batch]).unwrap();
        self.log.persisted(self.number);
    }

    fn cut(&mut self, index: u64) {
        if let Some(batch) = self.log.cut(index) {
            self.writer.run(vec![batch]).unwrap();
        }
    }

    fn all(&self) -> Vec<(u64, u64)> {
        let (low, high) = (self.log.base().index + 1, self.log.last().index + 1);
        let entries = self.log.entries(low, high, u64::MAX).unwrap();
        for entry in &entries {
            let expected = self::entry(entry.index, entry.term, entry.data.len());
            assert_eq!(entry.data, expected.data);
        }
        entries
            .iter()
            .map(|entry| (entry.index, entry.term))
            .collect()
    }
}

fn pairs(parts: &[(std::ops::RangeInclusive<u64>, u64)]) -> Vec<(u64, u64)> {
    parts
        .iter()
        .flat_map(|(range, term)| range.clone().map(|index| (index, *term)))
        .collect()
}

#[test]
fn what_is_appended_is_read_back_from_memory_and_disk() {
    let mut pair = Pair::new();
    pair.append(run(1..=60, 1), hard(1, 0));
    // The cache is too small for all of them, so this mixes both sources.
    assert_eq!(pair.all(), pairs(&[(1..=60, 1)]));
    let pair = pair.reopen();
    assert_eq!(pair.all(), pairs(&[(1..=60, 1)]));
    assert_eq!(pair.log.hard(), hard(1, 0));
    let some = pair.log.entries(10, 50, 200).unwrap();
    assert_eq!(some.len(), 2);
    let one = pair.log.entries(10, 50, 0).unwrap();
    assert_eq!(one.len(), 1);
}

#[test]
fn an_entry_larger_than_a_segment_gets_a_segment_of_its_own() {
    let mut pair = Pair::new();
    let entries = vec![entry(1, 1, 10), entry(2, 1, 5000), entry(3, 1, 10)];
    pair.append(entries, hard(1, 3));
    let pair = pair.reopen();
    assert_eq!(pair.all(), pairs(&[(1..=3, 1)]));
}

#[test]
fn later_entries_replace_conflicting_ones_also_across_segments() {
    let mut pair = Pair::new();
    pair.append(run(1..=60, 1), hard(1, 5));
    pair.append(run(8..=30, 2), hard(2, 8));
    assert_eq!(pair.all(), pairs(&[(1..=7, 1), (8..=30, 2)]));
    let mut pair = pair.reopen();
    assert_eq!(pair.all(), pairs(&[(1..=7, 1), (8..=30, 2)]));
    // The segments that hold 8 to 60 of term 1 begin above 8: they go only with what replaced them.
    pair.append(run(31..=90, 2), hard(2, 90));
    for cut in [7, 20, 60, 80] {
        pair.cut(cut);
        assert!(pair.log.base().index <= cut);
        let low = pair.log.base().index + 1;
        let kept: Vec<_> = pairs(&[(1..=7, 1), (8..=90, 2)])
            .into_iter()
            .filter(|(index, _)| *index >= low)
            .collect();
        assert_eq!(pair.all(), kept);
        pair = pair.reopen();
        assert_eq!(pair.all(), kept);
        assert_eq!(pair.log.base().index + 1, low);
    }
    assert!(pair.log.base().index > 40);
}

/// That a batch is durable says nothing of entries that a later batch has put in the place of its own.
#[test]
fn entries_that_replaced_durable_ones_stay_in_memory_until_they_are_durable() {
    let mut pair = Pair::new();
    let first = pair.log.append(1, run(1..=8, 1), hard(1, 0));
    let second = pair.log.append(2, run(4..=8, 2), hard(2, 0));
    pair.writer.run(vec![first]).unwrap();
    pair.log.persisted(1);
    assert_eq!(pair.all(), pairs(&[(1..=3, 1), (4..=8, 2)]));
    pair.writer.run(vec![second]).unwrap();
    pair.log.persisted(2);
    assert_eq!(pair.all(), pairs(&[(1..=3, 1), (4..=8, 2)]));
}

#[test]
fn cutting_gives_space_back() {
    let mut pair = Pair::new();
    for round in 0..50 {
        let first = round * 20 + 1;
        pair.append(run(first..=first + 19, 1), hard(1, first));
        pair.cut(first);
        assert!(pair.log.disk_bytes() <= 5 * 1024);
    }
    assert!(pair.log.cut(0).is_none());
}

#[test]
fn a_snapshot_replaces_the_log() {
    let mut pair = Pair::new();
    pair.append(run(1..=60, 1), hard(1, 60));
    let base = Position {
        index: 500,
        term: 3,
    };
    let batch = pair.log.reset(9, base, hard(3, 500));
    pair.writer.run(vec![batch]).unwrap();
    assert_eq!((pair.log.base(), pair.log.last()), (base, base));
    pair.number = 10;
    pair.append(run(501..=503, 3), hard(3, 500));
    let pair = pair.reopen();
    assert_eq!(pair.log.base(), base);
    assert_eq!(pair.all(), pairs(&[(501..=503, 3)]));
    assert_eq!(pair.log.hard(), hard(3, 500));
}

#[test]
fn the_commit_index_is_kept_without_a_sync() {
    let mut pair = Pair::new();
    pair.append(run(1..=5, 1), hard(1, 0));
    let syncs = pair.disk.syncs();
    let batch = pair.log.note_commit(4).unwrap();
    pair.writer.run(vec![batch]).unwrap();
    assert_eq!(pair.disk.syncs(), syncs);
    assert!(pair.log.note_commit(4).is_none());
    assert_eq!(pair.reopen().log.hard().commit, 4);
}

#[test]
fn many_batches_share_one_sync() {
    let mut pair = Pair::new();
    let batches = (1..=9)
        .map(|index| pair.log.append(index, run(index..=index, 1), hard(1, 0)))
        .collect();
    let syncs = pair.disk.syncs();
    pair.writer.run(batches).unwrap();
    assert_eq!(pair.disk.syncs(), syncs + 1);
}

/// Damage to what was durable must be noticed wherever it is.
#[test]
fn damage_before_durable_records_is_refused() {
    let mut pair = Pair::new();
    for index in 1..=10 {
        pair.append(run(index..=index, 1), hard(1, index));
    }
    let end = pair.log.segments.back().unwrap().end as usize;
    assert_eq!(pair.log.segments.len(), 2);
    for (segment, to) in [(1, 900), (2, end - 200)] {
        for offset in (0..to).step_by(13) {
            pair.disk.flip(segment, offset);
            let error = Pair::open(&pair.disk).err().map(|error| error.to_string());
            assert!(
                error.is_some_and(|error| error.contains("is damaged at offset")),
                "segment {segment} offset {offset}"
            );
            pair.disk.flip(segment, offset);
        }
    }
    assert_eq!(pair.reopen().all(), pairs(&[(1..=10, 1)]));
}

#[test]
fn a_missing_segment_is_refused() {
    let mut pair = Pair::new();
    pair.append(run(1..=60, 1), hard(1, 0));
    pair.disk.lose_segment(2);
    let error = Pair::open(&pair.disk).err().unwrap();
    assert!(matches!(error, LogError::Missing(2)), "{error}");
}

#[test]
fn numbers_that_no_log_reaches_are_refused() {
    let first = Position { index: 1, term: 1 };
    for (base, hard) in [
        (
            Position {
                index: u64::MAX,
                ..first
            },
            hard(1, 0),
        ),
        (
            Position {
                term: u64::MAX,
                ..first
            },
            hard(1, 0),
        ),
        (first, hard(u64::MAX, 0)),
        (first, hard(1, u64::MAX)),
    ] {
        let header = segment::Header {
            number: 1,
            base,
            reset: false,
            previous_end: 0,
            hard,
        };
        let disk = FaultyDisk::new();
        disk.create(1, 4096).unwrap();
        disk.write(1, 0, &header.encode()).unwrap();
        let refused = Pair::open(&disk);
        assert!(
            matches!(refused, Err(LogError::Damaged { segment: 1, .. })),
            "{header:?}"
        );
    }
}

#[test]
fn a_commit_index_beyond_the_log_is_refused() {
    let mut pair = Pair::new();
    pair.append(run(1..=5, 1), hard(1, 7));
    let error = Pair::open(&pair.disk).err().unwrap();
    assert!(matches!(error, LogError::Lost { last: 5, commit: 7 }));
}

/// A process that is killed leaves written records behind that were never synced. They count after the
/// restart, so a power failure after that must not take them.
#[test]
fn what_a_killed_process_left_behind_is_made_durable() {
    for seed in 0..20 {
        let mut pair = Pair::new();
        let mut batch = pair.log.append(1, run(1..=5, 1), hard(1, 0));
        batch.sync = false;
        pair.writer.run(vec![batch]).unwrap();
        let pair = pair.reopen();
        assert_eq!(pair.log.last().index, 5);
        pair.disk.power_failure(seed);
        assert_eq!(pair.reopen().log.last().index, 5, "seed {seed}");
    }
}

#[test]
fn a_failing_disk_is_reported_wherever_it_fails() {
    let attempt = |after: u32, kind: ErrorKind| -> Result<(), LogError> {
        let mut pair = Pair::new();
        pair.disk.fail_after(after, kind);
        let batch = pair.log.append(1, run(1..=60, 1), hard(1, 0));
        pair.writer.run(vec![batch])
    };
    let mut failures = 0;
    for after in 0.. {
        match attempt(after, ErrorKind::StorageFull) {
            Ok(()) => break,
            Err(LogError::Io { source, .. }) => {
                assert_eq!(source.kind(), ErrorKind::StorageFull);
                failures += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(failures > 8, "{failures}");
}

/// What the log should contain, in the plainest way.
#[derive(Debug, Clone, PartialEq)]
struct Model {
    base: Position,
    entries: Vec<(u64, u64)>,
    hard: Hard,
}

impl Model {
    fn of(log: &Log) -> Self {
        let (low, high) = (log.base().index + 1, log.last().index + 1);
        let term = |index| log.term(index).unwrap();
        Self {
            base: log.base(),
            entries: (low..high).map(|index| (index, term(index))).collect(),
            hard: log.hard(),
        }
    }

    fn last(&self) -> u64 {
        self.entries.last().map_or(self.base.index, |last| last.0)
    }

    /// Whether `found` is this state, perhaps with more of the front still there.
    fn matches(&self, found: &Self) -> bool {
        let above = |model: &Self, base: u64| -> Vec<_> {
            let kept = model.entries.iter().filter(|(index, _)| *index > base);
            kept.copied().collect()
        };
        found.base.index <= self.base.index
            && found.hard == self.hard
            && above(found, self.base.index) == above(self, self.base.index)
            && found.last() == self.last()
    }
}

/// A log that is changed at random while power fails at random. Keeps every state that a crash may find:
/// the last durable one, and one for each record written since.
struct Torture {
    rng: StdRng,
    pair: Pair,
    model: Model,
    possible: Vec<Model>,
}

impl Torture {
    fn new(seed: u64) -> Self {
        let pair = Pair::new();
        let model = Model::of(&pair.log);
        Self {
            rng: StdRng::seed_from_u64(seed),
            possible: vec![model.clone()],
            pair,
            model,
        }
    }

    fn step(&mut self) {
        match self.rng.random_range(0..20) {
            0..12 => self.append(),
            12..14 => self.note_commit(),
            14..16 => self.cut(),
            16 => self.reset(),
            17 => self.crash(true),
            _ => self.crash(false),
        }
    }

    fn carry_out(&mut self, batch: Batch) {
        let sync = batch.sync;
        if self.rng.random_bool(0.3) {
            // The power fails in the middle: an operation is not carried out, and none after it.
            let after = self.rng.random_range(0..6);
            self.pair.disk.fail_after(after, ErrorKind::Other);
            if self.pair.writer.run(vec![batch]).is_err() {
                let power = self.rng.random_bool(0.5);
                return self.crash(power);
            }
            self.pair.disk.fail_after(u32::MAX, ErrorKind::Other);
        } else {
            self.pair.writer.run(vec![batch]).unwrap();
        }
        if sync {
            self.possible = vec![self.model.clone()];
            self.pair.log.persisted(self.pair.number);
        }
    }

    fn append(&mut self) {
        let low = self.model.hard.commit.max(self.model.base.index) + 1;
        let next = self.model.last() + 1;
        let conflicts = self.rng.random_bool(0.2);
        let first = if conflicts {
            self.rng.random_range(low.min(next)..=next)
        } else {
            next
        };
        let term = self.model.hard.term + u64::from(conflicts || self.rng.random_bool(0.1));
        let count = self.rng.random_range(0..6);
        let len = self.rng.random_range(0..300);
        let entries: Vec<_> = (first..first + count)
            .map(|at| entry(at, term, len))
            .collect();
        if self.model.hard.term != term {
            self.model.hard.term = term;
            self.possible.push(self.model.clone());
        }
        for entry in &entries {
            // Entries that are to be replaced may go before the first that replaces them comes: they
            // conflict with the log of a leader and so were never committed.
            self.model.entries.retain(|(index, _)| *index < entry.index);
            self.possible.push(self.model.clone());
            self.model.entries.push((entry.index, entry.term));
            self.possible.push(self.model.clone());
        }
        self.model.hard.commit = self
            .rng
            .random_range(self.model.hard.commit..=self.model.last());
        self.possible.push(self.model.clone());
        self.pair.number += 1;
        let batch = self
            .pair
            .log
            .append(self.pair.number, entries, self.model.hard);
        self.carry_out(batch);
    }

    fn note_commit(&mut self) {
        if let Some(batch) = self.pair.log.note_commit(self.model.last()) {
            self.model.hard.commit = self.model.last();
            self.possible.push(self.model.clone());
            self.carry_out(batch);
        }
    }

    fn cut(&mut self) {
        let commit = self.model.hard.commit;
        if let Some(batch) = self.pair.log.cut(self.rng.random_range(0..=commit)) {
            let base = self.pair.log.base();
            for model in self.possible.iter_mut().chain([&mut self.model]) {
                model.entries.retain(|(index, _)| *index > base.index);
                model.base = base;
            }
            self.carry_out(batch);
        }
    }

    fn reset(&mut self) {
        let base = Position {
            index: self.model.last() + self.rng.random_range(0..100),
            term: self.model.hard.term,
        };
        self.model = Model {
            base,
            entries: Vec::new(),
            hard: Hard {
                commit: base.index,
                ..self.model.hard
            },
        };
        self.possible.push(self.model.clone());
        self.pair.number += 1;
        let number = self.pair.number;
        let batch = self.pair.log.reset(number, base, self.model.hard);
        self.carry_out(batch);
    }

    /// Stops the process, by a power failure or by a signal that leaves written data with the system.
    fn crash(&mut self, power: bool) {
        self.pair.disk.fail_after(u32::MAX, ErrorKind::Other);
        if power {
            self.pair.disk.power_failure(self.rng.random());
        }
        self.pair = Pair::open(&self.pair.disk).unwrap();
        let found = Model::of(&self.pair.log);
        let expected = self.possible.iter().any(|model| model.matches(&found));
        assert!(expected, "found {found:?}\npossible {:?}", self.possible);
        self.pair.all();
        self.possible = vec![found.clone()];
        self.model = found;
    }
}

#[test]
fn every_crash_leaves_what_was_durable_and_a_prefix_of_the_rest() {
    for seed in 0..300 {
        let mut torture = Torture::new(seed);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..80 {
                torture.step();
            }
            torture.crash(true);
        }));
        assert!(outcome.is_ok(), "seed {seed}");
    }
}
