//! Tokens of service accounts: signed statements that are believed as long as what they name exists.

mod bound;
pub mod discovery;
mod issue;
mod keys;
mod legacy;
mod token;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::kube::objects::Objects;
use crate::kube::user::User;

pub use self::issue::Issued;
pub use self::keys::{PublicKey, SigningKey};
use self::token::Token;
use super::{CREDENTIAL_ID, Known};

/// The issuer of tokens that lie in secrets.
const LEGACY_ISSUER: &str = "kubernetes/serviceaccount";

/// How far clocks may be apart, and how long what is being deleted is still believed, in seconds.
const LEEWAY: i64 = 60;

const PREFIX: &str = "system:serviceaccount:";
const GROUP: &str = "system:serviceaccounts";

/// What is told of tokens by the flags `--service-account-*` and `--api-audiences`.
pub struct Settings {
    /// `--service-account-issuer`, the first of which issues.
    pub issuers: Vec<String>,
    /// `--service-account-key-file`: by which tokens are checked.
    pub keys: Vec<PublicKey>,
    /// `--service-account-signing-key-file`; without it, no tokens are given.
    pub signing_key: Option<SigningKey>,
    /// What tokens are for that do not say, and that this server takes: `--api-audiences`, which are the issuers
    /// if it is not given.
    pub audiences: Vec<String>,
    /// `--service-account-max-token-expiration`; zero for no limit.
    pub max_expiration: Duration,
    /// `--service-account-extend-token-expiration`: tokens for pods hold a year, and warn when they would have
    /// ended.
    pub extend_expiration: bool,
    /// `--service-account-jwks-uri`, or where this server's key set is found.
    pub jwks_uri: String,
}

/// Believes and gives tokens.
pub struct ServiceAccounts {
    settings: Settings,
    objects: Arc<dyn Objects>,
    /// Digests of tokens whose signatures were right: clients show the same one with every request. What tokens
    /// say is checked each time.
    verified: Mutex<HashSet<[u8; 32], foldhash::fast::RandomState>>,
}

/// Of so many tokens it is remembered that their signatures were right.
const MAX_VERIFIED: usize = 8192;

/// Whom a token stands for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Account {
    namespace: String,
    name: String,
    uid: String,
    pod: Option<Reference>,
    node: Option<Reference>,
    /// The token's id.
    credential: String,
}

/// What a token is bound to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Reference {
    name: String,
    uid: String,
}

impl ServiceAccounts {
    /// Of keys that are given twice, as a private and as a public one, one is kept.
    pub fn new(mut settings: Settings, objects: Arc<dyn Objects>) -> Self {
        let mut seen = HashSet::new();
        settings.keys.retain(|key| seen.insert(key.id.clone()));
        Self {
            settings,
            objects,
            verified: Mutex::default(),
        }
    }

    /// Whom a token is of; None if it is of another issuer, or no such token at all.
    ///
    /// # Errors
    /// Why it is not believed, in the words of the release.
    pub(super) fn authenticate(
        &self,
        text: &str,
        audiences: &[String],
        now: Duration,
    ) -> Result<Option<Known>, String> {
        let Some(token) = Token::parse(text) else {
            return Ok(None);
        };
        let issuer = token.issuer();
        let is_legacy = issuer == LEGACY_ISSUER;
        if !is_legacy && !self.settings.issuers.iter().any(|one| one == issuer) {
            return Ok(None);
        }
        self.verify(&token, text)?;
        let own = match token.audiences() {
            none if none.is_empty() => self.settings.audiences.clone(),
            own => own,
        };
        let common: Vec<String> = own
            .iter()
            .filter(|one| audiences.contains(one))
            .cloned()
            .collect();
        if common.is_empty() && !self.settings.audiences.is_empty() {
            let quoted = |list: &[String]| {
                let quoted: Vec<_> = list.iter().map(|one| format!("{one:?}")).collect();
                quoted.join(" ")
            };
            return Err(format!(
                "token audiences [{}] is invalid for the target audiences [{}]",
                quoted(&own),
                quoted(audiences),
            ));
        }
        let account = if is_legacy {
            legacy::check(&token, text, &*self.objects)?
        } else {
            bound::check(&token, &*self.objects, seconds(now))?
        };
        Ok(Some(Known {
            user: account.user(),
            audiences: common,
        }))
    }
}

impl ServiceAccounts {
    fn verify(&self, token: &Token<'_>, text: &str) -> Result<(), String> {
        let digest: [u8; 32] = Sha256::digest(text).into();
        if self.verified.lock().contains(&digest) {
            return Ok(());
        }
        token.verify(&self.settings.keys)?;
        let mut verified = self.verified.lock();
        if verified.len() >= MAX_VERIFIED {
            verified.clear();
        }
        verified.insert(digest);
        Ok(())
    }
}

impl Account {
    fn user(self) -> User {
        let mut user = User {
            name: username(&self.namespace, &self.name),
            uid: self.uid,
            groups: groups(&self.namespace),
            ..User::default()
        };
        let mut add = |key: &str, value: String| {
            if !value.is_empty() {
                user.extra.insert(key.to_owned(), vec![value]);
            }
        };
        if let Some(pod) = self
            .pod
            .filter(|pod| !pod.name.is_empty() && !pod.uid.is_empty())
        {
            add("authentication.kubernetes.io/pod-name", pod.name);
            add("authentication.kubernetes.io/pod-uid", pod.uid);
        }
        if let Some(node) = self.node.filter(|node| !node.name.is_empty()) {
            add("authentication.kubernetes.io/node-name", node.name);
            add("authentication.kubernetes.io/node-uid", node.uid);
        }
        if !self.credential.is_empty() {
            add(CREDENTIAL_ID, format!("JTI={}", self.credential));
        }
        user
    }
}

/// `system:serviceaccount:NAMESPACE:NAME`.
pub fn username(namespace: &str, name: &str) -> String {
    format!("{PREFIX}{namespace}:{name}")
}

/// The groups of the service accounts of a namespace.
pub fn groups(namespace: &str) -> Vec<String> {
    vec![GROUP.to_owned(), format!("{GROUP}:{namespace}")]
}

/// Namespace and name of a user that is a service account.
pub fn split_username(username: &str) -> Option<(&str, &str)> {
    let (namespace, name) = username.strip_prefix(PREFIX)?.split_once(':')?;
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_label = |part: &str| {
        let ends = part.bytes().next().zip(part.bytes().last());
        ends.is_some_and(|(first, last)| fits(first) && fits(last))
            && part.bytes().all(|byte| fits(byte) || byte == b'-')
    };
    let is_namespace = namespace.len() <= 63 && is_label(namespace);
    let is_name = name.len() <= 253 && name.split('.').all(is_label);
    (is_namespace && is_name).then_some((namespace, name))
}

fn seconds(now: Duration) -> i64 {
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    let text = object.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_default()
}
