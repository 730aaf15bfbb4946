//! What the cluster is made of and tells of itself: nodes, leases, events, runtime classes, certificate requests.

use super::cursor::{At, Errors};
use super::{ip, names, resources, scheduling, selector};
use crate::kube::field::{FieldError, quoted};
use crate::kube::schema::Resource;

pub(super) fn node(node: &At<'_>, errors: &mut Errors) {
    taints(node, errors);
    node_amounts(node, errors);
    let ranges = node.down(&["spec", "podCIDRs"]);
    for range in ranges.items() {
        ip::range(&range, range.text(), errors);
    }
    let families: Vec<bool> = ranges
        .texts()
        .iter()
        .filter_map(|r| Some(ip::network(r)?.0))
        .collect();
    let both = families.contains(&true) && families.contains(&false);
    if ranges.len() > 2 || ranges.len() > 1 && !both {
        let why = "may specify no more than one CIDR for each IP family";
        errors.invalid(&ranges, why);
    }
}

fn taints(node: &At<'_>, errors: &mut Errors) {
    let taints = node.down(&["spec", "taints"]);
    // The release says that they stand in the metadata.
    let taints = taints.named("metadata.taints");
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for taint in taints.items() {
        let (key, value, effect) = (
            taint.field("key"),
            taint.field("value"),
            taint.field("effect"),
        );
        errors.bad_texts(&key, names::qualified(key.text()));
        let messages = names::label_value(value.text());
        if !messages.is_empty() {
            errors.bad_text(&value, messages.join(";"));
        }
        scheduling::taint_effect(&effect, errors);
        let this = (key.text(), effect.text());
        if seen.contains(&this) {
            let shown = super::internal::shown("core/v1.Taint", taint.value);
            let mut error = FieldError::duplicate(&taint.path, shown);
            error.detail = "taints must be unique by key and effect pair".into();
            errors.0.push(error);
        } else {
            seen.push(this);
        }
    }
}

fn node_amounts(node: &At<'_>, errors: &mut Errors) {
    for list in ["capacity", "allocatable"] {
        for (name, amount) in node.down(&["status", list]).entries() {
            resources::quantity(name, &amount, errors);
        }
    }
}

pub(super) fn node_update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    node_amounts(new, errors);
    let mut seen: Vec<&serde_json::Value> = Vec::new();
    for address in new.down(&["status", "addresses"]).items() {
        if seen.contains(&address.value) {
            let shown = super::internal::shown("core/v1.NodeAddress", address.value);
            errors.0.push(FieldError::duplicate(&address.path, shown));
        }
        seen.push(address.value);
    }
    let (ranges, before) = (
        new.down(&["spec", "podCIDRs"]),
        old.down(&["spec", "podCIDRs"]),
    );
    if !before.is_empty() && ranges.value != before.value {
        let why = "node updates may not change podCIDR except from \"\" to valid";
        errors.forbidden(&ranges, why);
    }
    let (id, before) = (
        new.down(&["spec", "providerID"]),
        old.down(&["spec", "providerID"]),
    );
    if !before.is_empty() && id.text() != before.text() {
        let why = "node updates may not change providerID except from \"\" to valid";
        errors.forbidden(&id, why);
    }
    taints(new, errors);
}

pub(super) fn lease(spec: &At<'_>, errors: &mut Errors) {
    let (seconds, transitions) = (
        spec.field("leaseDurationSeconds"),
        spec.field("leaseTransitions"),
    );
    if seconds.int().is_some_and(|count| count <= 0) {
        errors.bad_int(&seconds, "must be greater than 0");
    }
    errors.not_negative(&transitions);
    let (holder, strategy) = (spec.field("preferredHolder"), spec.field("strategy"));
    if !holder.is_empty() && strategy.is_empty() {
        let why = "may only be specified if `strategy` is defined";
        errors.forbidden(&holder, why);
    }
}

/// Whether events are asked for by their old group, which asks less of them.
fn is_legacy(resource: &Resource) -> bool {
    resource.group.is_empty()
}

pub(super) fn event(resource: &Resource, event: &At<'_>, errors: &mut Errors) {
    let legacy = is_legacy(resource);
    let (about, component) = if legacy {
        ("involvedObject", "reportingComponent")
    } else {
        ("regarding", "reportingController")
    };
    let own = event.down(&["metadata", "namespace"]);
    let namespace = event
        .down(&[about, "namespace"])
        .named("involvedObject.namespace");
    let mismatch = "does not match event.namespace";
    if !event.field("eventTime").is_set() {
        let matches = if namespace.is_empty() {
            matches!(own.text(), "" | "default")
        } else {
            own.text() == namespace.text()
        };
        if !matches {
            errors.bad_text(&namespace, mismatch);
        }
    } else {
        if namespace.is_empty() && !matches!(own.text(), "default" | "kube-system") {
            errors.bad_text(&namespace, mismatch);
        }
        let controller = event.field(component);
        if controller.is_empty() {
            errors.required(&controller, "");
        }
        errors.bad_texts(&controller, names::qualified(controller.text()));
        let note = if legacy { "message" } else { "note" };
        for (name, path, required, limit) in [
            ("reportingInstance", "reportingInstance", true, 128),
            ("action", "action", true, 128),
            ("reason", "reason", true, 128),
            (note, "message", false, 1024),
        ] {
            let field = event.field(name).named(path);
            if required && field.is_empty() {
                errors.required(&field, "");
            }
            if field.len() > limit {
                let why = format!("can have at most {limit} characters");
                errors.bad_value(&field, quoted(""), why);
            }
        }
    }
    errors.bad_texts(&own.named("namespace"), names::subdomain(own.text()));
    if !legacy {
        modern_event(event, errors);
    }
}

fn modern_event(event: &At<'_>, errors: &mut Errors) {
    if let Some(series) = event.some("series")
        && series.field("count").int().unwrap_or(0) < 2
    {
        errors.bad_value(
            &series.named("series.count"),
            quoted(""),
            "should be at least 2",
        );
    }
    if !event.field("eventTime").is_set() {
        errors.required(&event.field("eventTime"), "");
    }
    let kind = event.field("type");
    if !matches!(kind.text(), "Normal" | "Warning") {
        let why = format!("has invalid value: {}", kind.text());
        errors.bad_value(&kind, quoted(""), why);
    }
}

pub(super) fn runtime_class(class: &At<'_>, errors: &mut Errors) {
    let handler = class.field("handler");
    if handler.is_empty() {
        errors.required(&handler, "");
    } else {
        errors.bad_texts(&handler, names::dns_label(handler.text()));
    }
    let overhead = class.down(&["overhead", "podFixed"]);
    for (name, amount) in overhead.entries() {
        let said = amount.named(format!("overhead.limits[{name}]"));
        resources::container_name(name, &said, errors);
        resources::quantity(name, &said, errors);
    }
    if let Some(scheduling) = class.some("scheduling") {
        selector::labels(&scheduling.field("nodeSelector"), errors);
        scheduling::tolerations(&scheduling.field("tolerations"), errors);
    }
}

const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

pub(super) fn certificate_request(object: &At<'_>, errors: &mut Errors) {
    let spec = object.field("spec");
    let request = spec.field("request");
    if !is_pem_request(request.text()) {
        let why = "PEM block type must be CERTIFICATE REQUEST";
        errors.invalid(&request, why);
    }
    let usages = spec.field("usages");
    if usages.is_empty() {
        errors.required(&usages, "");
    }
    for usage in usages.items() {
        if !USAGES.contains(&usage.text()) {
            errors.not_supported(&usage, &USAGES);
        }
    }
    let mut seen: Vec<&str> = Vec::new();
    for usage in usages.items() {
        if seen.contains(&usage.text()) {
            errors.duplicate(&usage);
        }
        seen.push(usage.text());
    }
    let signer = spec.field("signerName");
    if signer.is("kubernetes.io/legacy-unknown") {
        let why = "the legacy signerName is not allowed via this API version";
        errors.bad_text(&signer, why);
    } else {
        signer_name(&signer, errors);
    }
    let seconds = spec.field("expirationSeconds");
    if seconds.int().is_some_and(|count| count < 600) {
        let why = "may not specify a duration less than 600 seconds (10 minutes)";
        errors.bad_int(&seconds, why);
    }
    conditions(&object.down(&["status", "conditions"]), errors);
}

fn is_pem_request(text: &str) -> bool {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.contains("-----BEGIN CERTIFICATE REQUEST-----")
}

fn signer_name(signer: &At<'_>, errors: &mut Errors) {
    if signer.is_empty() {
        return errors.required(signer, "");
    }
    match signer.text().split_once('/') {
        Some((domain, path)) if !path.contains('/') => {
            if domain.is_empty() || path.is_empty() {
                return errors.bad_text(signer, "must be a fully qualified domain and path of the form 'example.com/signer-name'");
            }
            for message in names::subdomain(domain) {
                let why = format!("validating label {}: {message}", quoted(domain));
                errors.bad_text(signer, why);
            }
            if !domain.contains('.') {
                let why = "should be a domain with at least two segments separated by dots";
                errors.bad_value(signer, quoted(domain), why);
            }
        }
        _ => errors.bad_text(
            signer,
            "must be a fully qualified domain and path of the form 'example.com/signer-name'",
        ),
    }
}

fn conditions(conditions: &At<'_>, errors: &mut Errors) {
    let (mut seen, mut decided): (Vec<&str>, Option<&str>) = (Vec::new(), None);
    for condition in conditions.items() {
        let (kind, status) = (condition.field("type"), condition.field("status"));
        if kind.is_empty() {
            errors.required(&kind, "");
        }
        let known: &[&str] = if matches!(kind.text(), "Approved" | "Denied" | "Failed") {
            &["True"]
        } else {
            &["False", "True", "Unknown"]
        };
        errors.one_of(&status, known);
        if matches!(kind.text(), "Approved" | "Denied") {
            if decided.is_some_and(|other| other != kind.text()) {
                let why = "Approved and Denied conditions are mutually exclusive";
                errors.bad_text(&kind.named(conditions.path.as_str()), why);
            }
            decided = Some(kind.text());
        }
        if seen.contains(&kind.text()) {
            errors.duplicate(&kind);
        }
        seen.push(kind.text());
    }
}
