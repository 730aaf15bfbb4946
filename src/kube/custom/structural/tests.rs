//! Cases with the answers of kube-apiserver 1.36.2's own packages, and what holds for any schema.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::kube::field::FieldError;

fn told(errors: &[FieldError]) -> Vec<String> {
    let told = errors
        .iter()
        .map(|error| format!("{}|{error}", error.reason()));
    let mut told: Vec<String> = told.collect();
    told.sort();
    told
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items.map(|one| one.as_str().unwrap().to_owned()).collect()
}

/// What is wrong in one recorded case; the release walks maps in no order, so that of errors is not compared.
fn errors(group: &Value, case: &Value) -> Option<Vec<FieldError>> {
    let schema = &group["schema"];
    if group["op"] == "check" {
        let status = group["status"] == true;
        let options = match case.get("old") {
            Some(old) => CheckOptions::update(status, &[old], false),
            None => CheckOptions::new(status),
        };
        let path = "spec.validation.openAPIV3Schema";
        return Some(check(schema, path, &options));
    }
    let schema = Structural::parse(schema).unwrap();
    let object = &case["object"];
    Some(match group["op"].as_str().unwrap() {
        "validate" => {
            let base = group["path"].as_str().unwrap_or_default();
            validate_at(&schema, base, object, case.get("old"))
        }
        "lists" => validate_lists(&schema, object),
        "meta" => validate_metadata(&schema, object, false),
        _ => return None,
    })
}

/// What an object becomes, and the unknown fields that it had.
fn changed(group: &Value, case: &Value) -> Result<(Value, Vec<String>), String> {
    let schema = Structural::parse(&group["schema"])?;
    let mut object = case["object"].clone();
    let unknown = match group["op"].as_str().unwrap() {
        "prune" => prune(&schema, &mut object, true),
        "default" => {
            drop_nulls(&schema, &mut object);
            default(&schema, &mut object);
            Vec::new()
        }
        _ => {
            let malformed = if group["drop"] == true {
                Malformed::Drop
            } else {
                Malformed::Refuse
            };
            coerce(&schema, &mut object, false, malformed).map_err(|error| error.to_string())?
        }
    };
    Ok((object, unknown))
}

#[test]
fn recorded_cases_are_answered_as_by_the_release() {
    let mut count = 0;
    for line in include_str!("recorded.jsonl").lines() {
        let group: Value = serde_json::from_str(line).unwrap();
        for case in group["cases"].as_array().unwrap() {
            count += 1;
            let context = || format!("{} {} {case}", group["op"], group["schema"]);
            if let Some(error) = case.get("error") {
                let refused = changed(&group, case);
                assert_eq!(refused.unwrap_err(), *error, "{}", context());
            } else if let Some(errors) = errors(&group, case) {
                assert_eq!(told(&errors), texts(case.get("errors")), "{}", context());
            } else {
                let (object, unknown) = changed(&group, case).unwrap();
                // As it is written: a whole float is no other than an integer there.
                let (object, expected) = (value::json(&object), value::json(&case["becomes"]));
                assert_eq!(object, expected, "{}", context());
                assert_eq!(unknown, texts(case.get("unknown")), "{}", context());
            }
        }
    }
    assert!(count > 500, "{count} cases");
}

#[test]
fn defaults_are_pruned_as_in_the_release() {
    let schema = |e: Value, l: Value, p: Value, whole: Value| {
        json!({"type": "object", "properties": {"spec": {"type": "object", "default": whole, "properties": {
            "a": {"type": "integer"},
            "m": {"type": "object", "additionalProperties": {"type": "object", "properties": {"q": {"type": "integer"}}}},
            "l": {"type": "array", "items": {"type": "object", "default": l, "properties": {"b": {"type": "integer"}}}},
            "e": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true, "default": e},
            "p": {"type": "object", "additionalProperties": {"type": "object", "default": p, "properties": {"u": {"type": "integer"}}}},
        }}}})
    };
    let mut before = Structural::parse(&schema(
        json!({"kind": 1, "apiVersion": "v1", "metadata": {"name": "x", "labels": 5, "zz": 1}, "foo": {"bar": 1}}),
        json!({"b": 1, "c": 2}),
        json!({"u": 1, "v": 2}),
        json!({"a": 1, "z": 2, "m": {"k": {"q": 1, "y": 2}}}),
    ))
    .unwrap();
    let after = Structural::parse(&schema(
        json!({"apiVersion": "v1", "metadata": {"name": "x"}, "foo": {"bar": 1}}),
        json!({"b": 1}),
        json!({"u": 1}),
        json!({"a": 1, "m": {"k": {"q": 1}}}),
    ))
    .unwrap();
    assert_eq!(prune_defaults(&mut before), Ok(true));
    assert_eq!(before, after);
    assert_eq!(prune_defaults(&mut before), Ok(false));
    let mut root = Structural::parse(&json!({"type": "object", "default": 5})).unwrap();
    let why = "failed to prune default value: object root default value must be of object type";
    assert_eq!(prune_defaults(&mut root), Err(why.into()));
}

#[test]
fn objects_are_received_whole() {
    let schema = Structural::parse(&json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {
            "n": {"type": "integer"},
            "of": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
        }},
    }}))
    .unwrap();
    let mut object = json!({"apiVersion": "ex.com/v1", "kind": "Foo",
        "metadata": {"name": "x", "zz": 1}, "spec": {"n": null, "m": 2,
        "of": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "y", "foo": 1}}}});
    assert_eq!(
        receive(&schema, &mut object, Malformed::Refuse),
        Ok(vec![
            "metadata.zz".into(),
            "spec.m".into(),
            "spec.of.metadata.foo".into()
        ])
    );
    assert_eq!(
        object,
        json!({"apiVersion": "ex.com/v1", "kind": "Foo", "metadata": {"name": "x"}, "spec":
            {"of": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "y"}}}})
    );
    // In the order of the release: metadata, the rest, metadata of what lies in it.
    let mut strict = json!({"apiVersion": "ex.com/v1", "kind": "Foo", "metadata": {"name": "a", "zz": 1},
        "spec": {"u": 1, "m": {"y": {"r": 1}}, "of": {"apiVersion": "v1", "kind": "Pod", "metadata": {"foo": 1}}}, "zz": {}});
    assert_eq!(
        receive(&schema, &mut strict, Malformed::Refuse).unwrap(),
        [
            "metadata.zz",
            "spec.m",
            "spec.u",
            "zz",
            "spec.of.metadata.foo"
        ]
    );
    let mut wrong = json!({"metadata": {"labels": {"a": 1}}});
    assert_eq!(
        receive(&schema, &mut wrong.clone(), Malformed::Refuse),
        Err(
            "json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string"
                .into()
        )
    );
    assert_eq!(
        receive(&schema, &mut wrong, Malformed::Drop),
        Ok(Vec::new())
    );
    assert_eq!(wrong, json!({"metadata": {}}));
}

#[test]
fn unknown_fields_are_told_up_to_a_bound() {
    let schema = Structural::parse(&json!({"type": "object"})).unwrap();
    let fields = (0..500).map(|at| (format!("f{at}"), Value::from(at)));
    let mut object: Value = fields.collect::<Map<String, Value>>().into();
    assert_eq!(prune(&schema, &mut object, true).len(), prune::MAX_UNKNOWN);
    assert_eq!(object, json!({}));
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..9i64).prop_map(Value::from),
        Just(json!(1.5)),
        "[a-c]{0,3}".prop_map(Value::from),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-d]", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A schema with defaults of any kind, most of which are not of its types.
fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"type": "string", "maxLength": 2})),
        Just(json!({"type": "integer", "maximum": 5})),
        Just(json!({"type": "boolean"})),
        Just(json!({"x-kubernetes-int-or-string": true})),
        Just(json!({"x-kubernetes-preserve-unknown-fields": true})),
    ];
    let node = leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::btree_map("[a-d]", inner.clone(), 0..4)
                .prop_map(|fields| { json!({"type": "object", "properties": fields}) }),
            inner
                .clone()
                .prop_map(|inner| json!({"type": "object", "additionalProperties": inner})),
            inner
                .clone()
                .prop_map(|inner| json!({"type": "array", "items": inner})),
            (inner, scalar(), any::<bool>()).prop_map(|(mut inner, default, nullable)| {
                inner["default"] = default;
                inner["nullable"] = nullable.into();
                inner
            }),
        ]
    });
    prop::collection::btree_map("[a-d]", node, 0..4)
        .prop_map(|fields| json!({"type": "object", "properties": fields}))
}

proptest! {
    #[test]
    fn what_is_pruned_has_nothing_more_to_prune(schema in schema(), mut object in value()) {
        let schema = Structural::parse(&schema).unwrap();
        prune(&schema, &mut object, true);
        let once = object.clone();
        prop_assert_eq!(prune(&schema, &mut object, true), Vec::<String>::new());
        prop_assert_eq!(object, once);
    }

    #[test]
    fn what_has_its_defaults_keeps_them(schema in schema(), mut object in value()) {
        let schema = Structural::parse(&schema).unwrap();
        drop_nulls(&schema, &mut object);
        default(&schema, &mut object);
        let once = object.clone();
        default(&schema, &mut object);
        prop_assert_eq!(object, once);
    }

    /// Of a definition that is accepted, a valid object stays one when defaults are filled in; but for integers or strings,
    /// whose defaults the release takes as they come.
    #[test]
    fn defaults_of_accepted_schemas_are_valid(schema in schema(), mut object in value()) {
        prop_assume!(!schema.to_string().contains("int-or-string"));
        prop_assume!(check(&schema, "s", &CheckOptions::new(false)).is_empty());
        let schema = Structural::parse(&schema).unwrap();
        prune(&schema, &mut object, true);
        drop_nulls(&schema, &mut object);
        prop_assume!(validate(&schema, &object, None).is_empty());
        default(&schema, &mut object);
        prop_assert_eq!(validate(&schema, &object, None), Vec::new());
    }

    #[test]
    fn what_does_not_change_is_forgiven(schema in schema(), object in value()) {
        let schema = Structural::parse(&schema).unwrap();
        let mut object = object;
        // Unknown fields make objects differ.
        prune(&schema, &mut object, true);
        prop_assume!(!format!("{schema:?}").contains("preserve_unknown: true"));
        prop_assert_eq!(validate(&schema, &object, Some(&object)), Vec::new());
    }
}
