//! Tokens that lie in secrets and hold as long as these do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};

use crate::kube::objects::Objects;

use super::token::Token;
use super::{Account, split_username, text};

/// With this label, a token in a secret is not believed any more.
const INVALID_SINCE: &str = "kubernetes.io/legacy-token-invalid-since";

const INVALIDATED: &str = "Token has been invalidated";

/// Reads and checks a token whose signature is right.
pub(super) fn check(
    token: &Token<'_>,
    sent: &str,
    objects: &dyn Objects,
) -> Result<Account, String> {
    let claim = |name: &str, said: &str| {
        let claim = token
            .text(&format!("kubernetes.io/serviceaccount/{name}"))
            .to_owned();
        if claim.is_empty() {
            Err(format!("{said} claim is missing"))
        } else {
            Ok(claim)
        }
    };
    let subject = token.text("sub");
    if subject.is_empty() {
        return Err("sub claim is missing".to_owned());
    }
    let namespace = claim("namespace", "namespace")?;
    let secret_name = claim("secret.name", "secretName")?;
    let name = claim("service-account.name", "serviceAccountName")?;
    let uid = claim("service-account.uid", "serviceAccountUID")?;
    if split_username(subject) != Some((&namespace, &name)) {
        return Err("sub claim is invalid".to_owned());
    }
    let secret = objects
        .get("", "secrets", &namespace, &secret_name)
        .ok_or(INVALIDATED)?;
    if !text(&secret, "/metadata/deletionTimestamp").is_empty() {
        return Err(INVALIDATED.to_owned());
    }
    let kept = STANDARD
        .decode(text(&secret, "/data/token"))
        .unwrap_or_default();
    // Digests: how long comparing takes says nothing about where the two differ.
    if digest(&SHA256, &kept).as_ref() != digest(&SHA256, sent.as_bytes()).as_ref() {
        return Err("Token does not match server's copy".to_owned());
    }
    let account = objects.get("", "serviceaccounts", &namespace, &name);
    let account = account.ok_or_else(|| format!("serviceaccounts {name:?} not found"))?;
    if !text(&account, "/metadata/deletionTimestamp").is_empty() {
        return Err(format!(
            "ServiceAccount {namespace}/{name} has been deleted"
        ));
    }
    let stored = text(&account, "/metadata/uid");
    if stored != uid {
        return Err(format!(
            "ServiceAccount UID ({stored}) does not match claim ({uid})"
        ));
    }
    let labels = secret.pointer("/metadata/labels");
    if labels
        .and_then(|labels| labels.get(INVALID_SINCE))
        .is_some()
    {
        return Err(format!(
            "the token in secret {namespace}/{secret_name} for service account {namespace}/{name} has been marked \
             invalid. Use tokens from the TokenRequest API or manually created secret-based tokens, or remove the \
             '{INVALID_SINCE}' label from the secret to temporarily allow use of this token"
        ));
    }
    Ok(Account {
        namespace,
        name,
        uid,
        ..Account::default()
    })
}
