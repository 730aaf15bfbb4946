//! What raft-rs reads: the log, the initial state, and snapshots.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot as RaftSnapshot, SnapshotMetadata};
use raft::{Error, GetEntriesContext, RaftState, Storage, StorageError};

use crate::base::ids::MemberId;
use crate::raft::log::{Log, LogError};
use crate::raft::types::{AppliedState, Snapshot};

/// The log with what else raft-rs asks for.
pub(super) struct Store {
    /// The log.
    pub(super) log: Log,
    initial: ConfState,
    applied: u64,
    /// The snapshot that may be sent now.
    pub(super) snapshot: Option<Arc<Snapshot>>,
    wanted: Cell<Option<u64>>,
    fault: RefCell<Option<LogError>>,
}

impl Store {
    /// The log as found at start, with the state that the state machine restored.
    pub(super) fn new(log: Log, restored: &AppliedState) -> Self {
        Self {
            log,
            initial: restored.configuration.to_raft(),
            applied: restored.index,
            snapshot: None,
            wanted: Cell::new(None),
            fault: RefCell::new(None),
        }
    }

    /// The index at or after which raft-rs wanted a snapshot that is not there, since the last call.
    pub(super) fn take_wanted(&self) -> Option<u64> {
        self.wanted.take()
    }

    /// The first failure of reading back entries. The member must stop.
    pub(super) fn take_fault(&self) -> Option<LogError> {
        self.fault.borrow_mut().take()
    }
}

impl Storage for Store {
    /// The commit index on disk is a hint that may lag: what was applied is committed, too.
    fn initial_state(&self) -> raft::Result<RaftState> {
        let hard = self.log.hard();
        let commit = hard.commit.max(self.applied).max(self.log.base().index);
        let hard_state = HardState {
            term: hard.term,
            vote: hard.vote,
            commit,
        };
        Ok(RaftState::new(hard_state, self.initial.clone()))
    }

    /// raft-rs ends the process when this fails for any reason but compaction. A failing disk is kept for
    /// [`Store::take_fault`] instead, and raft-rs is told that there is nothing yet.
    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low <= self.log.base().index {
            return Err(Error::Store(StorageError::Compacted));
        }
        let limit = max_size.into().unwrap_or(u64::MAX);
        match self.log.entries(low, high, limit) {
            Ok(entries) => Ok(entries),
            Err(fault) => {
                self.fault.borrow_mut().get_or_insert(fault);
                if context.can_async() {
                    Err(Error::Store(StorageError::LogTemporarilyUnavailable))
                } else {
                    Ok(Vec::new())
                }
            }
        }
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        let unknown = if index < self.log.base().index {
            StorageError::Compacted
        } else {
            StorageError::Unavailable
        };
        self.log.term(index).ok_or(Error::Store(unknown))
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.log.base().index + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.log.last().index)
    }

    /// A member refuses a snapshot whose configuration it is not in, so one made before it joined is of
    /// no use to it.
    fn snapshot(&self, request_index: u64, to: u64) -> raft::Result<RaftSnapshot> {
        let needed = request_index.max(self.log.base().index);
        let serves = |state: &AppliedState| {
            state.index >= needed && state.configuration.contains(MemberId(to))
        };
        match &self.snapshot {
            Some(snapshot) if serves(&snapshot.state) => Ok(to_raft(&snapshot.state)),
            _ => {
                self.wanted.set(Some(needed));
                Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
            }
        }
    }
}

/// What travels in the raft message; the files go beside it.
fn to_raft(state: &AppliedState) -> RaftSnapshot {
    RaftSnapshot {
        metadata: Some(SnapshotMetadata {
            conf_state: Some(state.configuration.to_raft()),
            index: state.index,
            term: state.term,
        }),
        ..RaftSnapshot::default()
    }
}
