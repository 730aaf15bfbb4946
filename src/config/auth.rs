//! The flags of authentication.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::error::ConfigError;
use super::parse::Given;
use super::value::{self, PARSE_ERROR};

/// How users are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthConfig {
    /// What tokens are.
    pub token: TokenKind,
    /// The work of a password's hash: each step doubles it; 4 to 31.
    pub bcrypt_cost: u32,
}

/// What tokens are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenKind {
    /// Random words that members remember.
    Simple {
        /// Time from the last use to the end.
        ttl: Duration,
    },
    /// Signed statements.
    Jwt(JwtConfig),
}

/// How tokens are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtConfig {
    /// The algorithm by its name in tokens.
    pub sign_method: String,
    /// The file with the public key.
    pub pub_key: Option<PathBuf>,
    /// The file with the private key; without it tokens are only checked.
    pub priv_key: Option<PathBuf>,
    /// Time from giving a token to its end.
    pub ttl: Duration,
}

/// A simple token lives for this long if `--auth-token-ttl` says 0, and so does a signed one without `ttl`.
const DEFAULT_TTL: Duration = Duration::from_secs(300);

/// What bcrypt takes.
const COSTS: std::ops::RangeInclusive<u64> = 4..=31;

/// Reads the flags.
///
/// # Errors
/// [`ConfigError::InvalidValue`].
pub(super) fn auth(given: &Given) -> Result<AuthConfig, ConfigError> {
    let cost = number(given, "bcrypt-cost")?;
    if !COSTS.contains(&cost) {
        return Err(given.invalid("bcrypt-cost", "must be from 4 to 31"));
    }
    Ok(AuthConfig {
        token: token(given)?,
        bcrypt_cost: u32::try_from(cost).unwrap_or(u32::MAX),
    })
}

fn token(given: &Given) -> Result<TokenKind, ConfigError> {
    let ttl = Duration::from_secs(number(given, "auth-token-ttl")?);
    let ttl = if ttl.is_zero() { DEFAULT_TTL } else { ttl };
    let refused = |reason: String| given.invalid("auth-token", reason);
    let mut words = given.text("auth-token").split(',');
    let kind = words.next().unwrap_or_default();
    let options = options(words).map_err(refused)?;
    match kind {
        "simple" if options.is_empty() => Ok(TokenKind::Simple { ttl }),
        "jwt" => Ok(TokenKind::Jwt(jwt(&options).map_err(refused)?)),
        _ => Err(refused("must be simple, or jwt with its options".into())),
    }
}

/// `name=value`, each name once.
fn options<'a>(words: impl Iterator<Item = &'a str>) -> Result<BTreeMap<&'a str, &'a str>, String> {
    let mut options = BTreeMap::new();
    for word in words {
        let pair = word
            .split_once('=')
            .filter(|(_, value)| !value.contains('='));
        let (name, value) = pair.ok_or_else(|| format!("{word:?} is not name=value"))?;
        if options.insert(name, value).is_some() {
            return Err(format!("{name} is given twice"));
        }
    }
    Ok(options)
}

fn jwt(options: &BTreeMap<&str, &str>) -> Result<JwtConfig, String> {
    const KNOWN: [&str; 4] = ["sign-method", "pub-key", "priv-key", "ttl"];
    if let Some(name) = options.keys().find(|name| !KNOWN.contains(*name)) {
        return Err(format!("{name} is no option of jwt"));
    }
    let text = |name| options.get(name).filter(|value| !value.is_empty());
    let sign_method = text("sign-method").ok_or("jwt needs a sign-method")?;
    let ttl = match text("ttl") {
        None => DEFAULT_TTL,
        Some(text) => value::duration(text).ok_or_else(|| format!("{text:?} is no ttl"))?,
    };
    Ok(JwtConfig {
        sign_method: (*sign_method).to_owned(),
        pub_key: text("pub-key").map(PathBuf::from),
        priv_key: text("priv-key").map(PathBuf::from),
        ttl,
    })
}

fn number(given: &Given, name: &'static str) -> Result<u64, ConfigError> {
    value::unsigned(given.text(name)).ok_or_else(|| given.invalid(name, PARSE_ERROR))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Request, from_command_line};

    fn read(args: &[&str]) -> Result<AuthConfig, String> {
        let args = args.iter().map(Into::into);
        match from_command_line(args, std::iter::empty()) {
            Ok(Request::Start(config)) => Ok(config.auth),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn simple_tokens_are_the_default() {
        let simple = |seconds, bcrypt_cost| AuthConfig {
            token: TokenKind::Simple {
                ttl: Duration::from_secs(seconds),
            },
            bcrypt_cost,
        };
        assert_eq!(read(&[]), Ok(simple(300, 10)));
        let given = read(&[
            "--auth-token=simple",
            "--auth-token-ttl=5",
            "--bcrypt-cost=4",
        ]);
        assert_eq!(given, Ok(simple(5, 4)));
        assert_eq!(read(&["--auth-token-ttl=0"]), Ok(simple(300, 10)));
    }

    #[test]
    fn signed_tokens_have_options_of_their_own() {
        let all = "--auth-token=jwt,sign-method=RS256,pub-key=/a,priv-key=/b,ttl=10m";
        let expected = JwtConfig {
            sign_method: "RS256".into(),
            pub_key: Some("/a".into()),
            priv_key: Some("/b".into()),
            ttl: Duration::from_secs(600),
        };
        assert_eq!(read(&[all]).unwrap().token, TokenKind::Jwt(expected));
        let few = read(&["--auth-token=jwt,sign-method=EdDSA,pub-key=/a"]).unwrap();
        let expected = JwtConfig {
            sign_method: "EdDSA".into(),
            pub_key: Some("/a".into()),
            priv_key: None,
            ttl: DEFAULT_TTL,
        };
        assert_eq!(few.token, TokenKind::Jwt(expected));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (arg, reason) in [
            ("--auth-token=jwt", "jwt needs a sign-method"),
            ("--auth-token=jwt,sign-method", "is not name=value"),
            ("--auth-token=jwt,sign-method=a=b", "is not name=value"),
            ("--auth-token=jwt,ttl=1m,ttl=2m", "ttl is given twice"),
            ("--auth-token=jwt,sign-method=a,ttl=x", "is no ttl"),
            ("--auth-token=jwt,key=a", "key is no option of jwt"),
            ("--auth-token=simple,ttl=1m", "must be simple, or jwt"),
            ("--auth-token=nothing", "must be simple, or jwt"),
            ("--bcrypt-cost=3", "must be from 4 to 31"),
            ("--bcrypt-cost=32", "must be from 4 to 31"),
        ] {
            let refused = read(&[arg]).unwrap_err();
            assert!(refused.contains(reason), "{refused}");
        }
    }
}
