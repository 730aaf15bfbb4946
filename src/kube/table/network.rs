//! The rows of services, what stands behind them, and what leads to them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::cells;
use super::selector::{labels, of_labels};
use super::value::{Subject, joined, list, number, or, text};

pub(super) fn service(of: Subject<'_>) -> Vec<Value> {
    let address = of.list("spec.clusterIPs").first().and_then(Value::as_str);
    let ports = of.list("spec.ports").iter().map(|port| {
        let (own, protocol) = (number(port, "port"), text(port, "protocol"));
        match number(port, "nodePort") {
            node if node > 0 => format!("{own}:{node}/{protocol}"),
            _ => format!("{own}/{protocol}"),
        }
    });
    let ports = ports.collect::<Vec<_>>().join(",");
    cells![
        of.name(),
        of.text("spec.type"),
        address.unwrap_or("<none>"),
        external_address(of),
        or(&ports, "<none>"),
        of.age(),
        labels(of.dig("spec.selector")),
    ]
}

fn external_address(of: Subject<'_>) -> String {
    let external = joined(of.list("spec.externalIPs"));
    match of.text("spec.type") {
        "ClusterIP" | "NodePort" => or(&external, "<none>").into(),
        "LoadBalancer" => {
            let balancers = balancers(of);
            match (balancers.is_empty(), external.is_empty()) {
                (true, true) => "<pending>".into(),
                (true, false) => external,
                (false, true) => balancers,
                (false, false) => format!("{balancers},{external}"),
            }
        }
        "ExternalName" => of.text("spec.externalName").into(),
        _ => "<unknown>".into(),
    }
}

/// Addresses or names of the load balancers, sorted, each once.
fn balancers(of: Subject<'_>) -> String {
    let all = of.list("status.loadBalancer.ingress").iter();
    let all = all.map(|one| or(text(one, "ip"), text(one, "hostname")));
    let all: BTreeSet<_> = all.filter(|one| !one.is_empty()).collect();
    all.into_iter().collect::<Vec<_>>().join(",")
}

pub(super) fn endpoints(of: Subject<'_>) -> Vec<Value> {
    let mut found: Vec<String> = Vec::new();
    for subset in of.list("subsets") {
        let addresses = list(subset, "addresses").iter().map(|one| text(one, "ip"));
        let ports = list(subset, "ports");
        if ports.is_empty() {
            found.extend(addresses.clone().map(Into::into));
        }
        for port in ports {
            let port = number(port, "port");
            found.extend(addresses.clone().map(|address| {
                if address.contains(':') {
                    format!("[{address}]:{port}")
                } else {
                    format!("{address}:{port}")
                }
            }));
        }
    }
    let said = if of.list("subsets").is_empty() {
        "<none>".into()
    } else {
        first_three(&found, "")
    };
    cells![of.name(), said, of.age()]
}

pub(super) fn endpoint_slice(of: Subject<'_>) -> Vec<Value> {
    let ports = of.list("ports").iter().map(|port| {
        let name = port.get("name").and_then(Value::as_str);
        match port.get("port").and_then(Value::as_i64) {
            Some(number) => number.to_string(),
            None => name.unwrap_or("*").to_owned(),
        }
    });
    let ports: Vec<_> = ports.collect();
    let endpoints = of.list("endpoints").iter();
    let addresses: Vec<_> = endpoints
        .flat_map(|one| list(one, "addresses"))
        .filter_map(|one| one.as_str().map(String::from))
        .collect();
    cells![
        of.name(),
        of.text("addressType"),
        first_three(&ports, "<unset>"),
        first_three(&addresses, "<unset>"),
        of.age(),
    ]
}

/// The first three, and how many there are besides.
fn first_three(all: &[String], none: &str) -> String {
    match all.len() {
        0 => none.into(),
        count @ 1..=3 => or(&all.get(..count).unwrap_or_default().join(","), none).into(),
        count => {
            let first = all.get(..3).unwrap_or_default().join(",");
            format!("{first} + {} more...", count - 3)
        }
    }
}

pub(super) fn ingress(of: Subject<'_>) -> Vec<Value> {
    let class = of.dig("spec.ingressClassName").as_str();
    let ports = if of.list("spec.tls").is_empty() {
        "80"
    } else {
        "80, 443"
    };
    cells![
        of.name(),
        class.unwrap_or("<none>"),
        hosts(of.list("spec.rules")),
        balancers(of),
        ports,
        of.age(),
    ]
}

/// At most three hosts; how many more there are counts rules, also those without a host.
fn hosts(rules: &[Value]) -> String {
    let mut hosts: Vec<&str> = Vec::new();
    let mut more = false;
    for rule in rules {
        more |= hosts.len() == 3;
        let host = text(rule, "host");
        if !more && !host.is_empty() {
            hosts.push(host);
        }
    }
    match (hosts.is_empty(), more) {
        (true, _) => "*".into(),
        (false, false) => hosts.join(","),
        (false, true) => format!("{} + {} more...", hosts.join(","), rules.len() - 3),
    }
}

pub(super) fn ingress_class(of: Subject<'_>) -> Vec<Value> {
    let mut name = of.name().to_owned();
    if of.annotation("ingressclass.kubernetes.io/is-default-class") == Some("true") {
        name.push_str(" (default)");
    }
    let parameters = of.dig("spec.parameters");
    let parameters = if parameters.is_null() {
        "<none>".into()
    } else {
        let kind = text(parameters, "kind");
        let group = parameters.get("apiGroup").and_then(Value::as_str);
        let group = group.map(|group| format!(".{group}")).unwrap_or_default();
        format!("{kind}{group}/{}", text(parameters, "name"))
    };
    cells![name, of.text("spec.controller"), parameters, of.age()]
}

pub(super) fn network_policy(of: Subject<'_>) -> Vec<Value> {
    cells![of.name(), of_labels(of.dig("spec.podSelector")), of.age()]
}

pub(super) fn service_cidr(of: Subject<'_>) -> Vec<Value> {
    cells![of.name(), joined(of.list("spec.cidrs")), of.age()]
}

/// The release's rows have the age behind it, for which it has no column: here a row has a cell for each column.
pub(super) fn ip_address(of: Subject<'_>) -> Vec<Value> {
    let parent = of.dig("spec.parentRef");
    let parent = if parent.is_null() {
        "<none>".into()
    } else {
        let mut said = text(parent, "resource").to_owned();
        for (mark, key) in [('.', "group"), ('/', "namespace")] {
            let part = text(parent, key);
            if !part.is_empty() {
                said.push(mark);
                said.push_str(part);
            }
        }
        format!("{said}/{}", text(parent, "name"))
    };
    cells![of.name(), parent]
}
