//! Merging what is applied into an object: the applied value wins where both have one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::keys;
use super::path::Element;
use super::types::{Atom, ListType, MapType, Type};

/// # Errors
/// An element of an associative list that cannot be one, or that is applied twice.
pub(super) fn merge(of: Type, live: &Value, applied: &Value) -> Result<Value, String> {
    Ok(walk(of, Some(live), Some(applied))?.unwrap_or_else(|| Map::new().into()))
}

/// None if nothing is left.
fn walk(of: Type, live: Option<&Value>, applied: Option<&Value>) -> Result<Option<Value>, String> {
    let whole = || Ok(applied.or(live).cloned());
    match of.atom(applied.or(live)) {
        Atom::Scalar(_) => whole(),
        Atom::Map(map) => {
            let [live_fields, applied_fields] =
                [live, applied].map(|value| value.and_then(Value::as_object));
            let empty = |fields: Option<&Map<_, _>>| fields.is_none_or(Map::is_empty);
            if map.atomic || empty(live_fields) && empty(applied_fields) {
                return whole();
            }
            maps(&map, live_fields, applied_fields)
        }
        Atom::List(list) => {
            let [live_items, applied_items] = [live, applied].map(|value| {
                let items = value.and_then(Value::as_array);
                items.map(Vec::as_slice).unwrap_or_default()
            });
            if list.atomic || live_items.is_empty() && applied_items.is_empty() {
                return whole();
            }
            lists(&list, live_items, applied_items)
        }
    }
}

fn maps(
    of: &MapType,
    live: Option<&Map<String, Value>>,
    applied: Option<&Map<String, Value>>,
) -> Result<Option<Value>, String> {
    let mut merged = Map::new();
    let new = applied.into_iter().flatten().map(|(name, _)| name);
    let new = new.filter(|name| !live.is_some_and(|live| live.contains_key(*name)));
    for name in live.into_iter().flatten().map(|(name, _)| name).chain(new) {
        let item = of.item(name).unwrap_or_else(Type::deduced);
        let live = live.and_then(|live| live.get(name));
        let applied = applied.and_then(|applied| applied.get(name));
        let value = walk(item, live, applied);
        if let Some(value) = value.map_err(|why| format!(".{name}{why}"))? {
            merged.insert(name.clone(), value);
        }
    }
    Ok((!merged.is_empty()).then(|| merged.into()))
}

/// What is applied stands in its order; what only the object has stays where it stands between.
fn lists(of: &ListType, live: &[Value], applied: &[Value]) -> Result<Option<Value>, String> {
    let (new, new_values) = index(of, applied, false)?;
    let (old, old_values) = index(of, live, true)?;
    let mut shared = new
        .iter()
        .filter(|element| old_values.contains_key(element));
    let mut next_shared = shared.next();
    let merge = |element: &Element, old: Option<&Value>| {
        let merged = walk(of.element, old, new_values.get(element).copied());
        merged.map_err(|why| format!("{element}{why}"))
    };
    let mut merged_new = BTreeSet::new();
    let mut merged = Vec::with_capacity(old.len().max(new.len()));
    let (mut at_old, mut at_new) = (0, 0);
    while at_old < old.len() || at_new < new.len() {
        if let (Some(one), Some(other)) = (old.get(at_old), new.get(at_new)) {
            if one == other {
                merged_new.insert(one);
                merged.extend(merge(one, old_values.get(one).copied())?);
                (at_old, at_new) = (at_old + 1, at_new + 1);
                next_shared = shared.next();
                continue;
            }
            if new_values.contains_key(one) && next_shared.is_some_and(|next| next != one) {
                at_old += 1;
                continue;
            }
        }
        if let Some(one) = old.get(at_old) {
            if !new_values.contains_key(one) {
                merged.extend(merge(one, live.get(at_old))?);
                at_old += 1;
                continue;
            } else if merged_new.contains(one) {
                at_old += 1;
            }
        }
        if let Some(other) = new.get(at_new) {
            merged_new.insert(other);
            merged.extend(merge(other, old_values.get(other).copied())?);
            at_new += 1;
            if next_shared == Some(other) {
                next_shared = shared.next();
            }
        }
    }
    Ok((!merged.is_empty()).then(|| merged.into()))
}

static NULL: Value = Value::Null;

type Indexed<'v> = (Vec<Element>, BTreeMap<Element, &'v Value>);

fn index<'v>(of: &ListType, items: &'v [Value], duplicates: bool) -> Result<Indexed<'v>, String> {
    let mut elements = Vec::with_capacity(items.len());
    let mut values = BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        let element = keys::element(of, item).map_err(|why| format!(": element {at}: {why}"))?;
        if values.contains_key(&element) {
            if !duplicates {
                return Err(format!(": duplicate entries for key {element}"));
            }
            // Which of them is meant cannot be said.
            values.insert(element.clone(), &NULL);
        } else {
            values.insert(element.clone(), item);
        }
        elements.push(element);
    }
    Ok((elements, values))
}
