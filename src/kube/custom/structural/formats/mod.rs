//! The `format` of strings: those that kube-apiserver checks. Of others nothing is said.

mod email;
mod network;
mod uri;

use std::sync::LazyLock;

use regex::Regex;

use crate::kube::object::duration;

/// Whether values are checked against a format. Dashes in its name say nothing: `date-time` is `datetime`.
pub(super) fn is_known(format: &str) -> bool {
    judge(format, "").is_some()
}

/// Whether a text is of a format; None if nothing is known of it.
pub(super) fn judge(format: &str, text: &str) -> Option<bool> {
    if format.is_empty() {
        return None;
    }
    Some(match &*format.replace('-', "") {
        "bsonobjectid" => text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "uri" => uri::is_request_uri(text),
        "email" => email::is_address(text),
        "hostname" => is_hostname(text),
        "ipv4" => network::is_ipv4(text),
        "ipv6" => network::is_ipv6(text),
        "cidr" => network::is_cidr(text),
        "mac" => network::is_mac(text),
        "uuid" => is_uuid(text, None),
        "uuid3" => is_uuid(text, Some('3')),
        "uuid4" => is_uuid(text, Some('4')),
        "uuid5" => is_uuid(text, Some('5')),
        "isbn" => is_isbn10(text) || is_isbn13(text),
        "isbn10" => is_isbn10(text),
        "isbn13" => is_isbn13(text),
        "creditcard" => is_credit_card(text),
        "ssn" => text.len() == 11 && SSN.is_match(text),
        "hexcolor" => HEX_COLOR.is_match(text),
        "rgbcolor" => RGB_COLOR.is_match(text),
        "byte" => BASE64.is_match(text),
        "password" => true,
        "date" => is_date(text),
        "duration" => is_duration(text),
        "datetime" => is_date_time(text),
        "k8sshortname" => text.len() <= 63 && SHORT_NAME.is_match(text),
        "k8slongname" => text.len() <= 253 && LONG_NAME.is_match(text),
        _ => return None,
    })
}

macro_rules! patterns {
    ($($name:ident = $pattern:expr;)*) => {
        $(static $name: LazyLock<Regex> =
            LazyLock::new(|| Regex::new($pattern).expect("the pattern is a constant"));)*
    };
}

patterns! {
    HOSTNAME = r"^([a-zA-Z0-9\p{S}\p{L}]((-?[a-zA-Z0-9\p{S}\p{L}]{0,62})?)|([a-zA-Z0-9\p{S}\p{L}](([a-zA-Z0-9\-\p{S}\p{L}]{0,61}[a-zA-Z0-9\p{S}\p{L}])?)(\.)){1,}([a-zA-Z\p{L}]){2,63})$";
    SSN = "^[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}$";
    HEX_COLOR = "^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$";
    RGB_COLOR = r"^rgb\([\t\n\f\r ]*(0|[1-9][0-9]?|1[0-9][0-9]?|2[0-4][0-9]|25[0-5])[\t\n\f\r ]*,[\t\n\f\r ]*(0|[1-9][0-9]?|1[0-9][0-9]?|2[0-4][0-9]|25[0-5])[\t\n\f\r ]*,[\t\n\f\r ]*(0|[1-9][0-9]?|1[0-9][0-9]?|2[0-4][0-9]|25[0-5])[\t\n\f\r ]*\)$";
    BASE64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$";
    CREDIT_CARD = "^(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35[0-9]{3})[0-9]{11})$";
    SHORT_NAME = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
    LONG_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
    TIME = "^([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))$";
    UNITS = "([0-9]+)[\\t\\n\\f\\r ]*([A-Za-z\u{b5}]+)";
}

fn is_hostname(text: &str) -> bool {
    text.len() <= 255 && HOSTNAME.is_match(text) && text.split('.').all(|label| label.len() <= 63)
}

/// Hexadecimal digits in groups of 8, 4, 4, 4 and 12, with or without dashes between them.
fn is_uuid(text: &str, version: Option<char>) -> bool {
    let mut digits = String::with_capacity(32);
    let mut rest = text;
    for (at, group) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if at > 0 {
            rest = rest.strip_prefix('-').unwrap_or(rest);
        }
        let Some((one, behind)) = rest.split_at_checked(group) else {
            return false;
        };
        digits.push_str(one);
        rest = behind;
    }
    let digit = |at: usize| {
        digits
            .chars()
            .nth(at)
            .map(|digit| digit.to_ascii_lowercase())
    };
    rest.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        && version.is_none_or(|version| digit(12) == Some(version))
        && (matches!(version, None | Some('3')) || matches!(digit(16), Some('8' | '9' | 'a' | 'b')))
}

fn sanitized(text: &str) -> String {
    let dropped = |one: &char| !matches!(one, '\t' | '\n' | '\u{c}' | '\r' | ' ' | '-');
    text.chars().filter(dropped).collect()
}

fn is_isbn10(text: &str) -> bool {
    let text = sanitized(text);
    let mut sum = 0;
    for (at, one) in text.chars().enumerate() {
        let digit = match one {
            'X' if at == 9 => 10,
            one => match one.to_digit(10) {
                Some(digit) => digit as usize,
                None => return false,
            },
        };
        sum += (at + 1) * digit;
    }
    text.len() == 10 && sum % 11 == 0
}

fn is_isbn13(text: &str) -> bool {
    let text = sanitized(text);
    let digits: Option<Vec<u32>> = text.chars().map(|one| one.to_digit(10)).collect();
    let sum = |digits: Vec<u32>| -> u32 {
        let weighted = digits.iter().zip([1, 3].into_iter().cycle());
        weighted.map(|(digit, weight)| digit * weight).sum()
    };
    text.len() == 13 && digits.is_some_and(|digits| sum(digits).is_multiple_of(10))
}

fn is_credit_card(text: &str) -> bool {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(at, byte)| match (at % 2, u32::from(byte - b'0')) {
            (0, digit) => digit,
            (_, digit) if digit >= 5 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    CREDIT_CARD.is_match(&digits) && sum.is_multiple_of(10)
}

/// `2006-01-02`.
fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else {
        return false;
    };
    let number = |part: &str, digits: usize| -> Option<u32> {
        let all = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        all.then(|| part.parse().ok()).flatten()
    };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2))
    else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return false,
    };
    (1..=days).contains(&day)
}

fn is_date_time(text: &str) -> bool {
    let text = text.to_lowercase();
    let mut parts = text.split('t');
    let (Some(date), Some(time)) = (parts.next(), parts.next()) else {
        return false;
    };
    let within =
        |part: Option<regex::Match<'_>>, most: &str| part.is_some_and(|part| part.as_str() <= most);
    is_date(date)
        && TIME.captures(time).is_some_and(|parts| {
            within(parts.get(1), "23") && within(parts.get(2), "59") && within(parts.get(3), "59")
        })
}

/// A duration of Go, or numbers with units somewhere in a text.
fn is_duration(text: &str) -> bool {
    if duration::parse(text).is_ok() {
        return true;
    }
    let mut any = false;
    for parts in UNITS.captures_iter(text) {
        let (Some(number), Some(unit)) = (parts.get(1), parts.get(2)) else {
            continue;
        };
        if number.as_str().parse::<i64>().is_err() {
            return false;
        }
        any |= is_unit(&unit.as_str().to_lowercase());
    }
    any
}

fn is_unit(unit: &str) -> bool {
    let whole = [
        "ns", "us", "\u{b5}s", "ms", "s", "m", "h", "hr", "d", "w", "wk",
    ];
    // What may be told at more length: seconds, minutes.
    let begun = [
        "nano", "micro", "milli", "sec", "min", "hour", "day", "week",
    ];
    whole.contains(&unit) || begun.iter().any(|begin| unit.starts_with(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        for pattern in [
            &HOSTNAME,
            &SSN,
            &HEX_COLOR,
            &RGB_COLOR,
            &BASE64,
            &CREDIT_CARD,
            &SHORT_NAME,
            &LONG_NAME,
            &TIME,
            &UNITS,
        ] {
            assert!(!pattern.as_str().is_empty());
        }
    }
}
