//! What has changed between two values of a type, as sets of paths.

use std::collections::BTreeMap;

use serde_json::Value;

use super::keys;
use super::path::Element;
use super::set::Set;
use super::types::{Atom, ListType, MapType, Type};
use super::value;

/// The paths that one value has and the other has not, and those that both have with different values.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) removed: Set,
    pub(super) modified: Set,
    pub(super) added: Set,
    path: Vec<Element>,
}

/// # Errors
/// An element of an associative list that cannot be one.
pub(super) fn compare(of: Type, old: &Value, new: &Value) -> Result<Comparison, String> {
    let mut comparison = Comparison::default();
    comparison.walk(of, Some(old), Some(new))?;
    Ok(comparison)
}

impl Comparison {
    /// Lets a filter decide what is looked at.
    pub(super) fn filtered(mut self, filter: impl Fn(&Set) -> Set) -> Self {
        for set in [&mut self.removed, &mut self.modified, &mut self.added] {
            *set = filter(set);
        }
        self
    }

    fn walk(&mut self, of: Type, old: Option<&Value>, new: Option<&Value>) -> Result<(), String> {
        let leaf = match (old, new) {
            (None, None) => return Ok(()),
            (Some(old), Some(new)) if !of.same_atom(old, new) => {
                self.atom(of.atom(Some(old)), Some(old), Some(new))?;
                self.atom(of.atom(Some(new)), Some(old), Some(new))?
            }
            (_, Some(_)) => self.atom(of.atom(new), old, new)?,
            (Some(_), None) => self.atom(of.atom(old), old, new)?,
        };
        if !leaf {
            match (old, new) {
                (None, _) => self.added.insert(&self.path),
                (_, None) => self.removed.insert(&self.path),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether the value was compared as a whole.
    fn atom(
        &mut self,
        atom: Atom,
        old: Option<&Value>,
        new: Option<&Value>,
    ) -> Result<bool, String> {
        match atom {
            Atom::Scalar(_) => self.leaf(old, new),
            Atom::Map(map) => {
                let [old_fields, new_fields] =
                    [old, new].map(|value| value.and_then(Value::as_object));
                let empty = |fields: Option<&serde_json::Map<_, _>>| {
                    fields.is_none_or(serde_json::Map::is_empty)
                };
                let whole = map.atomic || empty(old_fields) && empty(new_fields);
                if !whole {
                    self.map(&map, old_fields, new_fields)?;
                    return Ok(false);
                }
                self.leaf(old, new);
            }
            Atom::List(list) => {
                let [old_items, new_items] = [old, new].map(|value| {
                    let items = value.and_then(Value::as_array);
                    items.map(Vec::as_slice).unwrap_or_default()
                });
                let whole = list.atomic || old_items.is_empty() && new_items.is_empty();
                if !whole {
                    self.list(&list, old_items, new_items)?;
                    return Ok(false);
                }
                self.leaf(old, new);
            }
        }
        Ok(true)
    }

    fn leaf(&mut self, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            (None, _) => self.added.insert(&self.path),
            (_, None) => self.removed.insert(&self.path),
            (Some(old), Some(new)) if !value::equal(old, new) => self.modified.insert(&self.path),
            _ => {}
        }
    }

    fn below(
        &mut self,
        element: Element,
        of: Type,
        old: Option<&Value>,
        new: Option<&Value>,
    ) -> Result<(), String> {
        self.path.push(element);
        let walked = self.walk(of, old, new);
        self.path.pop();
        walked
    }

    fn map(
        &mut self,
        of: &MapType,
        old: Option<&serde_json::Map<String, Value>>,
        new: Option<&serde_json::Map<String, Value>>,
    ) -> Result<(), String> {
        for (name, value) in old.into_iter().flatten() {
            let new = new.and_then(|new| new.get(name));
            let item = of.item(name).unwrap_or_else(Type::deduced);
            self.below(Element::field(name), item, Some(value), new)?;
        }
        for (name, value) in new.into_iter().flatten() {
            if !old.is_some_and(|old| old.contains_key(name)) {
                let item = of.item(name).unwrap_or_else(Type::deduced);
                self.below(Element::field(name), item, None, Some(value))?;
            }
        }
        Ok(())
    }

    fn list(&mut self, of: &ListType, old: &[Value], new: &[Value]) -> Result<(), String> {
        let mut elements: BTreeMap<Element, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
        for (at, item) in old.iter().enumerate() {
            let element = keys::element(of, item).map_err(|why| format!("element {at}: {why}"))?;
            elements.entry(element).or_default().0.push(item);
        }
        for (at, item) in new.iter().enumerate() {
            let element = keys::element(of, item).map_err(|why| format!("element {at}: {why}"))?;
            elements.entry(element).or_default().1.push(item);
        }
        for (element, (old, new)) in elements {
            let path = || -> Vec<_> { self.path.iter().chain([&element]).cloned().collect() };
            match (old.as_slice(), new.as_slice()) {
                (old, new) if old.len() <= 1 && new.len() <= 1 => {
                    let (old, new) = (old.first().copied(), new.first().copied());
                    self.below(element, of.element, old, new)?;
                }
                // Of duplicates only the whole can be compared.
                (old, new) if old.len() >= 2 && new.len() >= 2 => {
                    let same = old.len() == new.len()
                        && old.iter().zip(new).all(|(old, new)| value::equal(old, new));
                    if !same {
                        self.modified.insert(&path());
                    }
                }
                (old, new) if old.len() >= 2 => {
                    self.removed.insert(&path());
                    if let Some(new) = new.first() {
                        self.below(element, of.element, None, Some(new))?;
                    }
                }
                (old, _) => {
                    self.added.insert(&path());
                    if let Some(old) = old.first() {
                        self.below(element, of.element, Some(old), None)?;
                    }
                }
            }
        }
        Ok(())
    }
}
