//! Groups of the Kubernetes project, whose definitions have to show that their API was approved.

use serde_json::Value;

use crate::kube::tree;

pub const ANNOTATION: &str = "api-approved.kubernetes.io";

/// What the annotation of a definition says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    /// Neither a URL nor an excuse.
    Invalid,
    /// It names the pull request.
    Approved,
    /// It begins with "unapproved".
    Bypassed,
    Missing,
}

/// Whether a group is one of the project's.
pub fn is_protected(group: &str) -> bool {
    ["k8s.io", "kubernetes.io"].iter().any(|own| {
        let before = group.strip_suffix(own);
        before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
    })
}

/// The state of a definition, and it in words.
pub fn of(crd: &Value) -> (Approval, String) {
    const SEE: &str = "see https://github.com/kubernetes/enhancements/pull/1111";
    let said = tree::text(crd, &["metadata", "annotations", ANNOTATION]);
    if said.is_empty() {
        let why = format!("protected groups must have approval annotation {ANNOTATION:?}, {SEE}");
        (Approval::Missing, why)
    } else if said.starts_with("unapproved") {
        (Approval::Bypassed, format!("not approved: {said:?}"))
    } else if is_url(said) {
        (Approval::Approved, format!("approved in {said}"))
    } else {
        let why = format!(
            "protected groups must have approval annotation {ANNOTATION:?} with either a URL or a reason starting with \"unapproved\", {SEE}"
        );
        (Approval::Invalid, why)
    }
}

/// Whether a text is a URL with scheme and host, as Go reads those of requests.
fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    let mut letters = scheme.bytes();
    let scheme = letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (host, ""),
    };
    let allowed = |byte: u8| {
        byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]<>\"".contains(&byte) || byte >= 0x80
    };
    scheme
        && !host.is_empty()
        && host.bytes().all(allowed)
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && !text.bytes().any(|byte| byte < 0x20 || byte == 0x7f)
        && escapes_are_whole(rest)
}

fn escapes_are_whole(text: &str) -> bool {
    let mut parts = text.split('%');
    parts.next();
    parts.all(|part| {
        let digits = part.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_projects_groups_are_known() {
        for group in ["k8s.io", "a.k8s.io", "kubernetes.io", "b.c.kubernetes.io"] {
            assert!(is_protected(group), "{group}");
        }
        for group in ["example.com", "notk8s.io", "k8s.io.example.com"] {
            assert!(!is_protected(group), "{group}");
        }
    }

    #[test]
    fn urls_have_scheme_and_host() {
        for url in [
            "https://github.com/kubernetes/enhancements/pull/1111",
            "http://a",
            "https://a:443/b?c",
        ] {
            assert!(is_url(url), "{url}");
        }
        for no in [
            "github.com/a",
            "https://",
            "/a",
            "ht tp://a",
            "https://a b/c",
            "https://a:b/",
        ] {
            assert!(!is_url(no), "{no}");
        }
    }
}
