//! Whether a value is what its schema says, in the words of the validator that kube-apiserver uses.
//!
//! That validator looks at a value from eight sides, one after the other: type, junctions, strings, formats, numbers, lists,
//! the enumeration, objects. It counts how much of a schema was right, because of alternatives that all fail the one that
//! failed least is told; [`Outcome`] keeps that count. Recursion is as deep as the schema, or as the value where that ends
//! sooner: neither is deeper than [`crate::kube::object::MAX_DEPTH`].

mod junctions;
mod leaf;
mod number;
mod problem;
mod ratchet;

use serde_json::{Map, Value};

use self::junctions::junctions;
use self::leaf::{enumeration, format_of_numbers, has_duplicates, of_type, string};
use self::problem::{At, Outcome};
use self::ratchet::Correlated;
use super::formats;
use super::value::Num;
use super::{Additional, SchemaType, Structural};
use crate::kube::field::FieldError;

/// What is wrong with an object.
///
/// With an `old` one, what has not changed since then is not told. That is for updates: a schema may have become stricter than
/// what is stored.
pub fn validate(schema: &Structural, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    validate_at(schema, "", object, old)
}

/// [`validate`] for a part of an object, such as its status, whose path is `base`.
pub fn validate_at(
    schema: &Structural,
    base: &str,
    value: &Value,
    old: Option<&Value>,
) -> Vec<FieldError> {
    let old = old.map(|old| Correlated {
        new: value,
        old,
        schema,
    });
    let walk = Walk { of_default: false };
    walk.correlated(schema, value, &At::Root, old)
        .into_errors(base)
}

/// [`validate_at`] for a default, which is checked against the structure alone: any format counts, and there is no
/// type but the one that is named.
pub(super) fn validate_default(schema: &Structural, base: &str, value: &Value) -> Vec<FieldError> {
    let walk = Walk { of_default: true };
    walk.value(schema, value, &At::Root, None).into_errors(base)
}

#[derive(Clone, Copy)]
struct Walk {
    of_default: bool,
}

/// The types that a node allows; none if it allows all.
#[derive(Clone, Copy)]
enum Types {
    Any,
    One(SchemaType),
    IntOrString,
}

impl Types {
    fn has(self, of: SchemaType) -> bool {
        match self {
            Self::Any => false,
            Self::One(one) => one == of,
            Self::IntOrString => matches!(of, SchemaType::Integer | SchemaType::String),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Any => "",
            Self::One(one) => one.name(),
            Self::IntOrString => "integer,string",
        }
    }

    fn one(self) -> Option<SchemaType> {
        match self {
            Self::One(one) => Some(one),
            _ => None,
        }
    }
}

impl Walk {
    fn types(self, schema: &Structural) -> Types {
        match schema.of {
            _ if schema.int_or_string && !self.of_default => Types::IntOrString,
            Some(one) => Types::One(one),
            None => Types::Any,
        }
    }

    /// The format that counts: those that nothing is known of say nothing.
    fn format(self, schema: &Structural, types: Types) -> &str {
        let format = &*schema.checks.format;
        let known = match types {
            Types::Any | Types::IntOrString | Types::One(SchemaType::String) => {
                formats::is_known(format)
            }
            Types::One(SchemaType::Integer) => matches!(format, "int32" | "int64"),
            Types::One(SchemaType::Number) => matches!(format, "float" | "double"),
            Types::One(_) => false,
        };
        if known || self.of_default { format } else { "" }
    }

    /// [`Self::value`] of something that may have been there before.
    fn correlated(
        self,
        schema: &Structural,
        value: &Value,
        at: &At<'_>,
        old: Option<Correlated<'_>>,
    ) -> Outcome {
        let mut outcome = self.value(schema, value, at, old);
        if !outcome.is_valid() && old.is_some_and(|old| old.is_same()) {
            outcome.forgive();
        }
        outcome
    }

    fn value(
        self,
        schema: &Structural,
        value: &Value,
        at: &At<'_>,
        old: Option<Correlated<'_>>,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let types = self.types(schema);
        let format = self.format(schema, types);
        if value.is_null() {
            if matches!(types, Types::Any) || schema.nullable {
                outcome.matches += 1;
            } else {
                outcome.mistyped(at, types.name(), "null");
            }
            enumeration(schema, value, at, &mut outcome);
            return outcome;
        }
        if !matches!(types, Types::Any) || !format.is_empty() {
            outcome.merge(of_type(value, types, format, at));
            outcome.matches += 1;
        }
        // Within junctions nothing is forgiven but with the whole value.
        let each = |one: &Structural| self.value(one, value, at, None);
        outcome.merge(junctions(schema, each, at));
        outcome.matches += 1;
        match value {
            Value::String(text) => {
                string(schema, text, at, &mut outcome);
                outcome.matches += 1;
                if let Some(valid) = formats::judge(format, text) {
                    if !valid {
                        outcome.mistyped(at, format, text);
                    }
                    outcome.matches += 1;
                }
            }
            Value::Number(one) => {
                let checked = format_of_numbers(types, format);
                let of = types.one();
                let one = Num::of(one);
                outcome.merge(number::number(one, &schema.checks, of, checked, at));
                outcome.matches += 1;
            }
            Value::Array(items) => {
                outcome.merge(self.list(schema, items, at, old));
                outcome.matches += 1;
            }
            _ => {}
        }
        enumeration(schema, value, at, &mut outcome);
        outcome.matches += 1;
        if let Value::Object(map) = value {
            outcome.merge(self.object(schema, map, at, old));
            outcome.matches += 1;
        }
        outcome.matches += 1;
        outcome
    }

    fn list(
        self,
        schema: &Structural,
        items: &[Value],
        at: &At<'_>,
        old: Option<Correlated<'_>>,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        if let Some(inner) = schema.items.as_deref() {
            let old_items = old.and_then(|old| Some((old, old.items()?)));
            for (index, item) in items.iter().enumerate() {
                let old = old_items
                    .as_ref()
                    .and_then(|(old, items)| old.item(items, item));
                let at = At::Item(at, index);
                outcome.merge(self.correlated(inner, item, &at, old));
            }
        }
        let (checks, size) = (&schema.checks, count(items.len()));
        if let Some(least) = checks.min_items.filter(|least| size < *least) {
            let rest = format!("should have at least {least} items");
            outcome.invalid(at, size.to_string(), &rest);
        }
        if let Some(most) = checks.max_items.filter(|most| size > *most) {
            outcome.too_many(at, "items", size, most);
        }
        if checks.unique_items && has_duplicates(items) {
            outcome.invalid(at, "\"\"".into(), "shouldn't contain duplicates");
        }
        outcome.matches += 1;
        outcome
    }

    fn object(
        self,
        schema: &Structural,
        map: &Map<String, Value>,
        at: &At<'_>,
        old: Option<Correlated<'_>>,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let (checks, size) = (&schema.checks, count(map.len()));
        if let Some(least) = checks.min_properties.filter(|least| size < *least) {
            let rest = format!("should have at least {least} properties");
            outcome.invalid(at, size.to_string(), &rest);
        }
        if let Some(most) = checks.max_properties.filter(|most| size > *most) {
            outcome.too_many(at, "properties", size, most);
        }
        // Kinds and versions are converted before they come here: their old values say nothing.
        let old_field = |name: &str| {
            let is_type = at.is_root() && matches!(name, "kind" | "apiVersion");
            old.filter(|_| !is_type).and_then(|old| old.field(name))
        };
        let unnamed = map
            .iter()
            .filter(|(key, _)| !schema.properties.contains_key(key.as_str()));
        for (key, value) in unnamed {
            match &schema.additional {
                Additional::Allowed(false) => outcome.unwanted(at, key),
                Additional::Of(inner) => {
                    let at = At::Key(at, key);
                    outcome.merge(self.correlated(inner, value, &at, old_field(key)));
                }
                _ => {}
            }
        }
        for (name, inner) in &schema.properties {
            if let Some(value) = map.get(&**name) {
                let at = At::Field(at, name);
                outcome.merge(self.correlated(inner, value, &at, old_field(name)));
            }
        }
        for name in &checks.required {
            if !map.contains_key(&**name) {
                outcome.required(&At::Key(at, name));
            }
        }
        outcome
    }
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
