//! Which images are pulled always: those whose tag is `latest`, said or not.
//!
//! Grammar of references: `github.com/distribution/reference`.

/// Whether a reference to an image means its `latest`. What cannot be read does not.
pub fn is_latest(image: &str) -> bool {
    tag(image) == Some("latest")
}

/// The tag, `latest` where neither tag nor digest is said. None if this is no reference.
fn tag(image: &str) -> Option<&str> {
    let (named, digest) = match image.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (image, None),
    };
    if is_hash(image) || !digest.is_none_or(is_digest) {
        return None;
    }
    // A colon before the last slash is a port's.
    let from = named.rfind('/').map_or(0, |at| at + 1);
    let last = named.get(from..)?;
    let (name, tag) = match last.split_once(':') {
        Some((last, tag)) => (named.get(..from + last.len())?, Some(tag)),
        None => (named, None),
    };
    if !is_name(name) || !tag.is_none_or(is_tag) {
        return None;
    }
    Some(tag.unwrap_or(if digest.is_some() { "" } else { "latest" }))
}

/// 64 hexadecimal digits alone would be taken for an image's identity.
fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let mut bytes = tag.bytes();
    tag.len() <= 128
        && bytes.next().is_some_and(word)
        && bytes.all(|b| word(b) || b == b'.' || b == b'-')
}

fn is_digest(digest: &str) -> bool {
    let length = match digest.split_once(':') {
        Some(("sha256", _)) => 64,
        Some(("sha384", _)) => 96,
        Some(("sha512", _)) => 128,
        _ => return false,
    };
    let hex = digest.split_once(':').map_or("", |(_, hex)| hex);
    hex.len() == length && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_name(name: &str) -> bool {
    let (domain, path) = match name.split_once('/') {
        Some((first, path))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (Some(first), path)
        }
        _ => (None, name),
    };
    name.len() <= 255 && domain.is_none_or(is_domain) && path.split('/').all(is_component)
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (domain, None),
    };
    let digits = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let address = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let host_is = match address {
        Some(v6) => !v6.is_empty() && v6.bytes().all(|b| b.is_ascii_hexdigit() || b == b':'),
        None => host.split('.').all(|label| {
            let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
            let bytes = label.as_bytes();
            edge(bytes.first())
                && edge(bytes.last())
                && bytes
                    .iter()
                    .all(|b| b.is_ascii_alphanumeric() || *b == b'-')
        }),
    };
    host_is && port.is_none_or(digits)
}

/// Lower-case letters and digits, between them `.`, `_`, `__` or dashes.
fn is_component(component: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ends = component.starts_with(plain) && component.ends_with(plain);
    let between =
        |part: &str| matches!(part, "" | "." | "_" | "__") || part.bytes().all(|b| b == b'-');
    ends && component.split(plain).all(between)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_found_where_references_have_them() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (image, latest) in [
            ("nginx", true),
            ("nginx:latest", true),
            ("nginx:1.25", false),
            ("localhost:5000/nginx", true),
            ("localhost:5000/a/b:1", false),
            ("registry.k8s.io/pause:3.9", false),
            ("", false),
            ("Nginx", false),
            ("a b", false),
            ("a__b.c--d", true),
            ("a___b", false),
            (&"a".repeat(64), false),
            (&format!("nginx@{digest}"), false),
            (&format!("nginx:latest@{digest}"), true),
            ("nginx@sha256:a", false),
        ] {
            assert_eq!(is_latest(image), latest, "{image}");
        }
    }
}
