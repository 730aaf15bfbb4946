//! One kind in several versions: what is stored, and what clients of another version see.
//!
//! Two built-in kinds have more than one served version: events, which are stored as core's, and horizontal pod
//! autoscalers, which are stored as `autoscaling/v2`. Everything else is stored as it is served.

mod autoscaler;
mod event;

use std::borrow::Cow;

use serde_json::Value;

use super::apply::{Type, Versions};
use super::schema::{Resource, Resources, Schema};

/// The object as the version of `resource` has it, made from the stored one.
pub fn from_storage(resource: &Resource, mut stored: Value) -> Value {
    if let Some(kind) = &resource.custom {
        kind.read(&mut stored);
        return stored;
    }
    match (&*resource.group, &*resource.version, &*resource.plural) {
        ("events.k8s.io", "v1", "events") => event::from_core(&stored),
        ("autoscaling", "v1", "horizontalpodautoscalers") => autoscaler::from_v2(&stored),
        _ => stored,
    }
}

/// Whether [`from_storage`] leaves objects of a resource as they are.
pub fn is_stored_as_served(resource: &Resource) -> bool {
    let key = (&*resource.group, &*resource.version, &*resource.plural);
    // What a custom resource is served as depends on a definition that can change.
    resource.object.is_some()
        && !matches!(
            key,
            ("events.k8s.io", "v1", "events") | ("autoscaling", "v1", "horizontalpodautoscalers")
        )
}

/// The object that is stored for one of the version of `resource`.
pub fn to_storage<'a>(resource: &Resource, object: &'a Value) -> Cow<'a, Value> {
    if let Some(kind) = &resource.custom {
        return Cow::Owned(kind.to_storage(object));
    }
    match (&*resource.group, &*resource.version, &*resource.plural) {
        ("events.k8s.io", "v1", "events") => Cow::Owned(event::to_core(object)),
        ("autoscaling", "v1", "horizontalpodautoscalers") => Cow::Owned(autoscaler::to_v2(object)),
        _ => Cow::Borrowed(object),
    }
}

/// The versions of built-in kinds, for the owners of fields: each owns them under the names of its own version.
#[derive(Debug, Clone, Copy)]
pub struct BuiltInVersions;

impl Versions for BuiltInVersions {
    fn convert(&self, object: &Value, version: &str) -> Option<(Value, Type<'static>)> {
        let kind = object.get("kind")?.as_str()?;
        let find = |of: &str| {
            let (group, version) = of.rsplit_once('/').unwrap_or(("", of));
            let of = Resources::built_in().group_version(group, version)?;
            of.resources
                .iter()
                .find(|one| &*one.kind == kind && one.key.is_some())
        };
        let (from, to) = (find(object.get("apiVersion")?.as_str()?)?, find(version)?);
        let object = from_storage(to, to_storage(from, object).into_owned());
        Some((object, Type::of(Schema::built_in(), to.object?)))
    }
}
