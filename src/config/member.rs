//! A member's configuration, checked, in parts by concern.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::tls::TlsConfig;
use super::url::Url;

/// Everything a member is told at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberConfig {
    /// The member's name.
    pub name: String,
    /// The directory of everything it keeps.
    pub data_dir: PathBuf,
    /// Who the members are.
    pub cluster: ClusterConfig,
    /// Where it listens.
    pub listen: ListenConfig,
    /// How its ports are secured.
    pub tls: TlsConfig,
    /// How consensus is timed and how much log is kept.
    pub raft: RaftConfig,
    /// What clients may ask for.
    pub limits: LimitConfig,
    /// How client connections are probed.
    pub keepalive: KeepaliveConfig,
    /// Who may use the HTTP pages.
    pub http: HttpConfig,
    /// Idle time before a watcher that asked for it is told of progress.
    pub watch_progress_interval: Duration,
    /// Time from the start after which clients are served even if no leader has been found.
    pub wait_cluster_ready: Duration,
    /// Which history is discarded without being asked.
    pub auto_compaction: AutoCompaction,
    /// What is logged, where and how.
    pub log: LogConfig,
    /// What the log has to say of flags and variables that have no effect.
    pub notes: Vec<Note>,
    /// Whether the member stops when its standard input ends, as a child of `holdfast up` does.
    pub stop_with_stdin: bool,
}

/// The members of the cluster as they are told at the first start. Once a member has data, only the state
/// on disk says who the members are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterConfig {
    /// The first members, ordered by name.
    pub initial: Vec<InitialMember>,
    /// Whether the cluster is begun or joined.
    pub state: ClusterState,
    /// Distinguishes clusters that have the same URLs.
    pub token: String,
    /// Where other members reach this one; sorted.
    pub advertise_peer_urls: Vec<Url>,
    /// Where clients reach this one; sorted.
    pub advertise_client_urls: Vec<Url>,
}

/// One of the first members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitialMember {
    /// Its name.
    pub name: String,
    /// Its peer URLs; sorted, at least one.
    pub peer_urls: Vec<Url>,
}

/// Whether a cluster is begun or joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterState {
    /// All first members start now.
    New,
    /// The cluster exists and has added this member.
    Existing,
}

/// Where a member listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenConfig {
    /// For clients: gRPC and HTTP.
    pub client: Vec<Url>,
    /// For other members.
    pub peer: Vec<Url>,
    /// For `/metrics` and health alone.
    pub metrics: Vec<Url>,
    /// Let several processes listen on one port.
    pub reuse_port: bool,
}

/// How consensus is timed and how much log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RaftConfig {
    /// Between heartbeats of the leader.
    pub heartbeat: Duration,
    /// Without a leader before an election; at least five heartbeats.
    pub election_timeout: Duration,
    /// Log entries kept for slow followers when the log is cut.
    pub catchup_entries: u64,
}

/// What clients may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitConfig {
    /// Largest request in bytes.
    pub max_request_bytes: u64,
    /// Most operations in one transaction.
    pub max_txn_ops: u64,
    /// Most streams on one client connection.
    pub max_concurrent_streams: u32,
}

/// How client connections are probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepaliveConfig {
    /// Idle time before a ping; `None` never pings.
    pub interval: Option<Duration>,
    /// Time for the answer.
    pub timeout: Duration,
}

/// Who may use the HTTP pages. `*` in a list is everyone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// Origins that browsers may call from.
    pub cors: Vec<String>,
    /// Host names that requests may be addressed to.
    pub host_whitelist: Vec<String>,
}

/// Which history is discarded without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoCompaction {
    /// None.
    Off,
    /// What is older than this.
    Periodic(Duration),
    /// All but this many revisions.
    Revisions(i64),
}

/// What is logged, where and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// Least severity.
    pub level: LogLevel,
    /// The shape of a line; `None` is text on a terminal and JSON elsewhere.
    pub format: Option<LogFormat>,
    /// Which stream.
    pub output: LogOutput,
}

/// Severities that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// The course of things.
    Info,
    /// What an operator should look at.
    Warn,
    /// What has failed.
    Error,
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One object a line with zap's keys.
    Json,
    /// Text for people.
    Console,
}

/// Where logs go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogOutput {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
}

/// Something of the command line or environment that the log has to mention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A flag that has no meaning here.
    NoEffect {
        /// The flag's name.
        flag: String,
        /// Why it has none.
        reason: &'static str,
    },
    /// An `ETCD_*` variable that stands for no flag.
    UnknownVariable(String),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEffect { flag, reason } => write!(f, "--{flag} has no effect: {reason}"),
            Self::UnknownVariable(name) => write!(f, "unrecognized environment variable {name}"),
        }
    }
}
