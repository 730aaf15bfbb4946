//! Schemas for tests, as definitions have them.

use serde_json::Value;

use crate::kube::custom::structural::{
    Additional, ListType, MapType, Rule, SchemaType, Structural,
};

fn text(json: &Value, key: &str) -> String {
    json.get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn flag(json: &Value, key: &str) -> bool {
    json.get(key).and_then(Value::as_bool).unwrap_or(false)
}

pub(crate) fn structural(json: &Value) -> Structural {
    let mut node = Structural {
        of: match json.get("type").and_then(Value::as_str) {
            Some("object") => Some(SchemaType::Object),
            Some("array") => Some(SchemaType::Array),
            Some("string") => Some(SchemaType::String),
            Some("integer") => Some(SchemaType::Integer),
            Some("number") => Some(SchemaType::Number),
            Some("boolean") => Some(SchemaType::Boolean),
            _ => None,
        },
        nullable: flag(json, "nullable"),
        int_or_string: flag(json, "x-kubernetes-int-or-string"),
        preserve_unknown: flag(json, "x-kubernetes-preserve-unknown-fields"),
        embedded: flag(json, "x-kubernetes-embedded-resource"),
        default: json.get("default").cloned(),
        ..Structural::default()
    };
    if let Some(properties) = json.get("properties").and_then(Value::as_object) {
        let properties = properties.iter();
        node.properties = properties
            .map(|(key, below)| (key.as_str().into(), structural(below)))
            .collect();
        node.properties.sort_keys();
    }
    node.additional = match json.get("additionalProperties") {
        None => Additional::Unsaid,
        Some(Value::Bool(yes)) => Additional::Allowed(*yes),
        Some(of) => Additional::Of(Box::new(structural(of))),
    };
    node.items = json.get("items").map(|items| Box::new(structural(items)));
    node.list_type = match text(json, "x-kubernetes-list-type").as_str() {
        "set" => Some(ListType::Set),
        "map" => Some(ListType::Map),
        "atomic" => Some(ListType::Atomic),
        _ => None,
    };
    node.map_type = match text(json, "x-kubernetes-map-type").as_str() {
        "atomic" => Some(MapType::Atomic),
        "granular" => Some(MapType::Granular),
        _ => None,
    };
    let texts = |key: &str| -> Vec<Box<str>> {
        let list = json.get(key).and_then(Value::as_array);
        let list = list.into_iter().flatten().filter_map(Value::as_str);
        list.map(Into::into).collect()
    };
    node.list_map_keys = texts("x-kubernetes-list-map-keys");
    node.checks.required = texts("required");
    node.checks.format = text(json, "format");
    node.checks.max_length = json.get("maxLength").and_then(Value::as_i64);
    node.checks.max_items = json.get("maxItems").and_then(Value::as_i64);
    node.checks.max_properties = json.get("maxProperties").and_then(Value::as_i64);
    node.checks.enumeration = json
        .get("enum")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let rules = json
        .get("x-kubernetes-validations")
        .and_then(Value::as_array);
    for rule in rules.into_iter().flatten() {
        node.rules.push(Rule {
            rule: text(rule, "rule"),
            message: text(rule, "message"),
            message_expression: text(rule, "messageExpression"),
            reason: text(rule, "reason"),
            field_path: text(rule, "fieldPath"),
            optional_old_self: rule.get("optionalOldSelf").and_then(Value::as_bool),
        });
    }
    let all = json.get("allOf").and_then(Value::as_array);
    node.junctions.all_of = all.into_iter().flatten().map(structural).collect();
    node
}
