//! The order of merged lists.

use std::collections::HashMap;

use serde_json::Value;

use super::{DIRECTIVE, Merged, Problem, SET_ORDER, go};

/// Both in their own order, one put into the other.
pub(super) fn ordered(
    named: Vec<Value>,
    others: Vec<Value>,
    patch_order: &[Value],
    server_order: &[Value],
    key: &str,
) -> Merged<Vec<Value>> {
    if !key.is_empty() {
        let mut orders = patch_order.iter().chain(server_order);
        if let Some(element) = orders.find(|element| element.get(key).is_none()) {
            return Err(Problem::no_merge_key(element, key));
        }
    }
    let server = Places::of(server_order, key);
    let named = sort(named, &Places::of(patch_order, key));
    Ok(interleave(sort(others, &server), named, &server))
}

/// The order of a list is refused if the patch has its elements in another one.
pub(super) fn matches_order(patch: &[Value], order: &[Value], key: &str) -> Merged {
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    let mut kept = Vec::with_capacity(patch.len());
    for element in patch {
        if !key.is_empty() && !element.is_object() {
            return Err(Problem::no_map(element));
        }
        if key.is_empty() || element.get(DIRECTIVE).is_none() {
            kept.push(element);
        }
    }
    let mut wanted = kept.into_iter().peekable();
    for place in order {
        let Some(element) = wanted.peek() else {
            return Ok(());
        };
        let equal = if key.is_empty() {
            *element == place
        } else {
            let of = |element: &Value| match element.get(key) {
                Some(value) => Ok(text(value)),
                None if element.is_object() => Err(Problem::no_merge_key(element, key)),
                None => Err(Problem::no_map(element)),
            };
            of(element)? == of(place)?
        };
        if equal {
            wanted.next();
        }
    }
    if wanted.peek().is_none() {
        return Ok(());
    }
    let (patch, order) = (Value::from(patch.to_vec()), Value::from(order.to_vec()));
    Err(Problem::Other(format!(
        "The order in patch list:\n{}\n doesn't match {SET_ORDER} list:\n{}\n",
        go(&patch),
        go(&order)
    )))
}

/// Where each element stands first, by its key or by itself.
pub(super) struct Places<'k> {
    key: &'k str,
    pub(super) places: HashMap<String, usize>,
}

impl<'k> Places<'k> {
    pub(super) fn of(list: &[Value], key: &'k str) -> Self {
        let mut places = HashMap::with_capacity(list.len());
        for (at, element) in list.iter().enumerate() {
            if let Some(value) = identity(element, key) {
                places.entry(value).or_insert(at);
            }
        }
        Self { key, places }
    }

    pub(super) fn place(&self, element: &Value) -> Option<usize> {
        let value = identity(element, self.key)?;
        self.places.get(&value).copied()
    }
}

fn identity(element: &Value, key: &str) -> Option<String> {
    match key {
        "" => Some(text(element)),
        key => element.get(key).map(text),
    }
}

pub(super) fn text(value: &Value) -> String {
    value.to_string()
}

/// Lists of at most this many elements are sorted as the release sorts them even where the order does not say how.
const SORTED_EXACTLY: usize = 20;

/// Sorts by an order that may not name every element. Those it does not name push to the front as they come, until one it
/// names passes them: that is what the release's comparison makes of an insertion sort.
pub(super) fn sort(list: Vec<Value>, order: &Places) -> Vec<Value> {
    let placed = list
        .into_iter()
        .map(|element| (order.place(&element), element));
    let mut placed: Vec<_> = placed.collect();
    if placed.len() > SORTED_EXACTLY || placed.iter().all(|(place, _)| place.is_some()) {
        placed.sort_by_key(|(place, _)| place.unwrap_or(usize::MAX));
        return placed.into_iter().map(|(_, element)| element).collect();
    }
    let mut sorted: Vec<(Option<usize>, Value)> = Vec::with_capacity(placed.len());
    for (place, element) in placed {
        let stays_behind = |(other, _): &(Option<usize>, Value)| match (place, *other) {
            (Some(place), Some(other)) => other <= place,
            _ => false,
        };
        let at = sorted.iter().rposition(stays_behind).map_or(0, |at| at + 1);
        sorted.insert(at, (place, element));
    }
    sorted.into_iter().map(|(_, element)| element).collect()
}

/// Merges two sorted lists: from the left as long as the order has it before the right.
pub(super) fn interleave(left: Vec<Value>, right: Vec<Value>, order: &Places) -> Vec<Value> {
    let mut all = Vec::with_capacity(left.len() + right.len());
    let mut left = left.into_iter().peekable();
    let mut right = right.into_iter().peekable();
    while let (Some(one), Some(other)) = (left.peek(), right.peek()) {
        let first = match (order.place(one), order.place(other)) {
            (Some(one), Some(other)) if one < other => left.next(),
            _ => right.next(),
        };
        all.extend(first);
    }
    all.extend(left);
    all.extend(right);
    all
}
