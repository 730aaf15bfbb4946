//! HTTP/1.1, one connection per request, plain or over TLS.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::ClientTls;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// GET `path` from `address` (`host:port`).
pub async fn http_get(address: &str, path: &str) -> std::io::Result<Answer> {
    let request = Request::get(path).body(Full::default()).unwrap();
    http_send(address, request).await
}

/// GET `path` over TLS, if there is any.
pub async fn https_get(
    address: &str,
    tls: Option<&ClientTls>,
    path: &str,
) -> std::io::Result<Answer> {
    let request = Request::get(path).body(Full::default()).unwrap();
    match tls {
        None => http_send(address, request).await,
        Some(tls) => exchange(tls.connect(address).await?, address, request).await,
    }
}

/// Any request; the Host header is added.
pub async fn http_send(address: &str, request: Request<Full<Bytes>>) -> std::io::Result<Answer> {
    exchange(TcpStream::connect(address).await?, address, request).await
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    address: &str,
    mut request: Request<Full<Bytes>>,
) -> std::io::Result<Answer> {
    let host = address.parse().unwrap();
    request.headers_mut().insert(http::header::HOST, host);
    let other = std::io::Error::other;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(other)?;
    let connection = tokio::spawn(connection);
    let (parts, body) = sender
        .send_request(request)
        .await
        .map_err(other)?
        .into_parts();
    let body = body.collect().await.map_err(other)?.to_bytes();
    connection.abort();
    Ok(Answer {
        status: parts.status,
        headers: parts.headers,
        body,
    })
}
