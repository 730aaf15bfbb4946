//! Types and embedded structs as Go's decoder names them in its errors.

use super::leaf;
use crate::kube::schema::{ObjectType, Schema, Shape};

/// The names of the inline structs that a field lies in, innermost first.
pub(super) fn inlines<'s>(schema: &'s Schema, of: &'s ObjectType, name: &str) -> Vec<&'s str> {
    if matches!(name, "kind" | "apiVersion")
        && of
            .fields
            .first()
            .is_some_and(|field| &*field.json == "kind" && field.number.is_none())
    {
        return vec!["TypeMeta"];
    }
    for field in of.fields.iter().filter(|field| field.inline) {
        let Shape::Object(id) = field.shape else {
            continue;
        };
        let inner = schema.get(id);
        if inner.position(name).is_some() {
            let mut path = inlines(schema, inner, name);
            path.push(inner.short_name());
            return path;
        }
    }
    Vec::new()
}

/// A type as Go's reflection prints it.
pub(super) fn go_type(schema: &Schema, shape: &Shape) -> String {
    match shape {
        Shape::Leaf(kind) => leaf::go_type(*kind).to_owned(),
        Shape::Object(id) => {
            let of = schema.get(*id);
            let version = of.name.split(['/', '.']).nth(1).unwrap_or("v1");
            format!("{version}.{}", of.short_name())
        }
        Shape::List(inner) | Shape::Items(inner) => format!("[]{}", go_type(schema, inner)),
        Shape::Map(inner) => format!("map[string]{}", go_type(schema, inner)),
    }
}
