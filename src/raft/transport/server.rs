//! The peer port: HTTP/1.1 until a connection is upgraded.
//!
//! Everything here faces whoever can reach the port, so each step has a bound: connections, header bytes,
//! time to send a request, and what a refusal writes to the log.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, UPGRADE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::dial::PeerIo;
use super::handshake::{
    self, Channel, Hello, PROTOCOL, Refusal, RefusalKind, SNAPSHOT_PATH, STREAM_PATH,
};
use super::peer::Peer;
use super::{PeerNetwork, inbound, snapshot};
use crate::base::clock;
use crate::tls::{Acceptor, Wire};

/// Connections at a time, upgraded ones included: three for each of dozens of members, and tools.
const MAX_CONNECTIONS: usize = 256;

/// How long a caller may take to send a request's head.
const HEAD_TIME: Duration = Duration::from_secs(5);

/// How long a connection that is not upgraded may live: tools ask once.
const PLAIN_TIME: Duration = Duration::from_secs(60);

/// Bytes of a request's head.
const HEAD_BYTES: usize = 16 * 1024;

/// A pause after a failed accept, which means that file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

type Answer = Response<Full<Bytes>>;

/// Accepts connections until the member stops.
pub(super) async fn serve(
    network: &Arc<PeerNetwork>,
    listener: TcpListener,
    tls: Option<Arc<Acceptor>>,
) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((io, remote)) => {
                // Pongs and replies are small and awaited.
                let _ = io.set_nodelay(true);
                let (network, tls) = (network.clone(), tls.clone());
                let ctx = network.ctx.clone();
                ctx.spawn("peer connection", async move {
                    let io = match tls {
                        None => Some(Wire::Plain(io)),
                        Some(tls) => tls.accept(io, remote).await.map(|accepted| accepted.wire),
                    };
                    if let Some(io) = io {
                        serve_connection(network, io, permit).await;
                    }
                    tracing::trace!(%remote, "peer connection left http");
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a peer connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection over any byte stream. An upgraded connection goes on in a task of its own, which
/// holds the permit from then on.
async fn serve_connection<T>(network: Arc<PeerNetwork>, io: T, permit: OwnedSemaphorePermit)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let permit = Arc::new(permit);
    let service = service_fn(move |request| {
        let answer = answer(&network, request, &permit);
        async move { Ok::<_, std::convert::Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    match tokio::time::timeout(PLAIN_TIME, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "peer connection failed"),
        Err(_) => tracing::debug!("peer connection was idle for too long"),
    }
}

fn answer(
    network: &Arc<PeerNetwork>,
    request: Request<Incoming>,
    permit: &Arc<OwnedSemaphorePermit>,
) -> Answer {
    if request.method() != Method::GET {
        let mut answer = text_answer(StatusCode::METHOD_NOT_ALLOWED, "only GET");
        let allowed = HeaderValue::from_static("GET");
        answer.headers_mut().insert(ALLOW, allowed);
        return answer;
    }
    match request.uri().path() {
        STREAM_PATH | SNAPSHOT_PATH => welcome(network, request, permit.clone())
            .unwrap_or_else(|refusal| refuse(network, &refusal)),
        path => page(network, path),
    }
}

/// What tools ask for (etcd-api.md 4.6): answered by whoever knows the membership.
fn page(network: &PeerNetwork, path: &str) -> Answer {
    let Some(pages) = network.ctx.pages.get() else {
        return text_answer(StatusCode::SERVICE_UNAVAILABLE, "starting");
    };
    let Some(body) = pages(path) else {
        return text_answer(StatusCode::NOT_FOUND, "404 page not found");
    };
    let mut answer = Response::new(Full::new(body));
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(CONTENT_TYPE, json);
    answer
}

/// Agrees to turn the connection into frames, or says why not.
fn welcome(
    network: &Arc<PeerNetwork>,
    request: Request<Incoming>,
    permit: Arc<OwnedSemaphorePermit>,
) -> Result<Answer, Refusal> {
    let identity = &network.ctx.identity;
    let hello = Hello::parse(request.uri().path(), request.headers())?;
    hello.check(identity.cluster, identity.member)?;
    if network.ctx.inbox.get().is_none() {
        let text = format!("member {} is starting", identity.member);
        return Err(Refusal::new(RefusalKind::NotReady, text));
    }
    let peer = network.members.admit(&hello)?;
    let task_network = network.clone();
    network.ctx.spawn("peer stream in", async move {
        let _permit = permit;
        match hyper::upgrade::on(request).await {
            Ok(io) => attend(task_network, peer, hello.channel, TokioIo::new(io)).await,
            Err(error) => tracing::debug!(%error, "peer connection was not upgraded"),
        }
    });
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *answer.headers_mut() = handshake::accept_headers(identity.cluster, identity.member);
    Ok(answer)
}

async fn attend(network: Arc<PeerNetwork>, peer: Arc<Peer>, channel: Channel, io: PeerIo) {
    match channel {
        Channel::Stream(lane) => inbound::attend(network.ctx.clone(), peer, lane, io).await,
        Channel::Snapshot => {
            let stop = peer.stop.clone();
            tokio::select! {
                () = snapshot::receive(&network.ctx, &network.incoming, &peer, io) => {}
                () = stop.cancelled() => {}
            }
        }
    }
}

fn refuse(network: &PeerNetwork, refusal: &Refusal) -> Answer {
    // Keyed by status: the text holds what the caller says and could be new each time.
    let status = refusal.kind.status();
    let gate = network.refusals.get(refusal.kind as usize);
    if let Some(hidden) = gate.and_then(|gate| gate.pass(status.as_str(), clock::now())) {
        tracing::warn!(%status, reason = %refusal.text, hidden, "refused a peer connection");
    }
    let mut answer = text_answer(status, &refusal.text);
    if refusal.kind == RefusalKind::Version {
        let spoken = HeaderValue::from_static(PROTOCOL);
        answer.headers_mut().insert(UPGRADE, spoken);
    }
    answer
}

fn text_answer(status: StatusCode, text: &str) -> Answer {
    let mut answer = Response::new(Full::from(format!("{text}\n")));
    *answer.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, plain);
    answer
}
