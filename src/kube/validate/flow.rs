//! Flow schemas and priority levels.

use super::cursor::{At, Errors};
use super::names;
use crate::kube::field::FieldError;

pub(super) fn schema(object: &At<'_>, errors: &mut Errors) {
    let spec = object.field("spec");
    let precedence = spec.field("matchingPrecedence");
    let number = precedence.int().unwrap_or(0);
    if number <= 0 {
        errors.bad_int(&precedence, "must be a positive value");
    }
    if number > 10_000 {
        errors.bad_int(&precedence, "must not be greater than 10000");
    }
    if number == 1 && !object.down(&["metadata", "name"]).is("exempt") {
        let why = "only the schema named 'exempt' may have matchingPrecedence 1";
        errors.bad_int(&precedence, why);
    }
    if let Some(method) = spec.some("distinguisherMethod") {
        let kind = method.field("type");
        if !matches!(kind.text(), "ByNamespace" | "ByUser") {
            let mut error = FieldError::not_supported(&kind.path, "", &["ByNamespace", "ByUser"]);
            error.value =
                super::internal::shown("flowcontrol/v1.FlowDistinguisherMethod", method.value);
            errors.0.push(error);
        }
    }
    let level = spec.down(&["priorityLevelConfiguration", "name"]);
    if level.is_empty() {
        errors.required(&level, "must reference a priority level");
    } else {
        errors.bad_texts(&level, names::subdomain(level.text()));
    }
    for rule in spec.field("rules").items() {
        rule_with_subjects(&rule, errors);
    }
}

fn rule_with_subjects(rule: &At<'_>, errors: &mut Errors) {
    let subjects = rule.field("subjects");
    if subjects.is_empty() {
        errors.required(&subjects, "subjects must contain at least one value");
    }
    for one in subjects.items() {
        subject(&one, errors);
    }
    let (resources, others) = (rule.field("resourceRules"), rule.field("nonResourceRules"));
    if resources.is_empty() && others.is_empty() {
        let why = "at least one of resourceRules and nonResourceRules has to be non-empty";
        errors.required(rule, why);
    }
    for one in resources.items() {
        resource_rule(&one, errors);
    }
    for one in others.items() {
        verbs(&one.field("verbs"), errors);
        let urls = one.field("nonResourceURLs");
        let why = "nonResourceURLs must contain at least one value";
        star(&urls, why, "non-resource URLs", errors);
    }
}

fn subject(subject: &At<'_>, errors: &mut Errors) {
    const KINDS: [(&str, &str); 3] = [
        ("ServiceAccount", "serviceAccount"),
        ("User", "user"),
        ("Group", "group"),
    ];
    let kind = subject.field("kind");
    let Some((name, field)) = KINDS.iter().find(|(name, _)| kind.is(name)) else {
        return errors.not_supported(&kind, &["Group", "ServiceAccount", "User"]);
    };
    let own = subject.field(field);
    if !own.is_set() {
        errors.required(
            &own,
            format!("{field} is required when subject kind is '{name}'"),
        );
    } else if own.field("name").is_empty() {
        errors.required(&own.field("name"), "");
    } else if *name == "ServiceAccount" && !own.field("name").is("*") {
        let account = own.field("name");
        errors.bad_texts(&account, names::subdomain(account.text()));
    }
    if own.is_set() && *name == "ServiceAccount" {
        let namespace = own.field("namespace");
        if namespace.is_empty() {
            errors.required(&namespace, "must specify namespace for service account");
        } else {
            errors.bad_texts(&namespace, names::dns_label(namespace.text()));
        }
    }
    for (other, field) in KINDS.iter().filter(|(other, _)| other != name) {
        if subject.field(field).is_set() {
            let why = format!("{field} is forbidden when subject kind is not '{other}'");
            errors.forbidden(&subject.field(field), why);
        }
    }
}

fn verbs(verbs: &At<'_>, errors: &mut Errors) {
    const KNOWN: [&str; 9] = [
        "create",
        "delete",
        "deletecollection",
        "get",
        "list",
        "patch",
        "proxy",
        "update",
        "watch",
    ];
    let texts = verbs.texts();
    if texts.is_empty() || texts.contains(&"*") {
        return star(
            verbs,
            "verbs must contain at least one value",
            "verbs",
            errors,
        );
    }
    if texts.iter().any(|verb| !KNOWN.contains(verb)) {
        let mut error = FieldError::not_supported(&verbs.path, "", &KNOWN);
        error.value = verbs.shown();
        errors.0.push(error);
    }
}

fn star(list: &At<'_>, empty: &str, what: &str, errors: &mut Errors) {
    if list.is_empty() {
        errors.required(list, empty);
    } else if list.len() > 1 && list.texts().contains(&"*") {
        errors.invalid(
            list,
            format!("if '*' is present, must not specify other {what}"),
        );
    }
}

fn resource_rule(rule: &At<'_>, errors: &mut Errors) {
    verbs(&rule.field("verbs"), errors);
    let why = "resource rules must supply at least one api group";
    star(&rule.field("apiGroups"), why, "api groups", errors);
    let why = "resource rules must supply at least one resource";
    star(&rule.field("resources"), why, "resources", errors);
    let namespaces = rule.field("namespaces");
    if namespaces.is_empty() {
        if !rule.field("clusterScope").is_true() {
            let why =
                "resource rules that are not cluster scoped must supply at least one namespace";
            errors.required(&namespaces, why);
        }
    } else if namespaces.texts().contains(&"*") {
        star(&namespaces, "", "namespaces", errors);
    } else {
        for one in namespaces.items() {
            for message in names::dns_label(one.text()) {
                let why = "each member of this list must be '*' or a DNS-1123 label; ";
                errors.bad_text(&one, format!("{why}{message}"));
            }
        }
    }
}

pub(super) fn level(object: &At<'_>, errors: &mut Errors) {
    let spec = object.field("spec");
    let (kind, limited, exempt) = (
        spec.field("type"),
        spec.field("limited"),
        spec.field("exempt"),
    );
    if object.down(&["metadata", "name"]).is("exempt") != kind.is("Exempt") {
        errors.bad_text(&kind, "must be 'Exempt' if and only if `name` is 'exempt'");
    }
    match kind.text() {
        "Exempt" => {
            if limited.is_set() {
                errors.forbidden(&limited, "must be nil if the type is not Limited");
            }
            shares(&exempt, errors);
            lendable(&exempt, errors);
        }
        "Limited" => {
            if exempt.is_set() {
                errors.forbidden(&exempt, "must be nil if the type is Limited");
            }
            if limited.is_set() {
                limits(&limited, errors);
            } else {
                errors.required(&limited, "must not be empty when type is Limited");
            }
        }
        _ => errors.not_supported(&kind, &["Exempt", "Limited"]),
    }
}

fn shares(of: &At<'_>, errors: &mut Errors) {
    let shares = of.field("nominalConcurrencyShares");
    if shares.int().is_some_and(|count| count < 0) {
        errors.bad_int(&shares, "must be a non-negative integer");
    }
}

fn lendable(of: &At<'_>, errors: &mut Errors) {
    let share = of.field("lendablePercent");
    if share
        .int()
        .is_some_and(|percent| !(0..=100).contains(&percent))
    {
        errors.bad_int(&share, names::in_range(0, 100));
    }
}

fn limits(limited: &At<'_>, errors: &mut Errors) {
    shares(limited, errors);
    limit_response(&limited.field("limitResponse"), errors);
    lendable(limited, errors);
}

fn limit_response(response: &At<'_>, errors: &mut Errors) {
    let (kind, queuing) = (response.field("type"), response.field("queuing"));
    match kind.text() {
        "Reject" => {
            if queuing.is_set() {
                let why = "must be nil if limited.limitResponse.type is not Limited";
                errors.forbidden(&queuing, why);
            }
        }
        "Queue" if !queuing.is_set() => {
            let why = "must not be empty if limited.limitResponse.type is Limited";
            errors.required(&queuing, why);
        }
        "Queue" => {
            for name in ["queueLengthLimit", "queues"] {
                if queuing.field(name).int().unwrap_or(0) <= 0 {
                    errors.bad_int(&queuing.field(name), "must be positive");
                }
            }
            let (hand, queues) = (queuing.field("handSize"), queuing.field("queues"));
            let (cards, deck) = (hand.int().unwrap_or(0), queues.int().unwrap_or(0));
            if cards <= 0 {
                errors.bad_int(&hand, "must be positive");
            } else if cards > deck {
                let why = format!("should not be greater than queues ({deck})");
                errors.bad_int(&hand, why);
            }
        }
        _ => errors.not_supported(&kind, &["Queue", "Reject"]),
    }
}
