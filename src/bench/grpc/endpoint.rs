//! Where a server listens, and connections to it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use http::uri::{Authority, InvalidUri, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::tls::{Connector, HandshakeError, Wire};

/// Bytes of one answer that may be under way.
const STREAM_WINDOW: u32 = 1 << 20;
/// Bytes of all answers of a connection that may be under way.
const CONNECTION_WINDOW: u32 = 4 << 20;
/// What a URL without a port means.
const HTTP_PORT: u16 = 80;
/// The same with TLS.
const HTTPS_PORT: u16 = 443;

/// Why an endpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The endpoint is neither a URL nor `host:port`.
    #[error("not a URL: {0}")]
    Url(#[from] InvalidUri),
    /// The endpoint is a URL, but not of a gRPC server.
    #[error("not an http:// or https:// URL")]
    Scheme,
    /// An `https` endpoint, and nothing to verify it by.
    #[error("an https:// URL needs --cacert or --insecure-skip-tls-verify")]
    NoAuthority,
    /// TLS failed.
    #[error("tls: {0}")]
    Tls(#[from] HandshakeError),
    /// Nobody answers there.
    #[error("cannot connect: {0}")]
    Tcp(#[from] io::Error),
    /// The server does not speak HTTP/2.
    #[error("cannot speak HTTP/2: {0}")]
    Http2(#[from] h2::Error),
}

/// Moves the frames of one connection; done when the connection is.
pub(super) type Connection = h2::client::Connection<Socket, Bytes>;

/// A server's address, and what all requests to it have in common.
pub(super) struct Endpoint {
    host: String,
    port: u16,
    scheme: Scheme,
    authority: Authority,
    headers: HeaderMap,
    tls: Option<Arc<Connector>>,
}

impl Endpoint {
    /// Reads `host:port`, `http://host:port` or `https://host:port`.
    pub(super) fn parse(text: &str, tls: Option<&Arc<Connector>>) -> Result<Self, ConnectError> {
        let uri: Uri = if text.contains("://") {
            text.parse()?
        } else {
            format!("http://{text}").parse()?
        };
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(ConnectError::Scheme);
        };
        let (port, tls) = match scheme.as_str() {
            "http" => (HTTP_PORT, None),
            "https" => (HTTPS_PORT, Some(tls.ok_or(ConnectError::NoAuthority)?)),
            _ => return Err(ConnectError::Scheme),
        };
        Ok(Self {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(port),
            scheme,
            authority,
            headers: headers(),
            tls: tls.cloned(),
        })
    }

    pub(super) async fn connect(&self) -> Result<(SendRequest<Bytes>, Connection), ConnectError> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await?;
        tcp.set_nodelay(true)?;
        let wire = match &self.tls {
            None => Wire::Plain(tcp),
            Some(tls) => tls.connect(&self.host, tcp).await?,
        };
        let opened = Builder::new()
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(Socket(wire))
            .await?;
        Ok(opened)
    }

    /// The head of a request for `path`, which begins with a slash.
    pub(super) fn request(&self, path: &'static str) -> Request<()> {
        let uri = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
            .expect("scheme, authority and a path make a URI");
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        request
    }
}

fn headers() -> HeaderMap {
    let agent = concat!("holdfast-bench/", env!("CARGO_PKG_VERSION"));
    HeaderMap::from_iter([
        (header::TE, HeaderValue::from_static("trailers")),
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/grpc"),
        ),
        (header::USER_AGENT, HeaderValue::from_static(agent)),
    ])
}

/// A connection that does not offer vectored writes.
///
/// With them h2 sends each request of 256 bytes or more with a system call of its own. Without them it
/// copies what is shorter than a kilobyte, and all requests that are ready leave together.
pub(super) struct Socket(Wire);

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (String, u16) {
        let endpoint = Endpoint::parse(text, None).map_err(|error| format!("{text}: {error}"));
        let endpoint = endpoint.unwrap();
        (endpoint.host, endpoint.port)
    }

    #[test]
    fn endpoints_are_urls_or_addresses() {
        let local = ("127.0.0.1".to_owned(), 2379);
        assert_eq!(parse("127.0.0.1:2379"), local);
        assert_eq!(parse("http://127.0.0.1:2379"), local);
        assert_eq!(parse("http://127.0.0.1:2379/"), local);
        assert_eq!(parse("http://[::1]:2379"), ("::1".to_owned(), 2379));
        assert_eq!(
            parse("http://etcd.example"),
            ("etcd.example".to_owned(), 80)
        );
    }

    #[test]
    fn other_endpoints_are_refused() {
        let tls = Endpoint::parse("https://127.0.0.1:2379", None);
        assert!(matches!(tls, Err(ConnectError::NoAuthority)));
        let ftp = Endpoint::parse("ftp://127.0.0.1:2379", None);
        assert!(matches!(ftp, Err(ConnectError::Scheme)));
        for text in ["", "a b", "http://", "unix:///run/etcd.sock"] {
            let refused = Endpoint::parse(text, None);
            assert!(matches!(refused, Err(ConnectError::Url(_))), "{text}");
        }
    }

    #[test]
    fn requests_say_that_they_are_grpc() {
        let endpoint = Endpoint::parse("127.0.0.1:2379", None).unwrap();
        let request = endpoint.request("/a.B/C");
        assert_eq!(request.uri(), "http://127.0.0.1:2379/a.B/C");
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.headers()["content-type"], "application/grpc");
        assert_eq!(request.headers()["te"], "trailers");
    }
}
