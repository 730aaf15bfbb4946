//! Defaults of pods and of what pod templates hold.

use serde_json::{Map, Value};

use super::image;
use crate::kube::amount::Amount;
use crate::kube::schema::{ObjectType, Schema};
use crate::kube::tree::{self, child, remove, set_in_order, set_sorted, type_of, unset};

/// Annotations that once held init containers; they are dropped wherever a pod is converted.
const INIT_CONTAINER_ANNOTATIONS: [&str; 4] = [
    "pod.beta.kubernetes.io/init-containers",
    "pod.alpha.kubernetes.io/init-containers",
    "pod.beta.kubernetes.io/init-container-statuses",
    "pod.alpha.kubernetes.io/init-container-statuses",
];

/// What pods have and templates have not.
pub(super) fn pod(schema: &Schema, of: &ObjectType, pod: &mut Map<String, Value>) {
    drop_annotations(pod);
    let (Some(spec_type), Some(spec)) = (type_of(schema, of, "spec"), tree::make(of, pod, "spec"))
    else {
        return;
    };
    let host_network = spec.get("hostNetwork") == Some(&Value::Bool(true));
    for list in ["initContainers", "containers"] {
        for container in containers(spec, list) {
            requests_from_limits(container);
            if host_network {
                host_ports(schema, container);
            }
        }
    }
    pod_level_resources(schema, spec);
    if unset(spec_type, spec, "enableServiceLinks") {
        set_in_order(spec_type, spec, "enableServiceLinks", true.into());
    }
    let period = spec.get("terminationGracePeriodSeconds");
    if period
        .and_then(Value::as_i64)
        .is_some_and(|period| period < 0)
    {
        spec.insert("terminationGracePeriodSeconds".into(), 1.into());
    }
}

/// `serviceAccount` is the old name of `serviceAccountName`; both always say the same.
pub(super) fn spec(_: &Schema, of: &ObjectType, spec: &mut Map<String, Value>) {
    let name = ["serviceAccountName", "serviceAccount"]
        .iter()
        .find(|field| !unset(of, spec, field))
        .and_then(|field| spec.get(*field).cloned());
    if let Some(name) = name {
        set_in_order(of, spec, "serviceAccountName", name.clone());
        set_in_order(of, spec, "serviceAccount", name);
    }
}

/// `podIP` is the first of `podIPs`.
pub(super) fn status(schema: &Schema, of: &ObjectType, status: &mut Map<String, Value>) {
    first_of(schema, of, status, "podIP", "podIPs", |ip| {
        Map::from_iter([("ip".to_owned(), ip)]).into()
    });
}

/// Keeps a field and the list of which it is the first in step, as the release's conversions do.
pub(super) fn first_of(
    _: &Schema,
    of: &ObjectType,
    map: &mut Map<String, Value>,
    one: &str,
    all: &str,
    wrap: fn(Value) -> Value,
) {
    let first = map.get(all).and_then(|all| all.get(0)).cloned();
    let said = (!unset(of, map, one))
        .then(|| map.get(one).cloned())
        .flatten();
    match (said, first) {
        (Some(said), first) => {
            let entry = wrap(said);
            if first.as_ref() != Some(&entry) {
                set_in_order(of, map, all, vec![entry].into());
            }
        }
        (None, Some(first)) => {
            let value = first.get("ip").cloned().unwrap_or(first);
            set_in_order(of, map, one, value);
        }
        (None, None) => {}
    }
}

pub(super) fn template(_: &Schema, _: &ObjectType, template: &mut Map<String, Value>) {
    drop_annotations(template);
}

pub(super) fn container(_: &Schema, of: &ObjectType, container: &mut Map<String, Value>) {
    if unset(of, container, "imagePullPolicy") {
        let image = container.get("image").and_then(Value::as_str);
        let policy = pull_policy(image.unwrap_or_default());
        set_in_order(of, container, "imagePullPolicy", policy.into());
    }
}

pub(super) fn volume(schema: &Schema, of: &ObjectType, volume: &mut Map<String, Value>) {
    let source = |(key, value): (&String, &Value)| key != "name" && !value.is_null();
    if !volume.iter().any(source) {
        set_in_order(of, volume, "emptyDir", Map::new().into());
    }
    let image_type = type_of(schema, of, "image");
    if let (Some(of), Some(image)) = (image_type, child(volume, "image"))
        && unset(of, image, "pullPolicy")
    {
        let reference = image.get("reference").and_then(Value::as_str);
        let policy = pull_policy(reference.unwrap_or_default());
        set_in_order(of, image, "pullPolicy", policy.into());
    }
}

fn pull_policy(image: &str) -> &'static str {
    if image::is_latest(image) {
        "Always"
    } else {
        "IfNotPresent"
    }
}

fn drop_annotations(object: &mut Map<String, Value>) {
    let Some(metadata) = child(object, "metadata") else {
        return;
    };
    let Some(annotations) = child(metadata, "annotations") else {
        return;
    };
    let mut dropped = false;
    for name in INIT_CONTAINER_ANNOTATIONS {
        dropped |= remove(annotations, name).is_some();
    }
    if dropped && annotations.is_empty() {
        remove(metadata, "annotations");
    }
}

fn containers<'a>(
    spec: &'a mut Map<String, Value>,
    list: &str,
) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    let list = spec.get_mut(list).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// Who says a limit and no request asks for the limit.
fn requests_from_limits(container: &mut Map<String, Value>) {
    let Some(resources) = child(container, "resources") else {
        return;
    };
    let Some(limits) = resources.get("limits").and_then(Value::as_object).cloned() else {
        return;
    };
    add_missing(resources, "requests", limits);
}

/// Adds the amounts that a resource list of `resources` does not have.
fn add_missing(resources: &mut Map<String, Value>, list: &str, more: Map<String, Value>) {
    if more.is_empty() {
        return;
    }
    // `limits`, `requests`, `claims`: the order of ResourceRequirements.
    if resources.get(list).is_none_or(Value::is_null) {
        let at = match list {
            "limits" => 0,
            _ => usize::from(resources.contains_key("limits")),
        };
        remove(resources, list);
        resources.shift_insert(at, list.into(), Map::new().into());
    }
    if let Some(list) = child(resources, list) {
        for (name, amount) in more {
            if !list.contains_key(&name) {
                set_sorted(list, &name, amount);
            }
        }
    }
}

/// A port of a pod in the host's network is the host's port.
fn host_ports(schema: &Schema, container: &mut Map<String, Value>) {
    let Some(of) = schema
        .find("core/v1.ContainerPort")
        .map(|id| schema.get(id))
    else {
        return;
    };
    let ports = container.get_mut("ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten().filter_map(Value::as_object_mut) {
        if unset(of, port, "hostPort")
            && let Some(number) = port.get("containerPort").cloned()
            && !tree::is_zero(&number)
        {
            set_in_order(of, port, "hostPort", number);
        }
    }
}

/// Requests and limits of a pod as a whole, from those of its containers.
fn pod_level_resources(_: &Schema, spec: &mut Map<String, Value>) {
    let said = |spec: &Map<String, Value>, list: &str| {
        let list = spec.get("resources").and_then(|all| all.get(list));
        list.and_then(Value::as_object).cloned().unwrap_or_default()
    };
    if spec.get("resources").and_then(Value::as_object).is_none() {
        return;
    }
    let (limits, requests) = (said(spec, "limits"), said(spec, "requests"));
    if limits.is_empty() && requests.is_empty() {
        return;
    }
    let huge: Map<String, Value> = totals(spec, "limits")
        .into_iter()
        .filter(|(name, _)| name.starts_with("hugepages-") && !requests.contains_key(name))
        .collect();
    if let Some(resources) = child(spec, "resources") {
        add_missing(resources, "limits", huge);
    }
    let limits = said(spec, "limits");
    if limits.is_empty() {
        return;
    }
    let supported = |name: &str| matches!(name, "cpu" | "memory") || name.starts_with("hugepages-");
    let asked: Map<String, Value> = totals(spec, "requests")
        .into_iter()
        .filter(|(name, _)| matches!(name.as_str(), "cpu" | "memory"))
        .collect();
    let limits: Map<String, Value> = limits.into_iter().filter(|(n, _)| supported(n)).collect();
    if let Some(resources) = child(spec, "resources") {
        add_missing(resources, "requests", asked);
        add_missing(resources, "requests", limits);
    }
}

/// What the containers of a pod ask for together: all that run at once, or the most that an init container
/// asks for beside the sidecars started before it.
fn totals(spec: &Map<String, Value>, list: &str) -> Map<String, Value> {
    let amounts = |container: &Value| -> Vec<(String, Amount)> {
        tree::entries(container, &["resources", list])
            .filter_map(|(name, value)| Some((name.to_owned(), Amount::parse(value.as_str()?)?)))
            .collect()
    };
    type Sum = std::collections::BTreeMap<String, Amount>;
    let add = |sum: &mut Sum, more: Vec<(String, Amount)>| {
        for (name, amount) in more {
            let total = sum.get(&name).map_or(amount, |so_far| so_far.plus(amount));
            sum.insert(name, total);
        }
    };
    let most = |sum: &mut Sum, other: Sum| {
        for (name, amount) in other {
            let total = sum
                .get(&name)
                .map_or(amount, |so_far| (*so_far).max(amount));
            sum.insert(name, total);
        }
    };
    let of = |key: &str| {
        spec.get(key)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let mut sum = Sum::new();
    for container in of("containers") {
        add(&mut sum, amounts(&container));
    }
    let (mut sidecars, mut init) = (Sum::new(), Sum::new());
    for container in of("initContainers") {
        if tree::text(&container, &["restartPolicy"]) == "Always" {
            add(&mut sum, amounts(&container));
            add(&mut sidecars, amounts(&container));
            most(&mut init, sidecars.clone());
        } else {
            let mut beside = sidecars.clone();
            add(&mut beside, amounts(&container));
            most(&mut init, beside);
        }
    }
    most(&mut sum, init);
    sum.into_iter()
        .map(|(name, amount)| (name, amount.to_string().into()))
        .collect()
}
