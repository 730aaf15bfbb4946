//! Checks of what judges requests.

use std::sync::Arc;

use http::HeaderMap;
use serde_json::Value;

use crate::kube::authn::fuzzing::{self as authn, Nothing, headers};
use crate::kube::request::RequestInfo;
use crate::kube::request::fuzzing::request_path;
use crate::kube::user::{MASTERS, User};

use super::rbac::{Rule, missing};
use super::{Authorizer, Mode, impersonation, reviews};

/// All checks of the way to the handlers: the last bits of the first byte say which one has the rest.
///
/// # Panics
/// As the checks do.
pub fn gate(data: &[u8]) {
    let Some((which, rest)) = data.split_first() else {
        return;
    };
    match which % 8 {
        0 => request_path(rest),
        1 => authn::token_file(rest),
        2 => authn::client_certificate(rest),
        3 => authn::credentials(rest),
        4 => authn::service_account_token(rest),
        5 => impersonation_headers(rest),
        6 => access_review(rest),
        _ => role(rest),
    }
}

/// A role as JSON, whose rules nobody holds but who holds them.
///
/// # Panics
/// When rules do not cover themselves.
pub fn role(data: &[u8]) {
    let Ok(role) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    let rules = Rule::read_all(&role);
    assert!(missing(&rules, &rules).is_empty());
    assert!(missing(&Rule::full(), &rules).is_empty());
    let again: Vec<Rule> = rules
        .iter()
        .map(|rule| Rule::read(&rule.to_value()))
        .collect();
    assert_eq!(again, rules);
}

/// Headers of impersonation, as lines `name: value`, from somebody who may do everything but by RBAC nothing.
///
/// # Panics
/// When somebody becomes a master without being one, or headers stay.
pub fn impersonation_headers(data: &[u8]) {
    let sent = headers(data);
    let request = RequestInfo::of_resource("list", "", "pods", "", "", "");
    let ann = User {
        name: "ann".into(),
        ..User::default()
    };
    for (modes, may) in [(Mode::AlwaysAllow, true), (Mode::Rbac, false)] {
        let authorizer = Authorizer::new(vec![modes], Arc::new(Nothing));
        let mut headers: HeaderMap = sent.clone();
        let result = impersonation::impersonate(&authorizer, &ann, &request, &mut headers);
        if let Ok(Some(impersonated)) = result {
            assert!(may && !impersonated.user.name.is_empty());
            // The constrained ways never lead there.
            assert!(impersonated.constraint.is_empty() || !impersonated.user.is_in(MASTERS));
            let left = headers
                .keys()
                .find(|name| name.as_str().starts_with("impersonate-extra-"));
            assert_eq!(left, None);
        }
    }
}

/// An access review as JSON.
///
/// # Panics
/// When something is allowed that nothing allows.
pub fn access_review(data: &[u8]) {
    let Ok(review) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    let authorizer = Authorizer::new(vec![Mode::Node, Mode::Rbac], Arc::new(Nothing));
    let ann = User::anonymous();
    for plural in [
        "subjectaccessreviews",
        "selfsubjectaccessreviews",
        "localsubjectaccessreviews",
        "selfsubjectrulesreviews",
    ] {
        let answer = reviews::review(&authorizer, &ann, plural, "a", &review);
        let allowed = answer
            .ok()
            .and_then(|answer| answer.pointer("/status/allowed").cloned());
        let groups = review.pointer("/spec/groups").and_then(Value::as_array);
        let is = |group: &str| groups.is_some_and(|all| all.iter().any(|one| one == group));
        let may = is(MASTERS) || is("system:nodes");
        assert!(may || allowed != Some(true.into()));
    }
}
