//! The document of OpenAPI 2.0 as protobuf, which older clients ask for and nothing else.
//!
//! The messages are those of `openapi.v2` (<https://github.com/google/gnostic-models>), of which the parts that this
//! server's document has are written. What begins with `x-` travels as text that is read as YAML; JSON is.

use serde_json::{Map, Value};

/// A message while it is written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            // The low seven bits.
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn bytes(&mut self, number: u64, bytes: &[u8]) {
        self.varint(number << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// A string; nothing is written for an empty one, or for what is none.
    fn text(&mut self, number: u64, text: Option<&Value>) {
        let text = text.and_then(Value::as_str).unwrap_or_default();
        if !text.is_empty() {
            self.bytes(number, text.as_bytes());
        }
    }

    fn texts(&mut self, number: u64, list: Option<&Value>) {
        for text in list.and_then(Value::as_array).into_iter().flatten() {
            self.bytes(number, text.as_str().unwrap_or_default().as_bytes());
        }
    }

    fn flag(&mut self, number: u64, flag: Option<&Value>) {
        if flag.and_then(Value::as_bool) == Some(true) {
            self.varint(number << 3);
            self.varint(1);
        }
    }

    fn message(&mut self, number: u64, message: &Self) {
        self.bytes(number, &message.0);
    }

    /// A name and what belongs to it.
    fn named(&mut self, number: u64, name: &str, value: &Self) {
        let mut pair = Self::default();
        pair.bytes(1, name.as_bytes());
        pair.message(2, value);
        self.message(number, &pair);
    }

    fn extensions(&mut self, number: u64, of: &Map<String, Value>) {
        for (name, value) in of.iter().filter(|(name, _)| name.starts_with("x-")) {
            self.named(number, name, &any(value));
        }
    }
}

/// The whole document.
pub(super) fn encode(swagger: &Value) -> Vec<u8> {
    let mut document = Message::default();
    document.text(1, swagger.get("swagger"));
    let mut info = Message::default();
    let title = swagger.get("info");
    info.text(1, title.and_then(|info| info.get("title")));
    info.text(2, title.and_then(|info| info.get("version")));
    document.message(2, &info);
    let mut paths = Message::default();
    for (name, item) in fields(swagger.get("paths")) {
        paths.named(2, name, &path_item(item));
    }
    document.message(8, &paths);
    let mut definitions = Message::default();
    for (name, definition) in fields(swagger.get("definitions")) {
        definitions.named(1, name, &schema(definition));
    }
    document.message(9, &definitions);
    for requirement in list(swagger.get("security")) {
        let mut needed = Message::default();
        for (name, scopes) in fields(Some(requirement)) {
            let mut all = Message::default();
            all.texts(1, Some(scopes));
            needed.named(1, name, &all);
        }
        document.message(12, &needed);
    }
    let mut security = Message::default();
    for (name, of) in fields(swagger.get("securityDefinitions")) {
        let mut key = Message::default();
        for (number, field) in [(1, "type"), (2, "name"), (3, "in"), (4, "description")] {
            key.text(number, of.get(field));
        }
        let mut item = Message::default();
        item.message(2, &key);
        security.named(1, name, &item);
    }
    document.message(13, &security);
    document.0
}

fn path_item(item: &Value) -> Message {
    let mut message = Message::default();
    let methods = ["get", "put", "post", "delete", "options", "head", "patch"];
    for (number, method) in (2..).zip(methods) {
        if let Some(of) = item.get(method) {
            message.message(number, &operation(of));
        }
    }
    for one in list(item.get("parameters")) {
        message.message(9, &parameter(one));
    }
    message
}

fn operation(of: &Value) -> Message {
    let mut message = Message::default();
    message.texts(1, of.get("tags"));
    message.text(3, of.get("description"));
    message.text(5, of.get("operationId"));
    message.texts(6, of.get("produces"));
    message.texts(7, of.get("consumes"));
    for one in list(of.get("parameters")) {
        message.message(8, &parameter(one));
    }
    let mut responses = Message::default();
    for (code, of) in fields(of.get("responses")) {
        let mut response = Message::default();
        response.text(1, of.get("description"));
        if let Some(of) = of.get("schema") {
            let mut item = Message::default();
            item.message(1, &schema(of));
            response.message(2, &item);
        }
        let mut value = Message::default();
        value.message(1, &response);
        responses.named(1, code, &value);
    }
    message.message(9, &responses);
    message.texts(10, of.get("schemes"));
    message.extensions(13, of.as_object().unwrap_or(&Map::new()));
    message
}

/// One of the kinds of parameters, each a message of its own.
fn parameter(of: &Value) -> Message {
    let place = of.get("in").and_then(Value::as_str).unwrap_or_default();
    let mut own = Message::default();
    let mut parameter = Message::default();
    if place == "body" {
        own.text(1, of.get("description"));
        own.text(2, of.get("name"));
        own.text(3, of.get("in"));
        own.flag(4, of.get("required"));
        if let Some(of) = of.get("schema") {
            own.message(5, &schema(of));
        }
        parameter.message(1, &own);
    } else {
        let in_path = place == "path";
        own.flag(1, of.get("required"));
        own.text(2, of.get("in"));
        own.text(3, of.get("description"));
        own.text(4, of.get("name"));
        // In the query a value may be left empty, which has the number before.
        own.text(if in_path { 5 } else { 6 }, of.get("type"));
        own.flag(if in_path { 19 } else { 20 }, of.get("uniqueItems"));
        let mut other = Message::default();
        other.message(if in_path { 4 } else { 3 }, &own);
        parameter.message(2, &other);
    }
    let mut item = Message::default();
    item.message(1, &parameter);
    item
}

fn schema(of: &Value) -> Message {
    let mut message = Message::default();
    message.text(1, of.get("$ref"));
    message.text(2, of.get("format"));
    message.text(4, of.get("description"));
    message.texts(19, of.get("required"));
    for value in list(of.get("enum")) {
        message.message(20, &any(value));
    }
    if let Some(of) = of.get("additionalProperties") {
        let mut item = Message::default();
        item.message(1, &schema(of));
        message.message(21, &item);
    }
    if let Some(of) = of.get("type") {
        let mut kind = Message::default();
        kind.text(1, Some(of));
        message.message(22, &kind);
    }
    if let Some(of) = of.get("items") {
        let mut items = Message::default();
        items.message(1, &schema(of));
        message.message(23, &items);
    }
    if let Some(all) = of.get("properties") {
        let mut properties = Message::default();
        for (name, of) in fields(Some(all)) {
            properties.named(1, name, &schema(of));
        }
        message.message(25, &properties);
    }
    message.extensions(31, of.as_object().unwrap_or(&Map::new()));
    message
}

fn any(value: &Value) -> Message {
    let mut message = Message::default();
    message.bytes(2, value.to_string().as_bytes());
    message
}

fn fields(of: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    of.and_then(Value::as_object).into_iter().flatten()
}

fn list(of: Option<&Value>) -> &[Value] {
    of.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_is_written_field_by_field() {
        let of = json!({"type": "integer", "format": "int32", "x-a": {"b": 1}});
        let mut expected = b"\x12\x05int32".to_vec();
        expected.extend_from_slice(b"\xb2\x01\x09\x0a\x07integer");
        expected.extend_from_slice(b"\xfa\x01\x10\x0a\x03x-a\x12\x09\x12\x07{\"b\":1}");
        assert_eq!(schema(&of).0, expected);
    }

    #[test]
    fn parameters_in_path_and_query_differ() {
        let of = json!({"name": "n", "in": "path", "required": true, "type": "string", "uniqueItems": true});
        let path =
            b"\x0a\x1f\x12\x1d\x22\x1b\x08\x01\x12\x04path\x22\x01n\x2a\x06string\x98\x01\x01";
        let message = parameter(&of).0;
        assert_eq!(message[6..], path[6..]);
        let of = json!({"name": "n", "in": "query", "type": "string", "uniqueItems": true});
        let message = parameter(&of).0;
        assert!(message.ends_with(b"\x12\x05query\x22\x01n\x32\x06string\xa0\x01\x01"));
        assert_eq!(message[4], 3 << 3 | 2);
    }
}
