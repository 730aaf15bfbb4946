//! Values of custom objects as Go prints them.

use serde_json::Value;

/// `%T` of a decoded value.
pub(super) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_i64() => "int64",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// `%v` of a decoded value.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::Bool(yes) => yes.to_string(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.to_string(),
            None => float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(shown).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            let entries = entries.into_iter();
            let entries: Vec<_> = entries
                .map(|(key, value)| format!("{key}:{}", shown(value)))
                .collect();
            format!("map[{}]", entries.join(" "))
        }
    }
}

/// A float as an integer, without what is behind the point; one that is too large is the least, as on the processors that
/// the release is built for.
pub(super) fn integer(value: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&value) {
        value as i64
    } else {
        i64::MIN
    }
}

/// A float as `%v` prints it: exponents below -4 and from 6 on, of at least two digits.
pub(super) fn float(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (1e-4..1e6).contains(&size) {
        return format!("{value}");
    }
    let text = format!("{value:e}");
    let Some((digits, exponent)) = text.split_once('e') else {
        return text;
    };
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_printed_as_go_prints_them() {
        for (value, text) in [
            (2.75, "2.75"),
            (-2.9, "-2.9"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (100_000.5, "100000.5"),
            (1_500_000.0, "1.5e+06"),
            (10_000_000.5, "1.00000005e+07"),
            (1e30, "1e+30"),
            (1e-100, "1e-100"),
        ] {
            assert_eq!(float(value), text);
        }
        assert_eq!((integer(-2.9), integer(1e30)), (-2, i64::MIN));
    }
}
