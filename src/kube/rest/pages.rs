//! Paths that are no resources: discovery, health, version.

use http::request::Parts;
use http::{HeaderValue, Response, header};
use serde_json::Value;

use super::Inner;
use super::query::Query;
use super::reply::{self, KubeBody};
use crate::kube::authn::service_account::discovery::MAX_AGE;
use crate::kube::discovery::{self, aggregated, legacy};
use crate::kube::health::{self, Check};
use crate::kube::version;

/// Pages besides API groups, as `/` lists them.
const PAGES: [&str; 7] = [
    "/healthz",
    "/livez",
    "/readyz",
    "/metrics",
    "/openapi/v2",
    "/openapi/v3",
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
        [""] => pretty(&discovery::root_paths(&served, PAGES)),
        ["version"] => pretty(&version::info()),
        [endpoint @ ("healthz" | "livez" | "readyz")] => {
            let checks = checks(inner).await;
            let excluded: Vec<&str> = query.all("exclude").collect();
            let verbose = query.get("verbose").is_some();
            health_answer(health::report(endpoint, &checks, verbose, &excluded))
        }
        ["healthz" | "livez" | "readyz", name @ ..] => {
            health_answer(health::single(&checks(inner).await, &name.join("/"))?)
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
        _ => return super::openapi_pages::page(parts, &segments, query).await,
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

/// What the health pages look at.
async fn checks(inner: &Inner) -> Vec<Check<'static>> {
    let store = match inner.store.engine().read_barrier().await {
        Ok(()) => Ok(()),
        Err(error) => Err(error.to_string()),
    };
    ["ping", "log", "etcd", "etcd-readiness", "informer-sync"]
        .map(|name| Check {
            name,
            result: if name.starts_with("etcd") {
                store.clone()
            } else {
                Ok(())
            },
        })
        .into()
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
