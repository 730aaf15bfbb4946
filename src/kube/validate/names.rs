//! What names, keys and values have to look like; each rule answers with its messages.
//!
//! Rules: <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>.

/// Messages about a string: none if it is right.
pub(super) type Messages = Vec<String>;

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const KEY: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

fn of(message: impl Into<String>) -> Messages {
    vec![message.into()]
}

/// A message with examples and the expression that the release matches.
fn pattern(message: &str, expression: &str, examples: &[&str]) -> String {
    if examples.is_empty() {
        return format!("{message} (regex used for validation is '{expression}')");
    }
    let examples: Vec<String> = examples.iter().map(|one| format!("'{one}', ")).collect();
    let examples = examples.join(" or ");
    format!("{message} (e.g. {examples}regex used for validation is '{expression}')")
}

fn characters(limit: usize) -> String {
    format!("must be no more than {limit} characters")
}

fn bytes(limit: usize) -> String {
    format!("must be no more than {limit} bytes")
}

pub(super) fn in_range(low: i64, high: i64) -> String {
    format!("must be between {low} and {high}, inclusive")
}

fn lower(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

/// `[a-z0-9]([-a-z0-9]*[a-z0-9])?`, whatever its length.
fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|b| lower(*b))
        && bytes.last().is_some_and(|b| lower(*b))
        && bytes.iter().all(|b| lower(*b) || *b == b'-')
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

pub(in crate::kube) fn dns_label(text: &str) -> Messages {
    let mut messages = Vec::new();
    if text.len() > 63 {
        messages.push(characters(63));
    }
    if !is_label(text) {
        messages.push(if is_subdomain(text) {
            "must not contain dots".into()
        } else {
            pattern(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
                LABEL,
                &["my-name", "123-abc"],
            )
        });
    }
    messages
}

pub(in crate::kube) fn dns_1035_label(text: &str) -> Messages {
    let mut messages = Vec::new();
    if text.len() > 63 {
        messages.push(characters(63));
    }
    if !(is_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase())) {
        messages.push(pattern(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
            "[a-z]([-a-z0-9]*[a-z0-9])?",
            &["my-name", "abc-123"],
        ));
    }
    messages
}

pub(in crate::kube) fn subdomain(text: &str) -> Messages {
    let mut messages = Vec::new();
    if text.len() > 253 {
        messages.push(characters(253));
    }
    if !is_subdomain(text) {
        messages.push(pattern(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
            SUBDOMAIN,
            &["example.com"],
        ));
    }
    messages
}

/// A subdomain whose labels may hold underscores, one of them in front.
pub(super) fn subdomain_with_underscores(text: &str) -> Messages {
    let mut messages = Vec::new();
    if text.len() > 253 {
        messages.push(characters(253));
    }
    let label = |label: &str| {
        let rest = label.strip_prefix('_').unwrap_or(label).as_bytes();
        rest.first().is_some_and(|b| lower(*b))
            && rest.last().is_some_and(|b| lower(*b))
            && rest.iter().all(|b| lower(*b) || matches!(b, b'-' | b'_'))
    };
    if !text.split('.').all(label) {
        messages.push(pattern(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character",
            r"_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*",
            &["example.com"],
        ));
    }
    messages
}

pub(super) fn wildcard_subdomain(text: &str) -> Messages {
    let mut messages = Vec::new();
    if text.len() > 253 {
        messages.push(characters(253));
    }
    if !text.strip_prefix("*.").is_some_and(is_subdomain) {
        messages.push(pattern(
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
            &format!(r"\*\.{SUBDOMAIN}"),
            &["*.example.com"],
        ));
    }
    messages
}

/// What can be a part of a URL's path, as the names of roles.
pub(super) fn path_segment(text: &str) -> Messages {
    if text == "." || text == ".." {
        return of(format!("may not be '{text}'"));
    }
    ["/", "%"]
        .iter()
        .filter(|one| text.contains(**one))
        .map(|one| format!("may not contain '{one}'"))
        .collect()
}

fn is_key_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// A label's key: a name, before it a subdomain and a slash or not.
pub(in crate::kube) fn qualified(text: &str) -> Messages {
    const MESSAGE: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
    const EXAMPLES: [&str; 3] = ["MyName", "my.name", "123-abc"];
    let mut messages = Vec::new();
    let mut parts = text.split('/');
    let name = match (parts.next(), parts.next(), parts.next()) {
        (Some(name), None, None) => name,
        (Some(prefix), Some(name), None) => {
            if prefix.is_empty() {
                messages.push("prefix part must be non-empty".into());
            } else {
                let found = subdomain_bytes(prefix).into_iter();
                messages.extend(found.map(|message| format!("prefix part {message}")));
            }
            name
        }
        _ => {
            let message = pattern(MESSAGE, KEY, &EXAMPLES);
            return of(format!(
                "a valid label key {message} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            ));
        }
    };
    if name.is_empty() {
        messages.push("name part must be non-empty".into());
    } else if name.len() > 63 {
        messages.push(format!("name part {}", bytes(63)));
    }
    if !is_key_name(name) {
        messages.push(format!("name part {}", pattern(MESSAGE, KEY, &EXAMPLES)));
    }
    messages
}

/// [`subdomain`] where length is counted in bytes by word.
fn subdomain_bytes(text: &str) -> Messages {
    let found = subdomain(text).into_iter();
    found
        .map(|message| {
            if message == characters(253) {
                bytes(253)
            } else {
                message
            }
        })
        .collect()
}

pub(in crate::kube) fn label_value(text: &str) -> Messages {
    let mut messages = Vec::new();
    if text.len() > 63 {
        messages.push(bytes(63));
    }
    if !text.is_empty() && !is_key_name(text) {
        messages.push(pattern(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
            &format!("({KEY})?"),
            &["MyValue", "my_value", "12345"],
        ));
    }
    messages
}

/// Names of files that config maps and secrets become.
pub(super) fn config_key(text: &str) -> Messages {
    let mut messages = Vec::new();
    if text.len() > 253 {
        messages.push(characters(253));
    }
    let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if text.is_empty() || !text.bytes().all(ok) {
        messages.push(pattern(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            "[-._a-zA-Z0-9]+",
            &["key.name", "KEY_NAME", "key-name"],
        ));
    }
    match text {
        "." | ".." => messages.push(format!("must not be '{text}'")),
        _ if text.starts_with("..") => messages.push("must not start with '..'".into()),
        _ => {}
    }
    messages
}

/// Printable ASCII but for `=`.
pub(super) fn environment_name(text: &str) -> Messages {
    let mut messages = Vec::new();
    if text.is_empty() {
        messages.push("environment variable name must be non-empty".into());
    }
    if text.chars().any(|c| !(' '..='~').contains(&c) || c == '=') {
        messages.push(
            "a valid environment variable name must consist only of printable ASCII characters other than '='".into(),
        );
    }
    messages
}

pub(super) fn port_number(number: i64) -> Messages {
    if (1..=65535).contains(&number) {
        Vec::new()
    } else {
        of(in_range(1, 65535))
    }
}

/// IANA service names.
pub(super) fn port_name(text: &str) -> Messages {
    let mut messages = Vec::new();
    if text.len() > 15 {
        messages.push(characters(15));
    }
    if text.is_empty() || !text.bytes().all(|b| lower(b) || b == b'-') {
        messages
            .push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".into());
    }
    if !text.bytes().any(|b| b.is_ascii_lowercase()) {
        messages.push("must contain at least one letter (a-z)".into());
    }
    if text.contains("--") {
        messages.push("must not contain consecutive hyphens".into());
    }
    if text.starts_with('-') || text.ends_with('-') {
        messages.push("must not begin or end with a hyphen".into());
    }
    messages
}

pub(super) fn percent(text: &str) -> Messages {
    let digits = text.strip_suffix('%').unwrap_or_default();
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Vec::new();
    }
    of(pattern(
        "a valid percent string must be a numeric string followed by an ending '%'",
        "[0-9]+%",
        &["1%", "93%"],
    ))
}

pub(super) fn http_header(text: &str) -> Messages {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Vec::new();
    }
    of(pattern(
        "a valid HTTP header must consist of alphanumeric characters or '-'",
        "[-A-Za-z0-9]+",
        &["X-Header-Name"],
    ))
}

/// User and group numbers.
pub(super) fn user_id(id: i64) -> Messages {
    if (0..=i64::from(i32::MAX)).contains(&id) {
        Vec::new()
    } else {
        of(in_range(0, i64::from(i32::MAX)))
    }
}

/// The beginning of a name: a dash at its end stands before what is made up.
pub(in crate::kube) fn masked(text: &str) -> String {
    match text.strip_suffix('-') {
        Some(rest) if !rest.is_empty() => {
            let mut cut = rest.to_owned();
            cut.pop();
            cut.push('a');
            cut
        }
        _ => text.to_owned(),
    }
}
