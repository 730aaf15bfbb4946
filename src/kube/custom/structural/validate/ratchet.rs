//! What was there before: an update may leave things as wrong as they were.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::kube::custom::structural::value::{Num, quoted};
use crate::kube::custom::structural::{Additional, ListType, SchemaType, Structural};

/// A value and the one that it was before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Correlated<'a> {
    pub(super) new: &'a Value,
    pub(super) old: &'a Value,
    /// What tells the items of lists apart.
    pub(super) schema: &'a Structural,
}

/// The items of an old list of list type map, by their keys; the first of several with one key.
pub(super) struct OldItems<'a> {
    keys: &'a [Box<str>],
    items: HashMap<String, &'a Value>,
}

impl<'a> Correlated<'a> {
    /// A field, if it was there before and the schema knows it.
    pub(super) fn field(&self, name: &str) -> Option<Self> {
        let (new, old) = (self.new.as_object()?, self.old.as_object()?);
        let schema = match (self.schema.properties.get(name), &self.schema.additional) {
            (Some(inner), _) => inner,
            (None, Additional::Of(inner)) => inner,
            _ => return None,
        };
        let (new, old) = (new.get(name)?, old.get(name)?);
        Some(Self { new, old, schema })
    }

    /// What items of the old list can be found by.
    pub(super) fn items(&self) -> Option<OldItems<'a>> {
        OldItems::of(self.schema, self.old.as_array()?)
    }

    /// An item of the new list with the old one of the same keys.
    pub(super) fn item(&self, items: &OldItems<'a>, new: &'a Value) -> Option<Self> {
        let old = items.find(new)?;
        let schema = self.schema.items.as_deref()?;
        Some(Self { new, old, schema })
    }

    /// Whether nothing has changed: lists of list type map may have another order.
    ///
    /// What the schema does not know makes objects differ, as it does in the release.
    pub(super) fn is_same(&self) -> bool {
        match (self.new, self.old) {
            (Value::Array(new), Value::Array(old)) => self.same_list(new, old),
            (Value::Object(new), Value::Object(old)) => self.same_map(new, old),
            (new, old) => new == old,
        }
    }

    fn same_list(&self, new: &'a [Value], old: &'a [Value]) -> bool {
        if new.len() != old.len() {
            return false;
        }
        let items = match OldItems::of(self.schema, old) {
            Some(items) if self.schema.items.is_some() => items,
            _ => return new == old,
        };
        new.iter().all(|new| {
            let item = self.item(&items, new);
            item.is_some_and(|item| item.is_same())
        })
    }

    fn same_map(&self, new: &Map<String, Value>, old: &Map<String, Value>) -> bool {
        new.len() == old.len()
            && new.keys().all(|key| {
                let field = self.field(key);
                field.is_some_and(|field| field.is_same())
            })
    }
}

impl<'a> OldItems<'a> {
    fn of(schema: &'a Structural, old: &'a [Value]) -> Option<Self> {
        let keys = &*schema.list_map_keys;
        let is_map =
            schema.list_type == Some(ListType::Map) && schema.of == Some(SchemaType::Array);
        if !is_map || keys.is_empty() {
            return None;
        }
        let mut items = HashMap::with_capacity(old.len());
        for item in old {
            if let Some(key) = key(keys, item) {
                items.entry(key).or_insert(item);
            }
        }
        Some(Self { keys, items })
    }

    fn find(&self, new: &Value) -> Option<&'a Value> {
        self.items.get(&key(self.keys, new)?).copied()
    }
}

/// The keys of an item in one text; None unless all are there and scalars.
fn key(keys: &[Box<str>], item: &Value) -> Option<String> {
    let item = item.as_object()?;
    let mut text = String::new();
    for key in keys {
        text.push('\0');
        match item.get(&**key)? {
            Value::Bool(yes) => text.push_str(&yes.to_string()),
            Value::Number(number) => match Num::of(number) {
                Num::Int(int) => text.push_str(&int.to_string()),
                Num::Float(float) => text.push_str(&format!("{float:?}f")),
            },
            Value::String(one) => text.push_str(&quoted(one)),
            _ => return None,
        }
    }
    Some(text)
}
