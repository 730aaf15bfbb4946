//! Objects as keys of the engine: where each is stored, and the conditional writes that change it.
//!
//! Keys and their conditions are kube-apiserver's, so that either can serve what the other wrote. A resource
//! version is the revision of an object's last change and is not part of what is stored.

use std::time::Duration;

use bytes::Bytes;

use super::schema::Resource;
use super::status::{ApiError, ApiResult};
use super::views::{Stored, Views, World};
use crate::base::ids::LeaseId;
use crate::base::kv::Kv;
use crate::base::range::KeyRange;
use crate::engine::{Consistency, Engine, EngineError};
use crate::mvcc::ops::{
    Compare, CompareResult, CompareTarget, DeleteOp, Op, OpResult, PutOp, RangeOp, Txn,
};

/// Everything is stored below this.
pub const ROOT: &str = "/registry/";
/// How long a read waits for a revision that this member has not reached.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// The objects of one member's store.
#[derive(Debug, Clone)]
pub struct ObjectStore {
    engine: Engine,
    views: Views,
}

/// What became of a conditional write.
#[derive(Debug)]
pub enum Written {
    /// It is done, at this revision.
    At(i64),
    /// The condition did not hold: this is stored instead.
    Not(Option<Stored>),
}

/// The key prefix of a collection: of a namespace, or of all with `""`. Ends in `/`.
pub fn prefix(place: &str, namespace: &str) -> String {
    match namespace {
        "" => format!("{ROOT}{place}/"),
        namespace => format!("{ROOT}{place}/{namespace}/"),
    }
}

/// The key of an object.
pub fn key(place: &str, namespace: &str, name: &str) -> Bytes {
    format!("{}{name}", prefix(place, namespace)).into()
}

/// Where the objects of a resource are stored below [`ROOT`].
///
/// # Errors
/// 405 for a resource that is not stored.
pub fn place(resource: &Resource) -> ApiResult<&str> {
    resource
        .key
        .as_deref()
        .ok_or_else(ApiError::method_not_allowed)
}

impl ObjectStore {
    pub fn new(engine: Engine, views: Views) -> Self {
        Self { engine, views }
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    pub fn views(&self) -> &Views {
        &self.views
    }

    /// A world that has every write that was acknowledged before the call, on whatever member.
    ///
    /// # Errors
    /// 504 if this member cannot know in time.
    pub async fn latest(&self) -> ApiResult<std::sync::Arc<World>> {
        self.engine.read_barrier().await.map_err(refused)?;
        let revision = self.engine.header().revision.get();
        self.not_older_than(revision).await
    }

    /// A world that is not older than a revision.
    ///
    /// # Errors
    /// 504 if it takes too long to come.
    pub async fn not_older_than(&self, revision: i64) -> ApiResult<std::sync::Arc<World>> {
        if let Err(current) = self.views.reach(revision, PATIENCE).await {
            let number = |revision: i64| u64::try_from(revision).unwrap_or_default();
            return Err(ApiError::version_too_large(
                number(revision),
                number(current),
            ));
        }
        Ok(self.views.world())
    }

    /// The objects below `prefix` at exactly `revision`, read from the store. `limit` is a number of keys.
    ///
    /// # Errors
    /// 410 if the revision has been compacted.
    pub async fn exactly(
        &self,
        range: KeyRange,
        revision: i64,
        limit: Option<usize>,
    ) -> ApiResult<(Vec<Stored>, i64)> {
        let op = RangeOp {
            revision: Some(crate::base::ids::Revision(revision)),
            limit: limit.map(|limit| limit as u64),
            ..RangeOp::new(range)
        };
        let read = self.engine.range(op, Consistency::Serializable).await;
        let (_, result) = read.map_err(refused)?;
        let stored = result.kvs.iter().map(stored).collect::<ApiResult<_>>()?;
        Ok((stored, result.count))
    }

    /// Creates an object, unless there is one.
    ///
    /// # Errors
    /// What the store says; nothing is written, or the outcome is unknown on a time-out.
    pub async fn create(&self, key: Bytes, value: Bytes, lease: LeaseId) -> ApiResult<Written> {
        self.replace(key, 0, value, lease).await
    }

    /// Writes an object if its last change is `revision`, or if there is none at 0.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub async fn replace(
        &self,
        key: Bytes,
        revision: i64,
        value: Bytes,
        lease: LeaseId,
    ) -> ApiResult<Written> {
        let put = PutOp {
            lease,
            ..PutOp::new(key.clone(), value)
        };
        self.conditional(key, revision, Op::Put(put)).await
    }

    /// Deletes an object if its last change is `revision`.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub async fn delete(&self, key: Bytes, revision: i64) -> ApiResult<Written> {
        let delete = DeleteOp {
            range: KeyRange::point(key.clone()),
            prev_kv: false,
        };
        self.conditional(key, revision, Op::Delete(delete)).await
    }

    async fn conditional(&self, key: Bytes, revision: i64, op: Op) -> ApiResult<Written> {
        let txn = Txn {
            compares: vec![Compare {
                range: KeyRange::point(key.clone()),
                result: CompareResult::Equal,
                target: CompareTarget::ModRevision(revision),
            }],
            success: vec![op],
            failure: vec![Op::Range(RangeOp::new(KeyRange::point(key)))],
        };
        let done = self.engine.txn(txn, Consistency::Linearizable).await;
        let (header, result) = done.map_err(refused)?;
        if result.succeeded {
            return Ok(Written::At(header.revision.get()));
        }
        match result.results.first() {
            Some(OpResult::Range(found)) => {
                Ok(Written::Not(found.kvs.first().map(stored).transpose()?))
            }
            _ => Err(ApiError::internal("a transaction without its read")),
        }
    }

    /// Reads one object as of now.
    ///
    /// # Errors
    /// What the store says.
    pub async fn read(&self, key: Bytes) -> ApiResult<Option<Stored>> {
        let op = RangeOp::new(KeyRange::point(key));
        let read = self.engine.range(op, Consistency::Linearizable).await;
        let (_, result) = read.map_err(refused)?;
        result.kvs.first().map(stored).transpose()
    }
}

fn stored(kv: &Kv) -> ApiResult<Stored> {
    let view = kv.view().map_err(ApiError::internal)?;
    let value = kv.body.slice_ref(view.value);
    Ok(Stored::new(
        kv.key.clone(),
        value,
        view.meta.mod_revision.get(),
    ))
}

/// What the engine refuses, as clients of Kubernetes know it.
pub fn refused(error: EngineError) -> ApiError {
    match error {
        EngineError::Compacted => {
            ApiError::expired("The resourceVersion for the provided list is too old.")
        }
        EngineError::TooManyRequests => {
            ApiError::new(429, "TooManyRequests", "etcdserver: too many requests")
        }
        EngineError::RequestTooLarge => ApiError::unclassified("etcdserver: request is too large"),
        EngineError::Timeout
        | EngineError::TimeoutLeaderFailure
        | EngineError::TimeoutConnectionLost
        | EngineError::DeadlineExceeded
        | EngineError::NoLeader
        | EngineError::LeaderChanged => {
            ApiError::new(504, "Timeout", format!("Timeout: etcdserver: {error}"))
        }
        other => ApiError::unclassified(format!("etcdserver: {other}")),
    }
}
