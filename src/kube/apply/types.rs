//! The types of values as server-side apply sees them: scalars, lists and maps, and how each is merged.
//!
//! A view on the tables of [`crate::kube::schema`], as the release makes its own from OpenAPI. What has no type is
//! deduced: maps are merged, lists are replaced.

mod custom;

use serde_json::{Map, Value};

use self::custom::Custom;
use crate::kube::schema::{Field, Leaf, ListKind, ObjectType, Omit, Schema, Shape, TypeId};

/// The type of a value.
#[derive(Debug, Clone, Copy)]
pub struct Type<'s>(Node<'s>);

#[derive(Debug, Clone, Copy)]
enum Node<'s> {
    Object {
        schema: &'s Schema,
        id: TypeId,
        atomic: bool,
    },
    Shape {
        schema: &'s Schema,
        shape: &'s Shape,
        /// The field that has this shape: lists and maps are merged as it says.
        field: Option<&'s Field>,
    },
    Custom(Custom<'s>),
    /// Anything: maps are merged, lists are not.
    Deduced,
    /// Anything, as a whole.
    Atomic,
}

/// What a value is taken for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Atom<'s> {
    Map(MapType<'s>),
    Scalar(Scalar),
    List(ListType<'s>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    Numeric,
    String,
    Boolean,
    Untyped,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct ListType<'s> {
    pub(super) atomic: bool,
    /// Of an associative list; none for a set.
    pub(super) keys: &'s [Box<str>],
    pub(super) element: Type<'s>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct MapType<'s> {
    pub(super) atomic: bool,
    fields: Fields<'s>,
    /// Of what is not declared; none if nothing else may be there.
    element: Option<Type<'s>>,
}

/// What a map declares.
#[derive(Debug, Clone, Copy)]
enum Fields<'s> {
    None,
    Table(&'s Schema, &'s ObjectType),
    Custom(Custom<'s>),
}

impl<'s> Type<'s> {
    /// The type of an object of a table.
    pub fn of(schema: &'s Schema, id: TypeId) -> Self {
        let atomic = schema.get(id).atomic;
        Self(Node::Object { schema, id, atomic })
    }

    /// The type of what has none.
    pub fn deduced() -> Self {
        Self(Node::Deduced)
    }

    fn shaped(schema: &'s Schema, shape: &'s Shape, field: Option<&'s Field>) -> Self {
        Self(match shape {
            Shape::Object(id) => Node::Object {
                schema,
                id: *id,
                atomic: field.is_some_and(|field| field.atomic)
                    || schema.get(*id).atomic && !field.is_some_and(|field| field.granular),
            },
            // A JSON value of any form.
            Shape::Leaf(
                Leaf::Json
                | Leaf::SchemaOrBool
                | Leaf::SchemaOrArray
                | Leaf::SchemaOrStrings
                | Leaf::FieldsV1,
            ) => Node::Deduced,
            Shape::Leaf(Leaf::Raw) => Node::Atomic,
            shape => Node::Shape {
                schema,
                shape,
                field,
            },
        })
    }

    pub(super) fn map(self) -> Option<MapType<'s>> {
        match self.0 {
            Node::Object { schema, id, atomic } => {
                let of = schema.get(id);
                let element = of.flat.is_empty().then(Type::deduced);
                Some(MapType {
                    atomic,
                    fields: Fields::Table(schema, of),
                    element,
                })
            }
            Node::Shape {
                schema,
                shape: Shape::Map(element),
                field,
            } => Some(MapType {
                atomic: field.is_some_and(|field| field.atomic),
                fields: Fields::None,
                element: Some(Self::shaped(schema, element, None)),
            }),
            Node::Shape { .. } => None,
            Node::Custom(custom) => custom.map(),
            Node::Deduced => Some(MapType {
                atomic: false,
                fields: Fields::None,
                element: Some(Type::deduced()),
            }),
            Node::Atomic => Some(MapType {
                atomic: true,
                fields: Fields::None,
                element: Some(self),
            }),
        }
    }

    pub(super) fn list(self) -> Option<ListType<'s>> {
        match self.0 {
            Node::Object { .. } => None,
            Node::Shape {
                schema,
                shape: Shape::List(element) | Shape::Items(element),
                field,
            } => {
                let (atomic, keys) = match field.map(|field| &field.list) {
                    Some(ListKind::Set) => (false, &[] as &[_]),
                    Some(ListKind::Map(keys)) => (false, keys.as_slice()),
                    Some(ListKind::Atomic) | None => (true, &[] as &[_]),
                };
                Some(ListType {
                    atomic,
                    keys,
                    element: Self::shaped(schema, element, None),
                })
            }
            Node::Shape { .. } => None,
            Node::Custom(custom) => custom.list(),
            Node::Deduced | Node::Atomic => Some(ListType {
                atomic: true,
                keys: &[],
                element: Self(Node::Atomic),
            }),
        }
    }

    pub(super) fn scalar(self) -> Option<Scalar> {
        match self.0 {
            Node::Shape {
                shape: Shape::Leaf(leaf),
                ..
            } => Some(match leaf {
                Leaf::Bool => Scalar::Boolean,
                Leaf::Int32 | Leaf::Int64 | Leaf::Double => Scalar::Numeric,
                Leaf::String | Leaf::Bytes | Leaf::Duration => Scalar::String,
                _ => Scalar::Untyped,
            }),
            Node::Custom(custom) => custom.scalar(),
            Node::Deduced | Node::Atomic => Some(Scalar::Untyped),
            _ => None,
        }
    }

    /// What a value is taken for: what it is, if the type allows that, and the type's own form otherwise.
    pub(super) fn atom(self, value: Option<&Value>) -> Atom<'s> {
        let map = self.map().map(Atom::Map);
        let list = || self.list().map(Atom::List);
        let scalar = || self.scalar().map(Atom::Scalar);
        let exact = match value {
            Some(Value::Object(_)) => map,
            Some(Value::Array(_)) => list(),
            Some(Value::Null) | None => None,
            Some(_) => scalar(),
        };
        let own = exact.or(map).or_else(scalar).or_else(list);
        own.unwrap_or(Atom::Scalar(Scalar::Untyped))
    }

    /// Whether two values are taken for the same.
    pub(super) fn same_atom(self, one: &Value, other: &Value) -> bool {
        match self.0 {
            Node::Object { .. } | Node::Shape { .. } => true,
            Node::Custom(custom) if custom.is_typed() => true,
            Node::Custom(_) | Node::Deduced | Node::Atomic => {
                let form = |value: &Value| match value {
                    Value::Object(_) => 0,
                    Value::Array(_) => 1,
                    Value::Null => 2,
                    _ => 3,
                };
                form(one) == form(other)
            }
        }
    }

    /// Whether nothing is known about it but that maps are merged.
    pub(super) fn is_deduced(self) -> bool {
        matches!(self.0, Node::Deduced)
    }

    /// What Go's encoder writes for an object of this type in which nothing is set.
    pub(super) fn empty(self) -> Value {
        match self.0 {
            Node::Object { schema, id, .. } => empty_object(schema, schema.get(id)),
            _ => Map::new().into(),
        }
    }
}

fn empty_object(schema: &Schema, of: &ObjectType) -> Value {
    let field = |field: &Field| {
        let value = match &field.shape {
            _ if field.nullable => Value::Null,
            Shape::Object(id) => empty_object(schema, schema.get(*id)),
            Shape::List(_) | Shape::Map(_) | Shape::Items(_) => Value::Null,
            Shape::Leaf(leaf) => empty_leaf(*leaf),
        };
        // Structs by value are never empty to Go's encoder.
        let written = match field.omit {
            Omit::Never => true,
            Omit::Empty => {
                !field.nullable
                    && match &field.shape {
                        Shape::Object(_) => true,
                        Shape::Leaf(leaf) => is_struct(*leaf),
                        _ => false,
                    }
            }
            Omit::Zero => false,
        };
        written.then(|| (field.json.to_string(), value))
    };
    of.flat.iter().filter_map(field).collect()
}

fn is_struct(leaf: Leaf) -> bool {
    !matches!(
        leaf,
        Leaf::Bool | Leaf::Int32 | Leaf::Int64 | Leaf::Double | Leaf::String | Leaf::Bytes
    )
}

fn empty_leaf(leaf: Leaf) -> Value {
    match leaf {
        Leaf::Bool => false.into(),
        Leaf::Int32 | Leaf::Int64 | Leaf::Double | Leaf::IntOrString => 0.into(),
        Leaf::String => "".into(),
        Leaf::Quantity => "0".into(),
        Leaf::Duration => "0s".into(),
        _ => Value::Null,
    }
}

impl<'s> MapType<'s> {
    pub(super) fn declares(&self, name: &str) -> bool {
        match self.fields {
            Fields::None => false,
            Fields::Table(_, of) => of.field(name).is_some(),
            Fields::Custom(of) => of.declares(name),
        }
    }

    /// The type of an item; none if it may not be there.
    pub(super) fn item(&self, name: &str) -> Option<Type<'s>> {
        let declared = match self.fields {
            Fields::None => None,
            Fields::Table(schema, of) => of
                .field(name)
                .map(|field| Type::shaped(schema, &field.shape, Some(field))),
            Fields::Custom(of) => of.field(name),
        };
        declared.or(self.element)
    }

    /// The value that an item is taken to have where it is missing: for the keys of lists.
    pub(super) fn default_of(&self, name: &str) -> Option<Value> {
        match self.fields {
            Fields::None => None,
            Fields::Table(_, of) => default_of(of.field(name)?),
            Fields::Custom(of) => of.default_of(name),
        }
    }
}

fn default_of(field: &Field) -> Option<Value> {
    if let Some(default) = &field.default {
        return Some(default.clone());
    }
    // OpenAPI states the zero value for what is always written.
    match &field.shape {
        Shape::Leaf(leaf) if field.omit == Omit::Never && !field.nullable && !is_struct(*leaf) => {
            Some(empty_leaf(*leaf)).filter(|value| !value.is_null())
        }
        _ => None,
    }
}
