//! Where pods may run: affinity, tolerations, spreading.

use super::cursor::{At, Errors};
use super::{names, selector};
use crate::kube::field::{FieldError, quoted};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

pub(super) fn affinity(affinity: &At<'_>, errors: &mut Errors) {
    if let Some(node) = affinity.some("nodeAffinity") {
        if let Some(required) = node.some(REQUIRED) {
            selector::node_selector(&required, true, errors);
        }
        for term in node.field(PREFERRED).items() {
            weight(&term, errors);
            selector::node_selector_term(&term.field("preference"), false, errors);
        }
    }
    for side in ["podAffinity", "podAntiAffinity"] {
        let Some(pods) = affinity.some(side) else {
            continue;
        };
        for term in pods.field(REQUIRED).items() {
            pod_term(&term, errors);
        }
        for weighted in pods.field(PREFERRED).items() {
            weight(&weighted, errors);
            pod_term(&weighted.field("podAffinityTerm"), errors);
        }
    }
}

fn weight(term: &At<'_>, errors: &mut Errors) {
    let weight = term.field("weight");
    if !(1..=100).contains(&weight.int().unwrap_or(0)) {
        errors.bad_int(&weight, "must be in the range 1-100");
    }
}

fn pod_term(term: &At<'_>, errors: &mut Errors) {
    selector::label_selector(&term.field("labelSelector"), errors);
    selector::label_selector(&term.field("namespaceSelector"), errors);
    for name in term.field("namespaces").items() {
        let said = name.named(term.field("namespace").path);
        errors.bad_texts(&said, names::dns_label(name.text()));
    }
    label_keys(term, errors);
    let key = term.field("topologyKey");
    if key.is_empty() {
        errors.required(&key, "can not be empty");
    }
    errors.bad_texts(&key, names::qualified(key.text()));
}

fn label_keys(term: &At<'_>, errors: &mut Errors) {
    let selector = term.field("labelSelector");
    for list in ["matchLabelKeys", "mismatchLabelKeys"] {
        let keys = term.field(list);
        if keys.is_empty() {
            continue;
        }
        if !selector.is_set() {
            let why = "must not be specified when labelSelector is not set";
            errors.forbidden(&keys, why);
            continue;
        }
        for key in keys.items() {
            errors.bad_texts(&key, names::qualified(key.text()));
        }
    }
    let mismatch = term.field("mismatchLabelKeys").texts();
    for key in term.field("matchLabelKeys").items() {
        if mismatch.contains(&key.text()) {
            let why = "exists in both matchLabelKeys and mismatchLabelKeys";
            errors.bad_text(&key, why);
        }
    }
}

pub(super) fn tolerations(tolerations: &At<'_>, errors: &mut Errors) {
    for toleration in tolerations.items() {
        let (key, operator) = (toleration.field("key"), toleration.field("operator"));
        if !key.is_empty() {
            errors.bad_texts(&key, names::qualified(key.text()));
        } else if !operator.is("Exists") {
            let why = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.bad_text(&operator, why);
        }
        let effect = toleration.field("effect");
        if toleration.field("tolerationSeconds").is_set() && !effect.is("NoExecute") {
            let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errors.bad_text(&effect, why);
        }
        let value = toleration.field("value").text();
        match operator.text() {
            "Equal" | "" => {
                let messages = names::label_value(value);
                if !messages.is_empty() {
                    errors.bad_value(&operator, quoted(value), messages.join(";"));
                }
            }
            "Exists" if !value.is_empty() => {
                let why = "value must be empty when `operator` is 'Exists'";
                errors.bad_value(&operator, quoted(value), why);
            }
            "Exists" => {}
            "Lt" | "Gt" => errors.not_supported(&operator, &["Equal", "Exists", "Lt", "Gt"]),
            _ => errors.not_supported(&operator, &["Equal", "Exists"]),
        }
        if !effect.is_empty() {
            taint_effect(&effect, errors);
        }
    }
}

pub(super) fn taint_effect(effect: &At<'_>, errors: &mut Errors) {
    errors.one_of(effect, &["NoSchedule", "PreferNoSchedule", "NoExecute"]);
}

pub(super) fn spread(constraints: &At<'_>, errors: &mut Errors) {
    let all: Vec<At<'_>> = constraints.items().collect();
    for (index, constraint) in all.iter().enumerate() {
        let skew = constraint.field("maxSkew");
        if skew.int().unwrap_or(0) <= 0 {
            errors.bad_int(&skew, "must be greater than zero");
        }
        let (key, action) = (
            constraint.field("topologyKey"),
            constraint.field("whenUnsatisfiable"),
        );
        if key.is_empty() {
            errors.required(&key, "can not be empty");
        }
        if !matches!(action.text(), "DoNotSchedule" | "ScheduleAnyway") {
            errors.not_supported(&action, &["DoNotSchedule", "ScheduleAnyway"]);
        }
        let again = all.iter().skip(index + 1).any(|other| {
            other.field("topologyKey").is(key.text())
                && other.field("whenUnsatisfiable").is(action.text())
        });
        if again {
            let path = constraint.field("{topologyKey, whenUnsatisfiable}").path;
            let value = format!("{{{}, {}}}", key.text(), action.text());
            errors.0.push(FieldError::duplicate(path, quoted(&value)));
        }
        minimum(constraint, &action, errors);
        for name in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            if let Some(policy) = constraint.some(name)
                && !matches!(policy.text(), "Honor" | "Ignore")
            {
                errors.not_supported(&policy, &["Honor", "Ignore"]);
            }
        }
        label_keys(constraint, errors);
        selector::label_selector(&constraint.field("labelSelector"), errors);
    }
}

fn minimum(constraint: &At<'_>, action: &At<'_>, errors: &mut Errors) {
    let Some(domains) = constraint.some("minDomains") else {
        return;
    };
    if domains.int().unwrap_or(0) <= 0 {
        errors.bad_int(&domains, "must be greater than zero");
    }
    if !action.is("DoNotSchedule") {
        let action = action.text();
        let why =
            format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
        errors.bad_int(&domains, why);
    }
}
