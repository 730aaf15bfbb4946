//! Why a member's configuration is refused. The texts follow etcd's where etcd has one.

use std::fmt;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A command-line flag, spelled as the user did.
    Flag(String),
    /// An environment variable.
    Variable(String),
    /// A key of the configuration file.
    Key(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "flag -{name}"),
            Self::Variable(name) => f.write_str(name),
            Self::Key(name) => write!(f, "key {name} of the configuration file"),
        }
    }
}

/// What is wrong with a command line or environment. Nothing has been started or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No flag of etcd has this name.
    #[error("flag provided but not defined: -{0}")]
    UnknownFlag(String),
    /// Three dashes, a dash with nothing behind it, or bytes that are not text.
    #[error("bad flag syntax: {0}")]
    BadSyntax(String),
    /// The line ends where a value should be.
    #[error("flag needs an argument: -{0}")]
    NeedsArgument(String),
    /// An argument that is neither a flag nor the value of one.
    #[error("'{0}' is not a valid flag")]
    StrayArgument(String),
    /// A value is not of the flag's kind.
    #[error("invalid value {value:?} for {origin}: {reason}")]
    InvalidValue {
        /// The value.
        value: String,
        /// Who gave it.
        origin: Origin,
        /// What it should be.
        reason: String,
    },
    /// A flag and its variable are both set.
    #[error(
        "conflicting environment variable {0:?} is shadowed by corresponding command-line flag \
         (either unset environment variable or disable flag)"
    )]
    Conflict(String),
    /// A flag of etcd that is not served yet is set to something other than its default.
    #[error("--{flag}={value} is not served: {reason}")]
    NotServed {
        /// The flag.
        flag: String,
        /// What it was set to.
        value: String,
        /// What to do instead, or why not.
        reason: &'static str,
    },
    /// A configuration file is neither YAML nor JSON.
    #[error("cannot read the configuration file: {0}")]
    BadFile(String),
    /// A key of a configuration file that stands for no flag.
    #[error("unknown key in the configuration file: {0}")]
    UnknownKey(String),
    /// A key of a configuration file has a value of another shape.
    #[error("key {0} of the configuration file {1}")]
    BadKey(String, &'static str),
    /// A feature gate that etcd does not have either.
    #[error("unrecognized feature gate: {0}")]
    UnknownGate(String),
    /// Lease checkpoints are to be kept on disk and not to be made.
    #[error("enabling LeaseCheckpointPersist requires enabling LeaseCheckpoint")]
    CheckpointsOff,
    /// A `unix` URL.
    #[error("--{flag} has {url}: {reason}")]
    SchemeNotServed {
        /// The flag.
        flag: &'static str,
        /// The URL.
        url: String,
        /// What is served instead.
        reason: &'static str,
    },
    /// A URL to listen on names a host that has to be looked up.
    #[error("expected IP in URL for binding ({0})")]
    BindNeedsIp(String),
    /// A URL to advertise names no host.
    #[error("unexpected empty host ({0})")]
    EmptyHost(String),
    /// Clients would be told an address that nobody listens on.
    #[error("--advertise-client-urls is required when --listen-client-urls is set explicitly")]
    AdvertiseMissing,
    /// A flag means nothing without another.
    #[error("--{flag} needs --{needs}: {reason}")]
    Needs {
        /// The flag.
        flag: &'static str,
        /// The other.
        needs: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// The first members are to be found in two ways.
    #[error(
        "multiple discovery or bootstrap flags are set. Choose one of \"initial-cluster\", \"discovery\", \
         \"discovery-endpoints\" or \"discovery-srv\""
    )]
    ManyBootstraps,
    /// Two flags that cannot both be set.
    #[error("--{0} and --{1} are mutually exclusive")]
    Exclusive(&'static str, &'static str),
    /// A URL to listen on is `https`, and there is no certificate.
    #[error("--{flag} has {url}: TLS needs --{cert} and --{key}, or --{auto}")]
    NoCertificate {
        /// The flag.
        flag: &'static str,
        /// The URL.
        url: String,
        /// The flag for the certificate.
        cert: &'static str,
        /// The flag for its key.
        key: &'static str,
        /// The flag for a certificate that the member makes itself.
        auto: &'static str,
    },
    /// No version of TLS is left.
    #[error("min version ({min}) is greater than max version ({max})")]
    VersionsReversed {
        /// `--tls-min-version`.
        min: String,
        /// `--tls-max-version`.
        max: String,
    },
    /// The suites of TLS 1.3 cannot be chosen.
    #[error("cipher suites cannot be configured when only TLS1.3 is enabled")]
    SuitesOfTls13,
    /// A cipher suite that is not served.
    #[error("unexpected TLS cipher suite {name:?} in --cipher-suites: {reason}")]
    CipherSuite {
        /// Its name.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// A timing is zero.
    #[error("--{0} must be >0 (set to 0ms)")]
    ZeroTiming(&'static str),
    /// A pace is zero.
    #[error("--{0} must be >0 (set to 0s)")]
    ZeroPace(&'static str),
    /// A limit is zero.
    #[error("--{0} must be >0")]
    ZeroLimit(&'static str),
    /// Elections would begin before a few heartbeats can be lost.
    #[error(
        "--election-timeout[{election}ms] should be at least as 5 times as \
         --heartbeat-interval[{heartbeat}ms]"
    )]
    ElectionTooShort {
        /// Milliseconds.
        election: u64,
        /// Milliseconds.
        heartbeat: u64,
    },
    /// A cluster without a leader would stay so for minutes.
    #[error("--election-timeout[{0}ms] is too long, and should be set less than 50000ms")]
    ElectionTooLong(u64),
    /// An entry of the initial cluster is not `name=url`.
    #[error("--initial-cluster has {0:?}, which is not of the form name=url")]
    BadClusterEntry(String),
    /// Two members would be reached at one URL.
    #[error("initial cluster {0} has duplicate url")]
    DuplicateUrl(String),
    /// This member is not in its own cluster.
    #[error("couldn't find local name {0:?} in the initial cluster configuration")]
    NameNotInCluster(String),
    /// The cluster would look for this member where it does not say it is.
    #[error(
        "--initial-cluster has {cluster} but --initial-advertise-peer-urls has {advertised}: \
         both must name the same URLs for this member"
    )]
    PeerUrlsDiffer {
        /// `name=url,...` of this member in the initial cluster.
        cluster: String,
        /// What it advertises.
        advertised: String,
    },
}

impl ConfigError {
    /// The exit status of etcd's command in this case: 2 for a line that cannot be read, 1 for one that
    /// makes no sense.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::InvalidValue {
                origin: Origin::Key(_),
                ..
            } => 1,
            Self::UnknownFlag(_)
            | Self::BadSyntax(_)
            | Self::NeedsArgument(_)
            | Self::InvalidValue { .. } => 2,
            _ => 1,
        }
    }
}
