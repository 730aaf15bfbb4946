//! `apiVersion`, `kind` and `metadata` of objects that lie in others (`x-kubernetes-embedded-resource`), and of the
//! object itself: their types are known whatever the schema says.

use serde_json::{Map, Value};

use super::value::shown;
use super::{Additional, Structural, drop_nulls, prune};
use crate::kube::field::FieldError;
use crate::kube::object::{self, Gvk};
use crate::kube::schema::Schema;
use crate::kube::validate;

/// What becomes of metadata that is not of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// What clients send must be right.
    Refuse,
    /// What was stored before anybody looked is made right.
    Drop,
}

/// Brings an object of a custom kind into the form that its schema gives it, defaults aside: metadata coerced, unknown
/// fields gone, nulls gone that mean nothing. Returns the paths of the unknown fields, for strict errors.
///
/// # Errors
/// The first malformed metadata, in the words of kube-apiserver.
pub fn receive(
    schema: &Structural,
    object: &mut Value,
    malformed: Malformed,
) -> Result<Vec<String>, String> {
    let meta = object.get("metadata").map(|meta| {
        let mut unknown = Vec::new();
        read(meta, "metadata", malformed, &mut unknown).map(|meta| (meta, unknown))
    });
    let (meta, mut unknown) = match meta.transpose()? {
        Some((meta, unknown)) => (Some(meta), unknown),
        None => (None, Vec::new()),
    };
    unknown.append(&mut prune(schema, object, true));
    drop_nulls(schema, object);
    let embedded = coerce(schema, object, false, malformed).map_err(|error| error.to_string())?;
    unknown.extend(embedded);
    if let (Some(meta), Some(slot)) = (meta, object.get_mut("metadata")) {
        *slot = meta;
    }
    Ok(unknown)
}

/// Makes `apiVersion`, `kind` and `metadata` of embedded resources what their types are; `root` says that the object
/// is one, too. Returns the paths of unknown fields of metadata, sorted.
///
/// # Errors
/// The first that is not of its type, if that is refused.
pub fn coerce(
    schema: &Structural,
    object: &mut Value,
    root: bool,
    malformed: Malformed,
) -> Result<Vec<String>, FieldError> {
    coerce_below(schema, "", object, root, malformed)
}

/// [`coerce`] of a value at a path.
pub(super) fn coerce_below(
    schema: &Structural,
    base: &str,
    value: &mut Value,
    root: bool,
    malformed: Malformed,
) -> Result<Vec<String>, FieldError> {
    let mut unknown = Vec::new();
    coerce_at(
        schema,
        value,
        root,
        &mut base.to_owned(),
        malformed,
        &mut unknown,
    )?;
    unknown.sort_unstable();
    Ok(unknown)
}

fn coerce_at(
    schema: &Structural,
    value: &mut Value,
    root: bool,
    path: &mut String,
    malformed: Malformed,
    unknown: &mut Vec<String>,
) -> Result<(), FieldError> {
    let length = path.len();
    match value {
        Value::Object(map) => {
            if root || schema.embedded {
                own(map, path, malformed, unknown)?;
            }
            for (key, value) in map.iter_mut() {
                let inner = match (schema.properties.get(key.as_str()), &schema.additional) {
                    (Some(inner), _) => {
                        if length > 0 {
                            path.push('.');
                        }
                        path.push_str(key);
                        inner
                    }
                    (None, Additional::Of(inner)) => {
                        path.push_str(&format!("[{key}]"));
                        inner
                    }
                    _ => continue,
                };
                coerce_at(inner, value, false, path, malformed, unknown)?;
                path.truncate(length);
            }
        }
        Value::Array(items) => {
            let Some(inner) = schema.items.as_deref() else {
                return Ok(());
            };
            for (at, item) in items.iter_mut().enumerate() {
                path.push_str(&format!("[{at}]"));
                coerce_at(inner, item, false, path, malformed, unknown)?;
                path.truncate(length);
            }
        }
        _ => {}
    }
    Ok(())
}

/// The three fields of one resource.
fn own(
    map: &mut Map<String, Value>,
    path: &str,
    malformed: Malformed,
    unknown: &mut Vec<String>,
) -> Result<(), FieldError> {
    for name in ["apiVersion", "kind"] {
        match map.get(name) {
            None | Some(Value::String(_)) => {}
            Some(_) if malformed == Malformed::Drop => {
                map.shift_remove(name);
            }
            Some(other) => {
                let why = "must be a string";
                return Err(FieldError::invalid(child(path, name), shown(other), why));
            }
        }
    }
    let Some(slot) = map.get_mut("metadata") else {
        return Ok(());
    };
    let at = child(path, "metadata");
    match read(slot, &at, malformed, unknown) {
        Ok(meta) => *slot = meta,
        Err(error) if malformed == Malformed::Refuse => {
            return Err(FieldError::invalid(at, shown(slot), error));
        }
        // What is no object at all stays for validation to find.
        Err(_) => {}
    }
    Ok(())
}

/// Metadata as its type has it.
fn read(
    meta: &Value,
    path: &str,
    malformed: Malformed,
    unknown: &mut Vec<String>,
) -> Result<Value, String> {
    let schema = Schema::built_in();
    let Some(id) = schema.find("meta/v1.ObjectMeta") else {
        return Err("metadata has no type".into());
    };
    let mut conformed = object::conform(schema, id, meta);
    if let (Err(_), Malformed::Drop) = (&conformed, malformed) {
        let Value::Object(map) = meta else {
            let what = said(meta);
            return Err(format!("invalid metadata: expected object, got {what}"));
        };
        let right = |(key, value): &(&String, &Value)| {
            let one = Map::from_iter([((*key).clone(), (*value).clone())]);
            object::conform(schema, id, &one.into()).is_ok()
        };
        let kept: Map<String, Value> = map
            .iter()
            .filter(right)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        conformed = object::conform(schema, id, &kept.into());
    }
    let mut conformed = conformed?;
    for error in &conformed.strict {
        let field = error.strip_prefix("unknown field \"");
        if let Some(field) = field.and_then(|field| field.strip_suffix('"')) {
            unknown.push(format!("{path}.{field}"));
        }
    }
    if let Value::Object(map) = &mut conformed.value {
        map.retain(|key, value| key != "creationTimestamp" || !value.is_null());
    }
    Ok(conformed.value)
}

/// What Go calls the type of a value that has none.
fn said(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_i64() => "int64",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
        Value::Null => "<nil>",
    }
}

/// What is wrong with the three fields of embedded resources, and of the object itself if it is a `root`.
pub fn validate_metadata(schema: &Structural, object: &Value, root: bool) -> Vec<FieldError> {
    validate_metadata_at(schema, "", object, root)
}

/// [`validate_metadata`] of a value at a path.
pub(super) fn validate_metadata_at(
    schema: &Structural,
    base: &str,
    object: &Value,
    root: bool,
) -> Vec<FieldError> {
    let mut errors = Vec::new();
    validate_at(schema, object, root, &mut base.to_owned(), &mut errors);
    errors
}

fn validate_at(
    schema: &Structural,
    value: &Value,
    root: bool,
    path: &mut String,
    errors: &mut Vec<FieldError>,
) {
    let length = path.len();
    match value {
        Value::Object(map) => {
            if root || schema.embedded {
                validate_own(map, path, errors);
            }
            for (key, value) in map {
                let inner = match (schema.properties.get(key.as_str()), &schema.additional) {
                    (Some(inner), _) => {
                        if length > 0 {
                            path.push('.');
                        }
                        path.push_str(key);
                        inner
                    }
                    (None, Additional::Of(inner)) => {
                        path.push_str(&format!("[{key}]"));
                        inner
                    }
                    _ => continue,
                };
                validate_at(inner, value, false, path, errors);
                path.truncate(length);
            }
        }
        Value::Array(items) => {
            let Some(inner) = schema.items.as_deref() else {
                return;
            };
            for (at, item) in items.iter().enumerate() {
                path.push_str(&format!("[{at}]"));
                validate_at(inner, item, false, path, errors);
                path.truncate(length);
            }
        }
        _ => {}
    }
}

fn validate_own(map: &Map<String, Value>, path: &str, errors: &mut Vec<FieldError>) {
    for name in ["apiVersion", "kind"] {
        if !map.contains_key(name) {
            errors.push(FieldError::required(child(path, name), ""));
        }
    }
    for name in ["apiVersion", "kind"] {
        let Some(value) = map.get(name) else {
            continue;
        };
        if let Some(why) = wrong_type(name, value) {
            errors.push(FieldError::invalid(child(path, name), shown(value), why));
        }
    }
    let Some(meta) = map.get("metadata") else {
        return;
    };
    let at = child(path, "metadata");
    match read(meta, &at, Malformed::Refuse, &mut Vec::new()) {
        Ok(meta) => errors.extend(validate::embedded_metadata(&at, &meta)),
        Err(error) => errors.push(FieldError::invalid(at, shown(meta), error)),
    }
}

/// What is wrong with an `apiVersion` or a `kind`.
fn wrong_type(name: &str, value: &Value) -> Option<String> {
    let Value::String(text) = value else {
        return Some("must be a string".into());
    };
    if text.is_empty() {
        return Some("must not be empty".into());
    }
    if name == "apiVersion" {
        return Gvk::parse(text, "").err();
    }
    let messages = validate::embedded_kind(text);
    (!messages.is_empty()).then(|| {
        let messages = messages.join(",");
        format!("may have mixed case, but should otherwise match: {messages}")
    })
}

fn child(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
