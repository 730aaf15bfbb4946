//! The node itself: it tells how it is, and not what may run on it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Asked;
use crate::kube::admission::attributes::Operation;
use crate::kube::object::meta;
use crate::kube::status::ApiResult;
use crate::kube::tree::{get, items};

/// Labels below Kubernetes' own domains that kubelets give their nodes.
const LABELS: [&str; 11] = [
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];
/// Domains that are theirs.
const DOMAINS: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];
/// A domain whose labels say what may run on a node, which is not for nodes to say.
const RESTRICTED: &str = "node-restriction.kubernetes.io";

impl Asked<'_> {
    pub(super) fn own_node(self) -> ApiResult<()> {
        let (name, node) = (self.by.name, self.node);
        if name != node {
            return self.refuse(format!(
                "node {node:?} is not allowed to modify node {name:?}"
            ));
        }
        match (self.by.operation, self.old, self.object) {
            (Operation::Create, _, Some(new)) => self.new_node(new),
            (Operation::Update, Some(old), Some(new)) => self.changed_node(old, new),
            _ => Ok(()),
        }
    }

    fn new_node(self, new: &Value) -> ApiResult<()> {
        let node = self.node;
        if get(new, &["spec", "configSource"]).is_some() {
            return self.refuse(format!(
                "node {node:?} is not allowed to create pods with a non-nil configSource"
            ));
        }
        let labels = forbidden(None, meta::labels(new));
        if labels.is_empty() {
            return Ok(());
        }
        self.refuse(format!(
            "node {node:?} is not allowed to set the following labels: {}",
            labels.join(", ")
        ))
    }

    fn changed_node(self, old: &Value, new: &Value) -> ApiResult<()> {
        let node = self.node;
        let source = |of| get(of, &["spec", "configSource"]);
        if source(new).is_some() && source(new) != source(old) {
            return self.refuse(format!(
                "node {node:?} is not allowed to update configSource to a new non-nil configSource"
            ));
        }
        let taints = |of| items(of, &["spec", "taints"]);
        if taints(new) != taints(old) {
            return self.refuse(format!("node {node:?} is not allowed to modify taints"));
        }
        if meta::owner_references(new) != meta::owner_references(old) {
            return self.refuse(format!(
                "node {node:?} is not allowed to modify ownerReferences"
            ));
        }
        let labels = forbidden(meta::labels(old), meta::labels(new));
        if labels.is_empty() {
            return Ok(());
        }
        self.refuse(format!(
            "is not allowed to modify labels: {}",
            labels.join(", ")
        ))
    }
}

/// What of the labels that differ is not for kubelets, sorted.
fn forbidden<'a>(
    old: Option<&'a Map<String, Value>>,
    new: Option<&'a Map<String, Value>>,
) -> Vec<&'a str> {
    let value = |of: Option<&'a Map<String, Value>>, key: &str| of.and_then(|of| of.get(key));
    let keys = [old, new].into_iter().flatten().flat_map(Map::keys);
    let changed = keys.filter(|key| value(old, key) != value(new, key));
    let all: BTreeSet<&str> = changed
        .map(String::as_str)
        .filter(|key| !is_free(key))
        .collect();
    all.into_iter().collect()
}

fn is_free(key: &str) -> bool {
    let domain = key.split_once('/').map_or("", |(domain, _)| domain);
    let below = |of: &str| {
        let sub = domain.strip_suffix(of);
        sub.is_some_and(|sub| sub.is_empty() || sub.ends_with('.'))
    };
    let own = LABELS.contains(&key) || DOMAINS.iter().any(|of| below(of));
    let reserved = below("kubernetes.io") || below("k8s.io");
    !below(RESTRICTED) && (own || !reserved)
}
