//! Making a connection to another member: TCP, TLS if its URL says so, then HTTP/1.1 with an upgrade.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::context::Context;
use super::error::ConnectionError;
use super::handshake::{self, Channel, Hello, Refusal, RefusalKind};
use super::peer::Peer;
use crate::tls::Wire;

/// A connection that has become ours.
pub(super) type PeerIo = TokioIo<Upgraded>;

/// etcd's peer port, for a URL without one.
const DEFAULT_PORT: u16 = 2380;

/// How much of an explanation is read.
const MAX_EXPLANATION: usize = 1024;

/// Tries the peer's URLs in turn, the last that worked first.
///
/// # Errors
/// What the last URL tried came to.
pub(super) async fn dial(
    ctx: &Context,
    peer: &Peer,
    channel: Channel,
) -> Result<PeerIo, ConnectionError> {
    let hello = ctx.identity.hello(peer.id, channel);
    let mut last = ConnectionError::NoUrl;
    for (number, url) in peer.urls_to_try() {
        let limit = ctx.timing.dial;
        match tokio::time::timeout(limit, dial_url(ctx, &url, &hello)).await {
            Ok(Ok(io)) => {
                peer.prefer_url(number);
                return Ok(io);
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = ConnectionError::DialTimeout(limit),
        }
    }
    Err(last)
}

async fn dial_url(ctx: &Context, url: &str, hello: &Hello) -> Result<PeerIo, ConnectionError> {
    let bad = || ConnectionError::BadUrl(url.to_owned());
    let uri: http::Uri = url.parse().map_err(|_| bad())?;
    let tls = match uri.scheme_str() {
        Some("http") => None,
        Some("https") => {
            let tls = ctx.calls.as_ref();
            Some(tls.ok_or_else(|| ConnectionError::NoAuthority(url.to_owned()))?)
        }
        _ => return Err(bad()),
    };
    let authority = uri.authority().ok_or_else(bad)?;
    let host = authority.host().trim_matches(['[', ']']);
    let port = authority.port_u16().unwrap_or(DEFAULT_PORT);
    let io = TcpStream::connect((host, port)).await?;
    // A heartbeat must not wait for the acknowledgement of the one before.
    io.set_nodelay(true)?;
    let io = match tls {
        None => Wire::Plain(io),
        Some(tls) => tls.connect(host, io).await?,
    };
    greet(io, authority.as_str(), hello).await
}

/// The handshake over any byte stream.
async fn greet<T>(io: T, host: &str, hello: &Hello) -> Result<PeerIo, ConnectionError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let request = hello
        .request(host)
        .map_err(|_| ConnectionError::BadUrl(host.to_owned()))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        judge(response, hello).await
    };
    // The connection only has to be driven; how it ends shows in the exchange.
    let driven = async {
        let _ = connection.with_upgrades().await;
        std::future::pending().await
    };
    tokio::select! {
        result = exchange => result,
        never = driven => never,
    }
}

async fn judge(response: Response<Incoming>, hello: &Hello) -> Result<PeerIo, ConnectionError> {
    let status = response.status();
    if status != StatusCode::SWITCHING_PROTOCOLS {
        let text = explanation(response).await;
        return Err(match RefusalKind::of_status(status) {
            Some(kind) => ConnectionError::Refused(Refusal { kind, text }),
            None => ConnectionError::Foreign(format!("{status} {text}")),
        });
    }
    if !handshake::answers_for(response.headers(), hello.cluster, hello.to) {
        let text = "the answer names another member or protocol".into();
        return Err(ConnectionError::Foreign(text));
    }
    Ok(TokioIo::new(hyper::upgrade::on(response).await?))
}

/// The first line of an answer, as far as it is text.
async fn explanation(response: Response<Incoming>) -> String {
    let body = Limited::new(response.into_body(), MAX_EXPLANATION);
    let bytes = body.collect().await.map_or(Bytes::new(), |b| b.to_bytes());
    let text = String::from_utf8_lossy(&bytes);
    text.lines().next().unwrap_or_default().to_owned()
}
