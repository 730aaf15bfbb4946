//! Settings of a node.

use std::path::PathBuf;
use std::time::Duration;

use crate::base::clock;
use crate::base::ids::MemberId;
use crate::base::metrics::RaftMetrics;
use crate::raft::core::Settings;
use crate::raft::error::RaftError;
use crate::raft::log::LogOptions;

const MIN_SEGMENT: u64 = 4096;
const MAX_SEGMENT: u64 = 1 << 30;

/// Settings of a node. [`NodeConfig::new`] has the defaults.
#[derive(Clone)]
pub struct NodeConfig {
    /// This member.
    pub id: MemberId,
    /// Directory of the log; created if it is missing.
    pub dir: PathBuf,
    /// Heartbeat interval, which is also the unit of all timeouts.
    pub tick: Duration,
    /// Ticks without a leader before an election; at least 2.
    pub election_ticks: usize,
    /// What election timeouts and the phase of the clock are drawn from. Members should differ.
    pub seed: u64,
    /// A number that this member has not had at an earlier start.
    pub boot_epoch: u64,
    /// Whether writes are synced. Without, an acknowledged write does not survive a power failure.
    pub fsync: bool,
    /// Entries kept below what the state machine has flushed, for followers that lag a little.
    pub snapshot_catchup_entries: u64,
    /// Bytes that these may have at most. A start reads all of the log, and an entry may carry thousands of
    /// commands.
    pub snapshot_catchup_bytes: u64,
    /// Size of a log segment: 4 KiB to 1 GiB.
    pub segment_bytes: u64,
    /// Bytes of entries kept in memory.
    pub cache_bytes: usize,
    /// Bytes of log that are kept for a follower that lags far; beyond, it gets a snapshot.
    pub max_log_bytes: u64,
    /// What the node counts.
    pub metrics: RaftMetrics,
}

impl std::fmt::Debug for NodeConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeConfig")
            .field("id", &self.id)
            .field("dir", &self.dir)
            .field("tick", &self.tick)
            .field("election_ticks", &self.election_ticks)
            .finish_non_exhaustive()
    }
}

impl NodeConfig {
    /// Settings with etcd's timing (heartbeat 100 ms, election 1 s) and 64 MiB segments. The boot epoch is
    /// the wall-clock time.
    pub fn new(id: MemberId, dir: PathBuf) -> Self {
        Self {
            id,
            dir,
            tick: Duration::from_millis(100),
            election_ticks: 10,
            seed: id.0,
            boot_epoch: clock::unix_time().as_nanos() as u64,
            fsync: true,
            snapshot_catchup_entries: 5000,
            snapshot_catchup_bytes: 64 << 20,
            segment_bytes: 64 << 20,
            cache_bytes: 16 << 20,
            max_log_bytes: 1 << 30,
            metrics: RaftMetrics::default(),
        }
    }

    pub(super) fn validate(&self) -> Result<(), RaftError> {
        let wrong = if self.id == MemberId::NONE {
            "the member id is zero"
        } else if self.tick.is_zero() {
            "the tick is zero"
        } else if self.election_ticks < 2 {
            "an election timeout must be at least two ticks"
        } else if !(MIN_SEGMENT..=MAX_SEGMENT).contains(&self.segment_bytes) {
            "a segment must have between 4 KiB and 1 GiB"
        } else {
            return Ok(());
        };
        Err(RaftError::Settings(wrong.into()))
    }

    pub(in crate::raft) const fn log_options(&self) -> LogOptions {
        LogOptions {
            segment_bytes: self.segment_bytes,
            cache_bytes: self.cache_bytes,
        }
    }

    pub(in crate::raft) const fn settings(&self) -> Settings {
        Settings {
            id: self.id.0,
            election_ticks: self.election_ticks,
            seed: self.seed,
            boot_epoch: self.boot_epoch,
            catchup_entries: self.snapshot_catchup_entries,
            catchup_bytes: self.snapshot_catchup_bytes,
            max_log_bytes: self.max_log_bytes,
        }
    }
}
