//! The rows of what says how many there shall be.

use serde_json::Value;

use super::cells;
use super::value::{Subject, amount, dig, text};

pub(super) fn scale(of: Subject<'_>) -> Vec<Value> {
    let (wanted, present) = (of.number("spec.replicas"), of.number("status.replicas"));
    cells![of.name(), wanted, present, of.age()]
}

pub(super) fn autoscaler(of: Subject<'_>) -> Vec<Value> {
    let target = "spec.scaleTargetRef";
    let reference = format!(
        "{}/{}",
        text(of.dig(target), "kind"),
        text(of.dig(target), "name")
    );
    let least = match of.dig("spec.minReplicas") {
        Value::Number(number) => number.to_string(),
        _ => "<unset>".into(),
    };
    cells![
        of.name(),
        reference,
        metrics(of),
        least,
        of.number("spec.maxReplicas"),
        of.number("status.currentReplicas"),
        of.age(),
    ]
}

/// At most two metrics, each as `current/target`. The first version of the kind shows one of its own alone: whoever
/// has the object as it is stored, in the second version, gives that.
fn metrics(of: Subject<'_>) -> String {
    let (specs, statuses) = (of.list("spec.metrics"), of.list("status.currentMetrics"));
    let mut shown: Vec<String> = Vec::new();
    // The first version has this one metric only, in fields of its own.
    if of.has("spec.targetCPUUtilizationPercentage") {
        let current = percent(
            of.dig("status.currentCPUUtilizationPercentage"),
            "<unknown>",
        );
        let target = percent(of.dig("spec.targetCPUUtilizationPercentage"), "<auto>");
        shown.push(format!("cpu: {current}/{target}"));
    }
    for (at, spec) in specs.iter().enumerate() {
        shown.push(metric(spec, statuses.get(at).unwrap_or(&Value::Null)));
    }
    match shown.len() {
        0 => "<none>".into(),
        count @ 1..=2 => shown.get(..count).unwrap_or_default().join(", "),
        count => {
            let first = shown.get(..2).unwrap_or_default().join(", ");
            format!("{first} + {} more...", count - 2)
        }
    }
}

fn metric(spec: &Value, status: &Value) -> String {
    const UNKNOWN: &str = "<unknown>";
    let source = match text(spec, "type") {
        "External" => "external",
        "Pods" => "pods",
        "Object" => "object",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        _ => return "<unknown type>".into(),
    };
    let (spec, status) = (dig(spec, source), dig(status, source));
    let reported = !status.is_null();
    let target = |key: &str| dig(spec, "target").get(key);
    let current = |key: &str| dig(status, "current").get(key);
    let average = target("averageValue");
    let told = |value: Option<&Value>| match value {
        Some(value) => amount(value),
        // As Go prints a pointer to nothing.
        None if reported => "<nil>".into(),
        None => UNKNOWN.into(),
    };
    match (source, average) {
        ("external" | "object", Some(average)) => {
            let current = current("averageValue").map_or(UNKNOWN.into(), amount);
            format!("{current}/{} (avg)", amount(average))
        }
        ("external" | "object", None) => {
            let wanted = target("value").map_or("<nil>".into(), amount);
            format!("{}/{wanted}", told(current("value")))
        }
        ("pods", average) => {
            let wanted = average.map_or("<nil>".into(), amount);
            format!("{}/{wanted}", told(current("averageValue")))
        }
        (_, Some(average)) => {
            let current = told(current("averageValue"));
            format!("{}: {current}/{}", text(spec, "name"), amount(average))
        }
        (_, None) => {
            let current = percent(
                current("averageUtilization").unwrap_or(&Value::Null),
                UNKNOWN,
            );
            let wanted = percent(
                target("averageUtilization").unwrap_or(&Value::Null),
                "<auto>",
            );
            format!("{}: {current}/{wanted}", text(spec, "name"))
        }
    }
}

fn percent(value: &Value, instead: &str) -> String {
    value
        .as_i64()
        .map_or(instead.into(), |number| format!("{number}%"))
}
