//! Defaults of everything that runs nothing.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::pod::first_of;
use crate::kube::schema::{ObjectType, Schema};
use crate::kube::tree::{self, child, make, remove, set_in_order, set_sorted, type_of, unset};

type Object = Map<String, Value>;

/// The label of every namespace: its name.
pub(crate) const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";
const RBAC: &str = "rbac.authorization.k8s.io";

fn text<'a>(map: &'a Object, key: &str) -> &'a str {
    map.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn fill(of: &ObjectType, map: &mut Object, field: &str, value: impl Into<Value>) {
    if unset(of, map, field) {
        set_in_order(of, map, field, value.into());
    }
}

pub(super) fn service(schema: &Schema, of: &ObjectType, service: &mut Object) {
    let Some(spec_type) = type_of(schema, of, "spec") else {
        return;
    };
    let Some(spec) = make(of, service, "spec") else {
        return;
    };
    // Constants of the inner type come later, and this looks at them.
    fill(spec_type, spec, "sessionAffinity", "None");
    fill(spec_type, spec, "type", "ClusterIP");
    affinity(spec_type, spec);
    ports(schema, spec);
    let kind = text(spec, "type").to_owned();
    let balanced = kind == "LoadBalancer";
    let reachable = balanced
        || kind == "NodePort"
        || kind == "ClusterIP" && !unset(spec_type, spec, "externalIPs");
    if reachable {
        fill(spec_type, spec, "externalTrafficPolicy", "Cluster");
    }
    if balanced || kind == "NodePort" || kind == "ClusterIP" {
        fill(spec_type, spec, "internalTrafficPolicy", "Cluster");
    }
    if balanced {
        fill(spec_type, spec, "allocateLoadBalancerNodePorts", true);
        ingress_modes(schema, service);
    }
}

fn affinity(of: &ObjectType, spec: &mut Object) {
    match text(spec, "sessionAffinity") {
        "None" => {
            remove(spec, "sessionAffinityConfig");
        }
        "ClientIP" => {
            let said = spec
                .get("sessionAffinityConfig")
                .is_some_and(|c| tree::get(c, &["clientIP", "timeoutSeconds"]).is_some());
            if !said {
                let config = serde_json::json!({"clientIP": {"timeoutSeconds": 10800}});
                set_in_order(of, spec, "sessionAffinityConfig", config);
            }
        }
        _ => {}
    }
}

fn ports(schema: &Schema, spec: &mut Object) {
    let Some(of) = schema.find("core/v1.ServicePort").map(|id| schema.get(id)) else {
        return;
    };
    let ports = spec.get_mut("ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten().filter_map(Value::as_object_mut) {
        // A target of 0 or "" is none.
        if port.get("targetPort").is_none_or(tree::is_zero) {
            let number = port.get("port").cloned().unwrap_or(0.into());
            set_in_order(of, port, "targetPort", number);
        }
    }
}

fn ingress_modes(schema: &Schema, service: &mut Object) {
    let Some(of) = schema
        .find("core/v1.LoadBalancerIngress")
        .map(|id| schema.get(id))
    else {
        return;
    };
    let balancer = child(service, "status").and_then(|status| child(status, "loadBalancer"));
    let ingress = balancer.and_then(|balancer| balancer.get_mut("ingress")?.as_array_mut());
    for point in ingress
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
    {
        if !unset(of, point, "ip") {
            fill(of, point, "ipMode", "VIP");
        }
    }
}

/// Of a volume itself: the inline volume of an attachment is left as it is.
pub(super) fn persistent_volume(schema: &Schema, of: &ObjectType, volume: &mut Object) {
    if let (Some(of), Some(spec)) = (type_of(schema, of, "spec"), make(of, volume, "spec")) {
        fill(of, spec, "persistentVolumeReclaimPolicy", "Retain");
        fill(of, spec, "volumeMode", "Filesystem");
    }
}

pub(super) fn namespace(schema: &Schema, of: &ObjectType, namespace: &mut Object) {
    let (Some(of), Some(metadata)) = (
        type_of(schema, of, "metadata"),
        make(of, namespace, "metadata"),
    ) else {
        return;
    };
    let name = text(metadata, "name").to_owned();
    if name.is_empty() {
        return;
    }
    if let Some(labels) = make(of, metadata, "labels") {
        set_sorted(labels, NAMESPACE_NAME, name.into());
    }
}

pub(super) fn node_spec(schema: &Schema, of: &ObjectType, spec: &mut Object) {
    first_of(schema, of, spec, "podCIDR", "podCIDRs", |one| one);
}

pub(super) fn node_status(_: &Schema, of: &ObjectType, status: &mut Object) {
    if unset(of, status, "allocatable")
        && let Some(capacity) = status.get("capacity").cloned()
        && !capacity.is_null()
    {
        set_in_order(of, status, "allocatable", capacity);
    }
}

/// `stringData` is for writing: it goes into `data`, over what is there.
pub(super) fn secret(_: &Schema, of: &ObjectType, secret: &mut Object) {
    let Some(Value::Object(strings)) = remove(secret, "stringData") else {
        return;
    };
    if strings.is_empty() {
        return;
    }
    if let Some(data) = make(of, secret, "data") {
        for (key, text) in strings {
            let encoded = STANDARD.encode(text.as_str().unwrap_or_default());
            set_sorted(data, &key, encoded.into());
        }
    }
}

pub(super) fn limit_range_item(_: &Schema, of: &ObjectType, item: &mut Object) {
    if text(item, "type") != "Container" {
        return;
    }
    for (to, from) in [
        ("default", "max"),
        ("defaultRequest", "default"),
        ("defaultRequest", "min"),
    ] {
        let Some(amounts) = item.get(from).and_then(Value::as_object).cloned() else {
            continue;
        };
        if amounts.is_empty() {
            continue;
        }
        if let Some(list) = make(of, item, to) {
            for (name, amount) in amounts {
                if !list.contains_key(&name) {
                    set_sorted(list, &name, amount);
                }
            }
        }
    }
}

pub(super) fn network_policy_spec(_: &Schema, of: &ObjectType, spec: &mut Object) {
    if unset(of, spec, "policyTypes") {
        let mut types = vec![Value::from("Ingress")];
        if !unset(of, spec, "egress") {
            types.push("Egress".into());
        }
        set_in_order(of, spec, "policyTypes", types.into());
    }
}

pub(super) fn subject(_: &Schema, of: &ObjectType, subject: &mut Object) {
    if matches!(text(subject, "kind"), "User" | "Group") {
        fill(of, subject, "apiGroup", RBAC);
    }
}

pub(super) fn device_request(_: &Schema, of: &ObjectType, request: &mut Object) {
    if text(request, "allocationMode") == "ExactCount" {
        fill(of, request, "count", 1);
    }
}

pub(super) fn custom_resource_definition(schema: &Schema, of: &ObjectType, crd: &mut Object) {
    let mut stored = None;
    if let (Some(of), Some(spec)) = (type_of(schema, of, "spec"), child(crd, "spec")) {
        let versions = spec.get("versions").and_then(Value::as_array);
        stored = versions.into_iter().flatten().find_map(|version| {
            let is = tree::flag(version, &["storage"]);
            is.then(|| version.get("name").cloned()).flatten()
        });
        if let (Some(of), Some(names)) = (type_of(schema, of, "names"), child(spec, "names")) {
            let kind = text(names, "kind").to_owned();
            if !kind.is_empty() {
                fill(of, names, "singular", kind.to_lowercase());
                fill(of, names, "listKind", format!("{kind}List"));
            }
        }
    }
    let (Some(stored), Some(status_type)) = (stored, type_of(schema, of, "status")) else {
        return;
    };
    if let Some(status) = make(of, crd, "status") {
        fill(status_type, status, "storedVersions", vec![stored]);
    }
}
