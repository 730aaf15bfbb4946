//! A place in an object: its path and what stands there; and the errors found so far.

use serde_json::Value;

use crate::kube::field::{FieldError, FieldErrorKind, quoted};

static NULL: Value = Value::Null;

/// A place in an object, there or not.
#[derive(Debug, Clone)]
pub(super) struct At<'a> {
    pub(super) value: &'a Value,
    pub(super) path: String,
}

impl<'a> At<'a> {
    pub(super) fn root(value: &'a Value) -> Self {
        let path = String::new();
        Self { value, path }
    }

    /// The same value under another path.
    pub(super) fn named(&self, path: impl Into<String>) -> Self {
        let path = path.into();
        Self {
            value: self.value,
            path,
        }
    }

    pub(super) fn field(&self, name: &str) -> Self {
        let path = if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        };
        let value = self.value.get(name).unwrap_or(&NULL);
        Self { value, path }
    }

    pub(super) fn down(&self, names: &[&str]) -> Self {
        names.iter().fold(self.clone(), |at, name| at.field(name))
    }

    /// The field, if it is there.
    pub(super) fn some(&self, name: &str) -> Option<Self> {
        Some(self.field(name)).filter(At::is_set)
    }

    pub(super) fn items(&self) -> impl Iterator<Item = At<'a>> + use<'a> {
        let path = self.path.clone();
        let items = self.value.as_array().into_iter().flatten().enumerate();
        items.map(move |(at, value)| At {
            value,
            path: format!("{path}[{at}]"),
        })
    }

    /// The entries of a map, in the order of their keys.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, At<'a>)> + use<'a> {
        let path = self.path.clone();
        let map = self.value.as_object().into_iter().flatten();
        map.map(move |(key, value)| {
            let path = format!("{path}[{key}]");
            (key.as_str(), At { value, path })
        })
    }

    pub(super) fn text(&self) -> &'a str {
        self.value.as_str().unwrap_or_default()
    }

    pub(super) fn int(&self) -> Option<i64> {
        self.value.as_i64()
    }

    pub(super) fn is(&self, text: &str) -> bool {
        self.text() == text
    }

    pub(super) fn is_true(&self) -> bool {
        self.value == &Value::Bool(true)
    }

    /// Not nil.
    pub(super) fn is_set(&self) -> bool {
        !self.value.is_null()
    }

    /// Elements of a list or map.
    pub(super) fn len(&self) -> usize {
        match self.value {
            Value::Array(items) => items.len(),
            Value::Object(map) => map.len(),
            Value::String(text) => text.len(),
            _ => 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value as messages print it.
    pub(super) fn shown(&self) -> String {
        shown(self.value)
    }

    /// The strings of a list.
    pub(super) fn texts(&self) -> Vec<&'a str> {
        let items = self.value.as_array().into_iter().flatten();
        items.map(|one| one.as_str().unwrap_or_default()).collect()
    }
}

/// Strings quoted, numbers bare, the rest as Go writes JSON: without `<`, `>` and `&`.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(_) | Value::Object(_) => value
            .to_string()
            .replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026"),
        other => other.to_string(),
    }
}

/// What is wrong with an object, in the order of finding.
#[derive(Debug, Default)]
pub(super) struct Errors(pub(super) Vec<FieldError>);

impl Errors {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn required(&mut self, at: &At<'_>, detail: impl Into<String>) {
        self.0.push(FieldError::required(&at.path, detail));
    }

    /// For a value that is there.
    pub(super) fn invalid(&mut self, at: &At<'_>, detail: impl Into<String>) {
        self.0
            .push(FieldError::invalid(&at.path, at.shown(), detail));
    }

    /// For a string, which is `""` where there is none.
    pub(super) fn bad_text(&mut self, at: &At<'_>, detail: impl Into<String>) {
        let shown = quoted(at.text());
        self.0.push(FieldError::invalid(&at.path, shown, detail));
    }

    /// For a number, which is 0 where there is none.
    pub(super) fn bad_int(&mut self, at: &At<'_>, detail: impl Into<String>) {
        let shown = at.int().unwrap_or(0).to_string();
        self.0.push(FieldError::invalid(&at.path, shown, detail));
    }

    /// For a value other than the one at the place.
    pub(super) fn bad_value(
        &mut self,
        at: &At<'_>,
        shown: impl Into<String>,
        detail: impl Into<String>,
    ) {
        self.0.push(FieldError::invalid(&at.path, shown, detail));
    }

    /// One error for each message about a string.
    pub(super) fn bad_texts(&mut self, at: &At<'_>, messages: Vec<String>) {
        for message in messages {
            self.bad_text(at, message);
        }
    }

    pub(super) fn forbidden(&mut self, at: &At<'_>, detail: impl Into<String>) {
        self.0.push(FieldError::forbidden(&at.path, detail));
    }

    pub(super) fn duplicate(&mut self, at: &At<'_>) {
        self.0.push(FieldError::duplicate(&at.path, at.shown()));
    }

    pub(super) fn not_found(&mut self, at: &At<'_>) {
        let shown = quoted(at.text());
        self.0.push(FieldError::not_found(&at.path, shown));
    }

    pub(super) fn not_supported(&mut self, at: &At<'_>, supported: &[&str]) {
        let error = FieldError::not_supported(&at.path, at.text(), supported);
        self.0.push(error);
    }

    pub(super) fn too_long(&mut self, at: &At<'_>, limit: usize) {
        self.0.push(FieldError::too_long(&at.path, limit));
    }

    pub(super) fn too_many(&mut self, at: &At<'_>, limit: usize) {
        self.0.push(FieldError::too_many(&at.path, at.len(), limit));
    }

    pub(super) fn internal(&mut self, at: &At<'_>, detail: impl Into<String>) {
        let error = FieldError::new(FieldErrorKind::Internal, &at.path, "", detail);
        self.0.push(error);
    }

    /// One of some words; nothing is `Required value`.
    pub(super) fn one_of(&mut self, at: &At<'_>, words: &[&str]) {
        if at.is_empty() {
            self.required(at, "");
        } else if !words.contains(&at.text()) {
            self.not_supported(at, words);
        }
    }

    pub(super) fn not_negative(&mut self, at: &At<'_>) {
        if at.int().is_some_and(|number| number < 0) {
            self.bad_int(at, "must be greater than or equal to 0");
        }
    }

    /// What may not change.
    pub(super) fn immutable(&mut self, new: &At<'_>, old: &At<'_>) {
        if new.value != old.value {
            self.invalid(new, IMMUTABLE);
        }
    }
}

pub(super) const IMMUTABLE: &str = "field is immutable";
