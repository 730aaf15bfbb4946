//! Which path stands for which method.

use std::collections::HashMap;
use std::sync::Arc;

use prost_reflect::MessageDescriptor;

use super::json;

/// Paths below `/v3/`, and the methods that they stand for. `KV.RangeStream` has none.
const PATHS: [(&str, &str); 51] = [
    ("kv/range", "etcdserverpb.KV/Range"),
    ("kv/put", "etcdserverpb.KV/Put"),
    ("kv/deleterange", "etcdserverpb.KV/DeleteRange"),
    ("kv/txn", "etcdserverpb.KV/Txn"),
    ("kv/compaction", "etcdserverpb.KV/Compact"),
    ("watch", "etcdserverpb.Watch/Watch"),
    ("lease/grant", "etcdserverpb.Lease/LeaseGrant"),
    ("lease/revoke", "etcdserverpb.Lease/LeaseRevoke"),
    ("kv/lease/revoke", "etcdserverpb.Lease/LeaseRevoke"),
    ("lease/keepalive", "etcdserverpb.Lease/LeaseKeepAlive"),
    ("lease/timetolive", "etcdserverpb.Lease/LeaseTimeToLive"),
    ("kv/lease/timetolive", "etcdserverpb.Lease/LeaseTimeToLive"),
    ("lease/leases", "etcdserverpb.Lease/LeaseLeases"),
    ("kv/lease/leases", "etcdserverpb.Lease/LeaseLeases"),
    ("cluster/member/add", "etcdserverpb.Cluster/MemberAdd"),
    ("cluster/member/remove", "etcdserverpb.Cluster/MemberRemove"),
    ("cluster/member/update", "etcdserverpb.Cluster/MemberUpdate"),
    ("cluster/member/list", "etcdserverpb.Cluster/MemberList"),
    (
        "cluster/member/promote",
        "etcdserverpb.Cluster/MemberPromote",
    ),
    ("maintenance/alarm", "etcdserverpb.Maintenance/Alarm"),
    ("maintenance/status", "etcdserverpb.Maintenance/Status"),
    (
        "maintenance/defragment",
        "etcdserverpb.Maintenance/Defragment",
    ),
    ("maintenance/hash", "etcdserverpb.Maintenance/Hash"),
    ("maintenance/hashkv", "etcdserverpb.Maintenance/HashKV"),
    ("maintenance/snapshot", "etcdserverpb.Maintenance/Snapshot"),
    (
        "maintenance/transfer-leadership",
        "etcdserverpb.Maintenance/MoveLeader",
    ),
    (
        "maintenance/downgrade",
        "etcdserverpb.Maintenance/Downgrade",
    ),
    ("auth/enable", "etcdserverpb.Auth/AuthEnable"),
    ("auth/disable", "etcdserverpb.Auth/AuthDisable"),
    ("auth/status", "etcdserverpb.Auth/AuthStatus"),
    ("auth/authenticate", "etcdserverpb.Auth/Authenticate"),
    ("auth/user/add", "etcdserverpb.Auth/UserAdd"),
    ("auth/user/get", "etcdserverpb.Auth/UserGet"),
    ("auth/user/list", "etcdserverpb.Auth/UserList"),
    ("auth/user/delete", "etcdserverpb.Auth/UserDelete"),
    ("auth/user/changepw", "etcdserverpb.Auth/UserChangePassword"),
    ("auth/user/grant", "etcdserverpb.Auth/UserGrantRole"),
    ("auth/user/revoke", "etcdserverpb.Auth/UserRevokeRole"),
    ("auth/role/add", "etcdserverpb.Auth/RoleAdd"),
    ("auth/role/get", "etcdserverpb.Auth/RoleGet"),
    ("auth/role/list", "etcdserverpb.Auth/RoleList"),
    ("auth/role/delete", "etcdserverpb.Auth/RoleDelete"),
    ("auth/role/grant", "etcdserverpb.Auth/RoleGrantPermission"),
    ("auth/role/revoke", "etcdserverpb.Auth/RoleRevokePermission"),
    ("lock/lock", "v3lockpb.Lock/Lock"),
    ("lock/unlock", "v3lockpb.Lock/Unlock"),
    ("election/campaign", "v3electionpb.Election/Campaign"),
    ("election/proclaim", "v3electionpb.Election/Proclaim"),
    ("election/leader", "v3electionpb.Election/Leader"),
    ("election/observe", "v3electionpb.Election/Observe"),
    ("election/resign", "v3electionpb.Election/Resign"),
];

/// A method that can be called.
#[derive(Debug)]
pub(super) struct Method {
    /// The path of the gRPC call.
    pub(super) path: String,
    pub(super) input: MessageDescriptor,
    pub(super) output: MessageDescriptor,
    /// Whether the client sends a stream.
    pub(super) many_requests: bool,
    /// Whether the server sends a stream.
    pub(super) many_results: bool,
}

impl Method {
    /// Whether answers are lines rather than one value.
    pub(super) const fn is_stream(&self) -> bool {
        self.many_requests || self.many_results
    }

    fn find(name: &str) -> Option<Self> {
        let (service, method) = name.split_once('/')?;
        let service = json::messages().get_service_by_name(service)?;
        let method = service.methods().find(|known| known.name() == method)?;
        Some(Self {
            path: format!("/{name}"),
            input: method.input(),
            output: method.output(),
            many_requests: method.is_client_streaming(),
            many_results: method.is_server_streaming(),
        })
    }
}

/// Every method by its path below `/v3/`.
#[derive(Debug)]
pub(super) struct Methods(HashMap<&'static str, Arc<Method>>);

impl Methods {
    pub(super) fn new() -> Self {
        let methods = PATHS.iter().filter_map(|&(path, name)| {
            let method = Method::find(name)?;
            Some((path, Arc::new(method)))
        });
        Self(methods.collect())
    }

    pub(super) fn get(&self, path: &str) -> Option<&Arc<Method>> {
        self.0.get(path)
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn all() -> Vec<Method> {
        let found = PATHS.iter().filter_map(|&(_, name)| Method::find(name));
        found.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_path_has_a_method_and_every_method_but_one_a_path() {
        assert_eq!(Methods::new().0.len(), PATHS.len());
        let reached: HashSet<_> = PATHS.iter().map(|(_, name)| (*name).to_owned()).collect();
        let methods = json::messages().services().flat_map(|service| {
            let name = service.full_name().to_owned();
            let methods: Vec<_> = service.methods().collect();
            methods
                .into_iter()
                .map(move |method| format!("{name}/{}", method.name()))
        });
        let missing: Vec<_> = methods.filter(|name| !reached.contains(name)).collect();
        assert_eq!(missing, ["etcdserverpb.KV/RangeStream"]);
    }

    #[test]
    fn streams_are_those_of_the_contract() {
        let methods = Methods::new();
        let mut streams: Vec<_> = methods.0.iter().filter(|(_, m)| m.is_stream()).collect();
        streams.sort_by_key(|(path, _)| **path);
        let told: Vec<_> = streams
            .iter()
            .map(|(path, method)| (**path, method.many_requests))
            .collect();
        let expected = [
            ("election/observe", false),
            ("lease/keepalive", true),
            ("maintenance/snapshot", false),
            ("watch", true),
        ];
        assert_eq!(told, expected);
    }
}
