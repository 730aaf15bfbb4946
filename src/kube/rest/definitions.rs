//! Keeps what CustomResourceDefinitions say of themselves: which names they have, whether they are served, and what
//! is left of those that go. Group versions that they add get their APIService.
//!
//! Every member does it. Writes are conditional, and all members come to the same result, so the quickest one's stands.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::call::Call;
use super::establish::{self, ensure};
use super::options::WriteOptions;
use super::write::{Change, Owners};
use super::{Inner, KubeServer, remove, steps};
use crate::kube::bootstrap::{AUTOMANAGED, custom_api_service};
use crate::kube::catalog::DEFINITIONS;
use crate::kube::custom::{finalizer, settle};
use crate::kube::object::meta;
use crate::kube::objects::Objects as _;
use crate::kube::schema::Resources;
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::strategy::deletion::DeleteOptions;
use crate::kube::views::{Stored, WatchStart};
use crate::kube::{codec, store, tree};

const GROUP: &str = "apiextensions.k8s.io";
const PLURAL: &str = "customresourcedefinitions";
/// Between looks at what is left of definitions that go: their objects may have finalizers of their own.
const LOOK: Duration = Duration::from_secs(1);
/// Between attempts while the cluster cannot take writes.
const RETRY: Duration = Duration::from_millis(200);
/// Times that a status is written while others write the same definition.
const TRIED: usize = 5;

impl KubeServer {
    /// Looks after definitions for as long as the member serves.
    pub async fn keep_definitions(&self) {
        loop {
            let prefix = store::prefix(DEFINITIONS, "").into();
            let views = self.inner().store.views();
            if let Ok(mut opened) = views.watch(WatchStart::Now, prefix).await {
                loop {
                    let settled = settle_all(self.inner()).await;
                    let wait = match settled {
                        Ok(Left::Nothing) => None,
                        Ok(Left::Ending) => Some(LOOK),
                        Err(error) => {
                            tracing::debug!(%error, "definitions cannot be looked after yet");
                            Some(RETRY)
                        }
                    };
                    let event = match wait {
                        Some(wait) => tokio::time::timeout(wait, opened.events.recv()).await,
                        None => Ok(opened.events.recv().await),
                    };
                    match event {
                        Ok(None) => break,
                        // What has come meanwhile is looked at together.
                        Ok(Some(_)) => while opened.events.try_recv().is_ok() {},
                        Err(_) => {}
                    }
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// What a look has left to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    /// Definitions whose objects are not all gone.
    Ending,
}

/// Looks at every definition until nothing changes any more.
async fn settle_all(inner: &Inner) -> ApiResult<Left> {
    loop {
        // What this member has written itself is to be seen.
        inner.store.latest().await?;
        let all = inner.live.list(GROUP, PLURAL, None);
        let (mut changed, mut left) = (false, Left::Nothing);
        for definition in &all {
            if steps::is_deleting(definition) {
                left = Left::Ending;
                changed |= end(inner, definition).await?;
            } else if let Some(wanted) = settle(definition, &all, &steps::now()) {
                changed |= write_status(inner, &wanted).await?;
            }
        }
        if !changed {
            keep_api_services(inner).await?;
            return Ok(left);
        }
    }
}

/// A request of the server's own for a definition, or for a part of one.
fn definition_call(name: &str, part: Option<&str>) -> ApiResult<Call> {
    let mut call = built_in_call(GROUP, PLURAL, name)?;
    call.subresource = part.and_then(|part| call.resource.subresource_named(part).cloned());
    Ok(call)
}

fn built_in_call(group: &str, plural: &str, name: &str) -> ApiResult<Call> {
    let resource = Resources::built_in().find(group, "v1", plural);
    let resource = resource.ok_or_else(ApiError::no_such_resource)?;
    Ok(establish::call_of(Arc::clone(resource), "", name))
}

/// Writes the status of a definition. True if it is another one now.
async fn write_status(inner: &Inner, wanted: &Value) -> ApiResult<bool> {
    let call = definition_call(meta::name(wanted), Some("status"))?;
    let change = Change {
        options: &WriteOptions::default(),
        attempts: TRIED,
        owners: Owners::Tracked,
    };
    // It names the version that it was made of: somebody else's change comes first and is looked at again.
    match change.run(inner, &call, |_| Ok(wanted.clone())).await {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.code, 404 | 409) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Deletes the objects of a definition that goes, and lets go of it when there are none. True if it has changed.
async fn end(inner: &Inner, definition: &Value) -> ApiResult<bool> {
    if !finalizer::is_due(definition) {
        return Ok(false);
    }
    let objects = instances(inner, definition);
    if objects.is_empty() {
        return let_go(inner, definition).await;
    }
    let mut wanted = Value::clone(definition);
    finalizer::deleting(&mut wanted, &steps::now());
    if wanted != *definition {
        return write_status(inner, &wanted).await;
    }
    let catalog = inner.catalogs.current();
    let mut custom = catalog.resources().filter(|resource| {
        let kind = resource.custom.as_ref();
        kind.is_some_and(|kind| *kind.definition.uid == *meta::uid(definition))
    });
    // A definition that was never served has nothing to delete by the rules.
    let Some(resource) = custom.next() else {
        return Ok(false);
    };
    for (stored, object) in objects {
        if steps::is_deleting(&object) {
            continue;
        }
        let call = establish::call_of(
            Arc::clone(resource),
            meta::namespace(&object),
            meta::name(&object),
        );
        let copy = Stored::new(stored.key.clone(), stored.value.clone(), stored.revision);
        match remove::remove(inner, &call, copy, &DeleteOptions::default()).await {
            Ok(_) => {}
            Err(error) if matches!(error.code, 404 | 409) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

type Instance = (Arc<Stored>, Arc<Value>);

/// The objects of a definition, as they are stored.
fn instances(inner: &Inner, definition: &Value) -> Vec<Instance> {
    let group = tree::text(definition, &["spec", "group"]);
    let plural = tree::text(definition, &["spec", "names", "plural"]);
    let prefix = store::prefix(&format!("{group}/{plural}"), "");
    let world = inner.store.views().world();
    let stored = world.range(prefix.as_bytes(), b"");
    stored
        .filter_map(|stored| Some((Arc::clone(stored), Arc::clone(codec::object(stored).ok()?))))
        .collect()
}

async fn let_go(inner: &Inner, definition: &Value) -> ApiResult<bool> {
    let call = definition_call(meta::name(definition), None)?;
    let change = Change {
        options: &WriteOptions::default(),
        attempts: TRIED,
        owners: Owners::Tracked,
    };
    let without = |current: &Value| {
        let mut object = current.clone();
        finalizer::finish(&mut object, &steps::now());
        if object.pointer("/metadata/finalizers") == Some(&json!([])) {
            meta::set(&mut object, "finalizers", Value::Null);
        }
        Ok(object)
    };
    match change.run(inner, &call, without).await {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.code, 404 | 409) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Makes the APIService of every custom group version, and deletes those of versions that are gone.
async fn keep_api_services(inner: &Inner) -> ApiResult<()> {
    let catalog = inner.catalogs.current();
    let wanted: Vec<_> = catalog
        .told()
        .iter()
        .map(|of| custom_api_service(&of.group, &of.version, &steps::now()))
        .collect();
    for own in &wanted {
        ensure(inner, own).await?;
    }
    for existing in inner
        .live
        .list("apiregistration.k8s.io", "apiservices", None)
    {
        let managed = meta::label(&existing, AUTOMANAGED);
        let name = meta::name(&existing);
        if managed == Some("true") && !wanted.iter().any(|own| own.name() == name) {
            let call = built_in_call("apiregistration.k8s.io", "apiservices", name)?;
            let body =
                Bytes::from(json!({"preconditions": {"uid": meta::uid(&existing)}}).to_string());
            match remove::delete(inner, &call, &body).await {
                Err(error) if !matches!(error.code, 404 | 409) => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}
