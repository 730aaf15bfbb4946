//! The set of the fields that a value sets: what whoever applies it owns.

use std::collections::BTreeMap;

use serde_json::Value;

use super::keys;
use super::path::Element;
use super::set::Set;
use super::types::{Atom, Type};

pub(super) fn of_value(of: Type, value: &Value) -> Set {
    let mut set = Set::default();
    walk(of, value, &mut Vec::new(), &mut set);
    set
}

fn walk(of: Type, value: &Value, path: &mut Vec<Element>, set: &mut Set) {
    match of.atom(Some(value)) {
        Atom::Scalar(_) => set.insert(path),
        Atom::Map(map) if map.atomic => set.insert(path),
        Atom::List(list) if list.atomic => set.insert(path),
        Atom::Map(map) => {
            for (name, item) in value.as_object().into_iter().flatten() {
                path.push(Element::field(name));
                if let Some(of) = map.item(name) {
                    walk(of, item, path, set);
                }
                let empty = item.as_object().is_some_and(serde_json::Map::is_empty);
                if item.is_null() || empty || !map.declares(name) {
                    set.insert(path);
                }
                path.pop();
            }
        }
        Atom::List(list) => {
            let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
            let elements = items
                .iter()
                .filter_map(|item| Some((keys::element(&list, item).ok()?, item)));
            let elements: Vec<_> = elements.collect();
            let mut times: BTreeMap<&Element, usize> = BTreeMap::new();
            for (element, _) in &elements {
                *times.entry(element).or_default() += 1;
            }
            for (element, item) in &elements {
                path.push(element.clone());
                // What is there twice is owned as a whole.
                if times.get(element) == Some(&1) {
                    walk(list.element, item, path, set);
                }
                set.insert(path);
                path.pop();
            }
        }
    }
}
