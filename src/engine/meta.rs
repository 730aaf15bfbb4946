//! The engine's own records in the store: where the log was applied to, the configuration, the members, the
//! alarms.

use serde::{Deserialize, Serialize};

use super::alarms::Alarms;
use super::members::Membership;
use super::types::{Member, MinorVersion};
use crate::base::codec::{self, CodecError};
use crate::mvcc::Session;
use crate::raft::{AppliedState, Configuration};
use crate::storage::{MetaKey, Store, StoreError};

/// The version byte of the records below, unless they say otherwise.
const VERSION: u8 = 1;
/// The version byte of configurations that name the entry that changed them, and of members with those that
/// were removed. Version 1 is what stores were written with before members could be changed.
const CHANGEABLE: u8 = 2;

/// Index and term of the last applied log entry, in the same write as the data they describe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Applied {
    index: u64,
    term: u64,
}

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MetaError {
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The record is damaged or of another version.
    #[error("record {key:?}: {error}")]
    Record {
        /// Which record.
        key: MetaKey,
        /// What is wrong with it.
        error: CodecError,
    },
}

pub(crate) fn put_applied(
    session: &mut Session<'_>,
    index: u64,
    term: u64,
) -> Result<(), CodecError> {
    let record = codec::encode(VERSION, &Applied { index, term })?;
    session.put_meta(MetaKey::Applied, record);
    Ok(())
}

pub(crate) fn put_configuration(
    session: &mut Session<'_>,
    configuration: &Configuration,
) -> Result<(), CodecError> {
    session.put_meta(
        MetaKey::Configuration,
        codec::encode(CHANGEABLE, configuration)?,
    );
    Ok(())
}

/// The members, and the ids of those that were removed.
pub(crate) fn put_members(
    session: &mut Session<'_>,
    members: &[Member],
    removed: &[u64],
) -> Result<(), CodecError> {
    let record = codec::encode(CHANGEABLE, &(members, removed))?;
    session.put_meta(MetaKey::Members, record);
    Ok(())
}

pub(crate) fn put_alarms(session: &mut Session<'_>, alarms: &Alarms) -> Result<(), CodecError> {
    session.put_meta(MetaKey::Alarms, codec::encode(VERSION, alarms)?);
    Ok(())
}

pub(crate) fn put_downgrade(
    session: &mut Session<'_>,
    target: Option<MinorVersion>,
) -> Result<(), CodecError> {
    session.put_meta(MetaKey::Downgrade, codec::encode(VERSION, &target)?);
    Ok(())
}

/// The alarms that are raised.
pub(crate) fn alarms(store: &Store) -> Result<Alarms, MetaError> {
    Ok(read(store, MetaKey::Alarms)?.unwrap_or_default())
}

/// What the cluster is being taken back to.
pub(crate) fn downgrade(store: &Store) -> Result<Option<MinorVersion>, MetaError> {
    Ok(read(store, MetaKey::Downgrade)?.flatten())
}

/// Where the state machine stands. `None` for a store that has never applied anything.
pub(crate) fn applied_state(store: &Store) -> Result<Option<AppliedState>, MetaError> {
    let Some(configuration) = configuration(store)? else {
        return Ok(None);
    };
    let applied =
        read::<Applied>(store, MetaKey::Applied)?.unwrap_or(Applied { index: 0, term: 0 });
    Ok(Some(AppliedState {
        index: applied.index,
        term: applied.term,
        configuration,
    }))
}

/// Who belongs to the cluster; nobody in a store that has never applied anything.
pub(crate) fn membership(store: &Store) -> Result<Membership, MetaError> {
    let key = MetaKey::Members;
    let Some(bytes) = store.meta(key)? else {
        return Ok(Membership::default());
    };
    let record = match bytes.first() {
        Some(&VERSION) => codec::decode(VERSION, &bytes).map(|members| (members, Vec::new())),
        _ => codec::decode(CHANGEABLE, &bytes),
    };
    let (members, removed): (Vec<Member>, Vec<u64>) =
        record.map_err(|error| MetaError::Record { key, error })?;
    let changed_at = configuration(store)?.map_or(0, |configuration| configuration.changed_at);
    Ok(Membership::new(members, removed, changed_at))
}

fn configuration(store: &Store) -> Result<Option<Configuration>, MetaError> {
    let key = MetaKey::Configuration;
    let Some(bytes) = store.meta(key)? else {
        return Ok(None);
    };
    let record = match bytes.first() {
        Some(&VERSION) => codec::decode(VERSION, &bytes).map(Unchanged::into_configuration),
        _ => codec::decode(CHANGEABLE, &bytes),
    };
    record
        .map(Some)
        .map_err(|error| MetaError::Record { key, error })
}

/// A configuration as version 1 has it.
#[derive(Debug, Serialize, Deserialize)]
struct Unchanged {
    voters: Vec<u64>,
    learners: Vec<u64>,
    voters_outgoing: Vec<u64>,
    learners_next: Vec<u64>,
    auto_leave: bool,
}

impl Unchanged {
    fn into_configuration(self) -> Configuration {
        Configuration {
            voters: self.voters,
            learners: self.learners,
            voters_outgoing: self.voters_outgoing,
            learners_next: self.learners_next,
            auto_leave: self.auto_leave,
            changed_at: 0,
        }
    }
}

fn read<T: for<'de> Deserialize<'de>>(store: &Store, key: MetaKey) -> Result<Option<T>, MetaError> {
    store
        .meta(key)?
        .map(|bytes| codec::decode(VERSION, &bytes))
        .transpose()
        .map_err(|error| MetaError::Record { key, error })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mvcc;
    use crate::storage::StoreOptions;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("db"), &StoreOptions::default()).unwrap();
        (dir, store)
    }

    fn write(store: &Store, put: impl FnOnce(&mut Session<'_>)) {
        let mut session = Session::begin(store, mvcc::load_state(store).unwrap());
        put(&mut session);
        store.write(session.finish().batch).unwrap();
    }

    fn member(id: u64) -> Member {
        Member {
            id,
            name: format!("m{id}"),
            ..Member::default()
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let (_dir, store) = store();
        assert_eq!(applied_state(&store).unwrap(), None);
        assert_eq!(membership(&store).unwrap(), Membership::default());
        let configuration = Configuration {
            voters: vec![1, 2],
            learners: vec![3],
            changed_at: 7,
            ..Configuration::default()
        };
        write(&store, |session| {
            put_configuration(session, &configuration).unwrap();
            put_members(session, &[member(2), member(1)], &[9]).unwrap();
            put_applied(session, 8, 3).unwrap();
        });
        let expected = AppliedState {
            index: 8,
            term: 3,
            configuration,
        };
        assert_eq!(applied_state(&store).unwrap(), Some(expected));
        let expected = Membership::new(vec![member(1), member(2)], vec![9], 7);
        assert_eq!(membership(&store).unwrap(), expected);
    }

    /// Stores that were written before members could be changed.
    #[test]
    fn records_of_the_first_version_are_read() {
        let (_dir, store) = store();
        let old = Unchanged {
            voters: vec![1],
            learners: Vec::new(),
            voters_outgoing: Vec::new(),
            learners_next: Vec::new(),
            auto_leave: false,
        };
        write(&store, |session| {
            let record = codec::encode(VERSION, &old).unwrap();
            session.put_meta(MetaKey::Configuration, record);
            let record = codec::encode(VERSION, &vec![member(1)]).unwrap();
            session.put_meta(MetaKey::Members, record);
        });
        let state = applied_state(&store).unwrap().unwrap();
        assert_eq!(
            (state.configuration.voters, state.configuration.changed_at),
            (vec![1], 0)
        );
        assert_eq!(membership(&store).unwrap().members, [member(1)]);
        write(&store, |session| {
            session.put_meta(MetaKey::Members, vec![3, 0]);
        });
        assert!(membership(&store).is_err());
    }
}
