//! The handshake (RFC 6455, section 4.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue};
use sha1::{Digest as _, Sha1};

use crate::kube::streams::upgrade;

/// Appended to a client's key (section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Whether a request asks for a WebSocket.
pub fn is_websocket(headers: &HeaderMap) -> bool {
    let wanted = headers.get(UPGRADE).and_then(|value| value.to_str().ok());
    wanted.is_some_and(|wanted| wanted.eq_ignore_ascii_case("websocket"))
        && upgrade::is_upgrade(headers)
}

/// The subprotocols that a client offers, in its order.
pub fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let all = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    all.filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|protocol| !protocol.is_empty())
}

/// What a client's key is answered with.
pub fn accept_key(key: &str) -> String {
    STANDARD.encode(Sha1::digest(format!("{key}{GUID}")))
}

/// The headers of the answer that takes a client's offer; `protocol` is one that it has offered, or none.
///
/// # Errors
/// What is wrong with the request, to be answered with 400.
pub fn accept(request: &HeaderMap, protocol: Option<&str>) -> Result<HeaderMap, &'static str> {
    let text = |name| request.get(name).and_then(|value| value.to_str().ok());
    if text(SEC_WEBSOCKET_VERSION).map(str::trim) != Some("13") {
        return Err("missing or bad WebSocket Version");
    }
    let key = text(SEC_WEBSOCKET_KEY).map(str::trim).unwrap_or_default();
    if STANDARD.decode(key).map_or(0, |key| key.len()) != 16 {
        return Err("mismatch challenge/response");
    }
    let mut headers = HeaderMap::new();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    let key = HeaderValue::from_str(&accept_key(key)).map_err(|_| "bad WebSocket key")?;
    headers.insert(SEC_WEBSOCKET_ACCEPT, key);
    if let Some(protocol) = protocol {
        let protocol = HeaderValue::from_str(protocol).map_err(|_| "bad WebSocket protocol")?;
        headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    /// Section 1.3.
    #[test]
    fn the_example_of_the_specification() {
        let key = accept_key("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(key, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn an_offer_is_taken() {
        let request = request(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            (
                "sec-websocket-protocol",
                "v5.channel.k8s.io, v4.channel.k8s.io",
            ),
        ]);
        assert!(is_websocket(&request));
        let offered: Vec<_> = protocols(&request).collect();
        assert_eq!(offered, ["v5.channel.k8s.io", "v4.channel.k8s.io"]);
        let answer = accept(&request, offered.first().copied()).unwrap();
        assert_eq!(answer["sec-websocket-protocol"], "v5.channel.k8s.io");
        assert_eq!(answer["connection"], "Upgrade");
    }

    #[test]
    fn what_is_no_offer_is_refused() {
        let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let version = ("sec-websocket-version", "13");
        for wrong in [
            &[key][..],
            &[version],
            &[version, ("sec-websocket-key", "c2hvcnQ=")],
            &[key, ("sec-websocket-version", "8")],
        ] {
            assert!(accept(&request(wrong), None).is_err());
        }
        assert!(!is_websocket(&request(&[("upgrade", "websocket")])));
        let spdy = [("upgrade", "SPDY/3.1"), ("connection", "upgrade")];
        assert!(!is_websocket(&request(&spdy)));
    }
}
