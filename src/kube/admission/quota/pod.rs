//! What a pod is counted as: the resources that it asks for as a whole, until it has come to its end.
//!
//! Rules: `k8s.io/component-helpers/resource` and the pod evaluator of `k8s.io/kubernetes/pkg/quota/v1`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::list::{self, List};
use crate::kube::amount::Amount;
use crate::kube::object::meta;
use crate::kube::strategy;
use crate::kube::tree::{get, int, items, text};

/// Names that pods are counted under, besides those of [`is_prefixed`] and [`is_extended`].
const NAMES: [&str; 11] = [
    "count/pods",
    "cpu",
    "ephemeral-storage",
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "memory",
    "pods",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
/// A quota of one of these wants every container to say how much it needs.
const REQUIRED: [&str; 6] = [
    "cpu",
    "limits.cpu",
    "limits.memory",
    "memory",
    "requests.cpu",
    "requests.memory",
];
const REQUESTS: &str = "requests.";
const HUGE_PAGES: &str = "hugepages-";
const DEVICE_CLASS: &str = "deviceclass.resource.kubernetes.io/";

/// Whether pods are counted under a name.
pub(super) fn counts(name: &str) -> bool {
    NAMES.contains(&name) || is_prefixed(name) || is_extended(name)
}

fn is_prefixed(name: &str) -> bool {
    let name = name.strip_prefix(REQUESTS).unwrap_or(name);
    name.starts_with(HUGE_PAGES)
}

/// Names without a domain, and those below `kubernetes.io/`, are Kubernetes' own.
fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// Whether a quota of this name is one of an extended resource.
pub(super) fn is_extended(name: &str) -> bool {
    let Some(resource) = name.strip_prefix(REQUESTS) else {
        return false;
    };
    !is_native(name) || resource.starts_with(DEVICE_CLASS)
}

/// Whether a resource that a container asks for is not Kubernetes' own.
pub(in crate::kube::admission) fn is_asked_extended(name: &str) -> bool {
    !is_native(name) && !name.starts_with(REQUESTS)
}

/// What is wrong with a pod if quotas limit `restricted`.
pub(super) fn missing(pod: &Value, restricted: &[&String]) -> Option<String> {
    if is_set(pod, "requests") || is_set(pod, "limits") {
        return None;
    }
    let required = restricted
        .iter()
        .filter(|name| REQUIRED.contains(&name.as_str()));
    let required: Vec<&&String> = required.collect();
    let mut missing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for container in both(pod) {
        let said = named(
            &list::at(container, &["resources", "requests"]),
            &list::at(container, &["resources", "limits"]),
        );
        for name in required
            .iter()
            .filter(|name| !said.contains_key(name.as_str()))
        {
            let of = missing.entry(name).or_default();
            of.insert(text(container, &["name"]));
        }
    }
    if missing.is_empty() {
        return None;
    }
    let each = missing.iter().map(|(name, of)| {
        let of: Vec<&str> = of.iter().copied().collect();
        format!("{name} for: {}", of.join(","))
    });
    let each: Vec<String> = each.collect();
    Some(format!("must specify {}", each.join("; ")))
}

fn both(pod: &Value) -> impl Iterator<Item = &Value> {
    let containers = items(pod, &["spec", "containers"]).iter();
    containers.chain(items(pod, &["spec", "initContainers"]))
}

/// What a pod is counted as. At its end it is an object and nothing else.
pub(super) fn usage(pod: &Value, now: SystemTime) -> List {
    let mut all = List::from([("count/pods".to_owned(), Amount::count(1))]);
    if !is_over(pod, now) {
        list::add(&mut all, &named(&requests(pod, true), &limits(pod)));
    }
    all
}

/// Whether it has ended, or should have: a node that is lost tells nobody.
fn is_over(pod: &Value, now: SystemTime) -> bool {
    if matches!(text(pod, &["status", "phase"]), "Failed" | "Succeeded") {
        return true;
    }
    let deleted = meta::deletion_timestamp(pod).and_then(strategy::parse_time);
    let grace = meta::deletion_grace_period(pod);
    let (Some(deleted), Some(grace)) = (deleted, grace) else {
        return false;
    };
    let grace = Duration::from_secs(u64::try_from(grace).unwrap_or_default());
    deleted.checked_add(grace).is_some_and(|end| now > end)
}

/// Under which names requests and limits are counted.
fn named(requests: &List, limits: &List) -> List {
    let mut all = List::from([("pods".to_owned(), Amount::count(1))]);
    for name in ["cpu", "memory", "ephemeral-storage"] {
        if let Some(amount) = requests.get(name) {
            all.insert(name.to_owned(), *amount);
            all.insert(format!("{REQUESTS}{name}"), *amount);
        }
        if let Some(amount) = limits.get(name) {
            all.insert(format!("limits.{name}"), *amount);
        }
    }
    for (name, amount) in requests {
        if name.starts_with(HUGE_PAGES) {
            all.insert(name.clone(), *amount);
            all.insert(format!("{REQUESTS}{name}"), *amount);
        }
        if is_asked_extended(name) || name.starts_with(DEVICE_CLASS) {
            all.insert(format!("{REQUESTS}{name}"), *amount);
        }
    }
    all
}

/// Whether a resource can be asked for by the pod as a whole.
fn is_of_pods(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || name.starts_with(HUGE_PAGES)
}

/// Whether the pod as a whole asks for something under a key of its resources.
fn is_set(pod: &Value, key: &str) -> bool {
    let all = list::at(pod, &["spec", "resources", key]);
    all.keys().any(|name| is_of_pods(name))
}

/// What a pod asks for. What its node has given it counts too if `given`.
pub(in crate::kube::admission) fn requests(pod: &Value, given: bool) -> List {
    let mut all = together(pod, "requests", given);
    if is_set(pod, "requests") {
        all.extend(of_pod(pod, "requests"));
    }
    list::add(&mut all, &list::at(pod, &["spec", "overhead"]));
    all
}

fn limits(pod: &Value) -> List {
    let mut all = together(pod, "limits", true);
    all.extend(of_pod(pod, "limits"));
    for (name, more) in list::at(pod, &["spec", "overhead"]) {
        // What has no limit has none with overhead either.
        if let Some(limit) = all.get_mut(&name)
            && *limit != Amount::ZERO
        {
            *limit = limit.plus(more);
        }
    }
    all
}

fn of_pod(pod: &Value, key: &str) -> impl Iterator<Item = (String, Amount)> {
    let all = list::at(pod, &["spec", "resources", key]).into_iter();
    all.filter(|(name, _)| is_of_pods(name))
}

/// What containers need at once, or one after the other before they start.
fn together(pod: &Value, key: &str, given: bool) -> List {
    let infeasible = is_infeasible(pod);
    let needs = |container: &Value, status: &str| {
        let wanted = list::at(container, &["resources", key]);
        let of = text(container, &["name"]);
        let mut all = items(pod, &["status", status]).iter();
        match all.find(|one| text(one, &["name"]) == of) {
            Some(one) if given && get(one, &["resources"]).is_some() => {
                effective(wanted, one, key, infeasible)
            }
            _ => wanted,
        }
    };
    let mut all = List::new();
    for container in items(pod, &["spec", "containers"]) {
        list::add(&mut all, &needs(container, "containerStatuses"));
    }
    let (mut staying, mut before) = (List::new(), List::new());
    for container in items(pod, &["spec", "initContainers"]) {
        if text(container, &["restartPolicy"]) == "Always" {
            let needs = needs(container, "initContainerStatuses");
            list::add(&mut all, &needs);
            list::add(&mut staying, &needs);
            list::raise(&mut before, &staying);
        } else {
            let mut at_once = list::at(container, &["resources", key]);
            list::add(&mut at_once, &staying);
            list::raise(&mut before, &at_once);
        }
    }
    list::raise(&mut all, &before);
    all
}

/// What a container has while it is resized: the most of what is wanted and what its node has given it.
fn effective(wanted: List, status: &Value, key: &str, infeasible: bool) -> List {
    let mut all = if infeasible { List::new() } else { wanted };
    list::raise(&mut all, &list::at(status, &["resources", key]));
    if key == "requests" {
        list::raise(&mut all, &list::at(status, &["allocatedResources"]));
    }
    all
}

/// Whether the node has said that it will never be able to resize the pod.
fn is_infeasible(pod: &Value) -> bool {
    let mut all = items(pod, &["status", "conditions"]).iter();
    let pending = all.find(|one| text(one, &["type"]) == "PodResizePending");
    pending.is_some_and(|one| text(one, &["reason"]) == "Infeasible")
}

/// Whether a pod is to end by itself after some time.
pub(super) fn is_terminating(pod: &Value) -> bool {
    int(pod, &["spec", "activeDeadlineSeconds"]).is_some_and(|seconds| seconds >= 0)
}

/// Whether a pod asks for no resources at all.
pub(in crate::kube::admission) fn is_best_effort(pod: &Value) -> bool {
    let class = text(pod, &["status", "qosClass"]);
    let class = if class.is_empty() {
        strategy::qos_class(pod)
    } else {
        class
    };
    class == "BestEffort"
}

/// Whether a pod wants to be near to or far from pods of other namespaces.
pub(super) fn looks_abroad(pod: &Value) -> bool {
    let abroad = |term: &Value| {
        !items(term, &["namespaces"]).is_empty() || get(term, &["namespaceSelector"]).is_some()
    };
    ["podAffinity", "podAntiAffinity"].iter().any(|kind| {
        let terms = |key| items(pod, &["spec", "affinity", kind, key]).iter();
        let preferred = terms("preferredDuringSchedulingIgnoredDuringExecution");
        terms("requiredDuringSchedulingIgnoredDuringExecution").any(abroad)
            || preferred
                .filter_map(|one| get(one, &["podAffinityTerm"]))
                .any(abroad)
    })
}
