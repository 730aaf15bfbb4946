//! Which changes count as a new generation.

use serde_json::Value;

use super::Object;
use crate::kube::schema::{ObjectType, Resource};
use crate::kube::tree::{self, set_in_order, set_sorted};

/// The count of changes of a daemon set's template, kept where older API versions had a field.
pub(super) const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// Whether an update of the object itself makes a new generation.
pub(super) fn counts(resource: &Resource, old: &Value, new: &Value) -> bool {
    let differ = |path: &[&str]| tree::get(old, path) != tree::get(new, path);
    match (&*resource.group, &*resource.plural) {
        // Deployments copy their annotations to their replica sets.
        ("apps", "deployments") => differ(&["spec"]) || differ(&["metadata", "annotations"]),
        ("", "podtemplates") => differ(&["template"]),
        ("admissionregistration.k8s.io", plural) if plural.ends_with("webhookconfigurations") => {
            differ(&["webhooks"])
        }
        ("discovery.k8s.io", "endpointslices") => {
            ["addressType", "endpoints", "ports"]
                .iter()
                .any(|f| differ(&[f]))
                || differ(&["metadata", "labels"])
        }
        ("scheduling.k8s.io", "priorityclasses") => false,
        // The only one that counts without having begun to.
        ("storage.k8s.io", "csidrivers") => differ(&["spec"]),
        _ => resource.generation && resource.object.is_some() && differ(&["spec"]),
    }
}

pub(super) fn set(of: &ObjectType, metadata: &mut Object, generation: i64) {
    set_in_order(of, metadata, "generation", generation.into());
}

pub(super) fn count(of: &ObjectType, metadata: &mut Object) {
    let so_far = metadata.get("generation").and_then(Value::as_i64);
    set(of, metadata, so_far.unwrap_or(0).saturating_add(1));
}

/// The template generation that an object says, 0 without.
pub(super) fn of_template(object: &Value) -> i64 {
    let said = tree::text(object, &["metadata", "annotations", TEMPLATE_GENERATION]);
    said.parse().unwrap_or(0)
}

pub(super) fn set_of_template(of: &ObjectType, metadata: &mut Object, generation: i64) {
    if let Some(annotations) = tree::make(of, metadata, "annotations") {
        set_sorted(
            annotations,
            TEMPLATE_GENERATION,
            generation.to_string().into(),
        );
    }
}
