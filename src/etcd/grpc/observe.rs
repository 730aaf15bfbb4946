//! Following an election: the leader and what it proclaims, then the next leader, and so on.

use std::collections::VecDeque;

use bytes::Bytes;
use futures::future::BoxFuture;
use tonic::Status;

use super::queue::{Events, Queues, without_code};
use super::queue_keys::prefix_of;
use crate::base::range::KeyRange;
use crate::etcd::pb::mvccpb::KeyValue;
use crate::etcd::pb::mvccpb::event::EventType;
use crate::etcd::pb::v3electionpb::LeaderResponse;
use crate::etcd::status;
use crate::etcd::wire::WatchFields;

/// One observer. Nothing runs for it between its client's reads.
pub(super) struct Observation {
    queues: Queues,
    name: Bytes,
    leader_lost: BoxFuture<'static, ()>,
    stage: Stage,
    /// Told by one response of the watch and not yet passed on.
    waiting: VecDeque<LeaderResponse>,
}

/// What an observer waits for.
enum Stage {
    /// To look who leads. Ends with a leader, or with [`Self::Vacant`]; an error ends the stream.
    Looking,
    /// For anyone to stand: the first key that is put leads. Ends with it, or when the watch is cancelled
    /// because of a compaction: then it is looked again.
    Vacant(Events),
    /// For the leader's values. Ends when its key is deleted or the watch is cancelled: then it is looked
    /// again.
    Following(Events),
}

impl Observation {
    pub(super) fn new(queues: Queues, name: Bytes, leader_lost: BoxFuture<'static, ()>) -> Self {
        Self {
            queues,
            name,
            leader_lost,
            stage: Stage::Looking,
            waiting: VecDeque::new(),
        }
    }

    /// The next value, and the observation for the one after it; the last is an error.
    pub(super) async fn next(
        observation: Option<Self>,
    ) -> Option<(Result<LeaderResponse, Status>, Option<Self>)> {
        let mut observation = observation?;
        let told = observation.told().await.map_err(without_code);
        let rest = told.is_ok().then_some(observation);
        Some((told, rest))
    }

    async fn told(&mut self) -> Result<LeaderResponse, Status> {
        loop {
            if let Some(told) = self.waiting.pop_front() {
                return Ok(told);
            }
            self.step().await?;
        }
    }

    async fn step(&mut self) -> Result<(), Status> {
        let lost = &mut self.leader_lost;
        let response = match &mut self.stage {
            Stage::Looking => return self.look().await,
            Stage::Vacant(events) | Stage::Following(events) => tokio::select! {
                biased;
                () = lost => return Err(status::no_leader()),
                response = events.next() => response?,
            },
        };
        match response {
            None => self.stage = Stage::Looking,
            Some(response) if matches!(self.stage, Stage::Vacant(_)) => {
                if let Some(kv) = first_put(&response) {
                    let header = response.header.map(|mut header| {
                        header.revision = kv.mod_revision();
                        header
                    });
                    self.follow(header.unwrap_or_default().revision, &kv)
                        .await?;
                    self.waiting.push_back(LeaderResponse {
                        header,
                        kv: Some(kv),
                    });
                }
            }
            Some(response) => {
                let (told, deposed) = values(response);
                self.waiting.extend(told);
                if deposed {
                    self.stage = Stage::Looking;
                }
            }
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<(), Status> {
        let (header, head) = self.queues.head(&self.name).await?;
        let revision = header.as_ref().map_or(0, |header| header.revision);
        match head {
            Some(kv) => {
                self.follow(revision, &kv).await?;
                let kv = Some(kv);
                self.waiting.push_back(LeaderResponse { header, kv });
            }
            None => {
                let everyone = KeyRange::prefix(prefix_of(&self.name));
                let events = self.queues.watch(everyone, revision, false).await?;
                self.stage = Stage::Vacant(events);
            }
        }
        Ok(())
    }

    async fn follow(&mut self, since: i64, leader: &KeyValue) -> Result<(), Status> {
        let range = KeyRange::point(leader.key().clone());
        let events = self.queues.watch(range, since, false).await?;
        self.stage = Stage::Following(events);
        Ok(())
    }
}

fn first_put(response: &WatchFields) -> Option<KeyValue> {
    let mut puts = response
        .events
        .iter()
        .filter(|event| event.r#type() == EventType::Put);
    puts.find_map(|event| event.kv.clone())
}

/// The values of a leader up to the deletion of its key, and whether that came.
fn values(response: WatchFields) -> (Vec<LeaderResponse>, bool) {
    let mut told = Vec::new();
    for event in response.events {
        if event.r#type() == EventType::Delete {
            return (told, true);
        }
        told.push(LeaderResponse {
            header: response.header,
            kv: event.kv,
        });
    }
    (told, false)
}
