//! The two bidirectional calls, as something a case can talk to line by line.

use std::time::Duration;

use holdfast::etcd::pb::etcdserverpb as pb;
use holdfast::etcd::wire::WatchFields;
use pb::watch_request::RequestUnion;
use pb::{LeaseKeepAliveRequest, LeaseKeepAliveResponse, WatchCreateRequest};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{Client, PATIENCE};

/// Requests a case may have queued before the connection takes them.
const QUEUE: usize = 4096;

type Opening<T> = JoinHandle<Result<Response<Streaming<T>>, Status>>;

/// A server may hold back the response headers until it has something to say, so a call counts as open
/// when the first response is asked for.
enum Inbound<T> {
    Opening(Opening<T>),
    Open(Box<Streaming<T>>),
}

impl<T: 'static> Inbound<T> {
    async fn message(&mut self) -> Result<Option<T>, Status> {
        loop {
            match self {
                Self::Open(stream) => return stream.message().await,
                Self::Opening(call) => {
                    *self = Self::Open(Box::new(call.await.unwrap()?.into_inner()));
                }
            }
        }
    }
}

/// A watch stream.
pub struct Watch {
    requests: Option<mpsc::Sender<pb::WatchRequest>>,
    responses: Inbound<pb::WatchResponse>,
}

impl Watch {
    pub fn open(client: &Client) -> Self {
        Self::open_with(client, |_| ())
    }

    /// Opens a stream whose request metadata is set by `prepare`.
    pub fn open_with(
        client: &Client,
        prepare: impl FnOnce(&mut Request<ReceiverStream<pb::WatchRequest>>),
    ) -> Self {
        let (requests, outbound) = mpsc::channel(QUEUE);
        let mut request = Request::new(ReceiverStream::new(outbound));
        prepare(&mut request);
        let mut stub = client.watch();
        Self {
            requests: Some(requests),
            responses: Inbound::Opening(tokio::spawn(async move { stub.watch(request).await })),
        }
    }

    /// Opens a stream that the server must cut when there is no leader.
    pub fn open_requiring_leader(client: &Client) -> Self {
        Self::open_with(client, |request| {
            let value = "true".parse().unwrap();
            request.metadata_mut().insert("hasleader", value);
        })
    }

    /// A stream of its own with one watcher; returns the answer to the creation too.
    pub async fn start(client: &Client, create: WatchCreateRequest) -> (Self, WatchFields) {
        let mut watch = Self::open(client);
        let created = watch.create(create).await;
        (watch, created)
    }

    /// Sends a request. A stream that has failed says so when it is read.
    pub async fn send(&self, request: Option<RequestUnion>) {
        let request = pb::WatchRequest {
            request_union: request,
        };
        let requests = self.requests.as_ref().expect("the stream is half-closed");
        let _unless_failed = requests.send(request).await;
    }

    /// Sends a creation without reading.
    pub async fn send_create(&self, create: WatchCreateRequest) {
        self.send(Some(RequestUnion::CreateRequest(create))).await;
    }

    /// Sends a creation and reads the next response.
    pub async fn create(&mut self, create: WatchCreateRequest) -> WatchFields {
        self.send_create(create).await;
        self.next().await
    }

    pub async fn cancel(&self, watch_id: i64) {
        let cancel = pb::WatchCancelRequest { watch_id };
        self.send(Some(RequestUnion::CancelRequest(cancel))).await;
    }

    pub async fn request_progress(&self) {
        let progress = pb::WatchProgressRequest {};
        self.send(Some(RequestUnion::ProgressRequest(progress)))
            .await;
    }

    /// Ends the client's half.
    pub fn half_close(&mut self) {
        self.requests = None;
    }

    /// The next message, the end of the stream, or its error.
    pub async fn message(&mut self) -> Result<Option<WatchFields>, Status> {
        let message = timeout(PATIENCE, self.responses.message())
            .await
            .expect("no watch response in time")?;
        Ok(message.map(|response| response.fields))
    }

    pub async fn next(&mut self) -> WatchFields {
        let message = self.message().await.expect("the watch stream failed");
        message.expect("the watch stream ended")
    }

    /// The next response within `limit`.
    pub async fn next_within(&mut self, limit: Duration) -> Option<WatchFields> {
        match timeout(limit, self.responses.message()).await {
            Ok(message) => Some(message.unwrap().expect("the watch stream ended").fields),
            Err(_) => None,
        }
    }

    /// Reads responses until `count` events have arrived.
    pub async fn events(&mut self, count: usize) -> Vec<holdfast::etcd::pb::mvccpb::Event> {
        let mut events = Vec::new();
        while events.len() < count {
            events.extend(self.next().await.events);
        }
        assert_eq!(events.len(), count, "too many events: {events:?}");
        events
    }

    /// Asserts that nothing arrives for a while.
    pub async fn stays_quiet(&mut self) {
        let response = self.next_within(super::QUIET).await;
        assert_eq!(response, None, "unexpected response");
    }
}

/// A keep-alive stream.
pub struct KeepAlive {
    requests: mpsc::Sender<LeaseKeepAliveRequest>,
    responses: Inbound<LeaseKeepAliveResponse>,
}

impl KeepAlive {
    pub fn open(client: &Client) -> Self {
        let (requests, outbound) = mpsc::channel(QUEUE);
        let mut stub = client.lease();
        let outbound = ReceiverStream::new(outbound);
        Self {
            requests,
            responses: Inbound::Opening(tokio::spawn(async move {
                stub.lease_keep_alive(outbound).await
            })),
        }
    }

    /// Sends a request. A stream that has failed says so when it is read.
    pub async fn send(&self, id: i64) {
        let request = LeaseKeepAliveRequest { id };
        let _unless_failed = self.requests.send(request).await;
    }

    /// Sends one request and reads one response.
    pub async fn ping(&mut self, id: i64) -> Result<LeaseKeepAliveResponse, Status> {
        self.send(id).await;
        self.next().await
    }

    pub async fn next(&mut self) -> Result<LeaseKeepAliveResponse, Status> {
        let message = timeout(PATIENCE, self.responses.message())
            .await
            .expect("no keep-alive response in time")?;
        Ok(message.expect("the keep-alive stream ended"))
    }
}
