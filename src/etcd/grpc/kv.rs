//! `etcdserverpb.KV`.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};

use super::{Responses, access};
use crate::base::clock;
use crate::base::metrics::Histogram;
use crate::engine::{
    Caller, Consistency, Engine, EngineError, EngineResult, Header, RangeChunk, ReadKind,
    ReadTimes, Shown,
};
use crate::etcd::EtcdContext;
use crate::etcd::pb::etcdserverpb as pb;
use crate::etcd::pb::etcdserverpb::kv_server::Kv;
use crate::etcd::{request, response, status};
use crate::mvcc::ops::{RangeOp, RangeResult};

/// The unary calls that are served in two ways: by the generated server, and by
/// [`DirectCalls`](super::direct::DirectCalls).
pub(super) struct KvCalls {
    engine: Engine,
    max_txn_ops: usize,
    range_succeeded: Histogram,
    range_failed: Histogram,
}

impl KvCalls {
    pub(super) fn new(context: &EtcdContext) -> Self {
        Self {
            engine: context.engine.clone(),
            max_txn_ops: context.settings.max_txn_ops,
            range_succeeded: context.metrics.server.range_durations(true),
            range_failed: context.metrics.server.range_durations(false),
        }
    }

    async fn timed_range(
        &self,
        caller: Option<&Caller>,
        op: RangeOp,
        serializable: bool,
    ) -> EngineResult<(Header, RangeResult)> {
        let engine = self.engine.acting(caller);
        let began = clock::now();
        let fresh = if serializable {
            Ok(())
        } else {
            engine.read_barrier().await
        };
        let settled = if serializable { began } else { clock::now() };
        let range = op.range.clone();
        let result = match fresh {
            Ok(()) => engine.range(op, Consistency::Serializable).await,
            Err(error) => Err(error),
        };
        let ended = clock::now();
        let (durations, outcome) = match &result {
            Ok((_, result)) => (&self.range_succeeded, Ok(result.kvs.len() as u64)),
            Err(error) => (&self.range_failed, Err(error)),
        };
        durations.observe(ended.duration_since(began).as_secs_f64());
        let times = ReadTimes {
            began,
            settled,
            ended,
        };
        engine.read_took(ReadKind::Range, result.is_ok(), &times);
        let slow = self.engine.slow_log();
        slow.read(times, "read-only range ", Shown(&range), outcome);
        result
    }

    pub(super) async fn range(
        &self,
        caller: Option<&Caller>,
        request: pb::RangeRequest,
    ) -> Result<pb::RangeResponse, Status> {
        let serializable = request.serializable;
        if !serializable && self.engine.is_learner() {
            return Err(status::not_for_learners());
        }
        let op = request::range(request)?;
        let (header, result) = self.timed_range(caller, op, serializable).await?;
        Ok(response::range(response::header(header), result))
    }

    pub(super) async fn put(
        &self,
        caller: Option<&Caller>,
        request: pb::PutRequest,
    ) -> Result<pb::PutResponse, Status> {
        let op = request::put(request)?;
        let (header, result) = self.engine.acting(caller).put(op).await?;
        Ok(response::put(response::header(header), result))
    }

    pub(super) async fn delete_range(
        &self,
        caller: Option<&Caller>,
        request: pb::DeleteRangeRequest,
    ) -> Result<pb::DeleteRangeResponse, Status> {
        let op = request::delete(request)?;
        let (header, result) = self.engine.acting(caller).delete(op).await?;
        Ok(response::delete(response::header(header), result))
    }

    pub(super) async fn txn(
        &self,
        caller: Option<&Caller>,
        request: pb::TxnRequest,
    ) -> Result<pb::TxnResponse, Status> {
        let (txn, consistency) = request::txn(request, self.max_txn_ops)?;
        let engine = self.engine.acting(caller);
        let (header, result) = engine.txn(txn, consistency).await?;
        Ok(response::txn(header, result))
    }
}

/// The whole service.
pub(super) struct KvService(Arc<KvCalls>);

impl KvService {
    pub(super) const fn new(calls: Arc<KvCalls>) -> Self {
        Self(calls)
    }
}

#[tonic::async_trait]
impl Kv for KvService {
    async fn range(
        &self,
        request: Request<pb::RangeRequest>,
    ) -> Result<Response<pb::RangeResponse>, Status> {
        let caller = access::caller(&request).cloned();
        let answer = self.0.range(caller.as_ref(), request.into_inner());
        answer.await.map(Response::new)
    }

    type RangeStreamStream = Responses<pb::RangeStreamResponse>;

    async fn range_stream(
        &self,
        request: Request<pb::RangeRequest>,
    ) -> Result<Response<Self::RangeStreamStream>, Status> {
        let engine = self.0.engine.acting(access::caller(&request));
        let request = request.into_inner();
        let consistency = request::consistency(request.serializable);
        let op = request::range(request)?;
        only_in_key_order(&op)?;
        let chunks = engine.range_stream(op, consistency).await?;
        let parts = stream::unfold(Some(chunks), next_part);
        Ok(Response::new(parts.boxed()))
    }

    async fn put(
        &self,
        request: Request<pb::PutRequest>,
    ) -> Result<Response<pb::PutResponse>, Status> {
        let caller = access::caller(&request).cloned();
        let answer = self.0.put(caller.as_ref(), request.into_inner());
        answer.await.map(Response::new)
    }

    async fn delete_range(
        &self,
        request: Request<pb::DeleteRangeRequest>,
    ) -> Result<Response<pb::DeleteRangeResponse>, Status> {
        let caller = access::caller(&request).cloned();
        let answer = self.0.delete_range(caller.as_ref(), request.into_inner());
        answer.await.map(Response::new)
    }

    async fn txn(
        &self,
        request: Request<pb::TxnRequest>,
    ) -> Result<Response<pb::TxnResponse>, Status> {
        let caller = access::caller(&request).cloned();
        let answer = self.0.txn(caller.as_ref(), request.into_inner());
        answer.await.map(Response::new)
    }

    async fn compact(
        &self,
        request: Request<pb::CompactionRequest>,
    ) -> Result<Response<pb::CompactionResponse>, Status> {
        let engine = self.0.engine.acting(access::caller(&request));
        let request = request.into_inner();
        let header = engine.compact(request.revision, request.physical).await?;
        Ok(Response::new(pb::CompactionResponse {
            header: response::header(header),
        }))
    }
}

/// Streams read in key order from a snapshot; what needs the whole range first is refused.
fn only_in_key_order(op: &RangeOp) -> Result<(), Status> {
    if op.sort.is_some() {
        return Err(Status::unimplemented(
            "RangeStream does not support custom sort orders",
        ));
    }
    if op.filter != Default::default() {
        return Err(Status::unimplemented(
            "RangeStream does not support revision filters",
        ));
    }
    Ok(())
}

type Chunks = mpsc::Receiver<EngineResult<RangeChunk>>;

/// The next response, and where the one after it comes from, if any.
async fn next_part(
    chunks: Option<Chunks>,
) -> Option<(Result<pb::RangeStreamResponse, Status>, Option<Chunks>)> {
    let mut chunks = chunks?;
    // The last chunk says so; a channel that closes before it means that the reader is gone.
    let chunk = chunks.recv().await.unwrap_or(Err(EngineError::Stopped));
    Some(match chunk {
        Ok(chunk) => {
            let rest = chunk.end.is_none().then_some(chunks);
            (Ok(part(chunk)), rest)
        }
        Err(error) => (Err(error.into()), None),
    })
}

fn part(chunk: RangeChunk) -> pb::RangeStreamResponse {
    let kvs = response::kvs(chunk.kvs);
    let range_response = match chunk.end {
        Some(end) => pb::RangeResponse {
            header: response::header(end.header),
            kvs,
            more: end.more,
            count: end.count,
        },
        None => pb::RangeResponse {
            kvs,
            ..pb::RangeResponse::default()
        },
    };
    pb::RangeStreamResponse {
        range_response: Some(range_response),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::{ClusterId, MemberId, Revision};
    use crate::base::kv::Kv as StoredKv;
    use crate::base::range::KeyRange;
    use crate::engine::RangeEndInfo;
    use crate::mvcc::ops::{RevisionFilter, Sort, SortOrder, SortTarget};

    async fn parts(
        chunks: Vec<EngineResult<RangeChunk>>,
    ) -> Vec<Result<pb::RangeStreamResponse, Status>> {
        let (sender, receiver) = mpsc::channel(8);
        for chunk in chunks {
            sender.send(chunk).await.unwrap();
        }
        drop(sender);
        stream::unfold(Some(receiver), next_part).collect().await
    }

    fn chunk(end: Option<RangeEndInfo>) -> EngineResult<RangeChunk> {
        Ok(RangeChunk {
            kvs: vec![StoredKv::default()],
            end,
        })
    }

    #[tokio::test]
    async fn only_the_last_part_has_a_header() {
        let end = RangeEndInfo {
            header: Header {
                cluster_id: ClusterId(1),
                member_id: MemberId(2),
                revision: Revision(3),
                raft_term: 4,
            },
            more: true,
            count: 5,
        };
        let parts = parts(vec![chunk(None), chunk(Some(end)), chunk(None)]).await;
        assert_eq!(parts.len(), 2, "nothing follows the last part");
        let [first, last] = [0, 1].map(|i| parts[i].clone().unwrap().range_response.unwrap());
        assert_eq!((first.header, first.more, first.count), (None, false, 0));
        assert_eq!(first.kvs.len(), 1);
        assert_eq!(last.header.unwrap().revision, 3);
        assert_eq!((last.more, last.count), (true, 5));
    }

    #[tokio::test]
    async fn a_range_that_breaks_off_is_an_error() {
        let broken = parts(vec![chunk(None), Err(EngineError::Compacted)]).await;
        assert_eq!(
            broken[1].as_ref().unwrap_err().code(),
            tonic::Code::OutOfRange
        );
        let ended = parts(vec![chunk(None)]).await;
        assert_eq!(
            ended[1].as_ref().unwrap_err().message(),
            "etcdserver: server stopped"
        );
    }

    #[test]
    fn streams_are_refused_what_they_cannot_do() {
        let plain = RangeOp::new(KeyRange::all());
        assert!(only_in_key_order(&plain).is_ok());
        let sorted = RangeOp {
            sort: Some(Sort {
                target: SortTarget::Key,
                order: SortOrder::Descending,
            }),
            ..plain.clone()
        };
        let status = only_in_key_order(&sorted).unwrap_err();
        assert_eq!(
            status.message(),
            "RangeStream does not support custom sort orders"
        );
        let filtered = RangeOp {
            filter: RevisionFilter {
                max_mod: Some(Revision(-1)),
                ..RevisionFilter::default()
            },
            ..plain
        };
        let status = only_in_key_order(&filtered).unwrap_err();
        assert_eq!(
            status.message(),
            "RangeStream does not support revision filters"
        );
    }
}
