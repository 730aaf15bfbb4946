//! Metadata of objects in Go form: reading it, changing it in its place, and objects that are nothing else.

use serde_json::{Map, Value, json};

use crate::kube::negotiate::MetaVersion;

/// The fields of `ObjectMeta` in the order of the struct.
const ORDER: [&str; 15] = [
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
];

/// The place of a field among those of `ObjectMeta`; behind all for what is none.
pub(super) fn rank(field: &str) -> usize {
    ORDER
        .iter()
        .position(|name| *name == field)
        .unwrap_or(ORDER.len())
}

/// The metadata, if the object has any.
pub fn metadata(object: &Value) -> Option<&Map<String, Value>> {
    object.get("metadata")?.as_object()
}

/// The metadata, made if need be.
pub fn metadata_mut(object: &mut Value) -> Option<&mut Map<String, Value>> {
    let metadata = object
        .as_object_mut()?
        .entry("metadata")
        .or_insert_with(|| json!({}));
    if !metadata.is_object() {
        *metadata = json!({});
    }
    metadata.as_object_mut()
}

fn field<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    metadata(object)?.get(name)
}

/// A string of the metadata; `""` for none.
pub fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    field(object, name).and_then(Value::as_str).unwrap_or("")
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

pub fn resource_version(object: &Value) -> &str {
    text(object, "resourceVersion")
}

pub fn generation(object: &Value) -> i64 {
    field(object, "generation")
        .and_then(Value::as_i64)
        .unwrap_or(0)
}

pub fn creation_timestamp(object: &Value) -> Option<&str> {
    field(object, "creationTimestamp")?.as_str()
}

pub fn deletion_timestamp(object: &Value) -> Option<&str> {
    field(object, "deletionTimestamp")?.as_str()
}

/// Seconds that an object has to end in.
pub fn deletion_grace_period(object: &Value) -> Option<i64> {
    field(object, "deletionGracePeriodSeconds")?.as_i64()
}

pub fn labels(object: &Value) -> Option<&Map<String, Value>> {
    field(object, "labels")?.as_object()
}

pub fn annotations(object: &Value) -> Option<&Map<String, Value>> {
    field(object, "annotations")?.as_object()
}

pub fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    labels(object)?.get(key)?.as_str()
}

pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    annotations(object)?.get(key)?.as_str()
}

pub fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    list(object, "finalizers").iter().filter_map(Value::as_str)
}

pub fn owner_references(object: &Value) -> &[Value] {
    list(object, "ownerReferences")
}

pub fn managed_fields(object: &Value) -> &[Value] {
    list(object, "managedFields")
}

/// The owner that is marked as the controller.
pub fn controller(object: &Value) -> Option<&Value> {
    let mut owners = owner_references(object).iter();
    owners.find(|owner| owner.get("controller") == Some(&Value::Bool(true)))
}

fn list<'a>(object: &'a Value, name: &str) -> &'a [Value] {
    field(object, name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Sets a field of the metadata in its place of Go's order; what Go's encoder leaves out is removed: null, `""`, 0 and
/// what is empty.
pub fn set(object: &mut Value, name: &str, value: impl Into<Value>) {
    let value = value.into();
    let empty = match &value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        // A grace period is a pointer: none is not nought.
        Value::Number(number) => number.as_i64() == Some(0) && name == "generation",
        Value::Bool(_) => false,
    };
    let Some(metadata) = metadata_mut(object) else {
        return;
    };
    if empty {
        metadata.shift_remove(name);
    } else if let Some(present) = metadata.get_mut(name) {
        *present = value;
    } else {
        let place = rank(name);
        let at = metadata.keys().position(|key| rank(key) > place);
        metadata.shift_insert(at.unwrap_or(metadata.len()), name.to_owned(), value);
    }
}

/// The revision of a stored object becomes its version.
pub fn set_resource_version(object: &mut Value, revision: u64) {
    set(object, "resourceVersion", revision.to_string());
}

/// An object without its version, as it is stored.
pub fn strip_resource_version(object: &mut Value) {
    set(object, "resourceVersion", Value::Null);
}

/// `PartialObjectMetadata` of an object; as an element of a list it looks the same.
pub fn partial(object: &Value, version: MetaVersion) -> Value {
    let metadata = metadata(object).cloned().unwrap_or_default();
    let mut partial = Map::with_capacity(3);
    partial.insert("kind".into(), "PartialObjectMetadata".into());
    partial.insert("apiVersion".into(), version.api_version().into());
    partial.insert("metadata".into(), metadata.into());
    partial.into()
}
