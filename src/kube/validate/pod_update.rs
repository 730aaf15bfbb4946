//! What may change of a pod.

use serde_json::Value;

use super::cursor::{At, Errors};
use super::pod::{MIRROR, metadata_and_spec};
use super::{container, ip, metadata, names, scheduling};
use crate::kube::schema::Resource;

const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

const MUTABLE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// An update of a pod that runs or waits.
pub(super) fn update(resource: &Resource, new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let meta = new.field("metadata");
    metadata::update_of_kind(resource, &meta, &old.field("metadata"), errors);
    metadata_and_spec(resource, new, errors);
    fixed_annotations(
        &meta.field("annotations"),
        &old.down(&["metadata", "annotations"]),
        errors,
    );
    let (spec, before) = (new.field("spec"), old.field("spec"));
    for list in ["containers", "initContainers"] {
        let containers = spec.field(list);
        if containers.len() != before.field(list).len() {
            let why = "pod updates may not add or remove containers";
            return errors.forbidden(&containers, why);
        }
        for container in containers.items() {
            let image = container.field("image");
            if image.is_empty() {
                errors.required(&image, "");
            }
            container::padding(&container, errors);
        }
    }
    if !deadline(&spec, &before, errors) {
        return;
    }
    tolerations(
        &spec.field("tolerations"),
        &before.field("tolerations"),
        errors,
    );
    let known: Vec<&str> = before
        .field("schedulingGates")
        .items()
        .map(|gate| gate.field("name").text())
        .collect();
    for gate in spec.field("schedulingGates").items() {
        let name = gate.field("name");
        if !known.contains(&name.text()) {
            let gate = name.text();
            let why = format!("only deletion is allowed, but found new scheduling gate '{gate}'");
            errors.forbidden(&name, why);
        }
    }
    let changed = other_changes(spec.value, before.value, !known.is_empty());
    if !changed.is_empty() {
        let why = format!("pod updates may not change fields other than {MUTABLE}\n{changed}");
        errors.forbidden(&spec, why);
    }
}

fn fixed_annotations(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    for (key, value) in old.entries() {
        if new.field(key).value == value.value {
            continue;
        }
        let place = value.named(format!("{}[{key}]", new.path));
        if key.starts_with(APP_ARMOR) {
            errors.forbidden(&place, "may not remove or update AppArmor annotations");
        }
        if key == MIRROR {
            errors.forbidden(&place, "may not remove or update mirror pod annotation");
        }
    }
    for (key, value) in new.entries() {
        if old.field(key).is_set() {
            continue;
        }
        if key.starts_with(APP_ARMOR) {
            errors.forbidden(&value, "may not add AppArmor annotations");
        }
        if key == MIRROR {
            errors.forbidden(&value, "may not add mirror pod annotation");
        }
    }
}

/// Whether there is any use in looking further.
fn deadline(new: &At<'_>, old: &At<'_>, errors: &mut Errors) -> bool {
    let at = new.field("activeDeadlineSeconds");
    let (now, before) = (at.int(), old.field("activeDeadlineSeconds").int());
    match (now, before) {
        (Some(now), _) if !(0..=i64::from(i32::MAX)).contains(&now) => {
            errors.bad_int(&at, names::in_range(0, i64::from(i32::MAX)));
            return false;
        }
        (Some(now), Some(before)) if before < now => {
            errors.bad_int(&at, "must be less than or equal to previous value");
            return false;
        }
        (None, Some(_)) => {
            errors.invalid(&at, "must not update from a positive integer to nil value");
        }
        _ => {}
    }
    true
}

fn tolerations(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let without_time = |toleration: &Value| {
        let mut toleration = toleration.clone();
        if let Some(map) = toleration.as_object_mut() {
            map.shift_remove("tolerationSeconds");
        }
        toleration
    };
    let now: Vec<Value> = new.items().map(|one| without_time(one.value)).collect();
    if old
        .items()
        .any(|one| !now.contains(&without_time(one.value)))
    {
        let why = "existing toleration can not be modified except its tolerationSeconds";
        return errors.forbidden(new, why);
    }
    scheduling::tolerations(new, errors);
}

/// The fields of a spec that changed and may not have, a line for what was and one for what is.
fn other_changes(new: &Value, old: &Value, gated: bool) -> String {
    let (Some(new), Some(old)) = (new.as_object(), old.as_object()) else {
        return String::new();
    };
    let mut lines = String::new();
    let keys = old
        .keys()
        .chain(new.keys().filter(|key| !old.contains_key(*key)));
    for key in keys {
        let (now, before) = (new.get(key), old.get(key));
        let free = match key.as_str() {
            "activeDeadlineSeconds" | "tolerations" | "schedulingGates" => true,
            "containers" | "initContainers" => without_images(now) == without_images(before),
            "nodeSelector" | "affinity" => gated,
            "terminationGracePeriodSeconds" => {
                before
                    .and_then(Value::as_i64)
                    .is_some_and(|seconds| seconds < 0)
                    && now.and_then(Value::as_i64) == Some(1)
            }
            _ => false,
        };
        if !free && now != before {
            for (sign, value) in [('-', before), ('+', now)] {
                if let Some(value) = value {
                    lines.push_str(&format!("{sign} {key}: {value}\n"));
                }
            }
        }
    }
    lines
}

fn without_images(containers: Option<&Value>) -> Vec<Value> {
    let containers = containers.and_then(Value::as_array).into_iter().flatten();
    let each = containers.map(|container| {
        let mut container = container.clone();
        if let Some(map) = container.as_object_mut() {
            map.shift_remove("image");
        }
        container
    });
    each.collect()
}

/// What a kubelet or controller says of a pod.
pub(super) fn status(resource: &Resource, new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let meta = new.field("metadata");
    metadata::update_of_kind(resource, &meta, &old.field("metadata"), errors);
    fixed_annotations(
        &meta.field("annotations"),
        &old.down(&["metadata", "annotations"]),
        errors,
    );
    let status = new.field("status");
    for condition in status.field("conditions").items() {
        let kind = condition.field("type");
        if !matches!(kind.text(), "PodScheduled" | "Ready" | "Initialized") {
            let place = kind.named(condition.field("Type").path);
            errors.bad_texts(&place, names::qualified(kind.text()));
        }
    }
    let node = status.field("nominatedNodeName");
    if !node.is_empty() && node.value != old.down(&["status", "nominatedNodeName"]).value {
        errors.bad_texts(&node, names::subdomain(node.text()));
    }
    let class = status.field("qosClass");
    errors.immutable(&class, &old.down(&["status", "qosClass"]));
    for list in ["podIPs", "hostIPs"] {
        for address in status.field(list).items() {
            ip::address(&address.field("ip").named(address.path.as_str()), errors);
        }
    }
}

/// What is added to a running pod stays as it is.
pub(super) fn ephemeral(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let place = new.down(&["spec", "ephemeralContainers"]);
    for before in old.down(&["spec", "ephemeralContainers"]).items() {
        let name = before.field("name").text();
        let now = place.items().find(|one| one.field("name").is(name));
        let why = match now {
            None => "removed",
            Some(now) if now.value != before.value => "changed",
            Some(_) => continue,
        };
        let why = format!("existing ephemeral containers {name:?} may not be {why}\n");
        errors.forbidden(&place, why);
    }
}
