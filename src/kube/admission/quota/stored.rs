//! The quotas of the store.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;

use super::Turns;
use super::charge::{Quotas, charge};
use super::decide::Request;
use super::measure::{Measure, With};
use crate::base::ids::LeaseId;
use crate::kube::admission::attributes::{Attributes, Operation};
use crate::kube::apply::{FieldManager, Update};
use crate::kube::codec;
use crate::kube::convert::BuiltInVersions;
use crate::kube::live::Live;
use crate::kube::object::meta;
use crate::kube::objects::Objects as _;
use crate::kube::schema::Resources;
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::store::{self, ObjectStore, Written};
use crate::kube::strategy;

/// Who manages the fields that are charged.
const MANAGER: &str = "kube-apiserver";

/// Charges the quotas of a namespace for what is to be written in it.
///
/// # Errors
/// As [`charge`], and what the store says.
pub(in crate::kube::admission) async fn check(
    stored: (&ObjectStore, &Live),
    turns: &Turns,
    by: &Attributes<'_>,
    objects: (Option<&Value>, &Value),
    now: SystemTime,
) -> ApiResult<()> {
    let (old, object) = objects;
    let creates_namespace = by.about("", "namespaces") && by.operation == Operation::Create;
    let Some(measure) = Measure::of(by) else {
        return Ok(());
    };
    if by.namespace.is_empty() || creates_namespace || !measure.handles(by, old, object) {
        return Ok(());
    }
    let (store, live) = stored;
    let with = With {
        objects: live,
        namespace: by.namespace,
        now,
    };
    let request = Request {
        by,
        with,
        measure,
        object,
        old,
    };
    charge(&Stored { store, live, now }, turns, request).await
}

struct Stored<'a> {
    store: &'a ObjectStore,
    live: &'a Live,
    now: SystemTime,
}

impl Quotas for Stored<'_> {
    async fn list(&self, namespace: &str, latest: bool) -> ApiResult<Vec<Arc<Value>>> {
        if latest {
            self.store.latest().await?;
        }
        Ok(self.live.list("", "resourcequotas", Some(namespace)))
    }

    async fn replace(&self, old: &Value, new: Value) -> ApiResult<bool> {
        let resource = Resources::built_in().find("", "v1", "resourcequotas");
        let resource = resource.ok_or_else(ApiError::no_such_resource)?;
        let version = meta::resource_version(old).parse();
        let version: i64 = version.map_err(ApiError::internal)?;
        let manager = FieldManager::new(resource, "status", Box::new(BuiltInVersions));
        let update = Update {
            live: Some(old),
            manager: MANAGER,
            now: &strategy::rfc3339(self.now),
            reset: false,
        };
        let mut new = manager.update(new, &update);
        meta::strip_resource_version(&mut new);
        let place = store::place(resource)?;
        let key = store::key(place, meta::namespace(old), meta::name(old));
        let bytes = codec::encode(&new);
        match self
            .store
            .replace(key, version, bytes, LeaseId::NONE)
            .await?
        {
            Written::At(revision) => {
                // Whoever comes next would only find out by a write that fails.
                let _ = self.store.not_older_than(revision).await;
                Ok(true)
            }
            Written::Not(_) => Ok(false),
        }
    }
}
