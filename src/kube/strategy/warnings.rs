//! What is no error and yet not what was meant, as far as the release warns of it: of services and of pods, their
//! own and those that workloads make.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::kube::field::quoted;
use crate::kube::schema::Resource;
use crate::kube::tree;

/// Volumes that do nothing any more, and since when.
const GONE: [(&str, &str); 8] = [
    (
        "photonPersistentDisk",
        "deprecated in v1.11, non-functional in v1.16+",
    ),
    (
        "gitRepo",
        "deprecated in v1.11, and disabled by default in v1.33+",
    ),
    ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
];

/// Warnings of an object that is valid; `old` is what it replaces.
pub fn warnings(resource: &Resource, old: Option<&Value>, object: &Value) -> Vec<String> {
    let template = match (&*resource.group, &*resource.plural) {
        ("", "services") => return service(object),
        // Their updates come from controllers and kubelets.
        ("", "pods") if old.is_some() => return Vec::new(),
        ("", "pods") => "",
        ("", "podtemplates") => "template",
        ("batch", "cronjobs") => "spec.jobTemplate.spec.template",
        ("", "replicationcontrollers") | ("apps" | "batch", _) => "spec.template",
        _ => return Vec::new(),
    };
    let generation = |object: &Value| tree::int(object, &["metadata", "generation"]);
    if old.is_some_and(|old| generation(old) == generation(object)) {
        return Vec::new();
    }
    let names: Vec<&str> = template
        .split('.')
        .filter(|name| !name.is_empty())
        .collect();
    let at = match template {
        "" => "spec".to_owned(),
        of => format!("{of}.spec"),
    };
    let mut path = names;
    path.push("spec");
    let mut told = Vec::new();
    if let Some(spec) = tree::get(object, &path) {
        pod(spec, &at, &mut told);
    }
    told
}

fn service(object: &Value) -> Vec<String> {
    let mut told = Vec::new();
    let is_name = tree::text(object, &["spec", "type"]) == "ExternalName";
    if !tree::items(object, &["spec", "externalIPs"]).is_empty() {
        let why =
            "spec.externalIPs is deprecated and may no longer be implemented in some clusters";
        told.push(why.to_owned());
        if is_name {
            told.push(r#"spec.externalIPs is ignored when spec.type is "ExternalName""#.to_owned());
        }
    }
    if !is_name && !tree::text(object, &["spec", "externalName"]).is_empty() {
        let why = r#"spec.externalName is ignored when spec.type is not "ExternalName""#;
        told.push(why.to_owned());
    }
    if tree::text(object, &["spec", "trafficDistribution"]) == "PreferClose" {
        let why = r#"spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone""#;
        told.push(why.to_owned());
    }
    told
}

fn pod(spec: &Value, at: &str, told: &mut Vec<String>) {
    for (nth, volume) in tree::items(spec, &["volumes"]).iter().enumerate() {
        for (kind, since) in GONE {
            if tree::get(volume, &[kind]).is_some() {
                told.push(format!("{at}.volumes[{nth}].{kind}: {since}"));
            }
        }
        if tree::get(volume, &["rbd"]).is_some() {
            let since = "deprecated in v1.28, non-functional in v1.31+";
            told.push(format!("{at}.volumes[{nth}].rbd: {since}"));
        }
    }
    let secrets = tree::items(spec, &["imagePullSecrets"]);
    let names = || {
        secrets
            .iter()
            .map(|secret| tree::text(secret, &["name"]))
            .enumerate()
    };
    let mut seen = BTreeSet::new();
    for (nth, name) in names() {
        if !seen.insert(name) {
            let name = quoted(name);
            told.push(format!(
                "{at}.imagePullSecrets[{nth}].name: duplicate name {name}"
            ));
        }
    }
    for (nth, _) in names().filter(|(_, name)| name.is_empty()) {
        told.push(format!(
            r#"{at}.imagePullSecrets[{nth}].name: invalid empty name """#
        ));
    }
    for list in ["initContainers", "containers"] {
        for (nth, container) in tree::items(spec, &[list]).iter().enumerate() {
            environment(container, &format!("{at}.{list}[{nth}]"), told);
        }
    }
    if tree::int(spec, &["terminationGracePeriodSeconds"]).is_some_and(|seconds| seconds < 0) {
        let why = "must be >= 0; negative values are invalid and will be treated as 1";
        told.push(format!("{at}.terminationGracePeriodSeconds: {why}"));
    }
}

/// A variable that is set again may be lost when the list is merged by names, unless it builds on what it hides.
fn environment(container: &Value, at: &str, told: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for (nth, variable) in tree::items(container, &["env"]).iter().enumerate() {
        let (name, value) = (
            tree::text(variable, &["name"]),
            tree::text(variable, &["value"]),
        );
        let refers = format!("$({name})");
        let from_elsewhere = tree::get(variable, &["valueFrom"]).is_some();
        let hides = from_elsewhere || value == refers || !value.contains(&refers);
        if !seen.insert(name) && hides {
            let name = quoted(name);
            let why = format!(
                "hides previous definition of {name}, which may be dropped when using apply"
            );
            told.push(format!("{at}.env[{nth}]: {why}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kube::schema::Resources;

    fn told(group: &str, plural: &str, old: Option<&Value>, object: &Value) -> Vec<String> {
        let resource = Resources::built_in().find(group, "v1", plural).unwrap();
        warnings(resource, old, object)
    }

    #[test]
    fn services_are_warned_of_what_is_ignored() {
        let spec = json!({"type": "ClusterIP", "externalName": "a.b", "trafficDistribution": "PreferClose"});
        assert_eq!(
            told("", "services", None, &json!({"spec": spec})),
            [
                r#"spec.externalName is ignored when spec.type is not "ExternalName""#,
                r#"spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone""#,
            ]
        );
    }

    #[test]
    fn pods_are_warned_of_wherever_they_stand() {
        let spec = json!({
            "terminationGracePeriodSeconds": -1,
            "imagePullSecrets": [{}, {"name": "a"}, {"name": "a"}],
            "containers": [{"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}, {"name": "A", "value": "$(A)3"}]}],
        });
        let expected = |at: &str| {
            [
                format!(r#"{at}.imagePullSecrets[2].name: duplicate name "a""#),
                format!(r#"{at}.imagePullSecrets[0].name: invalid empty name """#),
                format!(
                    r#"{at}.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply"#
                ),
                format!(
                    "{at}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
                ),
            ]
        };
        let pod = json!({"spec": spec});
        assert_eq!(told("", "pods", None, &pod), expected("spec"));
        assert!(told("", "pods", Some(&pod), &pod).is_empty());
        let template = json!({"metadata": {"generation": 1}, "spec": {"template": pod}});
        assert_eq!(
            told("apps", "deployments", None, &template),
            expected("spec.template.spec")
        );
        assert!(told("apps", "deployments", Some(&template), &template).is_empty());
    }
}
