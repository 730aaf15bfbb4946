//! The versions reported to clients.
//!
//! They name the etcd API that is served, not this program: clients parse them as semver and derive
//! features from them. kube-apiserver reads lists from its cache only if watch progress can be asked for,
//! which it believes of every version from 3.5.13 on.

/// What `Status` and `/version` call the server.
pub const SERVER: &str = "3.6.5";

/// The API that every member of the cluster serves.
pub(crate) const CLUSTER: &str = "3.6.0";

/// [`CLUSTER`] as the metric spells it.
pub(crate) const CLUSTER_MINOR: &str = "3.6";

/// The storage schema that snapshots and `Status` name.
pub(crate) const STORAGE: &str = "3.6.0";
