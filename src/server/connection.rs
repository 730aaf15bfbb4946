//! One client connection, from its first byte to its last: HTTP/1.1 or HTTP/2, whichever the client speaks.
//!
//! A connection costs itself alone (I8): its headers, streams and windows are bounded, and one that never
//! asks for anything is closed. When the member begins to stop, a connection finishes what it has begun
//! and takes nothing new.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tower::Service as _;

use super::gather::Gather;
use super::pings::Pings;
use super::streams::{Connection, Streams};
use crate::config::{KeepaliveConfig, LimitConfig};
use crate::etcd::{CertifiedName, ClientServices};
use crate::kube::{ClientAddress, ClientCertificate, KubeBody, KubeServer, request_body};
use crate::tls::Wire;

/// Bytes a client may send on one stream before it is answered: a largest request fits with little waiting.
const STREAM_WINDOW: u32 = 1 << 20;

/// Bytes a client may send on all streams of a connection together.
const CONNECTION_WINDOW: u32 = 4 << 20;

/// Bytes of one request's headers. Tokens are the largest that honest clients send.
const MAX_HEADERS: u32 = 64 << 10;

/// Time for the headers of an HTTP/1.1 request to arrive.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// What answers the requests of a connection.
pub(super) trait Respond: Clone + Send + Sync + 'static {
    /// A response's body.
    type Body: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static;

    /// The response to one request. Dropped when the client gives the request up. `pending` is dropped when
    /// it is this member no longer that the request waits for.
    fn respond(
        &self,
        request: Request<Incoming>,
        pending: TaskTrackerToken,
    ) -> impl Future<Output = Response<Self::Body>> + Send + 'static;
}

impl Respond for Router {
    type Body = axum::body::Body;

    fn respond(
        &self,
        request: Request<Incoming>,
        pending: TaskTrackerToken,
    ) -> impl Future<Output = Response<Self::Body>> + Send + 'static {
        let answer = self.clone().call(request);
        async move {
            let Ok(response) = answer.await;
            drop(pending);
            response
        }
    }
}

impl Respond for ClientServices {
    type Body = crate::etcd::ClientBody;

    fn respond(
        &self,
        request: Request<Incoming>,
        pending: TaskTrackerToken,
    ) -> impl Future<Output = Response<Self::Body>> + Send + 'static {
        let services = self.clone();
        async move { services.answer(request, pending).await }
    }
}

impl Respond for KubeServer {
    type Body = KubeBody;

    fn respond(
        &self,
        request: Request<Incoming>,
        pending: TaskTrackerToken,
    ) -> impl Future<Output = Response<Self::Body>> + Send + 'static {
        let server = self.clone();
        let request = request.map(request_body);
        async move {
            let response = server.answer(request).await;
            drop(pending);
            response
        }
    }
}

/// What all connections share.
#[derive(Debug)]
pub(super) struct Serving {
    limits: LimitConfig,
    keepalive: KeepaliveConfig,
    connections: TaskTracker,
    /// Requests whose answer has not begun. Watch streams do not count: they may wait for their client for ever.
    unanswered: TaskTracker,
    closing: CancellationToken,
    abort: CancellationToken,
    /// Time from a connection's begin to its first request.
    first_request: Duration,
}

impl Serving {
    /// Settings for every connection. One that asks for nothing within `first_request` is closed.
    pub(super) fn new(
        limits: &LimitConfig,
        keepalive: &KeepaliveConfig,
        first_request: Duration,
    ) -> Self {
        Self {
            limits: *limits,
            keepalive: *keepalive,
            connections: TaskTracker::new(),
            unanswered: TaskTracker::new(),
            closing: CancellationToken::new(),
            abort: CancellationToken::new(),
            first_request,
        }
    }

    /// Completes when the member begins to stop.
    pub(super) async fn closing(&self) {
        self.closing.cancelled().await;
    }

    /// Runs a connection. It outlives the member's other tasks, which end when the member stops, because
    /// its last answers have to be sent after that.
    pub(super) fn track(&self, connection: impl Future<Output = ()> + Send + 'static) {
        self.connections.spawn(connection);
    }

    /// Takes no new connections, and no new requests on those that are open.
    pub(super) fn close(&self) {
        self.closing.cancel();
        self.unanswered.close();
        self.connections.close();
    }

    /// Requests whose answer has not begun.
    pub(super) fn unanswered(&self) -> usize {
        self.unanswered.len()
    }

    /// Completes once every request has its answer, or at least the begin of one. Only after
    /// [`Self::close`].
    pub(super) async fn answered(&self) {
        self.unanswered.wait().await;
    }

    /// Waits until every connection has ended by itself, and cuts those that have not after `patience`.
    /// Only after [`Self::close`].
    pub(super) async fn finish(&self, patience: Duration) {
        if tokio::time::timeout(patience, self.connections.wait())
            .await
            .is_err()
        {
            let left = self.connections.len();
            tracing::info!(left, "closing connections that clients keep open");
            self.abort.cancel();
            self.connections.wait().await;
        }
    }
}

/// The settings of one connection, whose streams are begun with `streams`.
fn protocol(serving: &Serving, streams: Streams) -> auto::Builder<Streams> {
    let mut http = auto::Builder::new(streams);
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADERS as usize);
    http.http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MAX_HEADERS)
        .max_concurrent_streams(serving.limits.max_concurrent_streams)
        .keep_alive_interval(serving.keepalive.interval)
        .keep_alive_timeout(serving.keepalive.timeout);
    http
}

/// A connection, and who is at its other end.
#[derive(Debug)]
pub(super) struct Caller {
    /// The connection.
    pub(super) wire: Wire,
    /// Who the caller is by its certificate; every request is told.
    pub(super) certified: Option<CertifiedName>,
    /// Where it calls from.
    pub(super) address: IpAddr,
    /// All that it has shown, for an API that verifies it itself and reads more in it than a name.
    pub(super) certificate: ClientCertificate,
}

/// Serves one connection until it ends. `_permit` is its place among the connections under way.
pub(super) async fn serve(
    caller: Caller,
    respond: impl Respond,
    serving: Arc<Serving>,
    _permit: OwnedSemaphorePermit,
) {
    let asked = AtomicBool::new(false);
    let Caller {
        wire,
        certified,
        address,
        certificate,
    } = caller;
    let service = service_fn(|mut request: Request<Incoming>| {
        if let Some(name) = &certified {
            request.extensions_mut().insert(name.clone());
        }
        request.extensions_mut().insert(ClientAddress(address));
        if !certificate.is_empty() {
            request.extensions_mut().insert(certificate.clone());
        }
        asked.store(true, Ordering::Relaxed);
        let answer = respond.respond(request, serving.unanswered.token());
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let streams = Streams::default();
    let http = protocol(&serving, streams.clone());
    let least = match wire {
        Wire::Plain(_) => serving.keepalive.least_between_pings,
        // As etcd, whose TLS ports are served by a library that bears any number of pings.
        Wire::Tls(_) => None,
    };
    let wire = Gather::new(Pings::new(wire, least, streams.open()));
    let connection = http.serve_connection_with_upgrades(TokioIo::new(wire), service);
    let mut connection = Connection::new(connection, streams);
    tokio::select! {
        ended = &mut connection => return note(ended),
        () = still_silent(&asked, serving.first_request) => return,
        () = serving.closing() => {}
    }
    connection.connection().graceful_shutdown();
    tokio::select! {
        ended = connection => note(ended),
        () = serving.abort.cancelled() => {}
    }
}

/// Completes if nothing was asked for in time; never otherwise.
async fn still_silent(asked: &AtomicBool, patience: Duration) {
    tokio::time::sleep(patience).await;
    if asked.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

/// Connections break all the time; what broke is of interest only to who looks for it.
fn note<E: std::fmt::Display>(ended: Result<(), E>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}
