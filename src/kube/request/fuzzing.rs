//! A check of the reader of requests.

use super::RequestInfo;

/// The first line is a method, the second a path, the rest a query.
///
/// # Panics
/// When what is read does not hold together.
pub fn request_path(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (method, path, query) = (line(), line(), line());
    let Ok(info) = RequestInfo::parse(method, path, query) else {
        return;
    };
    let Some(target) = &info.target else {
        assert_eq!(info.verb, method.to_ascii_lowercase());
        return;
    };
    let one = ["list", "deletecollection"].contains(&&*info.verb);
    assert!(!one || target.name.is_empty() || target.name_is_selected);
    assert!(target.rest.is_empty() || info.path.contains(&target.rest));
    let slash = target.namespace.contains('/') || target.name.contains('/');
    assert!(!slash, "a segment with a slash: {target:?}");
}
