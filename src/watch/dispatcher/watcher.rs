//! The states of a watcher, and how it changes between them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::Dispatcher;
use crate::base::ids::{Revision, WatchId};
use crate::watch::group::Member;
use crate::watch::port::Port;

/// Where a watcher is on its way. A cancel or the end of its stream ends any of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Follows the ring as a member of its group, at this position. Ends when its stream has no room.
    Synced(usize),
    /// Waits, silent, for the store to come near its start.
    Future,
    /// Needs `next` and waits for its turn to read it.
    Behind {
        /// The first revision that has not been delivered.
        next: Revision,
        /// Its place in the stream's [`Stream::behind`].
        turn: u64,
    },
    /// A page is being read for it. Ends in `Synced`, `Behind` or `Compacted`, or with a cancel response
    /// if history fails.
    Reading,
    /// Was told that its start is compacted. Only its id is left, taken until the client cancels it, so
    /// that a late cancel cannot hit another watcher.
    Compacted,
}

/// One watcher.
#[derive(Debug)]
pub(super) struct Watcher {
    pub stream: u64,
    pub id: WatchId,
    pub group: usize,
    /// The first revision the client wants; zero if it did not say.
    pub start: Revision,
    pub place: Place,
    /// Wants periodic progress.
    pub progress: bool,
    /// Allows responses to be split.
    pub fragment: bool,
}

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub port: Arc<Port>,
    pub watchers: HashMap<WatchId, u64>,
    /// Watchers without those that are compacted.
    pub live: usize,
    /// Where the search for an unused id begins.
    pub next_id: i64,
    /// Watchers that wait to read, by the order in which they take turns.
    pub behind: BTreeMap<u64, u64>,
    pub last_turn: u64,
    /// A page is being read for one of the watchers: the stream's part of all reading is one page.
    pub reading: bool,
    /// Listed among the streams that wait to read.
    pub wanting: bool,
    /// Watchers that are in the future, behind or reading.
    pub unsynced: usize,
    /// The highest start of a watcher that was synced before the store had reached it.
    pub reached_at: Revision,
    /// Watchers that want periodic progress.
    pub progress: usize,
    pub tick: Option<Instant>,
}

impl Stream {
    pub(super) fn new(port: Arc<Port>) -> Self {
        Self {
            port,
            watchers: HashMap::new(),
            live: 0,
            next_id: 0,
            behind: BTreeMap::new(),
            last_turn: 0,
            reading: false,
            wanting: false,
            unsynced: 0,
            reached_at: Revision::ZERO,
            progress: 0,
            tick: None,
        }
    }
}

impl Dispatcher {
    /// Brings a watcher that is neither synced nor behind on its way from `next` on.
    pub(super) fn start_at(&mut self, key: u64, next: Revision) {
        if next == self.revision.next() {
            self.sync(key);
        } else if next > self.revision {
            self.future.entry(next).or_default().insert(key);
            self.set_place(key, Place::Future);
        } else {
            self.fall_behind(key, next);
        }
    }

    /// Makes a watcher that has received everything a member of its group.
    pub(super) fn sync(&mut self, key: u64) {
        let Some(watcher) = self.watchers.get(&key) else {
            return;
        };
        let Some(stream) = self.streams.get_mut(&watcher.stream) else {
            return;
        };
        stream.reached_at = stream.reached_at.max(watcher.start);
        let member = Member {
            port: stream.port.clone(),
            id: watcher.id,
            watcher: key,
            fragment: watcher.fragment.then_some(self.hub.config.fragment_bytes),
            // A page that has just been read counts as events.
            active: watcher.place == Place::Reading,
        };
        let position = self.groups.join(watcher.group, member);
        self.set_place(key, Place::Synced(position));
    }

    /// Leaves a watcher with nothing but the next revision it needs.
    pub(super) fn fall_behind(&mut self, key: u64, next: Revision) {
        self.unplace(key);
        let Some(watcher) = self.watchers.get(&key) else {
            return;
        };
        let Some(stream) = self.streams.get_mut(&watcher.stream) else {
            return;
        };
        stream.last_turn += 1;
        let turn = stream.last_turn;
        stream.behind.insert(turn, key);
        self.reads.want(watcher.stream, stream);
        self.set_place(key, Place::Behind { next, turn });
    }

    /// Takes a watcher out of whatever its place refers to. It must be given another place.
    pub(super) fn unplace(&mut self, key: u64) {
        let Some(watcher) = self.watchers.get(&key) else {
            return;
        };
        match watcher.place {
            Place::Synced(position) => {
                let moved = self.groups.leave(watcher.group, position);
                if let Some(moved) = moved.and_then(|moved| self.watchers.get_mut(&moved)) {
                    moved.place = Place::Synced(position);
                }
            }
            Place::Future => {
                if let Some(keys) = self.future.get_mut(&watcher.start) {
                    keys.remove(&key);
                    if keys.is_empty() {
                        self.future.remove(&watcher.start);
                    }
                }
            }
            Place::Behind { turn, .. } => {
                if let Some(stream) = self.streams.get_mut(&watcher.stream) {
                    stream.behind.remove(&turn);
                }
            }
            Place::Reading | Place::Compacted => {}
        }
    }

    /// Records a place and keeps the counts that depend on it.
    pub(super) fn set_place(&mut self, key: u64, place: Place) {
        let Some(watcher) = self.watchers.get_mut(&key) else {
            return;
        };
        let before = std::mem::replace(&mut watcher.place, place);
        let counters = &self.hub.counters;
        recount(before, place, is_behind, |up| {
            if up {
                counters.behind.fetch_add(1, Ordering::Relaxed);
            } else {
                counters.behind.fetch_sub(1, Ordering::Relaxed);
            }
        });
        if let Some(stream) = self.streams.get_mut(&watcher.stream) {
            recount(before, place, is_unsynced, |up| {
                if up {
                    stream.unsynced += 1;
                } else {
                    stream.unsynced -= 1;
                }
            });
        }
    }

    /// Removes a watcher in whatever place it is; its stream stays.
    pub(super) fn remove_watcher(&mut self, key: u64) {
        self.unplace(key);
        self.retire(key);
        let Some(watcher) = self.watchers.remove(&key) else {
            return;
        };
        self.mailbox.set_watched(!self.watchers.is_empty());
        self.groups.release(watcher.group, &self.hub.keys);
        if let Some(stream) = self.streams.get_mut(&watcher.stream) {
            stream.watchers.remove(&watcher.id);
        }
    }

    /// Leaves nothing of an unplaced watcher but its id.
    pub(super) fn retire(&mut self, key: u64) {
        let Some(watcher) = self.watchers.get_mut(&key) else {
            return;
        };
        if watcher.place == Place::Compacted {
            return;
        }
        let progress = std::mem::take(&mut watcher.progress);
        if let Some(stream) = self.streams.get_mut(&watcher.stream) {
            stream.progress -= usize::from(progress);
            stream.live -= 1;
        }
        self.hub.counters.watchers.fetch_sub(1, Ordering::Relaxed);
        self.set_place(key, Place::Compacted);
    }
}

const fn is_behind(place: Place) -> bool {
    matches!(place, Place::Behind { .. } | Place::Reading)
}

const fn is_unsynced(place: Place) -> bool {
    is_behind(place) || matches!(place, Place::Future)
}

/// Calls `count` with whether a property was gained, if it was gained or lost.
fn recount(before: Place, after: Place, has: fn(Place) -> bool, count: impl FnOnce(bool)) {
    if has(before) != has(after) {
        count(has(after));
    }
}
