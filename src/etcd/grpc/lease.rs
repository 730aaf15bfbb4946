//! `etcdserverpb.Lease`.

use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use tonic::{Request, Response, Status, Streaming};

use super::{Responses, access, leader};
use crate::base::ids::LeaseId;
use crate::base::metrics::{Count, NetworkMetrics};
use crate::engine::{Credentials, Engine};
use crate::etcd::pb::etcdserverpb as pb;
use crate::etcd::pb::etcdserverpb::lease_server::Lease;
use crate::etcd::{response, status};

pub(super) struct LeaseService {
    engine: Engine,
    /// Streams of renewals that broke.
    broken: Count,
}

impl LeaseService {
    pub(super) fn new(engine: Engine, metrics: &NetworkMetrics) -> Self {
        let broken = metrics.broken_streams("lease-keepalive");
        Self { engine, broken }
    }
}

#[tonic::async_trait]
impl Lease for LeaseService {
    async fn lease_grant(
        &self,
        request: Request<pb::LeaseGrantRequest>,
    ) -> Result<Response<pb::LeaseGrantResponse>, Status> {
        let engine = self.engine.acting(access::caller(&request));
        let request = request.into_inner();
        let (header, id, ttl) = engine.lease_grant(LeaseId(request.id), request.ttl).await?;
        Ok(Response::new(pb::LeaseGrantResponse {
            header: response::header(header),
            id: id.0,
            ttl,
            error: String::new(),
        }))
    }

    async fn lease_revoke(
        &self,
        request: Request<pb::LeaseRevokeRequest>,
    ) -> Result<Response<pb::LeaseRevokeResponse>, Status> {
        let engine = self.engine.acting(access::caller(&request));
        let id = LeaseId(request.into_inner().id);
        let header = engine.lease_revoke(id).await?;
        Ok(Response::new(pb::LeaseRevokeResponse {
            header: response::header(header),
        }))
    }

    type LeaseKeepAliveStream = Responses<pb::LeaseKeepAliveResponse>;

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<pb::LeaseKeepAliveRequest>>,
    ) -> Result<Response<Self::LeaseKeepAliveStream>, Status> {
        let call = KeepAliveCall {
            engine: self.engine.clone(),
            broken: self.broken.clone(),
            credentials: access::credentials(&request),
            leader_lost: leader::lost(&self.engine, &request),
            requests: request.into_inner(),
        };
        let answers = stream::unfold(Some(call), KeepAliveCall::next);
        Ok(Response::new(answers.boxed()))
    }

    async fn lease_time_to_live(
        &self,
        request: Request<pb::LeaseTimeToLiveRequest>,
    ) -> Result<Response<pb::LeaseTimeToLiveResponse>, Status> {
        let engine = self.engine.acting(access::caller(&request));
        let request = request.into_inner();
        let (header, lease) = engine
            .lease_time_to_live(LeaseId(request.id), request.keys)
            .await?;
        Ok(Response::new(pb::LeaseTimeToLiveResponse {
            header: response::header(header),
            id: lease.id.0,
            ttl: lease.ttl,
            granted_ttl: lease.granted_ttl,
            keys: lease.keys,
        }))
    }

    async fn lease_leases(
        &self,
        request: Request<pb::LeaseLeasesRequest>,
    ) -> Result<Response<pb::LeaseLeasesResponse>, Status> {
        let engine = self.engine.acting(access::caller(&request));
        let (header, leases) = engine.leases().await?;
        let leases = leases.into_iter().map(|id| pb::LeaseStatus { id: id.0 });
        Ok(Response::new(pb::LeaseLeasesResponse {
            header: response::header(header),
            leases: leases.collect(),
        }))
    }
}

/// A stream of renewals: one answer for each request, in their order. It ends when the client is done,
/// and with an error when a renewal fails or a leader that was asked for is lost.
struct KeepAliveCall {
    engine: Engine,
    broken: Count,
    /// Looked at for each renewal: the stream may last longer than they do.
    credentials: Credentials,
    requests: Streaming<pb::LeaseKeepAliveRequest>,
    leader_lost: BoxFuture<'static, ()>,
}

type Renewal = Result<pb::LeaseKeepAliveResponse, Status>;

impl KeepAliveCall {
    async fn next(call: Option<Self>) -> Option<(Renewal, Option<Self>)> {
        let mut call = call?;
        match call.renew_next().await {
            Ok(None) => None,
            Ok(Some(renewal)) => Some((Ok(renewal), Some(call))),
            Err(status) => Some((Err(status), None)),
        }
    }

    async fn renew_next(&mut self) -> Result<Option<pb::LeaseKeepAliveResponse>, Status> {
        let request = tokio::select! {
            biased;
            () = &mut self.leader_lost => return Err(status::no_leader()),
            request = self.requests.message() => request.map_err(|broken| {
                if status::is_failure_of_stream(&broken) {
                    self.broken.inc();
                }
                status::received(broken)
            })?,
        };
        let Some(request) = request else {
            return Ok(None);
        };
        let engine = access::acting_now(&self.engine, &self.credentials).await?;
        let (header, ttl) = engine.lease_keep_alive(LeaseId(request.id)).await?;
        Ok(Some(pb::LeaseKeepAliveResponse {
            header: response::header(header),
            id: request.id,
            ttl,
        }))
    }
}
