//! `pods/log`.

use http::header::HOST;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Full, Limited};
use hyper::body::Bytes;

use super::backend::{Driven, Exchange};
use super::{Inner, kubelet, node_of, object};
use crate::kube::rest::call::Call;
use crate::kube::rest::reply::KubeBody;
use crate::kube::status::{ApiError, ApiResult, Details};
use crate::kube::streams::dial::Trust;
use crate::kube::streams::location;
use crate::kube::streams::options::LogOptions;

/// Bytes of a kubelet's refusal that are passed on.
const MAX_REFUSAL: usize = 50_000;

pub(super) async fn serve(inner: &Inner, call: &Call) -> ApiResult<Response<KubeBody>> {
    let options = LogOptions::parse(&call.query, call.name())?;
    let pod = object(inner, "pods", call.namespace(), call.name()).await?;
    let container = location::container(&pod, &options.container)?;
    let node = node_of(&pod);
    if node.is_empty() {
        let mut nothing = Response::new(Full::new(Bytes::new()).boxed_unsync());
        *nothing.status_mut() = StatusCode::NO_CONTENT;
        return Ok(nothing);
    }
    let host = kubelet(inner, node).await?.host;
    let mut path = format!(
        "/containerLogs/{}/{}/{container}",
        call.namespace(),
        call.name()
    );
    let query = options.to_query();
    if !query.is_empty() {
        path = format!("{path}?{query}");
    }
    let trust = match options.insecure {
        true => Trust::UnseenKubelet,
        false => Trust::Kubelet,
    };
    let authority = host.authority();
    let request = Request::get(&path).header(HOST, &authority);
    let request = request.body(Empty::<Bytes>::new());
    let request = request.map_err(ApiError::internal)?;
    let begun = Exchange::begin(&inner.outward.dialer, &host, trust, request).await;
    let exchange = begun.map_err(|why| {
        let url = format!("https://{authority}{path}");
        ApiError::unclassified(format!("Get {url:?}: {why}"))
    })?;
    let (mut parts, body) = exchange.into_response().into_parts();
    if !(200..=206).contains(&parts.status.as_u16()) {
        if parts.status.is_redirection() {
            let url = format!("https://{authority}{path}");
            let message = format!("Get {url:?}: redirects forbidden");
            return Err(ApiError::unclassified(message));
        }
        return Err(refused(call.name(), parts.status.as_u16(), body).await);
    }
    // What the kubelet says of its answer is not what this server says of its own.
    parts.headers.clear();
    parts.status = StatusCode::OK;
    let text = HeaderValue::from_static("text/plain");
    parts.headers.insert(http::header::CONTENT_TYPE, text);
    Ok(Response::from_parts(parts, body.boxed_unsync()))
}

/// What becomes of a kubelet's refusal.
async fn refused(pod: &str, code: u16, body: Driven) -> ApiError {
    let said = match Limited::new(body, MAX_REFUSAL).collect().await {
        Ok(said) => said.to_bytes(),
        Err(_) => Bytes::new(),
    };
    let said = String::from_utf8_lossy(&said);
    let (reason, message) = match code {
        500 => return ApiError::internal(said),
        400 => return ApiError::bad_request(said),
        401 => (
            "Unauthorized",
            "the server has asked for the client to provide credentials",
        ),
        403 => ("Forbidden", &*said),
        404 => (
            "NotFound",
            "the server could not find the requested resource",
        ),
        405 => (
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        ),
        429 => (
            "TooManyRequests",
            "the server has received too many requests and has asked us to try again later",
        ),
        503 => (
            "ServiceUnavailable",
            "the server is currently unable to handle the request",
        ),
        504 => (
            "Timeout",
            "the server was unable to return a response in the time allotted, but may still be processing the request",
        ),
        501.. => (
            "InternalError",
            &*format!(
                "an error on the server ({said:?}) has prevented the request from succeeding"
            ),
        ),
        _ => (
            "Unknown",
            &*format!(
                "the server responded with the status code {code} but did not return more information"
            ),
        ),
    };
    // The verb that Go's words leave room for is never there.
    let message = format!("{message} ( pods/log {pod})");
    ApiError::new(code, reason, message).with_details(Details {
        name: pod.to_owned(),
        kind: "pods/log".into(),
        ..Details::default()
    })
}
