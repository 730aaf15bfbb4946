//! Config maps, secrets and namespaces.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::cursor::{At, Errors};
use super::names;
use crate::kube::field::quoted;

/// Bytes of all values together.
const SIZE: usize = 1024 * 1024;

pub(super) fn config_map(map: &At<'_>, errors: &mut Errors) {
    let (data, binary) = (map.field("data"), map.field("binaryData"));
    let mut size = 0;
    for (key, value) in data.entries() {
        for message in names::config_key(key) {
            errors.bad_value(&value, quoted(key), message);
        }
        if binary.field(key).is_set() {
            errors.bad_value(
                &value,
                quoted(key),
                "duplicate of key present in binaryData",
            );
        }
        size += value.len();
    }
    for (key, value) in binary.entries() {
        for message in names::config_key(key) {
            errors.bad_value(&value, quoted(key), message);
        }
        size += decoded_len(value.text());
    }
    if size > SIZE {
        // The release names no field, and writes that so.
        errors.too_long(&map.named("[]"), SIZE);
    }
}

fn decoded_len(text: &str) -> usize {
    let padding = text.bytes().rev().take_while(|b| *b == b'=').count();
    (text.len() / 4 * 3).saturating_sub(padding)
}

pub(super) fn secret(secret: &At<'_>, errors: &mut Errors) {
    let data = secret.field("data");
    let mut size = 0;
    for (key, value) in data.entries() {
        for message in names::config_key(key) {
            errors.bad_value(&value, quoted(key), message);
        }
        size += decoded_len(value.text());
    }
    if size > SIZE {
        errors.too_long(&data, SIZE);
    }
    let at = |key: &str| data.field(key).named(format!("{}[{key}]", data.path));
    let need = |key: &str, errors: &mut Errors| {
        if !at(key).is_set() {
            errors.required(&at(key), "");
        }
    };
    match secret.field("type").text() {
        "kubernetes.io/service-account-token" => {
            let key = "kubernetes.io/service-account.name";
            let annotations = secret.down(&["metadata", "annotations"]);
            let name = annotations
                .field(key)
                .named(format!("{}[{key}]", annotations.path));
            if name.is_empty() {
                errors.required(&name, "");
            }
        }
        "kubernetes.io/dockercfg" => docker(&at(".dockercfg"), errors),
        "kubernetes.io/dockerconfigjson" => docker(&at(".dockerconfigjson"), errors),
        "kubernetes.io/basic-auth" if !at("username").is_set() && !at("password").is_set() => {
            need("username", errors);
            need("password", errors);
        }
        "kubernetes.io/ssh-auth" if at("ssh-privatekey").is_empty() => {
            errors.required(&at("ssh-privatekey"), "");
        }
        "kubernetes.io/tls" => {
            need("tls.crt", errors);
            need("tls.key", errors);
        }
        _ => {}
    }
}

fn docker(at: &At<'_>, errors: &mut Errors) {
    if !at.is_set() {
        return errors.required(at, "");
    }
    let bytes = STANDARD.decode(at.text()).unwrap_or_default();
    let why = match serde_json::from_slice::<Value>(&bytes) {
        Ok(Value::Object(_) | Value::Null) => return,
        Ok(other) => {
            let kind = match other {
                Value::String(_) => "string",
                Value::Array(_) => "array",
                Value::Bool(_) => "bool",
                _ => "number",
            };
            format!("json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}")
        }
        Err(error) if error.is_eof() => "unexpected end of JSON input".into(),
        Err(error) => {
            let at = error.column().saturating_sub(1);
            let found = bytes.get(at).copied().map_or(' ', char::from);
            format!("invalid character '{found}' looking for beginning of value")
        }
    };
    errors.bad_value(at, quoted("<secret contents redacted>"), why);
}

/// What may not change once it was said that nothing will.
pub(super) fn frozen(new: &At<'_>, old: &At<'_>, fields: &[&str], errors: &mut Errors) {
    if !old.field("immutable").is_true() {
        return;
    }
    let why = "field is immutable when `immutable` is set";
    if !new.field("immutable").is_true() {
        errors.forbidden(&new.field("immutable"), why);
    }
    for name in fields {
        if new.field(name).value != old.field(name).value {
            errors.forbidden(&new.field(name), why);
        }
    }
}

/// The finalizers in a namespace's spec; `indexed` where the place of each is said.
pub(super) fn namespace_finalizers(namespace: &At<'_>, indexed: bool, errors: &mut Errors) {
    let finalizers = namespace.down(&["spec", "finalizers"]);
    for finalizer in finalizers.items() {
        let place = if indexed {
            finalizer.clone()
        } else {
            finalizer.named(finalizers.path.as_str())
        };
        errors.bad_texts(&place, names::qualified(place.text()));
        if !place.text().contains('/')
            && !["kubernetes", "orphan", "foregroundDeletion"].contains(&place.text())
        {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            errors.bad_text(&place, why);
        }
    }
}

pub(super) fn namespace_status(namespace: &At<'_>, errors: &mut Errors) {
    let phase = namespace.down(&["status", "phase"]).named("status.Phase");
    let deleted = namespace.down(&["metadata", "deletionTimestamp"]).is_set();
    if !deleted && !phase.is("Active") {
        errors.bad_text(
            &phase,
            "may only be 'Active' if `deletionTimestamp` is empty",
        );
    }
    if deleted && !phase.is("Terminating") {
        errors.bad_text(
            &phase,
            "may only be 'Terminating' if `deletionTimestamp` is not empty",
        );
    }
}
