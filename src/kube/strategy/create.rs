//! What becomes of a new object.

use serde_json::{Map, Value, json};

use super::{Context, Object, certificates, generation, metadata, pod, service};
use crate::kube::custom;
use crate::kube::defaults;
use crate::kube::schema::{ObjectType, Resource, Shape};
use crate::kube::tree::{self, child, make, remove, set_in_order, set_sorted, type_of};

/// Makes of a decoded, admitted object (with its identity: [`super::fill`]) what will be validated and stored.
pub fn prepare_create(cx: &Context<'_>, resource: &Resource, object: &mut Value) {
    if let Some(kind) = &resource.custom {
        return custom::strategy::prepare_create(kind, object);
    }
    let (Some(of), true) = (cx.of(resource), object.is_object()) else {
        return;
    };
    if wipes_status(resource) {
        reset_status(cx, of, object);
    }
    if let Some(map) = object.as_object_mut()
        && resource.generation
        && let Some((of, metadata)) = metadata::of(cx.schema, resource, map)
    {
        generation::set(of, metadata, 1);
    }
    by_kind(cx, resource, of, object);
    if let Some(id) = resource.object {
        defaults::apply(cx.schema, id, object);
    }
}

/// Whether a client's word on the status of a new object counts for nothing.
fn wipes_status(resource: &Resource) -> bool {
    // Kubelets register nodes with their status.
    resource.subresource_named("status").is_some() && &*resource.plural != "nodes"
}

pub(super) fn reset_status(cx: &Context<'_>, of: &ObjectType, object: &mut Value) {
    let Some(Shape::Object(id)) = of.field("status").map(|field| &field.shape) else {
        return;
    };
    if let Some(map) = object.as_object_mut() {
        set_in_order(of, map, "status", tree::zero(cx.schema, *id));
    }
}

fn by_kind(cx: &Context<'_>, resource: &Resource, of: &ObjectType, object: &mut Value) {
    if pod::is(resource) {
        return pod::create(cx, of, object);
    }
    let Some(map) = object.as_object_mut() else {
        return;
    };
    match (&*resource.group, &*resource.plural) {
        ("", "namespaces") => namespace(cx, of, map),
        ("", "nodes") => node(map),
        ("", "persistentvolumes") => persistent_volume(cx, of, map),
        ("", "persistentvolumeclaims") => claim(cx, of, map, None),
        ("", "serviceaccounts") => secret_names(map),
        ("", "services") => {
            if let Some(spec) = type_of(cx.schema, of, "spec") {
                service::normalize(spec, map, None);
            }
        }
        ("apps", "daemonsets") => daemon_set(cx, resource, map),
        ("batch", "jobs") => job(cx, of, map),
        ("certificates.k8s.io", "certificatesigningrequests") => certificates::create(cx, of, map),
        ("resource.k8s.io", "resourceslices") => date_taints(cx, map),
        ("apiextensions.k8s.io", "customresourcedefinitions") => stored_version(cx, of, map),
        ("apiregistration.k8s.io", "apiservices") => api_service(cx, map),
        _ => {}
    }
}

fn namespace(cx: &Context<'_>, of: &ObjectType, namespace: &mut Object) {
    set_in_order(of, namespace, "status", json!({"phase": "Active"}));
    let (Some(of), Some(spec)) = (type_of(cx.schema, of, "spec"), make(of, namespace, "spec"))
    else {
        return;
    };
    if tree::unset(of, spec, "finalizers") {
        set_in_order(of, spec, "finalizers", json!([]));
    }
    if let Some(Value::Array(all)) = spec.get_mut("finalizers")
        && !all.iter().any(|one| one == "kubernetes")
    {
        all.push("kubernetes".into());
    }
}

/// Configuration of kubelets through the API is gone.
fn node(node: &mut Object) {
    for (part, field) in [("spec", "configSource"), ("status", "config")] {
        if let Some(part) = child(node, part) {
            remove(part, field);
        }
    }
}

fn persistent_volume(cx: &Context<'_>, of: &ObjectType, volume: &mut Object) {
    let status = json!({"phase": "Pending", "lastPhaseTransitionTime": cx.stamp()});
    set_in_order(of, volume, "status", status);
}

/// `dataSource` and `dataSourceRef` say the same where both can.
pub(super) fn claim(cx: &Context<'_>, of: &ObjectType, claim: &mut Object, old: Option<&Value>) {
    let (Some(of), Some(spec)) = (type_of(cx.schema, of, "spec"), child(claim, "spec")) else {
        return;
    };
    let in_use = |field| old.is_some_and(|old| tree::get(old, &["spec", field]).is_some());
    let reference = spec
        .get("dataSourceRef")
        .filter(|one| !one.is_null())
        .cloned();
    let namespaced = reference
        .as_ref()
        .is_some_and(|r| !tree::text(r, &["namespace"]).is_empty());
    let reference = if namespaced && !in_use("dataSourceRef") {
        remove(spec, "dataSourceRef");
        None
    } else {
        reference
    };
    if reference.is_none() && !in_use("dataSource") {
        let known = spec.get("dataSource").is_some_and(|source| {
            let group = tree::text(source, &["apiGroup"]);
            matches!(
                (group, tree::text(source, &["kind"])),
                ("", "PersistentVolumeClaim") | ("snapshot.storage.k8s.io", "VolumeSnapshot")
            )
        });
        if !known {
            remove(spec, "dataSource");
        }
    }
    let source = spec.get("dataSource").filter(|one| !one.is_null()).cloned();
    match (source, reference) {
        (Some(source), None) => set_in_order(of, spec, "dataSourceRef", source),
        (None, Some(reference)) if tree::text(&reference, &["namespace"]).is_empty() => {
            let mut source = reference;
            if let Some(source) = source.as_object_mut() {
                remove(source, "namespace");
            }
            set_in_order(of, spec, "dataSource", source);
        }
        _ => {}
    }
}

/// Secrets are named, nothing else is kept of a reference.
pub(super) fn secret_names(account: &mut Object) {
    let secrets = account.get_mut("secrets").and_then(Value::as_array_mut);
    for secret in secrets.into_iter().flatten() {
        let name = tree::text(secret, &["name"]).to_owned();
        let mut only = Map::new();
        if !name.is_empty() {
            only.insert("name".into(), name.into());
        }
        *secret = only.into();
    }
}

fn daemon_set(cx: &Context<'_>, resource: &Resource, set: &mut Object) {
    let said = generation::of_template(&Value::Object(set.clone()));
    if let Some((of, metadata)) = metadata::of(cx.schema, resource, set) {
        generation::set_of_template(of, metadata, said.max(1));
    }
}

/// A job selects the pods that carry its uid.
fn job(cx: &Context<'_>, of: &ObjectType, job: &mut Object) {
    let text = |key| {
        let metadata = job.get("metadata")?;
        Some(Value::from(tree::text(metadata, &[key])))
    };
    let (name, uid) = (text("name"), text("uid"));
    let (Some(of), Some(spec)) = (type_of(cx.schema, of, "spec"), make(of, job, "spec")) else {
        return;
    };
    if spec.get("manualSelector") == Some(&Value::Bool(true)) {
        return;
    }
    let labels = [
        ("job-name", &name),
        ("batch.kubernetes.io/job-name", &name),
        ("controller-uid", &uid),
        ("batch.kubernetes.io/controller-uid", &uid),
    ];
    let template_type = type_of(cx.schema, of, "template");
    if let (Some(of), Some(template)) = (template_type, make(of, spec, "template"))
        && let (Some(of), Some(metadata)) = (
            type_of(cx.schema, of, "metadata"),
            make(of, template, "metadata"),
        )
        && let Some(map) = make(of, metadata, "labels")
    {
        for (key, value) in labels {
            if !map.contains_key(key) {
                set_sorted(map, key, value.clone().unwrap_or_else(|| "".into()));
            }
        }
    }
    let selector_type = type_of(cx.schema, of, "selector");
    if let (Some(of), Some(selector)) = (selector_type, make(of, spec, "selector"))
        && let Some(map) = make(of, selector, "matchLabels")
    {
        let key = "batch.kubernetes.io/controller-uid";
        if !map.contains_key(key) {
            set_sorted(map, key, uid.unwrap_or_else(|| "".into()));
        }
    }
}

/// Taints of devices say since when, without being asked.
pub(super) fn date_taints(cx: &Context<'_>, slice: &mut Object) {
    let Some(of) = cx
        .schema
        .find("resource/v1.DeviceTaint")
        .map(|id| cx.schema.get(id))
    else {
        return;
    };
    let devices = slice
        .get_mut("spec")
        .and_then(|spec| spec.get_mut("devices")?.as_array_mut());
    for device in devices.into_iter().flatten() {
        let taints = device.get_mut("taints").and_then(Value::as_array_mut);
        for taint in taints
            .into_iter()
            .flatten()
            .filter_map(Value::as_object_mut)
        {
            if tree::unset(of, taint, "timeAdded") {
                set_in_order(of, taint, "timeAdded", cx.stamp());
            }
        }
    }
}

/// The version that objects are stored in is among the stored ones.
pub(super) fn stored_version(cx: &Context<'_>, of: &ObjectType, crd: &mut Object) {
    let versions = crd
        .get("spec")
        .map_or(&[][..], |spec| tree::items(spec, &["versions"]));
    let storage = versions
        .iter()
        .find(|version| tree::flag(version, &["storage"]));
    let Some(name) = storage.and_then(|version| version.get("name")).cloned() else {
        return;
    };
    let (Some(of), Some(status)) = (type_of(cx.schema, of, "status"), make(of, crd, "status"))
    else {
        return;
    };
    if tree::unset(of, status, "storedVersions") {
        set_in_order(of, status, "storedVersions", json!([]));
    }
    if let Some(Value::Array(stored)) = status.get_mut("storedVersions")
        && !stored.contains(&name)
    {
        stored.push(name);
    }
}

/// What no service stands behind is served here and always there.
fn api_service(cx: &Context<'_>, service: &mut Object) {
    let remote = service
        .get("spec")
        .is_some_and(|spec| tree::get(spec, &["service"]).is_some());
    if !remote && let Some(status) = child(service, "status") {
        let local = json!([{
            "type": "Available",
            "status": "True",
            "lastTransitionTime": cx.stamp(),
            "reason": "Local",
            "message": "Local APIServices are always available",
        }]);
        status.insert("conditions".into(), local);
    }
}
