//! The metrics by the part of a member that feeds them: field, etcd's name, meaning.

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Histogram;
use super::series::{FamilyBy, OperationDurations, RequestDurations, RequestsByVersion};
use super::types::Count;

/// Declares a group: a struct of handles, each registered under its name with its doc line as help.
macro_rules! group {
    ($(#[$doc:meta])* $group:ident {
        $($field:ident: $metric:ty = $init:expr, $name:literal, $help:literal;)+
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $group {
            $(#[doc = concat!($help, " (`", $name, "`).")] pub $field: $metric,)+
        }

        impl $group {
            pub(super) fn register(registry: &mut Registry) -> Self {
                let group = Self::default();
                $(registry.register($name, $help, group.$field.clone());)+
                group
            }
        }

        /// Handles that no page shows.
        impl Default for $group {
            fn default() -> Self {
                Self { $($field: $init,)+ }
            }
        }
    };
}

/// etcd's buckets for disk latencies: 1 ms to 8 s.
fn disk() -> Histogram {
    Histogram::doubling(0.001, 14)
}

/// etcd's buckets for work in memory: 0.1 ms to 52 s.
fn fine() -> Histogram {
    Histogram::doubling(0.0001, 20)
}

/// etcd's buckets for work on the whole state: 10 ms to 164 s.
fn long() -> Histogram {
    Histogram::doubling(0.01, 15)
}

group! {
    /// Consensus and the member as a whole.
    ServerMetrics {
        has_leader: Gauge = Gauge::default(), "etcd_server_has_leader", "Whether a leader is known";
        is_leader: Gauge = Gauge::default(), "etcd_server_is_leader", "Whether this member leads";
        is_learner: Gauge = Gauge::default(), "etcd_server_is_learner", "Whether this member has no vote";
        leader_changes: Count = Count::default(), "etcd_server_leader_changes_seen_total", "Leader changes seen";
        proposals_committed: Gauge = Gauge::default(), "etcd_server_proposals_committed_total", "Highest committed log index";
        proposals_applied: Gauge = Gauge::default(), "etcd_server_proposals_applied_total", "Highest applied log index";
        proposals_pending: Gauge = Gauge::default(), "etcd_server_proposals_pending", "Proposals waiting for their outcome";
        proposals_failed: Count = Count::default(), "etcd_server_proposals_failed_total", "Proposals that failed or timed out";
        slow_apply: Count = Count::default(), "etcd_server_slow_apply_total", "Applies that took longer than --warning-apply-duration";
        slow_read_indexes: Count = Count::default(), "etcd_server_slow_read_indexes_total", "Reads whose confirmation did not come in time";
        read_indexes_failed: Count = Count::default(), "etcd_server_read_indexes_failed_total", "Read confirmations that failed";
        snapshots_applying: Gauge = Gauge::default(), "etcd_server_snapshot_apply_in_progress_total", "Snapshots being taken over as the state";
        quota_bytes: Gauge = Gauge::default(), "etcd_server_quota_backend_bytes", "Space quota in bytes";
        health_success: Count = Count::default(), "etcd_server_health_success", "Answers of /health that said healthy";
        health_failures: Count = Count::default(), "etcd_server_health_failures", "Answers of /health that said unhealthy";
        client_requests: FamilyBy<Count, 2> = Family::new_with_constructor(Count::default), "etcd_server_client_requests_total", "Requests, by type and the client's API version";
        learner_promotions: Count = Count::default(), "etcd_server_learner_promote_successes", "Learners that became voters while this member led";
        learner_promotion_failures: FamilyBy<Count, 1> = Family::new_with_constructor(Count::default), "etcd_server_learner_promote_failures", "Promotions of learners that this member refused as leader, by reason";
        apply_duration: FamilyBy<Histogram, 3> = Family::new_with_constructor(fine), "etcd_server_apply_duration_seconds", "Time to evaluate a committed command, by operation and success";
        range_duration: FamilyBy<Histogram, 1> = Family::new_with_constructor(fine), "etcd_server_range_duration_seconds", "Time to answer a range, by success";
        request_duration: FamilyBy<Histogram, 2> = Family::new_with_constructor(disk), "etcd_server_request_duration_seconds", "Time to answer a request, by type and success";
    }
}

impl ServerMetrics {
    /// The histogram of ranges by their result, to be kept by the caller.
    pub fn range_durations(&self, success: bool) -> Histogram {
        let labels = [("success", flag(success))];
        self.range_duration.get_or_create_owned(&labels)
    }

    /// Counts a learner that was not promoted, by etcd's words for why.
    pub fn promotion_failed(&self, reason: &'static str) {
        let labels = [("Reason", reason)];
        self.learner_promotion_failures.get_or_create(&labels).inc();
    }

    /// The counters of requests of a type (`unary` or `stream`), to be kept by the caller.
    pub fn requests(&self, kind: &'static str) -> RequestsByVersion {
        RequestsByVersion::new(&self.client_requests, kind)
    }

    /// The histograms of applied commands, to be kept by the caller: `operations` are etcd's names.
    pub fn applies(&self, operations: &[&'static str]) -> OperationDurations {
        OperationDurations::new(&self.apply_duration, operations)
    }

    /// The histograms of requests, to be kept by the caller: `types` are etcd's names.
    pub fn request_durations(&self, types: &[&'static str]) -> RequestDurations {
        RequestDurations::new(&self.request_duration, types)
    }
}

const fn flag(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

group! {
    /// The key-value store.
    MvccMetrics {
        db_size: Gauge = Gauge::default(), "etcd_mvcc_db_total_size_in_bytes", "Bytes of the state on disk";
        db_size_in_use: Gauge = Gauge::default(), "etcd_mvcc_db_total_size_in_use_in_bytes", "Bytes of live data on disk";
        puts: Count = Count::default(), "etcd_mvcc_put_total", "Puts applied";
        deletes: Count = Count::default(), "etcd_mvcc_delete_total", "Deletions applied";
        ranges: Count = Count::default(), "etcd_mvcc_range_total", "Ranges read";
        txns: Count = Count::default(), "etcd_mvcc_txn_total", "Transactions applied";
        keys: Gauge = Gauge::default(), "etcd_debugging_mvcc_keys_total", "Keys in the store, estimated";
        current_revision: Gauge = Gauge::default(), "etcd_debugging_mvcc_current_revision", "Revision of the store";
        compact_revision: Gauge = Gauge::default(), "etcd_debugging_mvcc_compact_revision", "Compacted revision";
        open_reads: Gauge = Gauge::default(), "etcd_mvcc_db_open_read_transactions", "Reads of the state under way";
        hash_duration: Histogram = long(), "etcd_mvcc_hash_duration_seconds", "Time to hash the whole state";
        hash_rev_duration: Histogram = long(), "etcd_mvcc_hash_rev_duration_seconds", "Time to hash the key space up to a revision";
        compacted_records: Count = Count::default(), "etcd_debugging_mvcc_db_compaction_keys_total", "Records removed from disk after compactions";
        last_compaction: Gauge = Gauge::default(), "etcd_debugging_mvcc_db_compaction_last", "When history was last removed, in seconds since the Unix epoch";
        compaction_duration: Histogram = Histogram::doubling(100.0, 14), "etcd_debugging_mvcc_db_compaction_total_duration_milliseconds", "Time to remove history after compactions, in milliseconds";
        put_bytes: Gauge = Gauge::default(), "etcd_debugging_mvcc_total_put_size_in_bytes", "Bytes of keys and values put by this process";
    }
}

group! {
    /// Watch streams.
    WatchMetrics {
        streams: Gauge = Gauge::default(), "etcd_debugging_mvcc_watch_stream_total", "Open watch streams";
        watchers: Gauge = Gauge::default(), "etcd_debugging_mvcc_watcher_total", "Watchers";
        slow_watchers: Gauge = Gauge::default(), "etcd_debugging_mvcc_slow_watcher_total", "Watchers that lag behind";
        events: Count = Count::default(), "etcd_debugging_mvcc_events_total", "Events sent to watchers";
        pending_events: Gauge = Gauge::default(), "etcd_debugging_mvcc_pending_events_total", "Events waiting to be sent";
    }
}

/// Buckets for how many things travelled together: 1 to 32,768.
fn crowd() -> Histogram {
    Histogram::doubling(1.0, 16)
}

group! {
    /// What etcd has no name for: how well things that arrive together travel together, and the watch ring.
    HoldfastMetrics {
        entry_commands: Histogram = crowd(), "holdfast_log_entry_commands", "Commands that one log entry carried";
        apply_commands: Histogram = crowd(), "holdfast_apply_batch_commands", "Commands that one write of the state carried";
        read_index_readers: Histogram = crowd(), "holdfast_read_index_batch_readers", "Linearizable reads that one confirmation of leadership served";
        ring_changes: Gauge = Gauge::default(), "holdfast_watch_ring_changes", "Changes that the watch ring keeps";
        ring_bytes: Gauge = Gauge::default(), "holdfast_watch_ring_bytes", "Bytes of the watch ring's closed segments";
        ring_lag: Gauge = Gauge::default(), "holdfast_watch_ring_lag_revisions", "Revisions that the slowest dispatcher with watchers has yet to offer";
        ring_laps: Count = Count::default(), "holdfast_watch_ring_laps_total", "Times that the ring left a dispatcher behind";
        watchers: FamilyBy<Gauge, 1> = Family::new_with_constructor(Gauge::default), "holdfast_watch_watchers", "Watchers by state: synced ones follow the ring, others read history";
        waiting_bytes: Gauge = Gauge::default(), "holdfast_watch_waiting_bytes", "Bytes of responses that wait for the readers of watch streams";
    }
}

impl HoldfastMetrics {
    /// Sets the number of watchers that follow the ring, and of those that are behind.
    pub fn set_watchers(&self, synced: i64, behind: i64) {
        for (state, count) in [("synced", synced), ("behind", behind)] {
            self.watchers.get_or_create(&[("state", state)]).set(count);
        }
    }
}

group! {
    /// Users and roles.
    AuthMetrics {
        revision: Gauge = Gauge::default(), "etcd_debugging_auth_revision", "Revision of users and roles";
    }
}

group! {
    /// Leases.
    LeaseMetrics {
        granted: Count = Count::default(), "etcd_debugging_lease_granted_total", "Leases granted";
        revoked: Count = Count::default(), "etcd_debugging_lease_revoked_total", "Leases revoked";
        renewed: Count = Count::default(), "etcd_debugging_lease_renewed_total", "Renewals made by this member as leader";
        expired: Count = Count::default(), "etcd_debugging_server_lease_expired_total", "Leases that expired";
        ttl: Histogram = Histogram::doubling(1.0, 24), "etcd_debugging_lease_ttl_total", "Granted times to live in seconds";
    }
}

group! {
    /// The consensus log, and the leader's punctuality.
    RaftMetrics {
        late_heartbeats: Count = Count::default(), "etcd_server_heartbeat_send_failures_total", "Heartbeats that this member as leader sent more than an interval late, by follower";
        log_sync: Histogram = disk(), "etcd_disk_wal_fsync_duration_seconds", "Time to make the log durable";
        log_bytes: Gauge = Gauge::default(), "etcd_disk_wal_write_bytes_total", "Bytes written to the log";
    }
}

group! {
    /// The state on disk.
    DiskMetrics {
        backend_commit: Histogram = disk(), "etcd_disk_backend_commit_duration_seconds", "Time to write a batch into the state";
        backend_snapshot: Histogram = Histogram::doubling(0.01, 17), "etcd_disk_backend_snapshot_duration_seconds", "Time to copy the state for a member, or for a backup until its last byte was taken";
        defrag: Histogram = Histogram::doubling(0.1, 13), "etcd_disk_backend_defrag_duration_seconds", "Time to rewrite the state without what is dead";
        defrags: Gauge = Gauge::default(), "etcd_disk_defrag_inflight", "Rewrites of the state under way";
        state_flush: Histogram = disk(), "etcd_snap_fsync_duration_seconds", "Time to make the applied state durable, so that the log before it is not needed";
        received_sync: Histogram = disk(), "etcd_snap_db_fsync_duration_seconds", "Time to make a file of a received snapshot durable";
        received_save: Histogram = Histogram::doubling(0.1, 10), "etcd_snap_db_save_total_duration_seconds", "Time to receive a snapshot and make it durable";
    }
}

group! {
    /// Traffic with clients.
    NetworkMetrics {
        client_received: Count = Count::default(), "etcd_network_client_grpc_received_bytes_total", "Bytes received in gRPC bodies from clients";
        client_sent: Count = Count::default(), "etcd_network_client_grpc_sent_bytes_total", "Bytes sent in gRPC bodies to clients";
        stream_failures: FamilyBy<Count, 2> = Family::new_with_constructor(Count::default), "etcd_network_server_stream_failures_total", "Streams that broke while they were read, other than by their client's end";
    }
}

impl NetworkMetrics {
    /// The counter of streams of an `api` (`watch`, `lease-keepalive`) that broke while they were read, to be kept
    /// by the caller.
    pub fn broken_streams(&self, api: &'static str) -> Count {
        let labels = [("Type", "receive"), ("API", api)];
        self.stream_failures.get_or_create_owned(&labels)
    }
}
