//! Start-up: the log and the state machine were written by different threads, and a crash can leave
//! either ahead. Here they are brought in line before the protocol sees them.

use std::sync::Arc;

use super::core::{Core, Settings};
use super::error::RaftError;
use super::log::{Disk, FileDisk, Hard, Log, LogError, LogOptions, Position, Writer};
use super::node::NodeConfig;
use super::types::AppliedState;

/// Where the log of a new cluster begins. The initial configuration counts as a snapshot up to here: a
/// member that joins later starts at zero, and so is sent a snapshot rather than a log that never
/// mentions the first voters.
const BOOTSTRAP: Position = Position { index: 1, term: 1 };

/// Opens the log in the configured directory and makes a core of it.
///
/// # Errors
/// [`RaftError`] if the log cannot be used, or not with this state.
pub(super) fn open(
    config: &NodeConfig,
    restored: &AppliedState,
) -> Result<(Core, Arc<dyn Disk>), RaftError> {
    let disk = FileDisk::open(&config.dir, config.fsync).map_err(LogError::Open)?;
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let core = prepare(
        Arc::clone(&disk),
        config.log_options(),
        config.settings(),
        restored,
    )?;
    Ok((core, disk))
}

/// Makes a core of what is on the disk.
///
/// # Errors
/// As [`open`].
pub(super) fn prepare(
    disk: Arc<dyn Disk>,
    options: LogOptions,
    settings: Settings,
    restored: &AppliedState,
) -> Result<Core, RaftError> {
    let mut log = Log::open(Arc::clone(&disk), options)?;
    let position = align(&mut log, restored, disk)?;
    let restored = AppliedState {
        index: position.index,
        term: position.term,
        configuration: restored.configuration.clone(),
    };
    let mut core = Core::new(settings, log, &restored)?;
    core.campaign_if_alone();
    Ok(core)
}

/// Resets the log if the state has moved beyond it, and gives the position from which on committed
/// entries are handed to the state machine.
fn align(
    log: &mut Log,
    restored: &AppliedState,
    disk: Arc<dyn Disk>,
) -> Result<Position, LogError> {
    let position = Position {
        index: restored.index,
        term: restored.term,
    };
    let base = log.base();
    if position.index == 0 {
        if restored.configuration.is_empty() || base == BOOTSTRAP {
            return gap_free(base, base.index.min(BOOTSTRAP.index)).map(|()| base);
        }
        if (base, log.last(), log.hard()) == (position, position, Hard::default()) {
            reset(log, BOOTSTRAP, disk)?;
            return Ok(BOOTSTRAP);
        }
    }
    gap_free(base, position.index)?;
    if log.term(position.index) != Some(position.term) {
        // A snapshot was installed and the crash came before the log began anew behind it; or the state
        // was restored from a backup. What the log holds instead was never committed.
        tracing::warn!(
            log = log.last().index,
            state = position.index,
            "the state is ahead of the raft log, which begins anew after it"
        );
        reset(log, position, disk)?;
    }
    Ok(position)
}

fn gap_free(base: Position, applied: u64) -> Result<(), LogError> {
    if base.index > applied {
        return Err(LogError::Gap {
            first: base.index,
            applied,
        });
    }
    Ok(())
}

/// Lets the log begin after `base`. Term and vote stay: they are promises to others.
fn reset(log: &mut Log, base: Position, disk: Arc<dyn Disk>) -> Result<(), LogError> {
    let old = log.hard();
    let hard = Hard {
        term: old.term.max(base.term),
        vote: if old.term < base.term { 0 } else { old.vote },
        commit: base.index,
    };
    let batch = log.reset(0, base, hard);
    Writer::new(disk).run(vec![batch])?;
    log.persisted(0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::log::FaultyDisk;
    use crate::raft::types::Configuration;

    const OPTIONS: LogOptions = LogOptions {
        segment_bytes: 4096,
        cache_bytes: 1 << 20,
    };

    fn state(index: u64, term: u64, voters: &[u64]) -> AppliedState {
        AppliedState {
            index,
            term,
            configuration: Configuration {
                voters: voters.to_vec(),
                ..Configuration::default()
            },
        }
    }

    fn entries(range: std::ops::RangeInclusive<u64>, term: u64) -> Vec<raft::eraftpb::Entry> {
        range
            .map(|index| raft::eraftpb::Entry {
                index,
                term,
                ..Default::default()
            })
            .collect()
    }

    /// A log that was bootstrapped and then got the entries 2 to 5 of term 2.
    fn used() -> Arc<FaultyDisk> {
        let disk = Arc::new(FaultyDisk::new());
        let mut log = Log::open(disk.clone(), OPTIONS).unwrap();
        align(&mut log, &state(0, 0, &[1, 2, 3]), disk.clone()).unwrap();
        let hard = Hard {
            term: 2,
            vote: 3,
            commit: 4,
        };
        let batch = log.append(1, entries(2..=5, 2), hard);
        Writer::new(disk.clone()).run(vec![batch]).unwrap();
        disk
    }

    fn aligned(disk: &Arc<FaultyDisk>, state: &AppliedState) -> (Result<Position, String>, Log) {
        let mut log = Log::open(disk.clone(), OPTIONS).unwrap();
        let position = align(&mut log, state, disk.clone());
        (position.map_err(|error| error.to_string()), log)
    }

    #[test]
    fn a_new_cluster_begins_after_its_configuration() {
        let disk = Arc::new(FaultyDisk::new());
        for _ in 0..2 {
            let (position, log) = aligned(&disk, &state(0, 0, &[1]));
            assert_eq!(position, Ok(BOOTSTRAP));
            assert_eq!((log.base(), log.last()), (BOOTSTRAP, BOOTSTRAP));
            assert_eq!((log.hard().term, log.hard().commit), (1, 1));
        }
    }

    #[test]
    fn a_joining_member_begins_at_zero() {
        let disk = Arc::new(FaultyDisk::new());
        let (position, log) = aligned(&disk, &state(0, 0, &[]));
        assert_eq!(position, Ok(Position::default()));
        assert_eq!(log.last(), Position::default());
    }

    #[test]
    fn a_state_within_the_log_keeps_the_entries_behind_it() {
        let disk = used();
        let (position, log) = aligned(&disk, &state(3, 2, &[1]));
        assert_eq!(position, Ok(Position { index: 3, term: 2 }));
        assert_eq!(log.last().index, 5);
        let (position, log) = aligned(&disk, &state(0, 0, &[1]));
        assert_eq!(position, Ok(BOOTSTRAP));
        assert_eq!(log.last().index, 5);
    }

    #[test]
    fn a_state_beyond_the_log_resets_it_and_keeps_the_vote() {
        for beyond in [state(9, 2, &[1]), state(4, 1, &[1])] {
            let disk = used();
            let (position, log) = aligned(&disk, &beyond);
            let expected = Position {
                index: beyond.index,
                term: beyond.term,
            };
            assert_eq!(position, Ok(expected));
            assert_eq!(log.last(), expected);
            assert_eq!((log.hard().term, log.hard().vote), (2, 3));
            disk.power_failure(1);
            let log = Log::open(disk, OPTIONS).unwrap();
            assert_eq!(log.last(), expected);
        }
    }

    #[test]
    fn a_vote_of_an_older_term_is_void() {
        let disk = used();
        let (_, log) = aligned(&disk, &state(9, 7, &[1]));
        assert_eq!((log.hard().term, log.hard().vote), (7, 0));
    }

    #[test]
    fn a_log_that_begins_too_late_is_refused() {
        let disk = used();
        let (_, _) = aligned(&disk, &state(9, 2, &[1]));
        let (position, _) = aligned(&disk, &state(4, 2, &[1]));
        let gap = "raft log begins after 9 but the state ends at 4";
        assert_eq!(position, Err(gap.to_owned()));
        let (position, _) = aligned(&disk, &state(0, 0, &[]));
        assert!(position.is_err());
    }
}
