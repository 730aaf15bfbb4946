//! DefaultTolerationSeconds: pods stay five minutes on a node that is lost.

use serde_json::{Value, json};

use super::{append, spec};
use crate::kube::admission::attributes::{Attributes, Operation};
use crate::kube::tree::{items, text};

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
