//! Answers of the release's own packages (`jsonpath`, `tableconvertor`, the strategy of custom resources, `managedfields`
//! and the builder of OpenAPI), recorded.

use std::sync::Arc;

use serde_json::{Value, json};

use super::jsonpath::JsonPath;
use super::judge;
use super::{group_versions, served, strategy};
use crate::kube::apply::{Apply, FieldManager, OneVersion, Update};
use crate::kube::openapi::{Answer, Customs, Form, OpenApi};
use crate::kube::schema::{Resource, Resources, Schema};
use crate::kube::table::Printer;

fn lines(recorded: &str) -> impl Iterator<Item = Value> {
    recorded
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
}

/// The one resource of a definition with these fields in its version.
fn resource(further: Value) -> Resource {
    scoped("Namespaced", further)
}

fn scoped(scope: &str, further: Value) -> Resource {
    let condition = |of: &str| json!({"type": of, "status": "True"});
    let mut crd = json!({
        "spec": {"group": "a.example.com", "scope": scope, "versions": [
            {"name": "v1", "served": true, "storage": true},
        ]},
        "status": {
            "acceptedNames": {
                "plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList",
            },
            "conditions": [condition("NamesAccepted"), condition("Established")],
        },
    });
    let version = crd["spec"]["versions"][0].as_object_mut().unwrap();
    let Value::Object(further) = further else {
        panic!("{further}");
    };
    version.extend(further);
    Resource::clone(&served(&crd)[0])
}

#[test]
fn paths_lead_where_the_release_says() {
    let mut recorded = lines(include_str!("recorded/jsonpath.jsonl"));
    let data = recorded.next().unwrap();
    let mut cases = 0;
    for case in recorded {
        let path = case["path"].as_str().unwrap();
        let read = JsonPath::parse(path);
        let found = read.and_then(|path| path.find(&data).map(|found| json!(found)));
        assert_eq!(found.unwrap_or_else(Value::from), case["found"], "{path}");
        cases += 1;
    }
    assert!(cases > 70, "{cases}");
}

#[test]
fn cells_are_those_of_the_release() {
    let mut recorded = lines(include_str!("recorded/columns.jsonl"));
    let object = recorded.next().unwrap();
    let cases: Vec<Value> = recorded.collect();
    let columns: Vec<&Value> = cases.iter().map(|case| &case["column"]).collect();
    let printer = Printer::of(
        &resource(json!({"additionalPrinterColumns": columns})),
        None,
    );
    let row = printer.row(&object, std::time::UNIX_EPOCH);
    let definitions = printer.definitions();
    assert_eq!(row.len(), cases.len() + 1);
    for (at, case) in cases.iter().enumerate() {
        assert_eq!(definitions[at + 1], case["definition"]);
        let (ours, theirs) = (&row[at + 1], &case["cell"]);
        let same = match (ours.as_f64(), theirs.as_f64()) {
            // What the encoder writes has no point where there is nothing behind it.
            (Some(one), Some(other)) => one == other,
            _ => ours == theirs,
        };
        assert!(same, "{}: {ours} and not {theirs}", case["column"]["name"]);
    }
}

#[test]
fn objects_are_prepared_and_judged_as_the_release_does() {
    let rules = |_: &Value, _: Option<&Value>| Vec::new();
    for case in lines(include_str!("recorded/objects.jsonl")) {
        let resource =
            resource(json!({"subresources": case["subresources"], "schema": case["schema"]}));
        let kind = resource.custom.as_deref().unwrap();
        let sub = case["sub"].as_str().unwrap_or_default();
        let mut object = case["object"].clone();
        let (errors, warnings) = match case.get("old") {
            None => {
                strategy::prepare_create(kind, &mut object);
                let errors = judge::create(&resource, kind, &object, &rules);
                (errors, judge::warnings(None, &object))
            }
            Some(old) => {
                strategy::prepare_update(kind, sub, old, &mut object);
                let errors = judge::update(kind, sub, old, &object, &rules);
                let warnings = match sub {
                    "" => judge::warnings(Some(old), &object),
                    _ => Vec::new(),
                };
                (errors, warnings)
            }
        };
        let name = &case["name"];
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(object, case["result"], "{name}");
        assert_eq!(json!(errors), case["errors"], "{name}");
        assert_eq!(json!(warnings), case["warnings"], "{name}");
    }
}

/// Without the times of owners, which are in the order of their names.
fn timeless(mut object: Value) -> Value {
    if let Some(Value::Array(entries)) = object.pointer_mut("/metadata/managedFields") {
        for entry in entries.iter_mut() {
            entry.as_object_mut().unwrap().shift_remove("time");
        }
        entries.sort_by_key(|entry| entry["manager"].to_string());
    }
    object
}

#[test]
fn owners_and_merging_follow_the_schema() {
    const NOW: &str = "2026-01-02T03:04:05Z";
    let mut recorded = lines(include_str!("recorded/apply.jsonl"));
    let resource = resource(recorded.next().unwrap());
    let manager = FieldManager::new(&resource, "", Box::new(OneVersion));
    for case in recorded {
        let mut live: Option<Value> = None;
        for (at, step) in case["steps"].as_array().unwrap().iter().enumerate() {
            let who = step["manager"].as_str().unwrap();
            let result = match step.get("apply") {
                Some(patch) => manager.apply(&Apply {
                    live: live.as_ref(),
                    patch,
                    manager: who,
                    force: step["force"] == true,
                    now: NOW,
                }),
                None => Ok(manager.update(
                    step["update"].clone(),
                    &Update {
                        live: live.as_ref(),
                        manager: who,
                        now: NOW,
                        reset: false,
                    },
                )),
            };
            let (expected, what) = (timeless(step["result"].clone()), &case["name"]);
            match result {
                Ok(object) => {
                    assert_eq!(timeless(object.clone()), expected, "{what} {at}");
                    live = Some(object);
                }
                Err(error) => assert_eq!(error.message, expected["error"], "{what} {at}"),
            }
        }
    }
}

/// Without descriptions, which are worded otherwise here.
fn bare(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.get("description").is_some_and(Value::is_string) {
                map.shift_remove("description");
            }
            map.values_mut().for_each(bare);
        }
        Value::Array(items) => items.iter_mut().for_each(bare),
        _ => {}
    }
}

#[test]
fn documents_describe_custom_kinds_as_the_release_does() {
    let documents = OpenApi::new(Schema::built_in(), Resources::built_in());
    for case in lines(include_str!("recorded/openapi.jsonl")) {
        let scope = case["scope"].as_str().unwrap();
        let of = scoped(scope, case["version"].clone());
        let customs = Customs::new(group_versions([Arc::new(of)]));
        let old = case["v2"] == true;
        let document = if old {
            documents.swagger(Form::Json, &customs)
        } else {
            let found = documents.version("apis/a.example.com/v1", None, &customs);
            let Answer::Found { document, .. } = found else {
                panic!("{found:?}");
            };
            document
        };
        let mut document: Value = serde_json::from_slice(&document.body).unwrap();
        bare(&mut document);
        let place = if old {
            "/definitions"
        } else {
            "/components/schemas"
        };
        let schemas = document.pointer(place).unwrap();
        for (name, schema) in case["schemas"].as_object().unwrap() {
            assert_eq!(&schemas[name], schema, "{name} {old}");
        }
        for operation in case["operations"].as_array().unwrap() {
            let text = |at: usize| operation[at].as_str().unwrap();
            let ours = &document["paths"][text(0)][text(1)];
            assert_eq!(ours["operationId"], operation[2], "{operation}");
            assert_eq!(ours["x-kubernetes-action"], operation[3], "{operation}");
        }
    }
}
