//! `TokenReview` and `SelfSubjectReview`: questions about identities, answered as objects.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::kube::object::time::Moment;
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::user::User;

use super::Authenticator;

const API_VERSION: &str = "authentication.k8s.io/v1";

/// Whom a token is of. `review` is a `TokenReview` in Go form.
///
/// # Errors
/// 400 without a token. A token that is not believed is an answer, not an error.
pub fn token_review(
    authenticator: &Authenticator,
    review: &Value,
    now: Duration,
) -> ApiResult<Value> {
    let token = review
        .pointer("/spec/token")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if token.is_empty() {
        let message = "token is required for TokenReview in authentication";
        return Err(ApiError::bad_request(message));
    }
    let audiences = review.pointer("/spec/audiences").and_then(Value::as_array);
    let audiences = audiences.into_iter().flatten().filter_map(Value::as_str);
    let audiences: Vec<String> = audiences.map(str::to_owned).collect();
    let mut status = Map::new();
    match authenticator.review(token, &audiences, now) {
        Ok(known) => {
            status.insert("authenticated".into(), true.into());
            status.insert("user".into(), user_info(&known.user));
            if !known.audiences.is_empty() {
                status.insert("audiences".into(), known.audiences.into());
            }
        }
        Err(why) => {
            status.insert("user".into(), Map::new().into());
            status.insert("error".into(), why.to_string().into());
        }
    }
    let metadata = review.get("metadata").cloned();
    let mut answer = object("TokenReview", metadata.unwrap_or_else(|| Map::new().into()));
    answer.insert(
        "spec".into(),
        review.get("spec").cloned().unwrap_or_default(),
    );
    answer.insert("status".into(), status.into());
    Ok(answer.into())
}

/// The answer to a `SelfSubjectReview`: who asks. Nothing of what was sent is repeated; `now` is since the Unix
/// epoch.
pub fn self_subject_review(user: &User, now: Duration) -> Value {
    let mut metadata = Map::new();
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let time = Moment { seconds, nanos: 0 }.rfc3339();
    metadata.insert("creationTimestamp".into(), time.into());
    let mut status = Map::new();
    status.insert("userInfo".into(), user_info(user));
    let mut answer = object("SelfSubjectReview", metadata.into());
    answer.insert("status".into(), status.into());
    answer.into()
}

fn object(kind: &str, metadata: Value) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("kind".into(), kind.into());
    object.insert("apiVersion".into(), API_VERSION.into());
    object.insert("metadata".into(), metadata);
    object
}

/// `authentication.k8s.io/v1 UserInfo`, without what is empty.
pub fn user_info(user: &User) -> Value {
    let mut info = Map::new();
    for (key, text) in [("username", &user.name), ("uid", &user.uid)] {
        if !text.is_empty() {
            info.insert(key.into(), text.as_str().into());
        }
    }
    if !user.groups.is_empty() {
        info.insert("groups".into(), user.groups.clone().into());
    }
    if !user.extra.is_empty() {
        let extra = user
            .extra
            .iter()
            .map(|(key, values)| (key.clone(), values.clone().into()));
        info.insert("extra".into(), extra.collect::<Map<_, _>>().into());
    }
    info.into()
}
