//! The log of recent changes: one writer appends, any number of readers follow, nobody waits.
//!
//! A log of write-once slots, numbered by a sequence that never ends, is cut into segments. Slots are
//! never overwritten, so there is no torn read and no ABA; a segment lives as long as somebody holds its
//! `Arc`. The *directory* lists the last segments, bounded by number and bytes; the writer replaces it as
//! a whole when it opens or drops a segment.
//!
//! # Why it is sound
//!
//! `published` is the number of slots that readers may touch. The writer, of which there is one
//! ([`RingWriter`] is not `Clone` and its methods take `&mut self`), does in this order:
//!
//! 1. close the full segment (`end`), list its successor in the directory;
//! 2. write slots at and after `published`, each once;
//! 3. store the new `published` with `Release`: one store for a whole batch, however many segments;
//! 4. drop old segments from the directory.
//!
//! A reader gets a [`Published`] only from an `Acquire` load of `published`, and reads only slots below
//! it ([`Segment::get`] is the one place). Those slots were written before the store that the load read,
//! and are never written again: no reader's access races with a write, and what it finds is initialised.
//! The same edge makes `end` and the directory at least as new as the reader's [`Published`], so a
//! sequence that has left a segment is found in the next one, or has left the ring ([`Next::Lapped`]).
//! `tests/loom_ring.rs` explores these steps; `tests/loom_ring_weak.rs` shows that it would notice a
//! `Relaxed` store in step 3.
//!
//! Whole transactions are published at once, so a reader that stops at a `Published` stops between
//! revisions.

#![allow(
    unsafe_code,
    reason = "slots are shared while the writer fills later ones"
)]

use std::collections::VecDeque;

use super::sync::{Arc, AtomicU64, Ordering, Shared, UnsafeCell};
use crate::base::change::Change;
use crate::base::ids::Revision;

/// What a slot holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A change of one key.
    Change(Change),
    /// The store went to this revision without telling the changes (start, snapshot installed).
    Jump(Revision),
}

impl Entry {
    /// The store's revision at this entry.
    pub(crate) const fn revision(&self) -> Revision {
        match self {
            Self::Change(change) => change.id.revision,
            Self::Jump(revision) => *revision,
        }
    }

    fn weight(&self) -> usize {
        match self {
            Self::Change(change) => change.weight(),
            Self::Jump(_) => 0,
        }
    }
}

/// How much a ring keeps. What exceeds it leaves after the next publish, oldest segment first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RingLimits {
    /// Slots of one segment.
    pub segment_slots: usize,
    /// Segments kept.
    pub segments: usize,
    /// Bytes of changes kept, as [`Change::weight`] counts them.
    pub bytes: usize,
}

/// A ring keeps about this many segments of large changes: one is closed early at its share of the bytes.
const SEGMENTS_BY_BYTES: usize = 8;

/// How many slots may be read: proof of an acquiring load, which only [`Ring::published`] makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Published(u64);

#[derive(Debug)]
struct Segment {
    /// Sequence of the first slot.
    base: u64,
    /// Every change from this revision on is in this segment or a later one.
    floor: Revision,
    /// Sequence after the last slot. Lowered at most once, before anything is published in the successor.
    end: AtomicU64,
    slots: Box<[UnsafeCell<Option<Entry>>]>,
}

// SAFETY: the only shared state that is not `Sync` by itself is `slots`. `Segment::set` is called by the
// one writer for slots at or above `published`, `Segment::get` reads slots below it (module comment), so
// a slot is never read and written at once; and `Entry` is `Send + Sync`.
unsafe impl Sync for Segment {}

impl Segment {
    fn new(base: u64, floor: Revision, slots: usize) -> Self {
        Self {
            base,
            floor,
            end: AtomicU64::new(base + slots as u64),
            slots: (0..slots).map(|_| UnsafeCell::new(None)).collect(),
        }
    }

    /// Sequence after the last slot that is or will be used. Exact for a reader that has seen something
    /// published beyond it; until then never below what is published.
    fn end(&self) -> u64 {
        self.end.load(Ordering::Relaxed)
    }

    fn slot(&self, sequence: u64) -> Option<&UnsafeCell<Option<Entry>>> {
        let index = usize::try_from(sequence.checked_sub(self.base)?).ok()?;
        self.slots.get(index)
    }

    /// The entry at `sequence`, if it is in this segment and published.
    fn get(&self, sequence: u64, published: Published) -> Option<&Entry> {
        if sequence >= published.0 {
            return None;
        }
        self.slot(sequence)?.with(|entry| {
            // SAFETY: `sequence` is below a value of `published` that was loaded with Acquire, so the
            // only write to this slot happened before, and no other will follow.
            unsafe { (*entry).as_ref() }
        })
    }

    /// Fills the slot at `sequence`. Called by the writer only, once for each sequence.
    fn set(&self, sequence: u64, entry: Entry) {
        let slot = self.slot(sequence).expect("the writer opens segments");
        slot.with_mut(|slot| {
            // SAFETY: `sequence` is not published, so no reader touches the slot, and there is one
            // writer.
            unsafe { *slot = Some(entry) }
        });
    }
}

/// The segments that can be found, oldest first; never empty.
#[derive(Debug)]
struct Directory {
    segments: Vec<Arc<Segment>>,
    /// Bytes of the changes in all of them but the last, which is still being written.
    closed_bytes: usize,
}

/// The readers' side.
#[derive(Debug)]
pub(crate) struct Ring {
    published: AtomicU64,
    directory: Shared<Directory>,
}

impl Ring {
    /// How much can be read now.
    pub(crate) fn published(&self) -> Published {
        Published(self.published.load(Ordering::Acquire))
    }

    /// A cursor after everything that is published, and the store's revision there.
    pub(crate) fn head(&self) -> (Cursor, Revision) {
        loop {
            let published = self.published();
            // Slot 0 is published before a ring is shared.
            let last = published.0.saturating_sub(1);
            if let Some(segment) = self.segment_of(last)
                && let Some(revision) = segment.get(last, published).map(Entry::revision)
            {
                let sequence = published.0;
                return (Cursor { segment, sequence }, revision);
            }
            // The writer has published and dropped a whole ring since `published` was loaded.
        }
    }

    /// A cursor at the first change of `revision` or later, or `None` if the ring does not reach back
    /// that far. A revision that is not published yet gives a cursor that has nothing to read so far.
    pub(crate) fn seek(&self, revision: Revision) -> Option<Cursor> {
        let published = self.published();
        let directory = self.directory.load_full();
        let after = directory
            .segments
            .partition_point(|segment| segment.floor <= revision);
        let segment = directory.segments.get(after.checked_sub(1)?)?.clone();
        let mut sequence = segment.base;
        let mut end = segment.end().min(published.0).max(sequence);
        while sequence < end {
            let middle = sequence + (end - sequence) / 2;
            match segment.get(middle, published) {
                Some(entry) if entry.revision() < revision => sequence = middle + 1,
                _ => end = middle,
            }
        }
        Some(Cursor { segment, sequence })
    }

    /// How many changes can be read now, and the bytes of those in closed segments.
    pub(crate) fn kept(&self) -> (u64, usize) {
        let directory = self.directory.load_full();
        let published = self.published().0;
        let oldest = directory.segments.first().map_or(0, |segment| segment.base);
        (published.saturating_sub(oldest), directory.closed_bytes)
    }

    /// The kept segment that holds or will hold `sequence`.
    fn segment_of(&self, sequence: u64) -> Option<Arc<Segment>> {
        let directory = self.directory.load_full();
        let after = directory
            .segments
            .partition_point(|segment| segment.base <= sequence);
        directory.segments.get(after.checked_sub(1)?).cloned()
    }
}

/// A reader's place. Holds one segment alive, so a reader that has stopped costs one segment.
#[derive(Debug)]
pub(crate) struct Cursor {
    segment: Arc<Segment>,
    sequence: u64,
}

/// What a cursor finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<'a> {
    /// The entry under the cursor.
    Entry(&'a Entry),
    /// Nothing more is published, as far as the caller's [`Published`] knows.
    End,
    /// The place has left the ring. Everything after it must be read elsewhere.
    Lapped,
}

impl Cursor {
    /// The entry under the cursor, which stays there.
    pub(crate) fn peek(&mut self, ring: &Ring, published: Published) -> Next<'_> {
        if self.is_at(published) {
            return Next::End;
        }
        if self.sequence >= self.segment.end() {
            match ring.segment_of(self.sequence) {
                Some(segment) => self.segment = segment,
                None => return Next::Lapped,
            }
        }
        match self.segment.get(self.sequence, published) {
            Some(entry) => Next::Entry(entry),
            None => Next::Lapped,
        }
    }

    /// Goes past the entry that [`Self::peek`] gave.
    pub(crate) const fn advance(&mut self) {
        self.sequence += 1;
    }

    /// Whether everything in `published` has been passed.
    pub(crate) const fn is_at(&self, published: Published) -> bool {
        self.sequence >= published.0
    }
}

/// A listed segment and the bytes of its changes.
#[derive(Debug)]
struct Kept {
    segment: Arc<Segment>,
    weight: usize,
}

/// The writer's side. There is one for each ring.
#[derive(Debug)]
pub(crate) struct RingWriter {
    ring: Arc<Ring>,
    limits: RingLimits,
    /// What the directory lists, oldest first.
    kept: VecDeque<Kept>,
    /// Bytes of the changes in `kept`.
    kept_weight: usize,
    tail: Kept,
    /// Sequence of the next slot.
    sequence: u64,
    /// Revision of the last entry.
    revision: Revision,
}

impl RingWriter {
    /// An empty ring of a store that is at `start`.
    pub(crate) fn new(limits: RingLimits, start: Revision) -> (Self, Arc<Ring>) {
        let first = Arc::new(Segment::new(0, start.next(), limits.segment_slots.max(1)));
        first.set(0, Entry::Jump(start));
        let segments = vec![first.clone()];
        let ring = Arc::new(Ring {
            published: AtomicU64::new(1),
            directory: Shared::new(Arc::new(Directory {
                segments,
                closed_bytes: 0,
            })),
        });
        let writer = Self {
            ring: ring.clone(),
            limits,
            kept: VecDeque::new(),
            kept_weight: 0,
            tail: Kept {
                segment: first,
                weight: 0,
            },
            sequence: 1,
            revision: start,
        };
        (writer, ring)
    }

    /// Appends changes, whole revisions in order, and shows them to the readers all at once.
    pub(crate) fn publish(&mut self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            self.append(Entry::Change(change));
        }
        self.release();
        self.trim(self.limits.segments);
    }

    /// Tells the readers that the store is at `revision` now and that the ring does not know how it came
    /// there.
    pub(crate) fn jump(&mut self, revision: Revision) {
        self.open_segment(revision.next());
        self.append(Entry::Jump(revision));
        self.release();
        self.trim(1);
    }

    fn append(&mut self, entry: Entry) {
        if self.sequence == self.tail.segment.end()
            || self.tail.weight >= self.limits.bytes / SEGMENTS_BY_BYTES
        {
            self.open_segment(self.revision.next());
        }
        self.revision = entry.revision();
        self.tail.weight += entry.weight();
        self.tail.segment.set(self.sequence, entry);
        self.sequence += 1;
    }

    fn open_segment(&mut self, floor: Revision) {
        let slots = self.limits.segment_slots.max(1);
        let segment = Arc::new(Segment::new(self.sequence, floor, slots));
        let opened = Kept { segment, weight: 0 };
        let closed = std::mem::replace(&mut self.tail, opened);
        closed.segment.end.store(self.sequence, Ordering::Relaxed);
        self.kept_weight += closed.weight;
        self.kept.push_back(closed);
        self.list();
    }

    fn release(&self) {
        self.ring.published.store(self.sequence, Ordering::Release);
    }

    /// Drops the oldest segments beyond the limits, but not the one that is being written.
    fn trim(&mut self, segments: usize) {
        let before = self.kept.len();
        while (self.kept.len() >= segments.max(1)
            || self.kept_weight + self.tail.weight > self.limits.bytes)
            && let Some(oldest) = self.kept.pop_front()
        {
            self.kept_weight -= oldest.weight;
        }
        if self.kept.len() != before {
            self.list();
        }
    }

    /// Replaces the directory.
    fn list(&self) {
        let kept = self.kept.iter().chain(std::iter::once(&self.tail));
        let segments = kept.map(|kept| kept.segment.clone()).collect();
        self.ring.directory.store(Arc::new(Directory {
            segments,
            closed_bytes: self.kept_weight,
        }));
    }
}
