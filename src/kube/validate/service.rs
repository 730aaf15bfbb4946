//! Services.

use serde_json::json;

use super::cursor::{At, Errors};
use super::{ip, names, pod, selector};
use crate::kube::field::FieldError;

const RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";

fn is_headless(spec: &At<'_>) -> bool {
    spec.field("clusterIPs").texts() == ["None"]
}

fn is_reachable(spec: &At<'_>) -> bool {
    match spec.field("type").text() {
        "LoadBalancer" | "NodePort" => true,
        "ClusterIP" => !spec.field("externalIPs").is_empty(),
        _ => false,
    }
}

fn needs_health_check(spec: &At<'_>) -> bool {
    spec.field("type").is("LoadBalancer") && spec.field("externalTrafficPolicy").is("Local")
}

/// What is wrong with the addresses is said alone, before anything is allocated. Whether anything is.
pub(super) fn addresses(service: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) -> bool {
    let spec = service.field("spec");
    let before = errors.len();
    if !spec.field("type").is("ExternalName") {
        cluster_ips(&spec, old, errors);
    }
    errors.len() > before
}

pub(super) fn service(service: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let spec = service.field("spec");
    let headless = is_headless(&spec);
    let kind = spec.field("type");
    let (ports, addresses) = (spec.field("ports"), spec.field("clusterIPs"));
    if ports.is_empty() && !headless && !kind.is("ExternalName") {
        errors.required(&ports, "");
    }
    match kind.text() {
        "LoadBalancer" | "NodePort" if headless => {
            let kind = kind.text();
            for first in addresses.items().take(1) {
                errors.bad_text(
                    &first,
                    format!("may not be set to 'None' for {kind} services"),
                );
            }
        }
        "ExternalName" => external_name(&spec, errors),
        _ => {}
    }
    let mut names_seen: Vec<&str> = Vec::new();
    let several = ports.len() > 1;
    for port in ports.items() {
        one_port(&port, several, &mut names_seen, errors);
    }
    selector::labels(&spec.field("selector"), errors);
    affinity(&spec, errors);
    if !kind.is("ExternalName") {
        cluster_ips(&spec, old, errors);
    }
    for address in spec.field("externalIPs").items() {
        let before = errors.len();
        ip::address(&address, errors);
        if errors.len() == before {
            ip::endpoint(&address, address.text(), errors);
        }
    }
    errors.one_of(
        &kind,
        &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"],
    );
    node_ports(&spec, errors);
    source_ranges(service, &spec, errors);
    balancer(&spec, errors);
    traffic(&spec, errors);
}

fn external_name(spec: &At<'_>, errors: &mut Errors) {
    for name in ["clusterIPs", "ipFamilies"] {
        if !spec.field(name).is_empty() {
            errors.forbidden(
                &spec.field(name),
                "may not be set for ExternalName services",
            );
        }
    }
    if let Some(policy) = spec.some("ipFamilyPolicy") {
        errors.forbidden(&policy, "may not be set for ExternalName services");
    }
    let name = spec.field("externalName");
    let text = name.text().strip_suffix('.').unwrap_or(name.text());
    if text.is_empty() {
        errors.required(&name, "");
    } else {
        for message in names::subdomain(text) {
            errors.bad_value(&name, crate::kube::field::quoted(text), message);
        }
    }
}

fn one_port<'a>(port: &At<'a>, needs_name: bool, seen: &mut Vec<&'a str>, errors: &mut Errors) {
    let name = port.field("name");
    if !name.is_empty() {
        errors.bad_texts(&name, names::dns_label(name.text()));
        if seen.contains(&name.text()) {
            errors.duplicate(&name);
        } else {
            seen.push(name.text());
        }
    } else if needs_name {
        errors.required(&name, "");
    }
    let number = port.field("port");
    for message in names::port_number(number.int().unwrap_or(0)) {
        errors.bad_int(&number, message);
    }
    errors.one_of(&port.field("protocol"), &["SCTP", "TCP", "UDP"]);
    pod::port(&port.field("targetPort"), errors);
    if let Some(protocol) = port.some("appProtocol") {
        errors.bad_texts(&protocol, names::qualified(protocol.text()));
    }
}

fn affinity(spec: &At<'_>, errors: &mut Errors) {
    let (affinity, config) = (
        spec.field("sessionAffinity"),
        spec.field("sessionAffinityConfig"),
    );
    errors.one_of(&affinity, &["ClientIP", "None"]);
    if affinity.is("None") && config.is_set() {
        errors.forbidden(&config, "must not be set when session affinity is None");
    }
    if !affinity.is("ClientIP") {
        return;
    }
    let seconds = config.down(&["clientIP", "timeoutSeconds"]);
    if !config.is_set() {
        let why = "when session affinity type is ClientIP";
        return errors.required(&config, why);
    }
    if !config.field("clientIP").is_set() {
        let why = "when session affinity type is ClientIP";
        return errors.required(&config.field("clientIP"), why);
    }
    if !seconds
        .int()
        .is_some_and(|seconds| (1..=86400).contains(&seconds))
    {
        let why = "must be greater than 0 and less than 86400";
        errors.bad_int(&seconds, why);
    }
}

fn cluster_ips(spec: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let (one, all) = (spec.field("clusterIP"), spec.field("clusterIPs"));
    let (families, policy) = (spec.field("ipFamilies"), spec.field("ipFamilyPolicy"));
    if one.is_empty() {
        if !all.is_empty() {
            errors.invalid(&all, "must be empty when `clusterIP` is not specified");
        }
    } else if all.is_empty() {
        errors.required(&all, "");
    } else if all.texts().first() != Some(&one.text()) {
        errors.invalid(&all, "first value must match `clusterIP`");
    }
    let mut seen: Vec<&str> = Vec::new();
    for family in families.items() {
        if !matches!(family.text(), "IPv4" | "IPv6") {
            errors.not_supported(&family, &["IPv4", "IPv6"]);
        }
        if seen.contains(&family.text()) {
            errors.duplicate(&family);
        }
        seen.push(family.text());
    }
    let policies = ["PreferDualStack", "RequireDualStack", "SingleStack"];
    if policy.is_set() && !policies.contains(&policy.text()) {
        errors.not_supported(&policy, &policies);
    }
    let known = old.map(|old| old.down(&["spec", "clusterIPs"]).texts());
    let known = known.unwrap_or_default();
    let before = errors.len();
    for (index, address) in all.items().enumerate() {
        if index == 0 && address.is("None") {
            if all.len() > 1 {
                errors.invalid(&all, "'None' must be the first and only value");
            }
        } else if !known.contains(&address.text()) {
            ip::address(&address, errors);
        }
    }
    let wrong = errors.len() > before;
    if all.len() > 2 {
        errors.invalid(&all, "may only hold up to 2 values");
    }
    if wrong {
        return;
    }
    let is_v6: Vec<bool> = all
        .texts()
        .iter()
        .filter_map(|text| Some(ip::parse(text)?.is_ipv6()))
        .collect();
    if all.len() > 1 && !(is_v6.contains(&true) && is_v6.contains(&false)) {
        errors.invalid(&all, "may specify no more than one IP for each IP family");
    }
    if is_headless(spec) {
        return;
    }
    for ((index, address), (family, v6)) in all
        .items()
        .enumerate()
        .zip(families.texts().iter().zip(&is_v6))
    {
        if (*family == "IPv6") != *v6 && matches!(*family, "IPv4" | "IPv6") {
            let why = format!("expected an {family} value as indicated by `ipFamilies[{index}]`");
            errors.bad_text(&address, why);
        }
    }
}

fn node_ports(spec: &At<'_>, errors: &mut Errors) {
    let is_cluster_ip = spec.field("type").is("ClusterIP");
    let ports: Vec<At<'_>> = spec.field("ports").items().collect();
    let number = |port: &At<'_>, name: &str| port.field(name).int().unwrap_or(0);
    for port in ports.iter().filter(|_| is_cluster_ip) {
        if number(port, "nodePort") != 0 {
            let why = "may not be used when `type` is 'ClusterIP'";
            errors.forbidden(&port.field("nodePort"), why);
        }
    }
    for name in ["nodePort", "port"] {
        let mut seen: Vec<(&str, i64)> = Vec::new();
        for port in &ports {
            let key = (port.field("protocol").text(), number(port, name));
            if name == "nodePort" && key.1 == 0 {
                continue;
            }
            if !seen.contains(&key) {
                seen.push(key);
            } else if name == "nodePort" {
                errors.duplicate(&port.field(name));
            } else {
                let target = json!(0);
                let value = json!({"Name": "", "Protocol": key.0, "AppProtocol": null, "Port": key.1, "TargetPort": target, "NodePort": 0});
                errors
                    .0
                    .push(FieldError::duplicate(&port.path, value.to_string()));
            }
        }
    }
}

fn source_ranges(service: &At<'_>, spec: &At<'_>, errors: &mut Errors) {
    let balanced = spec.field("type").is("LoadBalancer");
    let ranges = spec.field("loadBalancerSourceRanges");
    let why = "may only be used when `type` is 'LoadBalancer'";
    if !ranges.is_empty() {
        let said = ranges.named(spec.field("LoadBalancerSourceRanges").path);
        if !balanced {
            errors.forbidden(&said, why);
        }
        for one in said.items() {
            ip::range(&one, one.text().trim(), errors);
        }
        return;
    }
    let annotations = service.down(&["metadata", "annotations"]);
    for (_, value) in annotations.entries().filter(|(key, _)| *key == RANGES) {
        if !balanced {
            errors.forbidden(&value, why);
        }
        let text = value.text().trim();
        for one in text.split(',').filter(|_| !text.is_empty()) {
            ip::range(&value, one.trim(), errors);
        }
    }
}

fn balancer(spec: &At<'_>, errors: &mut Errors) {
    let balanced = spec.field("type").is("LoadBalancer");
    let why = "may only be used when `type` is 'LoadBalancer'";
    let ports = spec.field("allocateLoadBalancerNodePorts");
    if ports.is_set() && !balanced {
        errors.forbidden(&ports, why);
    }
    if let Some(class) = spec.some("loadBalancerClass") {
        if balanced {
            errors.bad_texts(&class, names::qualified(class.text()));
        } else {
            errors.forbidden(&class, why);
        }
    }
}

fn traffic(spec: &At<'_>, errors: &mut Errors) {
    let policy = spec.field("externalTrafficPolicy");
    if is_reachable(spec) {
        errors.one_of(&policy, &["Cluster", "Local"]);
    } else if !policy.is_empty() {
        errors.bad_text(
            &policy,
            "may only be set for externally-accessible services",
        );
    }
    let port = spec.field("healthCheckNodePort");
    let number = port.int().unwrap_or(0);
    if needs_health_check(spec) {
        if number != 0 {
            for message in names::port_number(number) {
                errors.bad_int(&port, message);
            }
        }
    } else if number != 0 {
        let why =
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        errors.bad_int(&port, why);
    }
    let policy = spec.field("internalTrafficPolicy");
    let inner = ["NodePort", "LoadBalancer", "ClusterIP"].contains(&spec.field("type").text());
    if policy.is_set() {
        if !matches!(policy.text(), "Cluster" | "Local") {
            errors.not_supported(&policy, &["Cluster", "Local"]);
        }
    } else if inner {
        errors.required(&policy, "");
    }
    let known = ["PreferClose", "PreferSameZone", "PreferSameNode"];
    if let Some(distribution) = spec.some("trafficDistribution")
        && !known.contains(&distribution.text())
    {
        errors.not_supported(&distribution, &known);
    }
}

/// What an update may not do. What the server allocates must stand in `new` by now.
pub(super) fn update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (spec, before) = (new.field("spec"), old.field("spec"));
    let external = |spec: &At<'_>| spec.field("type").is("ExternalName");
    if !external(&spec) && !external(&before) {
        let headless = (is_headless(&spec), is_headless(&before));
        if headless != (true, true) {
            fixed(&spec, &before, "clusterIPs", errors);
        }
        if headless == (false, false) {
            fixed(&spec, &before, "ipFamilies", errors);
        }
    }
    let balanced = |spec: &At<'_>| spec.field("type").is("LoadBalancer");
    let class = spec.field("loadBalancerClass");
    if balanced(&spec)
        && balanced(&before)
        && class.value != before.field("loadBalancerClass").value
    {
        errors.invalid(&class, "may not change once set");
    }
    let port = spec.field("healthCheckNodePort");
    let both = needs_health_check(&spec) && needs_health_check(&before);
    if both && port.value != before.field("healthCheckNodePort").value {
        errors.forbidden(&port, super::cursor::IMMUTABLE);
    }
    service(new, Some(old), errors);
}

fn fixed(new: &At<'_>, old: &At<'_>, name: &str, errors: &mut Errors) {
    let (now, before) = (new.field(name), old.field(name));
    let (texts, known) = (now.texts(), before.texts());
    let at = |index: usize| now.named(format!("{}[{index}]", now.path));
    let why = "may not change once set";
    if texts.len() == known.len() {
        for (index, (text, known)) in texts.iter().zip(&known).enumerate() {
            if text != known {
                let index = if name == "clusterIPs" { index } else { 0 };
                errors.invalid(&at(index), why);
            }
        }
        return;
    }
    if texts.is_empty() {
        let what = if name == "clusterIPs" {
            "clusterIP"
        } else {
            "ipFamily"
        };
        let place = at(0);
        errors.bad_value(
            &place,
            place.shown(),
            format!("primary {what} can not be unset"),
        );
    } else if !known.is_empty() && texts.first() != known.first() {
        errors.invalid(&at(0), why);
    }
    if known.len() > texts.len() && texts.len() == 1 {
        let policy = new.field("ipFamilyPolicy");
        if !policy.is("SingleStack") {
            let what = if name == "clusterIPs" {
                "clusterIP"
            } else {
                "ipFamily"
            };
            let why = format!("must be set to 'SingleStack' when releasing the secondary {what}");
            errors.invalid(&policy, why);
        }
    }
}

pub(super) fn status(new: &At<'_>, errors: &mut Errors) {
    let ingress = new.down(&["status", "loadBalancer", "ingress"]);
    if !new.down(&["spec", "type"]).is("LoadBalancer") && !ingress.is_empty() {
        let why = "may only be used when `spec.type` is 'LoadBalancer'";
        return errors.forbidden(&ingress, why);
    }
    for point in ingress.items() {
        let (address, mode) = (point.field("ip"), point.field("ipMode"));
        if !address.is_empty() {
            ip::address(&address, errors);
        }
        if mode.is_set() && address.is_empty() {
            errors.forbidden(&mode, "may not be specified when `ip` is not set");
        } else if mode.is_set() && !matches!(mode.text(), "Proxy" | "VIP") {
            errors.not_supported(&mode, &["Proxy", "VIP"]);
        } else if !mode.is_set() && !address.is_empty() {
            errors.required(&mode, "must be specified when `ip` is set");
        }
        let name = point.field("hostname");
        if !name.is_empty() {
            errors.bad_texts(&name, names::subdomain(name.text()));
            if ip::parse(name.text()).is_some() {
                errors.bad_text(&name, "must be a DNS name, not an IP address");
            }
        }
    }
}
