//! Operators, and what all collections have.

use std::cmp::Ordering;
use std::sync::Arc;

use super::{Answer, Builtin};
use crate::kube::cel::equal::{compare, composite, equal};
use crate::kube::cel::fault::Fault;
use crate::kube::cel::fuel;
use crate::kube::cel::shape::ListOrder;
use crate::kube::cel::value::{List, Map, Order, Value};

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "_+_" => add,
        "_-_" => subtract,
        "_*_" => multiply,
        "_/_" => divide,
        "_%_" => modulo,
        "-_" => negate,
        "!_" => not,
        "_<_" => |args| ordered(args, Ordering::is_lt),
        "_<=_" => |args| ordered(args, Ordering::is_le),
        "_>_" => |args| ordered(args, Ordering::is_gt),
        "_>=_" => |args| ordered(args, Ordering::is_ge),
        "@in" => contained,
        "size" => size,
        "contains" => contains,
        "startsWith" => starts_with,
        "endsWith" => ends_with,
        "optional.of" => |args| match args {
            [value] => Ok(Value::some(value.clone())),
            _ => Err(Fault::overload()),
        },
        "optional.ofNonZeroValue" => |args| match args {
            [value] if is_zero(value) => Ok(Value::NONE),
            [value] => Ok(Value::some(value.clone())),
            _ => Err(Fault::overload()),
        },
        "optional.none" => |_| Ok(Value::NONE),
        "hasValue" => |args| match args {
            [Value::Optional(value)] => Ok(Value::Bool(value.is_some())),
            _ => Err(Fault::overload()),
        },
        "value" => |args| match args {
            [Value::Optional(Some(value))] => Ok((**value).clone()),
            [Value::Optional(None)] => Err(Fault::new("optional.none() dereference")),
            _ => Err(Fault::overload()),
        },
        "optional.unwrap" | "unwrapOpt" => unwrap_all,
        _ => return None,
    })
}

const INT: &str = "integer overflow";
const UINT: &str = "unsigned integer overflow";
const DURATION: &str = INT;
const BY_ZERO: &str = "division by zero";
const MODULO_ZERO: &str = "modulus by zero";

fn int<'a>(result: Option<i64>) -> Answer<'a> {
    result.map(Value::Int).ok_or_else(|| Fault::new(INT))
}

fn uint<'a>(result: Option<u64>) -> Answer<'a> {
    result.map(Value::Uint).ok_or_else(|| Fault::new(UINT))
}

fn duration<'a>(result: Option<i64>) -> Answer<'a> {
    result
        .map(Value::Duration)
        .ok_or_else(|| Fault::new(DURATION))
}

/// A list's or a set's sum, and those of everything else.
fn add<'a>(args: &[Value<'a>]) -> Answer<'a> {
    match args {
        [Value::Int(one), Value::Int(other)] => int(one.checked_add(*other)),
        [Value::Uint(one), Value::Uint(other)] => uint(one.checked_add(*other)),
        [Value::Double(one), Value::Double(other)] => Ok(Value::Double(one + other)),
        [Value::String(one), Value::String(other)] => Ok(Value::text([&**one, &**other].concat())),
        [Value::Bytes(one), Value::Bytes(other)] => {
            Ok(Value::Bytes([&**one, &**other].concat().into()))
        }
        [Value::Duration(one), Value::Duration(other)] => duration(one.checked_add(*other)),
        [Value::Timestamp(time), Value::Duration(nanos)]
        | [Value::Duration(nanos), Value::Timestamp(time)] => time
            .plus((*nanos).into())
            .map(Value::Timestamp)
            .map_err(Fault::new),
        [Value::List(one), Value::List(other)] => joined(one, other),
        _ => Err(Fault::overload()),
    }
}

fn joined<'a>(one: &List<'a>, other: &List<'a>) -> Answer<'a> {
    if one.len().saturating_add(other.len()) > fuel::MAX_ITEMS {
        return Err(Fault::Cancelled);
    }
    let mut items = one.values()?;
    match one.order {
        Order::Of(ListOrder::Set) => {
            for item in other.iter() {
                let item = item?;
                let mut found = false;
                for mine in &items {
                    found = found || equal(mine, &item)?;
                }
                if !found {
                    items.push(item);
                }
            }
        }
        Order::Of(ListOrder::Map(keys)) => {
            for item in other.iter() {
                let item = item?;
                let key = composite(&item, keys);
                let place = items.iter_mut().find(|mine| composite(mine, keys) == key);
                match place {
                    Some(place) => *place = item,
                    None => items.push(item),
                }
            }
        }
        Order::Made | Order::Of(ListOrder::Atomic) => items.extend(other.values()?),
    }
    Ok(Value::List(List::ordered(items, one.order)))
}

fn subtract<'a>(args: &[Value<'a>]) -> Answer<'a> {
    match args {
        [Value::Int(one), Value::Int(other)] => int(one.checked_sub(*other)),
        [Value::Uint(one), Value::Uint(other)] => uint(one.checked_sub(*other)),
        [Value::Double(one), Value::Double(other)] => Ok(Value::Double(one - other)),
        [Value::Duration(one), Value::Duration(other)] => duration(one.checked_sub(*other)),
        [Value::Timestamp(time), Value::Duration(nanos)] => time
            .plus(-i128::from(*nanos))
            .map(Value::Timestamp)
            .map_err(Fault::new),
        [Value::Timestamp(one), Value::Timestamp(other)] => {
            one.minus(*other).map(Value::Duration).map_err(Fault::new)
        }
        _ => Err(Fault::overload()),
    }
}

fn multiply<'a>(args: &[Value<'a>]) -> Answer<'a> {
    match args {
        [Value::Int(one), Value::Int(other)] => int(one.checked_mul(*other)),
        [Value::Uint(one), Value::Uint(other)] => uint(one.checked_mul(*other)),
        [Value::Double(one), Value::Double(other)] => Ok(Value::Double(one * other)),
        _ => Err(Fault::overload()),
    }
}

fn divide<'a>(args: &[Value<'a>]) -> Answer<'a> {
    match args {
        [Value::Int(_), Value::Int(0)] | [Value::Uint(_), Value::Uint(0)] => {
            Err(Fault::new(BY_ZERO))
        }
        [Value::Int(one), Value::Int(other)] => int(one.checked_div(*other)),
        [Value::Uint(one), Value::Uint(other)] => uint(one.checked_div(*other)),
        [Value::Double(one), Value::Double(other)] => Ok(Value::Double(one / other)),
        _ => Err(Fault::overload()),
    }
}

fn modulo<'a>(args: &[Value<'a>]) -> Answer<'a> {
    match args {
        [Value::Int(_), Value::Int(0)] | [Value::Uint(_), Value::Uint(0)] => {
            Err(Fault::new(MODULO_ZERO))
        }
        [Value::Int(one), Value::Int(other)] => int(one.checked_rem(*other)),
        [Value::Uint(one), Value::Uint(other)] => uint(one.checked_rem(*other)),
        _ => Err(Fault::overload()),
    }
}

fn negate<'a>(args: &[Value<'a>]) -> Answer<'a> {
    match args {
        [Value::Int(value)] => int(value.checked_neg()),
        [Value::Double(value)] => Ok(Value::Double(-value)),
        [Value::Duration(value)] => duration(value.checked_neg()),
        _ => Err(Fault::overload()),
    }
}

fn not<'a>(args: &[Value<'a>]) -> Answer<'a> {
    match args {
        [Value::Bool(yes)] => Ok(Value::Bool(!yes)),
        _ => Err(Fault::overload()),
    }
}

fn ordered<'a>(args: &[Value<'a>], is: fn(Ordering) -> bool) -> Answer<'a> {
    match args {
        [one, other] => Ok(Value::Bool(is(compare(one, other)?))),
        _ => Err(Fault::overload()),
    }
}

/// Whether a list has an item; an error of a comparison counts only if no item is it.
pub(super) fn has(list: &List<'_>, item: &Value<'_>) -> Result<bool, Fault> {
    let mut fault = None;
    for one in list.iter() {
        match one.and_then(|one| equal(&one, item)) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(Fault::Cancelled) => return Err(Fault::Cancelled),
            Err(found) => fault = fault.or(Some(found)),
        }
    }
    fault.map_or(Ok(false), Err)
}

fn contained<'a>(args: &[Value<'a>]) -> Answer<'a> {
    match args {
        [item, Value::List(list)] => Ok(Value::Bool(has(list, item)?)),
        [key, Value::Map(map)] => match map.find(key) {
            // A field whose value is not of its type is an error, not an absence.
            Ok(found) => Ok(Value::Bool(found.is_some())),
            Err(fault) => Err(fault),
        },
        _ => Err(Fault::overload()),
    }
}

fn size<'a>(args: &[Value<'a>]) -> Answer<'a> {
    match args {
        [value @ (Value::String(_) | Value::Bytes(_) | Value::List(_) | Value::Map(_))] => {
            int(i64::try_from(value.size()).ok())
        }
        _ => Err(Fault::overload()),
    }
}

fn contains<'a>(args: &[Value<'a>]) -> Answer<'a> {
    match args {
        [Value::String(text), Value::String(part)] => Ok(Value::Bool(text.contains(&**part))),
        _ => Err(Fault::overload()),
    }
}

fn starts_with<'a>(args: &[Value<'a>]) -> Answer<'a> {
    match args {
        [Value::String(text), Value::String(part)] => Ok(Value::Bool(text.starts_with(&**part))),
        _ => Err(Fault::overload()),
    }
}

fn ends_with<'a>(args: &[Value<'a>]) -> Answer<'a> {
    match args {
        [Value::String(text), Value::String(part)] => Ok(Value::Bool(text.ends_with(&**part))),
        _ => Err(Fault::overload()),
    }
}

/// What `optional.ofNonZeroValue` takes for nothing. Lists and maps of schemas never are.
fn is_zero(value: &Value<'_>) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(yes) => !yes,
        Value::Int(int) => *int == 0,
        Value::Uint(uint) => *uint == 0,
        Value::Double(double) => *double == 0.0,
        Value::String(text) => text.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::Duration(nanos) => *nanos == 0,
        Value::List(list) => list.len() == 0 && matches!(list.order, Order::Made),
        Value::Map(map) => map.len() == 0 && !matches!(map, Map::Json { .. }),
        Value::Timestamp(time) => time.key() == (-62_135_596_800, 0),
        _ => false,
    }
}

fn unwrap_all<'a>(args: &[Value<'a>]) -> Answer<'a> {
    let [Value::List(list)] = args else {
        return Err(Fault::overload());
    };
    let mut found = Vec::new();
    for item in list.iter() {
        match item? {
            Value::Optional(None) => {}
            Value::Optional(Some(value)) => found.push(Arc::unwrap_or_clone(value)),
            other => {
                let shown = other.shown();
                return Err(Fault::new(format!("value {shown} is not optional")));
            }
        }
    }
    Ok(Value::list(found))
}
