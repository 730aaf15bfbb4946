//! Values as the release's internal types print them: they have no JSON names, so fields are called as in Go, and
//! all are written.

use serde_json::{Map, Value};

use super::cursor::shown as json;
use crate::kube::schema::{Leaf, Schema, Shape, TypeId};

/// A value of a type, called as in the tables. Near enough for the small structs that messages show: an internal
/// type may have its fields in another order, or others.
pub(super) fn shown(of: &str, value: &Value) -> String {
    match Schema::built_in().find(of) {
        Some(id) => json(&object(id, value)),
        None => json(value),
    }
}

/// A list of them.
pub(super) fn shown_list(of: &str, list: &Value) -> String {
    match list.as_array() {
        Some(items) => {
            let items: Vec<String> = items.iter().map(|item| shown(of, item)).collect();
            format!("[{}]", items.join(","))
        }
        None => json(list),
    }
}

fn object(id: TypeId, value: &Value) -> Value {
    let mut map = Map::new();
    for field in &Schema::built_in().get(id).flat {
        let inner = value.get(&*field.json).unwrap_or(&Value::Null);
        let written = convert(&field.shape, field.nullable, inner);
        map.insert(go_name(&field.json), written);
    }
    map.into()
}

fn convert(shape: &Shape, pointer: bool, value: &Value) -> Value {
    match (shape, value) {
        // Metadata's own types keep their JSON names.
        (Shape::Object(id), value) if is_meta(*id) => value.clone(),
        (Shape::Object(_), Value::Null) if pointer => Value::Null,
        (Shape::Object(id), value) => object(*id, value),
        (Shape::List(inner) | Shape::Items(inner), Value::Array(items)) => items
            .iter()
            .map(|item| convert(inner, false, item))
            .collect(),
        (Shape::Leaf(leaf), Value::Null) if !pointer => match leaf {
            Leaf::Bool => false.into(),
            Leaf::Int32 | Leaf::Int64 | Leaf::IntOrString => 0.into(),
            Leaf::String => "".into(),
            Leaf::Quantity => "0".into(),
            _ => Value::Null,
        },
        (_, value) => value.clone(),
    }
}

fn is_meta(id: TypeId) -> bool {
    Schema::built_in().get(id).name.starts_with("meta/")
}

fn go_name(json: &str) -> String {
    for (of, go) in [
        ("apiGroup", "APIGroup"),
        ("apiGroups", "APIGroups"),
        ("apiVersion", "APIVersion"),
        ("seLinuxOptions", "SELinuxOptions"),
        ("uid", "UID"),
        ("ip", "IP"),
        ("nonResourceURLs", "NonResourceURLs"),
    ] {
        if json == of {
            return go.into();
        }
    }
    let mut letters = json.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}
