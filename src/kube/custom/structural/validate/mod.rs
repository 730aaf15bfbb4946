//! Whether a value is what its schema says, in the words of the validator that kube-apiserver uses.
//!
//! That validator looks at a value from eight sides, one after the other: type, junctions, strings, formats, numbers, lists,
//! the enumeration, objects. It counts how much of a schema was right, because of alternatives that all fail the one that
//! failed least is told; [`Outcome`] keeps that count. Recursion is as deep as the schema, or as the value where that ends
//! sooner: neither is deeper than [`crate::kube::object::MAX_DEPTH`].

mod number;
mod problem;
mod ratchet;

use serde_json::{Map, Value};

use self::problem::{At, Outcome};
use self::ratchet::Correlated;
use super::formats;
use super::pattern;
use super::value::{Num, shown};
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
        outcome.merge(self.junctions(schema, value, at));
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

    /// Within junctions nothing is forgiven but with the whole value.
    fn junctions(self, schema: &Structural, value: &Value, at: &At<'_>) -> Outcome {
        let mut outcome = Outcome::default();
        let junctions = &schema.junctions;
        let each = |one: &Structural| self.value(one, value, at, None);
        if !junctions.any_of.is_empty() {
            any_of(&junctions.any_of, each, at, &mut outcome);
        }
        if !junctions.one_of.is_empty() {
            one_of(&junctions.one_of, each, at, &mut outcome);
        }
        if !junctions.all_of.is_empty() {
            let mut valid = 0;
            for one in &junctions.all_of {
                let result = each(one);
                valid += usize::from(result.is_valid());
                outcome.merge(result);
            }
            if valid != junctions.all_of.len() {
                let none = if valid == 0 { ". None validated" } else { "" };
                let path = shown_path(at);
                outcome.plain(format!(
                    "{path} must validate all the schemas (allOf){none}"
                ));
            }
        }
        if let Some(not) = &junctions.not
            && each(not).is_valid()
        {
            let path = shown_path(at);
            outcome.plain(format!("{path} must not validate the schema (not)"));
        }
        outcome.matches += 1;
        outcome
    }
}

fn shown_path(at: &At<'_>) -> String {
    super::value::quoted(&at.path())
}

fn any_of(
    schemas: &[Structural],
    each: impl Fn(&Structural) -> Outcome,
    at: &At<'_>,
    outcome: &mut Outcome,
) {
    let mut best: Option<Outcome> = None;
    for schema in schemas {
        let result = each(schema);
        if result.is_valid() {
            outcome.merge(result);
            return;
        }
        if best
            .as_ref()
            .is_none_or(|best| result.matches > best.matches)
        {
            best = Some(result);
        }
    }
    let path = shown_path(at);
    outcome.plain(format!("{path} must validate at least one schema (anyOf)"));
    outcome.merge(best.unwrap_or_default());
}

fn one_of(
    schemas: &[Structural],
    each: impl Fn(&Structural) -> Outcome,
    at: &At<'_>,
    outcome: &mut Outcome,
) {
    let (mut best, mut first, mut valid): (Option<Outcome>, Option<Outcome>, usize) =
        (None, None, 0);
    for schema in schemas {
        let result = each(schema);
        if result.is_valid() {
            valid += 1;
            best = None;
            first.get_or_insert(result);
        } else if valid == 0
            && best
                .as_ref()
                .is_none_or(|best| result.matches > best.matches)
        {
            best = Some(result);
        }
    }
    if valid == 1 {
        outcome.merge(first.unwrap_or_default());
        return;
    }
    let found = match valid {
        0 => "Found none valid".to_owned(),
        valid => format!("Found {valid} valid alternatives"),
    };
    let path = shown_path(at);
    outcome.plain(format!(
        "{path} must validate one and only one schema (oneOf). {found}"
    ));
    outcome.merge(best.unwrap_or_default());
}

/// Whether a value is of a type. What the release's validator does with formats of other types is odd, and visible.
fn of_type(value: &Value, types: Types, format: &str, at: &At<'_>) -> Outcome {
    let mut outcome = Outcome::default();
    let (of, of_format) = match value {
        Value::Bool(_) => (SchemaType::Boolean, ""),
        Value::Number(number) => match Num::of(number) {
            Num::Int(_) => (SchemaType::Integer, "int64"),
            Num::Float(_) => (SchemaType::Number, "float64"),
        },
        Value::Array(_) => (SchemaType::Array, ""),
        Value::Object(_) => (SchemaType::Object, ""),
        Value::String(_) | Value::Null => (SchemaType::String, ""),
    };
    let float = value.as_f64().unwrap_or_default();
    let as_integer =
        of == SchemaType::Number && types.has(SchemaType::Integer) && number::is_whole(float);
    let as_number = of == SchemaType::Integer && types.has(SchemaType::Number);
    let fits = types.has(of) || as_integer || as_number;
    let textual = matches!(of, SchemaType::String | SchemaType::Array);
    let numeric = types.has(SchemaType::Number) || types.has(SchemaType::Integer);
    if !textual && !format.is_empty() && !fits && format != of_format {
        outcome.mistyped(at, format, of_format);
    } else if (textual && !numeric && !format.is_empty()) || fits {
        outcome.matches += 1;
    } else {
        outcome.mistyped(at, types.name(), of.name());
    }
    outcome
}

/// Formats count for the one type that they are formats of.
fn format_of_numbers(types: Types, format: &str) -> &str {
    match (types.one(), format) {
        (Some(SchemaType::Integer), "int32" | "int64")
        | (Some(SchemaType::Number), "float" | "double") => format,
        _ => "",
    }
}

fn string(schema: &Structural, text: &str, at: &At<'_>, outcome: &mut Outcome) {
    let checks = &schema.checks;
    let pattern = &*checks.pattern;
    if checks.max_length.is_some() || checks.min_length.is_some() {
        let length = count(text.chars().count());
        if let Some(most) = checks.max_length.filter(|most| length > *most) {
            return outcome.too_long(at, most);
        }
        if let Some(least) = checks.min_length.filter(|least| length < *least) {
            let rest = format!("should be at least {least} chars long");
            return outcome.invalid(at, super::value::quoted(text), &rest);
        }
    }
    if pattern.is_empty() {
        return;
    }
    let rest = match pattern::matches(pattern, text) {
        Ok(true) => return,
        Ok(false) => format!("should match '{pattern}'"),
        Err(error) => format!("should match '{pattern}, but pattern is invalid: {error}'"),
    };
    outcome.invalid(at, super::value::quoted(text), &rest);
}

fn enumeration(schema: &Structural, value: &Value, at: &At<'_>, outcome: &mut Outcome) {
    let among = &schema.checks.enumeration;
    if !among.is_empty() && !among.iter().any(|one| is_one(value, one)) {
        outcome.not_supported(at, shown(value), among);
    }
}

/// Whether a value is one of an enumeration, converted to its type as Go converts: floats lose what lies behind the
/// point, and an integer becomes the character that it numbers.
fn is_one(value: &Value, one: &Value) -> bool {
    match (value, one) {
        (Value::Null, _) | (_, Value::Null) => false,
        (Value::Number(value), Value::Number(one)) => match (Num::of(value), Num::of(one)) {
            (Num::Int(value), Num::Int(one)) => value == one,
            (value, Num::Float(one)) => value.float() == one,
            #[expect(clippy::cast_possible_truncation, reason = "as Go converts")]
            (Num::Float(value), Num::Int(one)) => value as i64 == one,
        },
        (Value::Number(value), Value::String(one)) => {
            let Num::Int(value) = Num::of(value) else {
                return false;
            };
            let number = u32::try_from(value).ok();
            let character = number.and_then(char::from_u32).unwrap_or('\u{fffd}');
            let mut characters = one.chars();
            characters.next() == Some(character) && characters.next().is_none()
        }
        (value, one) => value == one,
    }
}

fn has_duplicates(items: &[Value]) -> bool {
    let mut seen = std::collections::HashSet::with_capacity(items.len());
    !items
        .iter()
        .all(|item| seen.insert(super::value::json(item)))
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
