//! `/openapi/v3` and `/openapi/v2`: what the API looks like.

use std::sync::{Arc, LazyLock};

use http::header::{ACCEPT, CACHE_CONTROL, ETAG, EXPIRES, IF_NONE_MATCH, LOCATION, VARY};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response};

use super::query::Query;
use super::reply::{self, KubeBody};
use crate::base::clock;
use crate::kube::openapi::{
    Answer, Customs, Document, Form, INDEX_MEDIA_TYPE, OpenApi, PROTOBUF_MEDIA_TYPE, form,
    http_date, json_is_acceptable,
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
    Swagger(Form),
}

/// The document at a path; none if there is no such page.
pub(super) async fn page(
    parts: &Parts,
    segments: &[&str],
    query: &Query,
    customs: &Arc<Customs>,
) -> Option<Response<KubeBody>> {
    let accepted = joined(&parts.headers, ACCEPT);
    let page = match segments {
        ["openapi", "v3"] => Some(Page::Index),
        ["openapi", "v3", path @ ..] => json_is_acceptable(accepted.as_deref()).then(|| {
            let hash = query.get("hash").map(Into::into);
            let path = path.join("/");
            Page::Version { path, hash }
        }),
        ["openapi", "v2"] => form(accepted.as_deref()).map(Page::Swagger),
        _ => return None,
    };
    let Some(page) = page else {
        return Some(reply::whole(406, reply::TEXT, ""));
    };
    let known = joined(&parts.headers, IF_NONE_MATCH).unwrap_or_default();
    let gzip = reply::takes_gzip(&parts.headers);
    // A document that is not at hand takes its time, and so does packing one.
    let customs = Arc::clone(customs);
    let answer = tokio::task::spawn_blocking(move || answer(&page, &customs, &known, gzip));
    answer.await.ok().flatten()
}

fn answer(page: &Page, customs: &Customs, known: &str, gzip: bool) -> Option<Response<KubeBody>> {
    match page {
        Page::Index => Some(found(
            &DOCUMENTS.index(customs),
            INDEX_MEDIA_TYPE,
            known,
            gzip,
        )),
        Page::Swagger(form) => {
            let media_type = match form {
                Form::Json => reply::JSON,
                Form::Protobuf => PROTOBUF_MEDIA_TYPE,
            };
            Some(found(
                &DOCUMENTS.swagger(*form, customs),
                media_type,
                known,
                gzip,
            ))
        }
        Page::Version { path, hash } => match DOCUMENTS.version(path, hash.as_deref(), customs) {
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

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(path: &str, query: &str, headers: &[(&str, &str)]) -> Option<(u16, HeaderMap)> {
        let mut request = http::Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let response = page(&parts, &segments, &Query::parse(query), &Arc::default()).await?;
        let (head, _) = response.into_parts();
        Some((head.status.as_u16(), head.headers))
    }

    #[tokio::test]
    async fn a_document_is_found_by_its_hash_and_kept_by_its_tag() {
        let path = "/openapi/v3/apis/apps/v1";
        let (status, headers) = get(path, "hash=0", &[]).await.unwrap();
        assert_eq!(status, 301);
        let place = headers[LOCATION].to_str().unwrap().to_owned();
        let (to, query) = place.split_once('?').unwrap();
        assert_eq!(to, path);
        let gzip = [("accept-encoding", "gzip")];
        let (status, headers) = get(path, query, &gzip).await.unwrap();
        assert_eq!(
            (status, &headers[CACHE_CONTROL]),
            (200, &"public, immutable".parse().unwrap())
        );
        assert_eq!(headers["content-encoding"], "gzip");
        assert!(headers[EXPIRES].to_str().unwrap().ends_with(" GMT"));
        let varies: Vec<_> = headers.get_all(VARY).iter().collect();
        assert_eq!(varies, ["Accept-Encoding", "Accept"]);
        let tag = headers[ETAG].to_str().unwrap().to_owned();
        let known = format!("\"other\", {tag}");
        let (status, headers) = get(path, "", &[("if-none-match", &known)]).await.unwrap();
        assert_eq!((status, headers.get(CACHE_CONTROL)), (304, None));
        assert_eq!(headers[ETAG], tag);
    }

    #[tokio::test]
    async fn each_document_has_its_forms() {
        let v2 = [(
            "accept",
            "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
        )];
        let (status, headers) = get("/openapi/v2", "", &v2).await.unwrap();
        assert_eq!(
            (status, headers["content-type"].to_str().unwrap()),
            (200, PROTOBUF_MEDIA_TYPE)
        );
        let v3 = [(
            "accept",
            "application/com.github.proto-openapi.spec.v3@v1.0+protobuf",
        )];
        assert_eq!(get("/openapi/v2", "", &v3).await.unwrap().0, 406);
        assert_eq!(get("/openapi/v3/api/v1", "", &v3).await.unwrap().0, 406);
        let (status, headers) = get("/openapi/v3", "", &v3).await.unwrap();
        assert_eq!(
            (status, headers["content-type"].to_str().unwrap()),
            (200, INDEX_MEDIA_TYPE)
        );
    }

    #[tokio::test]
    async fn other_paths_are_no_pages() {
        assert!(get("/openapi/v3/apis/none/v1", "", &[]).await.is_none());
        assert!(get("/openapi", "", &[]).await.is_none());
    }
}
