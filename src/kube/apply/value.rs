//! Values as server-side apply compares, orders and prints them.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// Whether two values are the same: 1 and 1.0 are, the order of fields does not count.
pub(super) fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => numbers(one, other) == Ordering::Equal,
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let same = |(key, value)| other.get(key).is_some_and(|other| equal(value, other));
            one.len() == other.len() && one.iter().all(same)
        }
        _ => one == other,
    }
}

/// A total order: numbers, strings, booleans, lists, maps, null.
pub(super) fn order(one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => numbers(one, other),
        (Value::String(one), Value::String(other)) => one.cmp(other),
        (Value::Bool(one), Value::Bool(other)) => one.cmp(other),
        (Value::Array(one), Value::Array(other)) => {
            let pairs = one.iter().zip(other).map(|(one, other)| order(one, other));
            first_difference(pairs).then(one.len().cmp(&other.len()))
        }
        (Value::Object(one), Value::Object(other)) => {
            let sorted = |fields: &serde_json::Map<String, Value>| {
                let mut fields: Vec<_> = fields.clone().into_iter().collect();
                fields.sort_by(|one, other| one.0.cmp(&other.0));
                fields
            };
            let (one, other) = (sorted(one), sorted(other));
            let pairs = one.iter().zip(&other);
            let pairs =
                pairs.map(|(one, other)| one.0.cmp(&other.0).then_with(|| order(&one.1, &other.1)));
            first_difference(pairs).then(one.len().cmp(&other.len()))
        }
        _ => rank(one).cmp(&rank(other)),
    }
}

fn first_difference(mut pairs: impl Iterator<Item = Ordering>) -> Ordering {
    pairs
        .find(|ordering| ordering.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Number(_) => 0,
        Value::String(_) => 1,
        Value::Bool(_) => 2,
        Value::Array(_) => 3,
        Value::Object(_) => 4,
        Value::Null => 5,
    }
}

fn numbers(one: &Number, other: &Number) -> Ordering {
    match (one.as_i64(), other.as_i64()) {
        (Some(one), Some(other)) => one.cmp(&other),
        _ => {
            let float = |number: &Number| number.as_f64().unwrap_or_default();
            float(one).total_cmp(&float(other))
        }
    }
}

/// As paths in messages show it.
pub(super) fn print(value: &Value) -> String {
    match value {
        Value::String(text) => crate::kube::field::quoted(text),
        Value::Array(elements) => {
            let elements: Vec<_> = elements.iter().map(print).collect();
            format!("[{}]", elements.join(","))
        }
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(key, value)| format!("{key}={}", print(value)));
            fields.collect()
        }
        other => other.to_string(),
    }
}

/// As Go's JSON encoder writes it: keys in order, `<`, `>` and `&` escaped. A whole float is written as the integer.
pub(super) fn go_json(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            let field =
                |(key, value): (&String, &Value)| format!("{}:{}", go_string(key), go_json(value));
            let fields: Vec<_> = fields.into_iter().map(field).collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(elements) => {
            let elements: Vec<_> = elements.iter().map(go_json).collect();
            format!("[{}]", elements.join(","))
        }
        Value::String(text) => go_string(text),
        Value::Number(number) if number.is_f64() => {
            let text = number.to_string();
            text.strip_suffix(".0")
                .map_or_else(|| text.clone(), str::to_owned)
        }
        other => other.to_string(),
    }
}

fn go_string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    for one in Value::from(text).to_string().chars() {
        match one {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(one)));
            }
            other => quoted.push(other),
        }
    }
    quoted
}
