//! Objects in `application/vnd.kubernetes.protobuf`, transcoded by the type tables.
//!
//! A body is [`PREFIX`] and an [`Unknown`] around the object's message; what lies in lists and other objects is plain
//! messages. The bytes are those that gogo's generated code writes for the same object.

mod decode;
mod encode;
mod envelope;
mod leaves;
mod wire;

use serde_json::{Map, Value};

pub use envelope::{PREFIX, Unknown};
pub use wire::WireError;

use super::{Expected, Gvk};
use crate::kube::schema::{Schema, TypeId};

/// The body for an object in Go form: the envelope with its own kind and version.
pub fn encode(schema: &Schema, id: TypeId, object: &Value) -> Vec<u8> {
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or("");
    encode_as(schema, id, text("apiVersion"), text("kind"), object)
}

/// [`encode()`] with a kind and version that the object does not state itself.
pub fn encode_as(
    schema: &Schema,
    id: TypeId,
    api_version: &str,
    kind: &str,
    object: &Value,
) -> Vec<u8> {
    let mut body = Vec::with_capacity(1024);
    envelope::write(api_version, kind, &mut body, |out| {
        encode::message(schema, id, fields(object), out);
    });
    body
}

/// The bare message of an object in Go form, as an element of a list has it.
pub fn encode_message(schema: &Schema, id: TypeId, object: &Value) -> Vec<u8> {
    let mut message = Vec::with_capacity(1024);
    encode::message(schema, id, fields(object), &mut message);
    message
}

/// The body of a list whose elements are messages already: `metadata` is its `ListMeta`.
pub fn encode_list<'a>(
    schema: &Schema,
    api_version: &str,
    kind: &str,
    metadata: &Value,
    items: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<u8> {
    let mut body = Vec::with_capacity(1024);
    envelope::write(api_version, kind, &mut body, |out| {
        if let Some(id) = schema.find("meta/v1.ListMeta") {
            wire::put_message(out, 1, |out| {
                encode::message(schema, id, fields(metadata), out);
            });
        }
        for item in items {
            wire::put_bytes(out, 2, item);
        }
    });
    body
}

/// A frame of a watch: four bytes of length, big-endian, then `WatchEvent` with the body of an object in it.
pub fn watch_frame(event: &str, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 4];
    frame.reserve(body.len() + 32);
    wire::put_bytes(&mut frame, 1, event.as_bytes());
    wire::put_message(&mut frame, 2, |out| wire::put_bytes(out, 1, body));
    let length = u32::try_from(frame.len() - 4).unwrap_or(u32::MAX);
    if let Some(prefix) = frame.first_chunk_mut() {
        *prefix = length.to_be_bytes();
    }
    frame
}

/// Reads the bare message of a type into Go form.
///
/// # Errors
/// The bytes are no message of this type.
pub fn decode_message(schema: &Schema, id: TypeId, message: &[u8]) -> Result<Value, WireError> {
    decode::message(schema, id, message)
}

fn fields(object: &Value) -> &Map<String, Value> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    object.as_object().unwrap_or(&NONE)
}

/// The envelope of a body.
///
/// # Errors
/// In the words of the release's serializer.
pub fn open(body: &[u8]) -> Result<Unknown<'_>, String> {
    if body.is_empty() {
        return Err("empty data".into());
    }
    match body.strip_prefix(PREFIX) {
        None => {
            Err("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]".into())
        }
        Some([]) => Err("empty body".into()),
        Some(rest) => Unknown::read(rest).map_err(|error| error.to_string()),
    }
}

/// The kind that a body says it has, with what was expected for what it leaves open.
pub(super) fn kind_of(unknown: &Unknown<'_>, expected: &Expected) -> Result<Gvk, String> {
    let mut gvk = Gvk::parse(unknown.api_version, unknown.kind)?;
    if gvk.kind.is_empty() {
        gvk.kind.clone_from(&expected.gvk.kind);
    }
    if gvk.version.is_empty() {
        gvk.group.clone_from(&expected.gvk.group);
        gvk.version.clone_from(&expected.gvk.version);
    }
    Ok(gvk)
}

/// Whether stored bytes are a body of this form.
pub fn is_envelope(bytes: &[u8]) -> bool {
    bytes.starts_with(PREFIX)
}

/// Reads a body that says itself what it is, as a kube-apiserver has stored it: the object in Go form.
///
/// # Errors
/// It is no such body, or of a kind that the tables do not know.
pub fn decode_stored(schema: &Schema, body: &[u8]) -> Result<Value, String> {
    let unknown = open(body)?;
    let gvk = Gvk::parse(unknown.api_version, unknown.kind)?;
    let id = schema.kind(&gvk.group, &gvk.version, &gvk.kind);
    let id = id.ok_or_else(|| format!("no kind {:?} in {:?}", gvk.kind, gvk.api_version()))?;
    let value = decode_message(schema, id, unknown.raw).map_err(|error| error.to_string())?;
    let mut object = Map::new();
    object.insert("kind".into(), gvk.kind.as_str().into());
    object.insert("apiVersion".into(), gvk.api_version().into());
    if let Value::Object(fields) = value {
        object.extend(
            fields
                .into_iter()
                .filter(|(key, _)| key != "kind" && key != "apiVersion"),
        );
    }
    Ok(object.into())
}
