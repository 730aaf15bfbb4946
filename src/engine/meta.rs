//! The engine's own records in the store: where the log was applied to, the configuration, the members, the
//! alarms.

use serde::{Deserialize, Serialize};

use super::alarms::Alarms;
use super::types::{Member, MinorVersion};
use crate::base::codec::{self, CodecError};
use crate::mvcc::Session;
use crate::raft::{AppliedState, Configuration};
use crate::storage::{MetaKey, Store, StoreError};

/// The version byte of the records below.
const VERSION: u8 = 1;

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
        codec::encode(VERSION, configuration)?,
    );
    Ok(())
}

pub(crate) fn put_members(session: &mut Session<'_>, members: &[Member]) -> Result<(), CodecError> {
    session.put_meta(MetaKey::Members, codec::encode(VERSION, &members)?);
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
    let Some(configuration) = read::<Configuration>(store, MetaKey::Configuration)? else {
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

/// The members; empty for a store that has never applied anything.
pub(crate) fn members(store: &Store) -> Result<Vec<Member>, MetaError> {
    Ok(read(store, MetaKey::Members)?.unwrap_or_default())
}

fn read<T: for<'de> Deserialize<'de>>(store: &Store, key: MetaKey) -> Result<Option<T>, MetaError> {
    store
        .meta(key)?
        .map(|bytes| codec::decode(VERSION, &bytes))
        .transpose()
        .map_err(|error| MetaError::Record { key, error })
}
