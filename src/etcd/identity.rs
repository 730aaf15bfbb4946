//! Who is behind a request: what its headers and its connection say.

use std::sync::Arc;

use http::{Extensions, HeaderMap, HeaderValue};

use crate::engine::Credentials;

/// The common name in the verified certificate of a client, left among a request's extensions by whoever
/// serves the connection (`--client-cert-auth`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertifiedName(pub Arc<str>);

/// Where a token may be, in the order in which they are asked: etcd's clients, plain HTTP, and what a gateway
/// makes of the latter.
const TOKENS: [&str; 3] = ["token", "authorization", "grpcgateway-authorization"];

/// Marks calls that a JSON gateway makes on a connection of its own: the certificate there is not the client's.
const GATEWAY: &str = "grpcgateway-accept";

/// What a request says of its caller. A token counts before a certificate.
pub(super) fn credentials(headers: &HeaderMap, extensions: &Extensions) -> Credentials {
    let token = TOKENS.iter().find_map(|name| headers.get(*name));
    let certified = if headers.contains_key(GATEWAY) {
        None
    } else {
        extensions.get::<CertifiedName>()
    };
    Credentials {
        token: token.map(text),
        certified: certified.map(|CertifiedName(name)| Arc::clone(name)),
    }
}

/// The token as it is, or behind `Bearer`. What is no text is no token that was ever given.
fn text(value: &HeaderValue) -> String {
    let text = value.to_str().unwrap_or_default();
    let bearer = text
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    bearer
        .map_or(text, |(_, token)| token.trim_start())
        .to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(headers: &[(&'static str, &'static str)], certified: Option<&str>) -> Credentials {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        let mut extensions = Extensions::new();
        if let Some(name) = certified {
            extensions.insert(CertifiedName(name.into()));
        }
        credentials(&map, &extensions)
    }

    fn token(headers: &[(&'static str, &'static str)]) -> Option<String> {
        of(headers, None).token
    }

    #[test]
    fn a_token_is_found_wherever_clients_put_it() {
        assert_eq!(token(&[]), None);
        assert_eq!(token(&[("token", "a.1")]).as_deref(), Some("a.1"));
        assert_eq!(token(&[("authorization", "a.1")]).as_deref(), Some("a.1"));
        for bearer in ["Bearer a.1", "bearer a.1", "BEARER  a.1"] {
            assert_eq!(token(&[("authorization", bearer)]).as_deref(), Some("a.1"));
        }
        let gateway = token(&[("grpcgateway-authorization", "a.1")]);
        assert_eq!(gateway.as_deref(), Some("a.1"));
        let both = token(&[("authorization", "b.2"), ("token", "a.1")]);
        assert_eq!(both.as_deref(), Some("a.1"));
        let twice = token(&[("token", "a.1"), ("token", "b.2")]);
        assert_eq!(twice.as_deref(), Some("a.1"));
        assert_eq!(
            token(&[("authorization", "Basic a")]).as_deref(),
            Some("Basic a")
        );
    }

    #[test]
    fn a_certificate_counts_except_through_a_gateway() {
        let name = |headers: &[_]| of(headers, Some("ann")).certified;
        assert_eq!(name(&[]).as_deref(), Some("ann"));
        assert_eq!(name(&[("token", "a.1")]).as_deref(), Some("ann"));
        assert_eq!(name(&[("grpcgateway-accept", "*/*")]), None);
        assert_eq!(name(&[("grpcgateway-accept", "")]), None);
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                headers.insert("authorization", value);
                let read = credentials(&headers, &Extensions::new());
                prop_assert!(read.token.unwrap().len() <= bytes.len());
            }
        }
    }
}
