//! The watch ring: one writer, any number of readers, no lock between them.
//!
//! The apply thread publishes changes once ([`Publisher`], `ring`); dispatchers walk them once
//! (`dispatcher`), match them (`index`, `group`) and hand encoded frames (`frame`) to the streams whose
//! watchers want them (`port`, `outbox`). Nothing here does I/O: history that has left the ring is read
//! through [`History`] by threads of its own (`catch_up`).
//!
//! This is where invariant I6 is kept: events of a watcher arrive in revision order, each once, whole
//! revisions, none missing; progress never runs ahead. `docs/decisions/0005-watch-ring.md` says why it
//! is built like this.

mod budget;
mod catch_up;
mod config;
mod dispatcher;
mod follow;
mod frame;
mod group;
mod hub;
mod index;
mod interval;
mod outbox;
mod port;
mod ring;
mod stream;
mod sync;
mod wake;
mod wakes;

#[cfg(test)]
mod ring_test;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use config::HubConfig;
pub use follow::{Bell, Follower};
pub use hub::{Hub, HubStats, OpenError, Publisher, RingStats};
pub use stream::{Frame, StreamClosed, WatchFrames, WatchRequest, WatchRequests};

use crate::base::change::Change;
use crate::base::ids::{Revision, WatchId};
use crate::base::range::KeyRange;

/// What a client asks for when it creates a watcher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchSpec {
    /// The id the client chose; `None` lets the stream choose.
    pub id: Option<WatchId>,
    /// The keys to watch.
    pub range: KeyRange,
    /// The first revision to deliver; `None` is "from now on". May be past, future or compacted.
    pub start: Option<Revision>,
    /// Attach the previous key-value.
    pub prev_kv: bool,
    /// Send an empty response now and then while idle.
    pub progress_notify: bool,
    /// Leave out puts.
    pub no_put: bool,
    /// Leave out deletions.
    pub no_delete: bool,
    /// Allow a large response to be split.
    pub fragment: bool,
}

/// Changes read back from storage.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HistoryPage {
    /// Changes in order; whole revisions only.
    pub changes: Vec<Change>,
    /// The first revision that the page does not cover: everything before it, from the requested start
    /// on, is in `changes`.
    pub next: Revision,
}

/// Why history cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// The start revision is below the compacted revision, which is given.
    #[error("required revision has been compacted (compacted revision {0})")]
    Compacted(Revision),
    /// Storage failed.
    #[error("{0}")]
    Storage(String),
}

/// Changes that have left the ring, read from storage. Called from threads that may block.
pub trait History: Send + Sync {
    /// Whole revisions of changes from `from` on, within `range`, up to and including `upto`; at most
    /// about `max_revisions` distinct revisions and `max_bytes` bytes, but always at least one revision.
    ///
    /// # Errors
    /// [`HistoryError`] when `from` is compacted or storage fails.
    fn changes(
        &self,
        range: &KeyRange,
        from: Revision,
        upto: Revision,
        max_revisions: usize,
        max_bytes: usize,
    ) -> Result<HistoryPage, HistoryError>;

    /// The compacted revision; [`Revision::ZERO`] if the store was never compacted.
    fn compacted(&self) -> Revision;
}
