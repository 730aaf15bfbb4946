//! Charging quotas: deciding by what they say, and writing it down before anybody else does.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::sync::{Mutex, MutexGuard};

use super::decide::{Request, decide};
use super::list;
use crate::kube::object::meta;
use crate::kube::schema::Schema;
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::tree;

/// Times that a request decides anew because others charge the same quotas. On one member they take turns, so these
/// are other members and the quota controller, and somebody has been charged each time.
const TRIED: usize = 20;
/// Writers of two namespaces seldom wait for each other.
const LANES: usize = 64;

/// Where quotas are kept.
pub(super) trait Quotas: Sync {
    /// Those of a namespace, in the order of their names; with every write that was acknowledged before the call if
    /// they are to be the latest.
    fn list(
        &self,
        namespace: &str,
        latest: bool,
    ) -> impl Future<Output = ApiResult<Vec<Arc<Value>>>> + Send;

    /// Puts one in the place of the version that it was made of. False if that is not what is stored any more.
    fn replace(&self, old: &Value, new: Value) -> impl Future<Output = ApiResult<bool>> + Send;
}

/// Writers of a namespace take turns: each would only spoil the others' conditional writes.
#[derive(Debug)]
pub(in crate::kube::admission) struct Turns {
    lanes: [Mutex<()>; LANES],
    hasher: RandomState,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            lanes: [const { Mutex::const_new(()) }; LANES],
            hasher: RandomState::new(),
        }
    }
}

impl Turns {
    async fn wait(&self, namespace: &str) -> Option<MutexGuard<'_, ()>> {
        let lanes = LANES as u64;
        let lane = usize::try_from(self.hasher.hash_one(namespace) % lanes).ok()?;
        Some(self.lanes.get(lane)?.lock().await)
    }
}

/// Charges the quotas of a request's namespace for it.
///
/// # Errors
/// 403 if it is too much for one of them; what was charged until then stays so until the quotas are counted anew. 409
/// if others are quicker all the time.
pub(super) async fn charge(
    quotas: &impl Quotas,
    turns: &Turns,
    request: Request<'_>,
) -> ApiResult<()> {
    let (namespace, charged) = (request.by.namespace, request.by.charged);
    if quotas.list(namespace, false).await?.is_empty() {
        return Ok(());
    }
    let _turn = turns.wait(namespace).await;
    let mut latest = false;
    for _ in 0..TRIED {
        let known = quotas.list(namespace, latest).await?;
        let decided = decide(request, &known, &charged.0.lock());
        let charges = match decided {
            Ok(charges) => charges,
            // It may have been given back a moment ago.
            Err(_) if !latest => {
                latest = true;
                continue;
            }
            Err(error) => return Err(error),
        };
        if request.by.dry_run {
            return Ok(());
        }
        latest = true;
        let mut done = true;
        for charge in charges {
            let new = with_used(&charge.quota, list::object(&charge.used));
            if quotas.replace(&charge.quota, new).await? {
                let mut paid = charged.0.lock();
                let paid = paid.entry(meta::uid(&charge.quota).to_owned()).or_default();
                list::add(paid, &charge.more);
            } else {
                done = false;
            }
        }
        if done {
            return Ok(());
        }
    }
    let why = "the quotas of the namespace change all the time; please try again";
    Err(ApiError::conflict(
        request.by.resource,
        request.by.name,
        why,
    ))
}

/// A quota that says that so much is used.
fn with_used(quota: &Value, used: Map<String, Value>) -> Value {
    let mut new = quota.clone();
    let schema = Schema::built_in();
    let of = schema.find("core/v1.ResourceQuotaStatus");
    let status = new.get_mut("status").and_then(Value::as_object_mut);
    if let (Some(of), Some(status)) = (of, status) {
        tree::set_in_order(schema.get(of), status, "used", used.into());
    }
    new
}
