//! Paths that are no resources: discovery, health, version.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderValue, Response, header};
use serde_json::Value;

use super::query::Query;
use super::reply::{self, KubeBody};
use super::{Inner, checks};
use crate::base::metrics::CONTENT_TYPE;
use crate::kube::authn::service_account::discovery::MAX_AGE;
use crate::kube::discovery::{self, aggregated, legacy};
use crate::kube::health::{self, Check};
use crate::kube::status::ApiError;
use crate::kube::version;

/// Pages besides API groups and health, as `/` lists them.
const PAGES: [&str; 8] = [
    "/.well-known/openid-configuration",
    "/metrics",
    "/metrics/slis",
    "/openapi/v2",
    "/openapi/v3",
    "/openapi/v3/",
    "/openid/v1/jwks",
    "/version",
];

/// The page at a path; none if there is no such page.
pub(super) async fn page(
    inner: &Inner,
    parts: &Parts,
    path: &str,
    query: &Query,
) -> Option<Response<KubeBody>> {
    let catalog = inner.catalogs.current();
    let served = catalog.discoverable();
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let response = match segments.as_slice() {
        [""] => {
            let health: Vec<String> = checks::paths().collect();
            let pages = health.iter().map(String::as_str).chain(PAGES);
            pretty(&discovery::root_paths(&served, pages))
        }
        ["metrics"] => metrics(inner).await,
        ["metrics", "slis"] => metrics_page(inner.metrics.encode_slis()),
        ["version"] => pretty(&version::info()),
        [endpoint @ ("healthz" | "livez" | "readyz")] => {
            let checks = checks::checks(inner, endpoint, None).await;
            let excluded: Vec<&str> = query.all("exclude").collect();
            note_health(inner, endpoint, &checks, &excluded);
            let verbose = query.get("verbose").is_some();
            health_answer(health::report(endpoint, &checks, verbose, &excluded))
        }
        [endpoint @ ("healthz" | "livez" | "readyz"), name @ ..] => {
            let name = name.join("/");
            let checks = checks::checks(inner, endpoint, Some(&name)).await;
            health_answer(health::single(&checks, &name)?)
        }
        [".well-known", "openid-configuration"] => {
            public(reply::json(200, &inner.gate.accounts().configuration()?))
        }
        ["openid", "v1", "jwks"] => {
            let keys = reply::to_json(&inner.gate.accounts().key_set());
            public(reply::whole(200, "application/jwk-set+json", keys))
        }
        ["api"] if is_aggregated(parts) => whole_discovery(parts, &aggregated::core(&served)),
        ["apis"] if is_aggregated(parts) => whole_discovery(parts, &aggregated::named(&served)),
        ["api"] => reply::json(200, &legacy::api_versions(&served, &inner.settings.address)),
        ["apis"] => reply::json(200, &legacy::group_list(&served)),
        ["apis", group] => reply::json(200, &legacy::group(&served, group)?),
        ["api", version] => reply::json(200, &legacy::resource_list(served.find("", version)?)),
        ["apis", group, version] => {
            reply::json(200, &legacy::resource_list(served.find(group, version)?))
        }
        _ => return super::openapi_pages::page(parts, &segments, query, catalog.documents()).await,
    };
    Some(response)
}

fn pretty(body: &Value) -> Response<KubeBody> {
    let text = serde_json::to_string_pretty(body).unwrap_or_default();
    reply::whole(200, reply::JSON, text)
}

/// Who checks service account tokens may keep what they check them by for a while.
fn public(mut response: Response<KubeBody>) -> Response<KubeBody> {
    if let Ok(value) = HeaderValue::from_str(&format!("public, max-age={MAX_AGE}")) {
        response.headers_mut().insert(header::CACHE_CONTROL, value);
    }
    response
}

/// Keeps account of checks that somebody has asked for.
fn note_health(inner: &Inner, endpoint: &str, checks: &[Check<'static>], excluded: &[&str]) {
    let page = checks::PAGES.iter().find(|page| **page == endpoint);
    for check in checks
        .iter()
        .filter(|check| !excluded.contains(&check.name))
    {
        if let Some(&page) = page {
            inner
                .metrics
                .health
                .note(page, check.name, check.result.is_ok());
        }
    }
}

/// Everything that is counted, with what is known by looking.
async fn metrics(inner: &Inner) -> Response<KubeBody> {
    let metrics = &inner.metrics;
    metrics.show_in_flight(inner.limits.peaks());
    let (counted, world) = (Arc::clone(metrics), inner.store.views().world());
    // It walks over every object, and the page takes a while to write.
    let page = tokio::task::spawn_blocking(move || {
        counted.places.show(&world);
        counted.encode()
    });
    metrics_page(page.await.unwrap_or(Err(std::fmt::Error)))
}

fn metrics_page(page: Result<String, std::fmt::Error>) -> Response<KubeBody> {
    match page {
        Ok(text) => reply::whole(200, CONTENT_TYPE, text),
        Err(error) => reply::refusal(&ApiError::internal(error)),
    }
}

fn health_answer(answer: health::Answer) -> Response<KubeBody> {
    let mut response = reply::whole(answer.status, reply::TEXT, answer.body);
    let nosniff = HeaderValue::from_static("nosniff");
    response
        .headers_mut()
        .insert("x-content-type-options", nosniff);
    response
}

fn is_aggregated(parts: &Parts) -> bool {
    let accepted = parts.headers.get_all(header::ACCEPT).iter();
    let mut entries = accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    entries.any(|entry| {
        let has = |wanted| entry.split(';').any(|part| part.trim() == wanted);
        entry.trim().starts_with("application/json")
            && has("g=apidiscovery.k8s.io")
            && has("v=v2")
            && has("as=APIGroupDiscoveryList")
    })
}

/// Clients know the document again by its media type, and keep it by its tag.
fn whole_discovery(parts: &Parts, document: &Value) -> Response<KubeBody> {
    let tag = aggregated::etag(document);
    let known = parts.headers.get_all(header::IF_NONE_MATCH).iter();
    let unchanged = known
        .filter_map(|value| value.to_str().ok())
        .any(|value| value == tag);
    let media_type = format!("{}{}", reply::JSON, aggregated::MEDIA_TYPE_PARAMETERS);
    let mut response = if unchanged {
        reply::whole(304, &media_type, "")
    } else {
        let gzip = reply::takes_gzip(&parts.headers);
        reply::compressed(200, &media_type, reply::to_json(document), gzip)
    };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
    response
}
