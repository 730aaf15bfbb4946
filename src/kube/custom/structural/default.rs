//! Filling in what is absent.

use serde_json::{Map, Value};

use super::{Additional, Structural};
use crate::kube::tree;

/// Removes nulls that the schema neither allows nor has a default for; the others [`default`] replaces.
pub fn drop_nulls(schema: &Structural, object: &mut Value) {
    match object {
        Value::Object(map) => map.retain(|key, value| {
            let Some(inner) = field(schema, key) else {
                return true;
            };
            if value.is_null() && !inner.nullable && inner.default.is_none() {
                return false;
            }
            drop_nulls(inner, value);
            true
        }),
        Value::Array(items) => {
            if let Some(inner) = schema.items.as_deref() {
                items.iter_mut().for_each(|item| drop_nulls(inner, item));
            }
        }
        _ => {}
    }
}

/// Sets fields that are absent, or null where that is not allowed, to their defaults, and those in what is there
/// by then.
pub fn default(schema: &Structural, object: &mut Value) {
    match object {
        Value::Object(map) => {
            absent(schema, map);
            for (key, value) in map.iter_mut() {
                match (schema.properties.get(&**key), &schema.additional) {
                    (Some(inner), _) => default(inner, value),
                    (None, Additional::Of(inner)) => {
                        replace_null(inner, value);
                        default(inner, value);
                    }
                    _ => {}
                }
            }
        }
        Value::Array(items) => {
            if let Some(inner) = schema.items.as_deref() {
                for item in items {
                    replace_null(inner, item);
                    default(inner, item);
                }
            }
        }
        _ => {}
    }
}

fn absent(schema: &Structural, map: &mut Map<String, Value>) {
    for (name, inner) in &schema.properties {
        let Some(default) = &inner.default else {
            continue;
        };
        match map.get_mut(&**name) {
            None => tree::set_sorted(map, name, default.clone()),
            Some(value) if value.is_null() && !inner.nullable => *value = default.clone(),
            Some(_) => {}
        }
    }
}

/// A null stays one if there is nothing to put in its place.
fn replace_null(schema: &Structural, value: &mut Value) {
    if let (true, false, Some(default)) = (value.is_null(), schema.nullable, &schema.default) {
        *value = default.clone();
    }
}

fn field<'s>(schema: &'s Structural, key: &str) -> Option<&'s Structural> {
    match (schema.properties.get(key), &schema.additional) {
        (Some(inner), _) => Some(inner),
        (None, Additional::Of(inner)) => Some(inner),
        _ => None,
    }
}
