//! Connections and stopping, over real sockets with a router of the test's own.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use futures::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::listen::Socket;
use super::*;
use crate::config::{KeepaliveConfig, LimitConfig};

const LIMITS: LimitConfig = LimitConfig {
    max_request_bytes: 1 << 20,
    max_txn_ops: 128,
    max_concurrent_streams: 8,
    quota_bytes: -1,
};

const KEEPALIVE: KeepaliveConfig = KeepaliveConfig {
    least_between_pings: Some(Duration::from_secs(5)),
    interval: None,
    timeout: Duration::from_secs(20),
};

/// A socket that is served with `room` connections at once.
struct Fixture {
    address: SocketAddr,
    serving: Arc<Serving>,
    life: Lifecycle,
}

impl Fixture {
    async fn new(router: Router, room: usize) -> Self {
        Self::with_patience(router, room, FIRST_REQUEST).await
    }

    async fn with_patience(router: Router, room: usize, first_request: Duration) -> Self {
        Self::opening(router, room, first_request, accept::at_once()).await
    }

    async fn opening(
        router: Router,
        room: usize,
        first_request: Duration,
        open: CancellationToken,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fixture = Self {
            address: listener.local_addr().unwrap(),
            serving: Arc::new(Serving::new(&LIMITS, &KEEPALIVE, first_request)),
            life: Lifecycle::new(),
        };
        let entrance = Entrance {
            sockets: vec![Socket {
                listener,
                https: false,
            }],
            respond_secured: router.clone(),
            respond: router,
            tls: None,
            room,
            open,
        };
        entrance.serve(&fixture.life, &fixture.serving);
        fixture
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends one request for `path` and leaves the connection open.
    async fn ask(&self, path: &str) -> TcpStream {
        let mut stream = self.connect().await;
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}

fn hello() -> Router {
    Router::new().route("/hello", get(async || "hello"))
}

/// Reads until what was read contains `expected`.
async fn read_until(stream: &mut TcpStream, expected: &str) -> io::Result<()> {
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains(expected) {
        if stream.read_buf(&mut text).await? == 0 {
            let seen = String::from_utf8_lossy(&text).into_owned();
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, seen));
        }
    }
    Ok(())
}

async fn read_to_end(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
}

#[tokio::test]
async fn one_port_speaks_both_versions() {
    let fixture = Fixture::new(hello(), 8).await;
    let mut one = fixture.ask("/hello").await;
    read_until(&mut one, "\r\n\r\nhello").await.unwrap();

    let mut two = fixture.connect().await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    two.write_all(preface).await.unwrap();
    let mut head = [0u8; 9];
    two.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4, "the answer to a preface is a SETTINGS frame");
}

#[tokio::test]
async fn connections_before_the_opening_wait_for_it() {
    let open = CancellationToken::new();
    let fixture = Fixture::opening(hello(), 8, FIRST_REQUEST, open.clone()).await;
    let mut early = fixture.ask("/hello").await;
    let mut byte = [0u8; 1];
    let answer = tokio::time::timeout(Duration::from_millis(100), early.read(&mut byte)).await;
    assert!(answer.is_err(), "nothing is served yet");
    open.cancel();
    read_until(&mut early, "hello").await.unwrap();
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_for_a_place() {
    let fixture = Fixture::new(hello(), 1).await;
    let mut first = fixture.ask("/hello").await;
    read_until(&mut first, "hello").await.unwrap();
    let mut second = fixture.ask("/hello").await;
    let mut byte = [0u8; 1];
    let early = tokio::time::timeout(Duration::from_millis(100), second.read(&mut byte)).await;
    assert!(early.is_err(), "the place is taken");
    drop(first);
    read_until(&mut second, "hello").await.unwrap();
}

#[tokio::test]
async fn headers_are_bounded() {
    let fixture = Fixture::new(hello(), 8).await;
    let mut stream = fixture.connect().await;
    let line = format!("X: {}\r\n", "x".repeat(60_000));
    let request = format!("GET /hello HTTP/1.1\r\nHost: h\r\n{line}{line}\r\n");
    let _ = stream.write_all(request.as_bytes()).await;
    read_until(&mut stream, "431").await.unwrap();
}

#[tokio::test]
async fn a_connection_that_asks_for_nothing_is_closed() {
    let patience = Duration::from_millis(50);
    let fixture = Fixture::with_patience(hello(), 8, patience).await;
    let mut asking = fixture.ask("/hello").await;
    read_until(&mut asking, "hello").await.unwrap();
    let mut silent = fixture.connect().await;
    let mut slow = fixture.connect().await;
    slow.write_all(b"PRI * HT").await.unwrap();
    read_to_end(&mut silent).await;
    read_to_end(&mut slow).await;
    let again = b"GET /hello HTTP/1.1\r\nHost: h\r\n\r\n";
    asking.write_all(again).await.unwrap();
    read_until(&mut asking, "hello").await.unwrap();
}

#[tokio::test]
async fn what_was_asked_is_answered_before_the_end() {
    let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (arrived, go) = (arrived.clone(), go.clone());
        async move || {
            arrived.notify_one();
            go.notified().await;
            "late"
        }
    };
    let fixture = Fixture::new(Router::new().route("/late", get(handler)), 8).await;
    let mut stream = fixture.ask("/late").await;
    arrived.notified().await;

    fixture.serving.close();
    let early = tokio::time::timeout(Duration::from_millis(100), fixture.serving.answered()).await;
    assert!(early.is_err(), "one request is unanswered");
    go.notify_one();
    fixture.serving.answered().await;
    read_until(&mut stream, "late").await.unwrap();
    fixture.serving.finish(GOODBYE).await;
    read_to_end(&mut stream).await;
    assert!(TcpStream::connect(fixture.address).await.is_err());
}

#[tokio::test]
async fn streams_do_not_hold_up_the_end() {
    let endless = async || {
        let first = futures::stream::once(async { Ok::<_, Infallible>(Bytes::from("first")) });
        Body::from_stream(first.chain(futures::stream::pending()))
    };
    let fixture = Fixture::new(Router::new().route("/watch", get(endless)), 8).await;
    let mut stream = fixture.ask("/watch").await;
    read_until(&mut stream, "first").await.unwrap();

    fixture.serving.close();
    fixture.serving.answered().await;
    fixture.serving.finish(Duration::from_millis(10)).await;
    read_to_end(&mut stream).await;
}

#[tokio::test]
async fn a_member_starts_once_in_a_directory_and_again_after_it_stopped() {
    let temp = tempfile::tempdir().unwrap();
    let args = [
        "--listen-client-urls=http://127.0.0.1:0".into(),
        "--advertise-client-urls=http://127.0.0.1:2379".into(),
        "--listen-peer-urls=http://127.0.0.1:0".into(),
        format!("--data-dir={}", temp.path().display()),
    ];
    let request = crate::config::from_command_line(args.map(Into::into), []).unwrap();
    let crate::config::Request::Start(config) = request else {
        panic!("{request:?}");
    };
    let first = Server::start(&config, Lifecycle::new()).await.unwrap();
    let address = first.client_addresses()[0];
    TcpStream::connect(address).await.unwrap();
    let second = Server::start(&config, Lifecycle::new()).await.unwrap_err();
    assert!(second.to_string().contains("in use by another process"));
    first.stop(Leadership::HandOver).await;
    assert!(TcpStream::connect(address).await.is_err());
    let third = Server::start(&config, Lifecycle::new()).await.unwrap();
    third.stop(Leadership::LetGo).await;
}
