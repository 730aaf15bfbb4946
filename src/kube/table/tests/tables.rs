use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::{now, resource};
use crate::kube::schema::{Resource, Resources};
use crate::kube::table::{Include, Options, Printer, columns, render_list, render_object};

fn options(include: Include, headers: bool) -> Options {
    Options {
        version: "v1",
        include,
        headers,
        now: now(),
    }
}

fn names(resource: &Resource) -> Vec<String> {
    let columns = columns(resource).iter();
    columns
        .map(|column| format!("{}{}", column.name, "*".repeat(column.priority.into())))
        .collect()
}

#[test]
fn every_resource_has_columns_and_its_empty_object_a_row() {
    for of in Resources::built_in().groups() {
        for resource in &of.resources {
            let row = crate::kube::table::row(resource, &json!({"metadata": {}}), now());
            assert_eq!(
                row.len(),
                columns(resource).len(),
                "{}",
                resource.qualified()
            );
            assert!(
                columns(resource).iter().any(|column| column.is_name),
                "{}",
                resource.qualified()
            );
        }
    }
    let nodes = "Name, Status, Roles, Age, Version, Internal-IP*, External-IP*, OS-Image*, Kernel-Version*, Container-Runtime*";
    assert_eq!(names(resource("", "v1", "nodes")).join(", "), nodes);
    assert_eq!(
        names(resource("", "v1", "limitranges")),
        ["Name", "Created At"]
    );
}

#[test]
fn an_object_becomes_a_table_of_one_row() {
    let of = resource("", "v1", "configmaps");
    let object = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a", "resourceVersion": "5"}});
    let mut table = render_object(
        &Printer::of(of, None),
        of,
        &object,
        &options(Include::Metadata, true),
    )
    .unwrap();
    for column in table["columnDefinitions"].as_array_mut().unwrap() {
        assert_ne!(column["description"], "", "{column}");
        column["description"] = "".into();
    }
    assert_eq!(
        table.to_string(),
        concat!(
            r#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"5"},"columnDefinitions":["#,
            r#"{"name":"Name","type":"string","format":"name","description":"","priority":0},"#,
            r#"{"name":"Data","type":"string","format":"","description":"","priority":0},"#,
            r#"{"name":"Age","type":"string","format":"","description":"","priority":0}],"#,
            r#""rows":[{"cells":["a",0,"<unknown>"],"object":{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","#,
            r#""metadata":{"name":"a","resourceVersion":"5"}}}]}"#
        )
    );
}

#[test]
fn a_list_keeps_where_it_goes_on_and_names_the_kind_of_whole_objects() {
    let of = resource("apps", "v1", "deployments");
    let metadata = json!({"resourceVersion": "9", "continue": "token", "remainingItemCount": 3});
    let items = [
        json!({"metadata": {"name": "a"}, "spec": {}}),
        json!({"metadata": {"name": "b"}}),
    ];
    let table = render_list(
        &Printer::of(of, None),
        of,
        &metadata,
        &items,
        &options(Include::Object, false),
    );
    assert_eq!(table["metadata"], metadata);
    assert_eq!(table["columnDefinitions"], Value::Null);
    assert_eq!(
        table["rows"][0]["object"].to_string(),
        r#"{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"a"},"spec":{}}"#
    );
    assert_eq!(table["rows"][1]["cells"][0], "b");
    let empty = render_list(
        &Printer::of(of, None),
        of,
        &json!({}),
        [],
        &options(Include::None, true),
    );
    assert_eq!(empty["rows"], json!([]));
}

#[test]
fn the_end_of_the_initial_events_is_always_told() {
    let of = resource("", "v1", "secrets");
    let mut object = json!({"metadata": {"name": "a"}});
    let row = |object: &Value| {
        let table = render_object(
            &Printer::of(of, None),
            of,
            object,
            &options(Include::None, true),
        );
        table.unwrap()["rows"][0]["object"].clone()
    };
    assert_eq!(row(&object), Value::Null);
    object["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
    assert_eq!(row(&object)["kind"], "PartialObjectMetadata");
}

#[test]
fn flow_schemas_are_listed_as_they_are_tried() {
    let of = resource("flowcontrol.apiserver.k8s.io", "v1", "flowschemas");
    let schema = |name: &str, precedence: u32| json!({"metadata": {"name": name}, "spec": {"matchingPrecedence": precedence}});
    let items = [schema("c", 9), schema("b", 1000), schema("a", 1000)];
    let table = render_list(
        &Printer::of(of, None),
        of,
        &json!({}),
        &items,
        &options(Include::None, false),
    );
    let rows = table["rows"].as_array().unwrap().iter();
    let names: Vec<_> = rows.map(|row| row["cells"][0].as_str().unwrap()).collect();
    assert_eq!(names, ["c", "a", "b"]);
}

#[test]
fn done_pods_say_so_in_their_row() {
    let of = resource("", "v1", "pods");
    let row = |phase: &str| {
        let pod = json!({"metadata": {"name": "a"}, "status": {"phase": phase}});
        let table = render_object(
            &Printer::of(of, None),
            of,
            &pod,
            &options(Include::None, true),
        );
        table.unwrap()["rows"][0]["conditions"].clone()
    };
    assert_eq!(row("Running"), Value::Null);
    assert_eq!(
        row("Failed"),
        json!([{"type": "Completed", "status": "True", "reason": "Failed", "message": "The pod failed."}])
    );
    assert_eq!(row("Succeeded")[0]["reason"], "Succeeded");
}

#[test]
fn subresources_have_the_table_of_what_they_answer() {
    let of = resource("apps", "v1", "deployments");
    let scale = Printer::of(of, of.subresource_named("scale"));
    let object =
        json!({"metadata": {"name": "a"}, "spec": {"replicas": 3}, "status": {"replicas": 2}});
    assert_eq!(
        Value::from(scale.row(&object, now())),
        json!(["a", 3, 2, "<unknown>"])
    );
    assert!(
        scale
            .definitions()
            .iter()
            .all(|column| column["format"] == "")
    );
    let status = Printer::of(of, of.subresource_named("status"));
    assert_eq!(status.definitions(), Printer::of(of, None).definitions());
}

/// A custom resource whose only version has these columns.
fn custom(columns: &Value) -> Resource {
    let condition = |of: &str| json!({"type": of, "status": "True"});
    let crd = json!({
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "additionalPrinterColumns": columns,
            }],
        },
        "status": {
            "acceptedNames": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
            "conditions": [condition("NamesAccepted"), condition("Established")],
        },
    });
    Resource::clone(&crate::kube::custom::served(&crd)[0])
}

#[test]
fn custom_resources_have_name_and_age() {
    let printer = Printer::of(&custom(&json!([])), None);
    let names: Vec<_> = printer.definitions();
    assert_eq!(
        (&names[0]["name"], &names[1]["name"]),
        (&json!("Name"), &json!("Age"))
    );
    assert_eq!(
        (&names[0]["format"], &names[1]["type"]),
        (&json!("name"), &json!("date"))
    );
    let object = json!({"metadata": {"name": "a", "creationTimestamp": "1970-01-01T00:00:00Z"}});
    let row = printer.row(&object, SystemTime::UNIX_EPOCH + Duration::from_secs(61));
    assert_eq!(row, [json!("a"), json!("61s")]);
}

/// Cells as `tableconvertor` of apiextensions-apiserver makes them.
#[test]
fn custom_resources_have_the_columns_of_their_definition() {
    let column =
        |name: &str, of: &str, path: &str| json!({"name": name, "type": of, "jsonPath": path});
    let printer = Printer::of(
        &custom(&json!([
            column("Count", "integer", ".spec.n"),
            column("Cut", "integer", ".spec.f"),
            column("Ratio", "number", ".spec.n"),
            column("Text", "string", ".spec.n"),
            column("Float", "string", ".spec.f"),
            column("Map", "string", ".spec.map"),
            column("Null", "string", ".spec.null"),
            column("Ready", "string", ".c[?(@.type==\"Ready\")].status"),
            column("On", "boolean", ".spec.on"),
            column("Off", "boolean", ".spec.n"),
            column("Since", "date", ".spec.at"),
            column("Bad", "date", ".spec.on"),
            column("Never", "date", ".spec.word"),
            column("Missing", "string", ".spec.a.b"),
            column("Broken", "string", ".spec["),
            column("Behind", "string", ".spec.n"),
        ])),
        None,
    );
    let object = json!({
        "metadata": {"name": "a"},
        "spec": {
            "n": 3, "f": 2.75, "map": {"b": "<", "a": [1]}, "null": null, "on": true,
            "at": "1970-01-01T00:00:00Z", "word": "soon",
        },
        "c": [{"type": "Ready", "status": "False"}],
    });
    let row = printer.row(&object, SystemTime::UNIX_EPOCH + Duration::from_secs(5));
    assert_eq!(
        Value::from(row),
        json!([
            "a",
            3,
            2,
            3.0,
            "3",
            "2.75",
            "{\"a\":[1],\"b\":\"\\u003c\"}",
            "<no value>",
            "False",
            true,
            null,
            "5s",
            null,
            "<invalid>",
            null
        ])
    );
    assert_eq!(printer.definitions().len(), 15);
    assert_eq!(
        printer.definitions()[1]["description"],
        "Custom resource definition column (in JSONPath format): .spec.n"
    );
}

#[test]
fn what_cannot_be_a_table_is_refused() {
    let of = resource("authentication.k8s.io", "v1", "tokenreviews");
    let refused = render_object(
        &Printer::of(of, None),
        of,
        &json!({}),
        &options(Include::None, true),
    );
    let refused = refused.unwrap_err();
    assert_eq!(refused.code, 406);
    assert_eq!(
        refused.message,
        "the resource tokenreviews.authentication.k8s.io does not support being converted to a Table"
    );
    assert_eq!(Include::parse("").unwrap(), Include::Metadata);
    assert_eq!(Include::parse("None").unwrap(), Include::None);
    assert_eq!(
        Include::parse("All").unwrap_err().message,
        "Unable to convert to Table as requested: includeObject: Invalid value: \"All\": must be 'Metadata', \
         'Object', 'None', or empty"
    );
}
