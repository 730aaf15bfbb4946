//! What a scalar means: YAML 1.1's words, Go's numbers.

use granit_parser::{ScalarStyle, Tag};

use super::Scalar;
use crate::kube::object::{leaf, time};

/// The meaning of a scalar in its style, with its tag.
///
/// # Errors
/// The tag says what the text is not.
pub(super) fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Scalar, String> {
    let tag = tag.map(|tag| tag.core_suffix().unwrap_or(tag.suffix()));
    match tag {
        None if style == ScalarStyle::Plain => Ok(resolve(text)),
        None | Some("str") => Ok(Scalar::String(text.into())),
        Some("binary") => {
            let bytes = leaf::decode_base64(text.as_bytes())
                .map_err(|_| "yaml: !!binary value contains invalid base64 data")?;
            Ok(Scalar::String(String::from_utf8_lossy(&bytes).into_owned()))
        }
        Some(wanted) => {
            let resolved = resolve(text);
            let is = match &resolved {
                Scalar::Null => "null",
                Scalar::Bool(_) => "bool",
                Scalar::Int(_) | Scalar::Uint(_) => "int",
                Scalar::Float(_) => "float",
                Scalar::String(_) => "str",
                Scalar::Merge => "merge",
            };
            match (wanted, resolved) {
                ("float", Scalar::Int(value)) => Ok(Scalar::Float(value as f64)),
                ("bool" | "int" | "float" | "null", resolved) if is == wanted => Ok(resolved),
                ("bool" | "int" | "float" | "null", _) => Err(format!(
                    "yaml: cannot decode !!{is} `{text}` as a !!{wanted}"
                )),
                _ => Ok(Scalar::String(text.into())),
            }
        }
    }
}

/// What a plain scalar means.
fn resolve(text: &str) -> Scalar {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Scalar::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Scalar::Bool(false)
        }
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
        "<<" => Scalar::Merge,
        _ if text.starts_with(|first: char| matches!(first, '0'..='9' | '+' | '-' | '.')) => {
            numeric(text)
        }
        _ => Scalar::String(text.into()),
    }
}

/// Whether plain text is taken for a string and nothing else, by the release's encoder.
pub(super) fn is_plain_string(text: &str) -> bool {
    matches!(resolve(text), Scalar::String(_) | Scalar::Merge)
        && !is_timestamp(text)
        && !is_sexagesimal(text)
}

/// `2001-12-14`, `2001-12-14T21:59:43.10-05:00`, `2001-12-14 21:59:43`, with short fields too.
fn is_timestamp(text: &str) -> bool {
    fn take(text: &str, most: i64) -> Option<(i64, &str)> {
        let digits = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
        let (value, rest) = text.split_at_checked(digits)?;
        Some((value.parse().ok().filter(|value| *value <= most)?, rest))
    }
    fn clock(text: &str) -> Option<&str> {
        let (_, rest) = take(text, 23)?;
        let (_, rest) = take(rest.strip_prefix(':')?, 59)?;
        let (_, rest) = take(rest.strip_prefix(':')?, 59)?;
        let Some(fraction) = rest.strip_prefix(['.', ',']) else {
            return Some(rest);
        };
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        fraction.get(digits..).filter(|_| digits > 0)
    }
    fn whole(text: &str) -> Option<bool> {
        let (year, rest) = text.split_at_checked(4)?;
        let year: i64 = year
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| year.parse().ok())??;
        let (month, rest) = take(rest.strip_prefix('-')?, 12)?;
        let (day, rest) = take(rest.strip_prefix('-')?, 31)?;
        if month == 0 || day == 0 || day > time::days_in(month, year) {
            return None;
        }
        if rest.is_empty() {
            return Some(true);
        }
        if let Some(rest) = rest.strip_prefix(' ') {
            return Some(clock(rest.trim_start_matches(' '))?.is_empty());
        }
        let zone = clock(rest.strip_prefix(['T', 't'])?)?;
        let Some(zone) = zone.strip_prefix(['+', '-']) else {
            return Some(zone == "Z");
        };
        let (hours, minutes) = zone.split_once(':')?;
        Some(
            hours.len() == 2
                && take(hours, 24)?.1.is_empty()
                && minutes.len() == 2
                && take(minutes, 60)?.1.is_empty(),
        )
    }
    whole(text) == Some(true)
}

/// `1:30`, a number to base 60 for older parsers: `[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?`.
fn is_sexagesimal(text: &str) -> bool {
    let mut parts = text.strip_prefix(['-', '+']).unwrap_or(text).split(':');
    let first = parts.next().unwrap_or_default();
    if !first.starts_with(|one: char| one.is_ascii_digit())
        || !first
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'_')
    {
        return false;
    }
    let parts: Vec<_> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return false;
    };
    let (last, decimals) = last.split_once('.').unwrap_or((last, ""));
    let sixty = |part: &str| match part.as_bytes() {
        [digit] => digit.is_ascii_digit(),
        [ten, digit] => matches!(ten, b'0'..=b'5') && digit.is_ascii_digit(),
        _ => false,
    };
    middle.iter().all(|part| sixty(part))
        && sixty(last)
        && decimals
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'_')
}

fn numeric(text: &str) -> Scalar {
    let plain = text.replace('_', "");
    if !text.starts_with('.')
        && let Some(integer) = integer(&plain)
    {
        return integer;
    }
    let float = if text.starts_with('.') { text } else { &plain };
    if is_float(float)
        && let Ok(value) = float.parse::<f64>()
        && value.is_finite()
    {
        return Scalar::Float(value);
    }
    Scalar::String(text.into())
}

/// Decimal, `0x`, `0o`, `0b`, and octal by a leading zero.
fn integer(text: &str) -> Option<Scalar> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (digits, radix) = match unsigned.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => (unsigned.get(2..)?, 16),
        Some("0o") => (unsigned.get(2..)?, 8),
        Some("0b") => (unsigned.get(2..)?, 2),
        _ if unsigned.len() > 1 && unsigned.starts_with('0') => (unsigned.get(1..)?, 8),
        _ => (unsigned, 10),
    };
    if !digits.starts_with(|first: char| first.is_digit(radix)) {
        return None;
    }
    let value = u64::from_str_radix(digits, radix).ok()?;
    if text.starts_with('-') {
        return i64::try_from(-i128::from(value)).ok().map(Scalar::Int);
    }
    match i64::try_from(value) {
        Ok(value) => Some(Scalar::Int(value)),
        // Only without a sign.
        Err(_) => (!text.starts_with('+')).then_some(Scalar::Uint(value)),
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let whole = digits(unsigned);
    let rest = unsigned.get(whole..).unwrap_or_default();
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => (digits(rest), rest.get(digits(rest)..).unwrap_or_default()),
        None => (0, rest),
    };
    if whole + fraction == 0 {
        return false;
    }
    match rest.strip_prefix(['e', 'E']) {
        None => rest.is_empty(),
        Some(rest) => {
            let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
            !rest.is_empty() && digits(rest) == rest.len()
        }
    }
}
