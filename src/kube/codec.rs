//! Stored bytes and the objects they are: decoding, read-time defaults, and the resource version.
//!
//! What is stored is JSON as written here or the protobuf envelope of a kube-apiserver, in the storage version of
//! its kind. An object in memory has its `metadata.resourceVersion`, a stored one has not: it is the revision.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::defaults;
use super::object::{self, meta};
use super::schema::{Schema, TypeId};
use super::views::Stored;

/// The object that stored bytes are, as everybody shares it.
///
/// # Errors
/// Why the bytes are no object.
pub fn object(stored: &Stored) -> Result<&Arc<Value>, &str> {
    stored.object(decode)
}

/// Decodes stored bytes anew: the object in its storage version, with read-time defaults and its resource version.
///
/// # Errors
/// Why the bytes are no object.
pub fn decode(stored: &Stored) -> Result<Value, String> {
    let schema = Schema::built_in();
    let mut tree = if object::protobuf::is_envelope(&stored.value) {
        object::protobuf::decode_stored(schema, &stored.value)?
    } else {
        serde_json::from_slice(&stored.value).map_err(|error| error.to_string())?
    };
    if let Some(of) = type_of(schema, &tree) {
        defaults::apply(schema, of, &mut tree);
    }
    meta::set_resource_version(&mut tree, version(stored.revision));
    Ok(tree)
}

/// What is written for an object: its JSON without the resource version.
pub fn encode(object: &Value) -> Bytes {
    let mut stored = object.clone();
    meta::strip_resource_version(&mut stored);
    // A tree of strings and numbers has a JSON form.
    serde_json::to_vec(&stored).unwrap_or_default().into()
}

/// The type of an object, by what it says of itself; none for a custom resource.
pub fn type_of(schema: &Schema, object: &Value) -> Option<TypeId> {
    let text = |field: &str| object.get(field).and_then(Value::as_str);
    let (group, version) = split(text("apiVersion")?);
    schema.kind(group, version, text("kind")?)
}

/// Group and version of an `apiVersion`.
pub fn split(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// As [`type_of`], for what is answered and not stored too: lists, `Status` and the like.
pub fn type_of_any(schema: &Schema, object: &Value) -> Option<TypeId> {
    let text = |field: &str| object.get(field).and_then(Value::as_str);
    let kind = text("kind")?;
    if let Some(id) = type_of(schema, object) {
        return Some(id);
    }
    let (group, version) = split(text("apiVersion")?);
    match (group, version) {
        ("", "v1") | ("meta.k8s.io", "v1") => schema.find(&format!("meta/v1.{kind}")),
        _ => None,
    }
}

/// A revision as a resource version; revisions are never negative.
pub fn version(revision: i64) -> u64 {
    u64::try_from(revision).unwrap_or_default()
}
