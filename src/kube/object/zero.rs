//! What Go's encoder writes of fields that are empty, and what it leaves out.

use serde_json::Value;

use super::leaf;
use crate::kube::schema::{Field, ObjectType, Omit, Schema, Shape, TypeId};

/// What Go's encoder writes of a field that holds `value`, or nothing; none if it is left out.
pub(super) fn written(
    schema: &Schema,
    of: &ObjectType,
    field: &Field,
    value: Option<Value>,
) -> Option<Value> {
    match value {
        value if field.nullable => value.or((field.omit == Omit::Never).then_some(Value::Null)),
        None => match field.omit {
            Omit::Never => Some(zero(schema, &field.shape)),
            Omit::Empty => always(&field.shape).then(|| zero(schema, &field.shape)),
            Omit::Zero => None,
        },
        Some(value) => {
            let kept = match field.omit {
                Omit::Never => true,
                Omit::Empty => always(&field.shape) || !empty(&value),
                Omit::Zero => value != zero(schema, &field.shape),
            };
            let bare = empty(&value)
                && matches!(
                    field.shape,
                    Shape::List(_) | Shape::Map(_) | Shape::Items(_)
                )
                && !keeps_empty(of, field);
            kept.then(|| if bare { Value::Null } else { value })
        }
    }
}

/// Whether an empty list is told apart from none. The release stores objects in protobuf, from which none comes back,
/// but for those of two groups; the elements of a list kind are made anew with every answer.
fn keeps_empty(of: &ObjectType, field: &Field) -> bool {
    of.name.starts_with("apiextensions/")
        || of.name.starts_with("apiregistration/")
        || &*field.json == "items"
}

/// Structs by value are never empty to Go's encoder, whatever is in them.
fn always(shape: &Shape) -> bool {
    match shape {
        Shape::Object(_) => true,
        Shape::Leaf(kind) => leaf::is_struct(*kind),
        Shape::List(_) | Shape::Map(_) | Shape::Items(_) => false,
    }
}

fn empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(it) => !it,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// What Go writes of a zero value.
pub(super) fn zero(schema: &Schema, shape: &Shape) -> Value {
    match shape {
        Shape::Object(id) => zero_object(schema, *id),
        Shape::List(_) | Shape::Map(_) | Shape::Items(_) => Value::Null,
        Shape::Leaf(kind) => leaf::zero(*kind),
    }
}

pub(super) fn zero_object(schema: &Schema, id: TypeId) -> Value {
    let of = schema.get(id);
    let fields = of.flat.iter();
    let fields = fields.filter_map(|field| {
        let value = written(schema, of, field, None)?;
        Some((field.json.to_string(), value))
    });
    Value::Object(fields.collect())
}
