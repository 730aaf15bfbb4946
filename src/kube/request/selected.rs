//! Field selectors, as far as authorization looks at them.

/// A term of a field selector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    pub field: String,
    /// Whether the field must have the value, or must not.
    pub equal: bool,
    pub value: String,
}

/// The terms of a field selector in the order of Kubernetes, which sorts them; None if it cannot be read.
pub fn requirements(selector: &str) -> Option<Vec<Requirement>> {
    let mut terms = terms(selector);
    terms.sort_unstable();
    let terms = terms.into_iter().filter(|term| !term.is_empty());
    let read = terms.map(|term| {
        let (field, equal, value) = split(term)?;
        Some(Requirement {
            field: field.to_owned(),
            equal,
            value: unescape(value)?,
        })
    });
    read.collect()
}

/// The value of the first term `metadata.name=NAME` of a field selector; none if there is no such term, the
/// selector cannot be read, or the name could be no part of a path.
pub fn name_selected(selector: &str) -> Option<String> {
    let mut terms = requirements(selector)?.into_iter();
    let named = terms.find(|term| term.equal && term.field == "metadata.name");
    named.map(|term| term.value).filter(|name| is_segment(name))
}

/// Parts between commas that are not escaped.
fn terms(selector: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let mut rest = selector;
    while let Some(at) = find(rest, |rest| rest.starts_with(',')) {
        let (term, behind) = rest.split_at(at);
        terms.push(term);
        rest = behind.get(1..).unwrap_or_default();
    }
    terms.push(rest);
    terms
}

/// The field, whether it must be equal, and the escaped value.
fn split(term: &str) -> Option<(&str, bool, &str)> {
    const OPERATORS: [(&str, bool); 3] = [("!=", false), ("==", true), ("=", true)];
    let begins = |rest: &str| OPERATORS.iter().any(|(sign, _)| rest.starts_with(sign));
    let (field, rest) = term.split_at(find(term, begins)?);
    let mut read = OPERATORS.iter();
    read.find_map(|(sign, exact)| Some((field, *exact, rest.strip_prefix(sign)?)))
}

/// Where `there` first holds for the rest of a text, past escapes.
fn find(text: &str, there: impl Fn(&str) -> bool) -> Option<usize> {
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if letter == '\\' {
            escaped = true;
        } else if text.get(at..).is_some_and(&there) {
            return Some(at);
        }
    }
    None
}

/// Only `\\`, `\,` and `\=` are escapes, and the latter two signs may not stand alone.
fn unescape(value: &str) -> Option<String> {
    let mut plain = String::with_capacity(value.len());
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some(escaped @ ('\\' | ',' | '=')) => plain.push(escaped),
                _ => return None,
            },
            ',' | '=' => return None,
            letter => plain.push(letter),
        }
    }
    Some(plain)
}

fn is_segment(name: &str) -> bool {
    !matches!(name, "." | "..") && !name.contains(['/', '%'])
}
