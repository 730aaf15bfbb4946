//! One client connection, from its first byte to its last: HTTP/1.1 or HTTP/2, whichever the client speaks.
//!
//! A connection costs itself alone (I8): its headers, streams and windows are bounded, and one that never
//! asks for anything is closed. When the member begins to stop, a connection finishes what it has begun
//! and takes nothing new.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;

use super::gather::Gather;
use crate::config::{KeepaliveConfig, LimitConfig};

/// Bytes a client may send on one stream before it is answered: a largest request fits with little waiting.
const STREAM_WINDOW: u32 = 1 << 20;

/// Bytes a client may send on all streams of a connection together.
const CONNECTION_WINDOW: u32 = 4 << 20;

/// Bytes of one request's headers. Tokens are the largest that honest clients send.
const MAX_HEADERS: u32 = 64 << 10;

/// Time for the headers of an HTTP/1.1 request to arrive.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// What all connections share.
#[derive(Debug)]
pub(super) struct Serving {
    http: auto::Builder<TokioExecutor>,
    connections: TaskTracker,
    /// Requests whose answer has not begun. A stream's answer begins when it is opened.
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
            http: protocol(limits, keepalive),
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

fn protocol(limits: &LimitConfig, keepalive: &KeepaliveConfig) -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADERS as usize);
    http.http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MAX_HEADERS)
        .max_concurrent_streams(limits.max_concurrent_streams)
        .keep_alive_interval(keepalive.interval)
        .keep_alive_timeout(keepalive.timeout);
    http
}

/// Serves one connection until it ends. `_permit` is its place among the connections under way.
pub(super) async fn serve(
    stream: TcpStream,
    router: Router,
    serving: Arc<Serving>,
    _permit: OwnedSemaphorePermit,
) {
    let asked = AtomicBool::new(false);
    let service = service_fn(|request: Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        let unanswered = serving.unanswered.token();
        let answer = router.clone().call(request);
        async move {
            let answer = answer.await;
            drop(unanswered);
            answer
        }
    });
    let mut connection = pin!(
        serving
            .http
            .serve_connection(TokioIo::new(Gather::new(stream)), service)
    );
    tokio::select! {
        ended = connection.as_mut() => return note(ended),
        () = still_silent(&asked, serving.first_request) => return,
        () = serving.closing() => {}
    }
    connection.as_mut().graceful_shutdown();
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
