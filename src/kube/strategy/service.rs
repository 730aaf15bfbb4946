//! Fields of a service that mean nothing for its new type go, unless the update itself set them.

use serde_json::Value;

use super::Object;
use crate::kube::schema::ObjectType;
use crate::kube::tree::{self, remove, set_in_order};

fn text<'a>(spec: &'a Object, key: &str) -> &'a str {
    spec.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn has_cluster_ip(spec: &Object) -> bool {
    text(spec, "type") != "ExternalName"
}

fn has_node_ports(spec: &Object) -> bool {
    matches!(text(spec, "type"), "NodePort" | "LoadBalancer")
}

fn is_balanced(spec: &Object) -> bool {
    text(spec, "type") == "LoadBalancer"
}

fn has_health_check(spec: &Object) -> bool {
    is_balanced(spec) && text(spec, "externalTrafficPolicy") == "Local"
}

fn is_reachable(spec: &Object) -> bool {
    let addresses = spec.get("externalIPs").and_then(Value::as_array);
    has_node_ports(spec)
        || text(spec, "type") == "ClusterIP" && addresses.is_some_and(|all| !all.is_empty())
}

fn node_ports(spec: &Object) -> impl Iterator<Item = i64> {
    let ports = spec
        .get("ports")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    ports.filter_map(|port| tree::int(port, &["nodePort"]).filter(|number| *number != 0))
}

/// `new` and `old` are whole services; what `new` repeats of `old` is taken for left over.
pub(super) fn drop_left_over(of: &ObjectType, new: &mut Object, old: &Object) {
    let Some(before) = old.get("spec").and_then(Value::as_object) else {
        return;
    };
    let Some(spec) = tree::child(new, "spec") else {
        return;
    };
    let same = |spec: &Object, key: &str| spec.get(key) == before.get(key);
    if has_cluster_ip(before) && !has_cluster_ip(spec) {
        if same(spec, "clusterIP") && same(spec, "clusterIPs") {
            remove(spec, "clusterIP");
            remove(spec, "clusterIPs");
        }
        for key in ["ipFamilies", "ipFamilyPolicy"] {
            if same(spec, key) {
                remove(spec, key);
            }
        }
    }
    let known = |number| node_ports(before).any(|one| one == number);
    if has_node_ports(before) && !has_node_ports(spec) && node_ports(spec).all(known) {
        let ports = spec.get_mut("ports").and_then(Value::as_array_mut);
        for port in ports.into_iter().flatten().filter_map(Value::as_object_mut) {
            remove(port, "nodePort");
        }
    }
    type Meaning = fn(&Object) -> bool;
    let left_over: [(Meaning, &str); 4] = [
        (has_health_check, "healthCheckNodePort"),
        (is_balanced, "allocateLoadBalancerNodePorts"),
        (is_balanced, "loadBalancerClass"),
        (is_reachable, "externalTrafficPolicy"),
    ];
    for (meaningful, key) in left_over {
        if meaningful(before) && !meaningful(spec) && same(spec, key) {
            remove(spec, key);
        }
    }
    if !is_balanced(spec)
        && let Some(status) = tree::make(of, new, "status")
    {
        // The first of a status's two fields.
        remove(status, "loadBalancer");
        status.shift_insert(0, "loadBalancer".into(), Object::new().into());
    }
}

/// Both ways of naming cluster addresses say the same; what an update leaves out of what was allocated stays.
///
/// Nothing is allocated here: that is for whoever keeps the addresses and ports.
pub(super) fn normalize(of: &ObjectType, new: &mut Object, old: Option<&Object>) {
    let Some(spec) = tree::child(new, "spec") else {
        return;
    };
    let before = old
        .and_then(|old| old.get("spec"))
        .and_then(Value::as_object);
    let Some(before) = before else {
        if !text(spec, "clusterIP").is_empty() && tree::unset(of, spec, "clusterIPs") {
            let one = Value::from(text(spec, "clusterIP"));
            set_in_order(of, spec, "clusterIPs", vec![one].into());
        }
        return;
    };
    let empty = |spec: &Object| tree::unset(of, spec, "clusterIPs");
    let same_one = text(spec, "clusterIP") == text(before, "clusterIP");
    if empty(spec) && !empty(before) && same_one {
        tree::keep(of, spec, before, "clusterIPs");
    }
    if !same_one && spec.get("clusterIPs") == before.get("clusterIPs") {
        let one = text(spec, "clusterIP");
        let one = (!one.is_empty()).then(|| Value::from(one));
        match (one, text(before, "clusterIP").is_empty()) {
            (Some(one), _) => set_in_order(of, spec, "clusterIPs", vec![one].into()),
            (None, false) => {
                remove(spec, "clusterIPs");
            }
            (None, true) => {}
        }
    }
    keep_allocated(of, spec, before);
}

fn keep_allocated(of: &ObjectType, spec: &mut Object, before: &Object) {
    if has_cluster_ip(before) && has_cluster_ip(spec) {
        if text(spec, "clusterIP").is_empty() {
            tree::keep(of, spec, before, "clusterIP");
        }
        let same = text(spec, "clusterIP") == text(before, "clusterIP");
        if tree::unset(of, spec, "clusterIPs") && same {
            tree::keep(of, spec, before, "clusterIPs");
        }
    }
    if has_node_ports(before) && has_node_ports(spec) {
        keep_node_ports(spec, before);
    }
    let check = "healthCheckNodePort";
    if has_health_check(before) && has_health_check(spec) && tree::unset(of, spec, check) {
        tree::keep(of, spec, before, check);
    }
}

/// By the names of the ports, unless another port has taken the number.
fn keep_node_ports(spec: &mut Object, before: &Object) {
    let mut used: Vec<i64> = node_ports(spec).collect();
    used.retain(|number| node_ports(before).any(|one| one == *number));
    let known: Vec<(String, i64)> = before
        .get("ports")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|port| {
            let name = tree::text(port, &["name"]).to_owned();
            (name, tree::int(port, &["nodePort"]).unwrap_or(0))
        })
        .collect();
    let ports = spec.get_mut("ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten() {
        let name = tree::text(port, &["name"]);
        let number = known
            .iter()
            .rev()
            .find(|(of, _)| of == name)
            .map_or(0, |(_, n)| *n);
        let has = tree::int(port, &["nodePort"]).is_some_and(|number| number != 0);
        if has || number == 0 || used.contains(&number) {
            continue;
        }
        used.push(number);
        if let Some(port) = port.as_object_mut() {
            // The last of a port's fields.
            remove(port, "nodePort");
            port.insert("nodePort".into(), number.into());
        }
    }
}
