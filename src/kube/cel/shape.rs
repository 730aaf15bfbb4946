//! What JSON values are to expressions: types of data that is not copied, but looked at where it is.

use std::sync::Arc;

use base64::Engine as _;
use indexmap::IndexMap;
use serde_json::Value as Json;

use super::fault::Fault;
use super::time::Time;
use super::types::Type;
use super::value::{List, Map, Text, Value};

/// A type of JSON values.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    pub kind: ShapeKind,
    /// Whether null is a value of it, and not an error.
    pub nullable: bool,
    /// Items, entries, or characters there are at most: estimates of costs begin here.
    pub max: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ShapeKind {
    /// Nothing is declared: the JSON says what it is.
    Dyn,
    /// A number without fraction, or a string.
    IntOrString,
    Bool,
    Int,
    Double,
    String,
    /// Base64.
    Bytes,
    Duration,
    /// `2020-01-02`.
    Date,
    DateTime,
    List {
        items: Arc<Shape>,
        order: ListOrder,
    },
    Map(Arc<Shape>),
    Object(Arc<ObjectShape>),
    /// Preserved without a type: expressions cannot reach it; it is compared only, within others.
    Opaque,
    /// What no value can be of.
    Broken(&'static str),
}

/// How items of a list count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListOrder {
    Atomic,
    /// Equal if the items are the same in any order; a sum has each once.
    Set,
    /// As a set, by the fields that are keys.
    Map(Arc<[Box<str>]>),
}

/// A structure with fields.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectShape {
    /// Types of expressions name it so.
    pub name: Arc<str>,
    /// By their names in JSON.
    pub fields: IndexMap<Box<str>, FieldShape>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FieldShape {
    /// The name in expressions; None if expressions cannot say it.
    pub escaped: Option<Box<str>>,
    pub shape: Arc<Shape>,
    /// Whether expressions may name it.
    pub exposed: bool,
}

impl Shape {
    pub fn new(kind: ShapeKind) -> Self {
        Self {
            kind,
            nullable: false,
            max: 0,
        }
    }

    /// JSON of which nothing is known.
    pub fn untyped() -> Self {
        Self {
            nullable: true,
            ..Self::new(ShapeKind::Dyn)
        }
    }

    /// The type that expressions see.
    pub fn of(&self) -> Type {
        match &self.kind {
            ShapeKind::Dyn | ShapeKind::IntOrString | ShapeKind::Opaque => Type::Dyn,
            ShapeKind::Broken(_) => Type::Dyn,
            ShapeKind::Bool => Type::Bool,
            ShapeKind::Int => Type::Int,
            ShapeKind::Double => Type::Double,
            ShapeKind::String => Type::String,
            ShapeKind::Bytes => Type::Bytes,
            ShapeKind::Duration => Type::Duration,
            ShapeKind::Date | ShapeKind::DateTime => Type::Timestamp,
            ShapeKind::List { items, .. } => Type::list(items.of()),
            ShapeKind::Map(values) => Type::map(Type::String, values.of()),
            ShapeKind::Object(object) => Type::Object(object.name.clone()),
        }
    }

    /// The value that a piece of JSON is.
    ///
    /// # Errors
    /// If it is not of the shape.
    pub(super) fn value<'a>(&'a self, json: &'a Json) -> Result<Value<'a>, Fault> {
        if json.is_null() {
            return if self.nullable {
                Ok(Value::Null)
            } else {
                Err(Fault::new(
                    "invalid data, got null for schema with nullable=false",
                ))
            };
        }
        match &self.kind {
            ShapeKind::Dyn => Ok(untyped(json)),
            ShapeKind::IntOrString => match json {
                Json::String(text) => Ok(Value::String(Text::Borrowed(text))),
                Json::Number(number) if number.is_i64() => Ok(untyped(json)),
                _ => Err(Fault::new(
                    "invalid data, expected XIntOrString value to be either a string or integer",
                )),
            },
            ShapeKind::Bool => match json {
                Json::Bool(yes) => Ok(Value::Bool(*yes)),
                _ => Err(wrong("bool", json)),
            },
            ShapeKind::Int => match json.as_i64() {
                Some(int) => Ok(Value::Int(int)),
                None => Err(wrong("int", json)),
            },
            ShapeKind::Double => match json.as_f64() {
                Some(double) => Ok(Value::Double(double)),
                None => Err(wrong("float", json)),
            },
            ShapeKind::String => text(json).map(|text| Value::String(Text::Borrowed(text))),
            ShapeKind::Bytes => {
                let text = text(json)?;
                let bytes = base64::engine::general_purpose::STANDARD.decode(text);
                bytes
                    .map(|bytes| Value::Bytes(bytes.into()))
                    .map_err(|error| {
                        Fault::new(format!("Invalid byte formatted string {text}: {error}"))
                    })
            }
            ShapeKind::Duration => {
                let text = text(json)?;
                let nanos = super::time::formatted_duration(text);
                nanos
                    .map(Value::Duration)
                    .map_err(|error| Fault::new(format!("Invalid duration {text}: {error}")))
            }
            ShapeKind::Date => {
                let text = text(json)?;
                let time = Time::date(text);
                time.map(Value::Timestamp).map_err(|error| {
                    Fault::new(format!("Invalid date formatted string {text}: {error}"))
                })
            }
            ShapeKind::DateTime => {
                let text = text(json)?;
                let time = Time::formatted(text);
                time.map(Value::Timestamp).map_err(|error| {
                    Fault::new(format!(
                        "Invalid date-time formatted string {text}: {error}"
                    ))
                })
            }
            ShapeKind::List { items, order } => match json {
                Json::Array(found) => Ok(Value::List(List::json(found, items, order))),
                _ => Err(Fault::new(
                    "invalid data, expected an array for the provided schema with type=array",
                )),
            },
            ShapeKind::Map(_) | ShapeKind::Object(_) => match json {
                Json::Object(fields) => Ok(Value::Map(Map::Json {
                    fields,
                    shape: self,
                })),
                _ => Err(Fault::new(
                    "invalid data, expected a map for the provided schema with type=object",
                )),
            },
            ShapeKind::Opaque => Ok(Value::Opaque(json)),
            ShapeKind::Broken(message) => Err(Fault::new(*message)),
        }
    }
}

fn text(json: &Json) -> Result<&str, Fault> {
    json.as_str().ok_or_else(|| wrong("string", json))
}

/// Names Go's types, as upstream's message does.
fn wrong(wanted: &str, json: &Json) -> Fault {
    let found = match json {
        Json::Null => "<nil>",
        Json::Bool(_) => "bool",
        Json::Number(number) if number.is_i64() => "int64",
        Json::Number(_) => "float64",
        Json::String(_) => "string",
        Json::Array(_) => "[]interface {}",
        Json::Object(_) => "map[string]interface {}",
    };
    Fault::new(format!("invalid data, expected {wanted}, got {found}"))
}

/// What JSON says itself.
pub(super) fn untyped(json: &Json) -> Value<'_> {
    match json {
        Json::Null => Value::Null,
        Json::Bool(yes) => Value::Bool(*yes),
        Json::Number(number) => match number.as_i64() {
            Some(int) => Value::Int(int),
            None => Value::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::String(Text::Borrowed(text)),
        Json::Array(items) => Value::List(List::untyped(items)),
        Json::Object(fields) => Value::Map(Map::Untyped(fields)),
    }
}
