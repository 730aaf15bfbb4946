//! Where the key space stands.

use super::error::MvccError;
use crate::base::ids::Revision;
use crate::storage::records::{parse_state, state_record};
use crate::storage::{MetaKey, Store};

/// The numbers that decide what can be read. Part of the replicated state (invariants I4, I7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// The revision of the last change; [`Revision::FIRST`] on an empty store.
    pub revision: Revision,
    /// Reads below this revision are refused; `None` until the first compaction.
    pub compacted: Option<Revision>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            revision: Revision::FIRST,
            compacted: None,
        }
    }
}

/// The state that the store has, the initial one if it is new.
///
/// # Errors
/// [`MvccError::Storage`].
pub fn load_state(store: &Store) -> Result<State, MvccError> {
    match store.meta(MetaKey::State)? {
        None => Ok(State::default()),
        Some(bytes) => State::from_record(&bytes),
    }
}

impl State {
    /// The compacted revision in etcd's numbers: -1 if the store was never compacted.
    pub fn compact_revision(&self) -> i64 {
        self.compacted.map_or(-1, Revision::get)
    }

    /// Whether `revision` is at or below the compacted revision: a tombstone there counts as absent, because
    /// members may or may not have removed it.
    pub(super) fn covers(&self, revision: Revision) -> bool {
        self.compacted
            .is_some_and(|compacted| revision <= compacted)
    }

    /// Checks a revision asked for. `None` means the latest: nothing was asked for, or one of the
    /// numbers below 1 that etcd takes for it (-1 only until the first compaction).
    pub(super) fn check(&self, revision: Option<Revision>) -> Result<Option<Revision>, MvccError> {
        match revision {
            None => Ok(None),
            Some(revision) if revision > self.revision => Err(MvccError::FutureRevision),
            Some(revision) if revision.0 < self.compact_revision() => Err(MvccError::Compacted),
            Some(revision) => Ok((revision > Revision::ZERO).then_some(revision)),
        }
    }

    /// Reads what [`Self::to_record`] made.
    pub(super) fn from_record(record: &[u8]) -> Result<Self, MvccError> {
        let (revision, compacted) = parse_state(record)?;
        Ok(Self {
            revision,
            compacted,
        })
    }

    pub(super) fn to_record(self) -> Vec<u8> {
        state_record(self.revision, self.compacted)
    }
}
