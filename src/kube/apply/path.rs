//! Parts of paths into an object: fields, elements of associative lists and of sets, indexes.

use std::cmp::Ordering;
use std::fmt;

use serde_json::{Map, Value};

use super::value;

/// A step from a value to one in it.
#[derive(Debug, Clone)]
pub enum Element {
    /// A field of a struct or a key of a map.
    Field(Box<str>),
    /// An element of a list, by its keys; sorted by name.
    Key(Vec<(Box<str>, Value)>),
    /// An element of a set.
    Value(Value),
    Index(i64),
}

impl Element {
    pub(super) fn field(name: &str) -> Self {
        Self::Field(name.into())
    }

    pub(super) fn key(mut keys: Vec<(Box<str>, Value)>) -> Self {
        keys.sort_by(|one, other| one.0.cmp(&other.0));
        Self::Key(keys)
    }

    /// Reads `f:name`, `k:{"name":"x"}`, `v:1`, `i:0`; none for a kind that a later release may have made up.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(text: &str) -> Result<Option<Self>, String> {
        if text.len() < 2 {
            return Err("key must be 2 characters long:".into());
        }
        let json = |text: &str| serde_json::from_str(text).map_err(|error| error.to_string());
        let missing = || format!("missing colon: {text}");
        let (kind, rest) = text.split_at_checked(1).ok_or_else(missing)?;
        let rest = rest.strip_prefix(':').ok_or_else(missing)?;
        Ok(match kind {
            "f" => Some(Self::field(rest)),
            "v" => Some(Self::Value(json(rest)?)),
            "k" => {
                let keys: Map<String, Value> =
                    serde_json::from_str(rest).map_err(|error| error.to_string())?;
                let keys = keys.into_iter().map(|(name, value)| (name.into(), value));
                Some(Self::key(keys.collect()))
            }
            "i" => Some(Self::Index(
                rest.parse().map_err(|_| format!("no index: {rest}"))?,
            )),
            _ => None,
        })
    }

    /// The opposite of [`Self::read`].
    pub(super) fn written(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(keys) => {
                let key = |(name, value): &(Box<str>, Value)| {
                    format!("{}:{}", Value::from(&**name), value::go_json(value))
                };
                let keys: Vec<_> = keys.iter().map(key).collect();
                format!("k:{{{}}}", keys.join(","))
            }
            Self::Value(value) => format!("v:{}", value::go_json(value)),
            Self::Index(at) => format!("i:{at}"),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Field(_) => 0,
            Self::Key(_) => 1,
            Self::Value(_) => 2,
            Self::Index(_) => 3,
        }
    }
}

impl Ord for Element {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Field(one), Self::Field(other)) => one.cmp(other),
            (Self::Key(one), Self::Key(other)) => {
                let pairs = one.iter().zip(other).map(|(one, other)| {
                    one.0
                        .cmp(&other.0)
                        .then_with(|| value::order(&one.1, &other.1))
                });
                let mut pairs = pairs.filter(|ordering| ordering.is_ne());
                pairs.next().unwrap_or_else(|| one.len().cmp(&other.len()))
            }
            (Self::Value(one), Self::Value(other)) => value::order(one, other),
            (Self::Index(one), Self::Index(other)) => one.cmp(other),
            (one, other) => one.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Element {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Element {}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(keys) => {
                let keys = keys
                    .iter()
                    .map(|(name, value)| format!("{name}={}", value::print(value)));
                write!(f, "[{}]", keys.collect::<Vec<_>>().join(","))
            }
            Self::Value(value) => write!(f, "[={}]", value::print(value)),
            Self::Index(at) => write!(f, "[{at}]"),
        }
    }
}

/// A path as messages show it: `.spec.containers[name="a"].image`.
pub(super) fn print(path: &[Element]) -> String {
    path.iter().map(Element::to_string).collect()
}
