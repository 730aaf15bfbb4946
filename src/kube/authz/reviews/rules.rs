//! `SelfSubjectRulesReview`: everything that the user may do in a namespace, as far as it can be listed.

use serde_json::{Map, Value};

use crate::kube::authz::rbac::{Rule, aggregate};
use crate::kube::authz::{Authorizer, Mode, node};
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::user::User;

pub(super) fn review(authorizer: &Authorizer, user: &User, review: &Value) -> ApiResult<Value> {
    let namespace = review
        .pointer("/spec/namespace")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if namespace.is_empty() {
        return Err(ApiError::bad_request("no namespace on request"));
    }
    let mut rules = Vec::new();
    let mut errors = Vec::new();
    let mut incomplete = false;
    for mode in authorizer.modes() {
        match mode {
            Mode::AlwaysAllow => rules.extend(Rule::full()),
            Mode::AlwaysDeny => {}
            Mode::Rbac => {
                let rights = authorizer.rbac().rights(user, namespace);
                rules.extend(rights.rules);
                errors.extend(rights.errors);
            }
            Mode::Node if node::is_node(user) => {
                errors.push("node authorizer does not support user rule resolution".to_owned());
                incomplete = true;
            }
            Mode::Node => {}
        }
    }
    let of_resources = rules
        .iter()
        .filter(|rule| !rule.resources.is_empty())
        .map(|rule| Rule {
            urls: Vec::new(),
            ..rule.clone()
        });
    let of_urls = rules
        .iter()
        .filter(|rule| !rule.urls.is_empty())
        .map(|rule| Rule {
            verbs: rule.verbs.clone(),
            urls: rule.urls.clone(),
            ..Rule::default()
        });
    let list = |rules: &mut dyn Iterator<Item = Rule>| -> Value {
        rules.map(|rule| rule.to_value()).collect()
    };
    let mut status = Map::new();
    status.insert("resourceRules".into(), list(&mut of_resources.into_iter()));
    status.insert("nonResourceRules".into(), list(&mut of_urls.into_iter()));
    status.insert("incomplete".into(), incomplete.into());
    if !errors.is_empty() {
        status.insert("evaluationError".into(), aggregate(&errors).into());
    }
    let mut answer = Map::new();
    answer.insert("kind".into(), "SelfSubjectRulesReview".into());
    answer.insert("apiVersion".into(), "authorization.k8s.io/v1".into());
    // What was asked is not repeated.
    answer.insert("metadata".into(), Map::new().into());
    answer.insert("spec".into(), Map::new().into());
    answer.insert("status".into(), status.into());
    Ok(answer.into())
}
