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
