//! Credentials in the headers of a request.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};

/// A longer token is not looked at.
pub const MAX_TOKEN: usize = 64 << 10;

/// Before the token among the protocols of a web socket, which cannot set other headers from a browser.
const TOKEN_PROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";

/// The token of `Authorization: Bearer TOKEN`. Other kinds of credentials are nobody's here.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?.trim();
    let (scheme, rest) = value.split_once(' ')?;
    let token = rest.split(' ').next().unwrap_or_default();
    let fits = scheme.eq_ignore_ascii_case("bearer") && !token.is_empty();
    fits.then_some(token)
}

/// The token among the protocols that a web socket offers, with the protocols that are left.
///
/// # Errors
/// When there is one that cannot be used.
pub fn web_socket(headers: &HeaderMap) -> Result<Option<(String, Vec<String>)>, &'static str> {
    let mut token = None;
    let mut others = Vec::new();
    for value in headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
        for protocol in value.to_str().unwrap_or_default().split(',').map(str::trim) {
            let Some(encoded) = protocol.strip_prefix(TOKEN_PROTOCOL) else {
                others.push(protocol.to_owned());
                continue;
            };
            if token.is_some() {
                return Err("multiple base64.bearer.authorization tokens specified");
            }
            let decoded = URL_SAFE_NO_PAD.decode(encoded);
            let decoded =
                decoded.map_err(|_| "invalid base64.bearer.authorization token encoding")?;
            let text = String::from_utf8(decoded);
            token = Some(text.map_err(|_| "invalid base64.bearer.authorization token")?);
        }
    }
    match token.filter(|token| !token.is_empty()) {
        Some(_) if others.is_empty() => Err("missing additional subprotocol"),
        Some(token) => Ok(Some((token, others))),
        None => Ok(None),
    }
}

/// Whether a request asks for a web socket.
pub fn asks_for_web_socket(headers: &HeaderMap) -> bool {
    let has = |name: &str, word: &str| {
        let values = headers.get_all(name).into_iter();
        let mut words = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|v| v.split(','));
        words.any(|one| one.trim().eq_ignore_ascii_case(word))
    };
    has("connection", "upgrade") && has("upgrade", "websocket")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authorization(value: &str) -> HeaderMap {
        [(AUTHORIZATION, value.parse().unwrap())]
            .into_iter()
            .collect()
    }

    #[test]
    fn bearer_tokens() {
        for (value, token) in [
            ("Bearer abc", Some("abc")),
            (" bEARER abc ", Some("abc")),
            ("Bearer abc def", Some("abc")),
            ("Bearer  abc", None),
            ("Bearer", None),
            ("Basic abc", None),
            ("", None),
        ] {
            assert_eq!(bearer(&authorization(value)), token, "{value}");
        }
    }

    #[test]
    fn tokens_among_protocols() {
        let offered = |protocols: &str| {
            let headers = [(SEC_WEBSOCKET_PROTOCOL, protocols.parse().unwrap())];
            web_socket(&headers.into_iter().collect())
        };
        let token = format!("{TOKEN_PROTOCOL}YWJj");
        let found = offered(&format!("v4.channel.k8s.io, {token}"));
        assert_eq!(
            found,
            Ok(Some((
                "abc".to_owned(),
                vec!["v4.channel.k8s.io".to_owned()]
            )))
        );
        assert_eq!(offered("v4.channel.k8s.io"), Ok(None));
        for refused in [
            token.clone(),
            format!("a, {token}, {token}"),
            format!("a, {TOKEN_PROTOCOL}="),
            format!("a, {TOKEN_PROTOCOL}_w"),
        ] {
            assert!(offered(&refused).is_err(), "{refused}");
        }
    }
}
