//! Custom kinds as OpenAPI describes them: a structural schema in the words of JSON Schema.
//!
//! OpenAPI 2.0 has no place for some of them, and its readers cannot bear others: they are left out there. What may hold
//! anything must have no fields in 2.0, or kubectl takes those for all that there may be.

use serde_json::{Map, Value, json};

use super::structural::{
    Additional, Checks, Junctions, ListType, MapType, Rule, SchemaType, Structural,
};

/// Which OpenAPI is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    V2,
    V3,
}

/// What is written into every object that is one of its own: the definitions of `apiVersion`, `kind` and
/// `metadata`.
#[derive(Debug, Clone, Copy)]
pub struct Own<'a> {
    pub api_version: &'a Value,
    pub kind: &'a Value,
    pub metadata: &'a Value,
}

/// The schema of a kind, without the extension that names the kind. `of` is none for a kind of which nothing is said.
pub fn object(of: Option<&Structural>, preserve: bool, release: Release, own: Own<'_>) -> Value {
    let anything = json!({"type": "object"});
    match of {
        None => anything,
        Some(of) if release == Release::V2 && (preserve || of.preserve_unknown) => anything,
        Some(of) => {
            let mut schema = Writer { release, own }.schema(of);
            if let Some(schema) = schema.as_object_mut() {
                add_own(schema, own);
            }
            schema
        }
    }
}

fn add_own(schema: &mut Map<String, Value>, own: Own<'_>) {
    let known = schema.get("properties").and_then(Value::as_object);
    let mut all = known.cloned().unwrap_or_default();
    for (name, of) in [
        ("apiVersion", own.api_version),
        ("kind", own.kind),
        ("metadata", own.metadata),
    ] {
        all.insert(name.into(), of.clone());
    }
    all.sort_keys();
    schema.insert("properties".into(), all.into());
}

struct Writer<'a> {
    release: Release,
    own: Own<'a>,
}

impl Writer<'_> {
    fn schema(&self, of: &Structural) -> Value {
        let old = self.release == Release::V2;
        let mut schema = Map::new();
        text("description", &of.description, &mut schema);
        text("title", &of.title, &mut schema);
        if let Some(word) = self.type_of(of) {
            schema.insert("type".into(), word.into());
        }
        if of.nullable && !old {
            schema.insert("nullable".into(), true.into());
        }
        if let (Some(default), false) = (&of.default, old) {
            schema.insert("default".into(), default.clone());
        }
        checks(&of.checks, &mut schema);
        if let Some(required) = self.required(of) {
            schema.insert("required".into(), required);
        }
        if !old {
            self.junctions(of, &mut schema);
        }
        let open = old && (of.nullable || of.preserve_unknown);
        if let (Some(items), false) = (&of.items, open) {
            schema.insert("items".into(), self.schema(items));
        }
        if !of.properties.is_empty() && !open {
            let properties = of.properties.iter();
            let properties = properties.map(|(name, of)| (name.to_string(), self.schema(of)));
            schema.insert("properties".into(), Value::Object(properties.collect()));
        }
        match &of.additional {
            Additional::Unsaid => {}
            Additional::Allowed(yes) => {
                schema.insert("additionalProperties".into(), (*yes).into());
            }
            Additional::Of(of) => {
                schema.insert("additionalProperties".into(), self.schema(of));
            }
        }
        extensions(of, &mut schema);
        if of.embedded && !(old && of.preserve_unknown) {
            self.embed(&mut schema);
        }
        schema.into()
    }

    /// The word for the type; none where 2.0 has to say nothing.
    fn type_of(&self, of: &Structural) -> Option<&'static str> {
        let own = of.of?;
        if self.release == Release::V2 {
            let no_items = of.items.is_none() || of.preserve_unknown;
            let unsaid = of.nullable
                || own == SchemaType::Array && no_items
                || own == SchemaType::Object && of.preserve_unknown;
            if unsaid {
                return None;
            }
        }
        Some(match own {
            SchemaType::Object => "object",
            SchemaType::Array => "array",
            SchemaType::String => "string",
            SchemaType::Integer => "integer",
            SchemaType::Number => "number",
            SchemaType::Boolean => "boolean",
        })
    }

    /// To 2.0 a field that may be null may be absent.
    fn required(&self, of: &Structural) -> Option<Value> {
        let mut required = of.checks.required.clone();
        if self.release == Release::V2 {
            if matches!(&of.additional, Additional::Of(of) if of.nullable) {
                required.clear();
            }
            let open = of.nullable || of.preserve_unknown;
            let nullable = |name: &str| of.properties.get(name).is_some_and(|of| of.nullable);
            required.retain(|name| open || !nullable(name));
        }
        (!required.is_empty()).then(|| required.into_iter().map(String::from).collect())
    }

    fn junctions(&self, of: &Structural, schema: &mut Map<String, Value>) {
        let Junctions {
            all_of,
            any_of,
            one_of,
            not,
        } = &of.junctions;
        let each =
            |all: &[Structural]| -> Vec<Value> { all.iter().map(|one| self.schema(one)).collect() };
        let (mut all, mut any) = (each(all_of), each(any_of));
        let said = is_either(any_of)
            || all_of
                .first()
                .is_some_and(|one| is_either(&one.junctions.any_of));
        if of.int_or_string && !said {
            let either = || vec![json!({"type": "integer"}), json!({"type": "string"})];
            if any.is_empty() {
                any = either();
            } else {
                all.insert(0, json!({"anyOf": either()}));
            }
        }
        for (key, all) in [("allOf", all), ("anyOf", any), ("oneOf", each(one_of))] {
            if !all.is_empty() {
                schema.insert(key.into(), all.into());
            }
        }
        if let Some(not) = not {
            schema.insert("not".into(), self.schema(not));
        }
    }

    /// An object within an object.
    fn embed(&self, schema: &mut Map<String, Value>) {
        add_own(schema, self.own);
        let required = schema.entry("required").or_insert_with(|| json!([]));
        if let Some(required) = required.as_array_mut() {
            for name in ["kind", "apiVersion"] {
                if !required.iter().any(|one| one == name) {
                    required.push(name.into());
                }
            }
        }
    }
}

/// Whether alternatives are integer and string, in that order.
fn is_either(any_of: &[Structural]) -> bool {
    let types: Vec<_> = any_of.iter().map(|one| one.of).collect();
    types == [Some(SchemaType::Integer), Some(SchemaType::String)]
}

fn text(key: &str, text: &str, schema: &mut Map<String, Value>) {
    if !text.is_empty() {
        schema.insert(key.into(), text.into());
    }
}

fn checks(of: &Checks, schema: &mut Map<String, Value>) {
    text("format", &of.format, schema);
    text("pattern", &of.pattern, schema);
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            schema.insert(key.into(), value);
        }
    };
    let number = |number: &Option<serde_json::Number>| number.clone().map(Value::Number);
    let count = |count: Option<i64>| count.map(Value::from);
    let flag = |set: bool| set.then(|| Value::from(true));
    put("maximum", number(&of.maximum));
    put("exclusiveMaximum", flag(of.exclusive_maximum));
    put("minimum", number(&of.minimum));
    put("exclusiveMinimum", flag(of.exclusive_minimum));
    put("multipleOf", number(&of.multiple_of));
    put("maxLength", count(of.max_length));
    put("minLength", count(of.min_length));
    put("maxItems", count(of.max_items));
    put("minItems", count(of.min_items));
    put("uniqueItems", flag(of.unique_items));
    put("maxProperties", count(of.max_properties));
    put("minProperties", count(of.min_properties));
    if !of.enumeration.is_empty() {
        put("enum", Some(of.enumeration.clone().into()));
    }
}

fn extensions(of: &Structural, schema: &mut Map<String, Value>) {
    let mut put = |key: &str, value: Value| {
        schema.insert(format!("x-kubernetes-{key}"), value);
    };
    for (is, key) in [
        (of.preserve_unknown, "preserve-unknown-fields"),
        (of.embedded, "embedded-resource"),
        (of.int_or_string, "int-or-string"),
    ] {
        if is {
            put(key, true.into());
        }
    }
    if !of.list_map_keys.is_empty() {
        put("list-map-keys", json!(of.list_map_keys));
    }
    if let Some(list) = of.list_type {
        let word = match list {
            ListType::Atomic => "atomic",
            ListType::Set => "set",
            ListType::Map => "map",
        };
        put("list-type", word.into());
    }
    if let Some(map) = of.map_type {
        let word = match map {
            MapType::Atomic => "atomic",
            MapType::Granular => "granular",
        };
        put("map-type", word.into());
    }
    if !of.rules.is_empty() {
        put("validations", of.rules.iter().map(rule).collect());
    }
}

fn rule(of: &Rule) -> Value {
    let mut rule = Map::new();
    rule.insert("rule".into(), of.rule.clone().into());
    text("message", &of.message, &mut rule);
    text("messageExpression", &of.message_expression, &mut rule);
    text("reason", &of.reason, &mut rule);
    text("fieldPath", &of.field_path, &mut rule);
    if let Some(optional) = of.optional_old_self {
        rule.insert("optionalOldSelf".into(), optional.into());
    }
    rule.into()
}
