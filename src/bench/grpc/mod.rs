//! A gRPC client that costs little, so that a small machine measures its servers and not the load on them.
//!
//! A general client gives each request to the connection's task through a channel and a stack of layers, and
//! the answer comes back to another task, often on another thread. Here a [`Link`] and the [`Client`]s on it
//! are one task: the frames of all answers that have arrived are read at once, the clients that they wake
//! run next, and what those send leaves together, usually with one system call.
//!
//! Invariant: nothing moves on a link but inside [`Link::drive`], so every call on its clients is made there.

mod endpoint;
mod frame;
#[cfg(test)]
mod grpc_test;
mod outcome;
#[cfg(test)]
pub(super) mod testing;

use std::future::poll_fn;
use std::iter::StepBy;
use std::ops::Range;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Context;

use bytes::{Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::StatusCode;
use prost::Message;
use tonic::Status;

pub use self::endpoint::ConnectError;
use self::endpoint::{Connection, Endpoint};
use crate::tls::Connector;

/// One HTTP/2 connection to an endpoint, made anew when it has broken and a client wants it.
pub(super) struct Link {
    endpoint: Endpoint,
    /// Opens streams on the newest connection. Held while that is made anew: one attempt at a time.
    sender: tokio::sync::Mutex<SendRequest<Bytes>>,
    /// The newest, and older ones on which calls still end.
    connections: parking_lot::Mutex<Vec<Connection>>,
}

impl Link {
    /// Connects to `host:port`, `http://host:port` or, with `tls`, `https://host:port`.
    pub(super) async fn connect(
        endpoint: &str,
        tls: Option<&Arc<Connector>>,
    ) -> Result<Arc<Self>, ConnectError> {
        let endpoint = Endpoint::parse(endpoint, tls)?;
        let (sender, connection) = endpoint.connect().await?;
        Ok(Arc::new(Self {
            endpoint,
            sender: tokio::sync::Mutex::new(sender),
            connections: parking_lot::Mutex::new(vec![connection]),
        }))
    }

    /// A client on this link.
    pub(super) fn client(self: &Arc<Self>) -> Client {
        Client {
            link: Arc::clone(self),
            sender: None,
        }
    }

    /// Runs `work`, which may call this link's clients, and moves their frames meanwhile.
    pub(super) async fn drive<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            self.move_frames(cx);
            let done = work.as_mut().poll(cx);
            // What the work has sent leaves before other tasks run: its latency is being measured.
            self.move_frames(cx);
            done
        })
        .await
    }

    /// Why a connection ended is not asked here: the calls on it fail with the reason.
    fn move_frames(&self, cx: &mut Context<'_>) {
        let mut connections = self.connections.lock();
        connections.retain_mut(|connection| Pin::new(connection).poll(cx).is_pending());
    }

    /// What opens streams on a connection that lives.
    async fn sender(&self) -> Result<SendRequest<Bytes>, Status> {
        let mut sender = self.sender.lock().await;
        if ready(&mut sender).await.is_err() {
            let (anew, connection) = self
                .endpoint
                .connect()
                .await
                .map_err(|error| Status::unavailable(error.to_string()))?;
            self.connections.lock().push(connection);
            *sender = anew;
        }
        Ok(sender.clone())
    }
}

/// Waits until a stream can be opened. Fails when the connection is at its end.
async fn ready(sender: &mut SendRequest<Bytes>) -> Result<(), h2::Error> {
    poll_fn(|cx| sender.poll_ready(cx)).await
}

/// Gives `sender` back unless its connection is at its end.
async fn alive(sender: Option<SendRequest<Bytes>>) -> Option<SendRequest<Bytes>> {
    let mut sender = sender?;
    ready(&mut sender).await.ok().map(|()| sender)
}

/// The connections with the numbers of the clients on each: `count` clients are dealt out in turn.
pub(super) fn deal(
    links: &[Arc<Link>],
    count: usize,
) -> impl Iterator<Item = (&Arc<Link>, StepBy<Range<usize>>)> {
    let numbers = move |first| (first..count).step_by(links.len().max(1));
    links
        .iter()
        .enumerate()
        .map(move |(first, link)| (link, numbers(first)))
}

/// Makes calls, one at a time.
pub(super) struct Client {
    link: Arc<Link>,
    /// Kept from call to call: to copy and drop one costs as much as the lock of the connection.
    sender: Option<SendRequest<Bytes>>,
}

impl Client {
    /// Calls a method that has one request and one answer.
    ///
    /// # Errors
    /// What the server answered; `Unavailable` when the connection breaks or cannot be made.
    pub(super) async fn call<A: Message + Default>(
        &mut self,
        path: &'static str,
        request: &impl Message,
    ) -> Result<A, Status> {
        let request = frame::one(request)?;
        let (answer, _requests) = self.send(path, request, true).await?;
        let mut answers = Answers::begin(answer).await?;
        let answer = answers.next().await?.ok_or_else(unanswered)?;
        if answers.next::<A>().await?.is_some() {
            return Err(Status::internal("more than one answer"));
        }
        Ok(answer)
    }

    /// Calls a method that answers with a stream, and leaves it open for more requests.
    ///
    /// # Errors
    /// What the server answered; `Unavailable` when the connection breaks or cannot be made.
    pub(super) async fn open(
        &mut self,
        path: &'static str,
        requests: &[impl Message],
    ) -> Result<(Answers, SendStream<Bytes>), Status> {
        let mut frames = BytesMut::new();
        for request in requests {
            frame::put(request, &mut frames)?;
        }
        let (answer, requests) = self.send(path, frames.freeze(), false).await?;
        Ok((Answers::begin(answer).await?, requests))
    }

    async fn send(
        &mut self,
        path: &'static str,
        frames: Bytes,
        end: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), Status> {
        let head = self.link.endpoint.request(path);
        let sender = self.sender().await?;
        let (answer, mut requests) = sender.send_request(head, false).map_err(outcome::broken)?;
        requests.send_data(frames, end).map_err(outcome::broken)?;
        Ok((answer, requests))
    }

    async fn sender(&mut self) -> Result<&mut SendRequest<Bytes>, Status> {
        let sender = match alive(self.sender.take()).await {
            Some(sender) => sender,
            None => self.link.sender().await?,
        };
        Ok(self.sender.insert(sender))
    }
}

/// The answers to one call, as they arrive.
pub(super) struct Answers {
    body: RecvStream,
    received: BytesMut,
}

impl Answers {
    async fn begin(answer: ResponseFuture) -> Result<Self, Status> {
        let (head, body) = answer.await.map_err(outcome::broken)?.into_parts();
        if let Some(stated) = outcome::stated(&head.headers) {
            return Err(stated.err().unwrap_or_else(unanswered));
        }
        if head.status != StatusCode::OK {
            return Err(outcome::unstated(head.status));
        }
        Ok(Self {
            body,
            received: BytesMut::new(),
        })
    }

    /// The next answer, of which `A` has the fields that are of interest; `None` when the call has ended
    /// well.
    ///
    /// # Errors
    /// What the server ended the call with; `Unavailable` when the connection breaks; `Internal` when an
    /// answer cannot be decoded.
    pub(super) async fn next<A: Message + Default>(&mut self) -> Result<Option<A>, Status> {
        loop {
            if let Some(message) = frame::take(&mut self.received)? {
                let answer = A::decode(message);
                return answer
                    .map(Some)
                    .map_err(|error| Status::internal(error.to_string()));
            }
            let Some(part) = self.body.data().await else {
                return self.end().await.map(|()| None);
            };
            let part = part.map_err(outcome::broken)?;
            self.received.extend_from_slice(&part);
            self.body
                .flow_control()
                .release_capacity(part.len())
                .map_err(outcome::broken)?;
        }
    }

    async fn end(&mut self) -> Result<(), Status> {
        let trailers = self.body.trailers().await.map_err(outcome::broken)?;
        trailers
            .as_ref()
            .and_then(outcome::stated)
            .unwrap_or_else(|| Err(outcome::unstated(StatusCode::OK)))?;
        if !self.received.is_empty() {
            return Err(Status::internal("the last answer is cut short"));
        }
        Ok(())
    }
}

fn unanswered() -> Status {
    Status::internal("success without an answer")
}
