//! A member's configuration, checked, in parts by concern.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::auth::AuthConfig;
use super::kube::KubeConfig;
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
    /// How users are known.
    pub auth: AuthConfig,
    /// Who may use the HTTP pages.
    pub http: HttpConfig,
    /// Idle time before a watcher that asked for it is told of progress.
    pub watch_progress_interval: Duration,
    /// Time from the start after which clients are served even if no leader has been found.
    pub wait_cluster_ready: Duration,
    /// Which history is discarded without being asked.
    pub auto_compaction: AutoCompaction,
    /// What the log is told of as slow.
    pub slow: SlowConfig,
    /// Whether the time left to long leases is replicated, so that a new leader goes on from there.
    pub lease_checkpoints: bool,
    /// When the members' data is compared.
    pub corrupt_checks: CorruptChecks,
    /// How the Kubernetes API is served, if it is.
    pub kube: Option<KubeConfig>,
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
    /// Whether changes of the members are refused that could cost the quorum.
    pub strict_reconfig: bool,
    /// Learners that the cluster may have at a time.
    pub max_learners: u64,
    /// Whether this member goes on as the only one, with the data that it has.
    pub force_new: bool,
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
    /// Most bytes of the state on disk; negative is no limit.
    pub quota_bytes: i64,
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
    /// Whether the API is served as JSON too.
    pub gateway: bool,
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

/// When the members' data is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CorruptChecks {
    /// Before this member serves clients.
    pub at_start: bool,
    /// How often while it leads; `None` is never.
    pub interval: Option<Duration>,
}

/// What the log is told of as slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowConfig {
    /// Applying commands and reading longer than this.
    pub apply: Duration,
    /// Requests longer than this.
    pub request: Duration,
}

/// What is logged, where and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// Least severity.
    pub level: LogLevel,
    /// The shape of a line; `None` is text on a terminal and JSON elsewhere.
    pub format: Option<LogFormat>,
    /// Where to; at least one.
    pub outputs: Vec<LogOutput>,
    /// When the file among the outputs is put aside for a new one.
    pub rotation: Option<LogRotation>,
}

/// When a log file is put aside, and what becomes of those that were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRotation {
    /// Bytes that a file may have.
    pub max_bytes: u64,
    /// Days after which a file is removed.
    pub max_age_days: Option<u64>,
    /// Files that are kept.
    pub max_backups: Option<usize>,
    /// Whether they are compressed.
    pub compress: bool,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogOutput {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
    /// A file, which is added to.
    File(PathBuf),
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
    /// The configuration is a file's.
    ConfigFile {
        /// The file.
        path: String,
        /// Flags and variables that count for nothing because of it.
        ignored: Vec<String>,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEffect { flag, reason } => write!(f, "--{flag} has no effect: {reason}"),
            Self::UnknownVariable(name) => write!(f, "unrecognized environment variable {name}"),
            Self::ConfigFile { path, ignored } if ignored.is_empty() => {
                write!(f, "configuration read from {path}")
            }
            Self::ConfigFile { path, ignored } => write!(
                f,
                "configuration read from {path}; other flags and variables are ignored: {}",
                ignored.join(", ")
            ),
        }
    }
}
