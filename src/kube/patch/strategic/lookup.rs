//! What the type says about a field: its own type and how a patch merges it.

use super::{Merged, Problem};
use crate::kube::schema::{Field, Leaf, Schema, Shape, TypeId};

/// The type of what is being merged.
#[derive(Clone, Copy)]
pub(super) struct Type<'s> {
    schema: &'s Schema,
    shape: Known<'s>,
}

#[derive(Clone, Copy)]
enum Known<'s> {
    Object(TypeId),
    Shape(&'s Shape),
}

/// How a field is merged.
pub(super) struct Strategy<'s> {
    field: Option<&'s Field>,
}

impl<'s> Strategy<'s> {
    pub(super) fn is_merge(&self) -> bool {
        self.patch().is_some_and(|patch| patch.merge)
    }

    pub(super) fn is_replace(&self) -> bool {
        self.patch().is_some_and(|patch| patch.replace)
    }

    /// `""` for lists that are merged as sets and for those that are not merged.
    pub(super) fn key(&self) -> &'s str {
        self.patch()
            .and_then(|patch| patch.key.as_deref())
            .unwrap_or_default()
    }

    fn patch(&self) -> Option<&'s crate::kube::schema::Patch> {
        self.field?.patch.as_ref()
    }
}

impl<'s> Type<'s> {
    pub(super) fn object(schema: &'s Schema, of: TypeId) -> Self {
        let shape = Known::Object(of);
        Self { schema, shape }
    }

    fn shaped(self, shape: &'s Shape) -> Self {
        let shape = match shape {
            Shape::Object(id) => Known::Object(*id),
            other => Known::Shape(other),
        };
        Self { shape, ..self }
    }

    /// The type of a field that holds a map.
    pub(super) fn field(self, name: &str) -> Merged<(Self, Strategy<'s>)> {
        let field = self.find(name)?;
        Ok((self.shaped(&field.shape), Strategy { field: Some(field) }))
    }

    /// The type of the elements of a field that holds a list.
    pub(super) fn list(self, name: &str) -> Merged<(Self, Strategy<'s>)> {
        let field = self.find(name)?;
        let element = match &field.shape {
            Shape::List(element) | Shape::Items(element) => element,
            // Holds any JSON, so also lists: replaced.
            Shape::Leaf(_) if field.nullable => {
                return Ok((self.shaped(&field.shape), Strategy { field: Some(field) }));
            }
            _ => {
                let kind = self.kind();
                return Err(Problem::Other(format!(
                    "expected slice or array type, but got: {kind}"
                )));
            }
        };
        if let Shape::List(_) | Shape::Items(_) = **element {
            return Err(Problem::Other("unexpected slice of slice".into()));
        }
        Ok((self.shaped(element), Strategy { field: Some(field) }))
    }

    fn find(self, name: &str) -> Merged<&'s Field> {
        let unknown = |of: &str| {
            Problem::Other(format!(
                "unable to find api field in struct {of} for the json field {name:?}"
            ))
        };
        match self.shape {
            Known::Object(id) => {
                let of = self.schema.get(id);
                let folded = || {
                    of.flat
                        .iter()
                        .find(|field| field.json.eq_ignore_ascii_case(name))
                };
                let field = of.field(name).or_else(folded);
                field.ok_or_else(|| unknown(of.short_name()))
            }
            Known::Shape(Shape::Leaf(leaf)) => match go_struct(*leaf) {
                Some(of) => Err(unknown(of)),
                None => Err(self.no_struct()),
            },
            Known::Shape(_) => Err(self.no_struct()),
        }
    }

    fn no_struct(self) -> Problem {
        let kind = self.kind();
        Problem::Other(format!(
            "merging an object in json but data type is not struct, instead is: {kind}"
        ))
    }

    /// Go's kind of the type.
    pub(super) fn kind(self) -> &'static str {
        match self.shape {
            Known::Object(_) | Known::Shape(Shape::Object(_)) => "struct",
            Known::Shape(Shape::Map(_)) => "map",
            Known::Shape(Shape::List(_) | Shape::Items(_)) => "slice",
            Known::Shape(Shape::Leaf(leaf)) => match leaf {
                Leaf::Bool => "bool",
                Leaf::Int32 => "int32",
                Leaf::Int64 => "int64",
                Leaf::Double => "float64",
                Leaf::String => "string",
                Leaf::Bytes => "slice",
                _ => "struct",
            },
        }
    }
}

/// The name of the Go struct behind a leaf that is one.
fn go_struct(leaf: Leaf) -> Option<&'static str> {
    Some(match leaf {
        Leaf::Quantity => "Quantity",
        Leaf::IntOrString => "IntOrString",
        Leaf::Time => "Time",
        Leaf::MicroTime => "MicroTime",
        Leaf::Duration => "Duration",
        Leaf::Raw => "RawExtension",
        Leaf::FieldsV1 => "FieldsV1",
        Leaf::Json => "JSON",
        Leaf::SchemaOrBool => "JSONSchemaPropsOrBool",
        Leaf::SchemaOrArray => "JSONSchemaPropsOrArray",
        Leaf::SchemaOrStrings => "JSONSchemaPropsOrStringArray",
        Leaf::Bool | Leaf::Int32 | Leaf::Int64 | Leaf::Double | Leaf::String | Leaf::Bytes => {
            return None;
        }
    })
}
