//! Field selectors: `status.phase!=Succeeded,spec.nodeName=`, terms that all must hold.
//!
//! Syntax and words are those of apimachinery's `fields` package; which fields there are is data ([`super::known`]).

use serde_json::Value;

use super::known::{Fields, Getter};

/// Comparisons of fields with texts; none are met by everything.
#[derive(Debug, Clone, Default)]
pub struct FieldSelector {
    terms: Vec<Term>,
}

#[derive(Debug, Clone)]
struct Term {
    /// As the resource's own table names it, aliases resolved.
    label: String,
    getter: Getter,
    equal: bool,
    value: String,
}

impl FieldSelector {
    /// # Errors
    /// The text of the 400 answer.
    pub fn parse(text: &str, known: &Fields) -> Result<Self, String> {
        let mut parts = split_terms(text);
        parts.sort_unstable();
        let mut read = Vec::new();
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            let cannot = || format!("invalid selector: '{text}'; can't understand '{part}'");
            let (label, equal, value) = split_term(part).ok_or_else(cannot)?;
            let value = unescape(value)?;
            // `=` alone says nothing; it is dropped before the field is looked up.
            if !(label.is_empty() && value.is_empty()) {
                read.push((label, equal, value));
            }
        }
        let terms = read.into_iter().map(|(label, equal, value)| {
            let (label, getter) = known.find(label)?;
            Ok(Term {
                label,
                getter,
                equal,
                value,
            })
        });
        let terms = terms.collect::<Result<_, String>>()?;
        Ok(Self { terms })
    }

    /// Whether it selects everything.
    pub fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }

    /// The value that a field must have, if a term demands one: for indexes and for authorization by name.
    pub fn exactly(&self, label: &str) -> Option<&str> {
        let mut terms = self.terms.iter();
        let term = terms.find(|term| term.equal && term.label == label)?;
        Some(&term.value)
    }

    pub fn matches(&self, object: &Value) -> bool {
        let mut terms = self.terms.iter();
        terms.all(|term| (term.getter.get(object) == term.value.as_str()) == term.equal)
    }
}

/// At commas that no backslash escapes.
fn split_terms(text: &str) -> Vec<&str> {
    let mut escaped = false;
    text.split(|one| {
        let splits = one == ',' && !escaped;
        escaped = one == '\\' && !escaped;
        splits
    })
    .collect()
}

fn split_term(term: &str) -> Option<(&str, bool, &str)> {
    for (at, _) in term.char_indices() {
        let (label, rest) = term.split_at_checked(at)?;
        for (operator, equal) in [("!=", false), ("==", true), ("=", true)] {
            if let Some(value) = rest.strip_prefix(operator) {
                return Some((label, equal, value));
            }
        }
    }
    None
}

fn unescape(value: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(value.len());
    let mut rest = value.chars();
    while let Some(one) = rest.next() {
        match one {
            '\\' => match rest.next() {
                Some(escaped @ ('\\' | ',' | '=')) => plain.push(escaped),
                other => {
                    let sequence: String = ['\\'].into_iter().chain(other).collect();
                    return Err(format!(
                        "invalid field selector: invalid escape sequence: {sequence}"
                    ));
                }
            },
            // Go prints the rune's number here.
            ',' | '=' => {
                let number = u32::from(one);
                return Err(format!(
                    "invalid field selector: unescaped character in value: {number}"
                ));
            }
            plain_one => plain.push(plain_one),
        }
    }
    Ok(plain)
}
