//! HTTP/1.1, one connection per request, plain or over TLS.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::{ClientTls, connect};

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
    https_send(address, None, request).await
}

/// GET `path` over TLS, if there is any.
pub async fn https_get(
    address: &str,
    tls: Option<&ClientTls>,
    path: &str,
) -> std::io::Result<Answer> {
    let request = Request::get(path).body(Full::default()).unwrap();
    https_send(address, tls, request).await
}

/// Any request, over TLS if there is any; the Host header is added.
pub(super) async fn https_send(
    address: &str,
    tls: Option<&ClientTls>,
    request: Request<Full<Bytes>>,
) -> std::io::Result<Answer> {
    let stream = open(address, tls, "http/1.1").await?;
    exchange(stream, address, request).await
}

/// A connection for bytes, in plain text or within TLS.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects, and shakes hands as a client of `protocol` if there is TLS.
pub(super) async fn open(
    address: &str,
    tls: Option<&ClientTls>,
    protocol: &str,
) -> std::io::Result<Box<dyn Stream>> {
    Ok(match tls {
        None => Box::new(TcpStream::connect(address).await?),
        Some(tls) => {
            Box::new(connect(tls.config(rustls::ALL_VERSIONS, &[protocol]), address).await?)
        }
    })
}

async fn exchange(
    stream: Box<dyn Stream>,
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
