//! The settings of authentication, with the keys that the flags only name.

use std::path::Path;
use std::sync::Arc;

use super::error::StartError;
use crate::config;
use crate::engine::{AuthConfig, Jwt, JwtSettings, TokenConfig};

/// Reads the keys.
///
/// # Errors
/// [`StartError::AuthToken`].
pub(super) fn auth_config(config: &config::AuthConfig) -> Result<AuthConfig, StartError> {
    let tokens = match &config.token {
        config::TokenKind::Simple { ttl } => TokenConfig::Simple { ttl: *ttl },
        config::TokenKind::Jwt(jwt) => {
            let settings = JwtSettings {
                method: jwt.sign_method.clone(),
                public_key: jwt.pub_key.as_deref().map(read).transpose()?,
                private_key: jwt.priv_key.as_deref().map(read).transpose()?,
                ttl: jwt.ttl,
            };
            let jwt = Jwt::new(&settings).map_err(|error| refused(error.to_string()))?;
            TokenConfig::Jwt(Arc::new(jwt))
        }
    };
    Ok(AuthConfig {
        tokens,
        bcrypt_cost: config.bcrypt_cost,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, StartError> {
    std::fs::read(path).map_err(|error| refused(format!("{}: {error}", path.display())))
}

const fn refused(reason: String) -> StartError {
    StartError::AuthToken(reason)
}
