//! What a request did and how much it was about, in the words of metrics.

use crate::kube::request::RequestInfo;

/// What a request did, as metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Get,
    List,
    Watch,
    Post,
    Put,
    Patch,
    Apply,
    Delete,
    DeleteCollection,
    Connect,
    Other,
}

pub(super) const VERBS: usize = 11;

impl Verb {
    /// The verb of a request; `method` is upper-case, `apply` is whether the body is an apply patch.
    pub fn of(method: &str, info: &RequestInfo, scope: Scope, apply: bool) -> Self {
        let subresource = info
            .target
            .as_ref()
            .map_or("", |target| &target.subresource);
        if matches!(
            subresource,
            "log" | "exec" | "portforward" | "attach" | "proxy"
        ) {
            return Self::Connect;
        }
        match method {
            "GET" | "HEAD" if info.verb == "watch" => Self::Watch,
            "GET" | "HEAD" if matches!(scope, Scope::Namespace | Scope::Cluster) => Self::List,
            "GET" | "HEAD" => Self::Get,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "PATCH" if apply => Self::Apply,
            "PATCH" => Self::Patch,
            "DELETE" if info.verb == "deletecollection" => Self::DeleteCollection,
            "DELETE" => Self::Delete,
            _ => Self::Other,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::List => "LIST",
            Self::Watch => "WATCH",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Apply => "APPLY",
            // The release takes the verb from the method, which does not tell the two apart.
            Self::Delete | Self::DeleteCollection => "DELETE",
            Self::Connect => "CONNECT",
            Self::Other => "other",
        }
    }

    /// The name that sizes of bodies are told by; none for verbs without a body.
    pub(super) fn of_body(self) -> Option<&'static str> {
        match self {
            Self::Post => Some("create"),
            Self::Put => Some("update"),
            Self::Patch | Self::Apply => Some("patch"),
            Self::Delete => Some("delete"),
            Self::DeleteCollection => Some("delete_collection"),
            _ => None,
        }
    }
}

/// How much a request was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Resource,
    Namespace,
    Cluster,
    /// A path that is no resource.
    None,
}

pub(super) const SCOPES: usize = 4;

impl Scope {
    pub fn of(info: &RequestInfo) -> Self {
        match &info.target {
            None if info.verb == "create" => Self::Resource,
            None => Self::None,
            Some(target) if !target.name.is_empty() && !target.name_is_selected => Self::Resource,
            Some(_) if info.verb == "create" => Self::Resource,
            Some(target) if !target.namespace.is_empty() => Self::Namespace,
            Some(_) => Self::Cluster,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resource => "resource",
            Self::Namespace => "namespace",
            Self::Cluster => "cluster",
            Self::None => "",
        }
    }
}

/// Values of `dry_run`: none, all, and whatever is refused.
pub(super) const DRY_RUNS: [&str; 3] = ["", "All", "invalid"];

/// Whether a request only tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DryRun {
    #[default]
    No,
    All,
    Invalid,
}

impl DryRun {
    /// As the values of the query's `dryRun` have it.
    pub fn of<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        values.fold(Self::No, |so_far, value| match value {
            _ if so_far == Self::Invalid => Self::Invalid,
            "All" => Self::All,
            _ => Self::Invalid,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_and_scopes_are_the_releases() {
        let of = |method: &str, url: &str| {
            let (path, query) = url.split_once('?').unwrap_or((url, ""));
            let info = RequestInfo::parse(method, path, query).unwrap();
            let scope = Scope::of(&info);
            let verb = Verb::of(method, &info, scope, false);
            format!("{} {}", verb.as_str(), scope.as_str())
        };
        for (method, url, said) in [
            ("GET", "/api/v1/namespaces/a/pods/x", "GET resource"),
            ("GET", "/api/v1/nodes", "LIST cluster"),
            ("GET", "/api/v1/watch/nodes", "WATCH cluster"),
            ("POST", "/api/v1/namespaces/a/pods", "POST resource"),
            (
                "GET",
                "/api/v1/namespaces/a/pods?fieldSelector=metadata.name%3Dx",
                "LIST namespace",
            ),
            ("DELETE", "/api/v1/namespaces/a/pods", "DELETE namespace"),
            ("DELETE", "/api/v1/nodes/x", "DELETE resource"),
            ("GET", "/api/v1/namespaces/a/pods/x/log", "CONNECT resource"),
            ("GET", "/healthz", "GET "),
            ("OPTIONS", "/api/v1/nodes", "other cluster"),
        ] {
            assert_eq!(of(method, url), said, "{method} {url}");
        }
        let runs = |values: &[&str]| DryRun::of(values.iter().copied());
        assert_eq!(runs(&[]), DryRun::No);
        assert_eq!(runs(&["All", "All"]), DryRun::All);
        assert_eq!(runs(&["x", "All"]), DryRun::Invalid);
    }
}
