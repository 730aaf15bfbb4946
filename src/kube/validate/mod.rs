//! What an object may not be: validation by kind, in the release's words and order.
//!
//! Metadata is judged for every kind ([`metadata`]); the rest by the kind's own module. A place in the object and its
//! path travel together ([`cursor::At`]), so that an error names where it was found. What needs other objects is
//! admission's, and what the server allocates (cluster addresses, node ports) is judged by whoever allocates it.

mod autoscaler;
mod cluster;
mod config;
mod container;
mod cron;
mod cursor;
mod definition;
mod driver;
mod endpoints;
mod environment;
mod flow;
mod internal;
mod ip;
mod job;
mod kinds;
mod metadata;
mod mounts;
mod names;
mod network;
mod paths;
mod pod;
mod pod_update;
mod policy;
mod probe;
mod quota;
mod rbac;
mod resources;
mod scheduling;
mod security;
mod selector;
mod service;
mod storage;
mod volume;
mod webhook;
mod workload;

use serde_json::Value;

use super::field::FieldError;
use super::schema::{Resource, Schema};
use super::status::ApiError;
use cursor::{At, Errors};

/// What is wrong with a new object that defaults and preparation have gone over.
pub fn create(_: &Schema, resource: &Resource, object: &Value) -> Vec<FieldError> {
    let mut errors = Errors::default();
    kinds::create(resource, &At::root(object), &mut errors);
    if errors.0.is_empty() {
        metadata::generic(resource, &metadata::of(object), &mut errors);
    }
    errors.0
}

/// What is wrong with metadata at a path, that of an object that lies in another.
pub fn embedded_metadata(path: &str, metadata: &Value) -> Vec<FieldError> {
    let mut errors = Errors::default();
    metadata::embedded(&At::root(metadata).named(path), &mut errors);
    errors.0
}

/// What is wrong with the kind of an object that lies in another.
pub fn embedded_kind(kind: &str) -> Vec<String> {
    names::dns_1035_label(&kind.to_lowercase())
}

/// What is wrong with an update of `old`; `subresource` is `""` for the object itself.
///
/// Whether a resource version has to be named is not judged here: see [`must_name_version`].
pub fn update(
    _: &Schema,
    resource: &Resource,
    subresource: &str,
    old: &Value,
    new: &Value,
) -> Vec<FieldError> {
    let mut errors = Errors::default();
    let (new, old) = (At::root(new), At::root(old));
    let (meta, before) = (new.field("metadata"), old.field("metadata"));
    let services = resource.group.is_empty() && &*resource.plural == "services";
    if services && subresource.is_empty() && service::addresses(&new, Some(&old), &mut errors) {
        return errors.0;
    }
    metadata::generic(resource, &meta, &mut errors);
    metadata::update(&meta, &before, &mut errors);
    kinds::update(resource, subresource, &new, &old, &mut errors);
    errors.0
}

/// The refusal of an object for what is wrong with it.
pub fn refuse(resource: &Resource, name: &str, errors: &[FieldError]) -> ApiError {
    // Events are of the core group inside, whichever way they come.
    let group = match &*resource.group {
        "events.k8s.io" => "",
        group => group,
    };
    ApiError::invalid(group, &resource.kind, name, errors)
}

/// What is wrong with the cluster addresses and families of a service, before it is given any.
pub fn service_addresses(old: Option<&Value>, new: &Value) -> Vec<FieldError> {
    let mut errors = Errors::default();
    let old = old.map(At::root);
    service::addresses(&At::root(new), old.as_ref(), &mut errors);
    errors.0
}

/// For an update without a resource version where one is needed.
pub fn must_name_version() -> FieldError {
    FieldError::invalid(
        "metadata.resourceVersion",
        "0",
        "must be specified for an update",
    )
}

/// Whether a name is one that objects of a resource may have, with what is wrong with it.
pub fn name(resource: &Resource, name: &str) -> Vec<String> {
    metadata::NameRule::of(resource).judge(name, false)
}

/// What is wrong with the metadata of a new custom object.
pub fn custom_metadata(resource: &Resource, object: &Value) -> Vec<FieldError> {
    let mut errors = Errors::default();
    metadata::of_custom(resource, &metadata::of(object), &mut errors);
    errors.0
}

/// What an update may not do to metadata.
pub fn metadata_update(old: &Value, new: &Value) -> Vec<FieldError> {
    let mut errors = Errors::default();
    metadata::update(&metadata::of(new), &metadata::of(old), &mut errors);
    errors.0
}

/// What is wrong with a name that may have a prefix, such as a label's key.
pub fn qualified_name(name: &str) -> Vec<String> {
    names::qualified(name)
}

#[cfg(test)]
mod tests;
