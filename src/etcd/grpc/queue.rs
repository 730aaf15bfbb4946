//! Queues of keys: what locks and elections are made of.
//!
//! Who takes part in `<name>` has a key `<name>/<lease in hex>`; the key that was created first is the head.
//! Everyone else waits for the deletion of the key right before its own, so that one change wakes one waiter.
//! The services are clients of this member's own calls: whatever holds for a client's transaction holds here.
//!
//! A wait runs as a task of the member, not of the request: a client that goes away in the middle must not
//! leave its key behind, or it would hold up the others until its lease ends.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use prost::Message as _;
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status};

use super::access;
use super::kv::KvCalls;
use super::queue_keys::{created_at, found_in, key_of, op, point, prefix_of, put, whole};
use crate::base::ids::{LeaseId, Revision};
use crate::base::range::KeyRange;
use crate::engine::{Caller, Engine, EngineError};
use crate::etcd::pb::etcdserverpb as pb;
use crate::etcd::pb::etcdserverpb::range_request::{SortOrder, SortTarget};
use crate::etcd::pb::etcdserverpb::request_op::Request as Op;
use crate::etcd::pb::mvccpb::KeyValue;
use crate::etcd::status;
use crate::etcd::wire::WatchFields;
use crate::watch::{Frame, WatchFrames, WatchRequest, WatchSpec};

/// Calls that wait in queues at once.
const MAX_WAITING: usize = 1 << 16;
/// Seconds of the lease that is granted to who brings none (etcd's).
const LEASE_SECONDS: i64 = 60;
/// How often the key of a client that went away is tried to be deleted; then its lease ends it.
const ATTEMPTS_TO_LEAVE: usize = 3;
/// Between these attempts.
const LEAVE_PAUSE: Duration = Duration::from_millis(500);

/// The queues of a member. Cheap to clone.
#[derive(Clone)]
pub(super) struct Queues {
    kv: Arc<KvCalls>,
    /// On whose behalf: what happens in a queue is what the caller could do with the keys itself.
    engine: Engine,
    caller: Option<Caller>,
    places: Arc<Semaphore>,
}

/// A place in a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// What every key of the queue begins with.
    prefix: Bytes,
    /// The key that holds the place.
    pub(super) key: Bytes,
    /// Its create revision: the rank.
    pub(super) revision: i64,
    /// The lease that the key is attached to.
    pub(super) lease: i64,
}

/// What a client without a place of its own asks for.
#[derive(Debug)]
pub(super) struct Entry {
    /// The queue.
    pub(super) name: Bytes,
    /// The lease that it brings; 0 if none.
    pub(super) lease: i64,
    /// What its key is to hold; with `None` a key that is there already keeps its value.
    pub(super) value: Option<Bytes>,
}

/// How a wait ends: with a place at the head and the header of the read that showed it; with `None` if the
/// key went away meanwhile.
type Reached = Option<(Place, Option<pb::ResponseHeader>)>;

impl Queues {
    pub(super) fn new(kv: Arc<KvCalls>, engine: Engine) -> Self {
        Self {
            kv,
            engine,
            caller: None,
            places: Arc::new(Semaphore::new(MAX_WAITING)),
        }
    }

    /// The same queues for whoever makes a call.
    pub(super) fn of<T>(&self, request: &Request<T>) -> Self {
        let caller = access::caller(request);
        Self {
            engine: self.engine.acting(caller).clone(),
            caller: caller.cloned(),
            ..self.clone()
        }
    }

    pub(super) const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Enters a queue and completes at its head. When the caller is dropped before that, the place is given
    /// up.
    pub(super) async fn reach_head(&self, entry: Entry) -> Result<Reached, Status> {
        let permit = Arc::clone(&self.places).try_acquire_owned();
        let permit = permit.map_err(|_| Status::from(EngineError::TooManyRequests))?;
        let here = CancellationToken::new();
        let gone = here.clone();
        let _leaving = here.drop_guard();
        let (answer, outcome) = oneshot::channel();
        let queues = self.clone();
        self.engine.finish("queue-wait", async move {
            queues.attend(entry, gone, answer).await;
            drop(permit);
        });
        outcome.await.unwrap_or_else(|_| Err(status::stopped()))
    }

    async fn attend(
        &self,
        entry: Entry,
        gone: CancellationToken,
        answer: oneshot::Sender<Result<Reached, Status>>,
    ) {
        // Not given up half-way: a key that is created unseen could not be deleted.
        let place = match self.enter(entry).await {
            Ok(place) => place,
            Err(status) => {
                // The client may be gone; then nobody wants the answer.
                let _ = answer.send(Err(status));
                return;
            }
        };
        let outcome = tokio::select! {
            biased;
            () = gone.cancelled() => Err(Status::cancelled("context canceled")),
            outcome = self.wait(&place) => outcome,
        };
        let reached = matches!(outcome, Ok(Some(_)));
        let outcome = outcome.map(|own| own.map(|header| (place.clone(), header)));
        let heard = answer.send(outcome).is_ok();
        if !(reached && heard) {
            self.leave(&place).await;
        }
    }

    /// Takes a place, or finds the one that the lease has already.
    async fn enter(&self, entry: Entry) -> Result<Place, Status> {
        let lease = self.lease(entry.lease).await?;
        let prefix = prefix_of(&entry.name);
        let key = key_of(&prefix, lease);
        let value = entry.value.clone().unwrap_or_default();
        let txn = pb::TxnRequest {
            compare: vec![created_at(&key, 0)],
            success: vec![op(put(&key, value, lease))],
            failure: vec![op(Op::RequestRange(point(&key)))],
        };
        let response = self.txn(txn).await?;
        let mut revision = response.header.map_or(0, |header| header.revision);
        if let Some(found) = found_in(&response) {
            revision = found.create_revision();
            if let Some(value) = entry.value.filter(|value| found.value() != value) {
                // If the key goes away before this, the wait notices.
                self.put_if(&key, revision, value, lease).await?;
            }
        }
        Ok(Place {
            prefix,
            key,
            revision,
            lease,
        })
    }

    /// Completes at the head of the queue with the header of the read that showed it; `None` if the key is
    /// gone.
    async fn wait(&self, place: &Place) -> Result<Option<Option<pb::ResponseHeader>>, Status> {
        loop {
            let ahead = pb::RangeRequest {
                limit: 1,
                sort_order: SortOrder::Descend.into(),
                sort_target: SortTarget::Create.into(),
                max_create_revision: place.revision - 1,
                keys_only: true,
                ..whole(&place.prefix)
            };
            let read = self.range(ahead).await?;
            let Some(predecessor) = read.kvs.first() else {
                break;
            };
            let since = read.header.map_or(0, |header| header.revision);
            self.deleted(predecessor.key().clone(), since).await?;
        }
        let own = self.range(point(&place.key)).await?;
        let mut kvs = own.kvs.iter();
        let held = kvs.any(|kv| kv.create_revision() == place.revision);
        Ok(held.then_some(own.header))
    }

    /// Completes when a key that was there at revision `since` may have been deleted.
    async fn deleted(&self, key: Bytes, since: i64) -> Result<(), Status> {
        let mut events = self.watch(KeyRange::point(key), since, true).await?;
        while let Some(told) = events.next().await? {
            if !told.events.is_empty() {
                return Ok(());
            }
        }
        // Cancelled because of a compaction: whoever waits looks again.
        Ok(())
    }

    /// Watches what comes after revision `since`.
    pub(super) async fn watch(
        &self,
        range: KeyRange,
        since: i64,
        no_put: bool,
    ) -> Result<Events, Status> {
        self.engine.check_read(&range)?;
        let (requests, frames) = self.engine.open_watch()?;
        let spec = WatchSpec {
            id: None,
            range,
            start: Some(Revision(since).next()),
            prev_kv: false,
            progress_notify: false,
            no_put,
            no_delete: false,
            fragment: false,
        };
        let sent = requests.send(WatchRequest::Create(spec)).await;
        sent.map_err(|_| status::stopped())?;
        Ok(Events(frames))
    }

    /// Gives a place up, if it is still the one that was taken.
    async fn leave(&self, place: &Place) {
        for _ in 0..ATTEMPTS_TO_LEAVE {
            match self.delete_if(&place.key, place.revision).await {
                Ok(_) => return,
                Err(status) => tracing::debug!(%status, "a place in a queue is not given up yet"),
            }
            tokio::time::sleep(LEAVE_PAUSE).await;
        }
    }

    /// Deletes a key if it was created at `revision`.
    pub(super) async fn delete_if(
        &self,
        key: &Bytes,
        revision: i64,
    ) -> Result<pb::TxnResponse, Status> {
        let delete = pb::DeleteRangeRequest {
            key: key.clone(),
            ..pb::DeleteRangeRequest::default()
        };
        let txn = pb::TxnRequest {
            compare: vec![created_at(key, revision)],
            success: vec![op(Op::RequestDeleteRange(delete))],
            failure: Vec::new(),
        };
        self.txn(txn).await
    }

    /// Writes a key if it was created at `revision`.
    pub(super) async fn put_if(
        &self,
        key: &Bytes,
        revision: i64,
        value: Bytes,
        lease: i64,
    ) -> Result<pb::TxnResponse, Status> {
        let txn = pb::TxnRequest {
            compare: vec![created_at(key, revision)],
            success: vec![op(put(key, value, lease))],
            failure: Vec::new(),
        };
        self.txn(txn).await
    }

    /// The lease that a client brings, or a new one, which nobody keeps alive.
    pub(super) async fn lease(&self, lease: i64) -> Result<i64, Status> {
        if lease != 0 {
            return Ok(lease);
        }
        let granted = self.engine.lease_grant(LeaseId::NONE, LEASE_SECONDS).await;
        let (_, id, _) = granted?;
        Ok(id.0)
    }

    /// The head of a queue, if there is one, and the header of the read.
    pub(super) async fn head(
        &self,
        name: &Bytes,
    ) -> Result<(Option<pb::ResponseHeader>, Option<KeyValue>), Status> {
        let first = pb::RangeRequest {
            limit: 1,
            sort_order: SortOrder::Ascend.into(),
            sort_target: SortTarget::Create.into(),
            ..whole(&prefix_of(name))
        };
        let read = self.range(first).await?;
        Ok((read.header, read.kvs.into_iter().next()))
    }

    async fn range(&self, request: pb::RangeRequest) -> Result<pb::RangeResponse, Status> {
        self.kv.range(self.caller.as_ref(), request).await
    }

    async fn txn(&self, request: pb::TxnRequest) -> Result<pb::TxnResponse, Status> {
        self.kv.txn(self.caller.as_ref(), request).await
    }

    /// Deletes a key, whoever created it.
    pub(super) async fn delete(&self, key: Bytes) -> Result<pb::DeleteRangeResponse, Status> {
        let request = pb::DeleteRangeRequest {
            key,
            ..pb::DeleteRangeRequest::default()
        };
        self.kv.delete_range(self.caller.as_ref(), request).await
    }
}

/// The responses of one watcher.
#[derive(Debug)]
pub(super) struct Events(WatchFrames);

impl Events {
    /// The next response; `None` when the watcher is cancelled.
    pub(super) async fn next(&mut self) -> Result<Option<WatchFields>, Status> {
        let frame = self.0.next().await.ok_or_else(status::stopped)?;
        let told = decode(frame)?;
        Ok((!told.canceled).then_some(told))
    }
}

fn decode(frame: Frame) -> Result<WatchFields, Status> {
    let response = WatchFields::decode(frame.head.chain(frame.body));
    response.map_err(|error| Status::internal(error.to_string()))
}

/// An error as these services give it: etcd's are clients inside the server, whose errors have lost their
/// codes on the way out.
pub(super) fn without_code(status: Status) -> Status {
    if status.message().starts_with("etcdserver: ") {
        return Status::new(Code::Unknown, status.message());
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_of_the_store_lose_their_codes() {
        let lost = without_code(EngineError::LeaseNotFound.into());
        assert_eq!(lost.code(), Code::Unknown);
        assert_eq!(lost.message(), "etcdserver: requested lease not found");
        let late = without_code(EngineError::DeadlineExceeded.into());
        assert_eq!(late.code(), Code::DeadlineExceeded);
    }
}
