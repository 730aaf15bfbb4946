//! Merging lists: by the key of their elements or as sets, and the order of what comes out.
//!
//! Order: the elements that the patch names stand as the patch has them (or as `$setElementOrder` says), the others as
//! the object has them, and where both meet the object's order decides.

use serde_json::{Map, Value};

use super::lookup::{Strategy, Type};
use super::order::{Places, interleave, matches_order, ordered, sort, text};
use super::{
    DIRECTIVE, Merged, Problem, SET_ORDER, go, merge_map, unknown_directive, without_directives,
};

/// Merges a list of a patch, or deletes what it names, if the field is merged; replaces it otherwise.
pub(super) fn merge(
    original: Vec<Value>,
    patch: Vec<Value>,
    of: Type,
    strategy: &Strategy,
    delete: bool,
) -> Merged<Vec<Value>> {
    if !strategy.is_merge() && !delete {
        return Ok(patch);
    }
    if original.is_empty() && patch.is_empty() {
        return Ok(original);
    }
    if element_kind(&original, &patch)? != Kind::Map {
        if delete {
            let deleted = Places::of(&patch, "");
            let kept = original
                .into_iter()
                .filter(|value| deleted.place(value).is_none());
            return Ok(kept.collect());
        }
        return Ok(merge_set(&original, &patch));
    }
    let key = strategy.key();
    if key.is_empty() {
        let kind = of.kind();
        return Err(Problem::Other(format!(
            "cannot merge lists without merge key for {kind}"
        )));
    }
    let (original, patch) = special_elements(original, patch, key)?;
    let merged = merge_by_key(original.clone(), &patch, key, of)?;
    let (named, others) = part(merged, &patch, key)?;
    ordered(named, others, &patch, &original, key)
}

/// Applies `$setElementOrder/FIELD` and merges the lists that it is about.
pub(super) fn set_orders(
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
    of: Type,
) -> Merged {
    const MALFORMED: Problem = Problem::BadRequest("invalid patch format of setElementOrder list");
    let orders = patch.keys().filter(|key| key.starts_with(SET_ORDER));
    let orders: Vec<_> = orders.cloned().collect();
    for directive in orders {
        let order = match patch.shift_remove(&directive) {
            Some(Value::Array(order)) => order,
            other => return Err(Problem::no_list(&other.unwrap_or_default())),
        };
        let name = directive
            .strip_prefix(SET_ORDER)
            .and_then(|rest| rest.strip_prefix('/'));
        let name = name.ok_or(MALFORMED)?;
        let list = |of: Option<&Value>| match of {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list.clone())),
            Some(other) => Err(Problem::no_list(other)),
        };
        let (old, new) = (list(original.get(name))?, list(patch.get(name))?);
        let (of, strategy) = of.list(name)?;
        let key = strategy.key();
        matches_order(new.as_deref().unwrap_or_default(), &order, key)?;
        let merged = match (old.clone(), new.clone()) {
            (None, None) => continue,
            (Some(old), None) => old,
            (None, Some(new)) => new.into_iter().filter_map(without_directives).collect(),
            (Some(old), Some(new)) => merge(old, new, of, &strategy, false)?,
        };
        let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
        let kind = element_kind(&old, &new)?;
        if kind == Kind::Map && key.is_empty() {
            let kind = of.kind();
            return Err(Problem::Other(format!(
                "cannot merge lists without merge key for {kind}"
            )));
        }
        let (named, others) = part(merged, &order, key)?;
        let all = ordered(named, others, &order, &old, key)?;
        original.insert(name.to_owned(), all.into());
        patch.shift_remove(name);
    }
    Ok(())
}

/// What the elements of a list are: Go's type of them.
#[derive(PartialEq, Eq, Clone, Copy)]
enum Kind {
    Map,
    String,
    Int,
    Float,
    Bool,
}

/// The kind of all elements of both lists.
fn element_kind(original: &[Value], patch: &[Value]) -> Merged<Kind> {
    let differ = || {
        let (original, patch) = (Value::from(original.to_vec()), Value::from(patch.to_vec()));
        Problem::Other(format!(
            "list element types are not identical: [{} {}]",
            go(&original),
            go(&patch)
        ))
    };
    let mut all = None;
    for value in original.iter().chain(patch) {
        let kind = match value {
            Value::Object(_) => Kind::Map,
            Value::String(_) => Kind::String,
            Value::Bool(_) => Kind::Bool,
            Value::Number(number) if number.is_f64() => Kind::Float,
            Value::Number(_) => Kind::Int,
            Value::Array(_) if all.is_none() => return Err(Problem::ListOfLists),
            Value::Array(_) | Value::Null => return Err(differ()),
        };
        if *all.get_or_insert(kind) != kind {
            return Err(differ());
        }
    }
    all.ok_or_else(|| Problem::Other("no elements in any of the given slices".into()))
}

fn merge_set(original: &[Value], patch: &[Value]) -> Vec<Value> {
    let mut seen = std::collections::HashSet::new();
    let both = original.iter().chain(patch).cloned();
    let merged: Vec<_> = both.filter(|value| seen.insert(text(value))).collect();
    let named = Places::of(patch, "");
    let (named, others) = merged
        .into_iter()
        .partition(|value| named.place(value).is_some());
    let named = sort(named, &Places::of(patch, ""));
    let server = Places::of(original, "");
    interleave(sort(others, &server), named, &server)
}

/// Carries out the elements with `$patch`: deletes from the object's list, or lets the patch stand for all of it.
fn special_elements(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
) -> Merged<(Vec<Value>, Vec<Value>)> {
    let mut plain = Vec::new();
    let mut replace = false;
    let mut deleted = std::collections::HashSet::new();
    for element in patch {
        let Some(directive) = element.get(DIRECTIVE) else {
            plain.push(element);
            continue;
        };
        match directive.as_str() {
            Some("delete") => match element.get(key) {
                Some(value) => {
                    deleted.insert(text(value));
                }
                None => return Err(Problem::no_merge_key(&element, key)),
            },
            Some("replace") => replace = true,
            Some("merge") => {
                return Err(Problem::Other(
                    "merging lists cannot yet be specified in the patch".into(),
                ));
            }
            _ => {
                let fields = element.as_object().cloned().unwrap_or_default();
                return Err(unknown_directive(directive, &fields));
            }
        }
    }
    if replace {
        return Ok((plain, Vec::new()));
    }
    original.retain(|element| {
        element
            .get(key)
            .is_none_or(|value| !deleted.contains(&text(value)))
    });
    Ok((original, plain))
}

fn merge_by_key(
    mut merged: Vec<Value>,
    patch: &[Value],
    key: &str,
    of: Type,
) -> Merged<Vec<Value>> {
    let mut places = Places::of(&merged, key);
    for element in patch {
        let (Some(value), Value::Object(fields)) = (element.get(key), element) else {
            return Err(Problem::no_merge_key(element, key));
        };
        let place = places.places.get(&text(value)).copied();
        match place.and_then(|place| merged.get_mut(place)) {
            Some(Value::Object(old)) => merge_map(old, fields.clone(), of)?,
            _ => {
                places.places.insert(text(value), merged.len());
                merged.push(element.clone());
            }
        }
    }
    Ok(merged)
}

/// What is named by a list and what is not.
fn part(all: Vec<Value>, by: &[Value], key: &str) -> Merged<(Vec<Value>, Vec<Value>)> {
    if !key.is_empty() {
        if let Some(at) = by.iter().position(|element| !element.is_object()) {
            return Err(Problem::Other(format!("value for key {at} is not a map")));
        }
        for element in &all {
            if !element.is_object() {
                return Err(Problem::no_map(element));
            }
            if element.get(key).is_none() {
                return Err(Problem::no_merge_key(element, key));
            }
        }
    }
    let by = Places::of(by, key);
    Ok(all
        .into_iter()
        .partition(|element| by.place(element).is_some()))
}
