//! Signed tokens (JSON Web Tokens): a statement of who the user is, which any member with the key can check.
//!
//! Compact JWS by RFC 7515, with the one algorithm that the operator chose: a token that names another is not
//! looked at further, so there is nothing to be talked into. The signatures are `ring`'s. The crate
//! `jsonwebtoken` is not used: what it would bring beside its own crypto (`rsa`, RUSTSEC-2023-0071, or aws-lc) is
//! the framing below, and it reads fewer forms of keys than etcd does.

mod keys;
mod methods;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use self::keys::{Signer, Verifier};
use self::methods::Method;
use crate::mvcc::auth::AuthError;

/// A longer token is not looked at.
const MAX_BYTES: usize = 16 << 10;

/// Signs tokens, or only checks them.
pub struct Jwt {
    method: Method,
    signer: Option<Signer>,
    verifier: Verifier,
    ttl: Duration,
}

/// What [`Jwt`] is told, as the flag `--auth-token` has it.
#[derive(Clone)]
pub struct JwtSettings {
    /// The algorithm by its name in tokens, such as `RS256`.
    pub method: String,
    /// The public key, PEM.
    pub public_key: Option<Vec<u8>>,
    /// The private key, PEM; the secret as it is for the methods with one key.
    pub private_key: Option<Vec<u8>>,
    /// Time from giving a token to its end.
    pub ttl: Duration,
}

/// Why keys cannot be used. The words are etcd's where it has them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// The algorithm is unknown, or not supported.
    #[error("auth: invalid auth signature method {0:?}; supported are {known}", known = methods::names())]
    Method(String),
    /// There is no key for the algorithm.
    #[error("auth: missing key data")]
    MissingKey,
    /// The public key is not that of the private one.
    #[error("auth: public and private keys don't match")]
    KeyMismatch,
    /// A key is not of the algorithm, or is damaged.
    #[error("auth: cannot read the {which} key: {reason}")]
    Key {
        /// `public` or `private`.
        which: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    typ: Option<String>,
    /// Extensions that must be understood; none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crit: Option<serde_json::Value>,
}

/// Numbers are floating point in JSON, and Go's reader takes them as such.
#[derive(Serialize, Deserialize)]
struct Claims {
    username: String,
    revision: serde_json::Number,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exp: Option<serde_json::Number>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<serde_json::Number>,
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) user: String,
    /// The auth revision at which it was given.
    pub(crate) revision: u64,
}

impl Jwt {
    /// Takes the keys.
    ///
    /// # Errors
    /// [`JwtError`].
    pub fn new(settings: &JwtSettings) -> Result<Self, JwtError> {
        let method = Method::of(&settings.method)?;
        let (signer, verifier) = keys::read(
            method,
            settings.public_key.as_deref(),
            settings.private_key.as_deref(),
        )?;
        Ok(Self {
            method,
            signer,
            verifier,
            ttl: settings.ttl,
        })
    }

    /// Whether there is a key to sign with.
    pub(crate) const fn can_sign(&self) -> bool {
        self.signer.is_some()
    }

    /// Makes a token that ends a while after `now`, the time since the Unix epoch.
    ///
    /// # Errors
    /// [`AuthError::VerifyOnly`].
    pub(crate) fn sign(&self, said: &Statement, now: Duration) -> Result<String, AuthError> {
        let signer = self.signer.as_ref().ok_or(AuthError::VerifyOnly)?;
        let header = Header {
            alg: self.method.name().to_owned(),
            typ: Some("JWT".to_owned()),
            crit: None,
        };
        let claims = Claims {
            username: said.user.clone(),
            revision: said.revision.into(),
            exp: Some((now + self.ttl).as_secs().into()),
            nbf: None,
        };
        let mut token = format!("{}.{}", part(&header), part(&claims));
        let signature = signer.sign(token.as_bytes()).ok_or(AuthError::VerifyOnly)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    /// A token of any two parts with a right signature.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn signed(&self, header: &[u8], claims: &[u8]) -> Option<String> {
        let parts = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
        let signed = parts.join(".");
        let signature = self.signer.as_ref()?.sign(signed.as_bytes())?;
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// What a token says, if its signature is right and it holds at `now`.
    pub(crate) fn verify(&self, token: &str, now: Duration) -> Option<Statement> {
        if token.len() > MAX_BYTES {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = serde_json::from_slice(&decode(header)?).ok()?;
        if header.alg != self.method.name() || header.crit.is_some() {
            return None;
        }
        let signature = decode(signature)?;
        if !self.verifier.verify(signed.as_bytes(), &signature) {
            return None;
        }
        let claims: Claims = serde_json::from_slice(&decode(claims)?).ok()?;
        let now = now.as_secs_f64();
        let ended = claims.exp.is_some_and(|end| seconds(&end) <= now);
        let begun = claims.nbf.is_none_or(|begin| seconds(&begin) <= now);
        // A cast saturates, and takes what is no number for zero: older than any revision.
        let revision = claims.revision.as_f64().unwrap_or(0.0) as u64;
        (begun && !ended).then_some(Statement {
            user: claims.username,
            revision,
        })
    }
}

impl std::fmt::Debug for Jwt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jwt")
            .field("method", &self.method.name())
            .field("signs", &self.can_sign())
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

fn part(value: &impl Serialize) -> String {
    // Strings and numbers always have a JSON form.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).unwrap_or_default())
}

fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

fn seconds(time: &serde_json::Number) -> f64 {
    time.as_f64().unwrap_or(0.0)
}

#[cfg(test)]
mod tests;
