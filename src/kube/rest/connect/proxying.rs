//! The proxies of nodes, pods and services.

use bytes::{Bytes, BytesMut};
use flate2::Compression;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Full};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::backend::{Driven, Exchange};
use super::leaving::{self, Behind};
use super::{Inner, Leaving, kubelet, object};
use crate::kube::objects::Objects as _;
use crate::kube::rest::call::Call;
use crate::kube::rest::reply::KubeBody;
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::streams::dial::{self, Trust};
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
    let escaped = utf8_percent_encode(&path, ESCAPED).to_string();
    if upgrade::is_upgrade(leaving.headers()) {
        let escaped = if path.is_empty() { "/" } else { &escaped };
        let path = format!("{escaped}{query}");
        return leaving::pass_on(inner, leaving, Behind { host, trust, path }).await;
    }
    if path.is_empty() && [Method::GET, Method::HEAD].contains(&call.method) {
        let to = utf8_percent_encode(asked, ESCAPED).to_string();
        return Ok(moved(&format!("{to}/{query}")));
    }
    let authority = host.authority();
    let by = asked_by(&leaving);
    let place = Place::new(
        asked,
        &path,
        authority.clone(),
        by.as_deref().unwrap_or(&authority),
    );
    let (mut parts, body) = leaving.request.into_parts();
    let uri = links::join(&place.prefix, &escaped);
    headers::to_backend(&mut parts.headers, leaving.client, &uri);
    let by = HeaderValue::from_str(&place.asked).map_err(ApiError::internal)?;
    parts.headers.insert(HOST, by);
    let escaped = if path.is_empty() { "/" } else { &escaped };
    let mut request = http::Request::builder()
        .method(parts.method)
        .uri(format!("{escaped}{query}"))
        .body(body)
        .map_err(ApiError::internal)?;
    *request.headers_mut() = parts.headers;
    let exchange = Exchange::begin(&inner.outward.dialer, &host, trust, request)
        .await
        .map_err(|why| ApiError::unavailable(format!("error trying to reach service: {why}")))?;
    answered(exchange, &place, call.method == Method::HEAD).await
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

    #[test]
    fn paths_behind() {
        assert_eq!(behind("", "/api/v1/nodes/n/proxy"), "");
        assert_eq!(behind("", "/api/v1/nodes/n/proxy/"), "/");
        assert_eq!(behind("a/../b/", "/api/v1/nodes/n/proxy/a/../b/"), "/b/");
        assert_eq!(behind("a//b", "/api/v1/nodes/n/proxy/a//b"), "/a/b");
    }
}
