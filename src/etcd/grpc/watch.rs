//! `etcdserverpb.Watch`: one stream carries many watchers.
//!
//! The engine makes the responses; here requests are handed to it in their order and frames are passed on
//! as they come. No task is started: the response stream, polled by its connection, drives both, so an
//! idle stream costs its state and a client that does not read costs itself. Requests go before frames: a
//! client that is sent more than it can take must be able to cancel.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Stream;
use futures::future::BoxFuture;
use tonic::{Request, Response, Status, Streaming};

use super::leader;
use crate::base::ids::{Revision, WatchId};
use crate::base::range::KeyRange;
use crate::engine::Engine;
use crate::etcd::pb::etcdserverpb as pb;
use crate::etcd::pb::etcdserverpb::watch_create_request::FilterType;
use crate::etcd::pb::etcdserverpb::watch_request::RequestUnion;
use crate::etcd::pb::etcdserverpb::watch_server::Watch;
use crate::etcd::status;
use crate::etcd::wire::WatchResponse;
use crate::watch::{WatchFrames, WatchRequest, WatchRequests, WatchSpec};

pub(super) struct WatchService {
    engine: Engine,
}

impl WatchService {
    pub(super) const fn new(engine: Engine) -> Self {
        Self { engine }
    }
}

#[tonic::async_trait]
impl Watch for WatchService {
    type WatchStream = WatchCall;

    async fn watch(
        &self,
        request: Request<Streaming<pb::WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let leader_lost = leader::lost(&self.engine, &request);
        let (requests, frames) = self.engine.open_watch()?;
        let call = WatchCall {
            leader_lost,
            asking: Box::pin(hand_on(request.into_inner(), requests)),
            frames: Some(frames),
        };
        Ok(Response::new(call))
    }
}

/// One watch stream. It ends with an error only: the leader that was asked for is lost, the client's half
/// breaks, or the member stops. A client that is done sending goes on receiving.
pub(super) struct WatchCall {
    leader_lost: BoxFuture<'static, ()>,
    /// Ends when the client's half breaks.
    asking: BoxFuture<'static, Status>,
    /// Gone once the stream has ended.
    frames: Option<WatchFrames>,
}

impl Stream for WatchCall {
    type Item = Result<WatchResponse, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let Some(frames) = &mut this.frames else {
            return Poll::Ready(None);
        };
        let ended = if this.leader_lost.as_mut().poll(cx).is_ready() {
            status::no_leader()
        } else if let Poll::Ready(broken) = this.asking.as_mut().poll(cx) {
            broken
        } else if let Some(frame) = ready!(frames.poll_next(cx)) {
            return Poll::Ready(Some(Ok(frame.into())));
        } else {
            status::stopped()
        };
        this.frames = None;
        Poll::Ready(Some(Err(ended)))
    }
}

/// Hands what the client asks to the engine, one request after the other. Ends with the reason when
/// either side breaks, and never for a client that is merely done sending.
async fn hand_on(mut received: Streaming<pb::WatchRequest>, requests: WatchRequests) -> Status {
    loop {
        match received.message().await {
            Ok(Some(message)) => {
                let Some(union) = message.request_union else {
                    continue;
                };
                if requests.send(request(union)).await.is_err() {
                    return status::stopped();
                }
            }
            Ok(None) => return std::future::pending().await,
            Err(broken) => return status::received(broken),
        }
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
