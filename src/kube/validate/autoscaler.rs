//! Autoscalers.

use super::cursor::{At, Errors};
use super::{names, resources};
use crate::kube::amount::Amount;

/// `grouped` where the scaled kind has to say its API group, as of version 2.
pub(super) fn autoscaler(spec: &At<'_>, grouped: bool, errors: &mut Errors) {
    let (least, most) = (spec.field("minReplicas"), spec.field("maxReplicas"));
    if least.int().is_some_and(|count| count < 1) {
        errors.bad_int(&least, "must be greater than or equal to 1");
    }
    match most.int().unwrap_or(0) {
        0 => errors.required(&most, "must be set and greater than 0"),
        count if count < 0 => errors.bad_int(&most, "must be greater than or equal to 1"),
        _ => {}
    }
    if least
        .int()
        .is_some_and(|least| most.int().unwrap_or(0) < least)
    {
        errors.bad_int(&most, "must be greater than or equal to `minReplicas`");
    }
    target(&spec.field("scaleTargetRef"), grouped, errors);
    for metric in spec.field("metrics").items() {
        one_metric(&metric, errors);
    }
    for direction in ["scaleUp", "scaleDown"] {
        if let Some(rules) = spec.down(&["behavior"]).some(direction) {
            scaling_rules(&rules, errors);
        }
    }
}

fn target(reference: &At<'_>, grouped: bool, errors: &mut Errors) {
    for name in ["kind", "name"] {
        let field = reference.field(name);
        if field.is_empty() {
            errors.required(&field, "");
        } else {
            errors.bad_texts(&field, names::path_segment(field.text()));
        }
    }
    let version = reference.field("apiVersion");
    if version.text().matches('/').count() > 1 {
        let why = format!("unexpected GroupVersion string: {}", version.text());
        errors.bad_text(&version, why);
    } else if grouped && !version.text().contains('/') {
        errors.bad_text(&version, "apiVersion must specify API group");
    }
}

fn scaling_rules(rules: &At<'_>, errors: &mut Errors) {
    let window = rules.field("stabilizationWindowSeconds");
    match window.int() {
        Some(seconds) if seconds < 0 => {
            errors.bad_int(&window, "must be greater than or equal to zero");
        }
        Some(seconds) if seconds > 3600 => {
            errors.bad_int(&window, "must be less than or equal to 3600");
        }
        _ => {}
    }
    let select = rules.field("selectPolicy");
    if select.is_set() && !matches!(select.text(), "Max" | "Min" | "Disabled") {
        errors.not_supported(&select, &["Disabled", "Max", "Min"]);
    }
    let policies = rules.field("policies");
    if policies.is_empty() {
        errors.required(&policies, "must specify at least one Policy");
    }
    for policy in policies.items() {
        let kind = policy.field("type");
        if !matches!(kind.text(), "Pods" | "Percent") {
            errors.not_supported(&kind, &["Percent", "Pods"]);
        }
        for name in ["value", "periodSeconds"] {
            if policy.field(name).int().unwrap_or(0) <= 0 {
                errors.bad_int(&policy.field(name), "must be greater than zero");
            }
        }
        let period = policy.field("periodSeconds");
        if period.int().is_some_and(|seconds| seconds > 1800) {
            errors.bad_int(&period, "must be less than or equal to 1800");
        }
    }
    if resources::amount(&rules.field("tolerance")).is_some_and(|share| share < Amount::ZERO) {
        errors.bad_text(
            &rules.field("tolerance"),
            "must be greater than or equal to 0",
        );
    }
}

fn one_metric(metric: &At<'_>, errors: &mut Errors) {
    const KINDS: [(&str, &str); 5] = [
        ("Object", "object"),
        ("External", "external"),
        ("Pods", "pods"),
        ("Resource", "resource"),
        ("ContainerResource", "containerResource"),
    ];
    const NAMES: [&str; 5] = [
        "ContainerResource",
        "External",
        "Object",
        "Pods",
        "Resource",
    ];
    let kind = metric.field("type");
    if kind.is_empty() {
        errors.required(&kind, "must specify a metric source type");
    }
    let known = KINDS.iter().find(|(name, _)| kind.is(name));
    if known.is_none() {
        errors.not_supported(&kind, &NAMES);
    }
    let present: Vec<&str> = KINDS
        .iter()
        .map(|(_, field)| *field)
        .filter(|field| metric.field(field).is_set())
        .collect();
    if let Some(first) = present.first() {
        metric_source(&metric.field(first), first, errors);
    }
    match known {
        Some((_, field)) if !metric.field(field).is_set() => {
            let why = "must populate information for the given metric source";
            errors.required(&metric.field(field), why);
        }
        Some(_) => {}
        None => errors.not_supported(&kind, &NAMES),
    }
    if present.len() != 1 {
        for field in present
            .iter()
            .filter(|field| known.is_none_or(|(_, own)| own != *field))
        {
            let why = "must populate the given metric source only";
            errors.forbidden(&metric.field(field), why);
        }
    }
}

fn metric_source(source: &At<'_>, kind: &str, errors: &mut Errors) {
    let goal = source.field("target");
    let (value, average, share) = (
        goal.field("value"),
        goal.field("averageValue"),
        goal.field("averageUtilization"),
    );
    match kind {
        "object" => target(&source.field("describedObject"), false, errors),
        "resource" | "containerResource" => {
            let name = source.field("name");
            if name.is_empty() {
                errors.required(&name, "must specify a resource name");
            }
            let container = source.field("container");
            if kind == "containerResource" && container.is_empty() {
                errors.required(&container, "must specify a container");
            }
        }
        _ => {}
    }
    if matches!(kind, "object" | "external" | "pods") {
        let name = source.down(&["metric", "name"]);
        if name.is_empty() {
            errors.required(&name, "must specify a metric name");
        } else {
            errors.bad_texts(&name, names::path_segment(name.text()));
        }
    }
    metric_target(&goal, errors);
    match kind {
        "object" if !value.is_set() && !average.is_set() => {
            errors.required(&average, "must set either a target value or averageValue");
        }
        "external" => {
            if !value.is_set() && !average.is_set() {
                let why = "must set either a target value for metric or a per-pod target";
                errors.required(&average, why);
            }
            if value.is_set() && average.is_set() {
                let why = "may not set both a target value for metric and a per-pod target";
                errors.forbidden(&value, why);
            }
        }
        "pods" if !average.is_set() => {
            errors.required(&average, "must specify a positive target averageValue");
        }
        "resource" | "containerResource" => {
            if !share.is_set() && !average.is_set() {
                let why = "must set either a target raw value or a target utilization";
                errors.required(&share, why);
            }
            if share.is_set() && average.is_set() {
                let why = "may not set both a target raw value and a target utilization";
                errors.forbidden(&average, why);
            }
        }
        _ => {}
    }
}

fn metric_target(goal: &At<'_>, errors: &mut Errors) {
    let kind = goal.field("type");
    if kind.is_empty() {
        errors.required(&kind, "must specify a metric target type");
    }
    if !matches!(kind.text(), "Utilization" | "Value" | "AverageValue") {
        errors.bad_text(&kind, "must be either Utilization, Value, or AverageValue");
    }
    for name in ["value", "averageValue"] {
        let at = goal.field(name);
        if resources::amount(&at).is_some_and(|amount| amount <= Amount::ZERO) {
            errors.bad_text(&at, "must be positive");
        }
    }
    let share = goal.field("averageUtilization");
    if share.int().is_some_and(|share| share < 1) {
        errors.bad_int(&share, "must be greater than 0");
    }
}
