//! What a request is about, read from its method and path alone: the attributes that authorization judges.
//!
//! Rules: <https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb>.

mod selected;

use percent_encoding::percent_decode_str;

pub use selected::{Requirement, name_selected, requirements};

/// What is asked, of which resource or path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestInfo {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; the lower-case HTTP
    /// method for a path that is no resource; `proxy` for the old paths of that name; `""` for a method that
    /// is none of a resource's.
    pub verb: String,
    /// Decoded.
    pub path: String,
    /// None for a path that is no resource.
    pub target: Option<Target>,
    /// As it was sent, for authorizers that look at it: only with list, watch and deletecollection, and not
    /// where the path says `watch`.
    pub field_selector: Option<String>,
    /// As `field_selector`.
    pub label_selector: Option<String>,
}

/// The resource of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Target {
    /// `""` is core.
    pub group: String,
    pub version: String,
    /// The plural.
    pub resource: String,
    /// `""` without.
    pub subresource: String,
    /// What follows the subresource, for proxies; without the leading slash, with a trailing one as sent.
    pub rest: String,
    /// `""` at the cluster's scope and for lists across namespaces.
    pub namespace: String,
    /// `""` for a collection; the name of a `metadata.name` field selector counts for authorization.
    pub name: String,
    /// Whether `name` was found in the field selector, and so the request is for a collection.
    pub name_is_selected: bool,
}

/// Why a path cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// A percent sign without two hexadecimal digits, or bytes that are no UTF-8. To be answered with 400.
    #[error("invalid URL escape in the path")]
    Escape,
    /// `/api/v1/watch` and nothing behind. Kubernetes answers 500 with these words.
    #[error("failed to create RequestInfo: unable to determine kind and namespace from url, {0}")]
    NothingToWatch(String),
}

/// Paths below a namespace that are parts of the namespace itself and no resources in it.
const OF_NAMESPACES: [&str; 2] = ["status", "finalize"];

impl RequestInfo {
    /// Reads a request; `path` and `query` (without `?`) are as sent, still encoded. Whether there is such a
    /// resource is not asked.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn parse(method: &str, path: &str, query: &str) -> Result<Self, RequestError> {
        let decoded = decode(path)?;
        let mut info = Self {
            verb: method.to_ascii_lowercase(),
            path: decoded,
            ..Self::default()
        };
        let parts: Vec<&str> = info.path.trim_matches('/').split('/').collect();
        let (group, version, parts) = match parts.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
            ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
            _ => return Ok(info),
        };
        let (verb, parts, prefixed) = match parts {
            ["watch" | "proxy"] => {
                let sent = match query {
                    "" => path.to_owned(),
                    query => format!("{path}?{query}"),
                };
                return Err(RequestError::NothingToWatch(sent));
            }
            [verb @ ("watch" | "proxy"), rest @ ..] => (*verb, rest, true),
            parts => (verb_of(method), parts, false),
        };
        let mut target = Target {
            group: group.into(),
            version: version.into(),
            ..Target::default()
        };
        target.locate(parts, verb != "proxy", info.path.ends_with('/'));
        info.verb = verb.into();
        info.refine(&mut target, query);
        if !prefixed && matches!(&*info.verb, "list" | "watch" | "deletecollection") {
            info.field_selector = parameter(query, "fieldSelector");
            info.label_selector = parameter(query, "labelSelector");
        }
        info.target = Some(target);
        Ok(info)
    }

    /// What a request for a resource comes to, for those who ask about one that nobody has made.
    pub fn of_resource(
        verb: &str,
        group: &str,
        resource: &str,
        subresource: &str,
        namespace: &str,
        name: &str,
    ) -> Self {
        Self {
            verb: verb.into(),
            target: Some(Target {
                group: group.into(),
                version: "*".into(),
                resource: resource.into(),
                subresource: subresource.into(),
                namespace: namespace.into(),
                name: name.into(),
                ..Target::default()
            }),
            ..Self::default()
        }
    }

    /// Tells requests for a collection from those for an object.
    fn refine(&mut self, target: &mut Target, query: &str) {
        if !target.name.is_empty() {
            return;
        }
        match &*self.verb {
            "get" => {
                let watch = parameter(query, "watch").is_some_and(|value| is_true(&value));
                self.verb = if watch { "watch" } else { "list" }.into();
                let selector = parameter(query, "fieldSelector");
                if let Some(name) = selector.and_then(|selector| name_selected(&selector)) {
                    target.name = name;
                    target.name_is_selected = true;
                }
            }
            "delete" => self.verb = "deletecollection".into(),
            _ => {}
        }
    }
}

impl Target {
    /// Reads what follows the version and a verb in the path.
    fn locate(&mut self, parts: &[&str], may_have_subresource: bool, slash_at_end: bool) {
        let parts = match parts {
            ["namespaces", namespace, rest @ ..] => {
                self.namespace = (*namespace).into();
                match rest.first() {
                    Some(first) if !OF_NAMESPACES.contains(first) => rest,
                    _ => parts,
                }
            }
            parts => parts,
        };
        let part = |at: usize| parts.get(at).copied().unwrap_or_default().to_owned();
        self.resource = part(0);
        self.name = part(1);
        if may_have_subresource {
            self.subresource = part(2);
            self.rest = parts.get(3..).unwrap_or_default().join("/");
            if slash_at_end && !self.rest.is_empty() {
                self.rest.push('/');
            }
        }
    }

    /// `pods/log`, `pods`: as rules and messages name it.
    pub fn resource_path(&self) -> String {
        match &*self.subresource {
            "" => self.resource.clone(),
            subresource => format!("{}/{subresource}", self.resource),
        }
    }
}

fn verb_of(method: &str) -> &'static str {
    match method {
        "POST" => "create",
        "GET" | "HEAD" => "get",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "",
    }
}

/// A boolean query parameter: true unless it says otherwise, also when it is empty.
pub fn is_true(value: &str) -> bool {
    value != "0" && !value.eq_ignore_ascii_case("false")
}

/// The first value of a query parameter.
fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
}

fn decode(path: &str) -> Result<String, RequestError> {
    let bytes = path.as_bytes();
    let whole = |at: usize| {
        let digits = bytes.get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let mut signs = path.match_indices('%');
    if !signs.all(|(at, _)| whole(at)) {
        return Err(RequestError::Escape);
    }
    let decoded = percent_decode_str(path).decode_utf8();
    Ok(decoded.map_err(|_| RequestError::Escape)?.into_owned())
}

#[cfg(any(test, fuzzing))]
pub mod fuzzing;

#[cfg(test)]
mod tests;
