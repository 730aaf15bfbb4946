//! Access reviews: questions about what somebody may do, answered as objects.

mod rules;
mod spec;

use serde_json::{Map, Value};

use crate::kube::field::{FieldError, quoted};
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::user::User;

use super::{Authorizer, Verdict};

const GROUP: &str = "authorization.k8s.io";

/// Answers the review of a resource of `authorization.k8s.io`, which is in Go form; `namespace` is the request's.
///
/// # Errors
/// What is wrong with the question; 404 for another resource.
pub fn review(
    authorizer: &Authorizer,
    user: &User,
    plural: &str,
    namespace: &str,
    review: &Value,
) -> ApiResult<Value> {
    match plural {
        "subjectaccessreviews" => access(authorizer, None, review, ""),
        "selfsubjectaccessreviews" => access(authorizer, Some(user), review, ""),
        "localsubjectaccessreviews" => {
            access(authorizer, None, &local(review, namespace)?, namespace)
        }
        "selfsubjectrulesreviews" => rules::review(authorizer, user, review),
        _ => Err(ApiError::no_such_resource()),
    }
}

/// A review with the namespace of the request, which it must name if it names one.
fn local(review: &Value, namespace: &str) -> ApiResult<Value> {
    let mut review = review.clone();
    let metadata = review.as_object_mut().map(|review| {
        let metadata = review.entry("metadata").or_insert(Value::Null);
        if metadata.is_null() {
            *metadata = Map::new().into();
        }
        metadata
    });
    if let Some(metadata) = metadata.and_then(Value::as_object_mut) {
        let named = metadata
            .entry("namespace")
            .or_insert_with(|| namespace.into());
        if named.as_str() != Some(namespace) {
            return Err(ApiError::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
    }
    Ok(review)
}

/// `namespace` is that of a local review.
fn access(
    authorizer: &Authorizer,
    itself: Option<&User>,
    review: &Value,
    namespace: &str,
) -> ApiResult<Value> {
    let spec = review.get("spec").unwrap_or(&Value::Null);
    let mut errors = spec::check(spec, itself.is_none());
    check_metadata(review, namespace, &mut errors);
    if !namespace.is_empty() {
        check_local(spec, namespace, &mut errors);
    }
    if !errors.is_empty() {
        // The release has no kind here.
        return Err(ApiError::invalid(GROUP, "", "", &errors));
    }
    let asked = spec::Asked::read(spec);
    let of_spec = itself.is_none().then(|| spec::user(spec));
    let user = itself.or(of_spec.as_ref());
    let decision = user.map(|user| authorizer.authorize(user, &asked.request));
    let mut status = Map::new();
    if let Some(decision) = decision {
        status.insert("allowed".into(), decision.is_allowed().into());
        if decision.verdict == Verdict::Deny {
            status.insert("denied".into(), true.into());
        }
        if !decision.reason.is_empty() {
            status.insert("reason".into(), decision.reason.into());
        }
    }
    if !asked.ignored.is_empty() {
        let ignored = asked.ignored.join("; ");
        status.insert("evaluationError".into(), ignored.into());
    }
    let mut answer = review.clone();
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("status".into(), status.into());
    }
    Ok(answer)
}

fn check_metadata(review: &Value, namespace: &str, errors: &mut Vec<FieldError>) {
    let metadata = review.get("metadata").and_then(Value::as_object);
    let of_others = |key: &str| {
        let of_namespace = key == "namespace" && !namespace.is_empty();
        !of_namespace && key != "managedFields"
    };
    let mut entries = metadata.into_iter().flatten();
    if entries.any(|(key, value)| of_others(key) && !value.is_null()) {
        let value = review.get("metadata").map(Value::to_string);
        let detail = match namespace {
            "" => "must be empty",
            _ => "must be empty except for namespace",
        };
        errors.push(FieldError::invalid(
            "metadata",
            value.unwrap_or_default(),
            detail,
        ));
    }
}

fn check_local(spec: &Value, namespace: &str, errors: &mut Vec<FieldError>) {
    if let Some(attributes) = spec::given(spec, "resourceAttributes") {
        let asked = attributes
            .get("namespace")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if asked != namespace {
            let detail = "must match metadata.namespace";
            let path = "spec.resourceAttributes.namespace";
            errors.push(FieldError::invalid(path, quoted(asked), detail));
        }
    }
    if let Some(attributes) = spec::given(spec, "nonResourceAttributes") {
        let detail = "disallowed on this kind of request";
        let value = spec::printed_path(attributes);
        errors.push(FieldError::invalid(
            "spec.nonResourceAttributes",
            value,
            detail,
        ));
    }
}

#[cfg(test)]
mod tests;
