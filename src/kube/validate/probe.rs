//! Probes and what runs at the ends of a container's life.

use super::cursor::{At, Errors};
use super::names;
use crate::kube::field::quoted;

/// A port by its number or its name.
pub(super) fn port(port: &At<'_>, errors: &mut Errors) {
    match port.int() {
        None if port.value.is_string() => errors.bad_texts(port, names::port_name(port.text())),
        number => {
            for message in names::port_number(number.unwrap_or(0)) {
                errors.bad_int(port, message);
            }
        }
    }
}

fn handler(handler: &At<'_>, period: Option<i64>, errors: &mut Errors) {
    let mut found = 0;
    for kind in ["exec", "httpGet", "tcpSocket", "grpc", "sleep"] {
        let Some(action) = handler.some(kind) else {
            continue;
        };
        found += 1;
        if found > 1 {
            errors.forbidden(&action, "may not specify more than 1 handler type");
            continue;
        }
        match kind {
            "exec" if action.field("command").is_empty() => {
                errors.required(&action.field("command"), "");
            }
            "httpGet" => http_get(&action, errors),
            "tcpSocket" | "grpc" => port(&action.field("port"), errors),
            "sleep" => sleep(&action, period, errors),
            _ => {}
        }
    }
    if found == 0 {
        errors.required(handler, "must specify a handler type");
    }
}

fn http_get(action: &At<'_>, errors: &mut Errors) {
    let path = action.field("path");
    if path.is_empty() {
        errors.required(&path, "");
    }
    port(&action.field("port"), errors);
    let scheme = action.field("scheme");
    if !matches!(scheme.text(), "HTTP" | "HTTPS") {
        errors.not_supported(&scheme, &["HTTP", "HTTPS"]);
    }
    let headers = action.field("httpHeaders");
    for header in headers.items() {
        let name = header.field("name").text();
        for message in names::http_header(name) {
            errors.bad_value(&headers, quoted(name), message);
        }
    }
}

fn sleep(action: &At<'_>, period: Option<i64>, errors: &mut Errors) {
    let seconds = action.field("seconds").int().unwrap_or(0);
    if let Some(period) = period
        && !(0..=period).contains(&seconds)
    {
        let why =
            format!("must be non-negative and less than terminationGracePeriodSeconds ({period})");
        errors.bad_value(action, seconds.to_string(), why);
    }
}

fn probe(probe: &At<'_>, period: Option<i64>, errors: &mut Errors) {
    handler(probe, period, errors);
    for name in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        errors.not_negative(&probe.field(name));
    }
    let grace = probe.field("terminationGracePeriodSeconds");
    if grace.int().is_some_and(|seconds| seconds <= 0) {
        errors.bad_int(&grace, "must be greater than 0");
    }
}

/// The probes of a container that may have any.
pub(super) fn of_container(container: &At<'_>, period: Option<i64>, errors: &mut Errors) {
    for kind in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(at) = container.some(kind) else {
            continue;
        };
        probe(&at, period, errors);
        let (successes, grace) = (
            at.field("successThreshold"),
            at.field("terminationGracePeriodSeconds"),
        );
        if kind == "readinessProbe" {
            if grace.is_set() {
                errors.bad_int(&grace, "must not be set for readinessProbes");
            }
        } else if successes.int().unwrap_or(0) != 1 {
            errors.bad_int(&successes, "must be 1");
        }
    }
}

pub(super) fn lifecycle(lifecycle: &At<'_>, period: Option<i64>, os: &At<'_>, errors: &mut Errors) {
    for kind in ["postStart", "preStop"] {
        if let Some(at) = lifecycle.some(kind) {
            handler(&at, period, errors);
        }
    }
    if let Some(signal) = lifecycle.some("stopSignal")
        && !os.is_set()
    {
        let why = "may not be set for containers with empty `spec.os.name`";
        errors.forbidden(&signal, why);
    }
}
