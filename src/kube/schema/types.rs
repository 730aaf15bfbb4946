//! Types of objects: fields with their JSON name, protobuf number, shape and merge rules.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::Value;

use super::parse::{self, TableError};

static BUILT_IN: LazyLock<Schema> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "part of the program; a test reads it")]
    parse::types(include_str!("types.txt")).expect("types.txt is well-formed")
});

/// Position of a type in its [`Schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TypeId(pub(super) u32);

/// The types of one release.
#[derive(Debug, Default)]
pub struct Schema {
    pub(super) types: Vec<ObjectType>,
    pub(super) by_name: HashMap<Box<str>, TypeId>,
}

impl Schema {
    /// The built-in types of [`super::RELEASE`].
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// Reads types in the format of `types.txt`.
    ///
    /// # Errors
    /// The line that cannot be read, or the name that nothing defines.
    pub fn parse(text: &str) -> Result<Self, TableError> {
        parse::types(text)
    }

    /// The type of an id that this schema gave out.
    #[expect(
        clippy::indexing_slicing,
        reason = "ids are made by parse alone, after the last type"
    )]
    pub fn get(&self, id: TypeId) -> &ObjectType {
        &self.types[id.0 as usize]
    }

    /// The type called `package/version.Name`, such as `core/v1.Pod`.
    pub fn find(&self, name: &str) -> Option<TypeId> {
        self.by_name.get(name).copied()
    }

    /// The type of a kind of an API group version: group `""` is core.
    pub fn kind(&self, group: &str, version: &str, kind: &str) -> Option<TypeId> {
        let package = match group {
            "" => "core",
            group => group.split('.').next().unwrap_or(group),
        };
        self.find(&format!("{package}/{version}.{kind}"))
    }

    /// Every type, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = (TypeId, &ObjectType)> {
        (0..).map(TypeId).zip(&self.types)
    }
}

/// A struct of the API.
#[derive(Debug)]
pub struct ObjectType {
    /// `package/version.Name`.
    pub name: Box<str>,
    /// As declared: an inline field stands for a message of its own in protobuf.
    pub fields: Vec<Field>,
    /// As in JSON: the fields of inline structs stand among the others, in Go's order.
    pub flat: Vec<Field>,
    pub(super) by_json: HashMap<Box<str>, usize>,
    /// By protobuf number, ascending.
    pub(super) by_number: Vec<Numbered>,
    /// Whether server-side apply replaces it as a whole (`x-kubernetes-map-type: atomic`).
    pub atomic: bool,
}

impl ObjectType {
    /// The field with this JSON name.
    pub fn field(&self, json: &str) -> Option<&Field> {
        self.flat.get(self.position(json)?)
    }

    /// The place in [`Self::flat`] of the field with this JSON name.
    pub fn position(&self, json: &str) -> Option<usize> {
        self.by_json.get(json).copied()
    }

    /// The fields that protobuf has, by ascending number.
    pub fn by_number(&self) -> &[Numbered] {
        &self.by_number
    }

    /// The part of the name behind the package: `Pod` of `core/v1.Pod`.
    pub fn short_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }
}

/// Where the field of a protobuf number stands.
#[derive(Debug, Clone, Copy)]
pub struct Numbered {
    pub number: u32,
    /// Its place in [`ObjectType::fields`].
    pub field: usize,
    /// The place in [`ObjectType::flat`] of it or, if it is inline, of the first field in it.
    pub flat: usize,
}

/// A field of a struct.
#[derive(Debug, Clone)]
pub struct Field {
    /// Name in JSON; empty for an inline struct.
    pub json: Box<str>,
    /// Number in protobuf; none for `kind` and `apiVersion`, which stand in the envelope.
    pub number: Option<u32>,
    pub shape: Shape,
    /// A Go pointer: its zero value is absence, and an empty struct behind it is written.
    pub nullable: bool,
    pub omit: Omit,
    pub inline: bool,
    /// How server-side apply merges it, if it is a list.
    pub list: ListKind,
    /// Whether the release states `list`; a list of which it says nothing is atomic, too.
    pub list_stated: bool,
    /// Whether server-side apply replaces the map or struct as a whole.
    pub atomic: bool,
    /// Whether it is merged field by field although its type is atomic.
    pub granular: bool,
    /// How a strategic merge patch merges it.
    pub patch: Option<Patch>,
    /// Its Go type, which errors of decoding name, where it does not follow from the shape: `v1.PullPolicy`.
    pub go: Option<Box<str>>,
    /// The default that OpenAPI states; most defaults are code (`kube::defaults`).
    pub default: Option<Value>,
    /// The values of an enum, for OpenAPI: what is refused is up to validation.
    pub values: Vec<Box<str>>,
    pub required: bool,
}

/// What stands in a field, a list or a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    Leaf(Leaf),
    Object(TypeId),
    List(Box<Shape>),
    /// Keys are strings.
    Map(Box<Shape>),
    /// A list in JSON that is a message with the repeated field 1 in protobuf.
    Items(Box<Shape>),
}

/// What has no fields that the tables know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaf {
    Bool,
    Int32,
    Int64,
    Double,
    String,
    /// Base64 in JSON.
    Bytes,
    /// `resource.Quantity`: a string (or a number when read) in JSON, `{1: string}` in protobuf.
    Quantity,
    /// `{1: type (0 int, 1 string), 2: int, 3: string}` in protobuf.
    IntOrString,
    /// RFC 3339 in whole seconds; `{1: seconds, 2: nanoseconds}` in protobuf.
    Time,
    /// RFC 3339 with six decimals.
    MicroTime,
    /// A Go duration string in JSON, `{1: nanoseconds}` in protobuf.
    Duration,
    /// Any object: `{1: its JSON bytes}` in protobuf.
    Raw,
    /// Field sets of managedFields: `{1: JSON bytes}` in protobuf.
    FieldsV1,
    /// `apiextensions.JSON`: any value, `{1: JSON bytes}` in protobuf.
    Json,
    /// A boolean or a schema: `{1: bool, 2: schema}`.
    SchemaOrBool,
    /// A schema or a list of them: `{1: schema, 2: schemas}`.
    SchemaOrArray,
    /// A schema or a list of strings: `{1: schema, 2: strings}`.
    SchemaOrStrings,
}

/// When Go's encoder leaves a field out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Omit {
    /// Never: a zero value is written (`{}`, `""`, `null` for lists, maps and pointers).
    Never,
    /// `omitempty`: false, 0, "", null and empty lists and maps; a struct by value is always written.
    Empty,
    /// `omitzero`: the zero value, an empty struct included.
    Zero,
}

/// `x-kubernetes-list-type`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListKind {
    Atomic,
    Set,
    /// An associative list, by these fields of its elements.
    Map(Vec<Box<str>>),
}

/// `patchStrategy` and `patchMergeKey`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// `merge`: elements are merged by `key`, or as a set without one.
    pub merge: bool,
    /// `replace` as a whole.
    pub replace: bool,
    /// `retainKeys`: what the patch does not name is cleared.
    pub retain_keys: bool,
    pub key: Option<Box<str>>,
}
