//! DefaultTolerationSeconds: pods stay five minutes on a node that is lost. And what tolerations have in common.

use serde_json::{Value, json};

use super::{append, put, spec};
use crate::kube::admission::attributes::{Attributes, Operation};
use crate::kube::tree::{int, items, text};

pub(super) const NAME: &str = "DefaultTolerationSeconds";

const KEYS: [&str; 2] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
];
const EFFECT: &str = "NoExecute";
const SECONDS: i64 = 300;

pub(super) fn mutate(by: &Attributes<'_>, pod: &mut Value) {
    let writes = matches!(by.operation, Operation::Create | Operation::Update);
    if !writes || !by.whole("", "pods") {
        return;
    }
    for key in KEYS {
        let is = |one: &Value, field, wanted| ["", wanted].contains(&text(one, &[field]));
        let mut all = items(pod, &["spec", "tolerations"]).iter();
        if all.any(|one| is(one, "key", key) && is(one, "effect", EFFECT)) {
            continue;
        }
        if let Some(spec) = spec(pod) {
            let toleration = json!({
                "key": key, "operator": "Exists", "effect": EFFECT, "tolerationSeconds": SECONDS,
            });
            append("core/v1.PodSpec", spec, "tolerations", toleration);
        }
    }
}

/// Adds to a pod's tolerations, and leaves out those that another one covers.
pub(super) fn add(pod: &mut Value, more: &[Value]) {
    let all = items(pod, &["spec", "tolerations"]).iter().chain(more);
    let all: Vec<&Value> = all.collect();
    let mut merged: Vec<Value> = Vec::new();
    for (at, one) in all.iter().enumerate() {
        let mut later = all.iter().skip(at + 1);
        let covered = merged.iter().any(|other| covers(other, one))
            || later.any(|other| other != one && covers(other, one));
        if !covered {
            merged.push((*one).clone());
        }
    }
    if let (Some(spec), false) = (spec(pod), merged.is_empty()) {
        put("core/v1.PodSpec", spec, "tolerations", merged);
    }
}

/// Whether `wide` tolerates all that `one` does.
pub(super) fn covers(wide: &Value, one: &Value) -> bool {
    if wide == one {
        return true;
    }
    let of = |value, key| text(value, &[key]);
    let operator = of(wide, "operator");
    let any_key = of(wide, "key").is_empty() && operator == "Exists";
    if of(one, "key") != of(wide, "key") && !any_key {
        return false;
    }
    if of(one, "effect") != of(wide, "effect") && !of(wide, "effect").is_empty() {
        return false;
    }
    let seconds = |value| int(value, &["tolerationSeconds"]);
    if of(wide, "effect") == "NoExecute"
        && let Some(limit) = seconds(wide)
        && seconds(one).is_none_or(|seconds| seconds > limit)
    {
        return false;
    }
    match operator {
        "" | "Equal" => of(one, "operator") == "Equal" && of(one, "value") == of(wide, "value"),
        "Exists" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{CREATE_POD, Few};
    use super::*;

    #[test]
    fn what_is_not_said_is_said() {
        let pod = json!({"spec": {"tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}]}});
        let pod = CREATE_POD.mutate(NAME, &Few::default(), None, pod).unwrap();
        assert_eq!(
            pod["spec"]["tolerations"][1].to_string(),
            r#"{"key":"node.kubernetes.io/unreachable","operator":"Exists","effect":"NoExecute","tolerationSeconds":300}"#
        );
        let all = json!({"spec": {"tolerations": [{"operator": "Exists"}]}});
        let same = CREATE_POD.mutate(NAME, &Few::default(), None, all.clone());
        assert_eq!(same.unwrap(), all);
    }
}
