//! `v3lockpb.Lock`: the head of a queue owns the lock.

use tonic::{Request, Response, Status};

use super::queue::{Entry, Queues, without_code};
use crate::etcd::pb::v3lockpb as pb;
use crate::etcd::pb::v3lockpb::lock_server::Lock;

pub(super) struct LockService {
    queues: Queues,
}

impl LockService {
    pub(super) const fn new(queues: Queues) -> Self {
        Self { queues }
    }
}

#[tonic::async_trait]
impl Lock for LockService {
    async fn lock(
        &self,
        request: Request<pb::LockRequest>,
    ) -> Result<Response<pb::LockResponse>, Status> {
        let queues = self.queues.of(&request);
        let request = request.into_inner();
        let entry = Entry {
            name: request.name,
            lease: request.lease,
            value: None,
        };
        match queues.reach_head(entry).await {
            Ok(Some((place, header))) => Ok(Response::new(pb::LockResponse {
                header,
                key: place.key,
            })),
            Ok(None) => Err(Status::unknown("mutex: session is expired")),
            Err(status) => Err(without_code(status)),
        }
    }

    async fn unlock(
        &self,
        request: Request<pb::UnlockRequest>,
    ) -> Result<Response<pb::UnlockResponse>, Status> {
        let queues = self.queues.of(&request);
        let key = request.into_inner().key;
        let deleted = queues.delete(key).await.map_err(without_code)?;
        Ok(Response::new(pb::UnlockResponse {
            header: deleted.header,
        }))
    }
}
