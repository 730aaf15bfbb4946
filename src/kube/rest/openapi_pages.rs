//! pending
use super::Inner;
use super::query::Query;
use super::reply::KubeBody;
use http::Response;
use http::request::Parts;
pub(super) fn page(_: &Inner, _: &Parts, _: &[&str], _: &Query) -> Option<Response<KubeBody>> {
    None
}
