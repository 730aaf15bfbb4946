//! PodResizeValidator: a pod cannot grow beyond its node.

use serde_json::Value;

use crate::kube::admission::attributes::{Attributes, Operation};
use crate::kube::admission::quota::pod_requests;
use crate::kube::amount::Amount;
use crate::kube::object::meta;
use crate::kube::objects::Objects;
use crate::kube::status::{ApiError, ApiResult, Cause};
use crate::kube::tree::{get, text};

pub(super) const NAME: &str = "PodResizeValidator";

pub(super) fn validate(
    by: &Attributes<'_>,
    objects: &dyn Objects,
    old: Option<&Value>,
    pod: &Value,
) -> ApiResult<()> {
    let resizes = by.about("", "pods") && by.subresource == "resize";
    let old = old.filter(|_| resizes && by.operation == Operation::Update);
    let name = text(pod, &["spec", "nodeName"]);
    let changed = old.is_some_and(|old| get(old, &["spec"]) != get(pod, &["spec"]));
    if name.is_empty() || !changed {
        return Ok(());
    }
    let Some(node) = objects.get("", "nodes", "", name) else {
        return Err(by.refuse(pod, format!("node {name:?} not found")));
    };
    let system = meta::label(&node, "kubernetes.io/os").unwrap_or("linux");
    if system != "linux" {
        let why =
            format!("pod resize is only supported on linux nodes, node {name:?} is {system:?}");
        return Err(with_cause(by.refuse(pod, why), "UnsupportedPlatform"));
    }
    let beyond = beyond(pod, &node);
    if beyond.is_empty() {
        return Ok(());
    }
    let why = format!(
        "node didn't have enough allocatable resources: {}",
        beyond.join("; ")
    );
    Err(with_cause(by.refuse(pod, why), "NodeCapacity"))
}

/// What a pod asks for more of than its node has for all pods together.
fn beyond(pod: &Value, node: &Value) -> Vec<String> {
    let asked = pod_requests(pod, false);
    type Unit = fn(Amount) -> i128;
    let cases: [(&str, Unit); 2] = [("cpu", Amount::millis), ("memory", Amount::units)];
    let mut all = Vec::new();
    for (name, number) in cases {
        let has = text(node, &["status", "allocatable", name]);
        let has = Amount::parse(has).unwrap_or(Amount::ZERO);
        let asked = asked.get(name).copied().unwrap_or(Amount::ZERO);
        if asked > has {
            all.push(format!(
                "{name}, requested: {}, allocatable: {}",
                number(asked),
                number(has)
            ));
        }
    }
    all
}

fn with_cause(mut error: ApiError, reason: &'static str) -> ApiError {
    if let Some(details) = &mut error.details {
        details.causes.push(Cause {
            reason: reason.into(),
            message: String::new(),
            field: String::new(),
        });
    }
    error
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{Ask, CREATE_POD, Few};
    use super::*;

    #[test]
    fn pods_stay_smaller_than_their_nodes() {
        let node = |name: &str, system: &str| {
            (
                "",
                "nodes",
                json!({"metadata": {"name": name, "labels": {"kubernetes.io/os": system}},
                "status": {"allocatable": {"cpu": "2", "memory": "1Gi"}}}),
            )
        };
        let few = Few(vec![node("n", "linux"), node("w", "windows")]);
        let pod = |node: &str, cpu: &str, memory: &str| {
            json!({"metadata": {"name": "p"}, "spec": {"nodeName": node,
            "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu, "memory": memory}}}]}})
        };
        let resize = Ask {
            operation: Operation::Update,
            subresource: "resize",
            ..CREATE_POD
        };
        let judge = |old: Value, new: Value| resize.judge(NAME, &few, Some(&old), &new);
        let small = || pod("n", "1", "1Mi");
        assert_eq!(judge(small(), pod("n", "2", "1Gi")), Ok(()));
        assert_eq!(
            judge(small(), pod("n", "2500m", "2Gi")).unwrap_err(),
            "pods \"p\" is forbidden: node didn't have enough allocatable resources: cpu, requested: 2500, allocatable: \
             2000; memory, requested: 2147483648, allocatable: 1073741824"
        );
        assert_eq!(judge(pod("x", "9", "1"), pod("x", "9", "1")), Ok(()));
        let gone = judge(small(), pod("gone", "2", "1")).unwrap_err();
        assert!(gone.ends_with("node \"gone\" not found"));
        let other = judge(small(), pod("w", "2", "1")).unwrap_err();
        assert!(
            other.ends_with(
                "pod resize is only supported on linux nodes, node \"w\" is \"windows\""
            )
        );
    }
}
