//! Disruption budgets and priorities.

use super::cursor::{At, Errors};
use super::workload::{amount, at_most_all};
use super::{internal, selector};

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
