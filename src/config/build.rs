//! Named values to a [`MemberConfig`], with the checks that look at more than one of them.

use std::path::PathBuf;
use std::time::Duration;

use super::auth;
use super::error::ConfigError;
use super::gates;
use super::member::{
    AutoCompaction, ClusterConfig, ClusterState, CorruptChecks, HttpConfig, InitialMember,
    KeepaliveConfig, LimitConfig, ListenConfig, MemberConfig, RaftConfig, SlowConfig, SrvDiscovery,
};
use super::parse::Given;
use super::tls_flags;
use super::url::{self, Url};
use super::value::{self, PARSE_ERROR};
use super::{cluster, kube, log, traces};

/// Above this a cluster without a leader would stay so for minutes; etcd's limit.
const MAX_ELECTION_MS: u64 = 50_000;

/// Fewer heartbeats than this in an election timeout, and one lost packet starts an election; etcd's limit.
const MIN_HEARTBEATS: u64 = 5;

/// Progress is not announced more often than this; etcd's floor.
const MIN_PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Least time between pings when etcd sets none; grpc-go's default.
const GRPC_MIN_TIME: Duration = Duration::from_secs(5 * 60);

/// Streams on one connection when etcd would not bound them at all: enough for a hundred thousand watch
/// streams, and a bound on what one client can make the member remember (I8).
const MAX_STREAMS: u64 = 1 << 17;

/// Bytes that the state may take unless something else is said; etcd's default.
const DEFAULT_QUOTA: i64 = 2 << 30;

/// Reads and checks everything.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn member(given: &Given) -> Result<MemberConfig, ConfigError> {
    let name = given.text("name").to_owned();
    if name.is_empty() {
        return Err(given.invalid("name", "must not be empty"));
    }
    let listen = listen(given)?;
    let cluster = clustering(given, &name)?;
    let mut notes = given.notes.clone();
    let data_dir = data_dir(given, &name);
    Ok(MemberConfig {
        kube: kube::read(given, &data_dir)?,
        data_dir,
        raft: raft(given)?,
        tls: tls_flags::read(given, &listen, &cluster, &mut notes)?,
        listen,
        cluster,
        limits: limits(given)?,
        keepalive: keepalive(given)?,
        auth: auth::auth(given)?,
        http: HttpConfig {
            gateway: boolean(given, "enable-grpc-gateway")?,
            cors: words(given, "cors"),
            host_whitelist: words(given, "host-whitelist"),
        },
        watch_progress_interval: duration(given, "watch-progress-notify-interval")?
            .max(MIN_PROGRESS_INTERVAL),
        wait_cluster_ready: duration(given, "wait-cluster-ready-timeout")?,
        extensive_metrics: given.text("metrics") == "extensive",
        tracing: traces::read(given)?,
        features: gates::features(given.text(gates::FLAG)),
        auto_compaction: auto_compaction(given)?,
        lease_checkpoints: lease_checkpoints(given)?,
        corrupt_checks: corrupt_checks(given)?,
        slow: SlowConfig {
            apply: duration(given, "warning-apply-duration")?,
            request: duration(given, "warning-unary-request-duration")?,
        },
        log: log::read(given)?,
        notes,
        stop_with_stdin: given.stop_with_stdin,
        name,
    })
}

fn data_dir(given: &Given, name: &str) -> PathBuf {
    match given.text("data-dir") {
        dir if given.is_set("data-dir") && !dir.is_empty() => dir.into(),
        _ => format!("{name}.etcd").into(),
    }
}

fn raft(given: &Given) -> Result<RaftConfig, ConfigError> {
    let heartbeat = positive_ms(given, "heartbeat-interval")?;
    let election = positive_ms(given, "election-timeout")?;
    if heartbeat.saturating_mul(MIN_HEARTBEATS) > election {
        return Err(ConfigError::ElectionTooShort {
            election,
            heartbeat,
        });
    }
    if election > MAX_ELECTION_MS {
        return Err(ConfigError::ElectionTooLong(election));
    }
    Ok(RaftConfig {
        heartbeat: Duration::from_millis(heartbeat),
        election_timeout: Duration::from_millis(election),
        catchup_entries: unsigned(given, "snapshot-catchup-entries")?,
    })
}

fn listen(given: &Given) -> Result<ListenConfig, ConfigError> {
    let metrics = if given.text("listen-metrics-urls").is_empty() {
        Vec::new()
    } else {
        binding_urls(given, "listen-metrics-urls")?
    };
    Ok(ListenConfig {
        client: binding_urls(given, "listen-client-urls")?,
        peer: binding_urls(given, "listen-peer-urls")?,
        metrics,
        reuse_port: boolean(given, "socket-reuse-port")?,
    })
}

fn clustering(given: &Given, name: &str) -> Result<ClusterConfig, ConfigError> {
    if given.is_set("listen-client-urls") && !given.is_set("advertise-client-urls") {
        return Err(ConfigError::AdvertiseMissing);
    }
    let advertise_peer_urls = advertised_urls(given, "initial-advertise-peer-urls")?;
    Ok(ClusterConfig {
        discovery: discovery(given)?,
        initial: initial_cluster(given, name, &advertise_peer_urls)?,
        state: match given.text("initial-cluster-state") {
            "existing" => ClusterState::Existing,
            _ => ClusterState::New,
        },
        token: given.text("initial-cluster-token").to_owned(),
        strict_reconfig: boolean(given, "strict-reconfig-check")?,
        max_learners: positive(given, "max-learners")?,
        force_new: boolean(given, "force-new-cluster")?,
        advertise_client_urls: advertised_urls(given, "advertise-client-urls")?,
        advertise_peer_urls,
    })
}

/// Where the first members are found, if they are not named.
fn discovery(given: &Given) -> Result<Option<SrvDiscovery>, ConfigError> {
    let (domain, service_name) = (
        given.text("discovery-srv"),
        given.text("discovery-srv-name"),
    );
    if domain.is_empty() {
        return match service_name {
            "" => Ok(None),
            _ => Err(ConfigError::Needs {
                flag: "discovery-srv-name",
                needs: "discovery-srv",
                reason: "it is part of the names of that domain's records",
            }),
        };
    }
    if given.is_set("initial-cluster") && !given.text("initial-cluster").is_empty() {
        return Err(ConfigError::ManyBootstraps);
    }
    Ok(Some(SrvDiscovery {
        domain: domain.to_owned(),
        service_name: service_name.to_owned(),
        server: given.dns_server,
    }))
}

/// What `--initial-cluster` says; without it this member alone, as etcd has it.
fn initial_cluster(
    given: &Given,
    name: &str,
    own_urls: &[Url],
) -> Result<Vec<InitialMember>, ConfigError> {
    if !given.is_set("initial-cluster") || given.text("initial-cluster").is_empty() {
        return Ok(vec![InitialMember {
            name: name.to_owned(),
            peer_urls: own_urls.to_vec(),
        }]);
    }
    cluster::parse(given.text("initial-cluster"), |reason| {
        given.invalid("initial-cluster", reason)
    })
}

fn limits(given: &Given) -> Result<LimitConfig, ConfigError> {
    let streams = positive(given, "max-concurrent-streams")?.min(MAX_STREAMS);
    Ok(LimitConfig {
        max_request_bytes: positive(given, "max-request-bytes")?,
        max_txn_ops: positive(given, "max-txn-ops")?,
        max_concurrent_streams: u32::try_from(streams).unwrap_or(u32::MAX),
        quota_bytes: match signed(given, "quota-backend-bytes")? {
            0 => DEFAULT_QUOTA,
            bytes => bytes,
        },
    })
}

/// Whether a gate is on, or the flag of 3.5 and 3.6 that became it.
fn gate(given: &Given, gate: &str, flag: &'static str) -> Result<bool, ConfigError> {
    Ok(gates::is_on(given.text(gates::FLAG), gate) || boolean(given, flag)?)
}

fn corrupt_checks(given: &Given) -> Result<CorruptChecks, ConfigError> {
    let interval = duration(given, "corrupt-check-time")?;
    Ok(CorruptChecks {
        at_start: gate(
            given,
            "InitialCorruptCheck",
            "experimental-initial-corrupt-check",
        )?,
        interval: (!interval.is_zero()).then_some(interval),
        after_compactions: after_compactions(given)?,
    })
}

fn after_compactions(given: &Given) -> Result<Option<Duration>, ConfigError> {
    let interval = duration(given, "compact-hash-check-time")?;
    let on = gate(
        given,
        "CompactHashCheck",
        "experimental-compact-hash-check-enabled",
    )?;
    if interval.is_zero() {
        return Err(ConfigError::ZeroPace("compact-hash-check-time"));
    }
    Ok(on.then_some(interval))
}

fn lease_checkpoints(given: &Given) -> Result<bool, ConfigError> {
    let checkpoints = gate(
        given,
        "LeaseCheckpoint",
        "experimental-enable-lease-checkpoint",
    )?;
    let persist = gate(
        given,
        "LeaseCheckpointPersist",
        "experimental-enable-lease-checkpoint-persist",
    )?;
    if persist && !checkpoints {
        return Err(ConfigError::CheckpointsOff);
    }
    Ok(checkpoints)
}

fn keepalive(given: &Given) -> Result<KeepaliveConfig, ConfigError> {
    let interval = duration(given, "grpc-keepalive-interval")?;
    Ok(KeepaliveConfig {
        interval: (!interval.is_zero()).then_some(interval),
        timeout: duration(given, "grpc-keepalive-timeout")?,
        least_between_pings: Some(match duration(given, "grpc-keepalive-min-time")? {
            Duration::ZERO => GRPC_MIN_TIME,
            least => least,
        }),
    })
}

pub(super) fn words(given: &Given, name: &'static str) -> Vec<String> {
    let words = given.text(name).split(',').map(str::trim);
    words.filter(|w| !w.is_empty()).map(str::to_owned).collect()
}

/// In revision mode a count; in periodic mode whole hours, or a duration with units.
fn auto_compaction(given: &Given) -> Result<AutoCompaction, ConfigError> {
    let name = "auto-compaction-retention";
    let text = given.text(name);
    if text.is_empty() || text == "0" {
        return Ok(AutoCompaction::Off);
    }
    let count = value::signed(text).filter(|n| *n >= 0);
    let retention = if given.text("auto-compaction-mode") == "revision" {
        count.map(|n| match n {
            0 => AutoCompaction::Off,
            n => AutoCompaction::Revisions(n),
        })
    } else {
        let hours = count
            .and_then(|n| u64::try_from(n).ok())
            .and_then(|n| n.checked_mul(3_600))
            .map(Duration::from_secs);
        hours
            .or_else(|| value::duration(text))
            .map(|period| match period {
                Duration::ZERO => AutoCompaction::Off,
                period => AutoCompaction::Periodic(period),
            })
    };
    retention.ok_or_else(|| given.invalid(name, PARSE_ERROR))
}

/// URLs of a flag, all of a scheme that is served.
fn urls(given: &Given, name: &'static str) -> Result<Vec<Url>, ConfigError> {
    let parsed = url::parse_list(given.text(name)).map_err(|reason| given.invalid(name, reason))?;
    for (scheme, url) in &parsed {
        cluster::served(name, *scheme, url)?;
    }
    Ok(parsed.into_iter().map(|(_, url)| url).collect())
}

/// URLs to listen on: addresses of this machine, not names that would have to be looked up.
fn binding_urls(given: &Given, name: &'static str) -> Result<Vec<Url>, ConfigError> {
    let urls = urls(given, name)?;
    let is_address = |host: &str| {
        host.is_empty() || host == "localhost" || host.parse::<std::net::IpAddr>().is_ok()
    };
    match urls.iter().find(|url| !is_address(url.host())) {
        Some(url) => Err(ConfigError::BindNeedsIp(url.as_str().to_owned())),
        None => Ok(urls),
    }
}

/// URLs to tell others: with a host, because an empty one means nothing elsewhere.
fn advertised_urls(given: &Given, name: &'static str) -> Result<Vec<Url>, ConfigError> {
    let urls = urls(given, name)?;
    match urls.iter().find(|url| url.host().is_empty()) {
        Some(url) => Err(ConfigError::EmptyHost(url.as_str().to_owned())),
        None => Ok(urls),
    }
}

pub(super) fn boolean(given: &Given, name: &'static str) -> Result<bool, ConfigError> {
    value::boolean(given.text(name)).ok_or_else(|| given.invalid(name, PARSE_ERROR))
}

pub(super) fn unsigned(given: &Given, name: &'static str) -> Result<u64, ConfigError> {
    value::unsigned(given.text(name)).ok_or_else(|| given.invalid(name, PARSE_ERROR))
}

fn signed(given: &Given, name: &'static str) -> Result<i64, ConfigError> {
    value::signed(given.text(name)).ok_or_else(|| given.invalid(name, PARSE_ERROR))
}

pub(super) fn duration(given: &Given, name: &'static str) -> Result<Duration, ConfigError> {
    value::duration(given.text(name)).ok_or_else(|| given.invalid(name, PARSE_ERROR))
}

fn positive(given: &Given, name: &'static str) -> Result<u64, ConfigError> {
    match unsigned(given, name)? {
        0 => Err(ConfigError::ZeroLimit(name)),
        n => Ok(n),
    }
}

fn positive_ms(given: &Given, name: &'static str) -> Result<u64, ConfigError> {
    match unsigned(given, name)? {
        0 => Err(ConfigError::ZeroTiming(name)),
        n => Ok(n),
    }
}
