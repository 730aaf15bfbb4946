//! Tokens that new nodes join with: `ID.SECRET`, kept in secrets of `kube-system`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use serde_json::Value;

use crate::kube::object::time::Moment;
use crate::kube::objects::Objects;
use crate::kube::user::User;

/// The group of all of them.
const GROUP: &str = "system:bootstrappers";

/// Whom a token is of; None if it is of another form, or is not to be believed. The log says why.
pub(super) fn user(token: &str, objects: &dyn Objects, now: Duration) -> Option<User> {
    let (id, secret) = token.split_once('.')?;
    let is_of = |text: &str, length: usize| {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        text.len() == length && text.bytes().all(fits)
    };
    if !is_of(id, 6) || !is_of(secret, 16) {
        return None;
    }
    let stored = objects.get(
        "",
        "secrets",
        "kube-system",
        &format!("bootstrap-token-{id}"),
    )?;
    match read(&stored, id, secret, now) {
        Ok(user) => Some(user),
        Err(why) => {
            tracing::debug!(id, why, "a bootstrap token is not believed");
            None
        }
    }
}

fn read(stored: &Value, id: &str, secret: &str, now: Duration) -> Result<User, &'static str> {
    let data = |key: &str| {
        let value = stored
            .get("data")
            .and_then(|data| data.get(key))
            .and_then(Value::as_str);
        let bytes = STANDARD
            .decode(value.unwrap_or_default())
            .unwrap_or_default();
        String::from_utf8(bytes).unwrap_or_default()
    };
    if stored.pointer("/metadata/deletionTimestamp").is_some() {
        return Err("is deleted and awaiting removal");
    }
    if stored.get("type").and_then(Value::as_str) != Some("bootstrap.kubernetes.io/token") {
        return Err("has invalid type");
    }
    // Digests: how long comparing takes says nothing about where the two differ.
    let hash = |text: &str| digest(&SHA256, text.as_bytes());
    if hash(&data("token-secret")).as_ref() != hash(secret).as_ref() {
        return Err("has invalid value for key token-secret");
    }
    if data("token-id") != id {
        return Err("has invalid value for key token-id");
    }
    let expiration = data("expiration");
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    // A time that cannot be read has passed.
    let ends = || Moment::parse(&expiration).map_or(i64::MIN, |at| at.seconds);
    if !expiration.is_empty() && ends() <= seconds {
        return Err("has expired");
    }
    if data("usage-bootstrap-authentication") != "true" {
        return Err("not marked usage-bootstrap-authentication=true");
    }
    let groups = data("auth-extra-groups");
    let mut groups: Vec<&str> = match &*groups {
        "" => Vec::new(),
        groups => groups.split(',').collect(),
    };
    if !groups.iter().all(|group| is_group(group)) {
        return Err("has invalid value for key auth-extra-groups");
    }
    groups.push(GROUP);
    groups.sort_unstable();
    groups.dedup();
    Ok(User {
        name: format!("system:bootstrap:{id}"),
        groups: groups.into_iter().map(str::to_owned).collect(),
        ..User::default()
    })
}

/// `system:bootstrappers:` and a name that ends with a letter or a digit.
fn is_group(group: &str) -> bool {
    let name = group
        .strip_prefix(GROUP)
        .and_then(|rest| rest.strip_prefix(':'));
    name.is_some_and(|name| {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        name.len() <= 256
            && name
                .bytes()
                .all(|byte| fits(byte) || byte == b'-' || byte == b':')
            && name.bytes().last().is_some_and(fits)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    struct One(Value);

    impl Objects for One {
        fn get(&self, _: &str, plural: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
            let named =
                (plural, namespace, name) == ("secrets", "kube-system", "bootstrap-token-abcdef");
            named.then(|| Arc::new(self.0.clone()))
        }

        fn list(&self, _: &str, _: &str, _: Option<&str>) -> Vec<Arc<Value>> {
            Vec::new()
        }
    }

    fn secret(changes: &[(&str, &str)]) -> One {
        let mut secret = json!({"type": "bootstrap.kubernetes.io/token", "data": {}});
        let of = [
            ("token-id", "abcdef"),
            ("token-secret", "0123456789abcdef"),
            ("usage-bootstrap-authentication", "true"),
            (
                "auth-extra-groups",
                "system:bootstrappers:b,system:bootstrappers:a-1",
            ),
        ];
        for (key, value) in of.iter().chain(changes) {
            secret["data"][*key] = STANDARD.encode(value).into();
        }
        One(secret)
    }

    #[test]
    fn a_token_joins_its_groups() {
        let token = "abcdef.0123456789abcdef";
        let known = user(
            token,
            &secret(&[("expiration", "2100-01-01T00:00:00Z")]),
            NOW,
        )
        .unwrap();
        assert_eq!(known.name, "system:bootstrap:abcdef");
        let groups = [
            "system:bootstrappers",
            "system:bootstrappers:a-1",
            "system:bootstrappers:b",
        ];
        assert_eq!(known.groups, groups);
        for wrong in [
            "abcdef.0123456789abcdeF",
            "abcdeg.0123456789abcdef",
            "abcdef.0123456789abcdee",
            "abcdef",
            "",
        ] {
            assert_eq!(user(wrong, &secret(&[]), NOW), None, "{wrong}");
        }
        for change in [
            ("expiration", "2020-01-01T00:00:00Z"),
            ("expiration", "soon"),
            ("usage-bootstrap-authentication", "yes"),
            ("token-id", "abcdeg"),
            ("auth-extra-groups", "system:masters"),
            ("auth-extra-groups", "system:bootstrappers:A"),
        ] {
            assert_eq!(user(token, &secret(&[change]), NOW), None, "{change:?}");
        }
    }
}
