//! What makes a schema structural: every value has one type, said outside of junctions.

use serde_json::Value;

use super::props::{Props, Rest};
use crate::kube::custom::structural::pattern;
use crate::kube::custom::structural::value::{quoted, shown};
use crate::kube::field::FieldError;

/// Where a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

/// Everything that keeps a schema from being structural, sorted by what it says.
pub(super) fn structure(schema: Props<'_>, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    invariants(schema, Level::Root, path, &mut errors);
    complete(schema, Some(schema), path, path, &mut errors);
    errors.sort_by_cached_key(ToString::to_string);
    errors
}

fn invariants(schema: Props<'_>, level: Level, path: &str, errors: &mut Vec<FieldError>) {
    let items = schema.child("items");
    if schema.of_type() == "array" && items.is_none() {
        errors.push(FieldError::required(
            format!("{path}.items"),
            "must be specified",
        ));
    }
    if let Some(items) = items {
        invariants(items, Level::Item, &format!("{path}.items"), errors);
    }
    for (name, inner) in schema.properties() {
        let path = format!("{path}.properties[{name}]");
        invariants(inner, Level::Field, &path, errors);
    }
    let rest = format!("{path}.additionalProperties");
    let additional = schema.additional();
    let is_map = !matches!(additional, Rest::Unsaid);
    if is_map && level == Level::Root {
        errors.push(FieldError::forbidden(
            &*rest,
            "must not be used at the root",
        ));
    }
    if let Rest::Of(inner) = additional {
        invariants(inner, Level::Field, &rest, errors);
    }
    extensions(schema, path, errors);
    let skip = Skip {
        any_of: is_int_or_string(schema),
        first_all_of: schema
            .list("allOf")
            .next()
            .is_some_and(|(_, first)| is_int_or_string(first)),
    };
    junctions(schema, skip, path, errors);
    types(schema, level, path, errors);
    if schema.embedded() && is_map {
        let why = "must not be used if x-kubernetes-embedded-resource is set";
        errors.push(FieldError::forbidden(rest, why));
    }
    let of = schema.of_type();
    if level == Level::Root && !of.is_empty() && of != "object" {
        let why = "must be object at the root";
        errors.push(FieldError::invalid(format!("{path}.type"), quoted(of), why));
    }
    own_fields(schema, level, path, errors);
    if schema.embedded() && !schema.preserves() && schema.properties().next().is_none() {
        let why = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
        errors.push(FieldError::required(format!("{path}.properties"), why));
    }
}

fn extensions(schema: Props<'_>, path: &str, errors: &mut Vec<FieldError>) {
    for name in [
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-embedded-resource",
    ] {
        if schema.int_or_string() && schema.flag(name) {
            let why = "must be false if x-kubernetes-int-or-string is true";
            errors.push(FieldError::invalid(format!("{path}.{name}"), "true", why));
        }
    }
}

fn types(schema: Props<'_>, level: Level, path: &str, errors: &mut Vec<FieldError>) {
    let (of, path) = (schema.of_type(), format!("{path}.type"));
    if schema.embedded() && of != "object" {
        let why = "must be object if x-kubernetes-embedded-resource is true";
        errors.push(if of.is_empty() {
            FieldError::required(path, why)
        } else {
            FieldError::invalid(path, quoted(of), why)
        });
    } else if of.is_empty() && !schema.int_or_string() && !schema.preserves() {
        let why = match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        };
        errors.push(FieldError::required(path, why));
    }
}

/// `kind`, `apiVersion` and `metadata` of resources are what they are.
fn own_fields(schema: Props<'_>, level: Level, path: &str, errors: &mut Vec<FieldError>) {
    let is_resource = level == Level::Root || schema.embedded();
    for name in ["kind", "apiVersion"] {
        let Some(field) = schema.property(name).filter(|_| is_resource) else {
            continue;
        };
        if field.of_type() != "string" {
            let path = format!("{path}.properties[{name}].type");
            let value = quoted(field.of_type());
            errors.push(FieldError::invalid(path, value, "must be string"));
        }
    }
    let Some(meta) = schema.property("metadata") else {
        return;
    };
    let path = format!("{path}.properties[metadata]");
    if is_resource && meta.of_type() != "object" {
        let value = quoted(meta.of_type());
        let error = FieldError::invalid(format!("{path}.type"), value, "must be object");
        errors.push(error);
    }
    if level == Level::Root && !names_only(meta) {
        let why = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        errors.push(FieldError::forbidden(path, why));
    }
}

/// Whether metadata is restricted in nothing but names.
fn names_only(meta: Props<'_>) -> bool {
    meta.fields().all(|(field, value)| match field {
        "type" | "default" => true,
        "properties" => meta
            .properties()
            .all(|(name, _)| matches!(name, "name" | "generateName")),
        _ => matches!(value, Value::Null | Value::Bool(false)) || value == "",
    })
}

/// Whether `anyOf` is what `x-kubernetes-int-or-string` stands for.
fn is_int_or_string(schema: Props<'_>) -> bool {
    let only = |value: &Value, of: &str| {
        value.as_object().is_some_and(|map| map.len() == 1) && Props::of(value).of_type() == of
    };
    match schema.values("anyOf") {
        [first, second] => only(first, "integer") && only(second, "string"),
        _ => false,
    }
}

/// The junctions that may say types: integers and strings.
#[derive(Debug, Clone, Copy, Default)]
struct Skip {
    any_of: bool,
    first_all_of: bool,
}

fn junctions(schema: Props<'_>, skip: Skip, path: &str, errors: &mut Vec<FieldError>) {
    for (at, inner) in schema.list("anyOf").filter(|_| !skip.any_of) {
        let path = format!("{path}.anyOf[{at}]");
        nested(inner, Skip::default(), &path, errors);
    }
    for (at, inner) in schema.list("allOf") {
        let any_of = skip.first_all_of && at == 0;
        let skip = Skip {
            any_of,
            first_all_of: false,
        };
        nested(inner, skip, &format!("{path}.allOf[{at}]"), errors);
    }
    for (at, inner) in schema.list("oneOf") {
        let path = format!("{path}.oneOf[{at}]");
        nested(inner, Skip::default(), &path, errors);
    }
    if let Some(inner) = schema.child("not") {
        nested(inner, Skip::default(), &format!("{path}.not"), errors);
    }
    let pattern = schema.text("pattern");
    if let Err(error) = pattern::check(pattern)
        && !pattern.is_empty()
    {
        let why = format!("must be a valid regular expression, but isn't: {error}");
        let error = FieldError::invalid(format!("{path}.pattern"), quoted(pattern), why);
        errors.push(error);
    }
}

/// Within junctions there are only checks.
fn nested(schema: Props<'_>, skip: Skip, path: &str, errors: &mut Vec<FieldError>) {
    junctions(schema, skip, path, errors);
    if let Some(items) = schema.child("items") {
        nested(items, Skip::default(), &format!("{path}.items"), errors);
    }
    for (name, inner) in schema.properties() {
        let path = format!("{path}.properties[{name}]");
        nested(inner, Skip::default(), &path, errors);
    }
    let mut forbid = |field: &str, said: bool, why: &str| {
        if said {
            let why = format!("must be {why} to be structural");
            errors.push(FieldError::forbidden(format!("{path}.{field}"), why));
        }
    };
    let said = |field: &str| !schema.text(field).is_empty();
    forbid("type", said("type"), "empty");
    let is_map = matches!(schema.additional(), Rest::Of(_) | Rest::Allowed(true));
    forbid("additionalProperties", is_map, "undefined");
    forbid("default", schema.get("default").is_some(), "undefined");
    for field in ["title", "description"] {
        forbid(field, said(field), "empty");
    }
    for field in [
        "nullable",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-embedded-resource",
        "x-kubernetes-int-or-string",
    ] {
        forbid(field, schema.flag(field), "false");
    }
    let keys = "x-kubernetes-list-map-keys";
    forbid(keys, !schema.values(keys).is_empty(), "empty");
    for field in ["x-kubernetes-list-type", "x-kubernetes-map-type"] {
        forbid(field, schema.get(field).is_some(), "undefined");
    }
    let rules = "x-kubernetes-validations";
    forbid(rules, !schema.values(rules).is_empty(), "empty");
    if schema.property("metadata").is_some() {
        let why = "must not be specified in a nested context";
        errors.push(FieldError::forbidden(
            format!("{path}.properties[metadata]"),
            why,
        ));
    }
}

/// What junctions speak of must be there outside of them. Only those of the root are looked at, as in the release.
fn complete(
    checks: Props<'_>,
    schema: Option<Props<'_>>,
    path: &str,
    from: &str,
    errors: &mut Vec<FieldError>,
) {
    if let Some(inner) = checks.child("not") {
        complete_nested(inner, schema, path, &format!("{from}.not"), errors);
    }
    for junction in ["allOf", "anyOf", "oneOf"] {
        for (at, inner) in checks.list(junction) {
            let from = format!("{from}.{junction}[{at}]");
            complete_nested(inner, schema, path, &from, errors);
        }
    }
}

fn complete_nested(
    checks: Props<'_>,
    schema: Option<Props<'_>>,
    path: &str,
    from: &str,
    errors: &mut Vec<FieldError>,
) {
    let missing = |path: String, from: &str| {
        FieldError::required(path, format!("because it is defined in {from}"))
    };
    let Some(schema) = schema else {
        errors.push(missing(path.to_owned(), from));
        return;
    };
    complete(checks, Some(schema), path, from, errors);
    if let Some(items) = checks.child("items") {
        let (path, from) = (format!("{path}.items"), format!("{from}.items"));
        complete_nested(items, schema.child("items"), &path, &from, errors);
    }
    for (name, inner) in checks.properties() {
        let below = |path: &str| format!("{path}.properties[{name}]");
        let (path, from) = (below(path), below(from));
        match schema.property(name) {
            Some(schema) => complete_nested(inner, Some(schema), &path, &from, errors),
            None => errors.push(missing(path, &from)),
        }
    }
}

/// A value of a schema as messages print it.
pub(super) fn told(schema: Props<'_>, field: &str) -> String {
    shown(schema.get(field).unwrap_or(&Value::Null))
}
