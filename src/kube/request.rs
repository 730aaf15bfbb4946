//! What a request is about, read from its method and path alone: the attributes that authorization judges.
//!
//! Rules: <https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb>.

/// What is asked, of which resource or path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestInfo {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; the lower-case HTTP
    /// method for a path that is no resource.
    pub verb: String,
    pub path: String,
    /// None for a path that is no resource.
    pub target: Option<Target>,
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
    /// What follows the subresource, for proxies; without the leading slash.
    pub rest: String,
    /// `""` at the cluster's scope and for lists across namespaces.
    pub namespace: String,
    /// `""` for a collection; the name of a `metadata.name` field selector counts for authorization.
    pub name: String,
}
