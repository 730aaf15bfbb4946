//! Regular expressions in Go's syntax, which is RE2's.
//!
//! The `regex` crate does the matching, in time that grows with the text alone as Go's does. Its syntax is another in
//! places: there `\d` has all of Unicode's digits, classes nest, and a lone brace is an error. So an expression is
//! parsed as Go parses it, with Go's errors, and written anew.

mod class;
mod syntax;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;
use regex::bytes::{Regex, RegexBuilder};

/// How large a compiled expression may be, in bytes. Classes of Unicode with high counts take some.
const SIZE: usize = 32 << 20;

/// How many compiled expressions are kept: a few for each definition of a large cluster. All are forgotten at once
/// when there are more.
const KEPT: usize = 1024;

static COMPILED: LazyLock<Mutex<HashMap<String, Arc<Regex>>>> = LazyLock::new(Mutex::default);

/// Whether an expression matches somewhere in a text.
///
/// # Errors
/// What is wrong with the expression, as Go says it: ``error parsing regexp: missing closing ): `(` ``.
pub fn matches(pattern: &str, text: &str) -> Result<bool, String> {
    Ok(compiled(pattern)?.is_match(text.as_bytes()))
}

/// Reads an expression.
///
/// # Errors
/// As [`matches()`].
pub fn check(pattern: &str) -> Result<(), String> {
    compiled(pattern).map(drop)
}

fn compiled(pattern: &str) -> Result<Arc<Regex>, String> {
    if let Some(regex) = COMPILED.lock().get(pattern) {
        return Ok(Arc::clone(regex));
    }
    let translated = syntax::translate(pattern)?;
    let regex = RegexBuilder::new(&translated)
        .size_limit(SIZE)
        .build()
        .map_err(|error| refusal(&error, pattern))?;
    let regex = Arc::new(regex);
    let mut kept = COMPILED.lock();
    if kept.len() >= KEPT {
        kept.clear();
    }
    kept.insert(pattern.to_owned(), Arc::clone(&regex));
    Ok(regex)
}

/// What has the right syntax can be too large, or nest too deeply.
fn refusal(error: &regex::Error, pattern: &str) -> String {
    let what = match error {
        regex::Error::CompiledTooBig(_) => "expression too large",
        _ => "expression nests too deeply",
    };
    format!("error parsing regexp: {what}: `{pattern}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_match_as_in_go() {
        for (pattern, text, expected) in [
            ("b", "abc", true),
            ("^b$", "b\n", false),
            (r"^\d$", "\u{663}", false),
            (r"^\D$", "\u{663}", true),
            (r"^[\w.]+$", "a_9.", true),
            (r"^\s$", "\u{b}", false),
            (r"\bfoo\b", "a foo b", true),
            ("^a{,2}$", "a{,2}", true),
            ("^{$", "{", true),
            ("^x{2}$", "xx", true),
            ("^[a[b]]$", "[]", true),
            ("^[a&&b]$", "&", true),
            ("^[]a]+$", "]a", true),
            ("^[^]a]$", "]", false),
            (r"^\Qa.b\E$", "a.b", true),
            (r"^\/\<\_$", "/<_", true),
            (r"^\x41\x{42}\103$", "ABC", true),
            (r"^\pL\p{Greek}$", "a\u{3b1}", true),
            ("(?i)^[a-c]$", "B", true),
            ("(?s:^a.b$)", "a\nb", true),
            ("^a.b$", "a\nb", false),
            ("^(?P<x>a)(?<y>b)$", "ab", true),
            ("^[[:alpha:]-]+$", "a-b", true),
            ("^[[:^digit:]]$", "x", true),
            ("^a#b c$", "a#b c", true),
            (r"^[\d-z]$", "-", true),
            ("^a(?i){2}b$", "aaB", true),
        ] {
            assert_eq!(matches(pattern, text), Ok(expected), "{pattern} {text:?}");
        }
    }

    #[test]
    fn expressions_are_refused_as_in_go() {
        for (pattern, error) in [
            ("(", "missing closing ): `(`"),
            ("a)", "unexpected ): `a)`"),
            ("[a", "missing closing ]: `[a`"),
            ("x[a", "missing closing ]: `[a`"),
            ("*", "missing argument to repetition operator: `*`"),
            ("a|*", "missing argument to repetition operator: `*`"),
            ("(+?)", "missing argument to repetition operator: `+?`"),
            ("a**", "invalid nested repetition operator: `**`"),
            ("a*{2}", "invalid nested repetition operator: `*{2}`"),
            ("a{1001}", "invalid repeat count: `{1001}`"),
            ("a{3,2}", "invalid repeat count: `{3,2}`"),
            (r"\y", r"invalid escape sequence: `\y`"),
            (r"\1", r"invalid escape sequence: `\1`"),
            (r"\xg", r"invalid escape sequence: `\xg`"),
            (r"a\", "trailing backslash at end of expression: ``"),
            ("[z-a]", "invalid character class range: `z-a`"),
            ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
            (r"\p{Nope}", r"invalid character class range: `\p{Nope}`"),
            ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
            ("(?<=a)b", "invalid named capture: `(?<=a)b`"),
            ("(?P<a-b>x)", "invalid named capture: `(?P<a-b>`"),
            ("(?x)a", "invalid or unsupported Perl syntax: `(?x`"),
        ] {
            let error = format!("error parsing regexp: {error}");
            assert_eq!(check(pattern), Err(error), "{pattern}");
        }
    }
}
