//! What a member reports of itself, under etcd's metric names, so that boards and alerts made for etcd
//! keep working.
//!
//! Every part holds the group of handles it feeds; handles are shared atomics, so counting takes no lock.
//! Numbers that other parts know anyway (revision, size on disk, leader) are set into their gauges by
//! whoever answers a scrape, right before [`Metrics::encode`].
//!
//! The text is Prometheus' version 0.0.4. The registry writes OpenMetrics, which appends `_total` to
//! counters and an end marker; [`Count`] and [`Metrics::encode`] undo both, because several of etcd's
//! counters have no such suffix and several of its gauges do.

mod groups;
mod histogram;
mod peers;
mod process;
mod series;
mod types;

pub use groups::{
    AuthMetrics, DiskMetrics, HoldfastMetrics, LeaseMetrics, MvccMetrics, NetworkMetrics,
    RaftMetrics, ServerMetrics, WatchMetrics,
};
pub use histogram::Histogram;
pub use peers::{PeerMetrics, TransferMetrics};
pub(crate) use process::process_collector;
pub use process::{FileDescriptors, file_descriptors};
pub use prometheus_client::metrics::gauge::Gauge;
pub use series::{OperationDurations, RequestDurations, RequestsByVersion};
pub use types::{Count, MethodMetrics, Raised};

use prometheus_client::encoding::text;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use self::peers::PeerFamilies;
use self::series::FamilyBy;
use self::types::{CodeLabels, Label, MethodLabels};
use super::ids::MemberId;

/// The content type of [`Metrics::encode`]'s text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics of one member.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Consensus and the member as a whole.
    pub server: ServerMetrics,
    /// The key-value store.
    pub mvcc: MvccMetrics,
    /// Watch streams.
    pub watch: WatchMetrics,
    /// What etcd has no name for.
    pub holdfast: HoldfastMetrics,
    /// Users and roles.
    pub auth: AuthMetrics,
    /// Leases.
    pub lease: LeaseMetrics,
    /// The consensus log, and the leader's punctuality.
    pub raft: RaftMetrics,
    /// The state on disk.
    pub disk: DiskMetrics,
    /// Traffic with clients.
    pub network: NetworkMetrics,
    peers: PeerFamilies,
    server_id: Family<[Label<String>; 1], Gauge>,
    server_version: Family<[Label<String>; 1], Gauge>,
    alarms: Family<[Label<String>; 2], Gauge>,
    cluster_version: Family<[Label<String>; 1], Gauge>,
    health_gauge: Family<[Label; 2], Gauge>,
    health_checks: Family<[Label; 3], Count>,
    features: Family<[Label; 2], Gauge>,
    started: Family<MethodLabels, Count>,
    handled: Family<CodeLabels, Count>,
    received: Family<MethodLabels, Count>,
    sent: Family<MethodLabels, Count>,
    handling: FamilyBy<Histogram, 3>,
}

impl Metrics {
    /// Every metric at zero.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        registry.register_collector(process_collector());
        let mvcc = MvccMetrics::register(&mut registry);
        // The same under the name that it once had, which 3.5 still shows.
        let name = "etcd_debugging_mvcc_range_total";
        registry.register(name, "Ranges read", mvcc.ranges.clone());
        Self {
            server: ServerMetrics::register(&mut registry),
            mvcc,
            watch: WatchMetrics::register(&mut registry),
            holdfast: HoldfastMetrics::register(&mut registry),
            auth: AuthMetrics::register(&mut registry),
            lease: LeaseMetrics::register(&mut registry),
            raft: RaftMetrics::register(&mut registry),
            disk: DiskMetrics::register(&mut registry),
            network: NetworkMetrics::register(&mut registry),
            peers: PeerFamilies::register(&mut registry),
            server_id: family(
                &mut registry,
                "etcd_server_id",
                "The member's id as a label",
            ),
            server_version: family(
                &mut registry,
                "etcd_server_version",
                "The API version as a label",
            ),
            cluster_version: family(
                &mut registry,
                "etcd_cluster_version",
                "The cluster version as a label",
            ),
            alarms: family(
                &mut registry,
                "etcd_debugging_server_alarms",
                "Alarms that are raised, by member and kind",
            ),
            health_gauge: family(
                &mut registry,
                "etcd_server_healthcheck",
                "Result of the last check",
            ),
            health_checks: family(
                &mut registry,
                "etcd_server_healthchecks_total",
                "Health checks made",
            ),
            features: family(
                &mut registry,
                "etcd_server_feature_enabled",
                "Whether a feature gate is on, by name and stage",
            ),
            started: family(&mut registry, "grpc_server_started_total", "Calls begun"),
            handled: family(
                &mut registry,
                "grpc_server_handled_total",
                "Calls ended, by status code",
            ),
            received: family(
                &mut registry,
                "grpc_server_msg_received_total",
                "Messages received",
            ),
            sent: family(&mut registry, "grpc_server_msg_sent_total", "Messages sent"),
            handling: {
                let family: FamilyBy<Histogram, 3> = Family::new_with_constructor(handling_time);
                let help = "Time from the begin of a call to its end";
                registry.register("grpc_server_handling_seconds", help, family.clone());
                family
            },
            registry,
        }
    }

    /// States who reports: member id in hex, and the two versions.
    pub fn identify(&self, member_id: String, server_version: String, cluster_version: String) {
        self.server_id
            .get_or_create(&[("server_id", member_id)])
            .set(1);
        self.server_version
            .get_or_create(&[("server_version", server_version)])
            .set(1);
        self.cluster_version
            .get_or_create(&[("cluster_version", cluster_version)])
            .set(1);
    }

    /// Shows these alarms and no others.
    pub fn show_alarms(&self, raised: impl IntoIterator<Item = (MemberId, &'static str)>) {
        self.alarms.clear();
        for (member, kind) in raised {
            let labels = [
                ("server_id", member.to_string()),
                ("alarm_type", kind.to_owned()),
            ];
            self.alarms.get_or_create(&labels).set(1);
        }
    }

    /// Counts one health check of an endpoint (`livez`, `readyz`) by its result.
    pub fn health_check(&self, endpoint: &'static str, check: &'static str, healthy: bool) {
        let labels = [("type", endpoint), ("name", check)];
        self.health_gauge
            .get_or_create(&labels)
            .set(i64::from(healthy));
        let status = if healthy { "success" } else { "error" };
        let [kind, name] = labels;
        self.health_checks
            .get_or_create(&[kind, name, ("status", status)])
            .inc();
    }

    /// The counters of one gRPC method, resolved once and kept by the caller. `kind` is `unary`,
    /// `server_stream` or `bidi_stream`.
    pub fn method(
        &self,
        kind: &'static str,
        service: &'static str,
        method: &'static str,
    ) -> MethodMetrics {
        let labels = [
            ("grpc_type", kind),
            ("grpc_service", service),
            ("grpc_method", method),
        ];
        MethodMetrics {
            started: self.started.get_or_create_owned(&labels),
            received: self.received.get_or_create_owned(&labels),
            sent: self.sent.get_or_create_owned(&labels),
            handled: types::CODES.map(|code| {
                let [kind, service, method] = labels;
                self.handled
                    .get_or_create_owned(&[kind, service, method, ("grpc_code", code)])
            }),
        }
    }

    /// The histogram of a gRPC method's calls, resolved once and kept by the caller; the labels are those of
    /// [`Self::method`].
    pub fn handling_time(
        &self,
        kind: &'static str,
        service: &'static str,
        method: &'static str,
    ) -> Histogram {
        self.handling.get_or_create_owned(&[
            ("grpc_type", kind),
            ("grpc_service", service),
            ("grpc_method", method),
        ])
    }

    /// Shows whether a feature gate is on; `stage` is `ALPHA` or `BETA`.
    pub fn show_feature(&self, name: &'static str, stage: &'static str, on: bool) {
        let labels = [("name", name), ("stage", stage)];
        self.features.get_or_create(&labels).set(i64::from(on));
    }

    /// The metrics of a peer, which is known to `local` from now on; resolved once and kept by the caller.
    pub fn peer(&self, local: MemberId, peer: MemberId) -> PeerMetrics {
        self.peers.known(local, peer)
    }

    /// Takes the metrics of a peer that is gone off the page.
    pub fn forget_peer(&self, local: MemberId, peer: MemberId) {
        self.peers.forget(local, peer);
    }

    /// Everything as Prometheus text.
    ///
    /// # Errors
    /// Only if a collector fails to write into a string.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        text::encode_registry(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// The default buckets of Prometheus' Go library, which etcd keeps here: 5 ms to 10 s.
fn handling_time() -> Histogram {
    Histogram::up_to(&[
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    ])
}

fn family<S, M>(registry: &mut Registry, name: &'static str, help: &'static str) -> Family<S, M>
where
    Family<S, M>: prometheus_client::registry::Metric + Clone + Default,
{
    let family = Family::default();
    registry.register(name, help, family.clone());
    family
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Reads the text as a 0.0.4 parser does: every sample belongs to the family announced before it.
    fn families(text: &str) -> HashMap<String, (String, Vec<String>)> {
        let mut families: HashMap<String, (String, Vec<String>)> = HashMap::new();
        let mut current = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                let previous = families.insert(name.into(), (kind.into(), Vec::new()));
                assert!(previous.is_none(), "{name} is announced twice");
                current = name.into();
            } else if !line.starts_with("# HELP ") {
                let (sample, value) = line.rsplit_once(' ').unwrap();
                value.parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
                let name = sample.split('{').next().unwrap();
                let (kind, samples) = families.get_mut(&current).unwrap();
                let suffix = name.strip_prefix(current.as_str()).unwrap();
                match kind.as_str() {
                    "histogram" => assert!(["_sum", "_count", "_bucket"].contains(&suffix)),
                    _ => assert_eq!(suffix, "", "{line}"),
                }
                samples.push(line.into());
            }
        }
        families
    }

    #[test]
    fn the_text_has_exact_names_and_old_parsers_read_it() {
        let metrics = Metrics::new();
        metrics.identify("8e9e05c52164694d".into(), "3.6.5".into(), "3.6".into());
        metrics.server.proposals_committed.set(7);
        metrics.mvcc.puts.inc();
        metrics.raft.log_sync.observe(0.002);
        let families = families(&metrics.encode().unwrap());
        let one = |name: &str| families[name].1.first().unwrap().clone();

        assert_eq!(families["etcd_server_proposals_committed_total"].0, "gauge");
        assert_eq!(
            one("etcd_server_proposals_committed_total"),
            "etcd_server_proposals_committed_total 7"
        );
        assert_eq!(families["etcd_mvcc_put_total"].0, "counter");
        assert_eq!(one("etcd_mvcc_put_total"), "etcd_mvcc_put_total 1");
        assert_eq!(families["etcd_server_health_success"].0, "counter");
        assert_eq!(
            one("etcd_server_id"),
            r#"etcd_server_id{server_id="8e9e05c52164694d"} 1"#
        );
        let buckets = &families["etcd_disk_wal_fsync_duration_seconds"].1;
        assert!(
            buckets
                .contains(&r#"etcd_disk_wal_fsync_duration_seconds_bucket{le="0.001"} 0"#.into())
        );
        assert!(
            buckets
                .contains(&r#"etcd_disk_wal_fsync_duration_seconds_bucket{le="0.002"} 1"#.into())
        );
        assert!(!families.keys().any(|name| name.ends_with("_total_total")));
        assert!(families.contains_key("process_resident_memory_bytes"));
    }

    #[test]
    fn methods_are_counted_by_code_under_go_names() {
        let metrics = Metrics::new();
        let method = metrics.method("unary", "etcdserverpb.KV", "Put");
        method.started.inc();
        method.ended(1);
        method.ended(99);
        let families = families(&metrics.encode().unwrap());
        let labels = r#"grpc_type="unary",grpc_service="etcdserverpb.KV",grpc_method="Put""#;
        let handled = &families["grpc_server_handled_total"].1;
        assert!(handled.contains(&format!(
            r#"grpc_server_handled_total{{{labels},grpc_code="Canceled"}} 1"#
        )));
        assert!(handled.contains(&format!(
            r#"grpc_server_handled_total{{{labels},grpc_code="Unknown"}} 1"#
        )));
        assert_eq!(
            families["grpc_server_started_total"].1,
            [format!("grpc_server_started_total{{{labels}}} 1")]
        );
    }

    #[test]
    fn handling_times_are_on_the_page_once_they_are_asked_for() {
        let metrics = Metrics::new();
        let name = "grpc_server_handling_seconds";
        assert!(!metrics.encode().unwrap().contains(name));
        let times = metrics.handling_time("unary", "etcdserverpb.KV", "Put");
        times.observe(0.02);
        let families = families(&metrics.encode().unwrap());
        let labels = r#"grpc_type="unary",grpc_service="etcdserverpb.KV",grpc_method="Put""#;
        let (kind, samples) = &families[name];
        assert_eq!(kind, "histogram");
        for (bound, count) in [("0.005", 0), ("0.025", 1), ("10.0", 1), ("+Inf", 1)] {
            let line = format!("{name}_bucket{{le=\"{bound}\",{labels}}} {count}");
            assert!(samples.contains(&line), "{line} in {samples:?}");
        }
    }

    #[test]
    fn a_peer_is_on_the_page_for_as_long_as_it_is_known() {
        let metrics = Metrics::new();
        let peer = metrics.peer(MemberId(0xa), MemberId(0xb));
        peer.sent_bytes.add(7);
        peer.snapshots_received.durations.observe(0.3);
        let text = metrics.encode().unwrap();
        for line in [
            r#"etcd_network_known_peers{Local="a",Remote="b"} 1"#,
            r#"etcd_network_peer_sent_bytes_total{To="b"} 7"#,
            r#"etcd_network_snapshot_receive_total_duration_seconds_count{From="b"} 1"#,
            r#"etcd_network_snapshot_receive_total_duration_seconds_bucket{le="0.2",From="b"} 0"#,
            r#"etcd_network_snapshot_receive_total_duration_seconds_bucket{le="+Inf",From="b"} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        metrics.forget_peer(MemberId(0xa), MemberId(0xb));
        assert!(!metrics.encode().unwrap().contains(r#""b""#));
    }

    #[test]
    fn an_alarm_is_on_the_page_while_it_is_raised() {
        let metrics = Metrics::new();
        metrics.show_alarms([(MemberId(0xa), "NOSPACE"), (MemberId(0xb), "CORRUPT")]);
        metrics.show_alarms([(MemberId(0xb), "CORRUPT")]);
        let families = families(&metrics.encode().unwrap());
        assert_eq!(
            families["etcd_debugging_server_alarms"].1,
            [r#"etcd_debugging_server_alarms{server_id="b",alarm_type="CORRUPT"} 1"#]
        );
    }

    #[test]
    fn health_checks_are_counted_by_result() {
        let metrics = Metrics::new();
        metrics.health_check("readyz", "data_corruption", false);
        let families = families(&metrics.encode().unwrap());
        assert_eq!(
            families["etcd_server_healthchecks_total"].1,
            [
                r#"etcd_server_healthchecks_total{type="readyz",name="data_corruption",status="error"} 1"#
            ]
        );
    }
}
