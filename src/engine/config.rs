//! What an engine is told when it starts, and what that means for its parts.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::auth::AuthConfig;
use super::slow::SlowLimits;
use super::types::{AutoCompaction, Member};
use crate::base::ids::{ClusterId, MemberId};
use crate::base::metrics::Metrics;
use crate::raft::NodeConfig;
use crate::storage::StoreOptions;
use crate::watch::HubConfig;

/// What an engine is told when it starts.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// The member's directory; the engine uses `state`, `log`, `snapshots`, `incoming` and `backups` in it.
    pub data_dir: PathBuf,
    /// The cluster.
    pub cluster_id: ClusterId,
    /// This member.
    pub member_id: MemberId,
    /// The member's name, published to the others.
    pub name: String,
    /// The URLs it serves clients at, published to the others.
    pub client_urls: Vec<String>,
    /// The members as a new directory takes them over: the first ones of a new cluster, or those that a
    /// running cluster had when this member joined it.
    pub initial_members: Vec<Member>,
    /// Whether a new directory is that of a member that joins a running cluster. It begins with nothing, and
    /// is sent everything.
    pub joining: bool,
    /// Whether changes of the members are refused that could cost the quorum.
    pub strict_reconfig: bool,
    /// Learners that there may be at a time.
    pub max_learners: usize,
    /// Whether to go on as the only member of the cluster, with the data that this one has.
    pub force_new_cluster: bool,
    /// Time between heartbeats: raft's tick.
    pub heartbeat: Duration,
    /// Ticks without a leader after which a member stands for election.
    pub election_ticks: usize,
    /// The largest request that is replicated, in bytes.
    pub max_request_bytes: usize,
    /// Log entries kept for members that are a little behind.
    pub snapshot_catchup_entries: u64,
    /// Whether the log is synced to disk before it is acknowledged. Off only for tests that may lose data.
    pub fsync: bool,
    /// Time between progress notifications to idle watchers.
    pub progress_interval: Duration,
    /// What the log is told of as slow.
    pub slow: SlowLimits,
    /// Which history is discarded without being asked.
    pub auto_compaction: AutoCompaction,
    /// Tokens and passwords.
    pub auth: AuthConfig,
    /// The most bytes that the state may take on disk before what makes it grow is refused.
    pub quota_bytes: Option<u64>,
    /// How often the time left to long leases is replicated; `None` is never.
    pub lease_checkpoint_interval: Option<Duration>,
    /// How often the members are compared while this one leads; `None` is never.
    pub corrupt_check_interval: Option<Duration>,
    /// How often it is looked whether to compare them after a compaction; `None` is never.
    pub compact_check_interval: Option<Duration>,
    /// Storage settings.
    pub store: StoreOptions,
}

impl EngineConfig {
    /// The time after which a member without a leader stands for election.
    pub fn election_timeout(&self) -> Duration {
        self.heartbeat * u32::try_from(self.election_ticks).unwrap_or(u32::MAX)
    }

    /// Settings of the consensus layer; `boot` differs from run to run.
    pub(super) fn node(&self, metrics: &Metrics, boot: u64) -> NodeConfig {
        NodeConfig {
            tick: self.heartbeat,
            election_ticks: self.election_ticks,
            seed: boot,
            boot_epoch: boot,
            fsync: self.fsync,
            snapshot_catchup_entries: self.snapshot_catchup_entries,
            metrics: metrics.raft.clone(),
            ..NodeConfig::new(self.member_id, self.data_dir.join("log"))
        }
    }

    /// Settings of the watch hub; `term` is for the headers of responses.
    pub(super) fn hub(&self, term: Arc<AtomicU64>) -> HubConfig {
        /// What etcd adds to the request limit before it splits a response.
        const FRAGMENT_OVERHEAD: usize = 512 << 10;
        HubConfig {
            dispatchers: std::thread::available_parallelism().map_or(1, usize::from),
            progress_interval: self.progress_interval,
            fragment_bytes: self.max_request_bytes + FRAGMENT_OVERHEAD,
            ..HubConfig::new(self.cluster_id, self.member_id, term)
        }
    }
}
