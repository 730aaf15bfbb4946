//! The one document of OpenAPI 2.0, made from those of 3.0.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::document::{security, title};

/// Joins documents of OpenAPI 3.0 into one of 2.0.
///
/// The older form has no place for some of what they say: defaults, alternatives, and media types of single answers.
pub(super) fn join(documents: impl IntoIterator<Item = Value>) -> Value {
    let mut definitions: BTreeMap<String, Value> = BTreeMap::new();
    let mut paths: BTreeMap<String, Value> = BTreeMap::new();
    for document in documents {
        for (path, item) in fields(document.get("paths")) {
            paths.insert(path.clone(), path_item(item));
        }
        let schemas = document
            .get("components")
            .and_then(|all| all.get("schemas"));
        for (name, definition) in fields(schemas) {
            let definition = top(definition);
            match definitions.get_mut(name) {
                Some(known) => join_kinds(known, &definition),
                None => {
                    definitions.insert(name.clone(), definition);
                }
            }
        }
    }
    let mut swagger = Map::new();
    swagger.insert("swagger".into(), "2.0".into());
    swagger.insert("info".into(), title());
    swagger.insert("paths".into(), Value::Object(paths.into_iter().collect()));
    swagger.insert(
        "definitions".into(),
        Value::Object(definitions.into_iter().collect()),
    );
    swagger.insert("securityDefinitions".into(), security());
    swagger.insert("security".into(), json!([{"BearerToken": []}]));
    swagger.into()
}

const KINDS: &str = "x-kubernetes-group-version-kind";

/// A kind that groups share is named for each of them.
fn join_kinds(known: &mut Value, other: &Value) {
    let Some(kinds) = known.get_mut(KINDS).and_then(Value::as_array_mut) else {
        return;
    };
    for kind in other
        .get(KINDS)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        if !kinds.contains(kind) {
            kinds.push(kind.clone());
        }
    }
}

fn path_item(item: &Value) -> Value {
    let mut converted = Map::new();
    for (key, value) in fields(Some(item)) {
        let value = match key.as_str() {
            "parameters" => list(value).iter().map(parameter).collect(),
            _ => operation(value),
        };
        converted.insert(key.clone(), value);
    }
    converted.into()
}

fn operation(of: &Value) -> Value {
    let mut converted = Map::new();
    let body = of.get("requestBody");
    let mut consumes = media(body.and_then(|body| body.get("content")));
    if consumes.is_empty() {
        consumes.push("*/*".into());
    }
    let answer = of
        .get("responses")
        .and_then(|all| all.get("200")?.get("content"));
    converted.insert("consumes".into(), consumes.into());
    converted.insert("produces".into(), media(answer).into());
    converted.insert("schemes".into(), json!(["https"]));
    for (key, value) in fields(Some(of)) {
        let value = match key.as_str() {
            "parameters" | "requestBody" => continue,
            "responses" => responses(value),
            _ => value.clone(),
        };
        converted.insert(key.clone(), value);
    }
    let mut parameters: Vec<Value> = body.map(body_parameter).into_iter().collect();
    parameters.extend(
        of.get("parameters")
            .into_iter()
            .flat_map(list)
            .map(parameter),
    );
    if !parameters.is_empty() {
        converted.insert("parameters".into(), parameters.into());
    }
    converted.into()
}

fn body_parameter(body: &Value) -> Value {
    let mut parameter = Map::new();
    parameter.insert("name".into(), "body".into());
    parameter.insert("in".into(), "body".into());
    if let Some(required) = body.get("required") {
        parameter.insert("required".into(), required.clone());
    }
    parameter.insert("schema".into(), first_schema(body));
    parameter.into()
}

/// The schema's words stand with the parameter itself.
fn parameter(of: &Value) -> Value {
    let mut converted = Map::new();
    for (key, value) in fields(Some(of)) {
        match key.as_str() {
            "schema" => converted
                .extend(fields(Some(value)).map(|(key, value)| (key.clone(), value.clone()))),
            _ => {
                converted.insert(key.clone(), value.clone());
            }
        }
    }
    converted.into()
}

fn responses(all: &Value) -> Value {
    let all = fields(Some(all)).map(|(code, response)| {
        let mut converted = Map::new();
        if let Some(description) = response.get("description") {
            converted.insert("description".into(), description.clone());
        }
        if response.get("content").is_some() {
            converted.insert("schema".into(), first_schema(response));
        }
        (code.clone(), Value::Object(converted))
    });
    Value::Object(all.collect())
}

fn first_schema(of: &Value) -> Value {
    let content = fields(of.get("content")).next();
    let of = content.and_then(|(_, media)| media.get("schema"));
    of.map_or(Value::Null, schema)
}

fn media(content: Option<&Value>) -> Vec<Value> {
    fields(content)
        .map(|(media, _)| media.as_str().into())
        .collect()
}

/// A definition: of alternatives the older form knows only those that have a word of their own.
fn top(definition: &Value) -> Value {
    let mut converted = schema(definition);
    if definition.get("oneOf").is_some()
        && let Some(converted) = converted.as_object_mut()
    {
        converted.insert("type".into(), "string".into());
    }
    converted
}

fn schema(of: &Value) -> Value {
    let mut converted = Map::new();
    for (key, value) in fields(Some(of)) {
        match key.as_str() {
            "default" | "oneOf" => {}
            "$ref" => {
                converted.insert(key.clone(), renamed(value));
            }
            "allOf" => {
                let inner = list(value).first().and_then(|one| one.get("$ref"));
                converted.insert("$ref".into(), inner.map_or(Value::Null, renamed));
            }
            "items" | "additionalProperties" => {
                converted.insert(key.clone(), schema(value));
            }
            "properties" => {
                let all = fields(Some(value)).map(|(name, of)| (name.clone(), schema(of)));
                converted.insert(key.clone(), Value::Object(all.collect()));
            }
            _ => {
                converted.insert(key.clone(), value.clone());
            }
        }
    }
    converted.into()
}

fn renamed(reference: &Value) -> Value {
    let reference = reference.as_str().unwrap_or_default();
    reference
        .replace("#/components/schemas/", "#/definitions/")
        .into()
}

fn fields(of: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    of.and_then(Value::as_object).into_iter().flatten()
}

fn list(of: &Value) -> &[Value] {
    of.as_array().map_or(&[], Vec::as_slice)
}
