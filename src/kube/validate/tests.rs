//! Answers of a kube-apiserver of the tables' release, recorded, and what holds for any object.

use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{create, must_name_version, name, refuse, update};
use crate::kube::defaults;
use crate::kube::schema::{Resource, Resources, Schema};
use crate::kube::strategy::{self, Context};
use crate::kube::user::User;

/// One case a line: an object as it was sent (in Go form), for an update with what was stored; the message of the
/// refusal, empty if it was taken; and for some what came back, without what differs each time.
const GOLDEN: &str = include_str!("golden.jsonl");

fn resource(case: &Value) -> &'static Resource {
    let text = |key: &str| case[key].as_str().unwrap_or_default();
    let resources = Resources::built_in();
    resources
        .find(text("group"), text("version"), text("plural"))
        .unwrap()
}

fn with<T>(run: impl FnOnce(&Context<'_>) -> T) -> T {
    let user = User {
        name: "admin".into(),
        ..User::default()
    };
    run(&Context {
        schema: Schema::built_in(),
        user: &user,
        now: UNIX_EPOCH + Duration::from_secs(1_795_000_000),
    })
}

/// What the server makes of a case, and what it says to it.
fn judged(case: &Value) -> (Value, String) {
    let of = resource(case);
    let schema = Schema::built_in();
    let mut object = case["object"].clone();
    defaults::apply(schema, of.object.unwrap(), &mut object);
    let errors = if case.get("old").is_some() {
        let sub = case["sub"].as_str().unwrap_or_default();
        with(|cx| strategy::prepare_update(cx, of, sub, &case["old"], &mut object));
        update(schema, of, sub, &case["old"], &object)
    } else {
        let namespace = case["ns"].as_str().unwrap_or_default();
        if let Err(refusal) = strategy::begin_create(schema, of, namespace, &mut object) {
            return (object, refusal.message);
        }
        let mut rng = || 5;
        with(|cx| {
            strategy::fill(cx, of, &mut object, &mut rng);
            strategy::prepare_create(cx, of, &mut object);
        });
        create(schema, of, &object)
    };
    if errors.is_empty() {
        return (object, String::new());
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let message = refuse(of, name, &errors).message;
    (object, message)
}

/// Without what is different each time, or is admission's.
fn lasting(mut object: Value) -> Value {
    let map = object.as_object_mut().unwrap();
    for field in ["kind", "apiVersion"] {
        map.shift_remove(field);
    }
    let meta = map["metadata"].as_object_mut().unwrap();
    for field in [
        "uid",
        "creationTimestamp",
        "managedFields",
        "resourceVersion",
        "finalizers",
    ] {
        meta.shift_remove(field);
    }
    object
}

#[test]
fn objects_are_judged_as_the_release_judges_them() {
    let mut cases = 0;
    for line in GOLDEN.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let (object, message) = judged(&case);
        assert_eq!(message, case["message"].as_str().unwrap(), "{line}");
        if let Some(result) = case.get("result") {
            let moments = |text: String| {
                let now = strategy::rfc3339(UNIX_EPOCH + Duration::from_secs(1_795_000_000));
                text.replace(&now, "TIME")
            };
            assert_eq!(
                moments(lasting(object).to_string()),
                result.to_string(),
                "{line}"
            );
        }
        cases += 1;
    }
    assert!(cases > 100, "{cases}");
}

#[test]
fn causes_name_the_fields() {
    let of = Resources::built_in().find("", "v1", "configmaps").unwrap();
    let object = json!({"metadata": {"name": "", "namespace": "a"}, "data": {"a b": "x"}});
    let errors = create(Schema::built_in(), of, &object);
    let fields: Vec<&str> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(fields, ["metadata.name", "data[a b]"]);
    let refusal = refuse(of, "", &errors);
    assert_eq!((refusal.code, refusal.reason.as_ref()), (422, "Invalid"));
    assert_eq!(
        must_name_version().to_string(),
        "metadata.resourceVersion: Invalid value: 0: must be specified for an update"
    );
}

#[test]
fn names_follow_their_kind() {
    let find = |group, plural| Resources::built_in().find(group, "v1", plural).unwrap();
    assert!(name(find("rbac.authorization.k8s.io", "roles"), "system:a").is_empty());
    assert!(!name(find("", "pods"), "system:a").is_empty());
    assert!(name(find("", "pods"), "a.b").is_empty());
    assert!(!name(find("", "namespaces"), "a.b").is_empty());
}

#[test]
fn what_is_being_deleted_takes_no_new_finalizers() {
    let of = Resources::built_in().find("", "v1", "configmaps").unwrap();
    let old = json!({"metadata": {"name": "a", "namespace": "n", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["a/b"]}});
    let mut new = old.clone();
    new["metadata"]["finalizers"] = json!(["a/b", "ex.com/g"]);
    let errors = update(Schema::built_in(), of, "", &old, &new);
    assert_eq!(
        refuse(of, "a", &errors).message,
        r#"ConfigMap "a" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"ex.com/g"}"#
    );
}

/// Puts `part` somewhere into a tree, `depth` steps down.
fn replace(tree: &mut Value, at: usize, depth: usize, part: &Value) {
    let size = match tree {
        Value::Object(map) => map.len(),
        Value::Array(items) => items.len(),
        _ => 0,
    };
    if depth == 0 || size == 0 {
        tree.clone_from(part);
        return;
    }
    let next = match tree {
        Value::Object(map) => map.values_mut().nth(at % size),
        Value::Array(items) => items.get_mut(at % size),
        _ => None,
    };
    replace(next.unwrap(), at / 3 + depth, depth - 1, part);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn nothing_panics(old in defaults::tests::any_json(), new in defaults::tests::any_json()) {
        let schema = Schema::built_in();
        for of in Resources::built_in().groups().iter().flat_map(|group| &group.resources) {
            let (mut before, mut after) = (old.clone(), new.clone());
            defaults::apply(schema, of.object.unwrap(), &mut before);
            defaults::apply(schema, of.object.unwrap(), &mut after);
            create(schema, of, &after);
            for sub in ["", "status", "finalize", "approval", "resize", "ephemeralcontainers"] {
                update(schema, of, sub, &before, &after);
            }
        }
    }

    #[test]
    fn golden_objects_with_a_part_replaced_do_not_panic(at in 0usize..1000, part in defaults::tests::any_json(), depth in 0usize..6) {
        let lines: Vec<&str> = GOLDEN.lines().collect();
        let mut case: Value = serde_json::from_str(lines[at % lines.len()]).unwrap();
        replace(&mut case["object"], at, depth, &part);
        if case["object"].is_object() && case["object"]["metadata"].is_object() {
            judged(&case);
        }
    }
}
