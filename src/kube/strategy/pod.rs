//! Pods: their first status, what scheduling rules mean, and updates of a part.

use serde_json::{Value, json};

use super::{Context, Object, qos};
use crate::kube::schema::{ObjectType, Resource};
use crate::kube::tree::{self, keep, set_in_order};

pub(super) fn create(cx: &Context<'_>, of: &ObjectType, pod: &mut Value) {
    let class = qos::class(pod);
    let mut status = Object::from_iter([("phase".to_owned(), json!("Pending"))]);
    if !tree::items(pod, &["spec", "schedulingGates"]).is_empty() {
        let gated = json!([{
            "type": "PodScheduled",
            "status": "False",
            "lastProbeTime": null,
            "lastTransitionTime": cx.stamp(),
            "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
        }]);
        status.insert("conditions".into(), gated);
    }
    status.insert("qosClass".into(), class.into());
    label_keys(pod);
    if let Some(pod) = pod.as_object_mut() {
        set_in_order(of, pod, "status", status.into());
    }
}

/// Terms that name label keys get the values that the pod has for them.
fn label_keys(pod: &mut Value) {
    let labels = tree::get(pod, &["metadata", "labels"]).cloned();
    let labels = labels.unwrap_or(Value::Null);
    let Some(spec) = pod.get_mut("spec") else {
        return;
    };
    for constraint in list_mut(spec, &["topologySpreadConstraints"]) {
        select(constraint, "matchLabelKeys", "In", &labels);
    }
    for side in ["podAffinity", "podAntiAffinity"] {
        let required = [
            "affinity",
            side,
            "requiredDuringSchedulingIgnoredDuringExecution",
        ];
        for term in list_mut(spec, &required) {
            select(term, "matchLabelKeys", "In", &labels);
            select(term, "mismatchLabelKeys", "NotIn", &labels);
        }
        let preferred = [
            "affinity",
            side,
            "preferredDuringSchedulingIgnoredDuringExecution",
        ];
        for weighted in list_mut(spec, &preferred) {
            if let Some(term) = weighted.get_mut("podAffinityTerm") {
                select(term, "matchLabelKeys", "In", &labels);
                select(term, "mismatchLabelKeys", "NotIn", &labels);
            }
        }
    }
}

fn list_mut<'a>(value: &'a mut Value, path: &[&str]) -> impl Iterator<Item = &'a mut Value> {
    let found = path.iter().try_fold(value, |at, key| at.get_mut(*key));
    found.and_then(Value::as_array_mut).into_iter().flatten()
}

fn select(term: &mut Value, keys: &str, operator: &str, labels: &Value) {
    let wanted: Vec<Value> = tree::items(term, &[keys])
        .iter()
        .filter_map(|key| {
            let value = labels.get(key.as_str()?)?;
            Some(json!({"key": key, "operator": operator, "values": [value]}))
        })
        .collect();
    if wanted.is_empty() {
        return;
    }
    if let Some(selector) = term.get_mut("labelSelector").and_then(Value::as_object_mut) {
        // The last of a selector's two fields.
        let list = selector
            .entry("matchExpressions")
            .or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.extend(wanted);
        }
    }
}

/// A status may not change the spec, nor who owns the pod; what it leaves unsaid stays.
pub(super) fn status(
    of: &ObjectType,
    status_type: &ObjectType,
    metadata: &ObjectType,
    new: &mut Object,
    old: &Object,
) {
    keep(of, new, old, "spec");
    if let (Some(new), Some(old)) = (tree::child(new, "metadata"), part(old, "metadata")) {
        keep(metadata, new, old, "deletionTimestamp");
        keep(metadata, new, old, "ownerReferences");
    }
    let (Some(new), Some(old)) = (tree::child(new, "status"), part(old, "status")) else {
        return;
    };
    for field in ["qosClass", "observedGeneration"] {
        if tree::unset(status_type, new, field) {
            keep(status_type, new, old, field);
        }
    }
    let mut seen = old
        .get("conditions")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let conditions = new.get_mut("conditions").and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten() {
        let kind = tree::text(condition, &["type"]);
        let Some(at) = seen.iter().position(|c| tree::text(c, &["type"]) == kind) else {
            continue;
        };
        let before = seen.remove(at);
        let generation = before
            .get("observedGeneration")
            .filter(|g| !tree::is_zero(g))
            .cloned();
        if let (Some(generation), Some(map)) = (generation, condition.as_object_mut())
            && map.get("observedGeneration").is_none_or(tree::is_zero)
        {
            tree::remove(map, "observedGeneration");
            // The second field of a condition.
            map.shift_insert(1.min(map.len()), "observedGeneration".into(), generation);
        }
    }
}

pub(super) fn part<'a>(object: &'a Object, key: &str) -> Option<&'a Object> {
    object.get(key).and_then(Value::as_object)
}

/// Only the ephemeral containers of what was sent count.
pub(super) fn ephemeral_containers(spec_type: &ObjectType, new: &mut Object, old: &Object) {
    let wanted = part(new, "spec").and_then(|spec| spec.get("ephemeralContainers").cloned());
    let Some(mut spec) = part(old, "spec").cloned() else {
        return;
    };
    match wanted {
        Some(wanted) => set_in_order(spec_type, &mut spec, "ephemeralContainers", wanted),
        None => {
            tree::remove(&mut spec, "ephemeralContainers");
        }
    }
    new.insert("spec".into(), spec.into());
}

/// Only resources and resize policies of what was sent count, if the containers are the same.
pub(super) fn resize(cx: &Context<'_>, spec_type: &ObjectType, new: &mut Object, old: &Object) {
    let (Some(wanted), Some(before)) = (part(new, "spec").cloned(), part(old, "spec")) else {
        return;
    };
    let Some(container) = cx
        .schema
        .find("core/v1.Container")
        .map(|id| cx.schema.get(id))
    else {
        return;
    };
    let list = |spec: &Object, key: &str| -> Vec<Value> {
        spec.get(key)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let lists = ["initContainers", "containers"];
    if lists
        .iter()
        .any(|key| list(&wanted, key).len() != list(before, key).len())
    {
        return;
    }
    let mut spec = before.clone();
    keep(spec_type, &mut spec, &wanted, "resources");
    for key in lists {
        let (new_list, mut merged) = (list(&wanted, key), list(before, key));
        let names = |list: &[Value]| -> Vec<String> {
            list.iter()
                .map(|c| tree::text(c, &["name"]).to_owned())
                .collect()
        };
        if names(&new_list) != names(&merged) {
            merged = new_list;
        } else {
            for (merged, wanted) in merged.iter_mut().zip(&new_list) {
                if let (Some(merged), Some(wanted)) = (merged.as_object_mut(), wanted.as_object()) {
                    keep(container, merged, wanted, "resources");
                    keep(container, merged, wanted, "resizePolicy");
                }
            }
        }
        if !merged.is_empty() {
            set_in_order(spec_type, &mut spec, key, merged.into());
        }
    }
    new.insert("spec".into(), spec.into());
}

/// Whether this is the pods resource.
pub(super) fn is(resource: &Resource) -> bool {
    resource.group.is_empty() && &*resource.plural == "pods"
}
