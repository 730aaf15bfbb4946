//! From structural schemas to what expressions see of values.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::kube::cel::{FieldShape, ListOrder, ObjectShape, Shape, ShapeKind, names};
use crate::kube::custom::structural::{Additional, ListType, SchemaType, Structural};

/// The largest request there is, in bytes: sizes that no schema bounds are bounded by it.
pub(super) const MAX_REQUEST: i64 = 3 * 1024 * 1024;

/// What one node of a schema is to expressions.
#[derive(Debug, Clone)]
pub(super) struct Declared {
    pub(super) shape: Arc<Shape>,
    /// Whether expressions may name values of it.
    pub(super) exposed: bool,
    /// The least that a value takes as JSON, in bytes.
    pub(super) least: i64,
}

fn declared(kind: ShapeKind, nullable: bool, exposed: bool, max: i64, least: i64) -> Declared {
    let shape = Shape {
        kind,
        nullable,
        max: u64::try_from(max).unwrap_or(0),
    };
    Declared {
        shape: Arc::new(shape),
        exposed,
        least,
    }
}

/// Declares a node and all below it. `name` is what types are called; a root has metadata, said or not.
pub(super) fn declare(node: &Structural, root: bool, name: &str) -> Declared {
    let nullable = node.nullable;
    if node.int_or_string {
        let max = node.checks.max_length.map_or(MAX_REQUEST - 2, four_bytes);
        return declared(ShapeKind::IntOrString, nullable, true, max, 1);
    }
    match node.of {
        Some(SchemaType::Object) => object(node, root, name),
        Some(SchemaType::Array) => list(node, name),
        Some(SchemaType::String) => string(node),
        Some(SchemaType::Boolean) => declared(ShapeKind::Bool, nullable, true, 0, 4),
        Some(SchemaType::Integer) => declared(ShapeKind::Int, nullable, true, 0, 1),
        Some(SchemaType::Number) => declared(ShapeKind::Double, nullable, true, 0, 1),
        None if node.preserve_unknown => declared(ShapeKind::Opaque, nullable, false, 0, 0),
        None => {
            let kind = ShapeKind::Broken(
                "invalid type, expected object, array, number, integer, boolean or string, or no type with \
                 x-kubernetes-int-or-string or x-kubernetes-preserve-unknown-fields is true, got ",
            );
            declared(kind, nullable, false, 0, 0)
        }
    }
}

/// Characters may have four bytes.
fn four_bytes(length: i64) -> i64 {
    length.max(0).saturating_mul(4)
}

fn string(node: &Structural) -> Declared {
    let length = node.checks.max_length;
    let (kind, max, least) = match node.checks.format.as_str() {
        "byte" => (
            ShapeKind::Bytes,
            length.map_or(MAX_REQUEST - 2, |length| length.max(0)),
            2,
        ),
        "duration" => (ShapeKind::Duration, 32, 3),
        "date" => (ShapeKind::Date, 12, 12),
        "date-time" => (ShapeKind::DateTime, 32, 21),
        _ => {
            let values = node.checks.enumeration.iter();
            let longest = values
                .filter_map(|value| value.as_str())
                .map(str::len)
                .max();
            let longest = longest.and_then(|longest| i64::try_from(longest).ok());
            let unsaid = if node.checks.enumeration.is_empty() {
                MAX_REQUEST - 2
            } else {
                longest.unwrap_or(0)
            };
            (ShapeKind::String, length.map_or(unsaid, four_bytes), 2)
        }
    };
    declared(kind, node.nullable, true, max, least)
}

fn list(node: &Structural, name: &str) -> Declared {
    let Some(items) = &node.items else {
        let kind = ShapeKind::Broken("invalid array type, expected Items with a non-empty Schema");
        return declared(kind, node.nullable, false, 0, 2);
    };
    let items = declare(items, items.embedded, &format!("{name}.@idx"));
    let order = match node.list_type {
        None | Some(ListType::Atomic) => ListOrder::Atomic,
        Some(ListType::Set) => ListOrder::Set,
        Some(ListType::Map) => ListOrder::Map(node.list_map_keys.clone().into()),
    };
    let most = (MAX_REQUEST - 2) / (items.least + 1);
    let max = node.checks.max_items.map_or(most, |max| max.max(0));
    let kind = ShapeKind::List {
        items: items.shape,
        order,
    };
    declared(kind, node.nullable, items.exposed, max, 2)
}

fn object(node: &Structural, root: bool, name: &str) -> Declared {
    let plain = node.properties.is_empty() && !root && !node.embedded;
    if let (Additional::Of(values), true) = (&node.additional, plain) {
        let values = declare(values, values.embedded, &format!("{name}.@elem"));
        let most = (MAX_REQUEST - 2) / (values.least + 6);
        let max = node.checks.max_properties.map_or(most, |max| max.max(0));
        return declared(
            ShapeKind::Map(values.shape),
            node.nullable,
            values.exposed,
            max,
            2,
        );
    }
    let mut fields = IndexMap::new();
    let mut least: i64 = 2;
    let completed = root.then(|| with_metadata(&node.properties)).flatten();
    for (key, property) in completed.as_ref().unwrap_or(&node.properties) {
        let escaped = names::escape(key);
        let below = format!("{name}.{}", escaped.as_deref().unwrap_or(key));
        let field = declare(property, property.embedded, &below);
        if field.exposed && property.default.is_none() && node.checks.required.contains(key) {
            let length = i64::try_from(key.len()).unwrap_or(0);
            least = least.saturating_add(length + field.least + 4);
        }
        let shape = FieldShape {
            exposed: field.exposed && escaped.is_some(),
            escaped: escaped.map(String::into_boxed_str),
            shape: field.shape,
        };
        fields.insert(key.clone(), shape);
    }
    let object = ObjectShape {
        name: name.into(),
        fields,
    };
    declared(
        ShapeKind::Object(Arc::new(object)),
        node.nullable,
        true,
        0,
        least,
    )
}

fn typed(of: SchemaType) -> Structural {
    Structural {
        of: Some(of),
        ..Structural::default()
    }
}

/// Properties with those that every resource has; None if they are said already.
fn with_metadata(
    properties: &IndexMap<Box<str>, Structural>,
) -> Option<IndexMap<Box<str>, Structural>> {
    let is = |found: Option<&Structural>, of| found.is_some_and(|found| found.of == Some(of));
    let metadata = properties.get("metadata");
    let inner = |key: &str| metadata.and_then(|metadata| metadata.properties.get(key));
    let complete = is(properties.get("kind"), SchemaType::String)
        && is(properties.get("apiVersion"), SchemaType::String)
        && is(metadata, SchemaType::Object)
        && is(inner("name"), SchemaType::String)
        && is(inner("generateName"), SchemaType::String);
    if complete {
        return None;
    }
    let mut all = properties.clone();
    for key in ["apiVersion", "kind"] {
        all.insert(key.into(), typed(SchemaType::String));
    }
    let mut metadata = typed(SchemaType::Object);
    for key in ["generateName", "name"] {
        metadata
            .properties
            .insert(key.into(), typed(SchemaType::String));
    }
    all.insert("metadata".into(), metadata);
    Some(all)
}
