//! What all objects have: identity, times, generation, owners.

use serde_json::Value;

use super::{Context, Object, Rng, names};
use crate::kube::schema::{ObjectType, Resource, Schema};
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::tree::{self, keep, make, remove, set_in_order};

/// What the server alone sets.
const SYSTEM: [&str; 5] = [
    "creationTimestamp",
    "uid",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
];

pub(super) fn metadata_type(schema: &Schema) -> Option<&ObjectType> {
    schema.find("meta/v1.ObjectMeta").map(|id| schema.get(id))
}

/// The metadata of an object, made where there is none, with its type.
pub(super) fn of<'a, 'b>(
    schema: &'a Schema,
    resource: &Resource,
    object: &'b mut Object,
) -> Option<(&'a ObjectType, &'b mut Object)> {
    // The fields of a custom resource have no order of their own: metadata is its third.
    let found = match resource.object {
        Some(id) => make(schema.get(id), object, "metadata"),
        None => object
            .entry("metadata")
            .or_insert_with(|| Object::new().into())
            .as_object_mut(),
    };
    Some((metadata_type(schema)?, found?))
}

/// Takes away what a client may not set at creation, and puts the object into the request's namespace.
///
/// # Errors
/// 400 if the object names another namespace.
pub fn begin_create(
    schema: &Schema,
    resource: &Resource,
    namespace: &str,
    object: &mut Value,
) -> ApiResult<()> {
    let Some(object) = object.as_object_mut() else {
        return Ok(());
    };
    let Some((of, metadata)) = of(schema, resource, object) else {
        return Ok(());
    };
    for field in SYSTEM {
        remove(metadata, field);
    }
    let said = metadata
        .get("namespace")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let expected = if resource.namespaced { namespace } else { "" };
    if said == expected {
        return Ok(());
    }
    if expected.is_empty() {
        remove(metadata, "namespace");
        return Ok(());
    }
    if !said.is_empty() {
        let why =
            "the namespace of the provided object does not match the namespace sent on the request";
        return Err(ApiError::bad_request(why));
    }
    set_in_order(of, metadata, "namespace", expected.into());
    Ok(())
}

/// Gives a new object its identity: creation time, uid, and a name if it only has a beginning of one.
pub fn fill(cx: &Context<'_>, resource: &Resource, object: &mut Value, rng: Rng<'_>) {
    let Some((of, metadata)) = object
        .as_object_mut()
        .and_then(|object| of(cx.schema, resource, object))
    else {
        return;
    };
    set_in_order(of, metadata, "creationTimestamp", cx.stamp());
    set_in_order(of, metadata, "uid", names::uid(rng).into());
    let text = |field| {
        metadata
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    if text("name").is_empty() && !text("generateName").is_empty() {
        let name = names::generate(text("generateName"), rng);
        set_in_order(of, metadata, "name", name.into());
    } else if text("name").is_empty() && &*resource.plural == "limitranges" {
        let name = names::uid(rng);
        set_in_order(of, metadata, "name", name.into());
    }
}

/// Drops owners that are named twice; the warning that the client gets for it.
pub fn dedup_owners(object: &mut Value, after_admission: bool) -> Option<String> {
    let owners = object.get_mut("metadata")?.get_mut("ownerReferences")?;
    let owners = owners.as_array_mut()?;
    let mut kept: Vec<Value> = Vec::with_capacity(owners.len());
    let mut twice = Vec::new();
    for owner in owners.drain(..) {
        if kept.contains(&owner) {
            twice.push(tree::text(&owner, &["uid"]).to_owned());
        } else {
            kept.push(owner);
        }
    }
    *owners = kept;
    if twice.is_empty() {
        return None;
    }
    let when = if after_admission {
        " after mutating admission happens"
    } else {
        ""
    };
    Some(format!(
        ".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
        twice.join(", ")
    ))
}

/// Before the kind's own rules: the generation is the stored one's until something counts.
pub(super) fn keep_generation(of: &ObjectType, metadata: &mut Object, old: &Object) {
    keep(of, metadata, old, "generation");
}

/// After the kind's own rules: what cannot be changed is what it was.
pub(super) fn keep_identity(of: &ObjectType, metadata: &mut Object, old: &Object) {
    let set = |map: &Object, field: &str| map.get(field).is_some_and(|v| !tree::is_zero(v));
    if !set(metadata, "uid") {
        keep(of, metadata, old, "uid");
    }
    for field in ["creationTimestamp", "deletionTimestamp"] {
        if set(old, field) {
            keep(of, metadata, old, field);
        }
    }
    let period = "deletionGracePeriodSeconds";
    if !metadata.contains_key(period) {
        keep(of, metadata, old, period);
    }
}

/// For updates of a status that may not touch metadata.
pub(super) fn reset_for_status(of: &ObjectType, metadata: &mut Object, old: &Object) {
    for field in [
        "deletionTimestamp",
        "generation",
        "selfLink",
        "labels",
        "annotations",
        "finalizers",
        "ownerReferences",
    ] {
        keep(of, metadata, old, field);
    }
}
