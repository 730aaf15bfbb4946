//! `etcdserverpb.Watch`: one stream carries many watchers.
//!
//! The engine makes the responses; here requests are handed to it in their order and frames are passed on
//! as they come. No task is started: the response stream, polled by its connection, drives both, so an
//! idle stream costs its state and a client that does not read costs itself. Requests go before frames: a
//! client that is sent more than it can take must be able to cancel. The headers go with the first response.
//!
//! Plain streams are answered by [`WatchReply`], whose body is the frames themselves; others by the
//! generated server, which compresses.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{Stream, StreamExt as _};
use http::HeaderMap;
use http_body::Body;
use tonic::{Request, Response, Status, Streaming};

use super::access;
use super::leader;
use super::meter::Call;
use super::received::{PREFIX_BYTES, put_prefix};
use crate::base::ids::{Revision, WatchId};
use crate::base::metrics::{Count, NetworkMetrics};
use crate::base::range::KeyRange;
use crate::engine::{AuthError, Credentials, Engine, EngineError, EngineResult};
use crate::etcd::codec::YIELD_BYTES;
use crate::etcd::pb::etcdserverpb as pb;
use crate::etcd::pb::etcdserverpb::watch_create_request::FilterType;
use crate::etcd::pb::etcdserverpb::watch_request::RequestUnion;
use crate::etcd::pb::etcdserverpb::watch_server::Watch;
use crate::etcd::status;
use crate::etcd::wire::WatchResponse;
use crate::watch::{Frame, WatchFrames, WatchRequest, WatchRequests, WatchSpec};

#[derive(Clone)]
pub(super) struct WatchService {
    engine: Engine,
    /// Streams that broke.
    broken: Count,
}

impl WatchService {
    pub(super) fn new(engine: Engine, metrics: &NetworkMetrics) -> Self {
        let broken = metrics.broken_streams("watch");
        Self { engine, broken }
    }

    /// Opens a stream, and gives it once it has something to say. With `leader_required` it ends when the cluster has
    /// been without a leader for long.
    pub(super) async fn open(
        &self,
        requests: Streaming<pb::WatchRequest>,
        credentials: Credentials,
        leader_required: bool,
    ) -> Result<WatchCall, Status> {
        let (sender, frames) = self.engine.open_watch()?;
        let ends: Ends = FuturesUnordered::new();
        let guard = Guard {
            engine: self.engine.clone(),
            credentials,
        };
        ends.push(Box::pin(hand_on(
            requests,
            sender,
            guard,
            self.broken.clone(),
        )));
        if leader_required {
            let engine = self.engine.clone();
            ends.push(Box::pin(async move {
                engine.leader_lost().await;
                status::no_leader()
            }));
        }
        let call = WatchCall {
            ends,
            frames: Some(frames),
            first: None,
        };
        call.begun().await
    }
}

#[tonic::async_trait]
impl Watch for WatchService {
    type WatchStream = WatchCall;

    async fn watch(
        &self,
        request: Request<Streaming<pb::WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let leader_required = leader::is_required(request.metadata().as_ref());
        let credentials = access::credentials(&request);
        let call = self.open(request.into_inner(), credentials, leader_required);
        call.await.map(Response::new)
    }
}

/// What may end a stream, with the reason. In a set, so that each is polled only when it was woken itself
/// and not for every frame.
type Ends = FuturesUnordered<BoxFuture<'static, Status>>;

/// One watch stream. It ends with an error only: the leader that was asked for is lost, the client's half
/// breaks, or the member stops. A client that is done sending goes on receiving.
pub(super) struct WatchCall {
    ends: Ends,
    /// Gone once the stream has ended.
    frames: Option<WatchFrames>,
    /// The response that the headers waited for, until it is sent.
    first: Option<Frame>,
}

impl WatchCall {
    /// Waits for the first response, with which the headers are sent, or gives why there is none.
    ///
    /// Headers that come at once would be wrong: etcd's come with the first response, so there are clients that
    /// take them for the answer to their first creation, and write what they expect to be told of.
    async fn begun(mut self) -> Result<Self, Status> {
        self.first = match poll_fn(|cx| self.poll_frame(cx)).await {
            Some(first) => Some(first?),
            None => return Err(status::stopped()),
        };
        Ok(self)
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Status>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let Some(frames) = &mut self.frames else {
            return Poll::Ready(None);
        };
        let ended = if let Poll::Ready(Some(reason)) = self.ends.poll_next_unpin(cx) {
            reason
        } else if let Some(frame) = ready!(frames.poll_next(cx)) {
            return Poll::Ready(Some(Ok(frame)));
        } else {
            status::stopped()
        };
        self.frames = None;
        Poll::Ready(Some(Err(ended)))
    }
}

impl Stream for WatchCall {
    type Item = Result<WatchResponse, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let frame = self.get_mut().poll_frame(cx);
        frame.map(|frame| frame.map(|frame| frame.map(WatchResponse::from)))
    }
}

/// The body of a plain stream: frames as messages, all that wait together, and the reason in the trailers.
pub(in crate::etcd) struct WatchReply {
    watch: WatchCall,
    call: Call,
    /// The reason, while there are messages to be sent before it.
    ended: Option<Status>,
}

impl WatchReply {
    pub(super) const fn new(watch: WatchCall, call: Call) -> Self {
        let ended = None;
        Self { watch, call, ended }
    }

    /// The messages that wait, unless there are none yet. Nothing after the end.
    fn poll_messages(&mut self, cx: &mut Context<'_>) -> Poll<Option<BytesMut>> {
        let mut messages = BytesMut::new();
        let mut count = 0;
        while messages.len() < YIELD_BYTES {
            match self.watch.poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => put_message(&mut messages, &frame),
                Poll::Ready(Some(Err(reason))) => {
                    self.ended = Some(reason);
                    break;
                }
                Poll::Ready(None) => break,
                Poll::Pending if messages.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
            count += 1;
        }
        self.call.sent(count, messages.len());
        Poll::Ready((count > 0).then_some(messages))
    }
}

fn put_message(messages: &mut BytesMut, frame: &Frame) {
    messages.reserve(PREFIX_BYTES + frame.size());
    put_prefix(messages, frame.size());
    messages.put_slice(&frame.head);
    messages.put_slice(&frame.body);
}

impl Body for WatchReply {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        if this.ended.is_none()
            && let Some(messages) = ready!(this.poll_messages(cx))
        {
            let data = http_body::Frame::data(messages.freeze());
            return Poll::Ready(Some(Ok(data)));
        }
        let trailers = this.ended.take().map(|reason| {
            this.call.end(reason.code());
            http_body::Frame::trailers(trailers(&reason))
        });
        Poll::Ready(trailers.map(Ok))
    }
}

fn trailers(reason: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    // Fails only for a message that no header can carry; the words of these are constants.
    if reason.add_header(&mut trailers).is_err() {
        trailers.insert(Status::GRPC_STATUS, (reason.code() as i32).into());
    }
    trailers
}

/// Hands what the client asks to the engine, one request after the other. Ends with the reason when
/// either side breaks, and never for a client that is merely done sending.
async fn hand_on(
    mut received: Streaming<pb::WatchRequest>,
    requests: WatchRequests,
    guard: Guard,
    broken_streams: Count,
) -> Status {
    loop {
        match received.message().await {
            Ok(Some(message)) => {
                let Some(union) = message.request_union else {
                    continue;
                };
                let request = guard.check(request(union)).await;
                if requests.send(request).await.is_err() {
                    return status::stopped();
                }
            }
            Ok(None) => return std::future::pending().await,
            Err(broken) => {
                if status::is_failure_of_stream(&broken) {
                    broken_streams.inc();
                }
                return status::received(broken);
            }
        }
    }
}

/// Who may watch what on a stream. Asked for every watcher when it is made, and never again (etcd's rule).
struct Guard {
    engine: Engine,
    credentials: Credentials,
}

impl Guard {
    /// Passes a request on, or puts its refusal in its place, so that the answers keep their order. What is
    /// looked at is the very range that would be served.
    async fn check(&self, request: WatchRequest) -> WatchRequest {
        match &request {
            WatchRequest::Create(spec) if self.engine.is_guarded() => {
                match self.may_read(&spec.range).await {
                    Ok(()) => request,
                    Err(refusal) => WatchRequest::Refuse(reason(&refusal)),
                }
            }
            _ => request,
        }
    }

    async fn may_read(&self, range: &KeyRange) -> EngineResult<()> {
        let caller = self.engine.identify(self.credentials.clone()).await?;
        self.engine.acting(Some(&caller)).check_read(range)
    }
}

/// Why there is no watcher, in etcd's words: gRPC's whole text of the four refusals that it tells apart.
const fn reason(refusal: &EngineError) -> &'static str {
    match refusal {
        EngineError::Auth(AuthError::InvalidToken) => {
            "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token"
        }
        EngineError::Auth(AuthError::UserEmpty) => {
            "rpc error: code = InvalidArgument desc = etcdserver: user name is empty"
        }
        EngineError::Auth(AuthError::OldRevision) => {
            "rpc error: code = InvalidArgument desc = etcdserver: revision of auth store is old"
        }
        _ => "rpc error: code = PermissionDenied desc = etcdserver: permission denied",
    }
}

/// What a request of a watch stream asks of the engine.
pub(in crate::etcd) fn request(union: RequestUnion) -> WatchRequest {
    match union {
        RequestUnion::CreateRequest(create) => WatchRequest::Create(spec(&create)),
        RequestUnion::CancelRequest(cancel) => WatchRequest::Cancel(WatchId(cancel.watch_id)),
        RequestUnion::ProgressRequest(_) => WatchRequest::Progress,
    }
}

/// Ranges that are empty and start revisions that are negative are refused by the engine, so that the
/// refusal keeps its place among the stream's responses.
fn spec(create: &pb::WatchCreateRequest) -> WatchSpec {
    let excluded = |filter: FilterType| create.filters.contains(&filter.into());
    // An empty key stands for the first one.
    let key: &[u8] = if create.key.is_empty() {
        b"\0"
    } else {
        &create.key
    };
    WatchSpec {
        id: (create.watch_id != 0).then_some(WatchId(create.watch_id)),
        // Copied: a watcher lives long, and must not keep the buffer it was received in.
        range: KeyRange::from_wire(
            Bytes::copy_from_slice(key),
            Bytes::copy_from_slice(&create.range_end),
        ),
        start: (create.start_revision != 0).then_some(Revision(create.start_revision)),
        prev_kv: create.prev_kv,
        progress_notify: create.progress_notify,
        no_put: excluded(FilterType::Noput),
        no_delete: excluded(FilterType::Nodelete),
        fragment: create.fragment,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::base::range::RangeEnd;

    #[test]
    fn zeros_are_left_to_the_engine() {
        let spec = spec(&pb::WatchCreateRequest::default());
        assert_eq!((spec.id, spec.start), (None, None));
        assert_eq!(spec.range, KeyRange::point(Bytes::from_static(b"\0")));
    }

    #[test]
    fn what_a_client_chose_is_kept() {
        let spec = spec(&pb::WatchCreateRequest {
            range_end: Bytes::from_static(b"\0"),
            start_revision: -4,
            watch_id: -3,
            filters: vec![FilterType::Nodelete.into(), 99],
            fragment: true,
            ..pb::WatchCreateRequest::default()
        });
        assert_eq!(
            (spec.id, spec.start),
            (Some(WatchId(-3)), Some(Revision(-4)))
        );
        assert_eq!(spec.range.end, RangeEnd::Unbounded);
        assert_eq!(
            (spec.no_put, spec.no_delete, spec.fragment),
            (false, true, true)
        );
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_converted_or_refused(bytes: Vec<u8>) {
            let decoded = pb::WatchRequest::decode(bytes.as_slice());
            let _ = decoded.map(|message| message.request_union.map(request));
        }
    }
}
