//! The Prometheus page: its form, and the names that alerts and dashboards ask for.

use std::collections::{BTreeMap, BTreeSet};

use holdfast::etcd::pb::etcdserverpb::{
    DefragmentRequest, HashKvRequest, HashRequest, LeaseRevokeRequest,
};

use tokio::time::timeout;

use crate::harness::*;

#[tokio::test]
async fn metrics() {
    let server = Server::fresh().await;
    let cases = cases![
        the_page_is_prometheus_text,
        every_sample_belongs_to_a_declared_family,
        required_families_are_there,
        histograms_are_cumulative,
        puts_are_counted,
        the_leader_is_told,
        versions_are_labels,
        the_quota_is_told,
        grpc_calls_are_counted_by_code,
        requests_are_counted_by_api_version,
        applies_are_timed_by_operation,
        maintenance_is_timed,
        watchers_are_counted,
        compactions_are_timed,
        streams_that_break_are_counted,
        requests_are_timed_by_type,
        feature_gates_are_told,
        the_revision_is_told,
        what_travels_together_is_told,
        the_board_asks_for_what_is_there,
        other_methods_do_no_harm,
    ];
    Suite::new("metrics", cases).run_in_order(&server).await;
}

/// Families by name and kind.
const REQUIRED: [(&str, &str); 65] = [
    ("etcd_server_has_leader", "gauge"),
    ("etcd_server_is_leader", "gauge"),
    ("etcd_server_is_learner", "gauge"),
    ("etcd_server_id", "gauge"),
    ("etcd_server_version", "gauge"),
    ("etcd_cluster_version", "gauge"),
    ("etcd_server_leader_changes_seen_total", "counter"),
    ("etcd_server_heartbeat_send_failures_total", "counter"),
    ("etcd_server_proposals_committed_total", "gauge"),
    ("etcd_server_proposals_applied_total", "gauge"),
    ("etcd_server_proposals_pending", "gauge"),
    ("etcd_server_proposals_failed_total", "counter"),
    ("etcd_server_slow_apply_total", "counter"),
    ("etcd_server_slow_read_indexes_total", "counter"),
    ("etcd_server_read_indexes_failed_total", "counter"),
    ("etcd_server_snapshot_apply_in_progress_total", "gauge"),
    ("etcd_server_quota_backend_bytes", "gauge"),
    ("etcd_server_health_success", "counter"),
    ("etcd_server_health_failures", "counter"),
    ("etcd_server_healthcheck", "gauge"),
    ("etcd_server_healthchecks_total", "counter"),
    ("etcd_server_client_requests_total", "counter"),
    ("etcd_server_apply_duration_seconds", "histogram"),
    ("etcd_server_learner_promote_successes", "counter"),
    ("etcd_disk_wal_fsync_duration_seconds", "histogram"),
    ("etcd_disk_wal_write_bytes_total", "gauge"),
    ("etcd_disk_backend_commit_duration_seconds", "histogram"),
    ("etcd_disk_backend_defrag_duration_seconds", "histogram"),
    ("etcd_disk_backend_snapshot_duration_seconds", "histogram"),
    ("etcd_disk_defrag_inflight", "gauge"),
    ("etcd_snap_fsync_duration_seconds", "histogram"),
    ("etcd_snap_db_fsync_duration_seconds", "histogram"),
    ("etcd_snap_db_save_total_duration_seconds", "histogram"),
    ("etcd_mvcc_db_total_size_in_bytes", "gauge"),
    ("etcd_mvcc_db_total_size_in_use_in_bytes", "gauge"),
    ("etcd_mvcc_db_open_read_transactions", "gauge"),
    ("etcd_mvcc_put_total", "counter"),
    ("etcd_mvcc_delete_total", "counter"),
    ("etcd_mvcc_range_total", "counter"),
    ("etcd_mvcc_txn_total", "counter"),
    ("etcd_mvcc_hash_duration_seconds", "histogram"),
    ("etcd_mvcc_hash_rev_duration_seconds", "histogram"),
    ("etcd_network_client_grpc_sent_bytes_total", "counter"),
    ("etcd_network_client_grpc_received_bytes_total", "counter"),
    ("etcd_debugging_mvcc_keys_total", "gauge"),
    ("etcd_debugging_mvcc_current_revision", "gauge"),
    ("etcd_debugging_mvcc_compact_revision", "gauge"),
    ("etcd_debugging_mvcc_watch_stream_total", "gauge"),
    ("etcd_debugging_mvcc_watcher_total", "gauge"),
    ("etcd_debugging_mvcc_slow_watcher_total", "gauge"),
    ("etcd_debugging_mvcc_events_total", "counter"),
    ("etcd_debugging_mvcc_pending_events_total", "gauge"),
    ("etcd_debugging_mvcc_total_put_size_in_bytes", "gauge"),
    ("etcd_debugging_mvcc_db_compaction_keys_total", "counter"),
    ("etcd_debugging_auth_revision", "gauge"),
    ("etcd_debugging_lease_granted_total", "counter"),
    ("etcd_debugging_lease_revoked_total", "counter"),
    ("etcd_debugging_lease_renewed_total", "counter"),
    ("etcd_debugging_lease_ttl_total", "histogram"),
    ("etcd_debugging_server_lease_expired_total", "counter"),
    ("grpc_server_started_total", "counter"),
    ("grpc_server_handled_total", "counter"),
    ("os_fd_used", "gauge"),
    ("process_resident_memory_bytes", "gauge"),
    ("process_start_time_seconds", "gauge"),
];

/// One line of the page: name, labels as written, value.
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

struct Page {
    kinds: BTreeMap<String, String>,
    samples: Vec<Sample>,
}

impl Page {
    async fn get(c: &Case) -> Self {
        let answer = c.client.http("/metrics").await;
        assert_eq!(answer.status, 200);
        Self::parse(answer.text())
    }

    fn parse(text: &str) -> Self {
        let mut page = Self {
            kinds: BTreeMap::new(),
            samples: Vec::new(),
        };
        for line in text.lines() {
            if let Some(declared) = line.strip_prefix("# TYPE ") {
                let (name, kind) = declared.split_once(' ').unwrap();
                let before = page.kinds.insert(name.into(), kind.into());
                assert_eq!(before, None, "{name} is declared twice");
            } else if !line.starts_with('#') && !line.is_empty() {
                page.samples.push(parse_sample(line));
            }
        }
        page
    }

    /// The sum of all samples of this name that carry these labels.
    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let samples = self.samples.iter().filter(|sample| {
            let has = |(name, value): &(&str, &str)| {
                sample.labels.get(*name).is_some_and(|found| found == value)
            };
            sample.name == name && labels.iter().all(has)
        });
        samples.map(|sample| sample.value).sum()
    }

    fn label(&self, name: &str, label: &str) -> &str {
        let sample = self.samples.iter().find(|sample| sample.name == name);
        &sample.expect("the sample is there").labels[label]
    }
}

fn parse_sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').expect("a value");
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, parse_labels(labels.strip_suffix('}').unwrap())),
        None => (series, BTreeMap::new()),
    };
    Sample {
        name: name.into(),
        labels,
        value: value.parse().expect("a number"),
    }
}

/// `a="x",b="y"`; no value here holds a comma or an escape.
fn parse_labels(text: &str) -> BTreeMap<String, String> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').expect("a label");
        let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
        (name.to_owned(), value.expect("a quoted value").to_owned())
    };
    text.split(',')
        .filter(|text| !text.is_empty())
        .map(pair)
        .collect()
}

async fn the_page_is_prometheus_text(c: Case) {
    let answer = c.client.http("/metrics").await;
    assert!(answer.header("content-type").starts_with("text/plain"));
    assert!(Page::parse(answer.text()).samples.len() > 100);
}

async fn every_sample_belongs_to_a_declared_family(c: Case) {
    let page = Page::get(&c).await;
    for sample in &page.samples {
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| sample.name.strip_suffix(suffix))
            .filter(|family| page.kinds.contains_key(*family))
            .unwrap_or(&sample.name);
        assert!(
            page.kinds.contains_key(family),
            "{} has no TYPE",
            sample.name
        );
    }
}

async fn required_families_are_there(c: Case) {
    c.put("a", "1").await;
    c.client.http("/readyz").await;
    let page = Page::get(&c).await;
    let found = REQUIRED.map(|(name, _)| (name, page.kinds.get(name).map(String::as_str)));
    let wrong: Vec<_> = REQUIRED
        .iter()
        .zip(found)
        .filter(|((_, kind), (_, found))| Some(*kind) != *found)
        .collect();
    let wrong: Vec<&str> = wrong.iter().map(|((name, _), _)| *name).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

async fn histograms_are_cumulative(c: Case) {
    c.put("a", "1").await;
    let page = Page::get(&c).await;
    let name = "etcd_disk_wal_fsync_duration_seconds";
    let buckets: Vec<_> = page
        .samples
        .iter()
        .filter(|sample| sample.name == format!("{name}_bucket"))
        .collect();
    assert!(buckets.is_sorted_by(|a, b| a.value <= b.value));
    let bounds: BTreeSet<_> = buckets.iter().map(|b| b.labels["le"].as_str()).collect();
    assert!(bounds.contains("0.001") && bounds.contains("8.192"));
    assert!(bounds.contains("+Inf") && bounds.len() == 15);
    let count = page.sum(&format!("{name}_count"), &[]);
    assert_eq!(buckets.last().unwrap().value, count);
    assert!(count > 0.0);
}

async fn puts_are_counted(c: Case) {
    let name = "etcd_mvcc_put_total";
    let before = Page::get(&c).await.sum(name, &[]);
    c.put_all("a=1 a=2 b=3").await;
    assert_eq!(Page::get(&c).await.sum(name, &[]), before + 3.0);
}

async fn the_leader_is_told(c: Case) {
    let page = Page::get(&c).await;
    assert_eq!(page.sum("etcd_server_has_leader", &[]), 1.0);
    assert_eq!(page.sum("etcd_server_is_leader", &[]), 1.0);
    assert_eq!(page.sum("etcd_server_is_learner", &[]), 0.0);
}

async fn versions_are_labels(c: Case) {
    let page = Page::get(&c).await;
    let status = c.client.status(Default::default()).await.unwrap();
    let server = page.label("etcd_server_version", "server_version");
    assert_eq!(server, status.version);
    let (major, minor) = c.client.version().await;
    let cluster = page.label("etcd_cluster_version", "cluster_version");
    assert_eq!(cluster, format!("{major}.{minor}"));
    let id = format!("{:x}", status.header.unwrap().member_id);
    assert_eq!(page.label("etcd_server_id", "server_id"), id);
}

async fn the_quota_is_told(c: Case) {
    let page = Page::get(&c).await;
    let quota = page.sum("etcd_server_quota_backend_bytes", &[]);
    assert_eq!(quota, 2_147_483_648.0);
}

async fn grpc_calls_are_counted_by_code(c: Case) {
    let labels = |code| {
        [
            ("grpc_service", "etcdserverpb.KV"),
            ("grpc_method", "Put"),
            ("grpc_type", "unary"),
            ("grpc_code", code),
        ]
    };
    let name = "grpc_server_handled_total";
    let before = Page::get(&c).await;
    c.put_all("a=1 b=2").await;
    c.client.put(put("", "1")).await.unwrap_err();
    let after = Page::get(&c).await;
    let grown = |code| after.sum(name, &labels(code)) - before.sum(name, &labels(code));
    assert_eq!((grown("OK"), grown("InvalidArgument")), (2.0, 1.0));
}

/// Every metric of `docs/grafana/holdfast.json` is on the page, but those of peers, which this member has not.
async fn the_board_asks_for_what_is_there(c: Case) {
    if !Program::get().is_own() {
        return;
    }
    let page = Page::get(&c).await;
    let board = include_str!("../../../docs/grafana/holdfast.json");
    let board: serde_json::Value = serde_json::from_str(board).unwrap();
    let mut asked = BTreeSet::new();
    for panel in board["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            let words = expression.split(|c: char| !c.is_alphanumeric() && c != '_');
            let own = ["etcd_", "holdfast_", "grpc_server_", "process_"];
            let words = words.filter(|word| !word.starts_with("etcd_network_peer_"));
            asked.extend(words.filter(|word| own.iter().any(|own| word.starts_with(own))));
        }
    }
    assert!(asked.len() > 30, "{asked:?}");
    for name in asked {
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|part| name.strip_suffix(part))
            .filter(|family| page.kinds.contains_key(*family))
            .unwrap_or(name);
        assert!(page.kinds.contains_key(family), "{name}");
    }
}

/// Numbers of Holdfast's own.
async fn what_travels_together_is_told(c: Case) {
    if !Program::get().is_own() {
        return;
    }
    let before = Page::get(&c).await;
    let mut watch = c.watch("a").await;
    c.put_all("a=1 b=2").await;
    watch.next().await;
    let after = Page::get(&c).await;
    let grown = |name: &str| after.sum(name, &[]) - before.sum(name, &[]);
    for batches in [
        "holdfast_log_entry_commands",
        "holdfast_apply_batch_commands",
    ] {
        assert_eq!(grown(&format!("{batches}_sum")), 2.0, "{batches}");
    }
    assert_eq!(grown("holdfast_watch_ring_changes"), 2.0);
    let state = |state| after.sum("holdfast_watch_watchers", &[("state", state)]);
    assert!(state("synced") >= 1.0);
    assert_eq!(state("behind"), 0.0);
    assert_eq!(after.sum("holdfast_watch_ring_laps_total", &[]), 0.0);
    // A dispatcher that has nothing to tell comes round in its own time.
    let caught_up = async {
        while Page::get(&c)
            .await
            .sum("holdfast_watch_ring_lag_revisions", &[])
            > 0.0
        {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, caught_up)
        .await
        .expect("a lag that stays");
    c.stored().await;
    let last = Page::get(&c).await;
    let reads = "holdfast_read_index_batch_readers_sum";
    assert!(last.sum(reads, &[]) > after.sum(reads, &[]));
}

/// The generated client names no version.
async fn requests_are_counted_by_api_version(c: Case) {
    let name = "etcd_server_client_requests_total";
    let labels = |version| [("type", "unary"), ("client_api_version", version)];
    let before = Page::get(&c).await;
    c.put_all("a=1 b=2").await;
    let mut request = tonic::Request::new(put(c.key("a"), "3"));
    let version = "3.5".parse().unwrap();
    request.metadata_mut().insert("client-api-version", version);
    c.client.kv().put(request).await.unwrap();
    let after = Page::get(&c).await;
    let grown = |version| after.sum(name, &labels(version)) - before.sum(name, &labels(version));
    assert_eq!((grown("unknown"), grown("3.5")), (2.0, 1.0));
}

async fn applies_are_timed_by_operation(c: Case) {
    let name = "etcd_server_apply_duration_seconds_count";
    let labels = |op, success| [("version", "v3"), ("op", op), ("success", success)];
    let before = Page::get(&c).await;
    c.put_all("a=1 b=2").await;
    let missing = LeaseRevokeRequest { id: 404 };
    c.client.lease_revoke(missing).await.unwrap_err();
    let after = Page::get(&c).await;
    let grown = |op, success| {
        let labels = labels(op, success);
        after.sum(name, &labels) - before.sum(name, &labels)
    };
    let counted = (grown("Put", "true"), grown("LeaseRevoke", "false"));
    assert_eq!(counted, (2.0, 1.0));
}

async fn maintenance_is_timed(c: Case) {
    let names = [
        "etcd_disk_backend_defrag_duration_seconds_count",
        "etcd_mvcc_hash_duration_seconds_count",
        "etcd_mvcc_hash_rev_duration_seconds_count",
    ];
    let before = Page::get(&c).await;
    c.client.defragment(DefragmentRequest {}).await.unwrap();
    c.client.hash(HashRequest {}).await.unwrap();
    let now = HashKvRequest::default();
    c.client.hash_kv(now).await.unwrap();
    let after = Page::get(&c).await;
    let grown = names.map(|name| after.sum(name, &[]) - before.sum(name, &[]));
    assert_eq!(grown, [1.0, 1.0, 1.0]);
    assert_eq!(after.sum("etcd_disk_defrag_inflight", &[]), 0.0);
}

async fn watchers_are_counted(c: Case) {
    let name = "etcd_debugging_mvcc_watcher_total";
    let before = Page::get(&c).await.sum(name, &[]);
    let mut watch = c.watch("a").await;
    watch.create(watch_key(c.key("b"))).await;
    assert_eq!(Page::get(&c).await.sum(name, &[]), before + 2.0);
}

async fn the_revision_is_told(c: Case) {
    let last = c.put("a", "1").await;
    let page = Page::get(&c).await;
    let told = page.sum("etcd_debugging_mvcc_current_revision", &[]);
    assert_eq!(told, last as f64);
}

async fn other_methods_do_no_harm(c: Case) {
    let post = ::http::Request::post("/metrics").body(Default::default());
    c.client.http_send(post.unwrap()).await;
    Page::get(&c).await;
}

async fn compactions_are_timed(c: Case) {
    let name = "etcd_debugging_mvcc_db_compaction_total_duration_milliseconds_count";
    let before = Page::get(&c).await;
    let last = c.put_all("a=1 a=2").await;
    c.client.compact(compact(last)).await.unwrap();
    c.stored().await;
    // History is removed after the answer.
    let timed = async {
        loop {
            let page = Page::get(&c).await;
            if page.sum(name, &[]) > before.sum(name, &[]) {
                return page;
            }
            tokio::time::sleep(QUIET / 4).await;
        }
    };
    let after = timeout(PATIENCE, timed).await.expect("no time");
    assert!(after.sum("etcd_debugging_mvcc_db_compaction_last", &[]) > 1.7e9);
    let ranges = "etcd_debugging_mvcc_range_total";
    assert!(after.sum(ranges, &[]) > before.sum(ranges, &[]));
}

/// Text that is no message, on a stream.
async fn streams_that_break_are_counted(c: Case) {
    let name = "etcd_network_server_stream_failures_total";
    let labels = |api| [("Type", "receive"), ("API", api)];
    let before = Page::get(&c).await;
    for path in [
        "/etcdserverpb.Watch/Watch",
        "/etcdserverpb.Lease/LeaseKeepAlive",
    ] {
        let broken = super::raw::call(&c.client, path, &b"\xff\xff\xff"[..]).await;
        assert_eq!(broken.unwrap_err().code(), tonic::Code::Internal, "{path}");
    }
    // A client that goes away is no failure.
    drop(c.watch("a").await);
    c.put("a", "1").await;
    let after = Page::get(&c).await;
    let grown = |api| after.sum(name, &labels(api)) - before.sum(name, &labels(api));
    assert_eq!((grown("watch"), grown("lease-keepalive")), (1.0, 1.0));
}

/// Of etcd 3.7.
async fn requests_are_timed_by_type(c: Case) {
    if !Program::get().is_own() {
        return;
    }
    let name = "etcd_server_request_duration_seconds";
    let before = Page::get(&c).await;
    c.put_all("a=1 b=2").await;
    c.stored().await;
    c.client
        .txn(always(vec![op::get(c.key("a"))]))
        .await
        .unwrap();
    let missing = LeaseRevokeRequest { id: 404 };
    c.client.lease_revoke(missing).await.unwrap_err();
    let after = Page::get(&c).await;
    assert_eq!(after.kinds[name], "histogram");
    let grown = |kind, success| {
        let (name, labels) = (
            format!("{name}_count"),
            [("type", kind), ("success", success)],
        );
        after.sum(&name, &labels) - before.sum(&name, &labels)
    };
    assert_eq!(grown("Put", "true"), 2.0);
    assert_eq!(grown("Range", "true"), 1.0);
    assert_eq!(grown("ReadonlyTxn", "true"), 1.0);
    assert_eq!(grown("LeaseRevoke", "false"), 1.0);
    let bound = after
        .samples
        .iter()
        .find(|sample| sample.name == format!("{name}_bucket") && sample.labels["le"] == "8.192");
    assert!(bound.is_some());
}

/// Of etcd 3.6.
async fn feature_gates_are_told(c: Case) {
    if !Program::get().is_own() {
        return;
    }
    let page = Page::get(&c).await;
    let on = |name, stage| {
        let labels = [("name", name), ("stage", stage)];
        page.sum("etcd_server_feature_enabled", &labels)
    };
    assert_eq!(on("TxnModeWriteWithSharedBuffer", "BETA"), 1.0);
    assert_eq!(on("InitialCorruptCheck", "ALPHA"), 0.0);
    let told = page
        .samples
        .iter()
        .filter(|sample| sample.name == "etcd_server_feature_enabled");
    assert_eq!(told.count(), 9);
}

#[tokio::test]
async fn extensive_metrics() {
    let settings = Settings::default().flag("metrics", "extensive");
    let server = Server::start(settings).await;
    let cases = cases![calls_are_timed_by_method];
    Suite::new("extensive_metrics", cases).run(&server).await;
}

async fn calls_are_timed_by_method(c: Case) {
    let name = "grpc_server_handling_seconds";
    let labels = |service, method, kind| {
        [
            ("grpc_service", service),
            ("grpc_method", method),
            ("grpc_type", kind),
        ]
    };
    let before = Page::get(&c).await;
    c.put_all("a=1 b=2").await;
    c.client.put(put("", "1")).await.unwrap_err();
    c.client.member_list(Default::default()).await.unwrap();
    let after = Page::get(&c).await;
    assert_eq!(after.kinds[name], "histogram");
    let grown = |service, method| {
        let (name, labels) = (format!("{name}_count"), labels(service, method, "unary"));
        after.sum(&name, &labels) - before.sum(&name, &labels)
    };
    assert_eq!(grown("etcdserverpb.KV", "Put"), 3.0);
    assert_eq!(grown("etcdserverpb.Cluster", "MemberList"), 1.0);
    let bounds: BTreeSet<_> = after
        .samples
        .iter()
        .filter(|sample| sample.name == format!("{name}_bucket"))
        .map(|sample| sample.labels["le"].parse::<f64>().unwrap().to_string())
        .collect();
    let wanted = "0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 inf";
    assert_eq!(bounds, wanted.split(' ').map(str::to_owned).collect());
    // The page has every method from the start.
    let watch = labels("etcdserverpb.Watch", "Watch", "bidi_stream");
    assert!(after.samples.iter().any(|sample| {
        let has =
            |(name, value): &(&str, &str)| sample.labels.get(*name).is_some_and(|v| v == value);
        sample.name == format!("{name}_count") && watch.iter().all(has)
    }));
}
