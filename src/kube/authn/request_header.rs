//! Identities that a front proxy vouches for, in headers beside its certificate.

use http::HeaderMap;
use percent_encoding::percent_decode_str;

use crate::kube::user::User;

/// The headers of `--requestheader-*-headers`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderNames {
    /// The first that is there and not empty names the user.
    pub user: Vec<String>,
    pub uid: Vec<String>,
    /// Each value of each is a group.
    pub group: Vec<String>,
    /// Prefixes, such as `X-Remote-Extra-`.
    pub extra: Vec<String>,
}

impl HeaderNames {
    /// The user; none if no header names one.
    pub fn user(&self, headers: &HeaderMap) -> Option<User> {
        let first = |names: &[String]| {
            let mut values = names.iter().filter_map(|name| text(headers.get(name)));
            values.find(|value| !value.is_empty())
        };
        let mut user = User {
            name: first(&self.user)?.to_owned(),
            uid: first(&self.uid).unwrap_or_default().to_owned(),
            ..User::default()
        };
        for name in &self.group {
            let groups = headers
                .get_all(name)
                .iter()
                .filter_map(|value| text(Some(value)));
            let groups = groups.filter(|group| !group.is_empty());
            user.groups.extend(groups.map(str::to_owned));
        }
        for prefix in &self.extra {
            extra(headers, prefix, &mut user);
        }
        Some(user)
    }

    /// Takes the headers away, so that nobody further on is told by a client who it is.
    pub fn strip(&self, headers: &mut HeaderMap) {
        for name in self.user.iter().chain(&self.uid).chain(&self.group) {
            headers.remove(name);
        }
        let is_extra = |name: &str| self.extra.iter().any(|prefix| key(name, prefix).is_some());
        let extra: Vec<_> = headers
            .keys()
            .filter(|name| is_extra(name.as_str()))
            .cloned()
            .collect();
        for name in extra {
            headers.remove(name);
        }
    }
}

/// Adds what is in headers that begin with a prefix, under the keys behind it.
pub fn extra(headers: &HeaderMap, prefix: &str, user: &mut User) {
    for (name, value) in headers {
        if let (Some(key), Some(value)) = (key(name.as_str(), prefix), text(Some(value))) {
            user.extra.entry(key).or_default().push(value.to_owned());
        }
    }
}

/// What follows the prefix, decoded if it can be.
fn key(name: &str, prefix: &str) -> Option<String> {
    let (begin, rest) = name.split_at_checked(prefix.len())?;
    if !begin.eq_ignore_ascii_case(prefix) {
        return None;
    }
    let rest = rest.to_ascii_lowercase();
    let decoded = percent_decode_str(&rest).decode_utf8();
    Some(decoded.map_or(rest.clone(), std::borrow::Cow::into_owned))
}

fn text(value: Option<&http::HeaderValue>) -> Option<&str> {
    std::str::from_utf8(value?.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    #[test]
    fn headers_become_a_user_and_go() {
        let names = HeaderNames {
            user: vec!["X-Remote-User".into(), "X-User".into()],
            uid: vec!["X-Remote-Uid".into()],
            group: vec!["X-Remote-Group".into()],
            extra: vec!["X-Remote-Extra-".into()],
        };
        let mut headers: HeaderMap = [
            ("x-remote-user", ""),
            ("x-user", "ann"),
            ("x-remote-group", "a"),
            ("x-remote-group", ""),
            ("x-remote-group", "b"),
            ("x-remote-extra-example.com%2fKey", "1"),
            ("x-remote-extra-example.com%2fkey", "2"),
            ("x-remote-uid", "7"),
            ("accept", "x"),
        ]
        .into_iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
        .collect();
        let user = names.user(&headers).unwrap();
        assert_eq!((&*user.name, &*user.uid), ("ann", "7"));
        assert_eq!(user.groups, ["a", "b"]);
        assert_eq!(user.extra["example.com/key"], ["1", "2"]);
        names.strip(&mut headers);
        assert_eq!(headers.len(), 1);
        assert_eq!(names.user(&headers), None);
    }
}
