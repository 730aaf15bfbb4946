//! Classes of characters.

use regex::Regex;

use super::syntax::{before, character, error, write_literal};

/// A class in brackets; what is left behind it.
pub(super) fn bracketed<'a>(here: &'a str, out: &mut String) -> Result<&'a str, String> {
    let mut rest = here.get(1..).unwrap_or_default();
    out.push('[');
    if let Some(negated) = rest.strip_prefix('^') {
        out.push('^');
        rest = negated;
    }
    let mut first = true;
    loop {
        if let Some(behind) = rest.strip_prefix(']').filter(|_| !first) {
            out.push(']');
            return Ok(behind);
        }
        first = false;
        rest = item(here, rest, out)?;
    }
}

/// One item of a class that begins at `whole`.
fn item<'a>(whole: &'a str, here: &'a str, out: &mut String) -> Result<&'a str, String> {
    if let Some(end) = here.strip_prefix("[:").and_then(|named| named.find(":]")) {
        let (name, behind) = here.split_at_checked(end + 4).unwrap_or((here, ""));
        let inner = name.trim_matches(['[', ':', ']']);
        if !POSIX.contains(&inner.strip_prefix('^').unwrap_or(inner)) {
            return Err(error("invalid character class range", name));
        }
        out.push_str(name);
        return Ok(behind);
    }
    if let Some(behind) = unicode(here, out)? {
        return Ok(behind);
    }
    if let Some((class, behind)) = perl(here) {
        out.push_str(class);
        return Ok(behind);
    }
    let (low, mut rest) = one(whole, here)?;
    let mut high = low;
    if let Some(end) = rest
        .strip_prefix('-')
        .filter(|end| !end.is_empty() && !end.starts_with(']'))
    {
        (high, rest) = one(whole, end)?;
        if high < low {
            let range = before(here, rest);
            return Err(error("invalid character class range", range));
        }
    }
    write_literal(low, out);
    if high > low {
        out.push('-');
        write_literal(high, out);
    }
    Ok(rest)
}

const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

fn one<'a>(whole: &str, here: &'a str) -> Result<(char, &'a str), String> {
    let mut rest = here.chars();
    match rest.next() {
        None => Err(error("missing closing ]", whole)),
        Some('\\') => character(here),
        Some(one) => Ok((one, rest.as_str())),
    }
}

/// `\d` and its kin, which are ASCII's.
pub(super) fn perl(here: &str) -> Option<(&'static str, &str)> {
    let class = match here.as_bytes() {
        [b'\\', b'd', ..] => "[0-9]",
        [b'\\', b'D', ..] => "[^0-9]",
        [b'\\', b's', ..] => r"[\t\n\f\r\x20]",
        [b'\\', b'S', ..] => r"[^\t\n\f\r\x20]",
        [b'\\', b'w', ..] => "[0-9A-Za-z_]",
        [b'\\', b'W', ..] => "[^0-9A-Za-z_]",
        _ => return None,
    };
    Some((class, here.get(2..)?))
}

/// `\pL`, `\p{Greek}`, `\P{^Greek}`; what is left behind it, None if there is none.
pub(super) fn unicode<'a>(here: &'a str, out: &mut String) -> Result<Option<&'a str>, String> {
    if !here.starts_with(r"\p") && !here.starts_with(r"\P") {
        return Ok(None);
    }
    let mut rest = here.get(2..).unwrap_or_default().chars();
    match rest.next() {
        // Not even a name.
        None => return Ok(None),
        Some('{') => {
            let Some((_, behind)) = here.split_once('}') else {
                return Err(error("invalid character class range", here));
            };
            rest = behind.chars();
        }
        Some(_) => {}
    }
    let class = before(here, rest.as_str());
    if Regex::new(class).is_err() {
        return Err(error("invalid character class range", class));
    }
    out.push_str(class);
    Ok(Some(rest.as_str()))
}
