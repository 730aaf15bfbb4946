//! Sets of paths: what a manager of fields owns.
//!
//! A set is a tree. A path is in it if its last element is a member of the node that the rest leads to; a value can be in
//! the set, or values below it, or both. The JSON form is `FieldsV1`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::path::Element;
use super::types::Type;

/// A set of paths into an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Set {
    members: BTreeSet<Element>,
    /// Never with an empty set below.
    children: BTreeMap<Element, Set>,
}

impl Set {
    /// The set of paths through fields: `metadata.labels`.
    pub(super) fn of_fields(paths: &[&str]) -> Self {
        let mut set = Self::default();
        for path in paths {
            let path: Vec<_> = path.split('.').map(Element::field).collect();
            set.insert(&path);
        }
        set
    }

    /// Reads `FieldsV1`: keys of kinds that are not known are left out.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn read(fields: &Value) -> Result<Self, String> {
        Ok(Self::read_node(fields)?.0.unwrap_or_default())
    }

    /// What is below a value, if anything, and whether the value itself is a member.
    fn read_node(fields: &Value) -> Result<(Option<Self>, bool), String> {
        let fields = match fields {
            Value::Object(fields) => fields,
            Value::Null => return Ok((None, true)),
            other => return Err(format!("expected an object, got {other}")),
        };
        let mut member = false;
        let mut set = Self::default();
        for (key, below) in fields {
            if key == "." {
                member = true;
                continue;
            }
            let Some(element) = Element::read(key)? else {
                continue;
            };
            let (below, is_member) = Self::read_node(below)?;
            if is_member {
                set.members.insert(element.clone());
            }
            if let Some(below) = below {
                set.children.insert(element, below);
            }
        }
        let below = Some(set).filter(|set| !set.is_empty());
        member |= below.is_none();
        Ok((below, member))
    }

    /// `FieldsV1`, in its one order.
    pub fn write(&self) -> Value {
        self.write_node(false).into()
    }

    fn write_node(&self, member: bool) -> Map<String, Value> {
        let mut fields = Map::new();
        if member {
            fields.insert(".".into(), Map::new().into());
        }
        let all: BTreeSet<_> = self.members.iter().chain(self.children.keys()).collect();
        for element in all {
            let below = match self.children.get(element) {
                Some(below) => below.write_node(self.members.contains(element)),
                None => Map::new(),
            };
            fields.insert(element.written(), below.into());
        }
        fields
    }

    /// Adds a path; the empty one, which is the object itself, is never added.
    pub(super) fn insert(&mut self, path: &[Element]) {
        if let Some((last, first)) = path.split_last() {
            let mut node = self;
            for element in first {
                node = node.children.entry(element.clone()).or_default();
            }
            node.members.insert(last.clone());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.is_empty()
    }

    pub(super) fn is_member(&self, element: &Element) -> bool {
        self.members.contains(element)
    }

    /// What the set has below an element.
    pub(super) fn below(&self, element: &Element) -> Option<&Self> {
        self.children.get(element)
    }

    pub(super) fn has(&self, path: &[Element]) -> bool {
        match path {
            [] => false,
            [last] => self.is_member(last),
            [first, rest @ ..] => self.below(first).is_some_and(|below| below.has(rest)),
        }
    }

    pub(super) fn elements(&self) -> impl Iterator<Item = &Element> {
        let below = self
            .children
            .keys()
            .filter(|key| !self.members.contains(key));
        self.members.iter().chain(below)
    }

    /// Every path: the members of a node before what is below it.
    pub(super) fn paths(&self) -> Vec<Vec<Element>> {
        let mut paths = Vec::new();
        self.collect(&mut Vec::new(), &mut paths);
        paths
    }

    fn collect(&self, prefix: &mut Vec<Element>, into: &mut Vec<Vec<Element>>) {
        for member in &self.members {
            let path = prefix.iter().chain([member]).cloned();
            into.push(path.collect());
        }
        for (element, below) in &self.children {
            prefix.push(element.clone());
            below.collect(prefix, into);
            prefix.pop();
        }
    }

    pub(super) fn union(&self, other: &Self) -> Self {
        let mut children = self.children.clone();
        for (element, below) in &other.children {
            match children.get_mut(element) {
                Some(own) => *own = own.union(below),
                None => {
                    children.insert(element.clone(), below.clone());
                }
            }
        }
        let members = self.members.union(&other.members).cloned().collect();
        Self { members, children }
    }

    pub(super) fn intersection(&self, other: &Self) -> Self {
        let both = |(element, below): (&Element, &Self)| {
            let both = below.intersection(other.children.get(element)?);
            (!both.is_empty()).then(|| (element.clone(), both))
        };
        Self {
            members: self.members.intersection(&other.members).cloned().collect(),
            children: self.children.iter().filter_map(both).collect(),
        }
    }

    /// Without the paths of the other set; what is below them stays.
    pub(super) fn difference(&self, other: &Self) -> Self {
        self.without(other, false)
    }

    /// Without the paths of the other set and whatever is below them.
    pub(super) fn recursive_difference(&self, other: &Self) -> Self {
        self.without(other, true)
    }

    fn without(&self, other: &Self, recursive: bool) -> Self {
        let rest = |(element, below): (&Element, &Self)| {
            if recursive && other.is_member(element) {
                return None;
            }
            let rest = match other.children.get(element) {
                Some(others) => below.without(others, recursive),
                None => below.clone(),
            };
            (!rest.is_empty()).then(|| (element.clone(), rest))
        };
        Self {
            members: self.members.difference(&other.members).cloned().collect(),
            children: self.children.iter().filter_map(rest).collect(),
        }
    }

    /// Keeps what a pattern leads to: fields by name, `*` for any element; everything below its end.
    pub(super) fn matching(&self, patterns: &[&[&str]]) -> Self {
        let matches = |first: &str, element: &Element| match element {
            Element::Field(name) => first == "*" || *first == **name,
            _ => first == "*",
        };
        let rest_of = |element: &Element| -> Vec<&[&str]> {
            let rest = patterns.iter().filter_map(|pattern| match pattern {
                [first, rest @ ..] if matches(first, element) => Some(rest),
                _ => None,
            });
            rest.collect()
        };
        let members = self
            .members
            .iter()
            .filter(|element| !rest_of(element).is_empty());
        let below = |(element, below): (&Element, &Self)| {
            let rest = rest_of(element);
            let kept = if rest.iter().any(|rest| rest.is_empty()) {
                below.clone()
            } else {
                below.matching(&rest)
            };
            (!kept.is_empty()).then(|| (element.clone(), kept))
        };
        Self {
            members: members.cloned().collect(),
            children: self.children.iter().filter_map(below).collect(),
        }
    }

    /// Makes every field of a struct that something below it is in a member: taking away both is taking away all of it.
    pub(super) fn with_named_fields(&self, of: Option<Type>) -> Self {
        let map = of.and_then(Type::map);
        let list = of.and_then(Type::list);
        let mut members = self.members.clone();
        let mut children = BTreeMap::new();
        for (element, below) in &self.children {
            let of = match (element, &map, &list) {
                (Element::Field(name), Some(map), _) => {
                    if map.declares(name) {
                        members.insert(element.clone());
                    }
                    map.item(name)
                }
                (Element::Key(_), _, Some(list)) => Some(list.element),
                _ => None,
            };
            children.insert(element.clone(), below.with_named_fields(of));
        }
        Self { members, children }
    }
}
