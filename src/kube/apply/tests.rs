use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, json};

use super::managed;
use super::*;
use crate::kube::patch::{Patch, PatchKind};
use crate::kube::schema::{Resource, Resources, Schema};
use crate::kube::status::ApiResult;

fn resource(group: &str, version: &str, plural: &str) -> Resource {
    match Resources::built_in().find(group, version, plural) {
        Some(resource) => Resource::clone(resource),
        // A custom resource with a status that preserves unknown fields.
        None => {
            let mut resource = resource("", "v1", "resourcequotas");
            resource.group = group.into();
            resource.kind = "Foo".into();
            resource.object = None;
            resource
        }
    }
}

fn manager_of(plural: &str) -> FieldManager {
    FieldManager::new(&resource("", "v1", plural), "", Box::new(OneVersion))
}

/// What Go form does to the few fields of these tests.
fn conform(object: &mut Value) {
    let mut tidy = |at: &str, names: &[&str]| {
        let fields = if at.is_empty() {
            Some(&mut *object)
        } else {
            object.get_mut(at)
        };
        let fields = fields.and_then(Value::as_object_mut);
        let Some(fields) = fields else { return };
        fields.retain(|name, value| {
            let empty = match &value {
                Value::Object(fields) => fields.is_empty(),
                Value::Array(items) => items.is_empty(),
                other => other.is_null(),
            };
            !(empty && names.contains(&name.as_str()))
        });
    };
    tidy("", &["data"]);
    tidy(
        "metadata",
        &["labels", "annotations", "finalizers", "ownerReferences"],
    );
    let metadata = object.get_mut("metadata").unwrap().as_object_mut().unwrap();
    metadata.insert("uid".into(), "u".into());
}

/// Answers of kube-apiserver 1.36.2 to creates, updates and applies of several managers, one after the other.
#[test]
fn owners_are_those_of_the_release() {
    let mut objects: BTreeMap<String, Value> = BTreeMap::new();
    for line in include_str!("recorded.jsonl").lines() {
        let step: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| step[name].as_str().unwrap_or_default();
        let resource = resource(text("group"), text("version"), text("of"));
        let fields = FieldManager::new(&resource, text("sub"), Box::new(OneVersion));
        let key = format!("{} {}", text("of"), text("name"));
        let live = objects.get(&key).cloned();
        let live = live.as_ref();
        // What changes no time happens later.
        let now = step["now"].as_str().unwrap_or("2099-01-01T00:00:00Z");
        let result = write(&fields, &step, live, now);
        let label = text("label");
        match (result, step["message"].as_str()) {
            (Err(error), Some(message)) => {
                assert_eq!(
                    (error.message.as_str(), u64::from(error.code)),
                    (message, step["code"].as_u64().unwrap()),
                    "{label}"
                );
            }
            (Ok(mut object), None) => {
                conform(&mut object);
                if let Some(live) = live {
                    keep_times(live, &mut object);
                }
                if let Some(expected) = step.get("fields") {
                    let mut found = managed::of(&object).cloned().unwrap_or(json!([]));
                    for entry in found.as_array_mut().unwrap() {
                        let entry = entry.as_object_mut().unwrap();
                        assert_eq!(entry.shift_remove("fieldsType"), Some("FieldsV1".into()));
                    }
                    assert_eq!(&found, expected, "{label}");
                }
                if let Some(data) = step.get("data") {
                    assert_eq!(&object["data"], data, "{label}");
                }
                objects.insert(key, object);
            }
            (result, message) => panic!("{label}: {result:?} and not {message:?}"),
        }
    }
}

fn write(fields: &FieldManager, step: &Value, live: Option<&Value>, now: &str) -> ApiResult<Value> {
    let text = |name: &str| step[name].as_str().unwrap_or_default();
    let body = &step["body"];
    let new = match text("op") {
        "apply" => {
            return fields.apply(&Apply {
                live,
                patch: body,
                manager: text("manager"),
                force: step["force"].as_bool().unwrap_or_default(),
                now,
            });
        }
        "patch" => {
            let kind = PatchKind::of(text("ctype")).unwrap();
            Patch::read(kind, body.clone())?.apply(live.unwrap().clone(), None)?
        }
        _ => body.clone(),
    };
    let mut conformed = new.clone();
    conform(&mut conformed);
    Ok(fields.update(
        conformed,
        &Update {
            live,
            manager: text("manager"),
            now,
            reset: is_reset(&new),
        },
    ))
}

#[test]
fn conflicts_have_causes() {
    let fields = manager_of("configmaps");
    let apply = |live: Option<&Value>, manager: &str, data: Value| {
        let patch = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data});
        let now = "2026-01-01T00:00:00Z";
        fields.apply(&Apply {
            live,
            patch: &patch,
            manager,
            force: false,
            now,
        })
    };
    let one = apply(None, "m1", json!({"k": "1", "l": "1"})).unwrap();
    let both = apply(Some(&one), "m2", json!({"k": "1"})).unwrap();
    let refused = apply(Some(&both), "m3", json!({"k": "2", "l": "2"})).unwrap_err();
    assert_eq!((refused.code, &*refused.reason), (409, "Conflict"));
    assert_eq!(
        refused.message,
        "Apply failed with 3 conflicts: conflicts with \"m1\":\n- .data.k\n- .data.l\nconflicts with \"m2\":\n- .data.k"
    );
    let details = refused.details.unwrap();
    assert!(details.name.is_empty() && details.kind.is_empty());
    let causes = details
        .causes
        .iter()
        .map(|cause| (&*cause.reason, cause.message.as_str(), cause.field.as_str()));
    let reason = "FieldManagerConflict";
    assert_eq!(
        causes.collect::<Vec<_>>(),
        [
            (reason, "conflict with \"m1\"", ".data.k"),
            (reason, "conflict with \"m1\"", ".data.l"),
            (reason, "conflict with \"m2\"", ".data.k"),
        ]
    );
}

#[test]
fn what_is_no_object_is_not_applied() {
    let fields = manager_of("configmaps");
    let refused = |patch: Value| {
        let apply = Apply {
            live: None,
            patch: &patch,
            manager: "m",
            force: false,
            now: "",
        };
        fields.apply(&apply).unwrap_err().message
    };
    assert_eq!(refused(Value::Null), "invalid object type: /, Kind=");
    assert_eq!(
        refused(json!({"apiVersion": "a/b/c", "kind": "X"})),
        "invalid object type: /, Kind="
    );
    assert_eq!(
        refused(json!([])),
        "error decoding YAML: error unmarshaling JSON: while decoding JSON: \
         json: cannot unmarshal array into Go value of type map[string]interface {}"
    );
}

#[test]
fn values_that_do_not_fit_are_refused_in_the_words_of_the_release() {
    let deployments = resource("apps", "v1", "deployments");
    let fields = FieldManager::new(&deployments, "", Box::new(OneVersion));
    let refused = |spec: Value| {
        let patch = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "e"}, "spec": spec});
        let apply = Apply {
            live: None,
            patch: &patch,
            manager: "m",
            force: false,
            now: "",
        };
        let refused = fields.apply(&apply).unwrap_err();
        assert_eq!((refused.code, &*refused.reason), (500, ""));
        refused.message
    };
    let containers = |containers: Value| json!({"template": {"spec": {"containers": containers}}});
    let prefix = "failed to create typed patch object (/e; apps/v1, Kind=Deployment): .spec";
    for (spec, expected) in [
        (
            json!({"replicas": "2"}),
            ".replicas: expected numeric (int or float), got string",
        ),
        (
            json!({"paused": "x"}),
            ".paused: expected boolean, got &{x}",
        ),
        (
            containers(json!({"a": 1})),
            ".template.spec.containers: expected list, got &{map[a:1]}",
        ),
        (
            containers(json!([{"name": "side"}, {"name": "side"}])),
            ".template.spec.containers: duplicate entries for key [name=\"side\"]",
        ),
    ] {
        assert_eq!(refused(spec), format!("{prefix}{expected}"));
    }
}

#[test]
fn fields_that_a_write_cannot_set_are_not_owned() {
    let owned = |plural: &str, subresource: &str, patch: Value| {
        let (group, plural) = plural.split_once('/').unwrap_or(("", plural));
        let resource = resource(group, "v1", plural);
        let fields = FieldManager::new(&resource, subresource, Box::new(OneVersion));
        let mut patch = patch;
        patch["apiVersion"] = resource.api_version().into();
        patch["kind"] = (*resource.kind).into();
        let live = json!({"metadata": {"name": "a", "uid": "u"}});
        let apply = Apply {
            live: Some(&live),
            patch: &patch,
            manager: "m",
            force: true,
            now: "",
        };
        let object = fields.apply(&apply).unwrap();
        let mine = managed::of(&object)
            .unwrap()
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["manager"] == "m");
        mine.map_or(Value::Null, |mine| mine["fieldsV1"].clone())
    };
    let both = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"nodeName": "n"}, "status": {"phase": "x"}});
    let labels = json!({"f:labels": {"f:a": {}}});
    assert_eq!(
        owned("pods", "", both.clone()),
        json!({"f:metadata": labels, "f:spec": {"f:nodeName": {}}})
    );
    assert_eq!(
        owned("pods", "status", both),
        json!({"f:metadata": labels, "f:status": {"f:phase": {}}})
    );
    let resize = json!({"spec": {"containers": [{"name": "a", "image": "i", "resources": {"limits": {"cpu": "1"}}}]}});
    assert_eq!(
        owned("pods", "resize", resize),
        json!({"f:spec": {"f:containers": {"k:{\"name\":\"a\"}": {".": {}, "f:resources": {"f:limits": {"f:cpu": {}}}}}}})
    );
    let both = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"replicas": 1}, "status": {"replicas": 1}});
    assert_eq!(
        owned("apps/deployments", "status", both),
        json!({"f:status": {"f:replicas": {}}})
    );
}

#[test]
fn scales_show_the_owners_of_their_number() {
    let deployments = resource("apps", "v1", "deployments");
    let scale = ScaleFields::new(&deployments, "spec.replicas");
    let replicas = json!({"f:spec": {"f:replicas": {}}});
    let entry = |manager: &str, version: &str, fields: &Value| json!({"manager": manager, "operation": "Apply", "apiVersion": version, "fieldsType": "FieldsV1", "fieldsV1": fields});
    let both = json!({"f:spec": {"f:paused": {}, "f:replicas": {}}});
    let mut object = json!({"metadata": {"managedFields": [entry("m", "apps/v1", &both)]}, "spec": {"replicas": 1}});
    assert_eq!(
        scale.of_object(&object),
        Some(json!([entry("m", "autoscaling/v1", &replicas)]))
    );
    let changed = json!({"metadata": {"managedFields": [entry("s", "autoscaling/v1", &replicas)]}});
    scale.into_object(&changed, &mut object);
    let paused = json!({"f:spec": {"f:paused": {}}});
    assert_eq!(
        object["metadata"]["managedFields"],
        json!([
            entry("m", "apps/v1", &paused),
            entry("s", "apps/v1", &replicas)
        ])
    );
    let fields = FieldManager::new(&deployments, "scale", Box::new(OneVersion));
    let patch = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": 3}});
    let apply = Apply {
        live: None,
        patch: &patch,
        manager: "m",
        force: false,
        now: "",
    };
    let result = fields.apply(&apply).unwrap();
    assert_eq!(
        result["metadata"]["managedFields"][0]["subresource"],
        "scale"
    );
}

#[test]
fn other_versions_are_compared_in_their_own_words() {
    struct Renamed;
    impl Versions for Renamed {
        fn convert(&self, object: &Value, version: &str) -> Option<(Value, Type<'static>)> {
            let mut object = object.clone();
            let fields = object.as_object_mut()?;
            let (from, to) = match version {
                "ex.com/v2" => ("old", "new"),
                "ex.com/v1" => ("new", "old"),
                _ => return None,
            };
            if let Some(value) = fields.shift_remove(from) {
                fields.insert(to.into(), value);
            }
            fields.insert("apiVersion".into(), version.into());
            Some((object, Type::deduced()))
        }
    }
    let manager = |version: &str| {
        let mut resource = resource("ex.com", "v1", "foos");
        resource.version = version.into();
        FieldManager::new(&resource, "", Box::new(Renamed))
    };
    let apply = |version: &str, live: Option<&Value>, manager_name: &str, field: &str, force| {
        let mut patch = json!({"apiVersion": format!("ex.com/{version}"), "kind": "Foo"});
        if !field.is_empty() {
            patch[field] = manager_name.into();
        }
        let apply = Apply {
            live,
            patch: &patch,
            manager: manager_name,
            force,
            now: "",
        };
        manager(version).apply(&apply)
    };
    let one = apply("v1", None, "a", "old", false).unwrap();
    let as_v2 = Renamed.convert(&one, "ex.com/v2").unwrap().0;
    let refused = apply("v2", Some(&as_v2), "b", "new", false).unwrap_err();
    assert_eq!(
        refused.message,
        "Apply failed with 1 conflict: conflict with \"a\": .old"
    );
    let taken = apply("v2", Some(&as_v2), "b", "new", true).unwrap();
    assert_eq!(
        taken["metadata"]["managedFields"].as_array().unwrap().len(),
        1
    );
    // Given up in the other version, the field vanishes as well.
    let gone = apply("v2", Some(&as_v2), "a", "", false).unwrap();
    assert_eq!((gone.get("new"), gone.get("old")), (None, None));
}

#[test]
fn kubectl_takes_over_what_it_has_applied() {
    let fields = manager_of("configmaps");
    let last = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "k"}, "data": {"a": "1"}});
    let annotations = json!({last_annotation(): last.to_string()});
    let live = json!({"metadata": {"name": "k", "uid": "u", "annotations": annotations}, "data": {"a": "1"}});
    let patch = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "k"}, "data": {"a": "<2>"}});
    let apply = |manager| {
        fields.apply(&Apply {
            live: Some(&live),
            patch: &patch,
            manager,
            force: false,
            now: "",
        })
    };
    let object = apply("kubectl").unwrap();
    assert_eq!(
        object["metadata"]["annotations"][last_annotation()],
        "{\"apiVersion\":\"v1\",\"data\":{\"a\":\"\\u003c2\\u003e\"},\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"k\"}}\n"
    );
    assert_eq!(apply("other").unwrap_err().code, 409);
}

fn last_annotation() -> &'static str {
    "kubectl.kubernetes.io/last-applied-configuration"
}

fn any_set() -> impl Strategy<Value = Set> {
    let element = prop_oneof![
        "[a-c]".prop_map(|name| Element::field(&name)),
        "[a-c]".prop_map(|name| Element::key(vec![("name".into(), name.into())])),
        (0..3_i64).prop_map(|value| Element::Value(value.into())),
        (0..3_i64).prop_map(Element::Index),
    ];
    let path = proptest::collection::vec(element, 1..4);
    proptest::collection::vec(path, 0..12).prop_map(|paths| {
        let mut set = Set::default();
        for path in paths {
            set.insert(&path);
        }
        set
    })
}

fn data() -> impl Strategy<Value = BTreeMap<String, String>> {
    proptest::collection::btree_map("[a-f]", "[x-z]", 0..5)
}

fn applied(
    live: Option<&Value>,
    manager: &str,
    data: &BTreeMap<String, String>,
    force: bool,
) -> ApiResult<Value> {
    let patch =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data});
    manager_of("configmaps").apply(&Apply {
        live,
        patch: &patch,
        manager,
        force,
        now: "2026-01-01T00:00:00Z",
    })
}

fn data_of(object: &Value) -> BTreeMap<String, String> {
    let data = object
        .get("data")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    data.into_iter()
        .map(|(key, value)| (key, value.as_str().unwrap().to_owned()))
        .collect()
}

/// The object and its owners without times, which tell in which order things happened.
fn timeless(mut object: Value) -> (BTreeMap<String, String>, Vec<Value>) {
    let mut entries = managed::of(&object)
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    for entry in &mut entries {
        entry.as_object_mut().unwrap().shift_remove("time");
    }
    entries.sort_by_key(|entry| entry["manager"].to_string());
    (data_of(&object.take()), entries)
}

proptest! {
    #[test]
    fn sets_obey_the_algebra(a in any_set(), b in any_set(), c in any_set()) {
        prop_assert_eq!(a.union(&b), b.union(&a));
        prop_assert_eq!(a.intersection(&b), b.intersection(&a));
        prop_assert_eq!(a.union(&b).union(&c), a.union(&b.union(&c)));
        prop_assert_eq!(a.intersection(&b.union(&c)), a.intersection(&b).union(&a.intersection(&c)));
        prop_assert_eq!(a.difference(&b), a.difference(&a.intersection(&b)));
        prop_assert_eq!(&a.difference(&b).union(&a.intersection(&b)), &a);
        prop_assert!(a.difference(&b).intersection(&b).is_empty());
        prop_assert!(a.recursive_difference(&b).difference(&a.difference(&b)).is_empty());
    }

    #[test]
    fn sets_are_written_in_one_form(set in any_set()) {
        let written = set.write();
        let read = Set::read(&written);
        prop_assert_eq!(read.as_ref(), Ok(&set));
        fuzz_fields(written.to_string().as_bytes());
        prop_assert_eq!(set.paths().iter().filter(|path| !set.has(path)).count(), 0);
    }

    #[test]
    fn anything_may_be_sent_as_owners(text in "[{}\\[\\]:,\"fvki.0-9a-b]{0,40}") {
        fuzz_fields(text.as_bytes());
    }

    #[test]
    fn applying_twice_is_applying_once(first in data(), mine in data()) {
        let live = applied(None, "other", &first, false).unwrap();
        let once = applied(Some(&live), "m", &mine, true).unwrap();
        let mut twice = applied(Some(&once), "m", &mine, false).unwrap();
        keep_times(&once, &mut twice);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn managers_of_different_fields_commute(mut one in data(), other in data()) {
        one.retain(|key, _| !other.contains_key(key));
        let both = |first: (&str, &BTreeMap<_, _>), then: (&str, &BTreeMap<_, _>)| {
            let live = applied(None, first.0, first.1, false).unwrap();
            timeless(applied(Some(&live), then.0, then.1, false).unwrap())
        };
        prop_assert_eq!(both(("a", &one), ("b", &other)), both(("b", &other), ("a", &one)));
    }

    #[test]
    fn what_nobody_owns_any_more_vanishes(first in data(), then in data(), other in data()) {
        let live = applied(None, "m", &first, false).unwrap();
        let live = applied(Some(&live), "other", &other, true).unwrap();
        let result = applied(Some(&live), "m", &then, true).unwrap();
        let mut expected = other;
        expected.extend(then);
        prop_assert_eq!(data_of(&result), expected);
    }

    #[test]
    fn what_changes_is_owned_by_who_changed_it(before in data(), after in data()) {
        let live = applied(None, "m", &before, false).unwrap();
        let mut live = live;
        live["metadata"]["uid"] = "u".into();
        let mut new = live.clone();
        new["data"] = json!(after);
        let now = "2026-01-02T00:00:00Z";
        let update = Update { live: Some(&live), manager: "u", now, reset: false };
        let result = manager_of("configmaps").update(new, &update);
        let owned = |manager: &str| {
            let entries = managed::of(&result).and_then(Value::as_array).cloned().unwrap_or_default();
            let entry = entries.into_iter().find(|entry| entry["manager"] == manager);
            let data = entry.and_then(|entry| entry["fieldsV1"]["f:data"].as_object().cloned());
            data.unwrap_or_default().keys().filter_map(|key| key.strip_prefix("f:").map(str::to_owned)).collect::<Vec<_>>()
        };
        let kept = |key: &&String| before.get(*key) == after.get(*key);
        prop_assert_eq!(owned("m"), before.keys().filter(kept).cloned().collect::<Vec<_>>());
        let changed = after.keys().filter(|key| !kept(key)).cloned().collect::<Vec<_>>();
        prop_assert_eq!(owned("u"), changed);
    }

    #[test]
    fn merged_lists_hold_every_element_once_in_the_applied_order(
        old in proptest::sample::subsequence(vec!["a", "b", "c", "d", "e"], 0..5).prop_shuffle(),
        new in proptest::sample::subsequence(vec!["a", "b", "c", "d", "e"], 1..5).prop_shuffle(),
    ) {
        let of = resource("", "v1", "pods").object.map(|id| Type::of(Schema::built_in(), id)).unwrap();
        let pod = |names: &[&str]| {
            let containers: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
            json!({"spec": {"containers": containers}})
        };
        let merged = merge::merge(of, &pod(&old), &pod(&new)).unwrap();
        let names: Vec<_> = merged["spec"]["containers"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
        let mut expected: Vec<_> = [old, new.clone()].concat();
        expected.sort_unstable();
        expected.dedup();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        prop_assert_eq!(sorted, expected);
        prop_assert_eq!(names.into_iter().filter(|name| new.contains(name)).collect::<Vec<_>>(), new);
    }
}

#[test]
fn empty_objects_are_those_of_go() {
    let empty = |group, plural: &str| {
        let id = resource(group, "v1", plural).object.unwrap();
        Type::of(Schema::built_in(), id).empty()
    };
    assert_eq!(empty("", "configmaps"), json!({"metadata": {}}));
    assert_eq!(
        empty("", "pods"),
        json!({"metadata": {}, "spec": {"containers": null}, "status": {}})
    );
    assert_eq!(Type::deduced().empty(), Value::from(Map::new()));
}
