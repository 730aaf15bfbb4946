//! What others need to check the tokens themselves: OpenID Connect discovery and the key set.
//!
//! Both are served with `Cache-Control: public, max-age=3600`.

use serde_json::{Value, json};

use super::ServiceAccounts;

/// The path of [`ServiceAccounts::configuration`], `application/json`.
pub const CONFIGURATION_PATH: &str = "/.well-known/openid-configuration";
/// The path of [`ServiceAccounts::key_set`].
pub const KEY_SET_PATH: &str = "/openid/v1/jwks";
/// The media type of [`ServiceAccounts::key_set`].
pub const KEY_SET_TYPE: &str = "application/jwk-set+json";
/// How long both may be kept, in seconds.
pub const MAX_AGE: u32 = 3600;

impl ServiceAccounts {
    /// The discovery document; None if the issuer is no URL that one could be served under, and then neither
    /// document is.
    pub fn configuration(&self) -> Option<Value> {
        let issuer = self.settings.issuers.first()?;
        if !issuer.starts_with("https://") || issuer.contains(['?', '#']) {
            return None;
        }
        let mut algorithms: Vec<_> = self
            .settings
            .keys
            .iter()
            .map(|key| key.algorithm())
            .collect();
        algorithms.sort_unstable();
        algorithms.dedup();
        Some(json!({
            "issuer": issuer,
            "jwks_uri": self.settings.jwks_uri,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": algorithms,
        }))
    }

    /// The public keys.
    pub fn key_set(&self) -> Value {
        let keys = self.settings.keys.iter().filter_map(|key| key.jwk());
        json!({"keys": keys.collect::<Value>()})
    }
}
