//! How often a client may ping: grpc-go's rule, by which a third ping out of turn ends the connection. It holds in
//! plain text alone, so these cases are never run over TLS.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Ping, PingPong, Reason, RecvStream, SendStream};
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::harness::*;

#[tokio::test]
async fn pings() {
    let cases = cases![
        pings_without_calls_are_too_many,
        pings_during_a_call_are_too_many_too,
        answers_make_up_for_pings,
    ];
    let server = Server::start(Settings::plain()).await;
    Suite::new("pings", cases).run(&server).await;
}

#[tokio::test]
async fn spaced_pings() {
    let settings = Settings::plain().flag("grpc-keepalive-min-time", "50ms");
    let server = Server::start(settings).await;
    let cases = cases![
        pings_no_more_often_than_configured_are_welcome_during_a_call,
        without_a_call_they_are_not,
    ];
    Suite::new("spaced_pings", cases).run(&server).await;
}

/// etcd serves TLS through Go's HTTP server, which bears any number of pings: clients that rely on it do so here.
#[tokio::test]
async fn pings_over_tls_are_not_counted() {
    let pki = Pki::new();
    let server = Server::start(Settings::default().tls(&pki)).await;
    let config = pki.client("client").config(rustls::ALL_VERSIONS, &["h2"]);
    let stream = connect(config, server.address()).await.unwrap();
    let mut client = Pinger::over(stream).await;
    for _ in 0..20 {
        client.ping().await.expect("a ping is answered");
    }
}

/// A call that goes on for as long as both of its halves are kept.
type OpenCall = (::http::Response<RecvStream>, SendStream<Bytes>);

/// An HTTP/2 connection that pings at will.
struct Pinger {
    requests: SendRequest<Bytes>,
    pings: PingPong,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl Pinger {
    async fn to(c: &Case) -> Self {
        Self::over(TcpStream::connect(&c.client.address).await.unwrap()).await
    }

    async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (requests, mut connection) = h2::client::handshake(stream).await.unwrap();
        Self {
            requests,
            pings: connection.ping_pong().unwrap(),
            connection: tokio::spawn(connection),
        }
    }

    async fn ping(&mut self) -> Result<(), h2::Error> {
        self.pings.send_ping(Ping::opaque())?;
        let pong = poll_fn(|cx| self.pings.poll_pong(cx));
        timeout(PATIENCE, pong).await.expect("no pong").map(|_| ())
    }

    /// Pings until the server has had enough, which is to be with the ping after so many.
    async fn expect_refusal_after(mut self, pings: usize) {
        let mut answered = 0;
        while answered < 50 && self.ping().await.is_ok() {
            answered += 1;
        }
        let ended = timeout(PATIENCE, self.connection).await.expect("an end");
        let error = ended.unwrap().unwrap_err();
        assert!(error.is_go_away(), "{error:?}");
        assert_eq!(error.reason(), Some(Reason::ENHANCE_YOUR_CALM));
        assert!(error.to_string().contains("too_many_pings"), "{error}");
        // etcd answers the one too many as well, before it says so.
        assert!([pings, pings + 1].contains(&answered), "{answered}");
    }

    /// Begins a call with one message, and waits for the first bytes of its answer. The call goes on while what is
    /// returned is kept, if it is one that does.
    async fn call(&mut self, path: &str, message: &[u8]) -> OpenCall {
        let request = ::http::Request::post(format!("http://etcd{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let (answer, mut body) = self.requests.send_request(request, false).unwrap();
        let mut frame = vec![0];
        frame.extend((message.len() as u32).to_be_bytes());
        frame.extend(message);
        body.send_data(frame.into(), path.contains("KV")).unwrap();
        let mut answer = timeout(PATIENCE, answer).await.expect("an answer").unwrap();
        let first = answer.body_mut().data().await;
        first.expect("a message").unwrap();
        if path.contains("KV") {
            answer.body_mut().trailers().await.unwrap();
        }
        (answer, body)
    }

    async fn watch(&mut self, c: &Case) -> OpenCall {
        use holdfast::etcd::pb::etcdserverpb::{WatchRequest, watch_request::RequestUnion};
        let create = RequestUnion::CreateRequest(watch_key(c.key("a")));
        let request = WatchRequest {
            request_union: Some(create),
        };
        self.call("/etcdserverpb.Watch/Watch", &request.encode_to_vec())
            .await
    }
}

/// The first sets the clock, and the two after it are forgiven.
async fn pings_without_calls_are_too_many(c: Case) {
    Pinger::to(&c).await.expect_refusal_after(3).await;
}

/// What was sent last forgives the first ping, which sets the clock.
async fn pings_during_a_call_are_too_many_too(c: Case) {
    let mut client = Pinger::to(&c).await;
    let _watch = client.watch(&c).await;
    client.expect_refusal_after(3).await;
}

async fn answers_make_up_for_pings(c: Case) {
    let mut client = Pinger::to(&c).await;
    let message = put(c.key("a"), "1").encode_to_vec();
    for _ in 0..10 {
        for _ in 0..3 {
            client.ping().await.unwrap();
        }
        client.call("/etcdserverpb.KV/Put", &message).await;
    }
    client.expect_refusal_after(3).await;
}

async fn pings_no_more_often_than_configured_are_welcome_during_a_call(c: Case) {
    let mut client = Pinger::to(&c).await;
    let _watch = client.watch(&c).await;
    for _ in 0..10 {
        client.ping().await.unwrap();
        sleep(Duration::from_millis(60)).await;
    }
}

async fn without_a_call_they_are_not(c: Case) {
    let mut client = Pinger::to(&c).await;
    for _ in 0..3 {
        client.ping().await.unwrap();
        sleep(Duration::from_millis(60)).await;
    }
    client.expect_refusal_after(0).await;
}
