//! `grpc.health.v1.Health`: the member as a whole, under the empty name, is serving once it answers.

use futures::{StreamExt, stream};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::Responses;

pub(super) struct HealthService;

#[tonic::async_trait]
impl Health for HealthService {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match of(&request.into_inner().service) {
            ServingStatus::ServiceUnknown => Err(Status::not_found("unknown service")),
            known => Ok(Response::new(answer(known))),
        }
    }

    type WatchStream = Responses<HealthCheckResponse>;

    /// One answer; it never changes while the member lives, so nothing follows.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let now = answer(of(&request.into_inner().service));
        let answers = stream::iter([Ok(now)]).chain(stream::pending());
        Ok(Response::new(answers.boxed()))
    }
}

const fn of(service: &str) -> ServingStatus {
    if service.is_empty() {
        ServingStatus::Serving
    } else {
        ServingStatus::ServiceUnknown
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(service: &str) -> Request<HealthCheckRequest> {
        Request::new(HealthCheckRequest {
            service: service.into(),
        })
    }

    #[tokio::test]
    async fn only_the_member_as_a_whole_is_known() {
        let response = HealthService.check(request("")).await.unwrap();
        assert_eq!(response.into_inner().status(), ServingStatus::Serving);
        let status = HealthService
            .check(request("etcdserverpb.KV"))
            .await
            .unwrap_err();
        assert_eq!(status.code(), tonic::Code::NotFound);
    }

    #[tokio::test]
    async fn watching_an_unknown_name_says_so_and_stays_open() {
        let response = HealthService.watch(request("x")).await.unwrap();
        let mut answers = response.into_inner();
        let first = answers.next().await.unwrap().unwrap();
        assert_eq!(first.status(), ServingStatus::ServiceUnknown);
        assert!(futures::poll!(answers.next()).is_pending());
    }
}
