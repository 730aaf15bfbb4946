//! Values as Go's flag package reads them, because start lines are written for a program in Go.

use std::time::Duration;

/// What Go says of a value that it cannot read.
pub(super) const PARSE_ERROR: &str = "parse error";

/// A boolean in one of Go's spellings.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// An unsigned integer: decimal, `0x`, `0o`, `0b`, or octal after a leading zero.
pub(super) fn unsigned(text: &str) -> Option<u64> {
    let (radix, digits) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, text.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, text.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, text.get(2..)?),
        [b'0', _, ..] => (8, text.get(1..)?),
        _ => (10, text),
    };
    // The standard parser takes a sign, Go's does not.
    let digit_first = digits.starts_with(|c: char| c.is_ascii_hexdigit());
    digit_first
        .then(|| u64::from_str_radix(digits, radix).ok())
        .flatten()
}

/// A signed integer in the same notations.
pub(super) fn signed(text: &str) -> Option<i64> {
    match text.strip_prefix('-') {
        Some(digits) => 0i64.checked_sub_unsigned(unsigned(digits)?),
        None => unsigned(text.strip_prefix('+').unwrap_or(text))?
            .try_into()
            .ok(),
    }
}

/// A duration such as `300ms`, `1.5h` or `2h45m`; `0` needs no unit. Negative ones are not accepted: no
/// flag has a use for them.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let number_len = leading(rest, |c| c.is_ascii_digit() || c == '.');
        let (number, tail) = rest.split_at(number_len);
        let unit_len = leading(tail, |c| !c.is_ascii_digit() && c != '.');
        let (unit, tail) = tail.split_at(unit_len);
        total = total.checked_add(scaled(number, unit_nanos(unit)?)?)?;
        rest = tail;
    }
    Some(total)
}

/// Length in bytes of the prefix whose characters satisfy `wanted`.
fn leading(text: &str, wanted: impl Fn(char) -> bool) -> usize {
    text.find(|c| !wanted(c)).unwrap_or(text.len())
}

fn unit_nanos(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// `number`, which may have a fraction, times `nanos`. The fraction is cut off below a nanosecond.
fn scaled(number: &str, nanos: u64) -> Option<Duration> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let mut total = whole.checked_mul(nanos)?;
    let mut unit = nanos;
    for digit in fraction.chars() {
        unit /= 10;
        total = total.checked_add(u64::from(digit.to_digit(10)?) * unit)?;
    }
    Some(Duration::from_nanos(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_gos() {
        assert_eq!(boolean("T"), Some(true));
        assert_eq!(boolean("0"), Some(false));
        for wrong in ["", "yes", "tRUE", "2", " true"] {
            assert_eq!(boolean(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn integers_take_every_radix_and_no_stray_sign() {
        assert_eq!(unsigned("0x10"), Some(16));
        assert_eq!(unsigned("010"), Some(8));
        assert_eq!(unsigned("0b11"), Some(3));
        assert_eq!(unsigned("0"), Some(0));
        assert_eq!(unsigned("18446744073709551615"), Some(u64::MAX));
        for wrong in ["", "-5", "+5", "0x", "0x+1", "1e3", "5 ", "08"] {
            assert_eq!(unsigned(wrong), None, "{wrong}");
        }
        assert_eq!(signed("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(signed("9223372036854775808"), None);
        assert_eq!(signed("-0x10"), Some(-16));
        assert_eq!(signed("--1"), None);
    }

    #[test]
    fn durations_add_up_their_parts() {
        assert_eq!(duration("0"), Some(Duration::ZERO));
        assert_eq!(duration("2h45m"), Some(Duration::from_secs(9_900)));
        assert_eq!(duration("1.5h"), Some(Duration::from_secs(5_400)));
        assert_eq!(duration(".5s"), Some(Duration::from_millis(500)));
        assert_eq!(duration("1.s"), Some(Duration::from_secs(1)));
        assert_eq!(duration("10µs"), Some(Duration::from_micros(10)));
        for wrong in ["", "5", "s", ".s", "-1s", "1x", "1..5s", "h1", "99999999h"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }
}
