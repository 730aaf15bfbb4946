//! Field sets that were written under another schema, or by hand: what is now merged as a whole is owned as a whole.

use super::path::Element;
use super::set::Set;
use super::types::{Atom, Type};

pub(super) fn reconcile(set: &Set, of: Type) -> Set {
    let mut wholes = Set::default();
    find(Some(set), of, false, &mut Vec::new(), &mut wholes);
    if wholes.is_empty() {
        return set.clone();
    }
    set.recursive_difference(&wholes).union(&wholes)
}

/// `whole`: the value itself is in the set and nothing below it is.
fn find(set: Option<&Set>, of: Type, whole: bool, path: &mut Vec<Element>, wholes: &mut Set) {
    match of.atom(None) {
        Atom::Scalar(_) => {}
        _ if of.is_deduced() => {}
        Atom::Map(map) if map.atomic => {
            if !whole && set.is_some_and(|set| !set.is_empty()) {
                wholes.insert(path);
            }
        }
        Atom::List(list) if list.atomic => {
            if !whole {
                wholes.insert(path);
            }
        }
        Atom::Map(map) => {
            for element in set.into_iter().flat_map(Set::elements) {
                let item = match element {
                    Element::Field(name) => map.item(name),
                    _ => map.item(""),
                };
                if let (Some(item), Some(set)) = (item, set) {
                    descend(set, element, item, path, wholes);
                }
            }
        }
        Atom::List(list) => {
            for element in set.into_iter().flat_map(Set::elements) {
                if let Some(set) = set {
                    descend(set, element, list.element, path, wholes);
                }
            }
        }
    }
}

fn descend(set: &Set, element: &Element, of: Type, path: &mut Vec<Element>, wholes: &mut Set) {
    let below = set.below(element);
    let whole = set.is_member(element) && below.is_none();
    path.push(element.clone());
    find(below, of, whole, path, wholes);
    path.pop();
}
