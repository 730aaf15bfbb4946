//! One node of a structural schema.

use indexmap::IndexMap;
use serde_json::{Number, Value};

/// What a value is and may be: one node of a schema and everything below it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Structural {
    /// None where anything may stand, as with `x-kubernetes-int-or-string` or preserved fields.
    pub of: Option<SchemaType>,
    pub title: String,
    pub description: String,
    pub nullable: bool,
    /// `x-kubernetes-int-or-string`.
    pub int_or_string: bool,
    /// `x-kubernetes-preserve-unknown-fields`.
    pub preserve_unknown: bool,
    /// `x-kubernetes-embedded-resource`.
    pub embedded: bool,
    /// Fields of an object, sorted by name.
    pub properties: IndexMap<Box<str>, Structural>,
    /// `additionalProperties`.
    pub additional: Additional,
    /// Of an array.
    pub items: Option<Box<Structural>>,
    /// What stands for a value that is absent; JSON, never null unless the node is nullable.
    pub default: Option<Value>,
    /// `x-kubernetes-list-type`.
    pub list_type: Option<ListType>,
    /// `x-kubernetes-list-map-keys`.
    pub list_map_keys: Vec<Box<str>>,
    /// `x-kubernetes-map-type`.
    pub map_type: Option<MapType>,
    /// `x-kubernetes-validations`.
    pub rules: Vec<Rule>,
    /// What the value must hold to beyond its type.
    pub checks: Checks,
    /// `allOf` and its kin.
    pub junctions: Junctions,
}

/// The `type` of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaType {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

/// What fields there may be beside those that are named.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Additional {
    /// Nothing is said: they are pruned.
    #[default]
    Unsaid,
    /// `true` or `false`.
    Allowed(bool),
    /// Each is of this type: the object is a map.
    Of(Box<Structural>),
}

/// How the items of a list are told apart; see the API conventions on merge strategies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListType {
    Atomic,
    Set,
    Map,
}

/// Whether an object is managed field by field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapType {
    Atomic,
    Granular,
}

/// A rule in CEL, `x-kubernetes-validations`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    pub rule: String,
    pub message: String,
    pub message_expression: String,
    /// `FieldValueInvalid` if it is empty.
    pub reason: String,
    /// A path below the node, `.spec.x`, that the error is told of.
    pub field_path: String,
    /// Whether `oldSelf` is an optional, and the rule runs without an old value too.
    pub optional_old_self: Option<bool>,
}

/// Value validations of one node, in the names of JSON Schema. Lengths count characters.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Checks {
    pub format: String,
    pub maximum: Option<Number>,
    pub exclusive_maximum: bool,
    pub minimum: Option<Number>,
    pub exclusive_minimum: bool,
    pub multiple_of: Option<Number>,
    pub max_length: Option<i64>,
    pub min_length: Option<i64>,
    pub pattern: String,
    pub max_items: Option<i64>,
    pub min_items: Option<i64>,
    pub unique_items: bool,
    pub max_properties: Option<i64>,
    pub min_properties: Option<i64>,
    pub required: Vec<Box<str>>,
    pub enumeration: Vec<Value>,
}

/// Schemas that are put together. They have no types of their own, only checks, and fields and items with more of
/// them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Junctions {
    pub all_of: Vec<Structural>,
    pub any_of: Vec<Structural>,
    pub one_of: Vec<Structural>,
    pub not: Option<Box<Structural>>,
}
