//! The schemas of what has no fields.

use serde_json::{Map, Value, json};

use super::super::schema::Leaf;
use super::descriptions;

/// A value without a definition of its own.
pub(super) fn plain(leaf: Leaf) -> Value {
    match leaf {
        Leaf::Bool => json!({"type": "boolean"}),
        Leaf::Int32 => json!({"type": "integer", "format": "int32"}),
        Leaf::Int64 => json!({"type": "integer", "format": "int64"}),
        Leaf::Double => json!({"type": "number", "format": "double"}),
        Leaf::Bytes => json!({"type": "string", "format": "byte"}),
        _ => json!({"type": "string"}),
    }
}

/// The definition of a leaf that has one.
pub(super) fn described(name: &str, leaf: Leaf) -> Value {
    let mut definition = Map::new();
    if let Some(text) = descriptions::of_type(name) {
        definition.insert("description".into(), text.into());
    }
    let shape = match leaf {
        Leaf::Quantity => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
        Leaf::IntOrString => {
            json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]})
        }
        Leaf::Time | Leaf::MicroTime => json!({"type": "string", "format": "date-time"}),
        Leaf::Duration => json!({"type": "string"}),
        Leaf::Raw | Leaf::FieldsV1 => json!({"type": "object"}),
        // Anything.
        _ => json!({}),
    };
    if let Value::Object(shape) = shape {
        definition.extend(shape);
    }
    definition.into()
}
