//! The type that a `Content-Type` header names.

use super::MAX_CLAUSES;

/// The type without its parameters, which must be well-formed.
pub fn media_type(header: &str) -> Option<String> {
    let (name, mut rest) = header.split_once(';').unwrap_or((header, ""));
    let name = name.trim().to_ascii_lowercase();
    let (kind, sub) = name.split_once('/')?;
    if !is_token(kind) || !is_token(sub) {
        return None;
    }
    let mut seen: Vec<(String, String)> = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        if rest.is_empty() {
            return Some(name);
        }
        let (key, after) = rest.split_once('=')?;
        let key = key.trim().to_ascii_lowercase();
        let (value, after) = parameter(after)?;
        let twice = seen
            .iter()
            .any(|(name, before)| *name == key && *before != value);
        if !is_token(&key) || twice || seen.len() >= MAX_CLAUSES {
            return None;
        }
        seen.push((key, value));
        rest = after.trim_start();
        if !rest.is_empty() && !rest.starts_with(';') {
            return None;
        }
    }
}

/// A token or a quoted string, and what follows.
fn parameter(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start();
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ' ', '\t']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return is_token(value).then(|| (value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => value.push(chars.next()?),
            one => value.push(one),
        }
    }
}

fn is_token(text: &str) -> bool {
    let special = |byte: u8| b"()<>@,;:\\\"/[]?=".contains(&byte);
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !special(byte))
}
