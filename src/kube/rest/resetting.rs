//! A body that says `managedFields: []` has the owners of its object forgotten.
//!
//! Go form has no empty lists, so that what a client has sent is looked at once more. Most bodies need no such look:
//! they say nothing of the kind.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::kube::apply::is_reset;
use crate::kube::object::{self, Format, meta};

const FIELD: &[u8] = b"managedFields";

/// Puts into `object`, which `body` has been decoded to, that the owners are to be forgotten, if the body says so.
pub(super) fn carry(body: &Bytes, format: Format, object: &mut Value) {
    if format == Format::Protobuf || !may_say_so(body) {
        return;
    }
    if object::tree(body, format).is_ok_and(|(sent, _)| is_reset(&sent)) {
        forget(object);
    }
}

/// The same, if `sent` is the tree that was sent.
pub(super) fn carry_from(sent: &Value, object: &mut Value) {
    if is_reset(sent) {
        forget(object);
    }
}

/// Of the two ways to say it, the one that is kept in Go form. The field manager takes it out again.
fn forget(object: &mut Value) {
    meta::set(object, "managedFields", json!([{}]));
}

/// Whether the field's name is somewhere followed by an empty list, or one of an empty map.
fn may_say_so(body: &[u8]) -> bool {
    let mut rest = body;
    while let Some(at) = rest.windows(FIELD.len()).position(|part| part == FIELD) {
        rest = rest.get(at + FIELD.len()..).unwrap_or_default();
        if begins_empty(rest) {
            return true;
        }
    }
    false
}

/// Whether what follows the field's name is an empty list, or one of an empty map.
fn begins_empty(value: &[u8]) -> bool {
    let Some((b'[' | b'-', items)) = skip(value, b" \t\r\n\"':").split_first() else {
        return false;
    };
    let items = skip(items, SPACE);
    let map = items.strip_prefix(b"{").map(|map| skip(map, SPACE));
    items.starts_with(b"]") || map.is_some_and(|map| map.starts_with(b"}"))
}

const SPACE: &[u8] = b" \t\r\n";

fn skip<'a>(text: &'a [u8], what: &[u8]) -> &'a [u8] {
    let from = text.iter().position(|byte| !what.contains(byte));
    from.and_then(|from| text.get(from..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried(body: &'static str, format: Format) -> bool {
        let mut object = json!({"metadata": {"name": "a"}});
        carry(&Bytes::from_static(body.as_bytes()), format, &mut object);
        object["metadata"].get("managedFields").is_some()
    }

    #[test]
    fn an_empty_list_is_carried_on() {
        for body in [
            r#"{"metadata":{"managedFields":[]}}"#,
            r#"{"metadata": {"managedFields" : [ {} ], "name": "a"}}"#,
            "{\"metadata\": {\n \"managedFields\":\n [\n ]\n}}",
        ] {
            assert!(carried(body, Format::Json), "{body}");
        }
        assert!(carried(
            "metadata:\n  managedFields: []\n  name: a\n",
            Format::Yaml
        ));
        assert!(carried(
            "metadata:\n  managedFields:\n  - {}\n  name: a\n",
            Format::Yaml
        ));
        for body in [
            r#"{"metadata":{"managedFields":[{"manager":"m"}]}}"#,
            r#"{"metadata":{}}"#,
            r#"{"metadata":{"annotations":{"managedFields":"[]"}}}"#,
            r#"{"spec":{"managedFields":[]}}"#,
        ] {
            assert!(!carried(body, Format::Json), "{body}");
        }
        assert!(!carried(
            "metadata:\n  managedFields:\n  - manager: m\n",
            Format::Yaml
        ));
    }
}
