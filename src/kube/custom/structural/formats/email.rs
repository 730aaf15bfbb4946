//! Mail addresses as Go's `mail.ParseAddress` takes them: `a@b`, `Some One <a@b>`. Groups are not taken here.

use std::net::{Ipv4Addr, Ipv6Addr};

pub(super) fn is_address(text: &str) -> bool {
    address(skip_space(text))
        .and_then(skip_comments)
        .is_some_and(str::is_empty)
}

/// What is left behind an address.
fn address(text: &str) -> Option<&str> {
    if let Some(rest) = spec(text) {
        let rest = skip_space(rest);
        return match rest.strip_prefix('(') {
            Some(inside) => comment(inside),
            None => Some(rest),
        };
    }
    let rest = if text.starts_with('<') {
        text
    } else {
        phrase(text)?
    };
    spec(rest.strip_prefix('<')?)?.strip_prefix('>')
}

/// `local@domain`.
fn spec(text: &str) -> Option<&str> {
    let text = skip_space(text);
    let rest = match text.strip_prefix('"') {
        Some(inside) => {
            let rest = quoted(inside)?;
            // Two quotes and nothing between them are no name.
            (text.len() - rest.len() > 2).then_some(rest)?
        }
        None => atom(text, false)?,
    };
    let rest = skip_space(rest.strip_prefix('@')?);
    match rest.strip_prefix('[') {
        Some(inside) => {
            let (literal, rest) = inside.split_once(']')?;
            let valid = match literal.strip_prefix("IPv6:") {
                Some(six) => six.parse::<Ipv6Addr>().is_ok() || six.parse::<Ipv4Addr>().is_ok(),
                None => literal.parse::<Ipv4Addr>().is_ok(),
            };
            valid.then_some(rest)
        }
        None => atom(rest, false),
    }
}

/// One or more words.
fn phrase(text: &str) -> Option<&str> {
    let mut rest = word(skip_space(text))?;
    loop {
        rest = skip_comments(rest)?;
        match word(rest) {
            Some(behind) => rest = behind,
            None => return Some(rest),
        }
    }
}

fn word(text: &str) -> Option<&str> {
    match text.strip_prefix('"') {
        Some(inside) => quoted(inside),
        None => atom(text, true),
    }
}

/// What is left behind characters that stand for themselves. Dots lie between them, unless anything goes.
fn atom(text: &str, anything: bool) -> Option<&str> {
    let end = text
        .find(|one: char| !is_visible(one) || "()<>[]:;@\\,\"".contains(one))
        .unwrap_or(text.len());
    let (atom, rest) = text.split_at_checked(end)?;
    let dots = atom.starts_with('.') || atom.ends_with('.') || atom.contains("..");
    (!atom.is_empty() && (anything || !dots)).then_some(rest)
}

/// What is left behind the closing quote.
fn quoted(inside: &str) -> Option<&str> {
    let mut escaped = false;
    for (at, one) in inside.char_indices() {
        match one {
            '"' if !escaped => return inside.get(at + 1..),
            '\\' if !escaped => escaped = true,
            one if is_visible(one) || matches!(one, ' ' | '\t') => escaped = false,
            _ => return None,
        }
    }
    None
}

fn is_visible(one: char) -> bool {
    ('!'..='~').contains(&one) || !one.is_ascii()
}

fn skip_space(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

fn skip_comments(text: &str) -> Option<&str> {
    let mut rest = skip_space(text);
    while let Some(inside) = rest.strip_prefix('(') {
        rest = skip_space(comment(inside)?);
    }
    Some(rest)
}

/// What is left behind the parenthesis that closes a comment; there may be comments in it.
fn comment(inside: &str) -> Option<&str> {
    let mut depth = 1;
    let mut escaped = false;
    for (at, one) in inside.char_indices() {
        match one {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return inside.get(at + 1..);
        }
    }
    None
}
