//! Which keys and values labels may have, in the words of Kubernetes' `validate/content`.

const KEY: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const KEY_RULE: &str = "must consist of alphanumeric characters, '-', '_' or '.', \
                        and must start and end with an alphanumeric character";
const VALUE_RULE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
                          and must start and end with an alphanumeric character";
const SUBDOMAIN: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const SUBDOMAIN_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
                              and must start and end with an alphanumeric character";
const MAX_NAME: usize = 63;
const MAX_PREFIX: usize = 253;

/// What is wrong with the key of a label.
pub(super) fn key_problems(key: &str) -> Vec<String> {
    let rule = || pattern(KEY_RULE, KEY, &["MyName", "my.name", "123-abc"]);
    let mut problems = Vec::new();
    let mut parts = key.split('/');
    let name = match (parts.next(), parts.next(), parts.next()) {
        (Some(name), None, _) => name,
        (Some(prefix), Some(name), None) => {
            if prefix.is_empty() {
                problems.push("prefix part must be non-empty".to_owned());
            } else {
                problems.extend(prefix_problems(prefix));
            }
            name
        }
        _ => {
            let rule = rule();
            return vec![format!(
                "a valid label key {rule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        problems.push("name part must be non-empty".to_owned());
    } else if name.len() > MAX_NAME {
        problems.push(format!("name part {}", too_long(MAX_NAME)));
    }
    if !is_name(name) {
        problems.push(format!("name part {}", rule()));
    }
    problems
}

/// What is wrong with the value of a label.
pub(super) fn value_problems(value: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if value.len() > MAX_NAME {
        problems.push(too_long(MAX_NAME));
    }
    if !value.is_empty() && !is_name(value) {
        let regex = format!("({KEY})?");
        let examples = ["MyValue", "my_value", "12345"];
        problems.push(pattern(VALUE_RULE, &regex, &examples));
    }
    problems
}

fn prefix_problems(prefix: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if prefix.len() > MAX_PREFIX {
        problems.push(format!("prefix part {}", too_long(MAX_PREFIX)));
    }
    if !prefix.split('.').all(is_dns_label) {
        let rule = pattern(SUBDOMAIN_RULE, SUBDOMAIN, &["example.com"]);
        problems.push(format!("prefix part {rule}"));
    }
    problems
}

/// Of any length, as the regular expression is.
fn is_dns_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    ends_in(label, inner) && label.bytes().all(|byte| inner(byte) || byte == b'-')
}

fn is_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric();
    let all = |byte: u8| inner(byte) || matches!(byte, b'-' | b'_' | b'.');
    ends_in(name, inner) && name.bytes().all(all)
}

fn ends_in(text: &str, of: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|byte| of(*byte)) && bytes.last().is_some_and(|byte| of(*byte))
}

fn too_long(limit: usize) -> String {
    format!("must be no more than {limit} bytes")
}

fn pattern(rule: &str, regex: &str, examples: &[&str]) -> String {
    let examples: Vec<_> = examples.iter().map(|one| format!("'{one}', ")).collect();
    let examples = examples.join(" or ");
    format!("{rule} (e.g. {examples}regex used for validation is '{regex}')")
}
