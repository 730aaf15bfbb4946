//! Quotas and ranges of limits.

use super::cursor::{At, Errors};
use super::{names, resources};
use crate::kube::amount::Amount;
use crate::kube::field::quoted;

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
        resources::any_name(name, &at, errors);
        if !name.contains('/') && !resources::is_standard_for_quota(name) {
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
