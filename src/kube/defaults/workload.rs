//! Defaults of workloads and of the autoscaler.

use serde_json::{Map, Value, json};

use crate::kube::schema::{ObjectType, Schema};
use crate::kube::tree::{self, child, make, set_in_order, type_of, unset};

type Object = Map<String, Value>;

/// Sets `(field, value)` where nothing is set.
fn fill<const N: usize>(of: &ObjectType, map: &mut Object, fields: [(&str, Value); N]) {
    for (field, value) in fields {
        if unset(of, map, field) {
            set_in_order(of, map, field, value);
        }
    }
}

/// The labels of a template, if it has any.
fn template_labels(object: &Object) -> Option<Value> {
    let labels = object
        .get("spec")?
        .get("template")?
        .get("metadata")?
        .get("labels")?;
    (!tree::is_zero(labels)).then(|| labels.clone())
}

fn labels_from_template(schema: &Schema, of: &ObjectType, object: &mut Object, labels: Value) {
    if let (Some(of), Some(metadata)) = (
        type_of(schema, of, "metadata"),
        make(of, object, "metadata"),
    ) {
        fill(of, metadata, [("labels", labels)]);
    }
}

pub(super) fn replication_controller(schema: &Schema, of: &ObjectType, controller: &mut Object) {
    let Some(labels) = template_labels(controller) else {
        return;
    };
    if let (Some(of), Some(spec)) = (type_of(schema, of, "spec"), child(controller, "spec")) {
        fill(of, spec, [("selector", labels.clone())]);
    }
    labels_from_template(schema, of, controller, labels);
}

fn rolling_update<const N: usize>(
    schema: &Schema,
    of: &ObjectType,
    strategy: &mut Object,
    fields: [(&str, Value); N],
) {
    if strategy.get("type").and_then(Value::as_str) != Some("RollingUpdate") {
        return;
    }
    let inner = type_of(schema, of, "rollingUpdate");
    if let (Some(inner), Some(rolling)) = (inner, make(of, strategy, "rollingUpdate")) {
        fill(inner, rolling, fields);
    }
}

pub(super) fn deployment_strategy(schema: &Schema, of: &ObjectType, strategy: &mut Object) {
    let quarter = || Value::from("25%");
    let fields = [("maxUnavailable", quarter()), ("maxSurge", quarter())];
    rolling_update(schema, of, strategy, fields);
}

pub(super) fn daemon_set_strategy(schema: &Schema, of: &ObjectType, strategy: &mut Object) {
    let fields = [("maxUnavailable", 1.into()), ("maxSurge", 0.into())];
    rolling_update(schema, of, strategy, fields);
}

/// Unlike its siblings it makes no `rollingUpdate` where the type was said.
pub(super) fn stateful_set_strategy(schema: &Schema, of: &ObjectType, strategy: &mut Object) {
    if unset(of, strategy, "type") {
        set_in_order(of, strategy, "type", "RollingUpdate".into());
    } else if unset(of, strategy, "rollingUpdate") {
        return;
    }
    rolling_update(schema, of, strategy, [("partition", 0.into())]);
}

/// Claim templates name their kind, whatever was sent.
pub(super) fn stateful_set_spec(schema: &Schema, _: &ObjectType, spec: &mut Object) {
    let Some(of) = schema.find("core/v1.PersistentVolumeClaim") else {
        return;
    };
    let of = schema.get(of);
    let claims = spec
        .get_mut("volumeClaimTemplates")
        .and_then(Value::as_array_mut);
    for claim in claims
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
    {
        set_in_order(of, claim, "kind", "PersistentVolumeClaim".into());
        set_in_order(of, claim, "apiVersion", "v1".into());
    }
}

pub(super) fn job(schema: &Schema, of: &ObjectType, job: &mut Object) {
    let labels = template_labels(job);
    if let (Some(of), Some(spec)) = (type_of(schema, of, "spec"), make(of, job, "spec")) {
        if unset(of, spec, "completions") && unset(of, spec, "parallelism") {
            set_in_order(of, spec, "completions", 1.into());
        }
        let by_index = !unset(of, spec, "backoffLimitPerIndex");
        let replacement = if unset(of, spec, "podFailurePolicy") {
            "TerminatingOrFailed"
        } else {
            "Failed"
        };
        let fields = [
            ("parallelism", 1.into()),
            ("backoffLimit", if by_index { i32::MAX } else { 6 }.into()),
            ("completionMode", "NonIndexed".into()),
            ("suspend", false.into()),
            ("podReplacementPolicy", replacement.into()),
            ("manualSelector", false.into()),
        ];
        fill(of, spec, fields);
    }
    if let Some(labels) = labels {
        labels_from_template(schema, of, job, labels);
    }
}

/// A behavior that says something about one direction gets the rules of both.
pub(super) fn scaling_behavior(schema: &Schema, of: &ObjectType, behavior: &mut Object) {
    let Some(rules_type) = type_of(schema, of, "scaleUp") else {
        return;
    };
    if let Some(up) = make(of, behavior, "scaleUp") {
        let policies = json!([
            {"type": "Pods", "value": 4, "periodSeconds": 15},
            {"type": "Percent", "value": 100, "periodSeconds": 15},
        ]);
        let fields = [
            ("stabilizationWindowSeconds", 0.into()),
            ("selectPolicy", "Max".into()),
            ("policies", policies),
        ];
        fill(rules_type, up, fields);
    }
    if let Some(down) = make(of, behavior, "scaleDown") {
        let policies = json!([{"type": "Percent", "value": 100, "periodSeconds": 15}]);
        fill(
            rules_type,
            down,
            [("selectPolicy", "Max".into()), ("policies", policies)],
        );
    }
}
