//! Webhook configurations and who is called.

use super::cursor::{At, Errors};
use super::{names, selector};
use crate::kube::field::quoted;

/// `mutating` where hooks may be called again.
pub(super) fn configuration(object: &At<'_>, mutating: bool, errors: &mut Errors) {
    let mut seen: Vec<&str> = Vec::new();
    for hook in object.field("webhooks").items() {
        one(&hook, mutating, errors);
        versions(&hook.field("admissionReviewVersions"), errors);
        let name = hook.field("name");
        if !name.is_empty() && seen.contains(&name.text()) {
            errors.duplicate(&name);
        }
        seen.push(name.text());
    }
}

fn one(hook: &At<'_>, mutating: bool, errors: &mut Errors) {
    full_name(&hook.field("name"), errors);
    for rule in hook.field("rules").items() {
        self::rule(&rule, errors);
    }
    enumerated(hook, "failurePolicy", &["Fail", "Ignore"], errors);
    enumerated(hook, "matchPolicy", &["Equivalent", "Exact"], errors);
    let effects = hook.field("sideEffects");
    if effects.is_set() {
        enumerated(hook, "sideEffects", &["None", "NoneOnDryRun"], errors);
    } else {
        errors.required(&effects, "must specify one of None, NoneOnDryRun");
    }
    let timeout = hook.field("timeoutSeconds");
    if timeout
        .int()
        .is_some_and(|seconds| !(1..=30).contains(&seconds))
    {
        let why = "the timeout value must be between 1 and 30 seconds";
        errors.bad_int(&timeout, why);
    }
    selector::label_selector(&hook.field("namespaceSelector"), errors);
    selector::label_selector(&hook.field("objectSelector"), errors);
    if mutating {
        enumerated(hook, "reinvocationPolicy", &["IfNeeded", "Never"], errors);
    }
    client(&hook.field("clientConfig"), errors);
}

fn enumerated(of: &At<'_>, name: &str, words: &[&str], errors: &mut Errors) {
    let at = of.field(name);
    if at.is_set() && !words.contains(&at.text()) {
        errors.not_supported(&at, words);
    }
}

fn full_name(name: &At<'_>, errors: &mut Errors) {
    if name.is_empty() {
        return errors.required(name, "");
    }
    let messages = names::subdomain(name.text());
    if !messages.is_empty() {
        errors.bad_text(name, messages.join(","));
    } else if name.text().split('.').count() < 3 {
        let why = "should be a domain with at least three segments separated by dots";
        errors.bad_text(name, why);
    }
}

fn rule(rule: &At<'_>, errors: &mut Errors) {
    const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
    let operations = rule.field("operations");
    all_or_some(&operations, "operations", errors);
    for operation in operations.items() {
        if !OPERATIONS.contains(&operation.text()) {
            errors.not_supported(&operation, &OPERATIONS);
        }
    }
    all_or_some(&rule.field("apiGroups"), "API groups", errors);
    let versions = rule.field("apiVersions");
    all_or_some(&versions, "API versions", errors);
    for version in versions.items().filter(At::is_empty) {
        errors.required(&version, "");
    }
    resources(&rule.field("resources"), errors);
    enumerated(rule, "scope", &["*", "Cluster", "Namespaced"], errors);
}

/// A star stands alone.
fn all_or_some(list: &At<'_>, what: &str, errors: &mut Errors) {
    if list.is_empty() {
        errors.required(list, "");
    } else if list.len() > 1 && list.texts().contains(&"*") {
        errors.invalid(
            list,
            format!("if '*' is present, must not specify other {what}"),
        );
    }
}

fn resources(resources: &At<'_>, errors: &mut Errors) {
    if resources.is_empty() {
        errors.required(resources, "");
    }
    let (mut all_of, mut of_all): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    let mut plain = false;
    for resource in resources.items() {
        let text = resource.text();
        let Some((name, part)) = text.split_once('/') else {
            if text.is_empty() {
                errors.required(&resource, "");
            } else {
                plain = text != "*";
            }
            continue;
        };
        if all_of.contains(&name) {
            let why = format!("if '{name}/*' is present, must not specify {text}");
            errors.bad_text(&resource, why);
        }
        if of_all.contains(&part) {
            let why = format!("if '*/{part}' is present, must not specify {text}");
            errors.bad_text(&resource, why);
        }
        if part == "*" {
            all_of.push(name);
        }
        if name == "*" {
            of_all.push(part);
        }
    }
    let texts = resources.texts();
    if texts.len() > 1 && texts.contains(&"*/*") {
        let why = "if '*/*' is present, must not specify other resources";
        errors.invalid(resources, why);
    }
    if texts.contains(&"*") && plain {
        let why = "if '*' is present, must not specify other resources without subresources";
        errors.invalid(resources, why);
    }
}

fn versions(versions: &At<'_>, errors: &mut Errors) {
    if versions.is_empty() {
        return errors.required(versions, "must specify one of v1, v1beta1");
    }
    let mut seen: Vec<&str> = Vec::new();
    for version in versions.items() {
        if seen.contains(&version.text()) {
            errors.bad_text(&version, "duplicate version");
            continue;
        }
        seen.push(version.text());
        errors.bad_texts(&version, names::dns_1035_label(version.text()));
    }
    if !seen
        .iter()
        .any(|version| matches!(*version, "v1" | "v1beta1"))
    {
        errors.invalid(versions, "must include at least one of v1, v1beta1");
    }
}

/// Who is called: by URL or by service.
pub(super) fn client(config: &At<'_>, errors: &mut Errors) {
    let (url, service) = (config.field("url"), config.field("service"));
    match (url.is_set(), service.is_set()) {
        (true, false) => address(&url, errors),
        (false, true) => called_service(&service, errors),
        _ => errors.required(config, "exactly one of url or service is required"),
    }
}

fn address(url: &At<'_>, errors: &mut Errors) {
    const FORM: &str = "; desired format: https://host[/path]";
    let (scheme, rest) = url.text().split_once("://").unwrap_or(("", url.text()));
    if scheme != "https" {
        let why = format!("'https' is the only allowed URL scheme{FORM}");
        errors.bad_value(url, quoted(scheme), why);
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, tail) = rest.split_at(end);
    let host = if scheme.is_empty() { "" } else { host };
    let (user, host) = host.rsplit_once('@').unwrap_or(("", host));
    if host.is_empty() {
        errors.bad_value(url, quoted(""), format!("host must be specified{FORM}"));
    }
    if !user.is_empty() {
        let why = "user information is not permitted in the URL";
        errors.bad_value(url, quoted(user), why);
    }
    let (before, fragment) = tail.split_once('#').unwrap_or((tail, ""));
    if !fragment.is_empty() {
        errors.bad_value(
            url,
            quoted(fragment),
            "fragments are not permitted in the URL",
        );
    }
    if let Some((_, query)) = before
        .split_once('?')
        .filter(|(_, query)| !query.is_empty())
    {
        let why = "query parameters are not permitted in the URL";
        errors.bad_value(url, quoted(query), why);
    }
}

fn called_service(service: &At<'_>, errors: &mut Errors) {
    // The release hands the name over as the namespace, and the other way round.
    for (said, name) in [("name", "namespace"), ("namespace", "name")] {
        if service.field(name).is_empty() {
            errors.required(&service.field(said), "");
        }
    }
    let port = service.field("port");
    let messages = names::port_number(port.int().unwrap_or(0));
    if !messages.is_empty() {
        errors.bad_int(&port, format!("port is not valid: {}", messages.join(", ")));
    }
    let path = service.field("path");
    let text = path.text();
    if text.is_empty() || text == "/" {
        return;
    }
    if text == "//" {
        return errors.bad_text(&path, "segment[0] may not be empty");
    }
    if !text.starts_with('/') {
        errors.bad_text(&path, "must start with a '/'");
    }
    // The first byte counts for nothing, whatever it is.
    let steps = text.get(1..).unwrap_or_default();
    let steps = steps.strip_suffix('/').unwrap_or(steps);
    for (index, step) in steps.split('/').enumerate() {
        if step.is_empty() {
            errors.bad_text(&path, format!("segment[{index}] may not be empty"));
            continue;
        }
        for message in names::subdomain(step) {
            errors.bad_text(&path, format!("segment[{index}]: {message}"));
        }
    }
}
