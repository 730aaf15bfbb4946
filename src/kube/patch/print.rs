//! Values as Go's `%v` prints them, for the few messages that hold some.

use serde_json::Value;

/// `map[a:1 b:[x y]]`, keys in order; cut off where it gets long.
pub(in crate::kube) fn go(value: &Value) -> String {
    let mut text = String::new();
    print(value, &mut text);
    text
}

/// Bytes after which printing stops: a message is no way to send an object back.
const ENOUGH: usize = 4096;

fn print(value: &Value, into: &mut String) {
    if into.len() > ENOUGH {
        return;
    }
    match value {
        Value::Null => into.push_str("<nil>"),
        Value::String(text) => into.push_str(text),
        Value::Array(elements) => {
            into.push('[');
            for (at, element) in elements.iter().enumerate() {
                if at > 0 {
                    into.push(' ');
                }
                print(element, into);
            }
            into.push(']');
        }
        Value::Object(fields) => {
            into.push_str("map[");
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            for (at, (key, value)) in fields.into_iter().enumerate() {
                if at > 0 {
                    into.push(' ');
                }
                into.push_str(key);
                into.push(':');
                print(value, into);
            }
            into.push(']');
        }
        other => into.push_str(&other.to_string()),
    }
}
