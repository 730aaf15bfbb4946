//! Paths below a node as rules write them: `.spec.x`, `.labels['a.b']`.

use super::{Additional, Structural};

/// The path that a rule's `fieldPath` leads along, as field errors write paths, and what is there; None where
/// anything may be.
///
/// # Errors
/// Why it is no path of the schema.
pub fn field_path<'s>(
    path: &str,
    schema: &'s Structural,
) -> Result<(String, Option<&'s Structural>), String> {
    let mut walk = Walk {
        told: String::new(),
        at: Some(schema),
    };
    let mut rest = path;
    while let Some((token, behind)) = token(rest) {
        rest = match token {
            "." => {
                let (name, behind) = next(behind)?;
                walk.step(name)?;
                behind
            }
            "[" => {
                let (quoted, behind) = next(behind)?;
                let inner = quoted
                    .strip_prefix('\'')
                    .and_then(|one| one.strip_suffix('\''));
                let inner = inner
                    .ok_or_else(|| format!("expected single quoted string but got {quoted}"))?;
                walk.step(&unescaped(inner)?)?;
                match next(behind)? {
                    ("]", behind) => behind,
                    (other, _) => return Err(format!("expected ] but got {other}")),
                }
            }
            other => return Err(format!("expected [ or . but got: {other}")),
        };
    }
    Ok((walk.told, walk.at))
}

struct Walk<'s> {
    told: String,
    at: Option<&'s Structural>,
}

impl Walk<'_> {
    fn step(&mut self, name: &str) -> Result<(), String> {
        let nowhere = || "does not refer to a valid field".to_owned();
        let schema = self.at.ok_or_else(nowhere)?;
        if !schema.properties.is_empty() {
            self.at = Some(schema.properties.get(name).ok_or_else(nowhere)?);
            if !self.told.is_empty() {
                self.told.push('.');
            }
            self.told.push_str(name);
            return Ok(());
        }
        self.at = match &schema.additional {
            Additional::Unsaid => return Err(nowhere()),
            Additional::Allowed(_) => None,
            Additional::Of(inner) => Some(inner),
        };
        self.told.push_str(&format!("[{name}]"));
        Ok(())
    }
}

fn next(text: &str) -> Result<(&str, &str), String> {
    token(text).ok_or_else(|| "unexpected end of JSON path".to_owned())
}

/// A delimiter, a string in single quotes, or what lies before a delimiter.
fn token(text: &str) -> Option<(&str, &str)> {
    let end = match text.chars().next()? {
        '.' | '[' | ']' => 1,
        '\'' => {
            let mut last = '\'';
            let close = text.char_indices().skip(1).find(|(_, one)| {
                let closes = *one == '\'' && last != '\\';
                last = *one;
                closes
            });
            close.map_or(text.len(), |(at, _)| at + 1)
        }
        _ => text.find(['.', '[', ']']).unwrap_or(text.len()),
    };
    text.split_at_checked(end)
}

fn unescaped(text: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(one) = chars.next() {
        if one != '\\' {
            plain.push(one);
            continue;
        }
        plain.push(match chars.next() {
            Some('a') => '\u{7}',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('v') => '\u{b}',
            Some(other @ ('\'' | '\\')) => other,
            Some(other) => {
                return Err(format!(
                    "invalid string literal: invalid escape char \\{other}"
                ));
            }
            None => '\\',
        });
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_are_followed() {
        let schema = Structural::parse(&json!({"type": "object", "properties": {
            "a": {"type": "object", "properties": {"b.c": {"type": "string"}}},
            "m": {"type": "object", "additionalProperties": {"type": "string"}},
        }}))
        .unwrap();
        let told = |path| field_path(path, &schema).map(|(told, _)| told);
        for (path, expected) in [
            (".a", Ok("a")),
            ("['a']['b.c']", Ok("a.b.c")),
            (".m.x", Ok("m[x]")),
            (".m['it\\'s']", Ok("m[it's]")),
            (".x", Err("does not refer to a valid field")),
            (".m.x.y", Err("does not refer to a valid field")),
            ("a", Err("expected [ or . but got: a")),
            (".", Err("unexpected end of JSON path")),
            (".a[b]", Err("expected single quoted string but got b")),
            (".a['b.c'", Err("unexpected end of JSON path")),
        ] {
            assert_eq!(
                told(path),
                expected.map(str::to_owned).map_err(str::to_owned),
                "{path}"
            );
        }
    }
}
