//! LimitPodHardAntiAffinityTopology and PodNodeSelector: where pods of a namespace may run, and may keep others from.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{annotation, make, name, spec};
use crate::kube::admission::attributes::{Attributes, Operation};
use crate::kube::objects::Objects;
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::tree::{entries, items, set_sorted, text};

pub(super) const ANTI_AFFINITY: &str = "LimitPodHardAntiAffinityTopology";
pub(super) const NODE_SELECTOR: &str = "PodNodeSelector";

const HOST: &str = "kubernetes.io/hostname";
/// Of a namespace: `a=b,c=d`.
const SELECTOR: &str = "scheduler.alpha.kubernetes.io/node-selector";

/// Pods may keep others from a node, and not from a whole zone.
pub(super) fn anti_affinity(by: &Attributes<'_>, pod: &Value) -> ApiResult<()> {
    let writes = matches!(by.operation, Operation::Create | Operation::Update);
    if !writes || !by.whole("", "pods") {
        return Ok(());
    }
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    let terms = items(pod, &["spec", "affinity", "podAntiAffinity", required]).iter();
    let mut keys = terms.map(|term| text(term, &["topologyKey"]));
    match keys.find(|key| *key != HOST) {
        Some(key) => {
            let why = format!(
                "affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey {key} but only key {HOST} is allowed"
            );
            Err(ApiError::forbidden(by.resource, name(pod), why))
        }
        None => Ok(()),
    }
}

/// What a namespace's pods select nodes by.
fn selector(by: &Attributes<'_>, objects: &dyn Objects) -> ApiResult<BTreeMap<String, String>> {
    let namespace = objects.get("", "namespaces", "", by.namespace);
    let Some(namespace) = namespace else {
        let why = format!("namespace {} does not exist", by.namespace);
        return Err(ApiError::internal(why));
    };
    let said = annotation(&namespace, SELECTOR).unwrap_or_default();
    let parts = said.split(',').filter(|_| !said.is_empty());
    let parts = parts.map(|part| {
        let sides: Vec<&str> = part.split('=').collect();
        match sides.as_slice() {
            [key, value] => Ok((key.trim().to_owned(), value.trim().to_owned())),
            sides => {
                let why = format!("invalid selector: [{}]", sides.join(" "));
                Err(ApiError::unclassified(why))
            }
        }
    });
    parts.collect()
}

fn applies(by: &Attributes<'_>) -> bool {
    by.creates() && by.whole("", "pods")
}

pub(super) fn select(by: &Attributes<'_>, objects: &dyn Objects, pod: &mut Value) -> ApiResult<()> {
    if !applies(by) {
        return Ok(());
    }
    check_selection(by, objects, pod)?;
    let selector = selector(by, objects)?;
    let spec = spec(pod).filter(|_| !selector.is_empty());
    let own = spec.and_then(|spec| make("core/v1.PodSpec", spec, "nodeSelector"));
    if let Some(own) = own {
        for (key, value) in selector {
            set_sorted(own, &key, value.into());
        }
    }
    Ok(())
}

pub(super) fn check_selection(
    by: &Attributes<'_>,
    objects: &dyn Objects,
    pod: &Value,
) -> ApiResult<()> {
    if !applies(by) {
        return Ok(());
    }
    let selector = selector(by, objects)?;
    let differs = |(key, value): (&str, &Value)| {
        let wanted = selector.get(key);
        wanted.is_some_and(|wanted| value.as_str() != Some(wanted))
    };
    if entries(pod, &["spec", "nodeSelector"]).any(differs) {
        let why = "pod node label selector conflicts with its namespace node label selector";
        return Err(ApiError::forbidden(by.resource, name(pod), why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{CREATE_POD, Few};
    use super::*;

    #[test]
    fn pods_keep_others_from_hosts_only() {
        let pod = |key: &str| {
            json!({"metadata": {"name": "p"}, "spec": {"affinity": {"podAntiAffinity":
            {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": key}]}}}})
        };
        let judge = |key| CREATE_POD.judge(ANTI_AFFINITY, &Few::default(), None, &pod(key));
        assert_eq!(judge(HOST), Ok(()));
        assert_eq!(
            judge("zone").unwrap_err(),
            "pods \"p\" is forbidden: affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey zone but only \
             key kubernetes.io/hostname is allowed"
        );
    }

    #[test]
    fn a_namespace_selects_nodes_for_its_pods() {
        let few = |said: &str| {
            let namespace = json!({"metadata": {"name": "ns", "annotations": {SELECTOR: said}}});
            Few(vec![("", "namespaces", namespace)])
        };
        let pod = |own: Value| json!({"metadata": {"name": "p"}, "spec": {"nodeSelector": own}});
        let make = |said, own| CREATE_POD.mutate(NODE_SELECTOR, &few(said), None, pod(own));
        let made = make("env=test, disk = ssd", json!({"a": "b"})).unwrap();
        assert_eq!(
            made["spec"]["nodeSelector"].to_string(),
            r#"{"a":"b","disk":"ssd","env":"test"}"#
        );
        let other = make("env=test", json!({"env": "live"})).unwrap_err();
        assert_eq!(
            other.message,
            "pods \"p\" is forbidden: pod node label selector conflicts with its namespace node label selector"
        );
        let wrong = make("a=b=c", json!({})).unwrap_err();
        assert_eq!(
            (wrong.code, &*wrong.message),
            (500, "invalid selector: [a b c]")
        );
        let gone = CREATE_POD.mutate(NODE_SELECTOR, &Few::default(), None, pod(json!({})));
        assert_eq!(
            gone.unwrap_err().message,
            "Internal error occurred: namespace ns does not exist"
        );
    }
}
