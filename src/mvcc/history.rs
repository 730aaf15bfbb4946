//! The changes of a range of keys between two revisions: what a watcher that lags behind reads.

use bytes::Bytes;

use super::error::MvccError;
use super::state::State;
use crate::base::change::Change;
use crate::base::ids::{ChangeId, Revision};
use crate::base::range::KeyRange;
use crate::storage::keys::{event_key, parse_event_key};
use crate::storage::records::{RecordError, StoredEvent, change_of};
use crate::storage::{Family, Store};

/// Events looked at in one call, whether they match or not, so that a call for a quiet range of a busy
/// store takes some tens of milliseconds and not seconds. (Tests work with few events.)
const MAX_SCANNED: usize = if cfg!(test) { 24 } else { 1 << 16 };

/// The changes of keys in `range` from revision `from` to `upto`, both included, in order, and the first
/// revision that they do not cover. Call again from there until it is above `upto`.
///
/// Holds whole revisions only. Ends early after `max_revisions` revisions with a match, or when the next
/// revision would exceed `max_bytes` (the first one is always given), or after looking at many events.
/// Changes of the compacted revision itself come without the previous key-value, which is gone.
///
/// # Errors
/// [`MvccError::Compacted`] if `from` is below the compacted revision, or a fatal one.
pub fn changes(
    store: &Store,
    state: State,
    range: &KeyRange,
    from: Revision,
    upto: Revision,
    max_revisions: usize,
    max_bytes: usize,
) -> Result<(Vec<Change>, Revision), MvccError> {
    if from.0 < state.compact_revision() {
        return Err(MvccError::Compacted);
    }
    let from = from.max(Revision::ZERO);
    let upto = upto.min(state.revision);
    let first = event_key(ChangeId::new(from, 0));
    let end = event_key(ChangeId::new(upto.next(), 0));
    if first >= end {
        return Ok((Vec::new(), from));
    }
    let mut rows = store.scan(Family::Event, &first, Some(&end));
    if from < store.floor() {
        return Err(MvccError::Compacted);
    }
    let mut page = Page::new(max_revisions, max_bytes);
    let mut scanned = 0;
    while let Some((key, record)) = rows.row()? {
        let id = parse_event_key(key).ok_or(RecordError::Key)?;
        if page.is_new(id.revision) && (scanned >= MAX_SCANNED || page.is_full()) {
            return Ok(page.end_before(id.revision));
        }
        page.reach(id.revision);
        if range.contains(StoredEvent::decode(record)?.head()?.key) {
            let change = change_of(id, &Bytes::copy_from_slice(record))?;
            if !page.add(cut_at_compaction(change, state)) {
                return Ok(page.end_before(id.revision));
            }
        }
        scanned += 1;
        rows.advance();
    }
    Ok((page.changes, upto.next()))
}

/// At the compacted revision the version before is gone in etcd, and in any case not to be shown.
fn cut_at_compaction(mut change: Change, state: State) -> Change {
    if state.compacted == Some(change.id.revision) {
        change.event.truncate(change.prev_at);
    }
    change
}

/// The changes gathered so far.
struct Page {
    changes: Vec<Change>,
    /// The revision being looked at.
    current: Revision,
    /// Where its changes begin.
    mark: usize,
    revisions: usize,
    bytes: usize,
    max_revisions: usize,
    max_bytes: usize,
}

impl Page {
    fn new(max_revisions: usize, max_bytes: usize) -> Self {
        Self {
            changes: Vec::new(),
            current: Revision::ZERO,
            mark: 0,
            revisions: 0,
            bytes: 0,
            max_revisions,
            max_bytes,
        }
    }

    fn is_new(&self, revision: Revision) -> bool {
        revision != self.current
    }

    /// Whether no further revision fits.
    fn is_full(&self) -> bool {
        let begun = usize::from(self.changes.len() > self.mark);
        self.revisions + begun >= self.max_revisions.max(1) || self.bytes >= self.max_bytes.max(1)
    }

    /// Begins a revision if it is a new one.
    fn reach(&mut self, revision: Revision) {
        if self.is_new(revision) {
            self.revisions += usize::from(self.changes.len() > self.mark);
            self.mark = self.changes.len();
            self.current = revision;
        }
    }

    /// Adds a change of the current revision; false if it makes the page too large and there are earlier
    /// revisions to give instead.
    fn add(&mut self, change: Change) -> bool {
        self.bytes += change.weight();
        self.changes.push(change);
        self.bytes <= self.max_bytes || self.mark == 0
    }

    /// The page without anything of `revision`.
    fn end_before(mut self, revision: Revision) -> (Vec<Change>, Revision) {
        if revision == self.current {
            self.changes.truncate(self.mark);
        }
        (self.changes, revision)
    }
}
