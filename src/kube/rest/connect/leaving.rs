//! Requests that leave HTTP: passed on as they are, or taken here and spoken otherwise behind.

use bytes::Bytes;
use http::header::{
    CONNECTION, HOST, HeaderName, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use super::backend::Exchange;
use super::{Inner, Leaving};
use crate::kube::rest::reply::{self, KubeBody};
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::streams::dial::Trust;
use crate::kube::streams::location::Host;
use crate::kube::streams::options::ExecOptions;
use crate::kube::streams::proxy::headers::forwarded_for;
use crate::kube::streams::{translate, tunnel, websocket};

/// The protocol of streams that are carried by SPDY.
const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");
const SPDY: &str = "SPDY/3.1";
/// Bytes of what a kubelet says when it does not leave HTTP.
const MAX_REFUSAL: usize = 64 << 10;

/// Where a request goes on.
pub(super) struct Behind {
    pub(super) host: Host,
    pub(super) trust: Trust,
    /// Path and query.
    pub(super) path: String,
}

/// Passes a request on as it is, and bytes both ways from then on.
///
/// # Errors
/// If what is behind cannot be reached, or answers what is no answer.
pub(super) async fn pass_on(
    inner: &Inner,
    mut leaving: Leaving,
    behind: Behind,
) -> ApiResult<Response<KubeBody>> {
    let client = hyper::upgrade::on(&mut leaving.request);
    let method = leaving.request.method().clone();
    let mut headers = leaving.headers().clone();
    forwarded_for(&mut headers, leaving.client);
    host_of(&leaving, &behind, &mut headers);
    let exchange = begin(inner, &behind, method, headers).await?;
    if exchange.response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return not_left(exchange);
    }
    let response = left(exchange.response.headers().clone());
    inner.outward.run(async move {
        match both(client, exchange).await {
            Ok((client, backend)) => copy(client, backend).await,
            Err(error) => tracing::debug!(%error, "a connection did not leave HTTP"),
        }
    })?;
    Ok(response)
}

/// Hosts are told by which name they were asked, as far as HTTP/2 does not say it elsewhere.
fn host_of(leaving: &Leaving, behind: &Behind, headers: &mut HeaderMap) {
    if !headers.contains_key(HOST) {
        let asked = leaving.request.uri().authority();
        let name = asked.map_or_else(|| behind.host.authority(), ToString::to_string);
        if let Ok(name) = HeaderValue::from_str(&name) {
            headers.insert(HOST, name);
        }
    }
}

/// Takes a client's WebSocket and speaks SPDY with the kubelet.
///
/// # Errors
/// 400 for what is no WebSocket.
pub(super) async fn translated(
    inner: &Inner,
    mut leaving: Leaving,
    behind: Behind,
    options: ExecOptions,
) -> ApiResult<Response<KubeBody>> {
    let accepted = websocket::accept(leaving.headers(), Some(translate::TRANSLATED));
    let accepted = accepted.map_err(ApiError::bad_request)?;
    let client = hyper::upgrade::on(&mut leaving.request);
    let backend = spdy(inner, &behind).await;
    inner.outward.run(async move {
        match client.await {
            Ok(client) => {
                let backend = async { backend };
                translate::translate(TokioIo::new(client), backend, &options).await;
            }
            Err(error) => tracing::debug!(%error, "a client did not leave HTTP"),
        }
    })?;
    Ok(left(accepted))
}

/// A kubelet's connection that speaks SPDY, for a process. What it says instead goes to the client by the error channel,
/// where it is looked for.
async fn spdy(inner: &Inner, behind: &Behind) -> Result<TokioIo<Upgraded>, ApiError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static(SPDY));
    for version in translate::VERSIONS {
        headers.append(STREAM_PROTOCOL, HeaderValue::from_static(version));
    }
    let authority = behind.host.authority();
    if let Ok(host) = HeaderValue::from_str(&authority) {
        headers.insert(HOST, host);
    }
    let url = format!("{}://{authority}{}", behind.host.scheme(), behind.path);
    let failed =
        |why: String| ApiError::internal(format!("error sending request: Post {url:?}: {why}"));
    let request = request(Method::POST, &behind.path, headers)?;
    let dialer = &inner.outward.dialer;
    let begun = Exchange::begin(dialer, &behind.host, behind.trust, request).await;
    let exchange = begun.map_err(failed)?;
    if speaks_spdy(&exchange.response) {
        let left = exchange.upgraded().await;
        return left.map_err(|error| failed(error.to_string()));
    }
    if exchange.response.status().is_redirection() {
        return Err(failed("redirect not allowed".into()));
    }
    let body = exchange.into_response().into_body();
    let said = Limited::new(body, MAX_REFUSAL).collect().await;
    let said = said
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    Err(said_instead(&said))
}

/// What a kubelet says that stays with HTTP: a `Status`, or a text.
fn said_instead(said: &[u8]) -> ApiError {
    let status: Option<Value> = serde_json::from_slice(said).ok();
    let status = status.filter(|status| status.get("kind").is_some_and(|kind| kind == "Status"));
    match status {
        Some(status) => {
            let text = |field| {
                status
                    .get(field)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            };
            let code = status.get("code").and_then(Value::as_u64);
            let code = code.and_then(|code| u16::try_from(code).ok());
            let mut error = ApiError::new(code.unwrap_or(500), "", text("message"));
            error.reason = text("reason").to_owned().into();
            error
        }
        None => {
            let said = String::from_utf8_lossy(said);
            ApiError::internal(format!("unable to upgrade connection: {}", said.trim()))
        }
    }
}

/// Carries SPDY in the messages of a client's WebSocket.
///
/// # Errors
/// As [`pass_on`].
pub(super) async fn tunnelled(
    inner: &Inner,
    mut leaving: Leaving,
    behind: Behind,
) -> ApiResult<Response<KubeBody>> {
    let client = hyper::upgrade::on(&mut leaving.request);
    let mut headers = leaving.headers().clone();
    forwarded_for(&mut headers, leaving.client);
    for name in [
        SEC_WEBSOCKET_PROTOCOL,
        SEC_WEBSOCKET_KEY,
        SEC_WEBSOCKET_VERSION,
        STREAM_PROTOCOL,
    ] {
        headers.remove(name);
    }
    headers.insert(UPGRADE, HeaderValue::from_static(SPDY));
    for protocol in tunnel::carried(leaving.headers()) {
        if let Ok(protocol) = HeaderValue::from_str(protocol) {
            headers.append(STREAM_PROTOCOL, protocol);
        }
    }
    host_of(&leaving, &behind, &mut headers);
    let exchange = begin(inner, &behind, Method::POST, headers).await?;
    if exchange.response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return not_left(exchange);
    }
    if !speaks_spdy(&exchange.response) {
        let message = "unable to upgrade: missing upgrade headers in response";
        return Ok(reply::whole(500, reply::TEXT, format!("{message}\n")));
    }
    let chosen = exchange.response.headers().get(STREAM_PROTOCOL);
    let chosen = chosen
        .and_then(|chosen| chosen.to_str().ok())
        .map(str::trim);
    let chosen = chosen.map(|chosen| format!("{}{chosen}", tunnel::PREFIX));
    let offered = chosen
        .as_deref()
        .filter(|chosen| websocket::protocols(leaving.headers()).any(|known| known == *chosen));
    let accepted = websocket::accept(leaving.headers(), offered);
    let accepted = accepted.map_err(ApiError::bad_request)?;
    inner.outward.run(async move {
        match both(client, exchange).await {
            Ok((client, backend)) => tunnel::carry(client, backend).await,
            Err(error) => tracing::debug!(%error, "a connection did not leave HTTP"),
        }
    })?;
    Ok(left(accepted))
}

fn request(method: Method, path: &str, headers: HeaderMap) -> ApiResult<Request<Empty<Bytes>>> {
    let request = Request::builder().method(method).uri(path);
    let mut request = request
        .body(Empty::new())
        .map_err(|error| ApiError::unclassified(format!("error sending request: {error}")))?;
    *request.headers_mut() = headers;
    Ok(request)
}

async fn begin(
    inner: &Inner,
    behind: &Behind,
    method: Method,
    headers: HeaderMap,
) -> ApiResult<Exchange> {
    let request = request(method, &behind.path, headers)?;
    Exchange::begin(&inner.outward.dialer, &behind.host, behind.trust, request)
        .await
        .map_err(|why| ApiError::unclassified(format!("error dialing backend: {why}")))
}

fn speaks_spdy<B>(response: &Response<B>) -> bool {
    let says = |name, what: &str| {
        let said = response.headers().get(name);
        let said = said.and_then(|said| said.to_str().ok()).unwrap_or_default();
        said.to_ascii_lowercase().contains(what)
    };
    response.status() == StatusCode::SWITCHING_PROTOCOLS
        && says(CONNECTION, "upgrade")
        && says(UPGRADE, "spdy/3.1")
}

/// The answer with which a connection leaves HTTP.
fn left(headers: HeaderMap) -> Response<KubeBody> {
    let mut response = Response::new(Empty::new().boxed_unsync());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = headers;
    response
}

/// What was answered instead: a refusal is passed on, and anything else is no answer.
fn not_left(exchange: Exchange) -> ApiResult<Response<KubeBody>> {
    let code = exchange.response.status().as_u16();
    if code < 400 {
        let message = format!("invalid upgrade response: status code {code}");
        return Err(ApiError::unclassified(message));
    }
    let (mut parts, body) = exchange.into_response().into_parts();
    crate::kube::streams::proxy::headers::strip(&mut parts.headers);
    Ok(Response::from_parts(parts, body.boxed_unsync()))
}

/// Both connections, once both have left HTTP.
async fn both(
    client: OnUpgrade,
    exchange: Exchange,
) -> Result<(TokioIo<Upgraded>, TokioIo<Upgraded>), hyper::Error> {
    let (client, backend) = futures::future::join(client, exchange.upgraded()).await;
    Ok((TokioIo::new(client?), backend?))
}

/// Copies both ways until one side has no more.
async fn copy<C, B>(client: C, backend: B)
where
    C: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_backend, mut to_backend) = tokio::io::split(backend);
    let ended = tokio::select! {
        ended = tokio::io::copy(&mut from_client, &mut to_backend) => ended,
        ended = tokio::io::copy(&mut from_backend, &mut to_client) => ended,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection that was passed on broke");
    }
    let _gone = tokio::io::AsyncWriteExt::shutdown(&mut to_client).await;
}
