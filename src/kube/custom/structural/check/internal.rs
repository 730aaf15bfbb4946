//! Schemas as the release's messages print them: by the names of its internal types, every field written.

use serde_json::{Map, Value};

use super::props::Props;
use crate::kube::custom::structural::value::json;

/// What a field is when it is absent, or holds when it is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Flag,
    /// Pointers and what else is null when absent.
    Any,
    Schema,
    Schemas,
    SchemaMap,
    OrArray,
    OrBool,
    OrTexts,
    Docs,
    Rules,
}

use Kind::{Any, Docs, Flag, OrArray, OrBool, OrTexts, Rules, SchemaMap, Schemas, Text};

/// The fields of `JSONSchemaProps` in the order of the internal type.
const FIELDS: [(&str, &str, Kind); 44] = [
    ("id", "ID", Text),
    ("$schema", "Schema", Text),
    ("$ref", "Ref", Any),
    ("description", "Description", Text),
    ("type", "Type", Text),
    ("nullable", "Nullable", Flag),
    ("format", "Format", Text),
    ("title", "Title", Text),
    ("default", "Default", Any),
    ("maximum", "Maximum", Any),
    ("exclusiveMaximum", "ExclusiveMaximum", Flag),
    ("minimum", "Minimum", Any),
    ("exclusiveMinimum", "ExclusiveMinimum", Flag),
    ("maxLength", "MaxLength", Any),
    ("minLength", "MinLength", Any),
    ("pattern", "Pattern", Text),
    ("maxItems", "MaxItems", Any),
    ("minItems", "MinItems", Any),
    ("uniqueItems", "UniqueItems", Flag),
    ("multipleOf", "MultipleOf", Any),
    ("enum", "Enum", Any),
    ("maxProperties", "MaxProperties", Any),
    ("minProperties", "MinProperties", Any),
    ("required", "Required", Any),
    ("items", "Items", OrArray),
    ("allOf", "AllOf", Schemas),
    ("oneOf", "OneOf", Schemas),
    ("anyOf", "AnyOf", Schemas),
    ("not", "Not", Kind::Schema),
    ("properties", "Properties", SchemaMap),
    ("additionalProperties", "AdditionalProperties", OrBool),
    ("patternProperties", "PatternProperties", SchemaMap),
    ("dependencies", "Dependencies", OrTexts),
    ("additionalItems", "AdditionalItems", OrBool),
    ("definitions", "Definitions", SchemaMap),
    ("externalDocs", "ExternalDocs", Docs),
    ("example", "Example", Any),
    (
        "x-kubernetes-preserve-unknown-fields",
        "XPreserveUnknownFields",
        Any,
    ),
    ("x-kubernetes-embedded-resource", "XEmbeddedResource", Flag),
    ("x-kubernetes-int-or-string", "XIntOrString", Flag),
    ("x-kubernetes-list-map-keys", "XListMapKeys", Any),
    ("x-kubernetes-list-type", "XListType", Any),
    ("x-kubernetes-map-type", "XMapType", Any),
    ("x-kubernetes-validations", "XValidations", Rules),
];

/// The first field of a schema, in the order of the internal type, that is set and for which something does not hold.
pub(super) fn first_but(schema: Props<'_>, holds: impl Fn(&str) -> bool) -> Option<&'static str> {
    let set = |json: &str| match schema.get(json) {
        None | Some(Value::Bool(false)) => {
            // These two are set by false as well.
            schema.get(json).is_some()
                && matches!(
                    json,
                    "additionalProperties" | "x-kubernetes-preserve-unknown-fields"
                )
        }
        Some(Value::String(text)) => !text.is_empty() || json == "$ref",
        Some(_) => true,
    };
    let mut fields = FIELDS.iter();
    let found = fields.find(|(json, go, _)| set(json) && !holds(go));
    found.map(|(_, go, _)| *go)
}

/// A schema.
pub(super) fn shown(schema: Props<'_>) -> String {
    write_schema(schema)
}

/// Several schemas where there should be one.
pub(super) fn several(schemas: &Value) -> String {
    write(OrArray, schemas)
}

fn write_schema(schema: Props<'_>) -> String {
    let fields = FIELDS.map(|(name, go, kind)| {
        let value = schema.get(name).unwrap_or(&Value::Null);
        format!("\"{go}\":{}", write(kind, value))
    });
    format!("{{{}}}", fields.join(","))
}

fn write(kind: Kind, value: &Value) -> String {
    let schema = |value: &Value| write_schema(Props::of(value));
    match (kind, value) {
        (Text, Value::Null) => "\"\"".into(),
        (Flag, Value::Null) => "false".into(),
        (_, Value::Null) => "null".into(),
        (Kind::Schema, value) => schema(value),
        (Schemas, Value::Array(items)) => {
            let items: Vec<String> = items.iter().map(schema).collect();
            format!("[{}]", items.join(","))
        }
        (SchemaMap, Value::Object(map)) => write_map(map, schema),
        (OrArray, several @ Value::Array(_)) => {
            format!(
                "{{\"Schema\":null,\"JSONSchemas\":{}}}",
                write(Schemas, several)
            )
        }
        (OrArray, one) => format!("{{\"Schema\":{},\"JSONSchemas\":null}}", schema(one)),
        (OrBool, Value::Bool(allows)) => format!("{{\"Allows\":{allows},\"Schema\":null}}"),
        (OrBool, one) => format!("{{\"Allows\":true,\"Schema\":{}}}", schema(one)),
        (OrTexts, Value::Object(map)) => write_map(map, |value| match value {
            Value::Object(_) => format!("{{\"Schema\":{},\"Property\":null}}", schema(value)),
            value => format!("{{\"Schema\":null,\"Property\":{}}}", json(value)),
        }),
        (Docs, docs) => {
            let docs = Props::of(docs);
            let (text, url) = (docs.text("description"), docs.text("url"));
            format!(
                "{{\"Description\":{},\"URL\":{}}}",
                json(&text.into()),
                json(&url.into())
            )
        }
        (Rules, Value::Array(rules)) => {
            let rules: Vec<String> = rules
                .iter()
                .map(|rule| write_rule(Props::of(rule)))
                .collect();
            format!("[{}]", rules.join(","))
        }
        (_, value) => json(value),
    }
}

fn write_map(map: &Map<String, Value>, write: impl Fn(&Value) -> String) -> String {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    let entries: Vec<String> = entries
        .into_iter()
        .map(|(key, value)| format!("{}:{}", json(&key.as_str().into()), write(value)))
        .collect();
    format!("{{{}}}", entries.join(","))
}

fn write_rule(rule: Props<'_>) -> String {
    let fields = [
        ("rule", "Rule", Text),
        ("message", "Message", Text),
        ("messageExpression", "MessageExpression", Text),
        ("reason", "Reason", Any),
        ("fieldPath", "FieldPath", Text),
        ("optionalOldSelf", "OptionalOldSelf", Any),
    ];
    let fields = fields.map(|(name, go, kind)| {
        let value = rule.get(name).unwrap_or(&Value::Null);
        format!("\"{go}\":{}", write(kind, value))
    });
    format!("{{{}}}", fields.join(","))
}
