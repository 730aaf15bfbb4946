//! `/openapi/v3` and `/openapi/v2`: what the API looks like.

use std::sync::LazyLock;

use http::header::{ACCEPT, CACHE_CONTROL, ETAG, EXPIRES, IF_NONE_MATCH, LOCATION, VARY};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response};

use super::query::Query;
use super::reply::{self, KubeBody};
use crate::base::clock;
use crate::kube::openapi::{
    Answer, Document, INDEX_MEDIA_TYPE, OpenApi, http_date, json_is_acceptable,
};
use crate::kube::schema::{Resources, Schema};

/// One set for the process: the same for all that it serves.
static DOCUMENTS: LazyLock<OpenApi> =
    LazyLock::new(|| OpenApi::new(Schema::built_in(), Resources::built_in()));

/// A document that is asked for by its hash does not change: in seconds, how long clients may keep it.
const YEAR: u64 = 365 * 24 * 3600;

/// What is asked for.
enum Page {
    Index,
    Version { path: String, hash: Option<String> },
    Swagger,
}

/// The document at a path; none if there is no such page.
pub(super) async fn page(
    parts: &Parts,
    segments: &[&str],
    query: &Query,
) -> Option<Response<KubeBody>> {
    let page = match segments {
        ["openapi", "v3"] => Page::Index,
        ["openapi", "v3", path @ ..] => Page::Version {
            path: path.join("/"),
            hash: query.get("hash").map(Into::into),
        },
        ["openapi", "v2"] => Page::Swagger,
        _ => return None,
    };
    let accepted = joined(&parts.headers, ACCEPT);
    if !matches!(page, Page::Index) && !json_is_acceptable(accepted.as_deref()) {
        return Some(reply::whole(406, reply::TEXT, ""));
    }
    let known = joined(&parts.headers, IF_NONE_MATCH).unwrap_or_default();
    let gzip = reply::takes_gzip(&parts.headers);
    // A document that is not at hand takes its time, and so does packing one.
    let answer = tokio::task::spawn_blocking(move || answer(&page, &known, gzip));
    answer.await.ok().flatten()
}

fn answer(page: &Page, known: &str, gzip: bool) -> Option<Response<KubeBody>> {
    match page {
        Page::Index => Some(found(&DOCUMENTS.index(), INDEX_MEDIA_TYPE, known, gzip)),
        Page::Swagger => Some(found(&DOCUMENTS.swagger(), reply::JSON, known, gzip)),
        Page::Version { path, hash } => match DOCUMENTS.version(path, hash.as_deref()) {
            Answer::Found {
                document,
                immutable,
            } => {
                let mut response = found(&document, reply::JSON, known, gzip);
                if immutable {
                    let until = clock::unix_time().as_secs() + YEAR;
                    set(&mut response, CACHE_CONTROL, "public, immutable");
                    set(&mut response, EXPIRES, &http_date(until));
                }
                Some(response)
            }
            Answer::Moved(to) => {
                let mut response = reply::whole(301, reply::TEXT, "");
                set(&mut response, LOCATION, &to);
                Some(response)
            }
            Answer::Unknown => None,
        },
    }
}

fn found(document: &Document, media_type: &str, known: &str, gzip: bool) -> Response<KubeBody> {
    let tag = document.etag();
    let mut response = if known.split(',').any(|one| one.trim() == tag) {
        reply::whole(304, media_type, "")
    } else {
        reply::compressed(200, media_type, document.body.to_vec(), gzip)
    };
    set(&mut response, ETAG, &tag);
    let vary = HeaderValue::from_static("Accept");
    response.headers_mut().append(VARY, vary);
    response
}

fn set(response: &mut Response<KubeBody>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// The values of a header as one; none without any.
fn joined(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let values = headers.get_all(name).iter();
    let values: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(","))
}
