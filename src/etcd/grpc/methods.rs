//! Which methods are served, with their counters.

use std::collections::HashMap;
use std::sync::Arc;

use super::access;
use crate::base::metrics::{Count, Histogram, MethodMetrics, Metrics, RequestsByVersion};
use crate::base::trace::Tracer;
use crate::engine::Demand;

const UNARY: &str = "unary";
const SERVER_STREAM: &str = "server_stream";
const BIDI_STREAM: &str = "bidi_stream";

/// Every method by its path. What is not here is answered as unknown.
const SERVED: &[(&str, &str)] = &[
    ("/etcdserverpb.KV/Range", UNARY),
    ("/etcdserverpb.KV/RangeStream", SERVER_STREAM),
    ("/etcdserverpb.KV/Put", UNARY),
    ("/etcdserverpb.KV/DeleteRange", UNARY),
    ("/etcdserverpb.KV/Txn", UNARY),
    ("/etcdserverpb.KV/Compact", UNARY),
    ("/etcdserverpb.Watch/Watch", BIDI_STREAM),
    ("/etcdserverpb.Auth/AuthEnable", UNARY),
    ("/etcdserverpb.Auth/AuthDisable", UNARY),
    ("/etcdserverpb.Auth/AuthStatus", UNARY),
    ("/etcdserverpb.Auth/Authenticate", UNARY),
    ("/etcdserverpb.Auth/UserAdd", UNARY),
    ("/etcdserverpb.Auth/UserGet", UNARY),
    ("/etcdserverpb.Auth/UserList", UNARY),
    ("/etcdserverpb.Auth/UserDelete", UNARY),
    ("/etcdserverpb.Auth/UserChangePassword", UNARY),
    ("/etcdserverpb.Auth/UserGrantRole", UNARY),
    ("/etcdserverpb.Auth/UserRevokeRole", UNARY),
    ("/etcdserverpb.Auth/RoleAdd", UNARY),
    ("/etcdserverpb.Auth/RoleGet", UNARY),
    ("/etcdserverpb.Auth/RoleList", UNARY),
    ("/etcdserverpb.Auth/RoleDelete", UNARY),
    ("/etcdserverpb.Auth/RoleGrantPermission", UNARY),
    ("/etcdserverpb.Auth/RoleRevokePermission", UNARY),
    ("/etcdserverpb.Lease/LeaseGrant", UNARY),
    ("/etcdserverpb.Lease/LeaseRevoke", UNARY),
    ("/etcdserverpb.Lease/LeaseKeepAlive", BIDI_STREAM),
    ("/etcdserverpb.Lease/LeaseTimeToLive", UNARY),
    ("/etcdserverpb.Lease/LeaseLeases", UNARY),
    ("/etcdserverpb.Cluster/MemberAdd", UNARY),
    ("/etcdserverpb.Cluster/MemberRemove", UNARY),
    ("/etcdserverpb.Cluster/MemberUpdate", UNARY),
    ("/etcdserverpb.Cluster/MemberList", UNARY),
    ("/etcdserverpb.Cluster/MemberPromote", UNARY),
    ("/etcdserverpb.Maintenance/Alarm", UNARY),
    ("/etcdserverpb.Maintenance/Status", UNARY),
    ("/etcdserverpb.Maintenance/Defragment", UNARY),
    ("/etcdserverpb.Maintenance/Hash", UNARY),
    ("/etcdserverpb.Maintenance/HashKV", UNARY),
    ("/etcdserverpb.Maintenance/Snapshot", SERVER_STREAM),
    ("/etcdserverpb.Maintenance/MoveLeader", UNARY),
    ("/etcdserverpb.Maintenance/Downgrade", UNARY),
    ("/v3lockpb.Lock/Lock", UNARY),
    ("/v3lockpb.Lock/Unlock", UNARY),
    ("/v3electionpb.Election/Campaign", UNARY),
    ("/v3electionpb.Election/Proclaim", UNARY),
    ("/v3electionpb.Election/Leader", UNARY),
    ("/v3electionpb.Election/Observe", SERVER_STREAM),
    ("/v3electionpb.Election/Resign", UNARY),
    ("/grpc.health.v1.Health/Check", UNARY),
    ("/grpc.health.v1.Health/Watch", SERVER_STREAM),
];

/// What a member without a vote serves. Of the ranges only the serializable ones: that is the handler's to
/// see.
const FOR_LEARNERS: [&str; 3] = [
    "/etcdserverpb.KV/Range",
    "/etcdserverpb.Maintenance/Status",
    "/etcdserverpb.Maintenance/Snapshot",
];

/// One method: its counters, whom it is for, and who serves it.
#[derive(Debug)]
pub(super) struct Method {
    /// Whether a member without a vote serves it.
    pub(super) for_learners: bool,
    pub(super) calls: MethodMetrics,
    /// What it asks of its caller.
    pub(super) demand: Demand,
    /// Shared by all unary methods, and by all others.
    pub(super) requests: Arc<RequestsByVersion>,
    /// `/service/name`.
    pub(super) path: &'static str,
    /// Makes spans of calls, if they are traced.
    pub(super) traces: Option<Arc<Tracer>>,
    /// How long calls take, if that is kept.
    pub(super) times: Option<Histogram>,
    pub(super) received_bytes: Count,
    pub(super) sent_bytes: Count,
}

/// The served methods by path.
#[derive(Debug)]
pub(super) struct Methods(HashMap<&'static str, Arc<Method>>);

impl Methods {
    /// `timed` keeps how long calls take, `traces` makes spans of them.
    pub(super) fn new(metrics: &Metrics, timed: bool, traces: Option<&Arc<Tracer>>) -> Self {
        let unary = Arc::new(metrics.server.requests("unary"));
        let stream = Arc::new(metrics.server.requests("stream"));
        let methods = SERVED.iter().filter_map(|&(path, kind)| {
            let (service, name) = split(path)?;
            let method = Method {
                for_learners: FOR_LEARNERS.contains(&path),
                calls: metrics.method(kind, service, name),
                demand: access::demand(path),
                requests: Arc::clone(if kind == UNARY { &unary } else { &stream }),
                path,
                traces: traces.cloned(),
                times: timed.then(|| metrics.handling_time(kind, service, name)),
                received_bytes: metrics.network.client_received.clone(),
                sent_bytes: metrics.network.client_sent.clone(),
            };
            Some((path, Arc::new(method)))
        });
        Self(methods.collect())
    }

    /// The paths that are served.
    #[cfg(test)]
    pub(super) fn paths(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    pub(super) fn get(&self, path: &str) -> Option<&Arc<Method>> {
        self.0.get(path)
    }
}

/// Service and method of a path.
pub(super) fn split(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix('/')?.rsplit_once('/')
}
