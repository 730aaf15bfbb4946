//! `autoscaling/v1` and `v2`: the older version has one metric, the CPU utilization, as a field of its own. What else
//! a v2 autoscaler has is kept in annotations for clients of v1, as kube-apiserver does it.

use serde_json::{Map, Value, json};

use crate::kube::object::conform;
use crate::kube::schema::Schema;

/// Annotations that hold what v1 has no field for. Their content is v2's form of it.
const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const CURRENT: &str = "autoscaling.alpha.kubernetes.io/current-metrics";

/// v1 of what is stored.
pub(super) fn from_v2(stored: &Value) -> Value {
    let mut object = stored.clone();
    set(
        &mut object,
        &[],
        "apiVersion",
        Some("autoscaling/v1".into()),
    );
    let metrics = take(&mut object, &["spec"], "metrics");
    let (cpu, others) = split(metrics, |metric| {
        let target = metric.pointer("/resource/target")?;
        (target.get("type")? == "Utilization").then(|| target.get("averageUtilization").cloned())?
    });
    set(
        &mut object,
        &["spec"],
        "targetCPUUtilizationPercentage",
        cpu,
    );
    let current = take(&mut object, &["status"], "currentMetrics");
    let (cpu, other_current) = split(current, |metric| {
        metric
            .pointer("/resource/current/averageUtilization")
            .cloned()
    });
    set(
        &mut object,
        &["status"],
        "currentCPUUtilizationPercentage",
        cpu,
    );
    let behavior = take(&mut object, &["spec"], "behavior");
    let conditions = take(&mut object, &["status"], "conditions");
    for (name, value) in [
        (METRICS, others),
        (BEHAVIOR, behavior),
        (CONDITIONS, conditions),
        (CURRENT, other_current),
    ] {
        if let Some(value) = value.filter(|value| !is_empty(value)) {
            annotate(&mut object, name, &value);
        }
    }
    conformed(object, "v1")
}

/// What is stored for v1.
pub(super) fn to_v2(object: &Value) -> Value {
    let mut stored = object.clone();
    set(
        &mut stored,
        &[],
        "apiVersion",
        Some("autoscaling/v2".into()),
    );
    let target = take(&mut stored, &["spec"], "targetCPUUtilizationPercentage");
    let cpu = target.map(|percent| {
        json!({
            "type": "Resource",
            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}},
        })
    });
    let metrics = join(cpu, annotated(&mut stored, METRICS));
    set(&mut stored, &["spec"], "metrics", metrics);
    let current = take(&mut stored, &["status"], "currentCPUUtilizationPercentage");
    let cpu = current.map(|percent| {
        json!({
            "type": "Resource",
            "resource": {"name": "cpu", "current": {"averageUtilization": percent, "averageValue": "0"}},
        })
    });
    let current = join(cpu, annotated(&mut stored, CURRENT));
    set(&mut stored, &["status"], "currentMetrics", current);
    let behavior = annotated(&mut stored, BEHAVIOR);
    set(&mut stored, &["spec"], "behavior", behavior);
    let conditions = annotated(&mut stored, CONDITIONS);
    set(&mut stored, &["status"], "conditions", conditions);
    conformed(stored, "v2")
}

/// The CPU's number and the other metrics.
fn split(
    metrics: Option<Value>,
    number: impl Fn(&Value) -> Option<Value>,
) -> (Option<Value>, Option<Value>) {
    let Some(Value::Array(metrics)) = metrics else {
        return (None, None);
    };
    let mut found = None;
    let mut others = Vec::new();
    for metric in metrics {
        let cpu = metric
            .pointer("/resource/name")
            .is_some_and(|name| name == "cpu");
        match number(&metric).filter(|_| cpu && found.is_none()) {
            Some(number) => found = Some(number),
            None => others.push(metric),
        }
    }
    (found, Some(others.into()))
}

fn join(cpu: Option<Value>, others: Option<Value>) -> Option<Value> {
    let others = match others {
        Some(Value::Array(others)) => others,
        _ => Vec::new(),
    };
    let all: Vec<Value> = cpu.into_iter().chain(others).collect();
    (!all.is_empty()).then(|| all.into())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Null => true,
        _ => false,
    }
}

fn part<'a>(object: &'a mut Value, path: &[&str]) -> Option<&'a mut Map<String, Value>> {
    let mut at = object;
    for key in path {
        at = at.get_mut(*key)?;
    }
    at.as_object_mut()
}

fn take(object: &mut Value, path: &[&str], key: &str) -> Option<Value> {
    part(object, path)?.shift_remove(key)
}

fn set(object: &mut Value, path: &[&str], key: &str, value: Option<Value>) {
    if let (Some(part), Some(value)) = (part(object, path), value) {
        part.insert(key.into(), value);
    }
}

fn annotate(object: &mut Value, name: &str, value: &Value) {
    if let Some(metadata) = part(object, &["metadata"]) {
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(name.into(), value.to_string().into());
        }
    }
}

/// Takes an annotation out and reads it; one that cannot be read is dropped, as kube-apiserver does.
fn annotated(object: &mut Value, name: &str) -> Option<Value> {
    let annotations = part(object, &["metadata", "annotations"])?;
    let text = annotations.shift_remove(name)?;
    let empty = annotations.is_empty();
    if empty && let Some(metadata) = part(object, &["metadata"]) {
        metadata.shift_remove("annotations");
    }
    serde_json::from_str(text.as_str()?).ok()
}

fn conformed(tree: Value, version: &str) -> Value {
    let schema = Schema::built_in();
    let of = schema.kind("autoscaling", version, "HorizontalPodAutoscaler");
    let conformed = of.and_then(|of| conform(schema, of, &tree).ok());
    conformed.map_or(tree, |conformed| conformed.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn autoscaler(spec: &Value, status: &Value) -> Value {
        json!({
            "kind": "HorizontalPodAutoscaler",
            "apiVersion": "autoscaling/v2",
            "metadata": {"name": "h", "namespace": "n"},
            "spec": spec,
            "status": status,
        })
    }

    #[test]
    fn the_cpu_is_a_field_of_v1_and_the_rest_an_annotation() {
        let memory = json!({
            "type": "Resource",
            "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}},
        });
        let cpu = json!({
            "type": "Resource",
            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
        });
        let stored = autoscaler(
            &json!({
                "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"},
                "minReplicas": 1,
                "maxReplicas": 3,
                "metrics": [cpu, memory],
            }),
            &json!({"desiredReplicas": 0, "currentMetrics": null}),
        );
        let old = from_v2(&stored);
        assert_eq!(old["apiVersion"], "autoscaling/v1");
        assert_eq!(old["spec"]["targetCPUUtilizationPercentage"], 80);
        assert!(old["spec"].get("metrics").is_none());
        let new = to_v2(&old);
        assert_eq!(new["spec"], stored["spec"]);
        assert!(new["metadata"].get("annotations").is_none());
    }
}
