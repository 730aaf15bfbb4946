//! Who calls, and what the caller may do: the living parts around the replicated users and roles.
//!
//! The state itself is `mvcc::auth`; the apply thread changes it and publishes it with the view, so that whatever
//! a read finds is judged by users and roles that are as new. Here are the parts that need the time, chance or a
//! lot of CPU: tokens and passwords. A command is judged twice: early, to refuse it before it costs anything, and
//! where it is applied, which is what counts.

mod calls;
mod enforce;
mod identity;
pub(super) mod jwt;
mod passwords;
mod simple;
mod tokens;

use std::sync::Arc;

pub use self::calls::NewPassword;
pub(super) use self::enforce::authorize;
pub use self::identity::{Acting, Caller, Credentials, Demand};
pub use self::jwt::{Jwt, JwtError, JwtSettings};
pub(super) use self::passwords::Passwords;
pub(super) use self::simple::SimpleTokens;
pub(super) use self::tokens::Tokens;
pub use self::tokens::{AuthConfig, TokenConfig};

/// What a member has for authentication besides the replicated state.
#[derive(Debug)]
pub(crate) struct Auth {
    pub(super) tokens: Tokens,
    pub(super) passwords: Passwords,
}

impl Auth {
    pub(super) fn new(config: &AuthConfig) -> Arc<Self> {
        Arc::new(Self {
            tokens: Tokens::new(&config.tokens),
            passwords: Passwords::new(config.bcrypt_cost),
        })
    }
}
