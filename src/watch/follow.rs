//! Follows every change in order, for one who keeps a copy of its own of what is stored.
//!
//! Unlike a stream's, its events are not encoded and not queued: the follower walks the ring at its own pace on
//! its own thread, and reads from history what has left the ring meanwhile.

use std::sync::Arc;
use std::time::Duration;

use super::hub::HubState;
use super::ring::{Cursor, Entry, Next};
use super::wake::Wake;
use super::{HistoryError, Hub};
use crate::base::change::Change;
use crate::base::ids::{ChangeId, Revision};
use crate::base::range::KeyRange;

/// Revisions and bytes of one read of history.
const PAGE_REVISIONS: usize = 1024;
const PAGE_BYTES: usize = 4 << 20;

/// A place in the order of changes. Gives whole revisions, each once, none missing (I6).
pub struct Follower {
    hub: Arc<HubState>,
    /// None while the place is not in the ring.
    cursor: Option<Cursor>,
    /// The last change given. What a revision still has is known to be given only where a walk ends.
    last: ChangeId,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower")
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

impl Hub {
    /// Follows what comes after `reached`. The hub has one bell for followers, which wakes one thread: there
    /// is to be one follower.
    pub fn follow(&self, reached: Revision) -> Follower {
        let hub = Arc::clone(self.state());
        Follower {
            cursor: hub.ring.seek(reached.next()),
            hub,
            last: whole(reached),
        }
    }
}

impl Follower {
    /// Everything up to here has been given, but for more changes of the same revision between two walks of
    /// which the first was cut short.
    pub const fn reached(&self) -> Revision {
        self.last.revision
    }

    /// Gives what has been published and not been given, a bounded part of it at a time. False if there was
    /// nothing; a walk that gives false ends at a revision's end.
    ///
    /// # Errors
    /// [`HistoryError`] if what is missing cannot be read any more.
    pub fn walk(&mut self, mut each: impl FnMut(&Change)) -> Result<bool, HistoryError> {
        let published = self.hub.ring.published();
        let Some(cursor) = &mut self.cursor else {
            return self.read(each);
        };
        let before = self.last;
        loop {
            match cursor.peek(&self.hub.ring, published) {
                Next::Entry(Entry::Change(change)) => {
                    each(change);
                    self.last = change.id;
                    cursor.advance();
                }
                Next::Entry(Entry::Jump(revision)) if *revision <= self.last.revision => {
                    cursor.advance();
                }
                Next::End => {
                    let moved = self.last != before;
                    self.last = whole(self.last.revision);
                    return Ok(moved);
                }
                Next::Entry(Entry::Jump(_)) | Next::Lapped => {
                    self.cursor = None;
                    return Ok(true);
                }
            }
        }
    }

    /// One page of history, up to what the ring has published.
    fn read(&mut self, each: impl FnMut(&Change)) -> Result<bool, HistoryError> {
        let (_, head) = self.hub.ring.head();
        // The ring may have been left within a revision.
        let from = match self.last.sub {
            u32::MAX => self.last.revision.next(),
            _ => self.last.revision,
        };
        if from <= head {
            let all = KeyRange::all();
            let history = &self.hub.history;
            let page = history.changes(&all, from, head, PAGE_REVISIONS, PAGE_BYTES)?;
            let missing = page.changes.iter().filter(|change| change.id > self.last);
            missing.for_each(each);
            self.last = whole(Revision(page.next.get() - 1));
        }
        self.cursor = self.hub.ring.seek(self.last.revision.next());
        Ok(true)
    }

    /// Goes on from a state of the store at `revision` that was read otherwise.
    pub fn skip_to(&mut self, revision: Revision) {
        self.last = whole(revision);
        self.cursor = self.hub.ring.seek(revision.next());
    }

    /// What wakes the follower.
    pub fn bell(&self) -> Bell {
        Bell(Arc::clone(&self.hub.follower))
    }

    /// Whether all changes of the revision that was reached have been given.
    pub const fn is_whole(&self) -> bool {
        self.last.sub == u32::MAX
    }

    /// Sleeps until something is published that was not there at the last [`Self::walk`], or [`Bell::ring`],
    /// for at most `patience`, unless there is `other` work already. May return early.
    pub fn sleep(&self, patience: Duration, other: impl Fn() -> bool) {
        let bell: &Wake = &self.hub.follower;
        bell.arm(false);
        let published = self.hub.ring.published();
        let behind = self
            .cursor
            .as_ref()
            .is_none_or(|cursor| !cursor.is_at(published));
        if behind || other() {
            bell.disarm();
        } else {
            bell.sleep(Some(patience));
        }
    }
}

/// Wakes a [`Follower`] that has been given other work.
#[derive(Debug, Clone)]
pub struct Bell(Arc<Wake>);

impl Bell {
    /// Ends the follower's sleep, or the next one at once. The caller has made its work visible.
    pub fn ring(&self) {
        self.0.call();
    }
}

/// All changes of a revision.
const fn whole(revision: Revision) -> ChangeId {
    ChangeId::new(revision, u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::hub::Parts;
    use super::super::testing::{MemoryHistory, change};
    use super::*;
    use crate::watch::HubConfig;
    use crate::watch::testing::config;

    fn hub(start: i64) -> (Parts, Arc<MemoryHistory>) {
        let history = Arc::new(MemoryHistory::default());
        // A ring that soon forgets.
        let small = HubConfig {
            segment_changes: 8,
            ring_segments: 4,
            ..config()
        };
        let parts = Hub::assemble(small, Arc::clone(&history) as Arc<_>, Revision(start));
        (parts, history)
    }

    fn publish(parts: &mut Parts, history: &MemoryHistory, changes: Vec<Change>) {
        history.add(&changes);
        parts.publisher.publish(changes);
    }

    fn everything(follower: &mut Follower) -> Vec<(i64, u32)> {
        let mut seen = Vec::new();
        while follower
            .walk(|change| seen.push((change.id.revision.get(), change.id.sub)))
            .unwrap()
        {}
        seen
    }

    #[test]
    fn every_change_is_given_once_whether_ring_or_history_has_it() {
        let (mut parts, history) = hub(1);
        let mut follower = parts.hub.follow(Revision(1));
        let mut expected = Vec::new();
        // Bursts beyond what the ring keeps, with revisions of several changes at every place.
        for burst in 0..40_i64 {
            for step in 0..=burst {
                let revision = 2 + burst * 100 + step;
                let changes = (0..3).map(|sub| change(revision, sub, "k", Some(b"v"), false));
                publish(&mut parts, &history, changes.collect());
                expected.extend((0..3).map(|sub| (revision, sub)));
            }
            if burst % 3 == 0 {
                let seen = everything(&mut follower);
                assert_eq!(seen, std::mem::take(&mut expected));
            }
        }
        assert_eq!(everything(&mut follower), expected);
        assert!(
            history.reads.load(std::sync::atomic::Ordering::SeqCst) > 0,
            "history was read"
        );
    }

    #[test]
    fn a_jump_is_read_from_history_and_compaction_is_told() {
        let (mut parts, history) = hub(1);
        let mut follower = parts.hub.follow(Revision(1));
        history.add(&[
            change(2, 0, "a", Some(b"1"), false),
            change(5, 0, "b", None, true),
        ]);
        parts.publisher.reset(Revision(6));
        assert_eq!(everything(&mut follower), [(2, 0), (5, 0)]);
        assert_eq!(follower.reached(), Revision(6));
        history.compact(9);
        parts.publisher.reset(Revision(9));
        let told = loop {
            match follower.walk(|_| {}) {
                Ok(true) => {}
                other => break other,
            }
        };
        assert_eq!(told, Err(HistoryError::Compacted(Revision(9))));
        follower.skip_to(Revision(9));
        publish(
            &mut parts,
            &history,
            vec![change(10, 0, "a", Some(b"2"), false)],
        );
        assert_eq!(everything(&mut follower), [(10, 0)]);
    }
}
