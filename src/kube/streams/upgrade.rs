//! Requests that want to leave HTTP.

use http::HeaderMap;
use http::header::CONNECTION;

/// Whether a request asks for an upgrade, as loosely as the release looks for it.
pub fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.get_all(CONNECTION).iter().any(|value| {
        value
            .to_str()
            .is_ok_and(|value| value.to_ascii_lowercase().contains("upgrade"))
    })
}
