//! Regular expressions in Go's syntax, which is RE2's: `\d` and its kin are ASCII, classes do not nest.

use regex::Regex;

use super::{Answer, Builtin, texts};
use crate::kube::cel::fault::Fault;
use crate::kube::cel::value::Value;

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "matches" => |args| match args {
            [Value::String(text), Value::String(pattern)] => {
                let compiled = compile(pattern).map_err(Fault::new)?;
                Ok(Value::Bool(compiled.is_match(text)))
            }
            _ => Err(Fault::overload()),
        },
        "find" => |args| match args {
            [Value::String(text), Value::String(pattern)] => {
                let compiled = compile(pattern).map_err(|error| illegal(&error))?;
                let found = compiled.find(text).map_or("", |found| found.as_str());
                Ok(Value::text(found))
            }
            _ => Err(Fault::overload()),
        },
        "findAll" => find_all,
        _ => return None,
    })
}

fn illegal(error: &str) -> Fault {
    Fault::new(format!("Illegal regex: {error}"))
}

fn find_all<'a>(args: &[Value<'a>]) -> Answer<'a> {
    let (text, pattern, count) = match args {
        [Value::String(text), Value::String(pattern)] => (text, pattern, -1),
        [
            Value::String(text),
            Value::String(pattern),
            Value::Int(count),
        ] => (text, pattern, *count),
        _ => return Err(Fault::overload()),
    };
    let compiled = compile(pattern).map_err(|error| illegal(&error))?;
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let found = compiled.find_iter(text).take(most);
    Ok(texts(found.map(|found| found.as_str())))
}

thread_local! {
    /// The patterns used last: those of rules are constant and used for every object.
    static RECENT: std::cell::RefCell<Recent> = const { std::cell::RefCell::new(Recent(Vec::new())) };
}

struct Recent(Vec<(String, Regex)>);

const MAX_RECENT: usize = 64;

/// # Errors
/// In Go's words.
pub(in crate::kube::cel) fn compile(pattern: &str) -> Result<Regex, String> {
    let known = RECENT.with_borrow(|recent| {
        let mut all = recent.0.iter();
        let found = all.find(|(known, _)| known == pattern);
        found.map(|(_, compiled)| compiled.clone())
    });
    if let Some(known) = known {
        return Ok(known);
    }
    let compiled = Regex::new(&translated(pattern)).map_err(|error| go_error(pattern, &error))?;
    RECENT.with_borrow_mut(|recent| {
        if recent.0.len() >= MAX_RECENT {
            recent.0.remove(0);
        }
        recent.0.push((pattern.to_owned(), compiled.clone()));
    });
    Ok(compiled)
}

/// Go's pattern in the crate's syntax.
fn translated(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern.chars().peekable();
    let mut class = false;
    while let Some(one) = rest.next() {
        match one {
            '\\' => match rest.next() {
                Some('d') => out.push_str(if class { "0-9" } else { "[0-9]" }),
                Some('D') => out.push_str("[^0-9]"),
                Some('w') => out.push_str(if class { "0-9A-Za-z_" } else { "[0-9A-Za-z_]" }),
                Some('W') => out.push_str("[^0-9A-Za-z_]"),
                Some('s') => out.push_str(if class {
                    "\\t\\n\\f\\r "
                } else {
                    "[\\t\\n\\f\\r ]"
                }),
                Some('S') => out.push_str("[^\\t\\n\\f\\r ]"),
                Some('b') if !class => out.push_str("(?-u:\\b)"),
                Some('Q') if !class => quoted(&mut rest, &mut out),
                Some(other) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
            '[' if !class => {
                class = true;
                out.push('[');
                if rest.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                if rest.next_if_eq(&']').is_some() {
                    out.push_str("\\]");
                }
            }
            '[' if rest.peek() == Some(&':') => {
                // A named class goes on to its own end.
                out.push('[');
                for inner in rest.by_ref() {
                    out.push(inner);
                    if inner == ']' {
                        break;
                    }
                }
            }
            '[' | '&' | '~' if class => out.extend(['\\', one]),
            ']' if class => {
                class = false;
                out.push(']');
            }
            other => out.push(other),
        }
    }
    out
}

fn quoted(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) {
    while let Some(one) = rest.next() {
        if one == '\\' && rest.next_if_eq(&'E').is_some() {
            return;
        }
        out.push_str(&regex::escape(one.encode_utf8(&mut [0; 4])));
    }
}

/// What Go says of a pattern, as far as the crate's error tells which error it is.
fn go_error(pattern: &str, error: &regex::Error) -> String {
    let said = error.to_string();
    let known = [
        ("unclosed group", "missing closing )"),
        ("unopened group", "unexpected )"),
        ("unclosed character class", "missing closing ]"),
        (
            "repetition operator missing expression",
            "missing argument to repetition operator",
        ),
        ("look-around", "invalid or unsupported Perl syntax"),
        ("unrecognized escape sequence", "invalid escape sequence"),
        (
            "invalid character class range",
            "invalid character class range",
        ),
    ];
    let why = known
        .iter()
        .find(|(ours, _)| said.contains(ours))
        .map_or("invalid regular expression", |(_, go)| go);
    format!("error parsing regexp: {why}: `{pattern}`")
}
