//! What schema validation finds wrong, and how field errors tell it.

use std::fmt::Write as _;

use indexmap::IndexMap;
use serde_json::Value;

use crate::kube::custom::structural::value::{json, quoted};
use crate::kube::field::{FieldError, FieldErrorKind};

/// Where the walk is; written out only if there is something to say.
#[derive(Debug, Clone, Copy)]
pub(super) enum At<'a> {
    Root,
    Field(&'a At<'a>, &'a str),
    /// A key of a map, which has its dot even at the root.
    Key(&'a At<'a>, &'a str),
    Item(&'a At<'a>, usize),
}

impl At<'_> {
    pub(super) fn path(&self) -> String {
        let mut path = String::new();
        self.write(&mut path);
        path
    }

    pub(super) fn is_root(&self) -> bool {
        matches!(self, Self::Root)
    }

    fn write(&self, path: &mut String) {
        match self {
            Self::Root => {}
            Self::Field(parent, name) => {
                parent.write(path);
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
            }
            Self::Key(parent, key) => {
                parent.write(path);
                path.push('.');
                path.push_str(key);
            }
            Self::Item(parent, at) => {
                parent.write(path);
                // Writing to a string does not fail.
                let _ = write!(path, "[{at}]");
            }
        }
    }
}

/// One thing that is wrong, but for its message, which tells it from others.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Problem {
    /// None for what is told of no field.
    path: Option<String>,
    what: What,
}

#[derive(Debug, Clone, PartialEq)]
enum What {
    Required,
    /// The value, and those that there may be.
    NotSupported(String, Vec<String>),
    TooLong(i64),
    TooMany(i64, i64),
    /// The value as it is printed.
    Type(String),
    Invalid(String),
}

/// What came of checking a value against one node.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// By their messages: none is told twice.
    problems: IndexMap<String, Problem>,
    /// How much was right: of alternatives that all fail, the best is told.
    pub(super) matches: usize,
}

impl Outcome {
    pub(super) fn is_valid(&self) -> bool {
        self.problems.is_empty()
    }

    /// Nothing is wrong after all.
    pub(super) fn forgive(&mut self) {
        self.problems.clear();
    }

    pub(super) fn merge(&mut self, other: Outcome) {
        self.matches += other.matches;
        if self.problems.is_empty() {
            self.problems = other.problems;
            return;
        }
        for (message, problem) in other.problems {
            self.problems.entry(message).or_insert(problem);
        }
    }

    fn add(&mut self, message: String, path: Option<String>, what: What) {
        let entry = self.problems.entry(message);
        entry.or_insert(Problem { path, what });
    }

    /// Told of no field.
    pub(super) fn plain(&mut self, message: String) {
        self.add(message, None, What::Invalid("\"\"".into()));
    }

    /// The factor that values should be multiples of is none.
    pub(super) fn bad_factor(&mut self, at: &At<'_>, factor: String) {
        let path = at.path();
        let message = format!("factor MultipleOf declared for {path} must be positive: {factor}");
        self.add(message, Some(path), What::Invalid(factor));
    }

    /// `{path} in body {rest}`; `value` as it is printed.
    pub(super) fn invalid(&mut self, at: &At<'_>, value: String, rest: &str) {
        let path = at.path();
        let message = format!("{path} in body {rest}");
        self.add(message, Some(path), What::Invalid(value));
    }

    /// `what` stands where there should be something `of` a type.
    pub(super) fn mistyped(&mut self, at: &At<'_>, of: &str, what: &str) {
        let (path, what) = (at.path(), quoted(what));
        let message = format!("{path} in body must be of type {of}: {what}");
        self.add(message, Some(path), What::Type(what));
    }

    pub(super) fn required(&mut self, at: &At<'_>) {
        let path = at.path();
        self.add(
            format!("{path} in body is required"),
            Some(path),
            What::Required,
        );
    }

    pub(super) fn too_long(&mut self, at: &At<'_>, limit: i64) {
        let path = at.path();
        let message = format!("{path} in body should be at most {limit} chars long");
        self.add(message, Some(path), What::TooLong(limit));
    }

    /// `of` is `items` or `properties`.
    pub(super) fn too_many(&mut self, at: &At<'_>, of: &str, actual: i64, limit: i64) {
        let path = at.path();
        let message = format!("{path} in body should have at most {limit} {of}");
        self.add(message, Some(path), What::TooMany(actual, limit));
    }

    /// `key` is a field that there may not be.
    pub(super) fn unwanted(&mut self, at: &At<'_>, key: &str) {
        let path = at.path();
        let message = format!("{path}.{key} in body is a forbidden property");
        self.add(message, Some(path), What::Invalid(quoted(key)));
    }

    pub(super) fn not_supported(&mut self, at: &At<'_>, value: String, among: &[Value]) {
        let path = at.path();
        let among: Vec<String> = among
            .iter()
            .map(|one| match one {
                Value::String(text) => text.clone(),
                other => json(other),
            })
            .collect();
        let message = format!("{path} in body should be one of {among:?}");
        self.add(message, Some(path), What::NotSupported(value, among));
    }

    /// As errors about fields below `base`.
    pub(super) fn into_errors(self, base: &str) -> Vec<FieldError> {
        let problems = self.problems.into_iter();
        problems
            .map(|(message, problem)| problem.told(base, message))
            .collect()
    }
}

impl Problem {
    fn told(self, base: &str, message: String) -> FieldError {
        let path = match self.path.as_deref() {
            None | Some("" | ".") if base.is_empty() => "<nil>".to_owned(),
            None | Some("" | ".") => base.to_owned(),
            Some(path) => {
                let path = path.strip_prefix('.').unwrap_or(path);
                if base.is_empty() {
                    path.to_owned()
                } else {
                    format!("{base}.{path}")
                }
            }
        };
        match self.what {
            What::Required => FieldError::required(path, ""),
            What::NotSupported(value, among) => {
                let among: Vec<String> = among.iter().map(|one| quoted(one)).collect();
                let detail = format!("supported values: {}", among.join(", "));
                FieldError::new(FieldErrorKind::NotSupported, path, value, detail)
            }
            What::TooLong(limit) => {
                let bytes = if limit == 1 { "byte" } else { "bytes" };
                let detail = match limit {
                    0.. => format!("may not be more than {limit} {bytes}"),
                    _ => "value is too long".into(),
                };
                FieldError::new(FieldErrorKind::TooLong, path, "", detail)
            }
            What::TooMany(actual, limit) => {
                let items = if limit == 1 { "item" } else { "items" };
                let detail = match limit {
                    0.. => format!("must have at most {limit} {items}"),
                    _ => "has too many items".into(),
                };
                FieldError::new(FieldErrorKind::TooMany, path, actual.to_string(), detail)
            }
            What::Type(value) => FieldError::new(FieldErrorKind::TypeInvalid, path, value, message),
            What::Invalid(value) => FieldError::invalid(path, value, message),
        }
    }
}
