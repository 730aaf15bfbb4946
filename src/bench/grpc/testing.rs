//! A gRPC server for tests that answers exactly what the test says.

use std::sync::Arc;

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, Response};
use prost::Message;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::frame;

/// Serves as long as it lives, on as many connections as are made.
pub(in crate::bench) struct Server {
    /// `host:port`.
    pub(in crate::bench) endpoint: String,
    _connections: JoinSet<()>,
}

/// Answers a call of a method.
pub(in crate::bench) type Answer = dyn Fn(&str, SendResponse<Bytes>) + Send + Sync;

impl Server {
    pub(in crate::bench) async fn start(
        answer: impl Fn(&str, SendResponse<Bytes>) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = listener.local_addr().unwrap().to_string();
        let answer: Arc<Answer> = Arc::new(answer);
        let mut connections = JoinSet::new();
        connections.spawn(async move {
            let mut accepted = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                accepted.spawn(serve(tcp, Arc::clone(&answer)));
            }
        });
        Self {
            endpoint,
            _connections: connections,
        }
    }
}

async fn serve(tcp: TcpStream, answer: Arc<Answer>) {
    let mut connection = h2::server::handshake(tcp).await.unwrap();
    while let Some(Ok((request, respond))) = connection.accept().await {
        answer(request.uri().path(), respond);
    }
}

/// Success with one message.
pub(in crate::bench) fn succeed(respond: SendResponse<Bytes>, message: &impl Message) {
    pieces(respond, &frame::one(message).unwrap(), usize::MAX, "0");
}

/// Failure with a code and no message.
pub(in crate::bench) fn fail(mut respond: SendResponse<Bytes>, code: &str) {
    let mut head = Response::new(());
    *head.headers_mut() = status(code);
    respond.send_response(head, true).unwrap();
}

/// Sends `frames` in pieces of at most `size` bytes, and then `code`.
pub(in crate::bench) fn pieces(
    mut respond: SendResponse<Bytes>,
    frames: &Bytes,
    size: usize,
    code: &str,
) {
    let mut body = respond.send_response(Response::new(()), false).unwrap();
    for piece in frames.chunks(size) {
        body.send_data(frames.slice_ref(piece), false).unwrap();
    }
    body.send_trailers(status(code)).unwrap();
}

fn status(code: &str) -> HeaderMap {
    HeaderMap::from_iter([("grpc-status".parse().unwrap(), code.parse().unwrap())])
}
