//! Where the pods behind services are.

use super::cursor::{At, Errors};
use super::{ip, names, selector};

pub(super) fn endpoints(object: &At<'_>, errors: &mut Errors) {
    for subset in object.field("subsets").items() {
        let (ready, waiting) = (subset.field("addresses"), subset.field("notReadyAddresses"));
        if ready.is_empty() && waiting.is_empty() {
            errors.required(&subset, "must specify `addresses` or `notReadyAddresses`");
        }
        for address in ready.items().chain(waiting.items()) {
            one_address(&address, errors);
        }
        let ports = subset.field("ports");
        for port in ports.items() {
            let name = port.field("name");
            if !name.is_empty() {
                errors.bad_texts(&name, names::dns_label(name.text()));
            } else if ports.len() > 1 {
                errors.required(&name, "");
            }
            let number = port.field("port");
            for message in names::port_number(number.int().unwrap_or(0)) {
                errors.bad_int(&number, message);
            }
            errors.one_of(&port.field("protocol"), &["SCTP", "TCP", "UDP"]);
            if let Some(protocol) = port.some("appProtocol") {
                errors.bad_texts(&protocol, names::qualified(protocol.text()));
            }
        }
    }
}

fn one_address(address: &At<'_>, errors: &mut Errors) {
    let at = address.field("ip");
    ip::address(&at, errors);
    let host = address.field("hostname");
    if !host.is_empty() {
        errors.bad_texts(&host, names::dns_label(host.text()));
    }
    if let Some(node) = address.some("nodeName") {
        errors.bad_texts(&node, names::subdomain(node.text()));
    }
    if ip::parse(at.text()).is_none() {
        errors.bad_text(&at, "must be a valid IP address");
    }
    ip::endpoint(&at, at.text(), errors);
}

pub(super) fn slice(slice: &At<'_>, errors: &mut Errors) {
    let kind = slice.field("addressType");
    errors.one_of(&kind, &["FQDN", "IPv4", "IPv6"]);
    let ports = slice.field("ports");
    if ports.len() > 20_000 {
        errors.too_many(&ports, 20_000);
    }
    let mut seen: Vec<&str> = Vec::new();
    for port in ports.items() {
        let name = port.field("name");
        if !name.is_empty() {
            errors.bad_texts(&name, names::dns_label(name.text()));
        }
        if seen.contains(&name.text()) {
            errors.duplicate(&name);
        } else {
            seen.push(name.text());
        }
        errors.one_of(&port.field("protocol"), &["SCTP", "TCP", "UDP"]);
        if let Some(protocol) = port.some("appProtocol") {
            errors.bad_texts(&protocol, names::qualified(protocol.text()));
        }
    }
    let endpoints = slice.field("endpoints");
    if endpoints.len() > 1000 {
        return errors.too_many(&endpoints, 1000);
    }
    for endpoint in endpoints.items() {
        one_endpoint(&endpoint, kind.text(), errors);
    }
}

fn one_endpoint(endpoint: &At<'_>, kind: &str, errors: &mut Errors) {
    let addresses = endpoint.field("addresses");
    if addresses.is_empty() {
        errors.required(&addresses, "must contain at least 1 address");
    } else if addresses.len() > 100 {
        errors.too_many(&addresses, 100);
    }
    for address in addresses.items() {
        let before = errors.len();
        match kind {
            "IPv4" => ip::address(&address, errors),
            "IPv6" => ip::canonical(&address, address.text(), errors),
            "FQDN" => full_name(&address, errors),
            _ => {}
        }
        if errors.len() == before && kind != "FQDN" {
            let found =
                ip::parse(address.text()).map(|one| if one.is_ipv4() { "IPv4" } else { "IPv6" });
            if found.is_some_and(|found| found != kind) && matches!(kind, "IPv4" | "IPv6") {
                let said = address.named(addresses.path.as_str());
                errors.bad_text(&said, format!("must be an {kind} address"));
            }
            ip::endpoint(&address, address.text(), errors);
        }
    }
    if let Some(node) = endpoint.some("nodeName") {
        errors.bad_texts(&node, names::subdomain(node.text()));
    }
    selector::labels(&endpoint.field("deprecatedTopology"), errors);
    if let Some(host) = endpoint.some("hostname") {
        errors.bad_texts(&host, names::dns_label(host.text()));
    }
    let hints = endpoint.field("hints");
    for list in ["forZones", "forNodes"] {
        let all = hints.field(list);
        if all.len() > 8 {
            return errors.too_many(&all, 8);
        }
        let mut seen: Vec<&str> = Vec::new();
        for hint in all.items() {
            let name = hint.field("name");
            if seen.contains(&name.text()) {
                errors.duplicate(&name);
            }
            seen.push(name.text());
            let messages = if list == "forZones" {
                names::label_value(name.text())
            } else {
                names::subdomain(name.text())
            };
            errors.bad_texts(&name, messages);
        }
    }
}

fn full_name(at: &At<'_>, errors: &mut Errors) {
    if at.is_empty() {
        return errors.required(at, "");
    }
    let messages = names::subdomain(at.text());
    if !messages.is_empty() {
        return errors.bad_texts(at, messages);
    }
    if at.text().split('.').count() < 2 {
        errors.bad_text(
            at,
            "should be a domain with at least two segments separated by dots",
        );
    }
}
