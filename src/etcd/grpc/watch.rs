//! `etcdserverpb.Watch`: one stream carries many watchers.
//!
//! The engine makes the responses; here requests are handed to it in their order and frames are passed on
//! as they come. No task is started: one future per stream, polled by its connection, does both, so an
//! idle stream costs its state and a client that does not read costs itself.

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use tonic::{Request, Response, Status, Streaming};

use super::{Responses, leader};
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
    type WatchStream = Responses<WatchResponse>;

    async fn watch(
        &self,
        request: Request<Streaming<pb::WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let leader_lost = leader::lost(&self.engine, &request);
        let (requests, frames) = self.engine.open_watch().ok_or_else(status::stopped)?;
        let call = WatchCall {
            leader_lost,
            asking: Asking {
                received: Some(request.into_inner()),
                waiting: None,
                requests,
            },
            frames,
        };
        let responses = stream::unfold(Some(call), WatchCall::next);
        Ok(Response::new(responses.boxed()))
    }
}

/// One watch stream. It ends with an error only: the leader that was asked for is lost, the client's half
/// breaks, or the member stops. A client that is done sending goes on receiving.
struct WatchCall {
    leader_lost: BoxFuture<'static, ()>,
    asking: Asking,
    frames: WatchFrames,
}

impl WatchCall {
    async fn next(call: Option<Self>) -> Option<(Result<WatchResponse, Status>, Option<Self>)> {
        let mut call = call?;
        Some(match call.response().await {
            Ok(response) => (Ok(response), Some(call)),
            Err(status) => (Err(status), None),
        })
    }

    async fn response(&mut self) -> Result<WatchResponse, Status> {
        loop {
            // Requests go before frames: a client that is sent more than it can take must be able to
            // cancel. They cannot starve the frames, since their queue is bounded.
            tokio::select! {
                biased;
                () = &mut self.leader_lost => return Err(status::no_leader()),
                handed_on = self.asking.hand_on() => handed_on?,
                frame = self.frames.next() => {
                    return frame.map(WatchResponse::from).ok_or_else(status::stopped);
                }
            }
        }
    }
}

/// What the client asks, on its way to the engine.
struct Asking {
    /// The client's half of the stream, until it is done sending.
    received: Option<Streaming<pb::WatchRequest>>,
    /// Received, but not yet taken by the engine.
    waiting: Option<WatchRequest>,
    requests: WatchRequests,
}

impl Asking {
    /// Hands one request on. Cancel safe: what was received waits here until the engine has it, so that
    /// frames can be sent while the engine's queue is full.
    async fn hand_on(&mut self) -> Result<(), Status> {
        if self.waiting.is_none() {
            self.waiting = self.receive().await?;
        }
        if let Some(request) = &self.waiting {
            let sent = self.requests.send(request.clone()).await;
            sent.map_err(|_| status::stopped())?;
            self.waiting = None;
        }
        Ok(())
    }

    /// The client's next request, `None` if it asks nothing. Waits for ever once the client is done.
    async fn receive(&mut self) -> Result<Option<WatchRequest>, Status> {
        let Some(received) = &mut self.received else {
            return std::future::pending().await;
        };
        match received.message().await.map_err(status::received)? {
            Some(message) => Ok(message.request_union.map(request)),
            None => {
                self.received = None;
                Ok(None)
            }
        }
    }
}

fn request(union: RequestUnion) -> WatchRequest {
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
