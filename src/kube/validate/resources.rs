//! Resource names and amounts.

use super::cursor::{At, Errors};
use super::names;
use crate::kube::amount::Amount;
use crate::kube::field::{FieldError, quoted};

const CONTAINER: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
const STANDARD: [&str; 20] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "storage",
    "requests.storage",
    "services.nodeports",
    "services.loadbalancers",
];
/// Counted in wholes.
const WHOLE: [&str; 9] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];

pub(super) fn amount(at: &At<'_>) -> Option<Amount> {
    Amount::parse(at.text())
}

pub(super) fn is_huge_pages(name: &str) -> bool {
    name.starts_with("hugepages-")
}

fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

pub(super) fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && names::qualified(&format!("requests.{name}")).is_empty()
}

fn may_overcommit(name: &str) -> bool {
    is_native(name) && !is_huge_pages(name)
}

/// Whether a name without a prefix is one that quotas and limits know.
pub(super) fn is_standard(name: &str) -> bool {
    STANDARD.contains(&name) || is_huge_pages(name) || name.starts_with("requests.hugepages-")
}

/// Any resource name. Whether it is right.
pub(super) fn any_name(name: &str, at: &At<'_>, errors: &mut Errors) -> bool {
    let messages = names::qualified(name);
    let right = messages.is_empty();
    for message in messages {
        errors.bad_value(at, quoted(name), message);
    }
    if right && !name.contains('/') && !is_standard(name) {
        let why = "must be a standard resource type or fully qualified";
        errors.bad_value(at, quoted(name), why);
        return false;
    }
    right
}

pub(super) fn container_name(name: &str, at: &At<'_>, errors: &mut Errors) {
    any_name(name, at, errors);
    if !name.contains('/') {
        if !CONTAINER.contains(&name) && !is_huge_pages(name) {
            let why = "must be a standard resource for containers";
            errors.bad_value(at, quoted(name), why);
        }
    } else if !is_native(name) && !is_extended(name) {
        let why = "doesn't follow extended resource name standard";
        errors.bad_value(at, quoted(name), why);
    }
}

fn pod_name(name: &str, at: &At<'_>, errors: &mut Errors) {
    if !any_name(name, at, errors) {
        return;
    }
    if !matches!(name, "cpu" | "memory") && !is_huge_pages(name) {
        let known = ["cpu", "hugepages-", "memory"];
        errors
            .0
            .push(FieldError::not_supported(&at.path, name, &known));
    }
}

/// Not negative, and whole where halves make no sense.
pub(super) fn quantity(name: &str, at: &At<'_>, errors: &mut Errors) {
    let Some(amount) = amount(at) else {
        return;
    };
    if amount < Amount::ZERO {
        errors.bad_text(at, "must be greater than or equal to 0");
    }
    if (WHOLE.contains(&name) || is_extended(name)) && amount.millis() % 1000 != 0 {
        errors.bad_text(at, "must be an integer");
    }
}

/// Pages come in their size.
fn pages(name: &str, at: &At<'_>, errors: &mut Errors) {
    let size = name.strip_prefix("hugepages-").and_then(Amount::parse);
    let (Some(size), Some(amount)) = (size, amount(at)) else {
        return;
    };
    let whole = size > Amount::ZERO && size.is_whole() && amount.units() % size.units() == 0;
    if !whole {
        let why = format!("{amount} is not positive integer multiple of {name}");
        errors.bad_text(at, why);
    }
}

type NameRule = fn(&str, &At<'_>, &mut Errors);

/// Requests and limits of a container.
pub(super) fn of_container(resources: &At<'_>, claims: &[&str], errors: &mut Errors) {
    requirements(resources, container_name, claims, errors);
}

/// Requests and limits of a pod as a whole.
pub(super) fn of_pod(resources: &At<'_>, claims: &[&str], errors: &mut Errors) {
    if resources.field("claims").is_set() {
        let why = "claims may not be set for Resources at pod-level";
        errors.forbidden(&resources.field("claims"), why);
    }
    requirements(resources, pod_name, claims, errors);
}

fn requirements(resources: &At<'_>, rule: NameRule, claims: &[&str], errors: &mut Errors) {
    let (limits, requests) = (resources.field("limits"), resources.field("requests"));
    let (mut computes, mut pages_used) = (false, false);
    for (name, at) in limits.entries() {
        rule(name, &at, errors);
        quantity(name, &at, errors);
        if is_huge_pages(name) {
            pages_used = true;
            pages(name, &at, errors);
        }
        computes |= matches!(name, "cpu" | "memory");
    }
    for (name, at) in requests.entries() {
        rule(name, &at, errors);
        quantity(name, &at, errors);
        within_limit(name, &at, &limits, &requests, errors);
        if is_huge_pages(name) {
            pages_used = true;
            pages(name, &at, errors);
        }
        computes |= matches!(name, "cpu" | "memory");
    }
    if !computes && pages_used {
        errors.forbidden(resources, "HugePages require cpu or memory");
    }
    claim_names(&resources.field("claims"), claims, errors);
}

fn within_limit(
    name: &str,
    request: &At<'_>,
    limits: &At<'_>,
    requests: &At<'_>,
    errors: &mut Errors,
) {
    let limit = limits.field(name);
    if !limit.is_set() {
        if !may_overcommit(name) {
            errors.required(limits, "Limit must be set for non overcommitable resources");
        }
        return;
    }
    let (Some(asked), Some(most)) = (amount(request), amount(&limit)) else {
        return;
    };
    if asked != most && !may_overcommit(name) {
        let why = format!("must be equal to {name} limit of {most}");
        errors.bad_value(requests, quoted(request.text()), why);
    } else if asked > most {
        let why = format!("must be less than or equal to {name} limit of {most}");
        errors.bad_value(requests, quoted(request.text()), why);
    }
}

fn claim_names(used: &At<'_>, claims: &[&str], errors: &mut Errors) {
    let mut seen: Vec<String> = Vec::new();
    for claim in used.items() {
        let name = claim.field("name").text();
        if name.is_empty() {
            errors.required(&claim, "");
            continue;
        }
        let request = claim.field("request");
        let key = if request.is_empty() {
            name.to_owned()
        } else {
            errors.bad_texts(&request, names::dns_label(request.text()));
            format!("{name}/{}", request.text())
        };
        if seen.contains(&key) || seen.iter().any(|one| one == name) {
            let error = FieldError::duplicate(&claim.path, quoted(&key));
            errors.0.push(error);
        }
        seen.push(key);
        if !claims.contains(&name) {
            let mut sorted = claims.to_vec();
            sorted.sort_unstable();
            let mut error = FieldError::not_found(&claim.path, quoted(name));
            error.detail = if sorted.is_empty() {
                "must be one of the names in pod.spec.resourceClaims which is empty".into()
            } else {
                let all = sorted.join(", ");
                format!("must be one of the names in pod.spec.resourceClaims: {all}")
            };
            errors.0.push(error);
        }
    }
}
