//! Functions of lists and of sets of items.

use std::cmp::Ordering;
use std::sync::Arc;

use indexmap::IndexMap;

use super::core::has;
use super::{Answer, Builtin};
use crate::kube::cel::equal::{compare, equal};
use crate::kube::cel::fault::Fault;
use crate::kube::cel::fuel;
use crate::kube::cel::value::{List, Map, Value};

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "isSorted" => is_sorted,
        "sum" => |args| sum(args, Value::Int(0)),
        "min" => |args| extreme(args, "min", Ordering::Greater),
        "max" => |args| extreme(args, "max", Ordering::Less),
        "first" => |args| end(args, |_| 0),
        "last" => |args| end(args, |length| length - 1),
        "slice" => slice,
        "flatten" => flatten,
        "sort" => sort,
        "@sortByAssociatedKeys" => sort_by,
        "lists.range" => range,
        "reverse" => reverse,
        "distinct" => distinct,
        "sets.contains" => |args| two(args, contains),
        "sets.intersects" => |args| two(args, intersects),
        "sets.equivalent" => |args| {
            two(args, |one, other| {
                Ok(contains(one, other)? && contains(other, one)?)
            })
        },
        "cel.@mapInsert" => map_insert,
        _ => return None,
    })
}

/// Where an item is, from the front or from the back; -1 if it is not there.
pub(super) fn position<'a>(list: &List<'a>, item: &Value<'a>, last: bool) -> Answer<'a> {
    let is = |at: &usize| {
        let found = list.get(*at).and_then(Result::ok);
        found.is_some_and(|found| equal(&found, item) == Ok(true))
    };
    let mut places = 0..list.len();
    let found = if last {
        places.rfind(is)
    } else {
        places.find(is)
    };
    let found = found.and_then(|at| i64::try_from(at).ok());
    Ok(Value::Int(found.unwrap_or(-1)))
}

fn only<'l, 'a>(args: &'l [Value<'a>]) -> Result<&'l List<'a>, Fault> {
    match args {
        [Value::List(list)] => Ok(list),
        _ => Err(Fault::overload()),
    }
}

fn is_sorted<'a>(args: &[Value<'a>]) -> Answer<'a> {
    let items = only(args)?.values()?;
    for (one, next) in items.iter().zip(items.iter().skip(1)) {
        // What cannot be compared is taken as it comes.
        if compare(one, next) == Ok(Ordering::Greater) {
            return Ok(Value::Bool(false));
        }
    }
    Ok(Value::Bool(true))
}

/// The sum of a list of a known type: that of nothing depends on it.
pub(in crate::kube::cel) fn sum_of(overload: &str) -> Option<Builtin> {
    Some(match overload {
        "list_int_sum_int" => |args| sum(args, Value::Int(0)),
        "list_uint_sum_uint" => |args| sum(args, Value::Uint(0)),
        "list_double_sum_double" => |args| sum(args, Value::Double(0.0)),
        "list_duration_sum_duration" => |args| sum(args, Value::Duration(0)),
        _ => return None,
    })
}

fn sum<'a>(args: &[Value<'a>], nothing: Value<'a>) -> Answer<'a> {
    let add = super::find("_+_").ok_or_else(Fault::overload)?;
    let mut items = only(args)?.iter();
    let Some(first) = items.next() else {
        return Ok(nothing);
    };
    let mut total = first?;
    if !matches!(
        total,
        Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::Duration(_)
    ) {
        return Err(Fault::overload());
    }
    for item in items {
        total = add(&[total, item?])?;
    }
    Ok(total)
}

/// The item that no other beats; `worse` is how a worse one compares to a better.
fn extreme<'a>(args: &[Value<'a>], name: &str, worse: Ordering) -> Answer<'a> {
    let mut items = only(args)?.iter();
    let Some(first) = items.next() else {
        return Err(Fault::new(format!("{name} called on empty list")));
    };
    let mut best = first?;
    for item in items {
        let item = item?;
        if compare(&best, &item) == Ok(worse) {
            best = item;
        }
    }
    Ok(best)
}

fn end<'a>(args: &[Value<'a>], place: fn(usize) -> usize) -> Answer<'a> {
    let list = only(args)?;
    if list.len() == 0 {
        return Ok(Value::NONE);
    }
    match list.get(place(list.len())) {
        Some(item) => Ok(Value::some(item?)),
        None => Ok(Value::NONE),
    }
}

fn slice<'a>(args: &[Value<'a>]) -> Answer<'a> {
    let [Value::List(list), Value::Int(start), Value::Int(end)] = args else {
        return Err(Fault::overload());
    };
    let wrong = |why: String| Fault::new(format!("cannot slice({start}, {end}), {why}"));
    let (Ok(from), Ok(until)) = (usize::try_from(*start), usize::try_from(*end)) else {
        return Err(wrong("negative indexes not supported".into()));
    };
    if from > until {
        return Err(wrong(
            "start index must be less than or equal to end index".into(),
        ));
    }
    if list.len() < until {
        return Err(wrong(format!("list is length {}", list.len())));
    }
    let items = (from..until).filter_map(|at| list.get(at));
    Ok(Value::list(items.collect::<Result<_, _>>()?))
}

fn flatten<'a>(args: &[Value<'a>]) -> Answer<'a> {
    let (list, depth) = match args {
        [Value::List(list)] => (list, 1),
        [Value::List(list), Value::Int(depth)] => (list, *depth),
        _ => return Err(Fault::overload()),
    };
    if depth < 0 {
        return Err(Fault::new("level must be non-negative"));
    }
    let mut items = Vec::new();
    flatten_into(list, depth, &mut items)?;
    Ok(Value::list(items))
}

fn flatten_into<'a>(list: &List<'a>, depth: i64, into: &mut Vec<Value<'a>>) -> Result<(), Fault> {
    for item in list.iter() {
        match item? {
            Value::List(inner) if depth > 0 => flatten_into(&inner, depth - 1, into)?,
            other => into.push(other),
        }
        if into.len() > fuel::MAX_ITEMS || !fuel::burn() {
            return Err(Fault::Cancelled);
        }
    }
    Ok(())
}

/// Items in the order of their keys; equal keys keep their order.
fn sorted<'a>(items: Vec<Value<'a>>, keys: &[Value<'a>]) -> Answer<'a> {
    if items.len() != keys.len() {
        let message = format!(
            "@sortByAssociatedKeys() expected a list of the same size as the associated keys list, but got {} and {} \
             elements respectively",
            items.len(),
            keys.len()
        );
        return Err(Fault::new(message));
    }
    if let Some(first) = keys.first() {
        compare(first, first).map_err(|_| Fault::new("list elements must be comparable"))?;
        if keys.iter().any(|key| key.type_name() != first.type_name()) {
            return Err(Fault::new("list elements must have the same type"));
        }
    }
    let mut pairs: Vec<(&Value<'_>, Value<'a>)> = keys.iter().zip(items).collect();
    pairs.sort_by(|one, other| compare(one.0, other.0).unwrap_or(Ordering::Equal));
    Ok(Value::list(
        pairs.into_iter().map(|(_, item)| item).collect(),
    ))
}

fn sort<'a>(args: &[Value<'a>]) -> Answer<'a> {
    let items = only(args)?.values()?;
    let keys = items.clone();
    sorted(items, &keys)
}

fn sort_by<'a>(args: &[Value<'a>]) -> Answer<'a> {
    match args {
        [Value::List(items), Value::List(keys)] => sorted(items.values()?, &keys.values()?),
        _ => Err(Fault::overload()),
    }
}

fn range<'a>(args: &[Value<'a>]) -> Answer<'a> {
    match args {
        // More items than any budget pays for are not made first.
        [Value::Int(count)]
            if usize::try_from(*count).is_ok_and(|count| count > fuel::MAX_ITEMS) =>
        {
            Err(Fault::Cancelled)
        }
        [Value::Int(count)] => Ok(Value::list((0..*count).map(Value::Int).collect())),
        _ => Err(Fault::overload()),
    }
}

fn reverse<'a>(args: &[Value<'a>]) -> Answer<'a> {
    let mut items = only(args)?.values()?;
    items.reverse();
    Ok(Value::list(items))
}

fn distinct<'a>(args: &[Value<'a>]) -> Answer<'a> {
    let mut found: Vec<Value<'a>> = Vec::new();
    for item in only(args)?.iter() {
        let item = item?;
        let mut seen = false;
        for one in &found {
            match equal(&item, one) {
                Err(Fault::Cancelled) => return Err(Fault::Cancelled),
                same => seen = seen || same == Ok(true),
            }
        }
        if !seen {
            found.push(item);
        }
    }
    Ok(Value::list(found))
}

fn two<'a>(
    args: &[Value<'a>],
    of: impl Fn(&List<'a>, &List<'a>) -> Result<bool, Fault>,
) -> Answer<'a> {
    match args {
        [Value::List(one), Value::List(other)] => Ok(Value::Bool(of(one, other)?)),
        _ => Err(Fault::overload()),
    }
}

fn contains(list: &List<'_>, part: &List<'_>) -> Result<bool, Fault> {
    for item in part.iter() {
        if !has(list, &item?)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn intersects(one: &List<'_>, other: &List<'_>) -> Result<bool, Fault> {
    for item in one.iter() {
        if has(other, &item?) == Ok(true) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A map with an entry, or all entries of another map, more.
fn map_insert<'a>(args: &[Value<'a>]) -> Answer<'a> {
    let (mut map, more) = match args {
        [Value::Map(map), key, value] => (map.clone(), vec![(key.clone(), value.clone())]),
        [Value::Map(map), Value::Map(other)] => {
            let mut more = Vec::new();
            for key in other.keys() {
                if let Some(value) = other.find(&key)? {
                    more.push((key, value));
                }
            }
            (map.clone(), more)
        }
        _ => return Err(Fault::overload()),
    };
    if map.len() == 0 && more.is_empty() {
        return Ok(Value::Map(Map::Made(Arc::new(IndexMap::new()))));
    }
    for (key, value) in more {
        if !map.insert(&key, value)? {
            return Err(Fault::new(format!(
                "insert failed: key {} already exists",
                key.shown()
            )));
        }
    }
    Ok(Value::Map(map))
}
