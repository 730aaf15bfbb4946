//! A schema as it is written, `JSONSchemaProps`.

use serde_json::{Map, Value};

/// A node as it is written. Fields that are absent have Go's zero values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Props<'a>(Option<&'a Map<String, Value>>);

/// `additionalProperties`.
pub(super) enum Rest<'a> {
    Unsaid,
    Allowed(bool),
    Of(Props<'a>),
}

impl<'a> Props<'a> {
    pub(super) fn of(value: &'a Value) -> Self {
        Self(value.as_object())
    }

    pub(super) fn value(self) -> Value {
        Value::Object(self.0.cloned().unwrap_or_default())
    }

    /// A field that is there and not null.
    pub(super) fn get(self, name: &str) -> Option<&'a Value> {
        self.0?.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn fields(self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let fields = self.0.into_iter().flatten();
        fields.map(|(name, value)| (name.as_str(), value))
    }

    pub(super) fn text(self, name: &str) -> &'a str {
        self.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn of_type(self) -> &'a str {
        self.text("type")
    }

    pub(super) fn flag(self, name: &str) -> bool {
        self.get(name) == Some(&Value::Bool(true))
    }

    pub(super) fn values(self, name: &str) -> &'a [Value] {
        let list = self.get(name).and_then(Value::as_array);
        list.map_or(&[], Vec::as_slice)
    }

    pub(super) fn list(self, name: &str) -> impl Iterator<Item = (usize, Props<'a>)> {
        self.values(name).iter().map(Props::of).enumerate()
    }

    pub(super) fn texts(self, name: &str) -> Vec<&'a str> {
        self.values(name).iter().filter_map(Value::as_str).collect()
    }

    /// The schema at a field, not one of a list.
    pub(super) fn child(self, name: &str) -> Option<Props<'a>> {
        match self.get(name)? {
            value @ Value::Object(_) => Some(Self::of(value)),
            _ => None,
        }
    }

    pub(super) fn map(self, name: &str) -> impl Iterator<Item = (&'a str, Props<'a>)> {
        let map = self.get(name).and_then(Value::as_object);
        let map = map.into_iter().flatten();
        map.map(|(key, value)| (key.as_str(), Self::of(value)))
    }

    pub(super) fn properties(self) -> impl Iterator<Item = (&'a str, Props<'a>)> {
        self.map("properties")
    }

    pub(super) fn property(self, name: &str) -> Option<Props<'a>> {
        let found = self.get("properties")?.as_object()?.get(name)?;
        Some(Self::of(found))
    }

    pub(super) fn additional(self) -> Rest<'a> {
        match self.get("additionalProperties") {
            Some(Value::Bool(allowed)) => Rest::Allowed(*allowed),
            Some(value @ Value::Object(_)) => Rest::Of(Self::of(value)),
            _ => Rest::Unsaid,
        }
    }

    pub(super) fn preserves(self) -> bool {
        self.flag("x-kubernetes-preserve-unknown-fields")
    }

    pub(super) fn embedded(self) -> bool {
        self.flag("x-kubernetes-embedded-resource")
    }

    pub(super) fn int_or_string(self) -> bool {
        self.flag("x-kubernetes-int-or-string")
    }

    pub(super) fn list_type(self) -> Option<&'a str> {
        self.get("x-kubernetes-list-type")?.as_str()
    }

    pub(super) fn map_type(self) -> Option<&'a str> {
        self.get("x-kubernetes-map-type")?.as_str()
    }

    /// Every node below, this one first.
    pub(super) fn has(self, holds: &impl Fn(Props<'a>) -> bool) -> bool {
        let single = ["items", "not", "additionalProperties", "additionalItems"];
        let lists = ["items", "allOf", "anyOf", "oneOf"];
        let maps = [
            "properties",
            "patternProperties",
            "definitions",
            "dependencies",
        ];
        holds(self)
            || single
                .iter()
                .any(|name| self.child(name).is_some_and(|one| one.has(holds)))
            || lists
                .iter()
                .any(|name| self.list(name).any(|(_, one)| one.has(holds)))
            || maps
                .iter()
                .any(|name| self.map(name).any(|(_, one)| one.has(holds)))
    }
}
