//! What is done about roles and bindings that are there already: what is missing comes back, what was added stays.

use serde_json::{Map, Value};

use crate::kube::authz::rbac::{Rule, uncovered};

/// With `"false"`, an object is left as it is.
const AUTO_UPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// What has to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    Nothing,
    Create(Value),
    /// To be written in the place of what was read, if nobody else has written since.
    Update(Value),
    /// To be created after the existing one is deleted: a part of it cannot be changed.
    Recreate(Value),
}

/// A role that is to have the rules of `wanted` at least.
pub(super) fn role(existing: &Value, wanted: &Value) -> Change {
    let mut role = existing.clone();
    merge_metadata(&mut role, wanted);
    let missing = uncovered(&Rule::read_all(existing), &Rule::read_all(wanted));
    append(&mut role, &["rules"], missing.iter().map(Rule::to_value));
    let selectors = |role: &Value| -> Vec<Value> {
        let selectors = role.pointer("/aggregationRule/clusterRoleSelectors");
        selectors
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    if wanted.get("aggregationRule").is_none() {
        role.as_object_mut()
            .map(|role| role.shift_remove("aggregationRule"));
    } else {
        let has = selectors(existing);
        let missing = selectors(wanted)
            .into_iter()
            .filter(|one| !has.contains(one));
        append(
            &mut role,
            &["aggregationRule", "clusterRoleSelectors"],
            missing,
        );
    }
    change(existing, role)
}

/// A binding that is to have the subjects of `wanted` at least.
pub(super) fn binding(existing: &Value, wanted: &Value) -> Change {
    let mut binding = existing.clone();
    merge_metadata(&mut binding, wanted);
    let has: Vec<_> = subjects(existing).map(identity).collect();
    let missing = subjects(wanted).filter(|one| !has.contains(&identity(one)));
    append(&mut binding, &["subjects"], missing.cloned());
    if existing.get("roleRef") == wanted.get("roleRef") {
        return change(existing, binding);
    }
    if is_protected(existing) {
        return Change::Nothing;
    }
    let mut anew = wanted.clone();
    for part in ["subjects", "metadata"] {
        let of_old = binding.get(part).cloned();
        if let (Some(value), Some(anew)) = (of_old, anew.as_object_mut()) {
            anew.insert(part.to_owned(), value);
        }
    }
    if let Some(metadata) = anew.get_mut("metadata").and_then(Value::as_object_mut) {
        for of_the_old in [
            "uid",
            "resourceVersion",
            "creationTimestamp",
            "managedFields",
            "generation",
        ] {
            metadata.shift_remove(of_the_old);
        }
    }
    Change::Recreate(anew)
}

/// An object some of whose parts are to be as those of `wanted`: those named, or all but metadata and status.
pub(super) fn content(existing: &Value, wanted: &Value, parts: &[&str]) -> Change {
    let mut object = existing.clone();
    merge_metadata(&mut object, wanted);
    let of_wanted = wanted.as_object().into_iter().flatten();
    let of_wanted = of_wanted.filter(|(part, _)| match parts {
        [] => !["kind", "apiVersion", "metadata", "status"].contains(&part.as_str()),
        parts => parts.contains(&part.as_str()),
    });
    for (part, value) in of_wanted {
        object
            .as_object_mut()
            .map(|object| object.insert(part.clone(), value.clone()));
    }
    change(existing, object)
}

/// As [`content`] for the spec, if the object is still looked after by servers.
pub(super) fn spec_unless_taken(existing: &Value, wanted: &Value) -> Change {
    let annotations = existing.pointer("/metadata/annotations");
    let said = annotations.and_then(|all| all.get("apf.kubernetes.io/autoupdate-spec"));
    let is_ours = match said.and_then(Value::as_str) {
        Some("true") => true,
        Some("false") => false,
        // Its first generation is what a server has made.
        _ => {
            existing
                .pointer("/metadata/generation")
                .and_then(Value::as_i64)
                == Some(1)
        }
    };
    if is_ours {
        content(existing, wanted, &["spec"])
    } else {
        Change::Nothing
    }
}

/// A service that leads to where the server listens.
pub(super) fn ports(existing: &Value, wanted: &Value) -> Change {
    let mut service = existing.clone();
    for part in ["ports", "type"] {
        let wanted = wanted.pointer(&format!("/spec/{part}")).cloned();
        let spec = service.get_mut("spec").and_then(Value::as_object_mut);
        if let (Some(spec), Some(wanted)) = (spec, wanted) {
            spec.insert(part.to_owned(), wanted);
        }
    }
    change(existing, service)
}

/// A configmap in which certificates and lists grow: servers of one cluster may have different ones.
pub(super) fn trust(existing: &Value, wanted: &Value) -> Change {
    let mut object = existing.clone();
    let wanted = wanted.get("data").and_then(Value::as_object);
    let Some(data) =
        inner(&mut object, &["data"], &Map::new().into()).and_then(Value::as_object_mut)
    else {
        return Change::Nothing;
    };
    for (key, wanted) in wanted.into_iter().flatten() {
        let (Some(has), Some(wanted)) = (data.get(key).and_then(Value::as_str), wanted.as_str())
        else {
            data.insert(key.clone(), wanted.clone());
            continue;
        };
        let both = match (items(has), items(wanted)) {
            (Some(has), Some(wanted)) => {
                let mut all = has;
                all.extend(wanted);
                let mut seen = Vec::new();
                all.retain(|one| {
                    !seen.contains(one) && {
                        seen.push(one.clone());
                        true
                    }
                });
                Value::from(all).to_string()
            }
            _ => certificates(has, wanted),
        };
        data.insert(key.clone(), both.into());
    }
    change(existing, object)
}

/// A list of strings as JSON.
fn items(text: &str) -> Option<Vec<String>> {
    serde_json::from_str(text).ok()
}

/// The certificates of both, those that were there first.
fn certificates(has: &str, wanted: &str) -> String {
    const END: &str = "-----END CERTIFICATE-----";
    let mut all = has.to_owned();
    for certificate in wanted.split_inclusive(END).map(str::trim) {
        if certificate.ends_with(END) && !all.contains(certificate) {
            if !all.is_empty() && !all.ends_with('\n') {
                all.push('\n');
            }
            all.push_str(certificate);
            all.push('\n');
        }
    }
    all
}

fn subjects(binding: &Value) -> impl Iterator<Item = &Value> {
    let subjects = binding.get("subjects").and_then(Value::as_array);
    subjects.into_iter().flatten()
}

fn identity(subject: &Value) -> [Option<&Value>; 3] {
    ["kind", "namespace", "name"].map(|key| subject.get(key))
}

fn change(existing: &Value, new: Value) -> Change {
    if *existing == new || is_protected(existing) {
        return Change::Nothing;
    }
    Change::Update(new)
}

fn is_protected(object: &Value) -> bool {
    let annotations = object.pointer("/metadata/annotations");
    annotations.and_then(|all| all.get(AUTO_UPDATE)) == Some(&Value::from("false"))
}

/// Labels and annotations that are missing; those that are there keep their values.
fn merge_metadata(object: &mut Value, wanted: &Value) {
    for part in ["labels", "annotations"] {
        let wanted = wanted.pointer(&format!("/metadata/{part}"));
        let Some(wanted) = wanted.and_then(Value::as_object) else {
            continue;
        };
        let Some(has) = inner(object, &["metadata", part], &Map::new().into()) else {
            continue;
        };
        if let Some(has) = has.as_object_mut() {
            for (key, value) in wanted {
                has.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
    }
}

/// Adds to a list, which is made if there is something to add.
fn append(object: &mut Value, path: &[&str], items: impl IntoIterator<Item = Value>) {
    let items: Vec<Value> = items.into_iter().collect();
    if items.is_empty() {
        return;
    }
    let list = inner(object, path, &Vec::<Value>::new().into());
    if let Some(list) = list.and_then(Value::as_array_mut) {
        list.extend(items);
    }
}

/// The value at a path, made if it is missing or null.
fn inner<'a>(object: &'a mut Value, path: &[&str], empty: &Value) -> Option<&'a mut Value> {
    let mut at = object;
    for (place, key) in path.iter().enumerate() {
        let fresh = if place + 1 == path.len() {
            empty.clone()
        } else {
            Map::new().into()
        };
        let next = at.as_object_mut()?.entry(*key).or_insert(Value::Null);
        if next.is_null() {
            *next = fresh;
        }
        at = next;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted() -> Value {
        json!({
            "kind": "ClusterRole",
            "metadata": {"name": "r", "labels": {"l": "1"}, "annotations": {AUTO_UPDATE: "true"}},
            "rules": [{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}],
        })
    }

    fn stored() -> Value {
        let mut stored = wanted();
        stored["metadata"]["uid"] = "u".into();
        stored["metadata"]["resourceVersion"] = "7".into();
        stored
    }

    #[test]
    fn a_role_gets_back_what_is_missing() {
        assert_eq!(role(&stored(), &wanted()), Change::Nothing);
        let mut less = stored();
        less["rules"] = json!([{"verbs": ["get"], "apiGroups": ["*"], "resources": ["pods"]}, {"verbs": ["x"], "nonResourceURLs": ["/x"]}]);
        less["metadata"]["labels"] = json!({"l": "2", "m": ""});
        let mut more = less.clone();
        let added = json!({"verbs": ["list"], "apiGroups": [""], "resources": ["pods"]});
        more["rules"].as_array_mut().unwrap().push(added);
        assert_eq!(role(&less, &wanted()), Change::Update(more));
        less["metadata"]["annotations"] = json!({AUTO_UPDATE: "false"});
        assert_eq!(role(&less, &wanted()), Change::Nothing);
    }

    #[test]
    fn selectors_are_added_and_a_plain_role_does_not_gather() {
        let mut gathers = wanted();
        gathers["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]});
        let mut expected = stored();
        expected["aggregationRule"] = gathers["aggregationRule"].clone();
        assert_eq!(role(&stored(), &gathers), Change::Update(expected.clone()));
        assert_eq!(role(&expected, &wanted()), Change::Update(stored()));
    }

    #[test]
    fn what_servers_look_after_is_put_right() {
        let wanted = json!({"metadata": {"name": "x", "annotations": {"apf.kubernetes.io/autoupdate-spec": "true"}}, "spec": {"a": 1}});
        let changed = |annotations: Value, generation: u64| json!({"metadata": {"name": "x", "generation": generation, "annotations": annotations}, "spec": {"a": 2}, "status": {}});
        let put_right = |stored: &Value| match spec_unless_taken(stored, &wanted) {
            Change::Update(new) => {
                new["spec"] == wanted["spec"] && new["status"] == stored["status"]
            }
            _ => false,
        };
        assert!(put_right(&changed(
            json!({"apf.kubernetes.io/autoupdate-spec": "true"}),
            3
        )));
        assert!(put_right(&changed(json!({}), 1)));
        assert!(!put_right(&changed(json!({}), 2)));
        assert!(!put_right(&changed(
            json!({"apf.kubernetes.io/autoupdate-spec": "false"}),
            1
        )));
        assert!(matches!(
            content(&changed(json!({}), 2), &wanted, &["spec"]),
            Change::Update(_)
        ));
        assert_eq!(content(&wanted, &wanted, &[]), Change::Nothing);
    }

    #[test]
    fn a_service_leads_to_the_port() {
        let service = |port: u16| json!({"spec": {"ports": [{"port": 443, "targetPort": port}], "type": "ClusterIP", "clusterIP": "10.0.0.1"}});
        assert_eq!(ports(&service(1), &service(2)), Change::Update(service(2)));
        assert_eq!(ports(&service(2), &service(2)), Change::Nothing);
    }

    #[test]
    fn trust_grows() {
        let pem = |name: &str| {
            format!("-----BEGIN CERTIFICATE-----\n{name}\n-----END CERTIFICATE-----\n")
        };
        let of = |ca: String, names: &str| json!({"data": {"ca": ca, "names": names}});
        let (one, other) = (
            of(pem("A"), "[\"a\"]"),
            of(pem("B") + &pem("A"), "[\"b\",\"a\"]"),
        );
        assert_eq!(trust(&one, &one), Change::Nothing);
        let both = of(pem("A") + &pem("B"), "[\"a\",\"b\"]");
        assert_eq!(trust(&one, &other), Change::Update(both.clone()));
        assert_eq!(trust(&both, &other), Change::Nothing);
        assert_eq!(trust(&json!({}), &one), Change::Update(one.clone()));
    }

    #[test]
    fn a_binding_gets_back_its_subjects_and_its_role() {
        let subject = |name: &str| json!({"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": name});
        let wanted = json!({"metadata": {"name": "b"}, "subjects": [subject("a")], "roleRef": {"name": "r"}});
        let mut stored = wanted.clone();
        stored["metadata"]["uid"] = "u".into();
        assert_eq!(binding(&stored, &wanted), Change::Nothing);
        stored["subjects"] = json!([subject("b")]);
        let mut both = stored.clone();
        both["subjects"] = json!([subject("b"), subject("a")]);
        assert_eq!(binding(&stored, &wanted), Change::Update(both));
        stored["roleRef"]["name"] = "other".into();
        let Change::Recreate(anew) = binding(&stored, &wanted) else {
            panic!("it cannot be changed");
        };
        assert_eq!(anew["roleRef"]["name"], "r");
        assert_eq!(anew["metadata"], json!({"name": "b"}));
        assert_eq!(anew["subjects"].as_array().unwrap().len(), 2);
    }
}
