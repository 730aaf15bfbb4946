//! Answers of the release's own packages (`jsonpath`, `tableconvertor`, the strategy of custom resources), recorded.

use serde_json::{Value, json};

use super::jsonpath::JsonPath;
use super::judge::{self, Judges};
use super::{served, strategy};
use crate::kube::schema::Resource;
use crate::kube::table::Printer;

fn lines(recorded: &str) -> impl Iterator<Item = Value> {
    recorded
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
}

/// The one resource of a definition with these fields in its version.
fn resource(further: Value) -> Resource {
    let condition = |of: &str| json!({"type": of, "status": "True"});
    let mut crd = json!({
        "spec": {"group": "a.example.com", "scope": "Namespaced", "versions": [
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
    served(&crd, &|_| None).remove(0)
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
    let nothing = |_: &Value| Vec::new();
    let judges = Judges {
        values: &|_, _, _| Vec::new(),
        embedded: &nothing,
        lists: &nothing,
        rules: &|_, _| Vec::new(),
    };
    for case in lines(include_str!("recorded/objects.jsonl")) {
        let resource = resource(json!({"subresources": case["subresources"]}));
        let kind = resource.custom.as_deref().unwrap();
        let sub = case["sub"].as_str().unwrap_or_default();
        let mut object = case["object"].clone();
        let (errors, warnings) = match case.get("old") {
            None => {
                strategy::prepare_create(kind, &mut object);
                let errors = judge::create(&resource, kind, &object, judges);
                (errors, judge::warnings(None, &object))
            }
            Some(old) => {
                strategy::prepare_update(kind, sub, old, &mut object);
                let errors = judge::update(kind, sub, old, &object, judges);
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
