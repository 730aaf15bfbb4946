//! Network policies and ingresses.

use super::cursor::{At, Errors};
use super::{ip, names, probe, selector};
use crate::kube::field::quoted;

pub(super) fn policy(spec: &At<'_>, errors: &mut Errors) {
    selector::label_selector(&spec.field("podSelector"), errors);
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        for rule in spec.field(direction).items() {
            for port in rule.field("ports").items() {
                policy_port(&port, errors);
            }
            for peer in rule.field(peers).items() {
                policy_peer(&peer, errors);
            }
        }
    }
    let types = spec.field("policyTypes");
    if types.len() > 2 {
        return errors.invalid(&types, "may not specify more than two policyTypes");
    }
    for kind in types.items() {
        if !matches!(kind.text(), "Ingress" | "Egress") {
            errors.not_supported(&kind, &["Ingress", "Egress"]);
        }
    }
}

fn policy_port(at: &At<'_>, errors: &mut Errors) {
    let (protocol, port, end) = (at.field("protocol"), at.field("port"), at.field("endPort"));
    if protocol.is_set() && !matches!(protocol.text(), "TCP" | "UDP" | "SCTP") {
        errors.not_supported(&protocol, &["TCP", "UDP", "SCTP"]);
    }
    match (port.int(), end.int()) {
        (Some(number), last) => {
            probe::port(&port, errors);
            let Some(last) = last else {
                return;
            };
            if last < number {
                let why = "must be greater than or equal to `port`";
                errors.bad_value(&end, number.to_string(), why);
            }
            for message in names::port_number(last) {
                errors.bad_int(&end, message);
            }
        }
        (None, last) => {
            if last.is_some() {
                let why = if port.is_set() {
                    "may not be specified when `port` is non-numeric"
                } else {
                    "may not be specified when `port` is not specified"
                };
                errors.bad_int(&end, why);
            }
            if port.is_set() {
                probe::port(&port, errors);
            }
        }
    }
}

fn policy_peer(peer: &At<'_>, errors: &mut Errors) {
    let mut peers = 0;
    for kind in ["podSelector", "namespaceSelector"] {
        if let Some(at) = peer.some(kind) {
            peers += 1;
            selector::label_selector(&at, errors);
        }
    }
    let block = peer.field("ipBlock");
    if block.is_set() {
        peers += 1;
        ip_block(&block, errors);
    }
    if peers == 0 {
        errors.required(peer, "must specify a peer");
    } else if peers > 1 && block.is_set() {
        errors.forbidden(peer, "may not specify both ipBlock and another peer");
    }
}

fn ip_block(block: &At<'_>, errors: &mut Errors) {
    let range = block.field("cidr");
    if range.is_empty() {
        return errors.required(&range, "");
    }
    ip::range(&range, range.text(), errors);
    let Some(outer) = ip::network(range.text()) else {
        return;
    };
    for except in block.field("except").items() {
        ip::range(&except, except.text(), errors);
        let Some(inner) = ip::network(except.text()) else {
            continue;
        };
        if !ip::is_within(inner, outer) {
            errors.bad_text(&except, "must be a strict subset of `cidr`");
        }
    }
}

pub(super) fn ingress(object: &At<'_>, is_new: bool, errors: &mut Errors) {
    let spec = object.field("spec");
    let (backend, rules) = (spec.field("defaultBackend"), spec.field("rules"));
    if rules.is_empty() && !backend.is_set() {
        let why = "either `defaultBackend` or `rules` must be specified";
        errors.bad_value(&spec, rules.shown(), why);
    }
    if backend.is_set() {
        ingress_backend(&backend, errors);
    }
    for rule in rules.items() {
        ingress_rule(&rule, errors);
    }
    for tls in spec.field("tls").items() {
        for host in tls.field("hosts").items() {
            host_name(&host, errors);
        }
        let secret = tls.field("secretName");
        if !secret.is_empty() {
            errors.bad_texts(&secret, names::subdomain(secret.text()));
        }
    }
    let class = spec.field("ingressClassName");
    if class.is_set() {
        errors.bad_texts(&class, names::subdomain(class.text()));
    }
    let key = "kubernetes.io/ingress.class";
    let said = object.down(&["metadata", "annotations"]).field(key);
    if is_new && said.is_set() && class.is_set() && !said.is(class.text()) {
        let why = "must match `ingressClassName` when both are specified";
        errors.bad_text(&said.named(format!("annotations.{key}")), why);
    }
}

fn host_name(host: &At<'_>, errors: &mut Errors) {
    let messages = if host.text().contains('*') {
        names::wildcard_subdomain(host.text())
    } else {
        names::subdomain(host.text())
    };
    errors.bad_texts(host, messages);
}

fn ingress_rule(rule: &At<'_>, errors: &mut Errors) {
    let host = rule.field("host");
    if !host.is_empty() {
        if ip::parse(host.text()).is_some() {
            errors.bad_text(&host, "must be a DNS name, not an IP address");
        }
        host_name(&host, errors);
    }
    let Some(http) = rule.some("http") else {
        return;
    };
    let paths = http.field("paths");
    if paths.is_empty() {
        errors.required(&paths, "");
    }
    for path in paths.items() {
        ingress_path(&path, errors);
    }
}

fn ingress_path(at: &At<'_>, errors: &mut Errors) {
    let (kind, path) = (at.field("pathType"), at.field("path"));
    if !kind.is_set() {
        return errors.required(&kind, "pathType must be specified");
    }
    let absolute = path.text().starts_with('/');
    match kind.text() {
        "Exact" | "Prefix" => {
            if !absolute {
                errors.bad_text(&path, "must be an absolute path");
            }
            for part in ["//", "/./", "/../", "%2f", "%2F"] {
                if path.text().contains(part) {
                    errors.bad_text(&path, format!("must not contain '{part}'"));
                }
            }
            for end in ["/..", "/."] {
                if path.text().ends_with(end) {
                    errors.bad_text(&path, format!("cannot end with '{end}'"));
                }
            }
        }
        "ImplementationSpecific" => {
            if !path.is_empty() && !absolute {
                errors.bad_text(&path, "must be an absolute path");
            }
        }
        _ => errors.not_supported(&kind, &["Exact", "ImplementationSpecific", "Prefix"]),
    }
    ingress_backend(&at.field("backend"), errors);
}

fn ingress_backend(backend: &At<'_>, errors: &mut Errors) {
    let (resource, service) = (backend.field("resource"), backend.field("service"));
    let wrong = |why: &str, errors: &mut Errors| errors.bad_value(backend, quoted(""), why);
    match (resource.is_set(), service.is_set()) {
        (true, true) => wrong("cannot set both resource and service backends", errors),
        (false, false) => wrong("resource or service backend is required", errors),
        (true, false) => reference(&resource, errors),
        (false, true) => {
            let name = service.field("name");
            if name.is_empty() {
                errors.required(&name, "");
            } else {
                errors.bad_texts(&name, names::dns_label(name.text()));
            }
            let (called, number) = (
                service.down(&["port", "name"]),
                service.down(&["port", "number"]),
            );
            match (called.is_empty(), number.int().unwrap_or(0)) {
                (true, 0) => errors.required(backend, "port name or number is required"),
                (true, value) => {
                    for message in names::port_number(value) {
                        errors.bad_int(&number, message);
                    }
                }
                (false, 0) => errors.bad_texts(&called, names::port_name(called.text())),
                (false, _) => wrong("cannot set both port name & port number", errors),
            }
        }
    }
}

fn reference(at: &At<'_>, errors: &mut Errors) {
    if let Some(group) = at.some("apiGroup") {
        errors.bad_texts(&group, names::subdomain(group.text()));
    }
    for name in ["kind", "name"] {
        let field = at.field(name);
        if field.is_empty() {
            errors.required(&field, "");
        } else {
            errors.bad_texts(&field, names::path_segment(field.text()));
        }
    }
}

pub(super) fn ingress_class(spec: &At<'_>, errors: &mut Errors) {
    let controller = spec.field("controller");
    if controller.len() > 250 {
        errors.too_long(&controller, 250);
    }
    match controller.text().split_once('/') {
        _ if controller.is_empty() => errors.required(&controller, ""),
        Some((host, path)) if !host.is_empty() && !path.is_empty() => {
            for message in names::subdomain(host) {
                errors.bad_value(&controller, quoted(host), message);
            }
        }
        _ => errors.bad_text(
            &controller,
            "must be a domain-prefixed path (such as \"acme.io/foo\")",
        ),
    }
    let Some(parameters) = spec.some("parameters") else {
        return;
    };
    reference(&parameters, errors);
    let (scope, namespace) = (parameters.field("scope"), parameters.field("namespace"));
    match scope.text() {
        "Namespace" if namespace.is_empty() => {
            let why = "`parameters.scope` is set to 'Namespace'";
            errors.required(&namespace, why);
        }
        "Namespace" => errors.bad_texts(&namespace, names::dns_label(namespace.text())),
        "Cluster" => {
            if namespace.is_set() {
                let why = "`parameters.scope` is set to 'Cluster'";
                errors.forbidden(&namespace, why);
            }
        }
        _ if !scope.is_set() => errors.required(&scope, ""),
        _ => errors.not_supported(&scope, &["Cluster", "Namespace"]),
    }
}
