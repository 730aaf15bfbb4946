//! Values as Go has them: two kinds of numbers, and the ways of printing them.

use serde_json::{Number, Value};

/// A number as Go's decoder keeps it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Num {
    Int(i64),
    Float(f64),
}

impl Num {
    pub(super) fn of(number: &Number) -> Self {
        match number.as_i64() {
            Some(int) => Self::Int(int),
            None => Self::Float(number.as_f64().unwrap_or_default()),
        }
    }

    pub(super) fn float(self) -> f64 {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "as the release compares them")]
            Self::Int(int) => int as f64,
            Self::Float(float) => float,
        }
    }

    /// `%v`.
    pub(super) fn shown(self) -> String {
        match self {
            Self::Int(int) => int.to_string(),
            Self::Float(float) => shown_float(float),
        }
    }
}

/// `%v` of a float: the shortest digits, with an exponent of two digits from 1e6 on and below 1e-4.
pub(super) fn shown_float(float: f64) -> String {
    let size = float.abs();
    if size == 0.0 || (1e-4..1e6).contains(&size) {
        return format!("{float}");
    }
    let text = format!("{float:e}");
    let Some((digits, exponent)) = text.split_once('e') else {
        return text;
    };
    match exponent.strip_prefix('-') {
        Some(exponent) => format!("{digits}e-{exponent:0>2}"),
        None => format!("{digits}e+{exponent:0>2}"),
    }
}

/// `strconv.Quote`: what cannot be printed is escaped.
pub(super) fn quoted(text: &str) -> String {
    crate::kube::object::quote(text)
}

/// A value as field errors print it: strings in quotes, scalars bare, the rest as JSON.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Number(number) => Num::of(number).shown(),
        Value::Bool(yes) => yes.to_string(),
        other => json(other),
    }
}

/// A value as Go's encoder writes it: keys sorted, and nothing that HTML could stumble over.
///
/// As deep as the value, whose depth is bounded by [`crate::kube::object::MAX_DEPTH`].
pub(super) fn json(value: &Value) -> String {
    let mut text = String::new();
    write_json(value, &mut text);
    text
}

fn write_json(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write_json(item, text);
            }
            text.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            text.push('{');
            for (at, (key, value)) in entries.into_iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write_text(key, text);
                text.push(':');
                write_json(value, text);
            }
            text.push('}');
        }
        Value::String(one) => write_text(one, text),
        Value::Number(number) => text.push_str(&match Num::of(number) {
            Num::Int(int) => int.to_string(),
            Num::Float(float) => json_float(float),
        }),
        other => text.push_str(&other.to_string()),
    }
}

/// A float in JSON: an exponent from 1e21 on and below 1e-6, of as few digits as it takes.
fn json_float(float: f64) -> String {
    let size = float.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return format!("{float}");
    }
    let text = format!("{float:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
        _ => text,
    }
}

fn write_text(one: &str, text: &mut String) {
    for part in Value::from(one).to_string().chars() {
        match part {
            '<' => text.push_str("\\u003c"),
            '>' => text.push_str("\\u003e"),
            '&' => text.push_str("\\u0026"),
            '\u{2028}' => text.push_str("\\u2028"),
            '\u{2029}' => text.push_str("\\u2029"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn floats_are_printed_as_go_does() {
        for (float, shown, written) in [
            (10.0, "10", "10"),
            (0.1, "0.1", "0.1"),
            (1e-5, "1e-05", "0.00001"),
            (1.5e-7, "1.5e-07", "1.5e-7"),
            (123_456.7, "123456.7", "123456.7"),
            (1e6, "1e+06", "1000000"),
            (1e20, "1e+20", "100000000000000000000"),
            (1e21, "1e+21", "1e+21"),
            (-2.5e300, "-2.5e+300", "-2.5e+300"),
        ] {
            assert_eq!(
                (&*shown_float(float), &*json_float(float)),
                (shown, written)
            );
        }
    }

    #[test]
    fn values_are_printed_as_go_does() {
        for (value, expected) in [
            (json!("a\"\u{7f}"), r#""a\"\x7f""#),
            (
                json!({"b": [1, "<"], "a": null}),
                r#"{"a":null,"b":[1,"\u003c"]}"#,
            ),
            (json!(18446744073709551615_u64), "1.8446744073709552e+19"),
            (json!(null), "null"),
        ] {
            assert_eq!(shown(&value), expected);
        }
    }
}
