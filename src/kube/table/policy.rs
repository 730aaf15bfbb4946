//! The rows of who may do what, of admission, and of flow control.

use std::cmp::Ordering;

use serde_json::Value;

use super::cells;
use super::selector::debug;
use super::value::{Subject, number, text};

pub(super) fn role_binding(of: Subject<'_>) -> Vec<Value> {
    let role = of.dig("roleRef");
    let subjects = |kind: &str| {
        let all = of.list("subjects").iter();
        let all = all
            .filter(|one| text(one, "kind") == kind)
            .map(|one| match kind {
                "ServiceAccount" => format!("{}/{}", text(one, "namespace"), text(one, "name")),
                _ => text(one, "name").into(),
            });
        all.collect::<Vec<_>>().join(", ")
    };
    cells![
        of.name(),
        format!("{}/{}", text(role, "kind"), text(role, "name")),
        of.age(),
        subjects("User"),
        subjects("Group"),
        subjects("ServiceAccount"),
    ]
}

pub(super) fn webhooks(of: Subject<'_>) -> Vec<Value> {
    cells![of.name(), of.list("webhooks").len(), of.age()]
}

pub(super) fn validating_policy(of: Subject<'_>) -> Vec<Value> {
    let rules = of.list("spec.validations").len();
    cells![of.name(), rules, parameter_kind(of), of.age()]
}

pub(super) fn mutating_policy(of: Subject<'_>) -> Vec<Value> {
    let rules = of.list("spec.mutations").len();
    cells![of.name(), rules, parameter_kind(of), of.age()]
}

fn parameter_kind(of: Subject<'_>) -> String {
    let kind = of.dig("spec.paramKind");
    if kind.is_null() {
        "<unset>".into()
    } else {
        format!("{}/{}", text(kind, "apiVersion"), text(kind, "kind"))
    }
}

pub(super) fn policy_binding(of: Subject<'_>) -> Vec<Value> {
    let parameters = of.dig("spec.paramRef");
    let (name, namespace) = (text(parameters, "name"), text(parameters, "namespace"));
    let parameters = match (name, namespace, parameters.get("selector")) {
        ("", _, Some(selector)) if !selector.is_null() => debug(selector),
        ("", ..) => "<unset>".into(),
        (name, "", _) => format!("*/{name}"),
        (name, namespace, _) => format!("{namespace}/{name}"),
    };
    cells![of.name(), of.text("spec.policyName"), parameters, of.age()]
}

pub(super) fn flow_schema(of: Subject<'_>) -> Vec<Value> {
    let method = of.dig("spec.distinguisherMethod.type").as_str();
    let mut conditions = of.list("status.conditions").iter();
    let dangling = conditions.find(|one| text(one, "type") == "Dangling");
    cells![
        of.name(),
        of.text("spec.priorityLevelConfiguration.name"),
        of.number("spec.matchingPrecedence"),
        method.unwrap_or("<none>"),
        of.age(),
        dangling.map_or("?", |one| text(one, "status")),
    ]
}

/// The order in which flow schemas are tried.
pub(super) fn by_precedence(one: &Value, other: &Value) -> Ordering {
    let key = |of| {
        (
            number(of, "spec.matchingPrecedence"),
            text(of, "metadata.name"),
        )
    };
    key(one).cmp(&key(other))
}

pub(super) fn priority_level(of: Subject<'_>) -> Vec<Value> {
    let limited = of.dig("spec.limited");
    let shares = if limited.is_null() {
        "<none>".into()
    } else {
        let shares = limited.get("nominalConcurrencyShares");
        shares.cloned().unwrap_or_default()
    };
    let queuing = of.dig("spec.limited.limitResponse.queuing");
    let number = |key: &str| match queuing {
        Value::Null => Value::from("<none>"),
        queuing => queuing.get(key).cloned().unwrap_or_else(|| 0.into()),
    };
    cells![
        of.name(),
        of.text("spec.type"),
        shares,
        number("queues"),
        number("handSize"),
        number("queueLengthLimit"),
        of.age(),
    ]
}
