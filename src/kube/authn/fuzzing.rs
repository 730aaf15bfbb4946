//! Checks of what reads credentials.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::token_file::TokenFile;
use super::x509::{Authorities, Side, Subject};

/// A file of tokens: the empty token is nobody's.
///
/// # Panics
/// When it is somebody's.
pub fn token_file(data: &[u8]) {
    if let Ok(file) = TokenFile::read(data) {
        assert_eq!(file.user(""), None);
    }
}

/// A certificate, in DER and as an authority in PEM.
///
/// # Panics
/// When a user without a name is read.
pub fn client_certificate(data: &[u8]) {
    if let Ok(subject) = Subject::read(data) {
        assert!(subject.user.is_none_or(|user| !user.name.is_empty()));
    }
    if let Ok(authorities) = Authorities::read(data) {
        assert!(!authorities.have_issued(&[], Side::Client, std::time::Duration::ZERO));
    }
}

/// Headers as lines `name: value`.
pub(crate) fn headers(data: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(64) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts
            .next()
            .and_then(|name| HeaderName::from_bytes(name).ok());
        let value = parts
            .next()
            .and_then(|value| HeaderValue::from_bytes(value.trim_ascii()).ok());
        if let (Some(name), Some(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

/// Headers with credentials.
///
/// # Panics
/// When a token is empty.
pub fn credentials(data: &[u8]) {
    let headers = headers(data);
    assert_ne!(super::headers::bearer(&headers), Some(""));
    if let Ok(Some((token, others))) = super::headers::web_socket(&headers) {
        assert!(!token.is_empty() && !others.is_empty());
    }
}

/// A token that nobody has signed.
///
/// # Panics
/// When it is believed.
pub fn service_account_token(data: &[u8]) {
    use super::service_account::{PublicKey, ServiceAccounts, Settings};
    const KEY: &[u8] = include_bytes!("service_account/testdata/sa.pub");
    let settings = Settings {
        issuers: vec!["i".to_owned()],
        keys: PublicKey::read_all(KEY).unwrap_or_default(),
        signing_key: None,
        audiences: Vec::new(),
        max_expiration: std::time::Duration::ZERO,
        extend_expiration: false,
        jwks_uri: String::new(),
    };
    let accounts = ServiceAccounts::new(settings, std::sync::Arc::new(Nothing));
    let text = String::from_utf8_lossy(data);
    let believed = accounts.authenticate(&text, &[], std::time::Duration::ZERO);
    assert!(!matches!(believed, Ok(Some(_))));
    let bootstrap = super::bootstrap_token::user(&text, &Nothing, std::time::Duration::ZERO);
    assert_eq!(bootstrap, None);
    // Keys are files, and nothing is believed of those either.
    let _ = PublicKey::read_all(data).map(|keys| keys.iter().filter_map(PublicKey::jwk).count());
}

/// Holds no objects.
pub(crate) struct Nothing;

impl crate::kube::objects::Objects for Nothing {
    fn get(
        &self,
        _group: &str,
        _plural: &str,
        _namespace: &str,
        _name: &str,
    ) -> Option<std::sync::Arc<serde_json::Value>> {
        None
    }

    fn list(
        &self,
        _group: &str,
        _plural: &str,
        _namespace: Option<&str>,
    ) -> Vec<std::sync::Arc<serde_json::Value>> {
        Vec::new()
    }
}
