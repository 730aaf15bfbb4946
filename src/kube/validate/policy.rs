//! Budgets, autoscalers, priorities, quotas and ranges.

use super::cursor::{At, Errors};
use super::workload::{amount, at_most_all};
use super::{internal, names, resources, selector};
use crate::kube::amount::Amount;
use crate::kube::field::quoted;

pub(super) fn budget(spec: &At<'_>, errors: &mut Errors) {
    let (least, most) = (spec.field("minAvailable"), spec.field("maxUnavailable"));
    if least.is_set() && most.is_set() {
        let shown = internal::shown("policy/v1.PodDisruptionBudgetSpec", spec.value);
        let why = "minAvailable and maxUnavailable cannot be both set";
        errors.bad_value(spec, shown, why);
    }
    for at in [&least, &most] {
        if at.is_set() {
            amount(at, errors);
            at_most_all(at, errors);
        }
    }
    selector::label_selector(&spec.field("selector"), errors);
    let policy = spec.field("unhealthyPodEvictionPolicy");
    if policy.is_set() && !matches!(policy.text(), "AlwaysAllow" | "IfHealthyBudget") {
        errors.not_supported(&policy, &["AlwaysAllow", "IfHealthyBudget"]);
    }
}

pub(super) fn autoscaler(spec: &At<'_>, errors: &mut Errors) {
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
    target(&spec.field("scaleTargetRef"), errors);
    for metric in spec.field("metrics").items() {
        one_metric(&metric, errors);
    }
    for direction in ["scaleUp", "scaleDown"] {
        if let Some(rules) = spec.down(&["behavior"]).some(direction) {
            scaling_rules(&rules, errors);
        }
    }
}

fn target(reference: &At<'_>, errors: &mut Errors) {
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
        "object" => target(&source.field("describedObject"), errors),
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

pub(super) fn priority_class(class: &At<'_>, errors: &mut Errors) {
    const SYSTEM: [(&str, i64); 2] = [
        ("system-cluster-critical", 2_000_000_000),
        ("system-node-critical", 2_000_001_000),
    ];
    let (name, value) = (class.down(&["metadata", "name"]), class.field("value"));
    let number = value.int().unwrap_or(0);
    if name.text().starts_with("system-") {
        let known = SYSTEM.iter().find(|(of, _)| name.is(of));
        let error = match known {
            None => format!("{} is not a known system priority class", name.text()),
            Some((of, fixed)) if *fixed != number => {
                format!("value of {of} PriorityClass must be {fixed}")
            }
            Some((of, _)) if class.field("globalDefault").is_true() => {
                format!("globalDefault of {of} PriorityClass must be false")
            }
            Some(_) => String::new(),
        };
        if !error.is_empty() {
            let why = format!(
                "priority class names with 'system-' prefix are reserved for system use only. error: {error}"
            );
            errors.forbidden(&name, why);
        }
    } else if number > 1_000_000_000 {
        let why = "maximum allowed value of a user defined priority is 1000000000";
        errors.forbidden(&value, why);
    }
    if let Some(policy) = class.some("preemptionPolicy") {
        errors.one_of(&policy, &["PreemptLowerPriority", "Never"]);
    }
}

pub(super) fn priority_class_update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    if new.field("value").int().unwrap_or(0) != old.field("value").int().unwrap_or(0) {
        errors.forbidden(&new.field("value"), "may not be changed in an update.");
    }
    let policy = "preemptionPolicy";
    errors.immutable(&new.field(policy), &old.field(policy));
}

const SCOPES: [&str; 7] = [
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
];

pub(super) fn quota(object: &At<'_>, errors: &mut Errors) {
    let spec = object.field("spec");
    amounts(&spec.field("hard"), errors);
    scopes(&spec, errors);
    for list in ["hard", "used"] {
        amounts(&object.down(&["status", list]), errors);
    }
}

/// Names and amounts of a quota.
pub(super) fn amounts(list: &At<'_>, errors: &mut Errors) {
    for (name, at) in list.entries() {
        let counted = name.starts_with("count/");
        let messages = names::qualified(name);
        let right = messages.is_empty();
        for message in messages {
            errors.bad_value(&at, quoted(name), message);
        }
        let known = counted
            || resources::is_standard(name)
            || matches!(
                name,
                "requests.ephemeral-storage" | "limits.ephemeral-storage"
            );
        if right && !name.contains('/') && !known {
            let why = "must be a standard resource for quota";
            errors.bad_value(&at, quoted(name), why);
        }
        resources::quantity(name, &at, errors);
    }
}

fn scopes(spec: &At<'_>, errors: &mut Errors) {
    let scopes = spec.field("scopes");
    let texts = scopes.texts();
    for scope in &texts {
        if !SCOPES.contains(scope) {
            errors.invalid(&scopes, "unsupported scope");
        }
        let compute = |name: &str| {
            let plain = name
                .trim_start_matches("requests.")
                .trim_start_matches("limits.");
            matches!(plain, "cpu" | "memory" | "ephemeral-storage")
        };
        for (name, _) in spec.field("hard").entries() {
            let fits = match *scope {
                "BestEffort" => name == "pods",
                "VolumeAttributesClass" => name.contains("storage") || name.contains("claims"),
                _ => name == "pods" || compute(name),
            };
            if SCOPES.contains(scope) && resources::is_standard(name) && !fits {
                errors.invalid(&scopes, "unsupported scope applied to resource");
            }
        }
    }
    for (one, other) in [
        ("BestEffort", "NotBestEffort"),
        ("NotTerminating", "Terminating"),
    ] {
        if texts.contains(&one) && texts.contains(&other) {
            errors.invalid(&scopes, "conflicting scopes");
        }
    }
}

pub(super) fn quota_update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let spec = new.field("spec");
    amounts(&spec.field("hard"), errors);
    scopes(&spec, errors);
    if scope_set(new) != scope_set(old) {
        errors.invalid(&spec.field("scopes"), super::cursor::IMMUTABLE);
    }
}

fn scope_set<'a>(quota: &At<'a>) -> Vec<&'a str> {
    let mut texts = quota.down(&["spec", "scopes"]).texts();
    texts.sort_unstable();
    texts.dedup();
    texts
}

pub(super) fn limit_range(spec: &At<'_>, errors: &mut Errors) {
    let mut seen: Vec<&str> = Vec::new();
    for limit in spec.field("limits").items() {
        let kind = limit.field("type");
        errors.bad_texts(&kind, names::qualified(kind.text()));
        if names::qualified(kind.text()).is_empty()
            && !kind.text().contains('/')
            && !matches!(kind.text(), "Pod" | "Container" | "PersistentVolumeClaim")
        {
            let why = "must be a standard limit type or fully qualified";
            errors.bad_text(&kind, why);
        }
        if seen.contains(&kind.text()) {
            errors.duplicate(&kind);
        }
        seen.push(kind.text());
        limit_item(&limit, kind.text(), errors);
    }
}

fn limit_item(limit: &At<'_>, kind: &str, errors: &mut Errors) {
    let mut keys: Vec<&str> = Vec::new();
    for list in [
        "max",
        "min",
        "default",
        "defaultRequest",
        "maxLimitRequestRatio",
    ] {
        let at = limit.field(list);
        if kind == "Pod" && matches!(list, "default" | "defaultRequest") {
            if !at.is_empty() {
                errors.forbidden(&at, "may not be specified when `type` is 'Pod'");
            }
            continue;
        }
        if kind == "PersistentVolumeClaim" && list == "maxLimitRequestRatio" {
            let storage = |list: &str| limit.field(list).field("storage").is_set();
            if !storage("min") && !storage("max") {
                let why =
                    "either minimum or maximum storage value is required, but neither was provided";
                errors.required(&limit.field("limits"), why);
            }
        }
        for (name, amount) in at.entries() {
            if matches!(kind, "Pod" | "Container") {
                resources::container_name(name, &amount, errors);
            } else {
                resources::any_name(name, &amount, errors);
            }
            if !keys.contains(&name) {
                keys.push(name);
            }
        }
    }
    keys.sort_unstable();
    for key in keys {
        limit_amounts(limit, key, errors);
    }
}

fn limit_amounts(limit: &At<'_>, key: &str, errors: &mut Errors) {
    let at = |list: &str| {
        let list = limit.field(list);
        let path = format!("{}[{key}]", list.path);
        list.field(key).named(path)
    };
    let of = |list: &str| resources::amount(&at(list));
    let (min, max) = (of("min"), of("max"));
    let (default, request) = (of("default"), of("defaultRequest"));
    let mut ordered =
        |low: Option<Amount>, high: Option<Amount>, place: &str, shown: bool, why: [&str; 2]| {
            if let (Some(low), Some(high)) = (low, high)
                && low > high
            {
                let value = if shown { low } else { high };
                let text = format!(
                    "{} value {low} is greater than {} value {high}",
                    why[0], why[1]
                );
                errors.bad_value(&at(place), quoted(&value.to_string()), text);
            }
        };
    ordered(min, max, "min", true, ["min", "max"]);
    ordered(
        min,
        request,
        "defaultRequest",
        false,
        ["min", "default request"],
    );
    ordered(
        request,
        max,
        "defaultRequest",
        true,
        ["default request", "max"],
    );
    ordered(
        request,
        default,
        "defaultRequest",
        true,
        ["default request", "default limit"],
    );
    ordered(min, default, "default", true, ["min", "default"]);
    ordered(default, max, "default", false, ["default", "max"]);
    if let (Some(ratio), Some(one)) = (of("maxLimitRequestRatio"), Amount::parse("1"))
        && ratio < one
    {
        let why = format!("ratio {ratio} is less than 1");
        errors.bad_text(&at("maxLimitRequestRatio"), why);
    }
}
