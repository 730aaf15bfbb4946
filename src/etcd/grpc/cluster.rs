//! `etcdserverpb.Cluster`.

use tonic::{Request, Response, Status};

use crate::config::peer_urls as parse_peer_urls;
use crate::engine::{Engine, Member};
use crate::etcd::pb::etcdserverpb as pb;
use crate::etcd::pb::etcdserverpb::cluster_server::Cluster;
use crate::etcd::status::Refusal;
use crate::etcd::{request, response};

pub(super) struct ClusterService {
    engine: Engine,
}

impl ClusterService {
    pub(super) const fn new(engine: Engine) -> Self {
        Self { engine }
    }
}

fn peer_urls(texts: &[String]) -> Result<Vec<String>, Refusal> {
    parse_peer_urls(texts).ok_or(Refusal::BadMemberUrls)
}

fn listed(members: Vec<Member>) -> Vec<pb::Member> {
    members.into_iter().map(response::member).collect()
}

#[tonic::async_trait]
impl Cluster for ClusterService {
    async fn member_add(
        &self,
        request: Request<pb::MemberAddRequest>,
    ) -> Result<Response<pb::MemberAddResponse>, Status> {
        let request = request.into_inner();
        let urls = peer_urls(&request.peer_ur_ls)?;
        let added = self.engine.member_add(urls, request.is_learner).await;
        let (header, member, members) = added?;
        Ok(Response::new(pb::MemberAddResponse {
            header: response::cluster_header(header),
            member: Some(response::member(member)),
            members: listed(members),
        }))
    }

    async fn member_remove(
        &self,
        request: Request<pb::MemberRemoveRequest>,
    ) -> Result<Response<pb::MemberRemoveResponse>, Status> {
        let (header, members) = self.engine.member_remove(request.into_inner().id).await?;
        Ok(Response::new(pb::MemberRemoveResponse {
            header: response::cluster_header(header),
            members: listed(members),
        }))
    }

    async fn member_update(
        &self,
        request: Request<pb::MemberUpdateRequest>,
    ) -> Result<Response<pb::MemberUpdateResponse>, Status> {
        let request = request.into_inner();
        let urls = peer_urls(&request.peer_ur_ls)?;
        let (header, members) = self.engine.member_update(request.id, urls).await?;
        Ok(Response::new(pb::MemberUpdateResponse {
            header: response::cluster_header(header),
            members: listed(members),
        }))
    }

    async fn member_list(
        &self,
        request: Request<pb::MemberListRequest>,
    ) -> Result<Response<pb::MemberListResponse>, Status> {
        let consistency = request::consistency(!request.into_inner().linearizable);
        let (header, members) = self.engine.members(consistency).await?;
        Ok(Response::new(pb::MemberListResponse {
            header: response::cluster_header(header),
            members: listed(members),
        }))
    }

    async fn member_promote(
        &self,
        request: Request<pb::MemberPromoteRequest>,
    ) -> Result<Response<pb::MemberPromoteResponse>, Status> {
        let (header, members) = self.engine.member_promote(request.into_inner().id).await?;
        Ok(Response::new(pb::MemberPromoteResponse {
            header: response::cluster_header(header),
            members: listed(members),
        }))
    }
}
