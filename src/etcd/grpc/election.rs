//! `v3electionpb.Election`: the head of a queue leads, and its key holds what it proclaims.

use futures::{StreamExt as _, stream};
use tonic::{Request, Response, Status};

use super::observe::Observation;
use super::queue::{Entry, Queues, without_code};
use super::{Responses, leader};
use crate::etcd::pb::v3electionpb as pb;
use crate::etcd::pb::v3electionpb::election_server::Election;

pub(super) struct ElectionService {
    queues: Queues,
}

impl ElectionService {
    pub(super) const fn new(queues: Queues) -> Self {
        Self { queues }
    }
}

/// A candidate that has a key already changes its value at once, before it waits.
async fn campaign(
    queues: Queues,
    request: pb::CampaignRequest,
) -> Result<pb::CampaignResponse, Status> {
    let entry = Entry {
        name: request.name.clone(),
        lease: request.lease,
        value: Some(request.value),
    };
    let reached = queues.reach_head(entry).await?;
    let (place, header) = reached.ok_or_else(not_leader)?;
    Ok(pb::CampaignResponse {
        header,
        leader: Some(pb::LeaderKey {
            name: request.name,
            key: place.key,
            rev: place.revision,
            lease: place.lease,
        }),
    })
}

async fn proclaim(
    queues: Queues,
    request: pb::ProclaimRequest,
) -> Result<pb::ProclaimResponse, Status> {
    let leader = request.leader.ok_or_else(no_leader_key)?;
    let lease = queues.lease(leader.lease).await?;
    let put = queues.put_if(&leader.key, leader.rev, request.value, lease);
    let response = put.await?;
    if !response.succeeded {
        return Err(not_leader());
    }
    Ok(pb::ProclaimResponse {
        header: response.header,
    })
}

async fn leader(queues: Queues, request: pb::LeaderRequest) -> Result<pb::LeaderResponse, Status> {
    let (header, head) = queues.head(&request.name).await?;
    let kv = head.ok_or_else(|| Status::unknown("election: no leader"))?;
    Ok(pb::LeaderResponse {
        header,
        kv: Some(kv),
    })
}

async fn resign(queues: Queues, request: pb::ResignRequest) -> Result<pb::ResignResponse, Status> {
    let leader = request.leader.ok_or_else(no_leader_key)?;
    let response = queues.delete_if(&leader.key, leader.rev).await?;
    Ok(pb::ResignResponse {
        header: response.header,
    })
}

fn not_leader() -> Status {
    Status::unknown("election: not leader")
}

fn no_leader_key() -> Status {
    Status::unknown("\"leader\" field must be provided")
}

/// What a handler gives, as the generated server wants it.
fn answer<T>(result: Result<T, Status>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(without_code)
}

#[tonic::async_trait]
impl Election for ElectionService {
    async fn campaign(
        &self,
        request: Request<pb::CampaignRequest>,
    ) -> Result<Response<pb::CampaignResponse>, Status> {
        let queues = self.queues.of(&request);
        answer(campaign(queues, request.into_inner()).await)
    }

    async fn proclaim(
        &self,
        request: Request<pb::ProclaimRequest>,
    ) -> Result<Response<pb::ProclaimResponse>, Status> {
        let queues = self.queues.of(&request);
        answer(proclaim(queues, request.into_inner()).await)
    }

    async fn leader(
        &self,
        request: Request<pb::LeaderRequest>,
    ) -> Result<Response<pb::LeaderResponse>, Status> {
        let queues = self.queues.of(&request);
        answer(leader(queues, request.into_inner()).await)
    }

    type ObserveStream = Responses<pb::LeaderResponse>;

    async fn observe(
        &self,
        request: Request<pb::LeaderRequest>,
    ) -> Result<Response<Self::ObserveStream>, Status> {
        let leader_lost = leader::lost(self.queues.engine(), &request);
        let queues = self.queues.of(&request);
        let name = request.into_inner().name;
        let observation = Observation::new(queues, name, leader_lost);
        let told = stream::unfold(Some(observation), Observation::next);
        Ok(Response::new(told.boxed()))
    }

    async fn resign(
        &self,
        request: Request<pb::ResignRequest>,
    ) -> Result<Response<pb::ResignResponse>, Status> {
        let queues = self.queues.of(&request);
        answer(resign(queues, request.into_inner()).await)
    }
}
