//! Objects of kinds that no table knows.

use serde_json::Value;

use super::conform::{Conformed, MAX_STRICT_ERRORS};
use super::go::quote;
use super::node::{Node, sorted};

/// An object of a kind that no table knows: maps in the order of their keys, as Go writes them.
pub(super) fn untyped(node: &Node<'_>) -> Conformed {
    let mut strict = Vec::new();
    let value = untyped_at(node, &mut String::new(), &mut strict);
    Conformed { value, strict }
}

fn untyped_at(node: &Node<'_>, path: &mut String, strict: &mut Vec<String>) -> Value {
    let length = path.len();
    match node {
        Node::List(items) => {
            let mut list = Vec::with_capacity(items.len());
            for (at, item) in items.iter().enumerate() {
                path.push_str(&format!("[{at}]"));
                list.push(untyped_at(item, path, strict));
                path.truncate(length);
            }
            list.into()
        }
        Node::Object(fields) => {
            let mut seen = std::collections::HashSet::new();
            let mut entries = Vec::with_capacity(fields.len());
            for (key, value) in fields {
                if length > 0 {
                    path.push('.');
                }
                path.push_str(key);
                if !seen.insert(key) {
                    let error = format!("duplicate field {}", quote(path));
                    if strict.len() < MAX_STRICT_ERRORS && !strict.contains(&error) {
                        strict.push(error);
                    }
                }
                entries.push((key.to_string(), untyped_at(value, path, strict)));
                path.truncate(length);
            }
            Value::Object(sorted(entries))
        }
        other => other.to_value(),
    }
}
