//! Which values are equal, and which comes first.

use std::cmp::Ordering;

use serde_json::Value as Json;

use super::fault::Fault;
use super::fuel;
use super::shape::{ListOrder, ShapeKind, untyped};
use super::value::{List, Map, Order, Value};

/// `one == other`.
///
/// # Errors
/// Where a schema's values are compared with something of another kind.
pub(super) fn equal(one: &Value<'_>, other: &Value<'_>) -> Result<bool, Fault> {
    match (one, other) {
        (Value::Null, _) | (_, Value::Null) => {
            Ok(matches!((one, other), (Value::Null, Value::Null)))
        }
        _ => same(one, other),
    }
}

fn same(one: &Value<'_>, other: &Value<'_>) -> Result<bool, Fault> {
    if !fuel::burn() {
        return Err(Fault::Cancelled);
    }
    Ok(match (one, other) {
        (Value::Bool(one), Value::Bool(other)) => one == other,
        (
            Value::Int(_) | Value::Uint(_) | Value::Double(_),
            Value::Int(_) | Value::Uint(_) | Value::Double(_),
        ) => numbers(one, other) == Some(Ordering::Equal),
        (Value::String(one), Value::String(other)) => **one == **other,
        (Value::Bytes(one), Value::Bytes(other)) => one == other,
        (Value::Duration(one), Value::Duration(other)) => one == other,
        (Value::Timestamp(one), Value::Timestamp(other)) => one == other,
        (Value::Type(one), Value::Type(other)) => one.name() == other.name(),
        (Value::Optional(one), Value::Optional(other)) => match (one, other) {
            (Some(one), Some(other)) => return same(one, other),
            (None, None) => true,
            _ => false,
        },
        (Value::List(one), Value::List(other)) => return lists(one, other),
        (Value::Map(one), Value::Map(other)) => return maps(one, other),
        (Value::Quantity(one), Value::Quantity(other)) => one.compare(other) == Ordering::Equal,
        (Value::Url(one), Value::Url(other)) => one.text == other.text,
        (Value::Semver(one), Value::Semver(other)) => one.compare(other) == Ordering::Equal,
        (Value::Format(one), Value::Format(other)) => one.name == other.name,
        (Value::Ip(one), Value::Ip(other)) => one == other,
        (Value::Cidr(one), Value::Cidr(other)) => one == other,
        (Value::Opaque(one), other) => match other {
            Value::Opaque(other) => one == other,
            other => return same(&untyped(one), other),
        },
        (
            Value::Quantity(_)
            | Value::Url(_)
            | Value::Semver(_)
            | Value::Format(_)
            | Value::Ip(_)
            | Value::Cidr(_)
            | Value::Map(Map::Json { .. }),
            _,
        ) => return Err(Fault::overload()),
        (Value::List(list), _) if matches!(list.order, Order::Of(_)) => {
            return Err(Fault::overload());
        }
        _ => false,
    })
}

fn lists(one: &List<'_>, other: &List<'_>) -> Result<bool, Fault> {
    if one.len() != other.len() {
        return Ok(false);
    }
    match one.order {
        Order::Of(ListOrder::Set) => {
            let items = one.values()?;
            for item in other.iter() {
                if !has(&items, &item?)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Order::Of(ListOrder::Map(keys)) => {
            let items = one.values()?;
            for item in other.iter() {
                let item = item?;
                let key = composite(&item, keys);
                let Some(mine) = items.iter().rev().find(|mine| composite(mine, keys) == key)
                else {
                    return Ok(false);
                };
                if !same(mine, &item)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Order::Of(ListOrder::Atomic) => pairs(one, other, same),
        Order::Made => pairs(one, other, |one, other| {
            match equal(one, other) {
                Err(Fault::Cancelled) => Err(Fault::Cancelled),
                // Only what is surely different counts.
                same => Ok(same.unwrap_or(true)),
            }
        }),
    }
}

fn pairs(
    one: &List<'_>,
    other: &List<'_>,
    equal: impl Fn(&Value<'_>, &Value<'_>) -> Result<bool, Fault>,
) -> Result<bool, Fault> {
    for (one, other) in one.iter().zip(other.iter()) {
        if !equal(&one?, &other?)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn has(items: &[Value<'_>], item: &Value<'_>) -> Result<bool, Fault> {
    for one in items {
        if equal(one, item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The fields of an item that are keys, as JSON text.
pub(super) fn composite(item: &Value<'_>, keys: &[Box<str>]) -> Option<Vec<String>> {
    let Value::Map(map) = item else {
        return None;
    };
    let key = |key: &str| match map {
        Map::Json { fields, .. } | Map::Untyped(fields) => {
            fields.get(key).map(Json::to_string).unwrap_or_default()
        }
        Map::Made(_) => {
            let found = map.find(&Value::text(key)).ok().flatten();
            found.map(|value| value.shown()).unwrap_or_default()
        }
    };
    Some(keys.iter().map(|name| key(name)).collect())
}

fn maps(one: &Map<'_>, other: &Map<'_>) -> Result<bool, Fault> {
    if one.len() != other.len() {
        return Ok(false);
    }
    if let Map::Json { fields, shape } = one {
        return typed(one, fields, &shape.kind, other);
    }
    for key in one.keys() {
        let (mine, theirs) = (one.find(&key)?, other.find(&key)?);
        let (Some(mine), Some(theirs)) = (mine, theirs) else {
            return Ok(false);
        };
        match equal(&mine, &theirs) {
            Ok(false) => return Ok(false),
            Err(Fault::Cancelled) => return Err(Fault::Cancelled),
            _ => {}
        }
    }
    Ok(true)
}

fn typed(
    one: &Map<'_>,
    fields: &serde_json::Map<String, Json>,
    kind: &ShapeKind,
    other: &Map<'_>,
) -> Result<bool, Fault> {
    for (name, json) in fields {
        let known = match kind {
            ShapeKind::Object(object) => object.fields.contains_key(name.as_str()),
            _ => true,
        };
        if known {
            let key = Value::text(name.as_str());
            match (one.find(&key)?, other.find(&key)?) {
                (Some(mine), Some(theirs)) if same(&mine, &theirs)? => {}
                (None, None) => {}
                _ => return Ok(false),
            }
            continue;
        }
        let Map::Json { fields: theirs, .. } = other else {
            return Err(Fault::overload());
        };
        if theirs.get(name).is_some_and(|theirs| theirs != json) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Numbers of any type by what they say; None if one is not a number.
pub(super) fn numbers(one: &Value<'_>, other: &Value<'_>) -> Option<Ordering> {
    let whole = |value: &Value<'_>| match value {
        Value::Int(int) => Some(i128::from(*int)),
        Value::Uint(uint) => Some(i128::from(*uint)),
        _ => None,
    };
    if let (Some(one), Some(other)) = (whole(one), whole(other)) {
        return Some(one.cmp(&other));
    }
    match (one, other) {
        (Value::Double(one), Value::Double(other)) => one.partial_cmp(other),
        (Value::Double(one), other) => double(*one, other),
        (one, Value::Double(other)) => double(*other, one).map(Ordering::reverse),
        _ => None,
    }
}

/// A double and a whole number, which is rounded to a double unless it is far beyond.
#[expect(clippy::cast_precision_loss, reason = "as cel-go compares them")]
fn double(one: f64, other: &Value<'_>) -> Option<Ordering> {
    let (least, most, value) = match other {
        Value::Int(int) => (i64::MIN as f64, i64::MAX as f64, *int as f64),
        Value::Uint(uint) => (0.0, u64::MAX as f64, *uint as f64),
        _ => return None,
    };
    if one < least {
        return Some(Ordering::Less);
    }
    if one > most {
        return Some(Ordering::Greater);
    }
    one.partial_cmp(&value)
}

/// Which of two values of one kind comes first.
///
/// # Errors
/// If they cannot be compared.
pub(super) fn compare(one: &Value<'_>, other: &Value<'_>) -> Result<Ordering, Fault> {
    Ok(match (one, other) {
        (Value::Bool(one), Value::Bool(other)) => one.cmp(other),
        (
            Value::Int(_) | Value::Uint(_) | Value::Double(_),
            Value::Int(_) | Value::Uint(_) | Value::Double(_),
        ) => {
            return numbers(one, other).ok_or_else(|| Fault::new("NaN values cannot be ordered"));
        }
        (Value::String(one), Value::String(other)) => one.as_bytes().cmp(other.as_bytes()),
        (Value::Bytes(one), Value::Bytes(other)) => one.cmp(other),
        (Value::Duration(one), Value::Duration(other)) => one.cmp(other),
        (Value::Timestamp(one), Value::Timestamp(other)) => one.key().cmp(&other.key()),
        _ => return Err(Fault::overload()),
    })
}
