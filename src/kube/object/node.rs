//! A document as it was written: numbers as their digits, fields in their order, duplicates kept.
//!
//! Everything that decodes into a typed object walks this tree, be it made of JSON text, of YAML or of a
//! tree that is a [`Value`] already.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

/// How deep lists and objects may lie in one another. Go stops at 10,000; what is stored here must be
/// read back by recursive decoders, whose own limit is 128.
pub const MAX_DEPTH: usize = 120;

/// A part of a document.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node<'a> {
    Null,
    Bool(bool),
    /// As written.
    Number(Cow<'a, str>),
    String(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl<'a> Node<'a> {
    /// None if the tree is deeper than [`MAX_DEPTH`].
    pub(super) fn of(value: &'a Value) -> Option<Self> {
        Self::below(value, MAX_DEPTH)
    }

    fn below(value: &'a Value, depth: usize) -> Option<Self> {
        Some(match value {
            Value::Null => Node::Null,
            Value::Bool(it) => Node::Bool(*it),
            Value::Number(number) => Node::Number(number.to_string().into()),
            Value::String(text) => Node::String(text.into()),
            Value::Array(items) => {
                let depth = depth.checked_sub(1)?;
                let items = items.iter().map(|item| Self::below(item, depth));
                Node::List(items.collect::<Option<_>>()?)
            }
            Value::Object(fields) => {
                let depth = depth.checked_sub(1)?;
                let fields = fields
                    .iter()
                    .map(|(key, value)| Some((key.into(), Self::below(value, depth)?)));
                Node::Object(fields.collect::<Option<_>>()?)
            }
        })
    }

    /// The tree as it stands; of duplicates the last counts.
    pub(super) fn to_value(&self) -> Value {
        match self {
            Node::Null => Value::Null,
            Node::Bool(it) => Value::Bool(*it),
            Node::Number(digits) => number(digits),
            Node::String(text) => Value::String(text.to_string()),
            Node::List(items) => items.iter().map(Node::to_value).collect(),
            Node::Object(fields) => {
                let fields = fields
                    .iter()
                    .map(|(key, value)| (key.to_string(), value.to_value()));
                Value::Object(fields.collect())
            }
        }
    }

    /// The value of a field; of duplicates the last counts.
    pub(super) fn get(&self, name: &str) -> Option<&Node<'a>> {
        match self {
            Node::Object(fields) => {
                let found = fields.iter().rev().find(|(key, _)| key == name);
                found.map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// What Go's decoder calls it when it stands where something else should.
    pub(super) fn said(&self) -> &'static str {
        match self {
            Node::Null => "null",
            Node::Bool(_) => "bool",
            Node::Number(_) => "number",
            Node::String(_) => "string",
            Node::List(_) => "array",
            Node::Object(_) => "object",
        }
    }
}

/// Digits as Go keeps them apart: an `int64` if they are one, a `float64` otherwise.
pub(super) fn number(digits: &str) -> Value {
    if let Ok(integer) = digits.parse::<i64>() {
        return integer.into();
    }
    if let Ok(integer) = digits.parse::<u64>() {
        return integer.into();
    }
    let float = digits.parse().ok().and_then(Number::from_f64);
    float.map_or(Value::Null, Value::Number)
}

/// Sorted by name, as Go writes maps.
pub(super) fn sorted(mut fields: Vec<(String, Value)>) -> Map<String, Value> {
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    fields.into_iter().collect()
}
