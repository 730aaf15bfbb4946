//! What readers see: a store, the logical state published for it, and how to read history from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;

use super::alarms::Alarms;
use super::error::EngineError;
use super::meta;
use super::types::MinorVersion;
use crate::base::ids::Revision;
use crate::base::metrics::{Gauge, Raised};
use crate::base::range::KeyRange;
use crate::mvcc::auth::AuthState;
use crate::mvcc::{self, MvccError};
use crate::storage::Store;
use crate::watch::{History, HistoryError, HistoryPage};

/// The applied state at one moment. Reads take one view and stay with it: a consistent snapshot at
/// `state.revision` (invariant I3), never ahead of what this member applied.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// The data. Replaced as a whole when a snapshot is installed.
    pub(crate) store: Arc<Store>,
    /// Revision and compacted revision.
    pub(crate) state: mvcc::State,
    /// Users and roles: who may see what is here.
    pub(crate) auth: Arc<AuthState>,
    /// The alarms that are raised.
    pub(crate) alarms: Arc<Alarms>,
    /// What the cluster is being taken back to.
    pub(crate) downgrade: Option<MinorVersion>,
}

impl View {
    /// What a store holds on disk.
    ///
    /// # Errors
    /// A text for the log: the store does not read.
    pub(crate) fn of(store: Arc<Store>) -> Result<Self, String> {
        let state = mvcc::load_state(&store).map_err(|error| error.to_string())?;
        let alarms = meta::alarms(&store).map_err(|error| error.to_string())?;
        let downgrade = meta::downgrade(&store).map_err(|error| error.to_string())?;
        let auth = mvcc::auth::load(&store).map_err(|error| error.to_string())?;
        Ok(Self {
            store,
            state,
            auth: Arc::new(auth),
            alarms: Arc::new(alarms),
            downgrade,
        })
    }
}

/// The view that is current, swapped by the apply thread and loaded by readers without a lock.
#[derive(Debug)]
pub(crate) struct Views {
    current: ArcSwap<View>,
    /// Whether the current view's users and roles count: for those who need to know no more.
    guarded: AtomicBool,
    /// Counts the reads under way.
    reads: Gauge,
}

impl Views {
    /// Begins with what the store holds on disk.
    pub(crate) fn new(view: View, reads: Gauge) -> Self {
        Self {
            guarded: AtomicBool::new(view.auth.is_enabled()),
            current: ArcSwap::from_pointee(view),
            reads,
        }
    }

    /// The current view.
    pub(crate) fn load(&self) -> arc_swap::Guard<Arc<View>> {
        self.current.load()
    }

    /// Whether requests are checked. A request that finds they are not, and meets a newer view, is judged by
    /// that all the same: as one of nobody.
    pub(crate) fn is_guarded(&self) -> bool {
        self.guarded.load(Ordering::Acquire)
    }

    /// Counts a read as under way for as long as the answer lives.
    pub(crate) fn reading(&self) -> Raised<'_> {
        Raised::new(&self.reads)
    }

    /// Publishes a newer view. Called by the apply thread alone.
    pub(crate) fn publish(&self, view: View) {
        self.guarded
            .store(view.auth.is_enabled(), Ordering::Release);
        self.current.store(Arc::new(view));
    }

    /// Runs a read on the current view.
    ///
    /// A compaction that is written while a read runs may take away what the read needs. The store tells
    /// the read so; at a given revision (`at`) that is the answer, at the latest one the read is repeated
    /// on the view that the apply thread publishes right after its write.
    pub(crate) fn read<T>(
        &self,
        at: Option<Revision>,
        mut read: impl FnMut(&View) -> Result<T, MvccError>,
    ) -> Result<(T, mvcc::State), EngineError> {
        let _reading = self.reading();
        loop {
            let view = self.load();
            match read(&view) {
                Ok(value) => return Ok((value, view.state)),
                Err(MvccError::Compacted) if at.is_none() => std::thread::yield_now(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// History for watchers that have fallen behind the ring.
#[derive(Debug)]
pub(crate) struct StoreHistory(pub(crate) Arc<Views>);

impl History for StoreHistory {
    fn changes(
        &self,
        range: &KeyRange,
        from: Revision,
        upto: Revision,
        max_revisions: usize,
        max_bytes: usize,
    ) -> Result<HistoryPage, HistoryError> {
        let _reading = self.0.reading();
        let view = self.0.load();
        let page = mvcc::history::changes(
            &view.store,
            view.state,
            range,
            from,
            upto,
            max_revisions,
            max_bytes,
        );
        // Checked after the read: what the read found below a newer compacted revision may have holes.
        let compacted = self.compacted();
        if from < compacted {
            return Err(HistoryError::Compacted(compacted));
        }
        match page {
            Ok((changes, next)) => Ok(HistoryPage { changes, next }),
            Err(error) => Err(HistoryError::Storage(error.to_string())),
        }
    }

    fn compacted(&self) -> Revision {
        self.0.load().state.compacted.unwrap_or(Revision::ZERO)
    }
}
