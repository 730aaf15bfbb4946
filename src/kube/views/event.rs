//! A change of one object, and the forms in which watchers are told of it.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::world::Stored;

/// A change of one object. Its encodings are made once for all watchers that want the same.
#[derive(Debug)]
pub struct Event {
    pub revision: i64,
    pub key: Bytes,
    /// What is stored now; none if it was deleted.
    pub now: Option<Arc<Stored>>,
    /// What was stored before; none if it is new.
    pub before: Option<Arc<Stored>>,
    /// By whatever tells encodings apart; a handful at most.
    frames: Mutex<Vec<(u64, Bytes)>>,
}

/// What a watcher is told has happened, which depends on what it selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    Added,
    Modified,
    Deleted,
}

impl EventKind {
    /// As the `type` of a watch event has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

impl Event {
    pub(super) fn new(
        revision: i64,
        key: Bytes,
        now: Option<Arc<Stored>>,
        before: Option<Arc<Stored>>,
    ) -> Self {
        Self {
            revision,
            key,
            now,
            before,
            frames: Mutex::default(),
        }
    }

    /// What the change is to somebody who selects objects: an object that enters the selection is added,
    /// one that leaves it is deleted.
    pub fn seen_by(&self, selects: impl Fn(&Arc<Stored>) -> bool) -> Option<EventKind> {
        let selected = |stored: &Option<Arc<Stored>>| stored.as_ref().is_some_and(&selects);
        match (selected(&self.before), selected(&self.now)) {
            (false, true) => Some(EventKind::Added),
            (true, true) => Some(EventKind::Modified),
            (true, false) => Some(EventKind::Deleted),
            (false, false) => None,
        }
    }

    /// The encoding called `form`, made by the first who asks.
    pub fn frame(&self, form: u64, encode: impl FnOnce() -> Bytes) -> Bytes {
        if let Some(frame) = self.known(form) {
            return frame;
        }
        // Not under the lock: two may encode at once, and the first result stays.
        let made = encode();
        let mut frames = self.frames.lock();
        match frames.iter().find(|(known, _)| *known == form) {
            Some((_, frame)) => frame.clone(),
            None => {
                frames.push((form, made.clone()));
                made
            }
        }
    }

    fn known(&self, form: u64) -> Option<Bytes> {
        let frames = self.frames.lock();
        let mut known = frames.iter().filter(|(known, _)| *known == form);
        known.next().map(|(_, frame)| frame.clone())
    }

    /// Bytes that this event keeps from being freed, roughly.
    pub(super) fn weight(&self) -> usize {
        let of = |stored: &Option<Arc<Stored>>| stored.as_ref().map_or(0, |s| s.value.len());
        size_of::<Self>() + self.key.len() + of(&self.before) + of(&self.now)
    }
}
