//! From a schema as it is written, `openAPIV3Schema` of a CustomResourceDefinition, into nodes.

use indexmap::IndexMap;
use serde_json::{Map, Number, Value};

use super::{Additional, Checks, Junctions, ListType, MapType, Rule, SchemaType, Structural};

/// Parts of JSON Schema that no definition may have.
const UNSUPPORTED: [(&str, &str); 7] = [
    ("id", "id"),
    ("$schema", "schema"),
    ("$ref", "$ref"),
    ("patternProperties", "patternProperties"),
    ("dependencies", "dependencies"),
    ("additionalItems", "additionalItems"),
    ("definitions", "definitions"),
];

type Fields = Map<String, Value>;

impl Structural {
    /// Reads a schema that was decoded as `JSONSchemaProps`: what has a wrong type counts as absent.
    ///
    /// Recursion is as deep as the schema, which is no deeper than [`crate::kube::object::MAX_DEPTH`], as every body
    /// is.
    ///
    /// # Errors
    /// What keeps the schema from being structural and has no place in a node. A definition that was checked has
    /// nothing of it; one that was stored before may.
    pub fn parse(schema: &Value) -> Result<Self, String> {
        let Some(fields) = schema.as_object() else {
            return Ok(Self::default());
        };
        supported(fields)?;
        Ok(Self {
            of: SchemaType::named(text(fields, "type")),
            title: text(fields, "title").into(),
            description: text(fields, "description").into(),
            nullable: flag(fields, "nullable"),
            int_or_string: flag(fields, "x-kubernetes-int-or-string"),
            preserve_unknown: preserve_unknown(fields)?,
            embedded: flag(fields, "x-kubernetes-embedded-resource"),
            properties: properties(fields)?,
            additional: additional(fields)?,
            items: items(fields)?,
            default: fields.get("default").filter(|it| !it.is_null()).cloned(),
            list_type: ListType::named(text(fields, "x-kubernetes-list-type")),
            list_map_keys: texts(fields, "x-kubernetes-list-map-keys"),
            map_type: MapType::named(text(fields, "x-kubernetes-map-type")),
            rules: list(fields, "x-kubernetes-validations").map(rule).collect(),
            checks: checks(fields),
            junctions: junctions(fields)?,
        })
    }
}

impl SchemaType {
    /// The type of a name; None for what is none.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "object" => Self::Object,
            "array" => Self::Array,
            "string" => Self::String,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }
}

impl ListType {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "atomic" => Self::Atomic,
            "set" => Self::Set,
            "map" => Self::Map,
            _ => return None,
        })
    }
}

impl MapType {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "atomic" => Self::Atomic,
            "granular" => Self::Granular,
            _ => return None,
        })
    }
}

fn supported(fields: &Fields) -> Result<(), String> {
    for (field, name) in UNSUPPORTED {
        let set = match fields.get(field) {
            None | Some(Value::Null) => false,
            Some(Value::String(text)) => !text.is_empty(),
            // Whether there may be more items is said by `false` too.
            Some(Value::Object(map)) => !map.is_empty() || field == "additionalItems",
            Some(_) => true,
        };
        if set {
            return Err(format!("OpenAPIV3Schema '{name}' is not supported"));
        }
    }
    if fields.get("items").is_some_and(Value::is_array) {
        return Err("OpenAPIV3Schema 'items' must be a schema, but is an array".into());
    }
    Ok(())
}

fn preserve_unknown(fields: &Fields) -> Result<bool, String> {
    match fields.get("x-kubernetes-preserve-unknown-fields") {
        Some(Value::Bool(false)) => Err(
            "internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined"
                .into(),
        ),
        other => Ok(other == Some(&Value::Bool(true))),
    }
}

fn properties(fields: &Fields) -> Result<IndexMap<Box<str>, Structural>, String> {
    let mut properties = IndexMap::new();
    if let Some(map) = fields.get("properties").and_then(Value::as_object) {
        for (name, schema) in map {
            properties.insert(name.as_str().into(), Structural::parse(schema)?);
        }
    }
    properties.sort_unstable_keys();
    Ok(properties)
}

fn additional(fields: &Fields) -> Result<Additional, String> {
    Ok(match fields.get("additionalProperties") {
        Some(Value::Bool(allowed)) => Additional::Allowed(*allowed),
        Some(schema @ Value::Object(_)) => Additional::Of(Box::new(Structural::parse(schema)?)),
        _ => Additional::Unsaid,
    })
}

fn items(fields: &Fields) -> Result<Option<Box<Structural>>, String> {
    schema_at(fields, "items")
}

fn schema_at(fields: &Fields, name: &str) -> Result<Option<Box<Structural>>, String> {
    match fields.get(name) {
        Some(schema @ Value::Object(_)) => Ok(Some(Box::new(Structural::parse(schema)?))),
        _ => Ok(None),
    }
}

fn rule(rule: &Value) -> Rule {
    let of = |name| {
        rule.get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    Rule {
        rule: of("rule"),
        message: of("message"),
        message_expression: of("messageExpression"),
        reason: of("reason"),
        field_path: of("fieldPath"),
        optional_old_self: rule.get("optionalOldSelf").and_then(Value::as_bool),
    }
}

fn checks(fields: &Fields) -> Checks {
    let number = |name| -> Option<Number> { fields.get(name)?.as_number().cloned() };
    let count = |name| -> Option<i64> { fields.get(name)?.as_i64() };
    Checks {
        format: text(fields, "format").into(),
        maximum: number("maximum"),
        exclusive_maximum: flag(fields, "exclusiveMaximum"),
        minimum: number("minimum"),
        exclusive_minimum: flag(fields, "exclusiveMinimum"),
        multiple_of: number("multipleOf"),
        max_length: count("maxLength"),
        min_length: count("minLength"),
        pattern: text(fields, "pattern").into(),
        max_items: count("maxItems"),
        min_items: count("minItems"),
        unique_items: flag(fields, "uniqueItems"),
        max_properties: count("maxProperties"),
        min_properties: count("minProperties"),
        required: texts(fields, "required"),
        enumeration: list(fields, "enum").cloned().collect(),
    }
}

fn junctions(fields: &Fields) -> Result<Junctions, String> {
    let all =
        |name| -> Result<Vec<_>, String> { list(fields, name).map(Structural::parse).collect() };
    Ok(Junctions {
        all_of: all("allOf")?,
        any_of: all("anyOf")?,
        one_of: all("oneOf")?,
        not: schema_at(fields, "not")?,
    })
}

fn text<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn flag(fields: &Fields, name: &str) -> bool {
    fields.get(name) == Some(&Value::Bool(true))
}

fn list<'a>(fields: &'a Fields, name: &str) -> impl Iterator<Item = &'a Value> {
    fields
        .get(name)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn texts(fields: &Fields, name: &str) -> Vec<Box<str>> {
    list(fields, name)
        .filter_map(Value::as_str)
        .map(Box::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_are_read_whole() {
        let node = Structural::parse(&json!({
            "type": "object", "required": ["b"],
            "properties": {
                "b": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
                "a": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
                    "items": {"type": "object", "properties": {"k": {"type": "string", "default": "x", "nullable": false}}}},
                "m": {"type": "object", "additionalProperties": {"type": "number", "maximum": 1.5}},
            },
            "x-kubernetes-validations": [{"rule": "true", "message": "m", "optionalOldSelf": true}],
        }))
        .unwrap();
        assert_eq!(node.of, Some(SchemaType::Object));
        let names: Vec<&str> = node.properties.keys().map(|name| &**name).collect();
        assert_eq!(names, ["a", "b", "m"]);
        let a = &node.properties["a"];
        assert_eq!(a.list_type, Some(ListType::Map));
        assert_eq!(a.list_map_keys, ["k".into()]);
        let k = &a.items.as_ref().unwrap().properties["k"];
        assert_eq!(k.default, Some(json!("x")));
        let b = &node.properties["b"];
        assert_eq!(
            (b.of, b.int_or_string, b.junctions.any_of.len()),
            (None, true, 2)
        );
        assert_eq!(b.junctions.any_of[0].of, Some(SchemaType::Integer));
        let Additional::Of(values) = &node.properties["m"].additional else {
            panic!("a map has values");
        };
        assert_eq!(values.checks.maximum, Number::from_f64(1.5));
        assert_eq!(node.rules[0].optional_old_self, Some(true));
        assert_eq!(node.checks.required, ["b".into()]);
    }

    #[test]
    fn what_is_no_structural_schema_is_refused() {
        for (schema, why) in [
            (
                json!({"$ref": "x"}),
                "OpenAPIV3Schema '$ref' is not supported",
            ),
            (
                json!({"items": [{}]}),
                "OpenAPIV3Schema 'items' must be a schema, but is an array",
            ),
            (
                json!({"properties": {"a": {"additionalItems": false}}}),
                "OpenAPIV3Schema 'additionalItems' is not supported",
            ),
            (
                json!({"not": {"x-kubernetes-preserve-unknown-fields": false}}),
                "internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined",
            ),
        ] {
            assert_eq!(Structural::parse(&schema), Err(why.into()), "{schema}");
        }
    }
}
