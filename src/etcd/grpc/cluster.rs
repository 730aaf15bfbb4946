//! `etcdserverpb.Cluster`. Members cannot be changed yet.

use tonic::{Request, Response, Status};

use crate::engine::Engine;
use crate::etcd::pb::etcdserverpb as pb;
use crate::etcd::pb::etcdserverpb::cluster_server::Cluster;
use crate::etcd::{request, response, status};

pub(super) struct ClusterService {
    engine: Engine,
}

impl ClusterService {
    pub(super) const fn new(engine: Engine) -> Self {
        Self { engine }
    }
}

fn unknown(method: &str) -> Status {
    status::unknown_method("etcdserverpb.Cluster", method)
}

#[tonic::async_trait]
impl Cluster for ClusterService {
    async fn member_add(
        &self,
        _request: Request<pb::MemberAddRequest>,
    ) -> Result<Response<pb::MemberAddResponse>, Status> {
        Err(unknown("MemberAdd"))
    }

    async fn member_remove(
        &self,
        _request: Request<pb::MemberRemoveRequest>,
    ) -> Result<Response<pb::MemberRemoveResponse>, Status> {
        Err(unknown("MemberRemove"))
    }

    async fn member_update(
        &self,
        _request: Request<pb::MemberUpdateRequest>,
    ) -> Result<Response<pb::MemberUpdateResponse>, Status> {
        Err(unknown("MemberUpdate"))
    }

    async fn member_list(
        &self,
        request: Request<pb::MemberListRequest>,
    ) -> Result<Response<pb::MemberListResponse>, Status> {
        let consistency = request::consistency(!request.into_inner().linearizable);
        let (header, members) = self.engine.members(consistency).await?;
        Ok(Response::new(pb::MemberListResponse {
            header: response::cluster_header(header),
            members: members.into_iter().map(response::member).collect(),
        }))
    }

    async fn member_promote(
        &self,
        _request: Request<pb::MemberPromoteRequest>,
    ) -> Result<Response<pb::MemberPromoteResponse>, Status> {
        Err(unknown("MemberPromote"))
    }
}
