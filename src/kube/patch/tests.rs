use proptest::prelude::*;
use serde_json::json;

use super::*;

fn patched(kind: PatchKind, of: &str, object: Value, patch: Value) -> ApiResult<Value> {
    let schema = Schema::built_in();
    let of = schema.find(of).unwrap();
    Patch::read(kind, patch)?.apply(object, Some((schema, of)))
}

fn json_patched(object: Value, patch: Value) -> ApiResult<Value> {
    patched(PatchKind::Json, "core/v1.ConfigMap", object, patch)
}

fn strategic(of: &str, object: Value, patch: Value) -> ApiResult<Value> {
    patched(PatchKind::Strategic, of, object, patch)
}

#[test]
fn json_patches_apply_as_in_the_rfc_and_beyond() {
    for (object, patch, expected) in [
        (
            json!({"a": 1}),
            json!([{"op": "add", "path": "/b", "value": [1]}]),
            json!({"a": 1, "b": [1]}),
        ),
        (
            json!({"l": [1, 2]}),
            json!([{"op": "add", "path": "/l/1", "value": 3}]),
            json!({"l": [1, 3, 2]}),
        ),
        (
            json!({"l": [1, 2]}),
            json!([{"op": "add", "path": "/l/-", "value": 3}]),
            json!({"l": [1, 2, 3]}),
        ),
        (
            json!({"l": [1, 2]}),
            json!([{"op": "add", "path": "/l/-1", "value": 3}]),
            json!({"l": [1, 2, 3]}),
        ),
        (
            json!({"l": [1, 2]}),
            json!([{"op": "remove", "path": "/l/-1"}]),
            json!({"l": [1]}),
        ),
        (
            json!({"a/b": 1, "c~d": 2}),
            json!([{"op": "remove", "path": "/a~1b"}, {"op": "remove", "path": "/c~0d"}]),
            json!({}),
        ),
        (
            json!({}),
            json!([{"op": "replace", "path": "/a", "value": 1}]),
            json!({"a": 1}),
        ),
        (
            json!({}),
            json!([{"op": "add", "path": "x/a", "value": 1}]),
            json!({"a": 1}),
        ),
        (
            json!({"a": {"b": 1}}),
            json!([{"op": "move", "from": "/a/b", "path": "/c"}]),
            json!({"a": {}, "c": 1}),
        ),
        (
            json!({"a": {"b": 1}}),
            json!([{"op": "copy", "from": "/a", "path": "/c"}]),
            json!({"a": {"b": 1}, "c": {"b": 1}}),
        ),
        (
            json!({"a": 1}),
            json!([{"op": "test", "path": "/a", "value": 1}, {"op": "test", "path": "/b"}]),
            json!({"a": 1}),
        ),
        (
            json!({"a": 1}),
            json!([{"op": "replace", "path": "", "value": {}}]),
            json!({}),
        ),
        (json!({"a": 1}), json!([]), json!({"a": 1})),
    ] {
        assert_eq!(json_patched(object, patch.clone()), Ok(expected), "{patch}");
    }
}

#[test]
fn json_patches_that_do_not_apply_are_refused_without_a_word() {
    for patch in [
        json!([{"op": "remove", "path": "/b"}]),
        json!([{"op": "add", "path": "/b/c", "value": 1}]),
        json!([{"op": "add", "path": "/a/b", "value": 1}]),
        json!([{"op": "add", "path": "", "value": 1}]),
        json!([{"op": "add", "path": "/l/3", "value": 1}]),
        json!([{"op": "add", "path": "/l/-4", "value": 1}]),
        json!([{"op": "add", "path": "/l/x", "value": 1}]),
        json!([{"op": "replace", "path": "/l/2", "value": 1}]),
        json!([{"op": "test", "path": "/a", "value": "1"}]),
        json!([{"op": "move", "path": "/a"}]),
        json!([{"op": "dance", "path": "/a"}]),
        json!([{"op": "remove"}]),
        json!([null]),
    ] {
        let refused = json_patched(json!({"a": 1, "l": [1, 2]}), patch.clone()).unwrap_err();
        assert_eq!(
            (refused.code, &*refused.reason),
            (422, "Invalid"),
            "{patch}"
        );
        assert_eq!(
            refused.message,
            "the server rejected our request due to an error in our request"
        );
    }
}

#[test]
fn what_is_no_json_patch_is_a_bad_request() {
    for (patch, expected) in [
        (
            json!({}),
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
        ),
        (
            json!([1]),
            "error decoding patch: json: cannot unmarshal number into Go value of type handlers.jsonPatchOp",
        ),
        (
            json!([{"op": 1}]),
            "error decoding patch: json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string",
        ),
    ] {
        let refused = JsonPatch::read(patch).unwrap_err();
        assert_eq!((refused.code, refused.message.as_str()), (400, expected));
    }
    let operation = json!({"op": "test", "path": "/a", "value": 1});
    let refused = JsonPatch::read(Value::from(vec![operation; 10_001])).unwrap_err();
    assert_eq!(refused.code, 413);
    assert_eq!(
        refused.message,
        "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001"
    );
}

#[test]
fn what_strict_validation_finds_is_told() {
    let body = json!([{"op": "replace", "path": "/data", "value": 1, "foo": 1}]);
    let patch = Patch::read(PatchKind::Json, body).unwrap();
    let errors = patch.strict_errors(&["duplicate field \"[0].op\"".into()]);
    assert_eq!(
        errors,
        [
            "json patch duplicate field \"[0].op\"",
            "json patch unknown field \"[0].foo\""
        ]
    );
    let refused = patch.strict(&json!({"kind": "ConfigMap", "data": 1}), &errors);
    assert_eq!((refused.code, &*refused.reason), (422, "Invalid"));
    assert_eq!(
        refused.message,
        " \"\" is invalid: patch: Invalid value: \"{\\\"data\\\":1,\\\"kind\\\":\\\"ConfigMap\\\"}\": \
         strict decoding error: json patch duplicate field \"[0].op\", json patch unknown field \"[0].foo\""
    );
    let patch = Patch::read(PatchKind::Strategic, json!({"data": {"a": 1}})).unwrap();
    assert_eq!(
        patch
            .misfit(&json!({}), "cannot convert int64 to string")
            .message,
        " \"\" is invalid: patch: Invalid value: \"map[data:map[a:1]]\": cannot convert int64 to string"
    );
}

#[test]
fn json_patches_copy_and_nest_only_so_much() {
    let double = json!({"op": "copy", "from": "/a", "path": "/a/-"});
    let refused = json_patched(json!({"a": ["x".repeat(1000)]}), vec![double; 60].into());
    assert_eq!(refused.unwrap_err().code, 422);
    let deeper = [
        json!({"op": "add", "path": "/b", "value": {}}),
        json!({"op": "move", "from": "/a", "path": "/b/a"}),
        json!({"op": "move", "from": "/b", "path": "/a"}),
    ];
    let refused = json_patched(json!({"a": {}}), vec![deeper; 300].concat().into());
    assert_eq!(refused.unwrap_err().code, 422);
    let around = [
        json!({"op": "move", "from": "/a", "path": "/b/a"}),
        json!({"op": "move", "from": "/b/a", "path": "/a"}),
    ];
    let object = json!({"a": {"x": {}}, "b": {}});
    assert_eq!(
        json_patched(object, vec![around; 1000].concat().into()).unwrap(),
        json!({"b": {}, "a": {"x": {}}})
    );
}

#[test]
fn merge_patches_follow_the_rfc_and_the_library() {
    // The cases of RFC 7386 that are about objects.
    for (object, patch, expected) in [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (
            json!({"a": "b"}),
            json!({"b": "c"}),
            json!({"a": "b", "b": "c"}),
        ),
        (json!({"a": "b"}), json!({"a": null}), json!({})),
        (
            json!({"a": "b", "b": "c"}),
            json!({"a": null}),
            json!({"b": "c"}),
        ),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
        (
            json!({"a": {"b": "c"}}),
            json!({"a": {"b": "d", "c": null}}),
            json!({"a": {"b": "d"}}),
        ),
        (
            json!({"a": [{"b": "c"}]}),
            json!({"a": [1]}),
            json!({"a": [1]}),
        ),
        (
            json!({}),
            json!({"a": {"bb": {"ccc": null}}}),
            json!({"a": {"bb": {}}}),
        ),
        // The library's own.
        (
            json!({}),
            json!({"a": [{"b": null}, null]}),
            json!({"a": [{}, null]}),
        ),
        (
            json!({"a": {}}),
            json!({"a": [{"b": null}]}),
            json!({"a": [{"b": null}]}),
        ),
    ] {
        let result = MergePatch::read(patch.clone()).unwrap().apply(object);
        assert_eq!(result, expected, "{patch}");
    }
    assert_eq!(
        MergePatch::read(Value::Null).unwrap_err().message,
        "Invalid JSON Patch"
    );
    assert_eq!(
        MergePatch::read(json!([])).unwrap_err().message,
        "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"
    );
}

fn containers(names: &[(&str, &str)]) -> Value {
    let containers = names
        .iter()
        .map(|(name, image)| json!({"name": name, "image": image}));
    containers.collect()
}

fn pod(names: &[(&str, &str)]) -> Value {
    json!({"spec": {"containers": containers(names)}})
}

#[test]
fn strategic_patches_merge_lists_by_key() {
    for (patch, expected) in [
        (
            json!([{"name": "b", "image": "2"}]),
            vec![("a", "1"), ("b", "2"), ("c", "1")],
        ),
        (
            json!([{"name": "d", "image": "2"}]),
            vec![("d", "2"), ("a", "1"), ("b", "1"), ("c", "1")],
        ),
        (
            json!([{"name": "b", "$patch": "delete"}]),
            vec![("a", "1"), ("c", "1")],
        ),
        (
            json!([{"$patch": "replace"}, {"name": "z", "image": "2"}]),
            vec![("z", "2")],
        ),
        (json!([{"$patch": "replace"}]), vec![]),
        (
            json!([{"name": "c"}, {"name": "a"}]),
            vec![("c", "1"), ("a", "1"), ("b", "1")],
        ),
    ] {
        let object = pod(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let patch = json!({"spec": {"containers": patch}});
        let result = strategic("core/v1.Pod", object, patch.clone());
        let mut result = result.unwrap();
        let result = result["spec"]["containers"].take();
        let mut result: Vec<_> = result.as_array().unwrap().clone();
        let mut expected = containers(&expected).as_array().unwrap().clone();
        // Where both orders say nothing of each other the position of new ones is checked below.
        let by_name = |value: &Value| value["name"].to_string();
        result.sort_by_key(by_name);
        expected.sort_by_key(by_name);
        assert_eq!(result, expected, "{patch}");
    }
}

#[test]
fn the_order_of_lists_can_be_set() {
    let object = pod(&[("a", "1"), ("b", "1"), ("c", "1")]);
    let patch = json!({"spec": {
        "$setElementOrder/containers": [{"name": "c"}, {"name": "d"}, {"name": "a"}],
        "containers": [{"name": "d", "image": "2"}],
    }});
    let result = strategic("core/v1.Pod", object.clone(), patch).unwrap();
    assert_eq!(
        result,
        pod(&[("b", "1"), ("c", "1"), ("d", "2"), ("a", "1")])
    );
    let patch = json!({"spec": {
        "$setElementOrder/containers": [{"name": "a"}, {"name": "d"}],
        "containers": [{"name": "d"}, {"name": "a"}],
    }});
    let refused = strategic("core/v1.Pod", object, patch).unwrap_err();
    assert_eq!(refused.code, 500);
    assert_eq!(
        refused.message,
        "The order in patch list:\n[map[name:d] map[name:a]]\n doesn't match $setElementOrder list:\n[map[name:a] map[name:d]]\n"
    );
}

#[test]
fn sets_are_merged_and_taken_from() {
    let object = json!({"metadata": {"finalizers": ["a", "b", "c"]}});
    let finalizers = |patch: Value| {
        let patch = json!({"metadata": patch});
        strategic("core/v1.ConfigMap", object.clone(), patch).unwrap()["metadata"]["finalizers"]
            .take()
    };
    assert_eq!(
        finalizers(json!({"finalizers": ["d", "b"]})),
        json!(["d", "a", "b", "c"])
    );
    assert_eq!(
        finalizers(json!({"$deleteFromPrimitiveList/finalizers": ["b", "x"]})),
        json!(["a", "c"])
    );
    assert_eq!(
        finalizers(json!({"$setElementOrder/finalizers": ["c", "d", "a"], "finalizers": ["d"]})),
        json!(["b", "c", "d", "a"])
    );
    let patch = json!({"metadata": {"$deleteFromPrimitiveList": ["b"]}});
    let refused = strategic("core/v1.ConfigMap", object, patch).unwrap_err();
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (400, "invalid patch format of primitive list")
    );
}

#[test]
fn maps_are_merged_replaced_and_deleted() {
    let object = json!({"data": {"a": "1", "b": "2"}, "metadata": {"labels": {"x": "y"}}});
    for (patch, expected) in [
        (
            json!({"data": {"a": null, "c": "3"}}),
            json!({"b": "2", "c": "3"}),
        ),
        (
            json!({"data": {"$patch": "replace", "z": "1"}}),
            json!({"z": "1"}),
        ),
        (json!({"data": {"$patch": "delete"}}), json!({})),
        (json!({"data": null}), Value::Null),
        (json!({"data": {"$retainKeys": ["a"]}}), json!({"a": "1"})),
        (
            json!({"data": {"$retainKeys": ["a", "c"], "c": "3", "x": null}}),
            json!({"a": "1", "c": "3"}),
        ),
    ] {
        let mut result = strategic("core/v1.ConfigMap", object.clone(), patch.clone()).unwrap();
        assert_eq!(result["data"].take(), expected, "{patch}");
    }
    for (patch, code, expected) in [
        (
            json!({"data": {"$retainKeys": "a"}}),
            400,
            "invalid patch format of retainKeys",
        ),
        (
            json!({"data": {"$retainKeys": ["a"], "b": "1"}}),
            400,
            "invalid patch format of retainKeys",
        ),
        (
            json!({"data": {"$patch": "merge", "b": "1"}}),
            500,
            "unknown patch type: merge in map: map[$patch:merge b:1]",
        ),
    ] {
        let refused = strategic("core/v1.ConfigMap", object.clone(), patch).unwrap_err();
        assert_eq!((refused.code, refused.message.as_str()), (code, expected));
    }
    let refused = strategic("core/v1.ConfigMap", object, json!([])).unwrap_err();
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (
            400,
            "json: cannot unmarshal array into Go value of type map[string]interface {}"
        )
    );
}

#[test]
fn lists_without_a_strategy_are_replaced() {
    let object = json!({"spec": {"containers": [{"name": "a", "args": ["1"], "command": ["x"]}]}});
    let patch = json!({"spec": {"containers": [{"name": "a", "args": ["2", "3"]}]}});
    assert_eq!(
        strategic("core/v1.Pod", object, patch),
        Ok(json!({"spec": {"containers": [{"name": "a", "args": ["2", "3"], "command": ["x"]}]}}))
    );
}

#[test]
fn lists_that_cannot_be_merged_are_refused() {
    for (patch, code, expected) in [
        (
            json!([{"image": "x"}]),
            500,
            "map: map[image:x] does not contain declared merge key: name",
        ),
        (
            json!([{"$patch": "delete"}]),
            500,
            "map: map[$patch:delete] does not contain declared merge key: name",
        ),
        (
            json!(["x"]),
            500,
            "list element types are not identical: [[map[image:1 name:a]] [x]]",
        ),
        (
            json!([{"$patch": "merge", "name": "a"}]),
            500,
            "merging lists cannot yet be specified in the patch",
        ),
        (
            json!([{"$patch": "x", "name": "a"}]),
            500,
            "unknown patch type: x in map: map[$patch:x name:a]",
        ),
    ] {
        let patch = json!({"spec": {"containers": patch}});
        let refused = strategic("core/v1.Pod", pod(&[("a", "1")]), patch).unwrap_err();
        assert_eq!((refused.code, refused.message.as_str()), (code, expected));
    }
}

/// Any JSON, with the names that mean something in patches and pods.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..3_i64).prop_map(Value::from),
        "(a|b|delete|replace|merge|/a|/spec/containers/0|remove|add|move|copy|test)"
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let names = "(a|b|name|spec|metadata|containers|finalizers|labels|op|path|from|value|\\$patch|\\$retainKeys|\
                     \\$setElementOrder/containers|\\$setElementOrder/finalizers|\\$deleteFromPrimitiveList/finalizers)";
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map(names, inner, 0..5)
                .prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

fn object() -> impl Strategy<Value = Value> {
    any_json().prop_map(|value| {
        if value.is_object() {
            value
        } else {
            json!({"spec": value})
        }
    })
}

proptest! {
    #[test]
    fn patches_never_panic(object in any_json(), patch in any_json()) {
        fuzz_patch(format!("{object}\n{patch}").as_bytes());
    }

    #[test]
    fn a_merge_patch_can_be_applied_twice(one in object(), patch in object()) {
        let patch = MergePatch::read(patch).unwrap();
        let once = patch.apply(one);
        // Nulls in lists stay or go by what the list takes the place of.
        let twice = merge::without_nulls(&patch.apply(once.clone()));
        prop_assert_eq!(twice, merge::without_nulls(&once));
    }

    #[test]
    fn an_empty_patch_changes_nothing(one in object()) {
        for kind in [PatchKind::Merge, PatchKind::Strategic] {
            prop_assert_eq!(patched(kind, "core/v1.Pod", one.clone(), json!({})), Ok(one.clone()));
        }
    }

    #[test]
    fn lists_merged_by_key_keep_every_element_once(
        old in proptest::sample::subsequence(vec!["a", "b", "c", "d", "e"], 0..5).prop_shuffle(),
        new in proptest::sample::subsequence(vec!["a", "b", "c", "d", "e"], 1..5).prop_shuffle(),
    ) {
        let list = |names: &[&str], image| -> Vec<_> {
            names.iter().map(|name| json!({"name": name, "image": image})).collect()
        };
        let object = json!({"spec": {"containers": list(&old, "1")}});
        let patch = json!({"spec": {"containers": list(&new, "2")}});
        let result = strategic("core/v1.Pod", object, patch).unwrap();
        let result = result["spec"]["containers"].as_array().unwrap().clone();
        let names: Vec<_> = result.iter().map(|one| one["name"].as_str().unwrap()).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        let mut expected = [old.clone(), new.clone()].concat();
        expected.sort_unstable();
        expected.dedup();
        prop_assert_eq!(sorted, expected);
        // What the patch names stands in its order, the rest in that of the object.
        let of = |keep: &dyn Fn(&&str) -> bool| names.iter().copied().filter(|name| keep(name)).collect::<Vec<_>>();
        prop_assert_eq!(of(&|name| new.contains(name)), new.clone());
        let others: Vec<_> = old.into_iter().filter(|name| !new.contains(name)).collect();
        prop_assert_eq!(of(&|name| !new.contains(name)), others);
    }
}
