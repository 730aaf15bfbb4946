//! Stored bytes and the objects they are: decoding, read-time defaults, and the resource version.
//!
//! What is stored is JSON as written here or the protobuf envelope of a kube-apiserver, in the storage version of
//! its kind. An object in memory has its `metadata.resourceVersion`, a stored one has not: it is the revision.
//!
//! JSON written here ends in a mark, a blank to every reader of JSON. It says that the bytes are what this release
//! serves: in the order of Go's fields, escaped as Go does, with every default. Lists, watches and gets are cut
//! from such bytes without parsing them (docs/decisions/0014-served-as-stored.md).

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::defaults;
use super::object::splice::Places;
use super::object::{self, meta};
use super::schema::{Schema, TypeId};
use super::views::Stored;

/// Ends the JSON that is served as it is stored. A release whose types or defaults differ takes another blank, and
/// decodes what this one has written.
const SERVED_AS_STORED: u8 = b'\t';

/// The bytes of a stored object, ready to be served.
#[derive(Debug, Clone, Copy)]
pub struct Ready<'a> {
    json: &'a [u8],
    places: &'a Places,
    version: u64,
}

impl Ready<'_> {
    /// Bytes that it takes, roughly.
    pub fn size(&self) -> usize {
        self.json.len() + 32
    }

    /// Appends the object.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.places.write(self.json, self.version, out);
    }

    /// Appends the object as a watcher learns of it that has gone at a later revision.
    pub fn write_at(&self, revision: i64, out: &mut Vec<u8>) {
        self.places.write(self.json, version(revision), out);
    }

    /// Appends the object as lists of built-in kinds have it: without what it is.
    pub fn write_item(&self, out: &mut Vec<u8>) {
        self.places.write_item(self.json, self.version, out);
    }
}

/// The bytes of an object that this release serves as they are stored; none if they have to be decoded.
pub fn ready(stored: &Stored) -> Option<Ready<'_>> {
    let json = served_as_stored(&stored.value)?;
    let places = stored.places(|_| Places::find(json))?;
    Some(Ready {
        json,
        places,
        version: version(stored.revision),
    })
}

fn served_as_stored(value: &[u8]) -> Option<&[u8]> {
    match value {
        [json @ .., SERVED_AS_STORED] => Some(json),
        _ => None,
    }
}

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
    if served_as_stored(&stored.value).is_none()
        && let Some(of) = type_of(schema, &tree)
    {
        defaults::apply(schema, of, &mut tree);
    }
    meta::set_resource_version(&mut tree, version(stored.revision));
    Ok(tree)
}

/// What is written for an object with all its defaults: its JSON without the resource version.
pub fn encode(object: &Value) -> Bytes {
    let mut stored = Vec::with_capacity(2048);
    if meta::resource_version(object).is_empty() {
        object::write_json(object, false, &mut stored);
    } else {
        let mut object = object.clone();
        meta::strip_resource_version(&mut object);
        object::write_json(&object, false, &mut stored);
    }
    stored.push(SERVED_AS_STORED);
    stored.into()
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
