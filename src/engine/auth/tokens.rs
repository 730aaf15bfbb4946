//! The two kinds of tokens, and the settings of authentication.

use std::sync::Arc;
use std::time::Duration;

use super::jwt::Jwt;
use super::simple::SimpleTokens;

/// Settings of authentication.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// What tokens are.
    pub tokens: TokenConfig,
    /// The work of a password's hash: each step doubles it (4 to 31).
    pub bcrypt_cost: u32,
}

/// What tokens are.
#[derive(Debug, Clone)]
pub enum TokenConfig {
    /// Random words that members remember.
    Simple {
        /// Time from the last use to the end.
        ttl: Duration,
    },
    /// Signed statements that any member with the key can check.
    Jwt(Arc<Jwt>),
}

impl Default for AuthConfig {
    /// etcd's defaults.
    fn default() -> Self {
        Self {
            tokens: TokenConfig::Simple {
                ttl: Duration::from_secs(300),
            },
            bcrypt_cost: 10,
        }
    }
}

/// The tokens that this member knows or can check.
#[derive(Debug)]
pub(crate) enum Tokens {
    /// Random words that members remember.
    Simple(SimpleTokens),
    /// Signed statements.
    Signed(Arc<Jwt>),
}

impl Tokens {
    pub(super) fn new(config: &TokenConfig) -> Self {
        match config {
            TokenConfig::Simple { ttl } => Self::Simple(SimpleTokens::new(*ttl)),
            TokenConfig::Jwt(jwt) => Self::Signed(Arc::clone(jwt)),
        }
    }

    /// The tokens that are remembered, if any are.
    pub(in crate::engine) const fn simple(&self) -> Option<&SimpleTokens> {
        match self {
            Self::Simple(tokens) => Some(tokens),
            Self::Signed(_) => None,
        }
    }
}
