//! etcd's flags, as lists of their own: every one is served, noted or refused with a reason, and there is no other.

use std::collections::HashSet;

use super::flag::State;
use super::{kube, kube_access, kube_limits, table};

/// Of etcd 3.7, and `max-snapshots`, which only older ones have.
const NOW: &str = "name data-dir wal-dir snapshot-count heartbeat-interval election-timeout \
    initial-election-tick-advance listen-peer-urls listen-client-urls listen-client-http-urls \
    max-wals max-snapshots memory-mlock quota-backend-bytes backend-bbolt-freelist-type \
    backend-batch-interval backend-batch-limit max-txn-ops max-request-bytes max-concurrent-streams \
    grpc-keepalive-min-time grpc-keepalive-interval grpc-keepalive-timeout socket-reuse-port \
    socket-reuse-address enable-grpc-gateway raft-read-timeout raft-write-timeout feature-gates \
    initial-advertise-peer-urls initial-cluster initial-cluster-state initial-cluster-token \
    advertise-client-urls discovery-token discovery-endpoints discovery-dial-timeout \
    discovery-request-timeout discovery-keepalive-time discovery-keepalive-timeout \
    discovery-insecure-transport discovery-insecure-skip-tls-verify discovery-cert discovery-key \
    discovery-cacert discovery-user discovery-password discovery discovery-proxy discovery-fallback \
    discovery-srv discovery-srv-name strict-reconfig-check pre-vote auto-compaction-mode \
    auto-compaction-retention cert-file key-file client-cert-auth trusted-ca-file client-cert-file \
    client-key-file client-crl-file client-cert-allowed-hostname auto-tls peer-cert-file \
    peer-key-file peer-client-cert-auth peer-trusted-ca-file peer-client-cert-file \
    peer-client-key-file peer-cert-allowed-cn peer-cert-allowed-hostname peer-auto-tls peer-crl-file \
    peer-skip-client-san-verification self-signed-cert-validity cipher-suites tls-min-version \
    tls-max-version cors host-whitelist auth-token auth-token-ttl bcrypt-cost metrics \
    listen-metrics-urls enable-pprof logger log-outputs log-level log-format enable-log-rotation \
    log-rotation-config-json warning-unary-request-duration warning-apply-duration \
    enable-distributed-tracing distributed-tracing-address distributed-tracing-service-name \
    distributed-tracing-instance-id distributed-tracing-sampling-rate corrupt-check-time \
    compact-hash-check-time compaction-batch-limit compaction-sleep-interval \
    watch-progress-notify-interval bootstrap-defrag-threshold-megabytes max-learners \
    downgrade-check-time snapshot-catchup-entries force-new-cluster unsafe-no-fsync";

/// Of etcd 3.5 and 3.6, behind `experimental-`: manifests still have them.
const EXPERIMENTAL: &str = "initial-corrupt-check corrupt-check-time compact-hash-check-enabled compact-hash-check-time \
    compaction-batch-limit compaction-sleep-interval watch-progress-notify-interval \
    warning-apply-duration warning-unary-request-duration bootstrap-defrag-threshold-megabytes \
    memory-mlock peer-skip-client-san-verification enable-lease-checkpoint \
    enable-lease-checkpoint-persist txn-mode-write-with-shared-buffer stop-grpc-service-on-defrag \
    snapshot-catchup-entries downgrade-check-time enable-distributed-tracing \
    distributed-tracing-address distributed-tracing-service-name distributed-tracing-instance-id \
    distributed-tracing-sampling-rate max-learners wait-cluster-ready-timeout";

/// Of etcd 3.5 alone.
const PAST: &str = "enable-v2 experimental-enable-v2v3 proxy proxy-failure-wait proxy-refresh-interval \
    proxy-dial-timeout proxy-write-timeout proxy-read-timeout v2-deprecation";

/// Of a flag that names others, and one that 3.5 has under its older name only.
const BESIDES: &str = "config-file wait-cluster-ready-timeout";

#[test]
fn every_flag_of_etcd_has_its_place() {
    let now = NOW.split_whitespace().map(str::to_owned);
    let experimental = EXPERIMENTAL.split_whitespace();
    let experimental = experimental.map(|name| format!("experimental-{name}"));
    let past = PAST.split_whitespace().map(str::to_owned);
    let besides = BESIDES.split_whitespace().map(str::to_owned);
    let names: HashSet<_> = now.chain(experimental).chain(past).chain(besides).collect();
    assert_eq!(names.len(), 148);
    let mut found = HashSet::new();
    for name in &names {
        let flag = table::find(name).unwrap_or_else(|| panic!("--{name} is unknown"));
        if let State::Noted(why) | State::Refused(why) = flag.state {
            assert!(why.len() > 10, "--{name} has no reason: {why:?}");
        }
        found.insert(flag.name);
    }
    let strangers: Vec<_> = table::all()
        .filter(|flag| !found.contains(flag.name))
        // kube-apiserver's, for an API that etcd has not.
        .filter(|flag| {
            let own = [kube::FLAGS, kube_access::FLAGS, kube_limits::FLAGS];
            own.iter()
                .flat_map(|flags| *flags)
                .all(|own| own.name != flag.name)
        })
        .collect();
    assert!(strangers.is_empty(), "{strangers:?}");
}
