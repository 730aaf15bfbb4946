//! The plugins that need nothing but other objects, in the order in which kube-apiserver runs its own.
//!
//! Every plugin may be run on its own result again and changes nothing then.

mod certificates;
mod classes;
mod external_ips;
mod images;
mod limits;
mod node_restriction;
mod nodes;
mod owners;
mod placement;
mod pod_resize;
mod pod_security;
mod priority;
mod protection;
mod resize;
mod runtime_class;
mod service_account;
#[cfg(test)]
mod testing;
mod toleration_limits;
mod tolerations;
mod topology;

use serde_json::{Map, Value};

use super::attributes::Attributes;
use crate::kube::objects::Objects;
use crate::kube::request::{RequestInfo, Target};
use crate::kube::schema::Schema;
use crate::kube::status::ApiResult;
use crate::kube::strategy::Rng;
use crate::kube::tree;

pub(super) use service_account::{NAME as ACCOUNTS, wanted as wanted_account};

/// What a plugin is called with besides the objects.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) attributes: &'a Attributes<'a>,
    pub(super) objects: &'a dyn Objects,
    /// Whether a plugin is on.
    pub(super) has: &'a dyn Fn(&str) -> bool,
    /// Whether whoever makes the request may do something else too; otherwise why not.
    pub(super) may: &'a dyn Fn(&RequestInfo) -> Result<(), String>,
}

/// Of those who should know: it refuses everything.
const DENY: &str = "AlwaysDeny";
const DENIED: &str = "admission control is denying all modifications";

/// Completes an object.
///
/// # Errors
/// What the first plugin to refuse it says.
pub(super) fn mutate(
    given: Given<'_>,
    old: Option<&Value>,
    object: &mut Value,
    rng: Rng<'_>,
) -> ApiResult<()> {
    let Given {
        attributes: by,
        objects,
        has,
        ..
    } = given;
    if has(limits::NAME) {
        limits::mutate(by, objects, old, object);
    }
    if has(service_account::NAME) {
        service_account::mutate(by, objects, object, rng)?;
    }
    if has(node_restriction::NAME) {
        node_restriction::check(given, old, Some(object))?;
    }
    if has(nodes::NAME) {
        nodes::mutate(by, object);
    }
    if has(images::NAME) {
        images::mutate(by, old, object);
    }
    if has(placement::NODE_SELECTOR) {
        placement::select(by, objects, object)?;
    }
    if has(priority::NAME) {
        priority::mutate(by, objects, old, object)?;
    }
    if has(tolerations::NAME) {
        tolerations::mutate(by, object);
    }
    if has(toleration_limits::RESTRICTION) {
        toleration_limits::complete(by, objects, object)?;
    }
    if has(toleration_limits::EXTENDED) {
        toleration_limits::extended(by, object);
    }
    if has(classes::STORAGE) {
        classes::storage(by, objects, object);
    }
    if has(protection::NAME) {
        protection::mutate(by, object);
    }
    if has(runtime_class::NAME) {
        runtime_class::mutate(by, objects, object)?;
    }
    if has(classes::INGRESS) {
        classes::ingress(by, objects, object);
    }
    if has(topology::NAME) {
        topology::mutate(by, objects, object);
    }
    if has(DENY) {
        return Err(by.refuse(object, DENIED));
    }
    Ok(())
}

/// Judges what will be written, or deleted if there is no object.
///
/// # Errors
/// As [`mutate`].
pub(super) fn validate(
    given: Given<'_>,
    old: Option<&Value>,
    object: Option<&Value>,
) -> ApiResult<()> {
    let Given {
        attributes: by,
        objects,
        has,
        ..
    } = given;
    let Some(object) = object else {
        if has(node_restriction::NAME) {
            node_restriction::check(given, old, None)?;
        }
        if has(DENY) {
            return Err(by.refuse(old.unwrap_or(&Value::Null), DENIED));
        }
        return Ok(());
    };
    if has(placement::ANTI_AFFINITY) {
        placement::anti_affinity(by, object)?;
    }
    if has(limits::NAME) {
        limits::validate(by, objects, old, object)?;
    }
    if has(service_account::NAME) {
        service_account::validate(by, objects, object)?;
    }
    if has(images::NAME) {
        images::validate(by, old, object)?;
    }
    if has(pod_security::NAME) {
        pod_security::validate(by, objects, old, object)?;
    }
    if has(placement::NODE_SELECTOR) {
        placement::check_selection(by, objects, object)?;
    }
    if has(priority::NAME) {
        priority::validate(by, objects, object)?;
    }
    if has(toleration_limits::RESTRICTION) {
        toleration_limits::judge(by, objects, object)?;
    }
    if has(owners::NAME) {
        owners::validate(given, old, object)?;
    }
    if has(resize::NAME) {
        resize::validate(by, objects, old, object)?;
    }
    if has(runtime_class::NAME) {
        runtime_class::validate(by, objects, object)?;
    }
    if has(certificates::APPROVAL) {
        certificates::approve(given, old, object)?;
    }
    if has(certificates::SIGNING) {
        certificates::sign(given, old, object)?;
    }
    if has(certificates::SUBJECT) {
        certificates::restrict(by, object)?;
    }
    if has(external_ips::NAME) {
        external_ips::validate(by, old, object)?;
    }
    if has(pod_resize::NAME) {
        pod_resize::validate(by, objects, old, object)?;
    }
    if has(DENY) {
        return Err(by.refuse(object, DENIED));
    }
    Ok(())
}

/// Something else that is to be allowed: group, version, plural and subresource of what is meant.
fn resource_request(
    verb: &str,
    of: (&str, &str, &str, &str),
    namespace: &str,
    name: &str,
) -> RequestInfo {
    let (group, version, resource, subresource) = of;
    RequestInfo {
        verb: verb.into(),
        target: Some(Target {
            group: group.into(),
            version: version.into(),
            resource: resource.into(),
            subresource: subresource.into(),
            namespace: namespace.into(),
            name: name.into(),
            ..Target::default()
        }),
        ..RequestInfo::default()
    }
}

/// Sets a field of a struct of a named type at its place.
fn put(of: &str, map: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    let schema = Schema::built_in();
    if let Some(id) = schema.find(of) {
        tree::set_in_order(schema.get(id), map, key, value.into());
    }
}

/// The struct in a field, made at its place.
fn make<'a>(
    of: &str,
    map: &'a mut Map<String, Value>,
    key: &str,
) -> Option<&'a mut Map<String, Value>> {
    let schema = Schema::built_in();
    tree::make(schema.get(schema.find(of)?), map, key)
}

/// The `spec` of an object.
fn spec(object: &mut Value) -> Option<&mut Map<String, Value>> {
    object.get_mut("spec")?.as_object_mut()
}

/// Adds to the list in a field of a struct of a named type.
fn append(of: &str, map: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    match map.get_mut(key).and_then(Value::as_array_mut) {
        Some(list) => list.push(value.into()),
        None => put(of, map, key, vec![value.into()]),
    }
}

fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    tree::get(object, &["metadata", "annotations", key])?.as_str()
}

fn name(object: &Value) -> &str {
    tree::text(object, &["metadata", "name"])
}
