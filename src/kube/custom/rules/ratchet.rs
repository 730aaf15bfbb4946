//! Which values are as they were: what was wrong before and is not touched stays allowed.

use serde_json::Value as Json;

use crate::kube::custom::structural::{Additional, ListType, Structural};

/// A value with its old one, as far as the schema tells which was which.
#[derive(Debug, Clone, Copy)]
pub(super) struct Correlated<'v> {
    new: &'v Json,
    old: &'v Json,
    schema: &'v Structural,
}

/// The values of an item's keys; None if one is missing or is no scalar.
pub(super) fn key(keys: &[Box<str>], item: &Json) -> Option<Vec<String>> {
    if keys.is_empty() {
        return None;
    }
    let value = |key: &str| {
        let value = item.get(key)?;
        let scalar = matches!(value, Json::Bool(_) | Json::Number(_) | Json::String(_));
        scalar.then(|| value.to_string())
    };
    keys.iter().map(|key| value(key)).collect()
}

impl<'v> Correlated<'v> {
    pub(super) fn new(new: &'v Json, old: &'v Json, schema: &'v Structural) -> Self {
        Self { new, old, schema }
    }

    pub(super) fn key(&self, key: &str) -> Option<Self> {
        let (new, old) = (self.new.get(key)?, self.old.get(key)?);
        let schema = property(self.schema, key)?;
        Some(Self::new(new, old, schema))
    }

    pub(super) fn index(&self, at: usize) -> Option<Self> {
        let new = self.new.as_array()?.get(at)?;
        let old = old_item(self.schema, new, self.old.as_array()?)?;
        Some(Self::new(new, old, self.schema.items.as_deref()?))
    }

    pub(super) fn unchanged(&self) -> bool {
        same(self.new, self.old, self.schema)
    }
}

fn property<'s>(schema: &'s Structural, key: &str) -> Option<&'s Structural> {
    schema.properties.get(key).or(match &schema.additional {
        Additional::Of(values) => Some(values),
        _ => None,
    })
}

fn old_item<'v>(schema: &Structural, new: &Json, old: &'v [Json]) -> Option<&'v Json> {
    if schema.list_type != Some(ListType::Map) {
        return None;
    }
    let wanted = key(&schema.list_map_keys, new)?;
    let mut items = old.iter();
    items.find(|item| key(&schema.list_map_keys, item).as_ref() == Some(&wanted))
}

/// Whether two values are the same; items of lists by their keys.
fn same(new: &Json, old: &Json, schema: &Structural) -> bool {
    match (new, old) {
        (Json::Array(new), Json::Array(olds)) => {
            if new.len() != olds.len() {
                return false;
            }
            let Some(items) = schema
                .items
                .as_deref()
                .filter(|_| schema.list_type == Some(ListType::Map))
            else {
                return new == olds;
            };
            new.iter().all(|item| {
                let old = old_item(schema, item, olds);
                old.is_some_and(|old| same(item, old, items))
            })
        }
        (Json::Object(new), Json::Object(old)) => {
            new.len() == old.len()
                && new.iter().all(|(key, value)| {
                    let was = old.get(key).zip(property(schema, key));
                    was.is_some_and(|(was, schema)| same(value, was, schema))
                })
        }
        _ => new == old,
    }
}
