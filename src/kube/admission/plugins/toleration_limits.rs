//! PodTolerationRestriction and ExtendedResourceToleration: what pods of a namespace tolerate, and may tolerate, and
//! what comes with the resources that they ask for.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{annotation, put, spec, tolerations};
use crate::kube::admission::attributes::{Attributes, Operation};
use crate::kube::admission::quota::{is_asked_extended, is_best_effort};
use crate::kube::objects::Objects;
use crate::kube::schema::Resources;
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::tree::{entries, items, text};

pub(super) const RESTRICTION: &str = "PodTolerationRestriction";
pub(super) const EXTENDED: &str = "ExtendedResourceToleration";

/// Of a namespace: lists of tolerations as JSON.
const DEFAULTS: &str = "scheduler.alpha.kubernetes.io/defaultTolerations";
const ALLOWED: &str = "scheduler.alpha.kubernetes.io/tolerationsWhitelist";
/// In the order of the type.
const FIELDS: [&str; 5] = ["key", "operator", "value", "effect", "tolerationSeconds"];

fn writes(by: &Attributes<'_>) -> bool {
    matches!(by.operation, Operation::Create | Operation::Update) && by.whole("", "pods")
}

/// The tolerations in an annotation of the pod's namespace.
fn of_namespace(by: &Attributes<'_>, objects: &dyn Objects, key: &str) -> ApiResult<Vec<Value>> {
    let namespace = objects.get("", "namespaces", "", by.namespace);
    let Some(namespace) = namespace else {
        let namespaces = Resources::built_in().find("", "v1", "namespaces");
        let namespaces = namespaces.ok_or_else(ApiError::no_such_resource)?;
        return Err(ApiError::not_found(namespaces, by.namespace));
    };
    let said = annotation(&namespace, key).unwrap_or_default();
    if said.is_empty() {
        return Ok(Vec::new());
    }
    let all: Vec<Map<String, Value>> =
        serde_json::from_str(said).map_err(|error| ApiError::unclassified(error.to_string()))?;
    let each = all.iter().map(|one| {
        let fields = FIELDS.iter().filter_map(|field| {
            let value = one.get(*field)?;
            (*value != "").then(|| ((*field).to_owned(), value.clone()))
        });
        Value::Object(fields.collect())
    });
    Ok(each.collect())
}

pub(super) fn complete(
    by: &Attributes<'_>,
    objects: &dyn Objects,
    pod: &mut Value,
) -> ApiResult<()> {
    if !writes(by) {
        return Ok(());
    }
    let mut more = Vec::new();
    if by.creates() {
        more = of_namespace(by, objects, DEFAULTS)?;
    }
    if !is_best_effort(pod) {
        more.push(json!({
            "key": "node.kubernetes.io/memory-pressure", "operator": "Exists", "effect": "NoSchedule",
        }));
    }
    if !more.is_empty() {
        tolerations::add(pod, &more);
    }
    judge(by, objects, pod)
}

pub(super) fn judge(by: &Attributes<'_>, objects: &dyn Objects, pod: &Value) -> ApiResult<()> {
    let own = items(pod, &["spec", "tolerations"]);
    if !writes(by) || own.is_empty() {
        return Ok(());
    }
    let allowed = of_namespace(by, objects, ALLOWED)?;
    let is_allowed = |one: &Value| allowed.iter().any(|wide| tolerations::covers(wide, one));
    if allowed.is_empty() || own.iter().all(is_allowed) {
        return Ok(());
    }
    // The release answers this one without a status.
    Err(ApiError::unclassified(
        "pod tolerations (possibly merged with namespace default tolerations) conflict with its namespace whitelist",
    ))
}

/// Pods that ask for a resource go to nodes that are kept for those who do.
pub(super) fn extended(by: &Attributes<'_>, pod: &mut Value) {
    if !writes(by) {
        return;
    }
    let containers = ["containers", "initContainers"];
    let containers = containers
        .iter()
        .flat_map(|list| items(pod, &["spec", list]));
    let asked = containers.flat_map(|container| entries(container, &["resources", "requests"]));
    let asked = asked.map(|(name, _)| name.to_owned());
    let asked: BTreeSet<String> = asked.filter(|name| is_asked_extended(name)).collect();
    for resource in asked {
        let new = json!({"key": resource, "operator": "Exists", "effect": "NoSchedule"});
        let same = |one: &Value| {
            ["key", "operator", "value", "effect"]
                .iter()
                .all(|field| text(one, &[field]) == text(&new, &[field]))
        };
        let mut all = items(pod, &["spec", "tolerations"]).to_vec();
        let mut known = false;
        for one in all.iter_mut().filter(|one| same(one)) {
            one.clone_from(&new);
            known = true;
        }
        if !known {
            all.push(new);
        }
        if let Some(spec) = spec(pod) {
            put("core/v1.PodSpec", spec, "tolerations", all);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{CREATE_POD, Few};
    use super::*;

    #[expect(
        clippy::needless_pass_by_value,
        reason = "a case writes its objects in place"
    )]
    fn few(annotations: Value) -> Few {
        let namespace = json!({"metadata": {"name": "ns", "annotations": annotations}});
        Few(vec![("", "namespaces", namespace)])
    }

    #[test]
    fn a_namespace_adds_tolerations_and_allows_some() {
        let default = json!({DEFAULTS: r#"[{"effect":"NoSchedule","operator":"Exists","key":"k","value":""}]"#});
        let best = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}});
        let made = CREATE_POD.mutate(RESTRICTION, &few(default), None, best.clone());
        assert_eq!(
            made.unwrap()["spec"]["tolerations"].to_string(),
            r#"[{"key":"k","operator":"Exists","effect":"NoSchedule"}]"#
        );
        let mut asks = best;
        asks["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "1"}});
        let none = few(json!({}));
        let made = CREATE_POD.mutate(RESTRICTION, &none, None, asks.clone());
        assert_eq!(
            made.unwrap()["spec"]["tolerations"][0]["key"],
            "node.kubernetes.io/memory-pressure"
        );
        let strict = few(json!({ALLOWED: r#"[{"key":"other","operator":"Exists"}]"#}));
        let error = CREATE_POD
            .mutate(RESTRICTION, &strict, None, asks)
            .unwrap_err();
        assert_eq!(error.code, 500);
        assert!(
            error
                .message
                .ends_with("conflict with its namespace whitelist")
        );
    }

    #[test]
    fn extended_resources_bring_their_toleration() {
        let pod = json!({"spec": {"tolerations": [
                {"key": "ex.com/b", "operator": "Exists", "effect": "NoSchedule", "tolerationSeconds": 5}],
            "containers": [{"name": "c", "resources": {"requests": {"cpu": "1", "ex.com/b": "1", "ex.com/a": "1"}}}]}});
        let made = CREATE_POD
            .mutate(EXTENDED, &Few::default(), None, pod)
            .unwrap();
        assert_eq!(
            made["spec"]["tolerations"].to_string(),
            r#"[{"key":"ex.com/b","operator":"Exists","effect":"NoSchedule"},{"key":"ex.com/a","operator":"Exists","effect":"NoSchedule"}]"#
        );
    }
}
