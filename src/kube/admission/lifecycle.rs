//! NamespaceLifecycle: nothing is created in a namespace that is not there or on its way out.

use serde_json::Value;

use super::{Attributes, Operation};
use crate::kube::live::Live;
use crate::kube::objects::Objects as _;
use crate::kube::schema::{Resource, Resources};
use crate::kube::status::{ApiError, ApiResult, Cause};
use crate::kube::store::{self, ObjectStore};
use crate::kube::{codec, tree};

pub(super) const NAME: &str = "NamespaceLifecycle";
pub(super) const EXISTS: &str = "NamespaceExists";

/// Groups whose objects are answers and not stored: they may be asked for about any namespace.
const REVIEWS: [&str; 2] = ["authorization.k8s.io", "authentication.k8s.io"];

/// Judges a write in a namespace.
///
/// # Errors
/// 404 if the namespace is not there, 403 if it is being deleted.
pub(super) async fn check(
    store: &ObjectStore,
    live: &Live,
    attributes: &Attributes<'_>,
) -> ApiResult<()> {
    let Attributes {
        resource,
        namespace,
        operation,
        ..
    } = *attributes;
    let is_namespace = resource.group.is_empty() && &*resource.plural == "namespaces";
    if namespace.is_empty() || is_namespace || operation != Operation::Create {
        return Ok(());
    }
    if REVIEWS.contains(&&*resource.group) {
        return Ok(());
    }
    let namespaces = namespaces()?;
    let found = match live.get("", "namespaces", "", namespace) {
        Some(found) => found,
        // One that was made a moment ago may not have come here yet.
        None => {
            let key = store::key("namespaces", "", namespace);
            let stored = store.read(key).await?;
            let stored = stored.ok_or_else(|| ApiError::not_found(namespaces, namespace))?;
            codec::decode(&stored).map_err(ApiError::internal)?.into()
        }
    };
    if tree::text(&found, &["status", "phase"]) == "Terminating" {
        return Err(terminating(resource, attributes.name, namespace, &found));
    }
    Ok(())
}

/// NamespaceExists: whatever is done in a namespace that is not there is refused.
///
/// # Errors
/// 404.
pub(super) async fn exists(
    store: &ObjectStore,
    live: &Live,
    attributes: &Attributes<'_>,
) -> ApiResult<()> {
    let namespace = attributes.namespace;
    let applies = !namespace.is_empty() && !attributes.about("", "namespaces");
    if !applies
        || attributes.operation == Operation::Connect
        || live.get("", "namespaces", "", namespace).is_some()
    {
        return Ok(());
    }
    match store.read(store::key("namespaces", "", namespace)).await? {
        Some(_) => Ok(()),
        None => Err(ApiError::not_found(namespaces()?, namespace)),
    }
}

pub(super) fn namespaces() -> ApiResult<&'static Resource> {
    let namespaces = Resources::built_in().find("", "v1", "namespaces");
    Ok(namespaces.ok_or_else(ApiError::no_such_resource)?)
}

fn terminating(resource: &Resource, name: &str, namespace: &str, _found: &Value) -> ApiError {
    let why = format!(
        "unable to create new content in namespace {namespace} because it is being terminated"
    );
    let mut error = ApiError::forbidden(resource, name, why);
    if let Some(details) = &mut error.details {
        details.causes.push(Cause {
            reason: "NamespaceTerminating".into(),
            message: format!("namespace {namespace} is being terminated"),
            field: "metadata.namespace".into(),
        });
    }
    error
}
