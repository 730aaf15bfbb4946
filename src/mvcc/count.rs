//! Exact counts of large ranges without walking them for every page.
//!
//! A list in pages of 500 keys asks for the count of all that remains with each page. The cache notes the
//! count that a page ends with under the start of the next page, at the revision it was read at, and the
//! next page finds it. A count at another revision is carried over by the creations and deletions between
//! the two, if they are fewer than the keys: the events are read in order, the key space is not.
//!
//! Only a cache: losing it costs a walk. Readers share it under a short lock; the apply thread never
//! touches it.

use std::collections::HashMap;

use bytes::Bytes;
use parking_lot::Mutex;

use super::error::MvccError;
use crate::base::change::ChangeKind;
use crate::base::ids::{ChangeId, Revision};
use crate::base::range::KeyRange;
use crate::storage::keys::event_key;
use crate::storage::records::StoredEvent;
use crate::storage::{Family, Store};

/// Ranges remembered. A paginated list uses two at a time, so this serves some hundred clients.
const CAPACITY: usize = 1024;
/// Smaller counts are not worth a place: walking them takes microseconds.
/// (Tests work with few keys.)
const WORTH_KEEPING: i64 = if cfg!(test) { 2 } else { 256 };
/// Longer bounds are not remembered, so the cache holds at most 4 MiB.
const MAX_SPAN_BYTES: usize = 4096;

/// A bounded cache of counts, shared by all readers of a store.
#[derive(Debug, Default)]
pub struct CountCache {
    entries: Mutex<Entries>,
}

/// A count and the revision it was taken at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) at: Revision,
    pub(super) count: i64,
}

#[derive(Debug, Default)]
struct Entries {
    spans: HashMap<Span, Entry>,
    /// Counts uses; the entry with the oldest one makes room.
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    counted: Counted,
    used: u64,
}

/// Start and end of a range.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Span {
    start: Bytes,
    end: Option<Bytes>,
}

impl CountCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// The count of `range` at revision `at`, if it can be had for less than walking the range.
    pub(super) fn lookup(
        &self,
        store: &Store,
        range: &KeyRange,
        at: Revision,
    ) -> Result<Option<i64>, MvccError> {
        let Some(known) = self.known(range) else {
            return Ok(None);
        };
        if known.at == at {
            return Ok(Some(known.count));
        }
        let (from, upto) = (known.at.min(at), known.at.max(at));
        let Some(grown) = growth(store, range, from, upto, known.count)? else {
            return Ok(None);
        };
        let count = if at < known.at {
            known.count - grown
        } else {
            known.count + grown
        };
        self.record(range, Counted { at, count });
        Ok(Some(count))
    }

    /// Remembers a count, unless one of a later revision is known: readers near the head are the most.
    pub(super) fn record(&self, range: &KeyRange, counted: Counted) {
        let span = Span::of(range);
        if counted.count < WORTH_KEEPING || span.len() > MAX_SPAN_BYTES {
            return;
        }
        let mut entries = self.entries.lock();
        match entries.spans.get(&span) {
            Some(known) if known.counted.at > counted.at => return,
            Some(_) => {}
            None if entries.spans.len() >= CAPACITY => entries.make_room(),
            None => {}
        }
        let used = entries.tick();
        entries.spans.insert(span, Entry { counted, used });
    }

    fn known(&self, range: &KeyRange) -> Option<Counted> {
        let mut entries = self.entries.lock();
        let used = entries.tick();
        let entry = entries.spans.get_mut(&Span::of(range))?;
        entry.used = used;
        Some(entry.counted)
    }
}

impl Entries {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// Forgets the entry that was not used for longest. A pass over all of them, but only once a page.
    fn make_room(&mut self) {
        let oldest = self.spans.iter().min_by_key(|(_, entry)| entry.used);
        if let Some(span) = oldest.map(|(span, _)| span.clone()) {
            self.spans.remove(&span);
        }
    }
}

impl Span {
    /// The bounds are copied: a slice would keep a whole request or answer in memory.
    fn of(range: &KeyRange) -> Self {
        Self {
            start: Bytes::copy_from_slice(&range.start),
            end: range.upper_bound().map(|end| Bytes::copy_from_slice(&end)),
        }
    }

    fn len(&self) -> usize {
        self.start.len() + self.end.as_ref().map_or(0, Bytes::len)
    }
}

/// By how many keys `range` grew from revision `from` to revision `upto`; `None` if that takes a look at
/// more than `max_events` events, or if some of them may be gone.
fn growth(
    store: &Store,
    range: &KeyRange,
    from: Revision,
    upto: Revision,
    max_events: i64,
) -> Result<Option<i64>, MvccError> {
    let first = event_key(ChangeId::new(from.next(), 0));
    let end = event_key(ChangeId::new(upto.next(), 0));
    let mut rows = store.scan(Family::Event, &first, Some(&end));
    if from.next() < store.floor() {
        return Ok(None);
    }
    let (mut grown, mut seen) = (0, 0);
    while let Some((_, record)) = rows.row()? {
        seen += 1;
        if seen > max_events {
            return Ok(None);
        }
        let event = StoredEvent::decode(record)?;
        let head = event.head()?;
        let step = match head.kind {
            ChangeKind::Delete => -1,
            ChangeKind::Put if event.has_prev() => 0,
            ChangeKind::Put => 1,
        };
        if step != 0 && range.contains(head.key) {
            grown += step;
        }
        rows.advance();
    }
    Ok(Some(grown))
}
