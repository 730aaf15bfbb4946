//! The types of custom resources: a view on their schema, as the release makes its own from the OpenAPI of a definition.

use serde_json::Value;

use super::{Fields, ListType, MapType, Node, Scalar, Type};
use crate::kube::custom::structural::{self, Additional, SchemaType, Structural};
use crate::kube::custom::{Definition, Version};
use crate::kube::schema::{Leaf, Schema, Shape};

/// Of `kind` and `apiVersion`.
static TEXT: Shape = Shape::Leaf(Leaf::String);

impl<'s> Type<'s> {
    /// The type of the objects of a custom resource.
    pub fn custom(definition: &'s Definition, version: &'s Version) -> Self {
        let Some(of) = version.schema.as_deref() else {
            return Self::deduced();
        };
        Self(Node::Custom(Custom {
            of,
            preserve: definition.preserve_unknown || of.preserve_unknown,
            whole: true,
        }))
    }
}

/// A node of a custom resource's schema.
#[derive(Debug, Clone, Copy)]
pub(super) struct Custom<'s> {
    of: &'s Structural,
    /// Whether it or a node above keeps fields that it does not name.
    preserve: bool,
    /// Whether it is an object of its own, with kind and metadata.
    whole: bool,
}

impl<'s> Custom<'s> {
    fn below(self, of: &'s Structural) -> Type<'s> {
        Type(Node::Custom(Self {
            of,
            preserve: self.preserve || of.preserve_unknown,
            whole: of.embedded,
        }))
    }

    pub(super) fn declares(self, name: &str) -> bool {
        let own = self.whole && matches!(name, "kind" | "apiVersion" | "metadata");
        own || self.of.properties.contains_key(name)
    }

    pub(super) fn field(self, name: &str) -> Option<Type<'s>> {
        let schema = Schema::built_in();
        match name {
            "kind" | "apiVersion" if self.whole => Some(Type::shaped(schema, &TEXT, None)),
            "metadata" if self.whole => {
                let metadata = schema.find("meta/v1.ObjectMeta");
                Some(metadata.map_or_else(Type::deduced, |id| Type::of(schema, id)))
            }
            name => self.of.properties.get(name).map(|of| self.below(of)),
        }
    }

    /// The type of fields that are not named; none if they may not be there.
    fn element(self) -> Option<Type<'s>> {
        let named = self.whole || !self.of.properties.is_empty();
        match &self.of.additional {
            Additional::Of(of) => Some(self.below(of)),
            Additional::Allowed(yes) => yes.then(Type::deduced),
            Additional::Unsaid => (self.preserve || !named).then(Type::deduced),
        }
    }

    pub(super) fn map(self) -> Option<MapType<'s>> {
        self.may_be(SchemaType::Object).then(|| MapType {
            atomic: self.of.map_type == Some(structural::MapType::Atomic),
            fields: Fields::Custom(self),
            element: self.element(),
        })
    }

    pub(super) fn list(self) -> Option<ListType<'s>> {
        use structural::ListType as Of;
        if !self.may_be(SchemaType::Array) {
            return None;
        }
        let (atomic, keys) = match self.of.list_type {
            Some(Of::Set) => (false, &[] as &[_]),
            Some(Of::Map) => (false, self.of.list_map_keys.as_slice()),
            Some(Of::Atomic) | None => (true, &[] as &[_]),
        };
        let items = self.of.items.as_deref();
        Some(ListType {
            atomic,
            keys,
            element: items.map_or(Type(Node::Atomic), |of| self.below(of)),
        })
    }

    pub(super) fn scalar(self) -> Option<Scalar> {
        match self.of.of {
            None => Some(Scalar::Untyped),
            Some(SchemaType::Boolean) => Some(Scalar::Boolean),
            Some(SchemaType::Integer | SchemaType::Number) => Some(Scalar::Numeric),
            Some(SchemaType::String) => match self.of.checks.format.as_str() {
                "" | "byte" => Some(Scalar::String),
                _ => Some(Scalar::Untyped),
            },
            Some(SchemaType::Object | SchemaType::Array) => None,
        }
    }

    /// Whether a type is named.
    pub(super) fn is_typed(self) -> bool {
        self.of.of.is_some()
    }

    /// What stands for a field that is absent.
    pub(super) fn default_of(self, name: &str) -> Option<Value> {
        self.of.properties.get(name)?.default.clone()
    }

    /// Whether it is of this type or of any.
    fn may_be(self, of: SchemaType) -> bool {
        self.of.of.is_none_or(|own| own == of)
    }
}
