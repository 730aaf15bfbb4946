//! Tokens that hold for a time, and no longer than what they are bound to.

use serde_json::Value;

use crate::kube::object::time::Moment;
use crate::kube::objects::Objects;

use super::token::Token;
use super::{Account, LEEWAY, Reference, text};

/// What is said of a token whose pod, secret or node is gone.
const INVALIDATED: &str = "service account token has been invalidated";

/// Reads and checks a token whose signature is right. `now` is in seconds since the Unix epoch.
pub(super) fn check(token: &Token<'_>, objects: &dyn Objects, now: i64) -> Result<Account, String> {
    check_times(token, now)?;
    let own = token.claims.get("kubernetes.io").unwrap_or(&Value::Null);
    let namespace = text(own, "/namespace");
    let account = reference(own, "serviceaccount").unwrap_or_default();
    let (pod, node) = (reference(own, "pod"), reference(own, "node"));

    let stored = objects.get("", "serviceaccounts", namespace, &account.name);
    let stored = stored.ok_or_else(|| format!("serviceaccounts {:?} not found", account.name))?;
    let uid = text(&stored, "/metadata/uid");
    if uid != account.uid {
        let claimed = &account.uid;
        return Err(format!(
            "service account UID ({uid}) does not match claim ({claimed})"
        ));
    }
    if is_gone(&stored, now) {
        let name = &account.name;
        return Err(format!(
            "service account {namespace}/{name} has been deleted"
        ));
    }
    if let Some(secret) = reference(own, "secret") {
        let stored = objects.get("", "secrets", namespace, &secret.name);
        check_bound(stored.as_deref(), &secret, "secret", now)?;
    }
    if let Some(pod) = &pod {
        let stored = objects.get("", "pods", namespace, &pod.name);
        check_bound(stored.as_deref(), pod, "pod", now)?;
    }
    // The node of a pod is told, not checked: the pod goes with it.
    if let (Some(node), None) = (&node, &pod) {
        let stored = objects.get("", "nodes", "", &node.name);
        check_bound(stored.as_deref(), node, "node", now)?;
    }
    Ok(Account {
        namespace: namespace.to_owned(),
        name: account.name,
        uid: account.uid,
        pod,
        node,
        credential: token.text("jti").to_owned(),
    })
}

fn check_times(token: &Token<'_>, now: i64) -> Result<(), String> {
    let is_before = |claim, at: i64| token.seconds(claim).is_some_and(|time| time > at);
    let said = if is_before("nbf", now.saturating_add(LEEWAY)) {
        "service account token is not valid yet"
    } else if token
        .seconds("exp")
        .is_some_and(|end| end < now.saturating_sub(LEEWAY))
    {
        "service account token has expired"
    } else if is_before("iat", now.saturating_add(LEEWAY)) {
        "service account token is issued in the future"
    } else {
        return Ok(());
    };
    Err(said.to_owned())
}

fn check_bound(
    stored: Option<&Value>,
    claimed: &Reference,
    kind: &str,
    now: i64,
) -> Result<(), String> {
    let stored = stored.ok_or(INVALIDATED)?;
    let uid = text(stored, "/metadata/uid");
    if uid != claimed.uid {
        let claimed = &claimed.uid;
        return Err(format!(
            "{kind} UID ({uid}) does not match service account {kind} ref claim ({claimed})"
        ));
    }
    if is_gone(stored, now) {
        return Err(INVALIDATED.to_owned());
    }
    Ok(())
}

/// Whether an object has been on its way out for longer than clocks may be apart.
pub(super) fn is_gone(object: &Value, now: i64) -> bool {
    let deleted = object.pointer("/metadata/deletionTimestamp");
    let Some(deleted) = deleted.and_then(Value::as_str) else {
        return false;
    };
    // What cannot be read is no reason to go on.
    Moment::parse(deleted).map_or(true, |at| at.seconds < now.saturating_sub(LEEWAY))
}

fn reference(own: &Value, kind: &str) -> Option<Reference> {
    let reference = own.get(kind)?;
    Some(Reference {
        name: text(reference, "/name").to_owned(),
        uid: text(reference, "/uid").to_owned(),
    })
}
