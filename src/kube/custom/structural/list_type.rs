//! Lists whose items must differ: sets, and maps by their keys.

use std::collections::HashMap;
use std::hash::Hash;

use serde_json::{Map, Value};

use super::value::{Num, json, shown};
use super::{Additional, ListType, Structural};
use crate::kube::field::FieldError;

/// What is there twice in lists of list type set and map.
///
/// An update is forgiven if the old object had any such error: see [`validate_list_types`].
pub fn validate_lists(schema: &Structural, object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if let Value::Object(map) = object {
        fields(schema, map, "", &mut errors);
    }
    errors
}

/// [`validate_lists`] of a new object; nothing, if what was there before had errors of the kind already.
pub fn validate_list_types(
    schema: &Structural,
    object: &Value,
    old: Option<&Value>,
) -> Vec<FieldError> {
    if old.is_some_and(|old| !validate_lists(schema, old).is_empty()) {
        return Vec::new();
    }
    validate_lists(schema, object)
}

fn fields(schema: &Structural, map: &Map<String, Value>, path: &str, errors: &mut Vec<FieldError>) {
    if let Additional::Of(inner) = &schema.additional {
        for (key, value) in map {
            if value.is_object() || value.is_array() {
                below(inner, value, &format!("{path}[{key}]"), errors);
            }
        }
    }
    for (name, inner) in &schema.properties {
        if let Some(value @ (Value::Object(_) | Value::Array(_))) = map.get(&**name) {
            let dot = if path.is_empty() { "" } else { "." };
            below(inner, value, &format!("{path}{dot}{name}"), errors);
        }
    }
}

fn below(schema: &Structural, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    match value {
        Value::Object(map) => fields(schema, map, path, errors),
        Value::Array(items) => {
            match schema.list_type {
                Some(ListType::Set) => {
                    for at in twice(items.iter().map(identity)) {
                        let value = items.get(at).map(shown).unwrap_or_default();
                        errors.push(FieldError::duplicate(format!("{path}[{at}]"), value));
                    }
                }
                Some(ListType::Map) => by_keys(&schema.list_map_keys, items, path, errors),
                _ => {}
            }
            if let Some(inner) = schema.items.as_deref() {
                for (at, item) in items.iter().enumerate() {
                    below(inner, item, &format!("{path}[{at}]"), errors);
                }
            }
        }
        _ => {}
    }
}

fn by_keys(keys: &[Box<str>], items: &[Value], path: &str, errors: &mut Vec<FieldError>) {
    let stray = items
        .iter()
        .position(|item| !item.is_object() && !item.is_null());
    if let Some(at) = stray {
        let value = items.get(at).map(shown).unwrap_or_default();
        let why = "must be an object for an array of list-type map";
        errors.push(FieldError::invalid(format!("{path}[{at}]"), value, why));
        return;
    }
    if let [key] = keys {
        // Of a single key the value itself counts, of which an integer and a float are never one.
        let value = |item: &Value| item.get(&**key).map(identity);
        for at in twice(items.iter().map(value)) {
            let value = items.get(at).and_then(|item| item.get(&**key));
            let value = value.map(|value| format!("{{{}:{}}}", json(&(**key).into()), json(value)));
            let value = value.unwrap_or_else(|| "{}".into());
            errors.push(FieldError::duplicate(format!("{path}[{at}]"), value));
        }
        return;
    }
    let keys: Vec<Value> = items
        .iter()
        .map(|item| {
            let fields = keys.iter().filter_map(|key| {
                let value = item.get(&**key)?;
                Some((key.to_string(), value.clone()))
            });
            Value::Object(fields.collect())
        })
        .collect();
    for at in twice(keys.iter().map(json)) {
        let value = keys.get(at).map(json).unwrap_or_default();
        errors.push(FieldError::duplicate(format!("{path}[{at}]"), value));
    }
}

/// Where something comes for the second time.
fn twice<T: Hash + Eq>(identities: impl Iterator<Item = T>) -> Vec<usize> {
    let mut times: HashMap<T, usize> = HashMap::new();
    let mut second = Vec::new();
    for (at, identity) in identities.enumerate() {
        let times = times.entry(identity).or_default();
        *times += 1;
        if *times == 2 {
            second.push(at);
        }
    }
    second
}

/// Numbers that differ in kind differ, and from the strings that look like them.
fn identity(value: &Value) -> String {
    match value {
        Value::Number(number) if matches!(Num::of(number), Num::Float(_)) => {
            format!("float {}", shown(value))
        }
        other => json(other),
    }
}
