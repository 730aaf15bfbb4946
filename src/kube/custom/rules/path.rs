//! Paths below a node as rules say them: `.spec.x`, `.labels['a.b']`.

use crate::kube::custom::structural::{Additional, Structural};

/// A path as field errors write it, if it leads to something of the schema.
pub(super) fn normalized(path: &str, node: &Structural) -> Option<String> {
    let mut at = Some(node);
    let mut told = String::new();
    let mut rest = path;
    while !rest.is_empty() {
        let (name, after) = step(rest)?;
        rest = after;
        let here = at?;
        if !here.properties.is_empty() {
            at = Some(here.properties.get(name.as_str())?);
            if !told.is_empty() {
                told.push('.');
            }
            told.push_str(&name);
            continue;
        }
        at = match &here.additional {
            Additional::Of(values) => Some(&**values),
            Additional::Allowed(_) => None,
            Additional::Unsaid => return None,
        };
        told.push_str(&format!("[{name}]"));
    }
    Some(told)
}

/// The first step of a path, and what follows.
fn step(path: &str) -> Option<(String, &str)> {
    if let Some(after) = path.strip_prefix("['") {
        let mut name = String::new();
        let mut chars = after.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\'' => return Some((name, after.get(at + 1..)?.strip_prefix(']')?)),
                '\\' => name.push(unescaped(chars.next()?.1)?),
                other => name.push(other),
            }
        }
        return None;
    }
    let after = path.strip_prefix('.')?;
    let end = after.find(['.', '[', ']']).unwrap_or(after.len());
    let (name, rest) = after.split_at_checked(end)?;
    (!name.is_empty()).then(|| (name.to_owned(), rest))
}

fn unescaped(c: char) -> Option<char> {
    Some(match c {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\'' | '\\' => c,
        _ => return None,
    })
}
