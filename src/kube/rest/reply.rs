//! Answers: bodies, their headers, and the odd forms that some refusals have.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream::iter;
use futures::{Stream, StreamExt as _};
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, VARY, WARNING,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use serde_json::Value;

use crate::kube::object::encode_json;
use crate::kube::status::ApiError;

/// What every answer carries.
pub type KubeBody = UnsyncBoxBody<Bytes, Infallible>;

pub const JSON: &str = "application/json";
pub const TEXT: &str = "text/plain; charset=utf-8";

/// Bodies above this are compressed for clients that take it: kube-apiserver's threshold.
const COMPRESS_ABOVE: usize = 128 << 10;
/// Of Go's `gzip.DefaultCompression`'s neighbours the one that kube-apiserver takes.
const COMPRESSION: u32 = 1;

/// An answer whose body is there as a whole.
pub fn whole(code: u16, content_type: &str, body: impl Into<Bytes>) -> Response<KubeBody> {
    let mut response = Response::new(Full::new(body.into()).boxed_unsync());
    *response.status_mut() = status(code);
    set_type(response.headers_mut(), content_type);
    response
}

/// An answer that goes on until its stream ends.
pub fn streamed(
    content_type: &str,
    chunks: impl Stream<Item = Bytes> + Send + 'static,
) -> Response<KubeBody> {
    let frames = chunks.map(|chunk| Ok(Frame::data(chunk)));
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    set_type(response.headers_mut(), content_type);
    response
}

/// A body that keeps something until it has been sent, or is given up.
pub fn with_guard<G: Send + 'static>(body: KubeBody, guard: G) -> KubeBody {
    Guarded {
        body,
        guard: Box::new(guard),
    }
    .boxed_unsync()
}

struct Guarded<G> {
    body: KubeBody,
    /// Dropped with the body.
    #[allow(dead_code, reason = "it is there to be dropped")]
    guard: Box<G>,
}

impl<G> http_body::Body for Guarded<G> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

/// A JSON answer.
pub fn json(code: u16, value: &Value) -> Response<KubeBody> {
    whole(code, JSON, to_json(value))
}

/// The JSON text of a tree as Go's encoder writes it, with the line's end.
pub fn to_json(value: &Value) -> Vec<u8> {
    encode_json(value, false)
}

/// What the gate refuses is not to be guessed at by browsers.
pub fn never_guess(response: &mut Response<KubeBody>) {
    let nosniff = HeaderValue::from_static("nosniff");
    response
        .headers_mut()
        .insert("x-content-type-options", nosniff);
}

/// A refusal as a `Status` in JSON.
pub fn refusal(error: &ApiError) -> Response<KubeBody> {
    let mut response = json(error.code, &error.to_value());
    decorate(&mut response, error);
    response
}

/// The headers that belong to a refusal, whatever its form.
pub fn decorate(response: &mut Response<KubeBody>, error: &ApiError) {
    let headers = response.headers_mut();
    if let Some(details) = &error.details
        && details.retry_after_seconds > 0
    {
        headers.insert(RETRY_AFTER, details.retry_after_seconds.into());
    }
}

/// What Go's router says of a path that it does not know.
pub fn page_not_found() -> Response<KubeBody> {
    let mut response = whole(404, TEXT, "404 page not found\n");
    let nosniff = HeaderValue::from_static("nosniff");
    response
        .headers_mut()
        .insert("x-content-type-options", nosniff);
    response
}

/// Headers of every answer, and one for each warning (RFC 7234, section 5.5, as KEP-1693 uses it).
pub fn finish(response: &mut Response<KubeBody>, audit_id: &str, warnings: &[String]) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(audit_id) {
        headers.insert("audit-id", id);
    }
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-cache, private"));
    for warning in warnings {
        let clean: String = warning.chars().filter(|c| !c.is_control()).collect();
        let quoted = clean.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_bytes(format!("299 - \"{quoted}\"").as_bytes()) {
            headers.append(WARNING, value);
        }
    }
}

/// Whether a client takes compressed bodies.
pub fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT_ENCODING).iter();
    let mut codings = accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    codings.any(|coding| {
        coding
            .split(';')
            .next()
            .is_some_and(|name| name.trim() == "gzip")
    })
}

/// An answer that is made while it is sent, of `size` bytes or so, compressed if the client takes that and it is worth
/// it. Neither the whole body nor its compressed form is ever in memory.
pub fn chunked(
    content_type: &str,
    chunks: impl Iterator<Item = Vec<u8>> + Send + 'static,
    size: usize,
    takes_gzip: bool,
) -> Response<KubeBody> {
    if !takes_gzip || size <= COMPRESS_ABOVE {
        return streamed(content_type, iter(chunks.map(Bytes::from)));
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(COMPRESSION));
    let mut chunks = chunks.fuse();
    let mut ended = false;
    let packed = std::iter::from_fn(move || {
        if ended {
            return None;
        }
        // Writing to memory does not fail.
        let Some(chunk) = chunks.next() else {
            ended = true;
            let _ = encoder.try_finish();
            return Some(std::mem::take(encoder.get_mut()));
        };
        let _ = std::io::Write::write_all(&mut encoder, &chunk);
        Some(std::mem::take(encoder.get_mut()))
    });
    let mut response = streamed(content_type, iter(packed.map(Bytes::from)));
    mark_gzip(response.headers_mut());
    response
}

fn mark_gzip(headers: &mut HeaderMap) {
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
}

/// As [`whole`], compressed if the client takes that and it is worth it.
pub fn compressed(
    code: u16,
    content_type: &str,
    body: Vec<u8>,
    takes_gzip: bool,
) -> Response<KubeBody> {
    if !takes_gzip || body.len() <= COMPRESS_ABOVE {
        return whole(code, content_type, body);
    }
    let mut encoder = GzEncoder::new(
        Vec::with_capacity(body.len() / 4),
        Compression::new(COMPRESSION),
    );
    let packed = std::io::Write::write_all(&mut encoder, &body).and_then(|()| encoder.finish());
    match packed {
        Ok(packed) => {
            let mut response = whole(code, content_type, packed);
            mark_gzip(response.headers_mut());
            response
        }
        Err(_) => whole(code, content_type, body),
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn set_type(headers: &mut HeaderMap, content_type: &str) {
    if let Ok(value) = HeaderValue::from_str(content_type) {
        headers.insert(CONTENT_TYPE, value);
    }
}
