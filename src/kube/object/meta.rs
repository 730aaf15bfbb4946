//! The metadata of an object: what the server looks at most.

use serde_json::{Map, Value, json};

use crate::kube::schema::{ObjectType, Schema};
use crate::kube::tree;

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    tree::text(object, &["metadata", field])
}

pub fn name(object: &Value) -> &str {
    text(object, "name")
}

pub fn generate_name(object: &Value) -> &str {
    text(object, "generateName")
}

pub fn namespace(object: &Value) -> &str {
    text(object, "namespace")
}

pub fn uid(object: &Value) -> &str {
    text(object, "uid")
}

/// `""` for what is not stored yet.
pub fn resource_version(object: &Value) -> &str {
    text(object, "resourceVersion")
}

/// Whether a deletion has marked it.
pub fn is_deleting(object: &Value) -> bool {
    !text(object, "deletionTimestamp").is_empty()
}

pub fn set_name(object: &mut Value, name: &str) {
    set(object, "name", name.into());
}

pub fn set_resource_version(object: &mut Value, revision: i64) {
    set(object, "resourceVersion", revision.to_string().into());
}

/// As a client gave it.
pub fn set_version_text(object: &mut Value, version: &str) {
    set(object, "resourceVersion", version.into());
}

pub fn remove_resource_version(object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("resourceVersion");
    }
}

/// Adds to `labels` or `annotations`.
pub fn add_to(object: &mut Value, field: &str, key: &str, value: &str) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    let mut map = match metadata.get(field) {
        Some(Value::Object(map)) => map.clone(),
        _ => Map::new(),
    };
    tree::set_sorted(&mut map, key, value.into());
    if let Some(of) = metadata_type() {
        tree::set_in_order(of, metadata, field, map.into());
    }
}

/// `PartialObjectMetadata` of an object, with this `apiVersion`.
pub fn partial(object: &Value, version: &str) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": version,
        "metadata": object.get("metadata").cloned().unwrap_or_else(|| json!({})),
    })
}

fn set(object: &mut Value, field: &str, value: Value) {
    let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
    if let (Some(of), Some(metadata)) = (metadata_type(), metadata) {
        tree::set_in_order(of, metadata, field, value);
    }
}

fn metadata_type() -> Option<&'static ObjectType> {
    let schema = Schema::built_in();
    schema.find("meta/v1.ObjectMeta").map(|id| schema.get(id))
}
