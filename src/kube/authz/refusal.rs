//! What is said to a user who may not do what was asked.

use crate::kube::request::RequestInfo;
use crate::kube::status::{ApiError, Details};
use crate::kube::user::User;

/// 403 with the release's words: who, what, where, and `reason` if there is one.
pub fn forbidden(user: &User, request: &RequestInfo, reason: &str) -> ApiError {
    let why = match reason {
        "" => sentence(user, request),
        reason => format!("{}: {reason}", sentence(user, request)),
    };
    let Some(target) = &request.target else {
        let refusal = ApiError::new(403, "Forbidden", format!("forbidden: {why}"));
        return refusal.with_details(Details::default());
    };
    let what = match &*target.group {
        "" => target.resource.clone(),
        group => format!("{}.{group}", target.resource),
    };
    let message = match &*target.name {
        "" => format!("{what} is forbidden: {why}"),
        name => format!("{what} {name:?} is forbidden: {why}"),
    };
    ApiError::new(403, "Forbidden", message).with_details(Details {
        name: target.name.clone(),
        group: target.group.clone(),
        kind: target.resource.clone(),
        ..Details::default()
    })
}

fn sentence(user: &User, request: &RequestInfo) -> String {
    let begin = format!("User {:?} cannot {}", user.name, request.verb);
    let Some(target) = &request.target else {
        return format!("{begin} path {:?}", request.path);
    };
    let place = match &*target.namespace {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {namespace:?}"),
    };
    format!(
        "{begin} resource {:?} in API group {:?} {place}",
        target.resource_path(),
        target.group,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answers of kube-apiserver 1.36 to the same requests.
    #[test]
    fn the_words_are_those_of_the_release() {
        let alice = User {
            name: "alice".into(),
            ..User::default()
        };
        for (method, url, said) in [
            (
                "GET",
                "/api/v1/pods",
                r#"pods is forbidden: User "alice" cannot list resource "pods" in API group "" at the cluster scope"#,
            ),
            (
                "GET",
                "/api/v1/namespaces/default/pods/x/log",
                r#"pods "x" is forbidden: User "alice" cannot get resource "pods/log" in API group "" in the namespace "default""#,
            ),
            (
                "DELETE",
                "/api/v1/namespaces/default/pods",
                r#"pods is forbidden: User "alice" cannot deletecollection resource "pods" in API group "" in the namespace "default""#,
            ),
            (
                "GET",
                "/apis/apps/v1/namespaces/default/deployments/d/scale",
                r#"deployments.apps "d" is forbidden: User "alice" cannot get resource "deployments/scale" in API group "apps" in the namespace "default""#,
            ),
            (
                "GET",
                "/api/v1/namespaces/default/pods?fieldSelector=metadata.name=zz",
                r#"pods "zz" is forbidden: User "alice" cannot list resource "pods" in API group "" in the namespace "default""#,
            ),
            (
                "OPTIONS",
                "/api/v1/pods",
                r#"pods is forbidden: User "alice" cannot  resource "pods" in API group "" at the cluster scope"#,
            ),
            (
                "GET",
                "/metrics",
                r#"forbidden: User "alice" cannot get path "/metrics""#,
            ),
        ] {
            let (path, query) = url.split_once('?').unwrap_or((url, ""));
            let info = RequestInfo::parse(method, path, query).unwrap();
            assert_eq!(forbidden(&alice, &info, "").message, said);
        }
        let info = RequestInfo::parse("GET", "/apis/apps/v1/deployments", "").unwrap();
        let refusal = forbidden(&alice, &info, "because");
        assert!(refusal.message.ends_with("at the cluster scope: because"));
        let details = refusal.details.unwrap();
        assert_eq!((&*details.group, &*details.kind), ("apps", "deployments"));
    }
}
