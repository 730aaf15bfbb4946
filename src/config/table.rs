//! Every flag of etcd's `server` command, and what becomes of it here.
//!
//! The names and defaults are those of etcd 3.7; [`ALIASES`] adds the spellings of 3.5 and 3.6. To serve one
//! more flag, change its state here and read it in `build.rs`.

use super::flag::{Flag, Kind, State};
use super::{kube, kube_access, kube_limits};

use Kind::{Bool, Choice, Duration, Int, Text, Uint};
use State::{Noted, Refused, Served};

/// A group of flags under one heading of the help.
#[derive(Debug)]
pub(super) struct Section {
    /// The heading.
    pub(super) title: &'static str,
    /// The flags, in etcd's order.
    pub(super) flags: &'static [Flag],
}

/// A flag's name in an older release.
#[derive(Debug)]
pub(super) struct Alias {
    /// The older name.
    pub(super) name: &'static str,
    /// The name in the table.
    pub(super) of: &'static str,
}

/// The flag of a name, older spellings included.
pub(super) fn find(name: &str) -> Option<&'static Flag> {
    let name = ALIASES
        .iter()
        .find(|alias| alias.name == name)
        .map_or(name, |alias| alias.of);
    all().find(|flag| flag.name == name)
}

/// Every flag.
pub(super) fn all() -> impl Iterator<Item = &'static Flag> {
    SECTIONS.iter().flat_map(|section| section.flags)
}

const DISCOVERY: &str =
    "list the members in --initial-cluster, or have DNS do so with --discovery-srv";
const V2: &str = "the v2 API and its proxy are gone from etcd too";
const BBOLT: &str = "it tunes etcd's own storage engine";
const NO_FILES_TO_KEEP: &str =
    "the log is cut where the state on disk covers it, and snapshots are made when one is needed";
const SNAPSHOT_COUNT: &str = "the state is put on disk, and the log cut, by bytes and time: after 64 MiB or 30 s of writes, \
     not by entries";
const COMPACTION: &str = "compaction drops whole files and does not work in batches";

const fn flag(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    state: State,
    help: &'static str,
) -> Flag {
    Flag {
        name,
        default,
        kind,
        state,
        help,
    }
}

pub(super) const fn served(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    help: &'static str,
) -> Flag {
    flag(name, kind, default, Served, help)
}

const fn noted(name: &'static str, kind: Kind, default: &'static str, why: &'static str) -> Flag {
    flag(name, kind, default, Noted(why), "")
}

const fn refused(name: &'static str, kind: Kind, default: &'static str, why: &'static str) -> Flag {
    flag(name, kind, default, Refused(why), "")
}

/// Every flag under its heading.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        title: "Member",
        flags: MEMBER,
    },
    Section {
        title: "Clustering",
        flags: CLUSTERING,
    },
    Section {
        title: "Security",
        flags: SECURITY,
    },
    Section {
        title: "Auth",
        flags: AUTHENTICATION,
    },
    Section {
        title: "Monitoring and logging",
        flags: MONITORING,
    },
    Section {
        title: "Features",
        flags: FEATURES,
    },
    Section {
        title: "Kubernetes API",
        flags: kube::FLAGS,
    },
    Section {
        title: "Kubernetes API: whom it believes",
        flags: kube_access::FLAGS,
    },
    Section {
        title: "Kubernetes API: limits",
        flags: kube_limits::FLAGS,
    },
    Section {
        title: "Unsafe and past",
        flags: UNSAFE,
    },
];

const MEMBER: &[Flag] = &[
    served(
        "config-file",
        Text,
        "",
        "YAML file with all flags; other flags and variables are then ignored.",
    ),
    served(
        "name",
        Text,
        "default",
        "Name of this member; one of those in --initial-cluster.",
    ),
    served(
        "data-dir",
        Text,
        "${name}.etcd",
        "Directory of everything this member keeps.",
    ),
    refused(
        "wal-dir",
        Text,
        "",
        "the log is kept in the data directory; put that on the fast disk",
    ),
    noted("snapshot-count", Uint, "10000", SNAPSHOT_COUNT),
    served(
        "heartbeat-interval",
        Uint,
        "100",
        "Milliseconds between heartbeats of the leader.",
    ),
    served(
        "election-timeout",
        Uint,
        "1000",
        "Milliseconds without a leader before an election.",
    ),
    noted(
        "initial-election-tick-advance",
        Bool,
        "true",
        "the first election has a timing of its own",
    ),
    served(
        "listen-peer-urls",
        Text,
        "http://localhost:2380",
        "URLs to listen on for other members.",
    ),
    served(
        "listen-client-urls",
        Text,
        "http://localhost:2379",
        "URLs to listen on for clients, gRPC and HTTP.",
    ),
    refused(
        "listen-client-http-urls",
        Text,
        "",
        "gRPC and HTTP share the URLs of --listen-client-urls",
    ),
    noted("max-wals", Uint, "5", NO_FILES_TO_KEEP),
    noted("max-snapshots", Uint, "5", NO_FILES_TO_KEEP),
    refused("memory-mlock", Bool, "false", "memory is not locked"),
    served(
        "quota-backend-bytes",
        Int,
        "0",
        "Most bytes of the state on disk before writes are refused; 0 is 2 GiB, negative is no limit.",
    ),
    noted(
        "backend-bbolt-freelist-type",
        Choice(&["array", "map"]),
        "map",
        BBOLT,
    ),
    noted("backend-batch-interval", Text, "", BBOLT),
    noted("backend-batch-limit", Int, "0", BBOLT),
    served(
        "max-txn-ops",
        Uint,
        "128",
        "Most operations in one transaction.",
    ),
    served(
        "max-request-bytes",
        Uint,
        "1572864",
        "Largest request in bytes; never more than 16 MiB less 1 KiB.",
    ),
    served(
        "max-concurrent-streams",
        Uint,
        "4294967295",
        "Most streams on one client connection; never more than 131072.",
    ),
    served(
        "grpc-keepalive-min-time",
        Duration,
        "5s",
        "Least time between a client's pings on a plain connection; 0 is gRPC's 5 minutes.",
    ),
    served(
        "grpc-keepalive-interval",
        Duration,
        "2h",
        "Idle time before a client connection is pinged; 0 never pings.",
    ),
    served(
        "grpc-keepalive-timeout",
        Duration,
        "20s",
        "Time for the answer to a ping before the connection is closed.",
    ),
    served(
        "socket-reuse-port",
        Bool,
        "false",
        "Let several processes listen on one port (SO_REUSEPORT).",
    ),
    served(
        "socket-reuse-address",
        Bool,
        "false",
        "Listen on an address that is in TIME_WAIT; always on, as in Go.",
    ),
    served(
        "enable-grpc-gateway",
        Bool,
        "true",
        "Serve the API as JSON too, below /v3/.",
    ),
    noted(
        "raft-read-timeout",
        Duration,
        "5s",
        "patience with other members follows from --heartbeat-interval",
    ),
    noted(
        "raft-write-timeout",
        Duration,
        "5s",
        "patience with other members follows from --heartbeat-interval",
    ),
    served(
        "feature-gates",
        Text,
        "",
        "Comma-separated Name=true or Name=false.",
    ),
];

const CLUSTERING: &[Flag] = &[
    served(
        "initial-advertise-peer-urls",
        Text,
        "http://localhost:2380",
        "URLs at which other members reach this one.",
    ),
    served(
        "initial-cluster",
        Text,
        "${name}=${initial-advertise-peer-urls}",
        "Every first member as name=url, comma-separated; a name repeats for several URLs.",
    ),
    served(
        "initial-cluster-state",
        Choice(&["new", "existing"]),
        "new",
        "Whether the cluster is begun or joined; without meaning once there is data.",
    ),
    served(
        "initial-cluster-token",
        Text,
        "etcd-cluster",
        "Distinguishes clusters that have the same URLs.",
    ),
    served(
        "advertise-client-urls",
        Text,
        "http://localhost:2379",
        "URLs at which clients reach this member.",
    ),
    refused("discovery", Text, "", DISCOVERY),
    refused("discovery-proxy", Text, "", DISCOVERY),
    noted(
        "discovery-fallback",
        Choice(&["proxy", "exit"]),
        "exit",
        "it has a meaning with --discovery only",
    ),
    served(
        "discovery-srv",
        Text,
        "",
        "Domain whose SRV records name the first members, instead of --initial-cluster.",
    ),
    served(
        "discovery-srv-name",
        Text,
        "",
        "Suffix of the records' service names, for several clusters in one domain.",
    ),
    refused("discovery-token", Text, "", DISCOVERY),
    refused("discovery-endpoints", Text, "", DISCOVERY),
    refused("discovery-dial-timeout", Duration, "2s", DISCOVERY),
    refused("discovery-request-timeout", Duration, "5s", DISCOVERY),
    refused("discovery-keepalive-time", Duration, "2s", DISCOVERY),
    refused("discovery-keepalive-timeout", Duration, "6s", DISCOVERY),
    refused("discovery-insecure-transport", Bool, "true", DISCOVERY),
    refused(
        "discovery-insecure-skip-tls-verify",
        Bool,
        "false",
        DISCOVERY,
    ),
    refused("discovery-cert", Text, "", DISCOVERY),
    refused("discovery-key", Text, "", DISCOVERY),
    refused("discovery-cacert", Text, "", DISCOVERY),
    refused("discovery-user", Text, "", DISCOVERY),
    refused("discovery-password", Text, "", DISCOVERY),
    served(
        "strict-reconfig-check",
        Bool,
        "true",
        "Refuse changes of the members that could cost the quorum.",
    ),
    refused(
        "pre-vote",
        Bool,
        "true",
        "elections always begin with a pre-vote",
    ),
    served(
        "auto-compaction-mode",
        Choice(&["periodic", "revision"]),
        "periodic",
        "What --auto-compaction-retention counts: time, or revisions.",
    ),
    served(
        "auto-compaction-retention",
        Text,
        "0",
        "History to keep: hours or a duration, or a count of revisions; 0 keeps all.",
    ),
];

const SECURITY: &[Flag] = &[
    served(
        "cert-file",
        Text,
        "",
        "Certificate that clients are shown, and those between it and its authority; PEM.",
    ),
    served("key-file", Text, "", "Key of --cert-file; PEM."),
    served(
        "client-cert-auth",
        Bool,
        "false",
        "Whether the common name of a client's certificate says who it is; needs --trusted-ca-file.",
    ),
    served(
        "trusted-ca-file",
        Text,
        "",
        "Authorities of clients' certificates; with it every client must have one.",
    ),
    served(
        "client-cert-file",
        Text,
        "",
        "Certificate for calls to the own client port; there are none, so it has no effect.",
    ),
    served("client-key-file", Text, "", "Key of --client-cert-file."),
    served(
        "client-crl-file",
        Text,
        "",
        "List of revoked client certificates; PEM or DER.",
    ),
    served(
        "client-cert-allowed-hostname",
        Text,
        "",
        "Host names of which a client's certificate must have one, comma-separated.",
    ),
    served(
        "auto-tls",
        Bool,
        "false",
        "Serve clients with a certificate that the member makes for itself.",
    ),
    served(
        "peer-cert-file",
        Text,
        "",
        "Certificate that other members are shown.",
    ),
    served("peer-key-file", Text, "", "Key of --peer-cert-file."),
    served(
        "peer-client-cert-auth",
        Bool,
        "false",
        "Demand certificates of other members; needs --peer-trusted-ca-file, which does so alone.",
    ),
    served(
        "peer-trusted-ca-file",
        Text,
        "",
        "Authorities of members' certificates, when they call and when they are called.",
    ),
    served(
        "peer-client-cert-file",
        Text,
        "",
        "Certificate for calls to other members, if not --peer-cert-file.",
    ),
    served(
        "peer-client-key-file",
        Text,
        "",
        "Key of --peer-client-cert-file.",
    ),
    served(
        "peer-cert-allowed-cn",
        Text,
        "",
        "Common names that members' certificates may have, comma-separated.",
    ),
    served(
        "peer-cert-allowed-hostname",
        Text,
        "",
        "Host names of which a member's certificate must have one, comma-separated.",
    ),
    served(
        "peer-auto-tls",
        Bool,
        "false",
        "Speak to members with self-made certificates: hidden from others, proven to nobody.",
    ),
    served(
        "peer-crl-file",
        Text,
        "",
        "List of revoked certificates of members; PEM or DER.",
    ),
    served(
        "peer-skip-client-san-verification",
        Bool,
        "false",
        "Let members call from addresses that their certificates do not name.",
    ),
    served(
        "self-signed-cert-validity",
        Uint,
        "1",
        "Years for which certificates of --auto-tls and --peer-auto-tls are valid.",
    ),
    served(
        "cipher-suites",
        Text,
        "",
        "Suites of TLS 1.2 by Go's names, comma-separated; those of TLS 1.3 are always on.",
    ),
    served(
        "tls-min-version",
        Text,
        "TLS1.2",
        "Oldest version: TLS1.2 or TLS1.3.",
    ),
    served(
        "tls-max-version",
        Text,
        "",
        "Newest version: TLS1.2 or TLS1.3; the newest there is if not set.",
    ),
    served(
        "cors",
        Text,
        "*",
        "Origins that browsers may call from, comma-separated; * is every one.",
    ),
    served(
        "host-whitelist",
        Text,
        "*",
        "Host names that plain HTTP requests may be addressed to; * is every one.",
    ),
];

const AUTHENTICATION: &[Flag] = &[
    served(
        "auth-token",
        Text,
        "simple",
        "What users get for a password: simple, or jwt,sign-method=..,pub-key=..,priv-key=..,ttl=...",
    ),
    served(
        "auth-token-ttl",
        Uint,
        "300",
        "Time in seconds from the last use of a simple token to its end.",
    ),
    served(
        "bcrypt-cost",
        Uint,
        "10",
        "Work of a password's hash: each step doubles it; 4 to 31.",
    ),
];

const MONITORING: &[Flag] = &[
    served(
        "metrics",
        Choice(&["basic", "extensive"]),
        "basic",
        "Whether it is kept how long the calls of each gRPC method take: extensive.",
    ),
    served(
        "listen-metrics-urls",
        Text,
        "",
        "More URLs to listen on, for /metrics, /health, /livez and /readyz only.",
    ),
    refused(
        "enable-pprof",
        Bool,
        "false",
        "there is no Go runtime to profile",
    ),
    refused(
        "logger",
        Choice(&["zap", "capnslog"]),
        "zap",
        "logs are written in zap's shape",
    ),
    served(
        "log-outputs",
        Text,
        "default",
        "Where logs go, comma-separated: stderr, stdout, files; default is stderr.",
    ),
    served(
        "log-level",
        Choice(&["debug", "info", "warn", "error", "dpanic", "panic", "fatal"]),
        "info",
        "Least severity that is logged.",
    ),
    served(
        "log-format",
        Choice(&["json", "console"]),
        "json",
        "Lines of JSON or text; when not set, text on a terminal and JSON elsewhere.",
    ),
    served(
        "enable-log-rotation",
        Bool,
        "false",
        "Put the file of --log-outputs aside when it has grown.",
    ),
    served(
        "log-rotation-config-json",
        Text,
        r#"{"maxsize": 100, "maxage": 0, "maxbackups": 0, "localtime": false, "compress": false}"#,
        "Size in MiB, and age in days and number of files put aside that are kept; 0 is no limit.",
    ),
    served(
        "warning-unary-request-duration",
        Duration,
        "300ms",
        "Writes that take longer are logged, with what their time went to.",
    ),
    served(
        "warning-apply-duration",
        Duration,
        "100ms",
        "Reads, and runs of commands applied, that take longer are logged.",
    ),
    served(
        "enable-distributed-tracing",
        Bool,
        "false",
        "Send spans of calls to a collector, by OTLP over gRPC.",
    ),
    served(
        "distributed-tracing-address",
        Text,
        "localhost:4317",
        "Host and port of the collector; spoken to without TLS.",
    ),
    served(
        "distributed-tracing-service-name",
        Text,
        "etcd",
        "Name of the service in the collector.",
    ),
    served(
        "distributed-tracing-instance-id",
        Text,
        "",
        "Name of this member in the collector; no two may have the same.",
    ),
    served(
        "distributed-tracing-sampling-rate",
        Uint,
        "0",
        "Calls in a million that are traced if their callers do not say whether they are.",
    ),
];

const FEATURES: &[Flag] = &[
    served(
        "experimental-initial-corrupt-check",
        Bool,
        "false",
        "Compare the data with the other members' before serving clients; the gate InitialCorruptCheck.",
    ),
    served(
        "corrupt-check-time",
        Duration,
        "0s",
        "How often the leader compares the members' data; 0 is never.",
    ),
    served(
        "experimental-compact-hash-check-enabled",
        Bool,
        "false",
        "Compare the members' data after compactions; the gate CompactHashCheck.",
    ),
    served(
        "compact-hash-check-time",
        Duration,
        "1m",
        "How often it is looked whether there was a compaction, if members are compared after one.",
    ),
    noted("compaction-batch-limit", Int, "1000", COMPACTION),
    noted("compaction-sleep-interval", Duration, "10ms", COMPACTION),
    served(
        "watch-progress-notify-interval",
        Duration,
        "10m",
        "Idle time before a watcher that asked for it is told of progress; at least 100ms.",
    ),
    served(
        "wait-cluster-ready-timeout",
        Duration,
        "5s",
        "How long clients wait at the start for a leader; then they are served without one.",
    ),
    noted(
        "bootstrap-defrag-threshold-megabytes",
        Uint,
        "0",
        "storage does not need to be defragmented",
    ),
    served(
        "max-learners",
        Uint,
        "1",
        "Learners that the cluster may have at a time.",
    ),
    noted(
        "downgrade-check-time",
        Duration,
        "5s",
        "the cluster version follows the members without a schedule",
    ),
    served(
        "snapshot-catchup-entries",
        Uint,
        "5000",
        "Log entries that are kept for slow followers when the log is cut.",
    ),
    served(
        "experimental-enable-lease-checkpoint",
        Bool,
        "false",
        "Keep the time left to long leases across a change of leader; the gate LeaseCheckpoint.",
    ),
    served(
        "experimental-enable-lease-checkpoint-persist",
        Bool,
        "false",
        "Implied by the former; the gate LeaseCheckpointPersist.",
    ),
    noted(
        "experimental-txn-mode-write-with-shared-buffer",
        Bool,
        "true",
        BBOLT,
    ),
    noted(
        "experimental-stop-grpc-service-on-defrag",
        Bool,
        "false",
        "serving goes on while storage rewrites itself",
    ),
];

const UNSAFE: &[Flag] = &[
    served(
        "force-new-cluster",
        Bool,
        "false",
        "Go on as the only member, with the data of this one: after the others are lost for good.",
    ),
    refused(
        "unsafe-no-fsync",
        Bool,
        "false",
        "a write is acknowledged once it is on disk, always",
    ),
    refused("enable-v2", Bool, "false", V2),
    refused("experimental-enable-v2v3", Text, "", V2),
    noted("v2-deprecation", Text, "not-yet", V2),
    refused("proxy", Text, "off", V2),
    noted("proxy-failure-wait", Uint, "5000", V2),
    noted("proxy-refresh-interval", Uint, "30000", V2),
    noted("proxy-dial-timeout", Uint, "1000", V2),
    noted("proxy-write-timeout", Uint, "5000", V2),
    noted("proxy-read-timeout", Uint, "0", V2),
];

macro_rules! experimental {
    ($($name:literal),+ $(,)?) => {
        /// Names of etcd 3.5 and 3.6 that later releases dropped; manifests still carry them.
        pub(super) const ALIASES: &[Alias] = &[
            $(Alias { name: concat!("experimental-", $name), of: $name }),+
        ];
    };
}

experimental!(
    "corrupt-check-time",
    "compact-hash-check-time",
    "compaction-batch-limit",
    "compaction-sleep-interval",
    "watch-progress-notify-interval",
    "wait-cluster-ready-timeout",
    "warning-apply-duration",
    "warning-unary-request-duration",
    "bootstrap-defrag-threshold-megabytes",
    "memory-mlock",
    "peer-skip-client-san-verification",
    "snapshot-catchup-entries",
    "max-learners",
    "downgrade-check-time",
    "enable-distributed-tracing",
    "distributed-tracing-address",
    "distributed-tracing-service-name",
    "distributed-tracing-instance-id",
    "distributed-tracing-sampling-rate",
);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_aliases_lead_somewhere() {
        let mut names = HashSet::new();
        for name in all().map(|f| f.name).chain(ALIASES.iter().map(|a| a.name)) {
            assert!(names.insert(name), "{name} twice");
        }
        for alias in ALIASES {
            assert_eq!(find(alias.name).unwrap().name, alias.of);
        }
    }

    #[test]
    fn defaults_are_values_and_texts_are_given() {
        for flag in all() {
            assert_eq!(flag.kind.check(flag.default), Ok(()), "{}", flag.name);
            let text = match flag.state {
                Served => flag.help,
                Noted(why) | Refused(why) => why,
            };
            assert!(!text.is_empty(), "{} says nothing", flag.name);
        }
    }
}
