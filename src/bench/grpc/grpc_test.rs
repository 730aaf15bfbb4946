//! The client against tonic's server, and against one that answers what no good server does.

use std::net::SocketAddr;

use futures::future::join_all;
use http::Response;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_health::server::health_reporter;

use super::testing::{Server, fail, pieces, succeed};
use super::*;

const CHECK: &str = "/grpc.health.v1.Health/Check";

/// tonic's server with its health service, in which `""` is serving.
struct Tonic {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    tasks: JoinSet<()>,
}

impl Tonic {
    async fn start(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_, health) = health_reporter();
        let (stop, stopped) = oneshot::channel::<()>();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
            let server = tonic::transport::Server::builder().add_service(health);
            let stopped = async { drop(stopped.await) };
            let served = server.serve_with_incoming_shutdown(incoming, stopped);
            served.await.unwrap();
        });
        Self {
            address,
            stop,
            tasks,
        }
    }

    async fn link(&self) -> Arc<Link> {
        Link::connect(&self.address.to_string(), None)
            .await
            .unwrap()
    }

    async fn stop(mut self) {
        self.stop.send(()).unwrap();
        self.tasks.join_next().await.unwrap().unwrap();
    }
}

fn service(name: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: name.to_owned(),
    }
}

async fn check(client: &mut Client, name: &str) -> Result<ServingStatus, Status> {
    let answer: HealthCheckResponse = client.call(CHECK, &service(name)).await?;
    Ok(answer.status())
}

/// One call to a server that answers with `answer`.
async fn call(answer: impl Fn(SendResponse) + Send + Sync + 'static) -> Result<String, Status> {
    let server = Server::start(move |_, respond| answer(respond)).await;
    let link = Link::connect(&server.endpoint, None).await.unwrap();
    let mut client = link.client();
    link.drive(client.call("/a.B/C", &"request".to_owned()))
        .await
}

type SendResponse = h2::server::SendResponse<Bytes>;

#[tokio::test]
async fn clients_share_a_connection() {
    let server = Tonic::start("127.0.0.1:0").await;
    let link = server.link().await;
    let checks = (0..300).map(|_| {
        let mut client = link.client();
        async move {
            for _ in 0..3 {
                let status = check(&mut client, "").await.unwrap();
                assert_eq!(status, ServingStatus::Serving);
            }
        }
    });
    link.drive(join_all(checks)).await;
}

#[tokio::test]
async fn a_failure_is_the_servers() {
    let server = Tonic::start("127.0.0.1:0").await;
    let link = server.link().await;
    let mut client = link.client();
    let status = link.drive(check(&mut client, "x")).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(status.message(), "service not registered");

    let nowhere = async { client.call::<String>("/a.B/C", &String::new()).await };
    let status = link.drive(nowhere).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_stream_gives_its_answers_and_its_end() {
    let server = Server::start(|_, respond| {
        let mut frames = BytesMut::new();
        for answer in ["one", "two"] {
            frame::put(&answer.to_owned(), &mut frames).unwrap();
        }
        pieces(respond, &frames.freeze(), 3, "0");
    })
    .await;
    let link = Link::connect(&server.endpoint, None).await.unwrap();
    let mut client = link.client();
    let read = async {
        let (mut answers, _requests) = client.open("/a.B/C", &["request".to_owned()]).await?;
        let mut seen = Vec::new();
        while let Some(answer) = answers.next::<String>().await? {
            seen.push(answer);
        }
        Ok::<_, Status>(seen)
    };
    assert_eq!(link.drive(read).await.unwrap(), ["one", "two"]);
}

#[tokio::test]
async fn a_link_connects_again_when_the_server_is_back() {
    let server = Tonic::start("127.0.0.1:0").await;
    let address = server.address.to_string();
    let link = server.link().await;
    let mut client = link.client();
    link.drive(check(&mut client, "")).await.unwrap();

    link.drive(server.stop()).await;
    let status = link.drive(check(&mut client, "")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);

    let _server = Tonic::start(&address).await;
    let back = link.drive(check(&mut client, "")).await;
    assert_eq!(back.unwrap(), ServingStatus::Serving);
    let other = link.drive(check(&mut link.client(), "")).await;
    assert_eq!(other.unwrap(), ServingStatus::Serving);
}

#[tokio::test]
async fn a_broken_connection_fails_every_call_on_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let breaks = async {
        let (tcp, _) = listener.accept().await.unwrap();
        // A call that is dropped is reset, so they are dropped after the connection.
        let mut calls = Vec::new();
        let mut connection = h2::server::handshake(tcp).await.unwrap();
        for _ in 0..3 {
            calls.push(connection.accept().await.unwrap().unwrap());
        }
    };
    let calls = async {
        let link = Link::connect(&address, None).await.unwrap();
        let calls = (0..3).map(|_| {
            let mut client = link.client();
            async move { client.call::<String>("/a.B/C", &String::new()).await }
        });
        link.drive(join_all(calls)).await
    };
    let (_, answers) = tokio::join!(breaks, calls);
    for answer in answers {
        let status = answer.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status}");
    }
}

#[tokio::test]
async fn an_answer_may_come_in_pieces() {
    let frame = frame::one(&"in pieces".to_owned()).unwrap();
    let answer = call(move |respond| pieces(respond, &frame, 2, "0")).await;
    assert_eq!(answer.unwrap(), "in pieces");
}

#[tokio::test]
async fn an_answer_may_be_larger_than_the_windows() {
    let long = "x".repeat(6 << 20);
    let expected = long.len();
    let answer = call(move |respond| succeed(respond, &long)).await;
    assert_eq!(answer.unwrap().len(), expected);
}

#[tokio::test]
async fn a_failure_after_a_message_is_a_failure() {
    let frame = frame::one(&"message".to_owned()).unwrap();
    let answer = call(move |respond| pieces(respond, &frame, 64, "14")).await;
    assert_eq!(answer.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn a_failure_may_come_without_a_body() {
    let answer = call(|respond| fail(respond, "8")).await;
    assert_eq!(answer.unwrap_err().code(), Code::ResourceExhausted);
}

#[tokio::test]
async fn success_needs_exactly_one_message() {
    let message = frame::one(&"message".to_owned()).unwrap();
    let twice = Bytes::from([&message[..], &message[..]].concat());
    let cut_short = message.slice(..message.len() - 1);
    for frames in [Bytes::new(), twice, cut_short] {
        let answer = call(move |respond| pieces(respond, &frames, 64, "0")).await;
        assert_eq!(answer.unwrap_err().code(), Code::Internal);
    }
    let answer = call(|respond| fail(respond, "0")).await;
    assert_eq!(answer.unwrap_err().code(), Code::Internal);
}

#[tokio::test]
async fn an_answer_that_does_not_decode_is_a_failure() {
    let garbage = Bytes::from_static(b"\0\0\0\0\x01\x0a");
    let answer = call(move |respond| pieces(respond, &garbage, 64, "0")).await;
    assert_eq!(answer.unwrap_err().code(), Code::Internal);
}

#[tokio::test]
async fn a_server_that_does_not_speak_grpc_is_a_failure() {
    let not_found = |mut respond: SendResponse| {
        let mut head = Response::new(());
        *head.status_mut() = StatusCode::NOT_FOUND;
        respond.send_response(head, true).unwrap();
    };
    let answer = call(not_found).await;
    assert_eq!(answer.unwrap_err().code(), Code::Unimplemented);

    let silent = |mut respond: SendResponse| {
        respond.send_response(Response::new(()), true).unwrap();
    };
    assert_eq!(call(silent).await.unwrap_err().code(), Code::Unknown);
}

#[tokio::test]
async fn clients_are_dealt_out_in_turn() {
    let server = Server::start(|_, respond| fail(respond, "0")).await;
    let mut links = Vec::new();
    for _ in 0..3 {
        links.push(Link::connect(&server.endpoint, None).await.unwrap());
    }
    let hands = |count| -> Vec<Vec<usize>> {
        let dealt = deal(&links, count);
        dealt.map(|(_, numbers)| numbers.collect()).collect()
    };
    assert_eq!(hands(5), [vec![0, 3], vec![1, 4], vec![2]]);
    assert_eq!(hands(2), [vec![0], vec![1], vec![]]);
}
