//! RuntimeClass: what running in a runtime costs and where it can be done.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{make, put, spec, tolerations};
use crate::kube::admission::attributes::Attributes;
use crate::kube::amount::Amount;
use crate::kube::objects::Objects;
use crate::kube::status::ApiResult;
use crate::kube::tree::{entries, get, items, set_sorted};

pub(super) const NAME: &str = "RuntimeClass";

const OF: &str = "core/v1.PodSpec";
const DIFFERS: &str = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";

fn look_up(
    by: &Attributes<'_>,
    objects: &dyn Objects,
    pod: &Value,
) -> ApiResult<Option<Arc<Value>>> {
    let Some(class) = get(pod, &["spec", "runtimeClassName"]).and_then(Value::as_str) else {
        return Ok(None);
    };
    let found = objects.get("node.k8s.io", "runtimeclasses", "", class);
    let missing = || {
        by.refuse(
            pod,
            format!("pod rejected: RuntimeClass {class:?} not found"),
        )
    };
    found.ok_or_else(missing).map(Some)
}

fn overhead(class: &Value) -> Option<&Map<String, Value>> {
    let overhead = get(class, &["overhead"])?;
    overhead.get("podFixed").and_then(Value::as_object)
}

/// Whether two lists of resources say the same, however they write it.
fn same(a: &Map<String, Value>, b: &Map<String, Value>) -> bool {
    let amount = |value: &Value| value.as_str().and_then(Amount::parse);
    let has = |(key, value): (&String, &Value)| {
        b.get(key)
            .is_some_and(|other| amount(other) == amount(value))
    };
    a.len() == b.len() && a.iter().all(has)
}

pub(super) fn mutate(by: &Attributes<'_>, objects: &dyn Objects, pod: &mut Value) -> ApiResult<()> {
    if !by.creates() || !by.whole("", "pods") {
        return Ok(());
    }
    let Some(class) = look_up(by, objects, pod)? else {
        return Ok(());
    };
    if let Some(cost) = overhead(&class) {
        let said = get(pod, &["spec", "overhead"]).and_then(Value::as_object);
        if said.is_some_and(|said| !said.is_empty() && !same(said, cost)) {
            return Err(by.refuse(pod, DIFFERS));
        }
        let cost = cost.clone();
        if let (Some(spec), false) = (spec(pod), cost.is_empty()) {
            put(OF, spec, "overhead", cost);
        }
    }
    select(&class, pod).map_err(|why| by.refuse(pod, why))?;
    tolerate(&class, pod);
    Ok(())
}

fn select(class: &Value, pod: &mut Value) -> Result<(), String> {
    for (key, value) in entries(class, &["scheduling", "nodeSelector"]) {
        let has = get(pod, &["spec", "nodeSelector", key]);
        if let Some(has) = has.filter(|has| *has != value) {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            return Err(format!(
                "conflict: runtimeClass.scheduling.nodeSelector[{key}] = {}; pod.spec.nodeSelector[{key}] = {}",
                text(value),
                text(has)
            ));
        }
        let selector = spec(pod).and_then(|spec| make(OF, spec, "nodeSelector"));
        if let Some(selector) = selector {
            set_sorted(selector, key, value.clone());
        }
    }
    Ok(())
}

/// Adds what a class tolerates.
fn tolerate(class: &Value, pod: &mut Value) {
    if get(class, &["scheduling"]).is_some() {
        tolerations::add(pod, items(class, &["scheduling", "tolerations"]));
    }
}

pub(super) fn validate(by: &Attributes<'_>, objects: &dyn Objects, pod: &Value) -> ApiResult<()> {
    if !by.creates() || !by.whole("", "pods") {
        return Ok(());
    }
    let class = look_up(by, objects, pod)?;
    let none = Map::new();
    let said = get(pod, &["spec", "overhead"]).and_then(Value::as_object);
    let costs = class
        .as_deref()
        .filter(|class| get(class, &["overhead"]).is_some());
    match (costs, said) {
        (Some(class), said) => {
            let cost = overhead(class).unwrap_or(&none);
            if !same(cost, said.unwrap_or(&none)) {
                return Err(by.refuse(pod, DIFFERS));
            }
        }
        (None, Some(_)) => {
            let why = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead";
            return Err(by.refuse(pod, why));
        }
        (None, None) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{CREATE_POD, Few};
    use super::*;

    fn few() -> Few {
        Few(vec![(
            "node.k8s.io",
            "runtimeclasses",
            json!({"metadata": {"name": "box"}, "handler": "box", "overhead": {"podFixed": {"cpu": "250m"}},
                "scheduling": {"nodeSelector": {"box": "yes"}, "tolerations": [{"operator": "Exists"}]}}),
        )])
    }

    fn pod(spec: Value) -> Value {
        let mut pod = json!({"metadata": {"name": "p"}});
        pod["spec"] = spec;
        pod
    }

    #[test]
    fn a_class_adds_its_cost_and_its_places() {
        let spec = json!({"nodeSelector": {"a": "b"}, "tolerations": [{"key": "k", "operator": "Exists"}],
            "runtimeClassName": "box"});
        let made = CREATE_POD.mutate(NAME, &few(), None, pod(spec)).unwrap();
        assert_eq!(
            made["spec"].to_string(),
            r#"{"nodeSelector":{"a":"b","box":"yes"},"tolerations":[{"operator":"Exists"}],"runtimeClassName":"box","overhead":{"cpu":"250m"}}"#
        );
        assert_eq!(CREATE_POD.judge(NAME, &few(), None, &made), Ok(()));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |spec| {
            CREATE_POD
                .mutate(NAME, &few(), None, pod(spec))
                .unwrap_err()
                .message
        };
        assert_eq!(
            refused(json!({"runtimeClassName": "none"})),
            r#"pods "p" is forbidden: pod rejected: RuntimeClass "none" not found"#
        );
        assert!(
            refused(json!({"runtimeClassName": "box", "overhead": {"cpu": "1"}}))
                .ends_with(DIFFERS)
        );
        let elsewhere = json!({"runtimeClassName": "box", "nodeSelector": {"box": "no"}});
        assert!(
            refused(elsewhere)
                .ends_with("nodeSelector[box] = yes; pod.spec.nodeSelector[box] = no")
        );
        let unfounded = pod(json!({"overhead": {"cpu": "1"}}));
        let refused = CREATE_POD
            .judge(NAME, &few(), None, &unfounded)
            .unwrap_err();
        assert!(
            refused
                .ends_with("Pod Overhead set without corresponding RuntimeClass defined Overhead")
        );
    }
}
