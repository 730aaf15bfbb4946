//! Taking fields out of a value.

use serde_json::{Map, Value};

use super::keys;
use super::path::Element;
use super::set::Set;
use super::types::{Atom, Type};

/// Without what is in the set. Lists and maps that are merged as a whole are left alone below the top: they are one field.
pub(super) fn remove(of: Type, value: &Value, set: &Set) -> Value {
    match (of.atom(Some(value)), value) {
        (Atom::Map(map), Value::Object(fields)) if !map.atomic && !fields.is_empty() => {
            let mut kept = Map::new();
            let mut had_some = false;
            for (name, item) in fields {
                let element = Element::field(name);
                if set.is_member(&element) {
                    continue;
                }
                let item = match (set.below(&element), map.item(name)) {
                    (Some(below), Some(of)) => {
                        had_some = true;
                        or_empty(remove(of, item, below), item)
                    }
                    _ => item.clone(),
                };
                kept.insert(name.clone(), item);
            }
            if kept.is_empty() && !had_some {
                Value::Null
            } else {
                kept.into()
            }
        }
        (Atom::List(list), Value::Array(items)) if !list.atomic && !items.is_empty() => {
            let mut kept = Vec::with_capacity(items.len());
            for item in items {
                let Ok(element) = keys::element(&list, item) else {
                    kept.push(item.clone());
                    continue;
                };
                if set.is_member(&element) {
                    continue;
                }
                kept.push(match set.below(&element) {
                    Some(below) => or_empty(remove(list.element, item, below), item),
                    None => item.clone(),
                });
            }
            if kept.is_empty() {
                Value::Null
            } else {
                kept.into()
            }
        }
        (Atom::Scalar(_), value) => value.clone(),
        _ => Value::Null,
    }
}

/// What was a list or a map stays one when all in it is gone.
fn or_empty(left: Value, was: &Value) -> Value {
    match (left, was) {
        (Value::Null, Value::Object(_)) => Map::new().into(),
        (Value::Null, Value::Array(_)) => Vec::<Value>::new().into(),
        (left, _) => left,
    }
}
