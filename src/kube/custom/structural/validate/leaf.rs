//! Values by themselves: their type, their text, and whether they are among those that there may be.

use serde_json::Value;

use super::problem::{At, Outcome};
use super::{Types, count, number};
use crate::kube::custom::structural::value::{Num, json, quoted, shown};
use crate::kube::custom::structural::{SchemaType, Structural, pattern};

/// Whether a value is of a type. What the release's validator does with formats of other types is odd, and visible.
pub(super) fn of_type(value: &Value, types: Types, format: &str, at: &At<'_>) -> Outcome {
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
pub(super) fn format_of_numbers(types: Types, format: &str) -> &str {
    match (types.one(), format) {
        (Some(SchemaType::Integer), "int32" | "int64")
        | (Some(SchemaType::Number), "float" | "double") => format,
        _ => "",
    }
}

pub(super) fn string(schema: &Structural, text: &str, at: &At<'_>, outcome: &mut Outcome) {
    let checks = &schema.checks;
    let pattern = &*checks.pattern;
    if checks.max_length.is_some() || checks.min_length.is_some() {
        let length = count(text.chars().count());
        if let Some(most) = checks.max_length.filter(|most| length > *most) {
            return outcome.too_long(at, most);
        }
        if let Some(least) = checks.min_length.filter(|least| length < *least) {
            let rest = format!("should be at least {least} chars long");
            return outcome.invalid(at, quoted(text), &rest);
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
    outcome.invalid(at, quoted(text), &rest);
}

pub(super) fn enumeration(schema: &Structural, value: &Value, at: &At<'_>, outcome: &mut Outcome) {
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

pub(super) fn has_duplicates(items: &[Value]) -> bool {
    let mut seen = std::collections::HashSet::with_capacity(items.len());
    !items.iter().all(|item| seen.insert(json(item)))
}
