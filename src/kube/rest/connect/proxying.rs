//! The proxies of nodes, pods and services.

use std::net::IpAddr;

use bytes::{Bytes, BytesMut};
use flate2::Compression;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, LOCATION};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt as _, Empty, Full};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::backend::{Driven, Exchange};
use super::leaving::{self, Behind};
use super::{Inner, Leaving, kubelet, object};
use crate::kube::objects::Objects as _;
use crate::kube::rest::call::Call;
use crate::kube::rest::reply::KubeBody;
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::streams::dial::{self, Dialer, Trust};
use crate::kube::streams::location::{self, Host, Named};
use crate::kube::streams::proxy::links::{self, Place};
use crate::kube::streams::proxy::{headers, html};
use crate::kube::streams::upgrade;

/// Bytes of a page whose links are rewritten, also once it is unpacked. Longer ones are passed on as they are.
const MAX_PAGE: usize = 8 << 20;

/// What is escaped in a path: what Go escapes.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

pub(super) async fn to_node(
    inner: &Inner,
    call: &Call,
    leaving: Leaving,
) -> ApiResult<Response<KubeBody>> {
    let named = Named::parse(call.name(), "node")?;
    let kubelet = kubelet(inner, named.name).await?;
    let checked = dial::check_proxied(&kubelet.host.name).await;
    checked.map_err(ApiError::bad_request)?;
    let (host, is_kubelet) = location::of_node(&named, &kubelet)?;
    let trust = if is_kubelet {
        Trust::Kubelet
    } else {
        Trust::Anyone
    };
    proxied(inner, call, leaving, host, trust).await
}

pub(super) async fn to_pod(
    inner: &Inner,
    call: &Call,
    leaving: Leaving,
) -> ApiResult<Response<KubeBody>> {
    let named = Named::parse(call.name(), "pod")?;
    let pod = object(inner, "pods", call.namespace(), named.name).await?;
    let host = location::of_pod(&named, &pod)?;
    proxied(inner, call, leaving, host, Trust::Anyone).await
}

pub(super) async fn to_service(
    inner: &Inner,
    call: &Call,
    leaving: Leaving,
) -> ApiResult<Response<KubeBody>> {
    let (id, namespace) = (call.name(), call.namespace());
    let named = Named::parse(id, "service")?;
    let port = if named.port.parse::<i64>().is_ok() {
        let service = object(inner, "services", namespace, named.name).await?;
        location::port_name(&named, &service)?
    } else {
        named.port.to_owned()
    };
    let endpoints = object(inner, "endpoints", namespace, named.name).await?;
    let pod = |name: &str| inner.live.get("", "pods", namespace, name);
    let endpoint = location::Endpoint {
        id,
        port: &port,
        namespace,
        chance: rand::random::<u32>() as usize,
    };
    let host = location::of_service(&named, &endpoint, &endpoints, pod)?;
    proxied(inner, call, leaving, host, Trust::Anyone).await
}

/// Sends a request on to a host and its answer back.
async fn proxied(
    inner: &Inner,
    call: &Call,
    leaving: Leaving,
    host: Host,
    trust: Trust,
) -> ApiResult<Response<KubeBody>> {
    let asked = &call.info.path;
    let path = behind(&call.target.rest, asked);
    let query = leaving.request.uri().query();
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    if upgrade::is_upgrade(leaving.headers()) {
        let escaped = match path.as_str() {
            "" => "/".to_owned(),
            path => utf8_percent_encode(path, ESCAPED).to_string(),
        };
        let path = format!("{escaped}{query}");
        return leaving::pass_on(inner, leaving, Behind { host, trust, path }).await;
    }
    let by = asked_by(&leaving);
    let (parts, body) = leaving.request.into_parts();
    let way = Way {
        asked,
        path: &path,
        query: &query,
        by: by.unwrap_or_else(|| host.authority()),
        client: leaving.client,
        host,
        trust,
    };
    way.go(&inner.outward.dialer, parts, body).await
}

/// The way of a request that stays with HTTP.
struct Way<'a> {
    /// The path by which the client has asked.
    asked: &'a str,
    /// The path behind; empty if the client has asked for none.
    path: &'a str,
    /// With its `?`, or empty.
    query: &'a str,
    /// The host that the client has asked.
    by: String,
    client: Option<IpAddr>,
    host: Host,
    trust: Trust,
}

impl Way<'_> {
    /// Sends the request on, and its answer back.
    ///
    /// # Errors
    /// 503 if the host cannot be reached.
    async fn go<B>(
        self,
        dialer: &Dialer,
        mut parts: Parts,
        body: B,
    ) -> ApiResult<Response<KubeBody>>
    where
        B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
    {
        let method = parts.method.clone();
        if self.path.is_empty() && [Method::GET, Method::HEAD].contains(&method) {
            let to = utf8_percent_encode(self.asked, ESCAPED);
            return Ok(moved(&format!("{to}/{}", self.query)));
        }
        let escaped = match self.path {
            "" => "/".to_owned(),
            path => utf8_percent_encode(path, ESCAPED).to_string(),
        };
        let place = Place::new(self.asked, self.path, self.host.authority(), &self.by);
        let uri = links::join(&place.prefix, &escaped);
        headers::to_backend(&mut parts.headers, self.client, &uri);
        let by = HeaderValue::from_str(&self.by).map_err(ApiError::internal)?;
        parts.headers.insert(HOST, by);
        let mut request = http::Request::builder()
            .method(parts.method)
            .uri(format!("{escaped}{}", self.query))
            .body(body)
            .map_err(ApiError::internal)?;
        *request.headers_mut() = parts.headers;
        let begun = Exchange::begin(dialer, &self.host, self.trust, request).await;
        let exchange = begun.map_err(|why| {
            let message = format!("error trying to reach service: {why}");
            ApiError::unavailable(message)
        })?;
        answered(exchange, &place, method == Method::HEAD).await
    }
}

/// The path at the host behind, decoded: what follows the subresource. Empty without a slash.
fn behind(rest: &str, asked: &str) -> String {
    match (rest, asked.ends_with('/')) {
        ("", false) => String::new(),
        ("", true) => "/".into(),
        // As Go's `path.Join` cleans it.
        (rest, _) => links::join("", rest),
    }
}

/// The host that a client has asked.
fn asked_by(leaving: &Leaving) -> Option<String> {
    let named = leaving.headers().get(HOST);
    let named = named.and_then(|host| host.to_str().ok()).map(str::to_owned);
    named.or_else(|| leaving.request.uri().authority().map(ToString::to_string))
}

fn moved(to: &str) -> Response<KubeBody> {
    let mut response = Response::new(Empty::new().boxed_unsync());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}

/// Makes the answer of a host behind one of this server.
async fn answered(exchange: Exchange, place: &Place, head: bool) -> ApiResult<Response<KubeBody>> {
    let (mut parts, body) = exchange.into_response().into_parts();
    headers::to_client(&mut parts.headers);
    let location = parts.headers.get(LOCATION);
    if let Some(location) = location.and_then(|to| to.to_str().ok()) {
        let new = place.through(location);
        if let Some(new) = new.and_then(|new| HeaderValue::from_str(&new).ok()) {
            parts.headers.insert(LOCATION, new);
        }
        return Ok(Response::from_parts(parts, body.boxed_unsync()));
    }
    if head || !is_page(&parts.headers) {
        return Ok(Response::from_parts(parts, body.boxed_unsync()));
    }
    let coding = parts.headers.get(CONTENT_ENCODING);
    let coding = coding
        .and_then(|coding| coding.to_str().ok())
        .unwrap_or_default();
    let Some(coding) = Coding::of(coding) else {
        return Ok(Response::from_parts(parts, body.boxed_unsync()));
    };
    match whole(body).await {
        Whole::Page(page) => {
            let page = coding.rewritten(page, |link| place.through(link));
            parts.headers.remove(CONTENT_LENGTH);
            let body = Full::new(page).boxed_unsync();
            Ok(Response::from_parts(parts, body))
        }
        Whole::Long(begun, rest) => {
            let begun = futures::stream::iter([Ok(http_body::Frame::data(begun))]);
            let rest = http_body_util::BodyStream::new(rest);
            let all = futures::StreamExt::chain(begun, rest);
            let body = http_body_util::StreamBody::new(all).boxed_unsync();
            Ok(Response::from_parts(parts, body))
        }
    }
}

fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next();
    kind.is_some_and(|kind| kind.trim() == "text/html")
}

enum Whole {
    Page(Bytes),
    /// What has been read of a page that is too long, and what has not.
    Long(Bytes, Driven),
}

async fn whole(mut body: Driven) -> Whole {
    let mut page = BytesMut::new();
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(data) = frame.into_data() {
            page.extend_from_slice(&data);
        }
        if page.len() > MAX_PAGE {
            return Whole::Long(page.freeze(), body);
        }
    }
    Whole::Page(page.freeze())
}

/// How a page is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Plain,
    Gzip,
    Deflate,
}

impl Coding {
    /// None for what is not known here.
    fn of(name: &str) -> Option<Self> {
        match name {
            "" => Some(Self::Plain),
            "gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            _ => None,
        }
    }

    /// The page with other links. One that cannot be unpacked, or not within bounds, stays.
    fn rewritten(self, page: Bytes, through: impl Fn(&str) -> Option<String>) -> Bytes {
        if self == Self::Plain {
            return html::rewrite(&page, through).into();
        }
        let packed = self.unpack(&page).and_then(|plain| {
            let new = html::rewrite(&plain, through);
            self.pack(&new)
        });
        match packed {
            Ok(packed) => packed.into(),
            Err(error) => {
                tracing::debug!(%error, "links of a page are left as they are");
                page
            }
        }
    }

    fn unpack(self, page: &[u8]) -> std::io::Result<Vec<u8>> {
        use std::io::Read as _;
        let mut plain = Vec::new();
        let most = MAX_PAGE as u64 + 1;
        match self {
            Self::Gzip => flate2::read::MultiGzDecoder::new(page)
                .take(most)
                .read_to_end(&mut plain)?,
            _ => flate2::read::DeflateDecoder::new(page)
                .take(most)
                .read_to_end(&mut plain)?,
        };
        if plain.len() > MAX_PAGE {
            return Err(std::io::Error::other("the page is too long"));
        }
        Ok(plain)
    }

    fn pack(self, page: &[u8]) -> std::io::Result<Vec<u8>> {
        use std::io::Write as _;
        let (out, best) = (Vec::new(), Compression::default());
        if self == Self::Gzip {
            let mut packer = flate2::write::GzEncoder::new(out, best);
            packer.write_all(page)?;
            return packer.finish();
        }
        let mut packer = flate2::write::DeflateEncoder::new(out, best);
        packer.write_all(page)?;
        packer.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_pages_have_their_links_rewritten() {
        let page = b"<a href=\"/x\">".repeat(100);
        let wanted = b"<a href=\"/P/x\">".repeat(100);
        let through = |link: &str| Some(format!("/P{link}"));
        for coding in [Coding::Gzip, Coding::Deflate] {
            let packed = coding.pack(&page).unwrap();
            let new = coding.rewritten(packed.into(), through);
            assert_eq!(coding.unpack(&new).unwrap(), wanted);
        }
        let plain = Coding::Plain.rewritten(page.into(), through);
        assert_eq!(plain, wanted);
    }

    #[test]
    fn pages_that_burst_stay_packed() {
        let bomb = Coding::Gzip.pack(&vec![b' '; MAX_PAGE + 1]).unwrap();
        let kept = Coding::Gzip.rewritten(bomb.clone().into(), |_| None);
        assert_eq!(kept, bomb);
        let nonsense = Bytes::from_static(b"no gzip");
        let kept = Coding::Gzip.rewritten(nonsense.clone(), |_| None);
        assert_eq!(kept, nonsense);
    }

    /// A host behind that says what it was asked, or has a page, or leads elsewhere.
    async fn host() -> Host {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answer = |request: http::Request<hyper::body::Incoming>| async move {
            let mut response = Response::new(Full::new(Bytes::new()));
            let headers = response.headers_mut();
            let path = request.uri().path().to_owned();
            match &*path {
                "/page" => {
                    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; x"));
                    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("13"));
                    *response.body_mut() = Full::from("<a href='/x'>");
                }
                "/moved" => {
                    headers.insert(LOCATION, HeaderValue::from_static("/there?x"));
                    *response.status_mut() = StatusCode::FOUND;
                }
                _ => {
                    let name = "access-control-allow-origin";
                    headers.insert(name, HeaderValue::from_static("*"));
                    let (parts, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    let said = format!(
                        "{} {} {:?} {body:?}",
                        parts.method, parts.uri, parts.headers
                    );
                    *response.body_mut() = Full::from(said);
                }
            }
            Ok::<_, std::convert::Infallible>(response)
        };
        #[allow(clippy::disallowed_methods, reason = "a server of the tests")]
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let stream = hyper_util::rt::TokioIo::new(stream);
                let service = hyper::service::service_fn(answer);
                let http = hyper::server::conn::http1::Builder::new();
                tokio::spawn(http.serve_connection(stream, service));
            }
        });
        Host {
            secure: false,
            name: "127.0.0.1".into(),
            port,
        }
    }

    /// The status, headers and body of what is answered to a request for a path behind `/p`.
    async fn asked(host: &Host, method: Method, path: &str) -> (u16, HeaderMap, String) {
        let asked = format!("/p{path}");
        let way = Way {
            asked: &asked,
            path,
            query: "?q=1",
            by: "me:1".into(),
            client: "192.0.2.7".parse().ok(),
            host: host.clone(),
            trust: Trust::Anyone,
        };
        let request = http::Request::builder()
            .method(method)
            .uri("/")
            .header("connection", "close")
            .header("x-own", "1");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let dialer = Dialer::new(&Default::default()).unwrap();
        let body = Full::new(Bytes::from_static(b"sent"));
        match way.go(&dialer, parts, body).await {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let text = String::from_utf8_lossy(&body).into_owned();
                (parts.status.as_u16(), parts.headers, text)
            }
            Err(error) => (error.code, HeaderMap::new(), error.message),
        }
    }

    #[tokio::test]
    async fn requests_are_sent_on_with_what_they_bring() {
        let host = host().await;
        let (code, headers, said) = asked(&host, Method::PUT, "/a b/%/").await;
        assert_eq!(code, 200);
        assert!(!headers.contains_key("access-control-allow-origin"));
        assert!(said.starts_with("PUT /a%20b/%25/?q=1 "), "{said}");
        assert!(said.ends_with("b\"sent\""), "{said}");
        for part in [
            "\"x-own\": \"1\"",
            "\"host\": \"me:1\"",
            "\"x-forwarded-for\": \"192.0.2.7\"",
            "\"x-forwarded-uri\": \"/p/a%20b/%25/\"",
        ] {
            assert!(said.contains(part), "{said}");
        }
        assert!(!said.contains("connection"), "{said}");
    }

    #[tokio::test]
    async fn pages_and_redirections_lead_back_through_the_proxy() {
        let host = host().await;
        let (_, headers, page) = asked(&host, Method::GET, "/page").await;
        assert_eq!(page, "<a href='/p/x'>");
        assert!(!headers.contains_key(CONTENT_LENGTH));
        let (code, headers, _) = asked(&host, Method::GET, "/moved").await;
        assert_eq!(
            (code, &headers[LOCATION]),
            (302, &HeaderValue::from_static("/p/there?x"))
        );
        let (code, headers, _) = asked(&host, Method::GET, "").await;
        assert_eq!(
            (code, &headers[LOCATION]),
            (301, &HeaderValue::from_static("/p/?q=1"))
        );
        let (code, _, said) = asked(&host, Method::POST, "").await;
        assert!(code == 200 && said.starts_with("POST /?q=1"), "{said}");
    }

    #[tokio::test]
    async fn hosts_that_are_not_there_are_unavailable() {
        let mut host = host().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        host.port = listener.local_addr().unwrap().port();
        drop(listener);
        let (code, _, said) = asked(&host, Method::GET, "/").await;
        let wanted = format!(
            "error trying to reach service: dial tcp 127.0.0.1:{}: connect: connection refused",
            host.port
        );
        assert_eq!((code, said), (503, wanted));
    }

    #[test]
    fn paths_behind() {
        assert_eq!(behind("", "/api/v1/nodes/n/proxy"), "");
        assert_eq!(behind("", "/api/v1/nodes/n/proxy/"), "/");
        assert_eq!(behind("a/../b/", "/api/v1/nodes/n/proxy/a/../b/"), "/b/");
        assert_eq!(behind("a//b", "/api/v1/nodes/n/proxy/a//b"), "/a/b");
    }
}
