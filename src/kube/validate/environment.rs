//! Environment variables, and what of a pod or a container they or files may show.

use super::cursor::{At, Errors};
use super::{names, paths};
use crate::kube::field::quoted;

const ENVIRONMENT_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
pub(super) const VOLUME_FIELDS: [&str; 5] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
];
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

pub(super) fn environment(variables: &At<'_>, errors: &mut Errors) {
    for variable in variables.items() {
        let name = variable.field("name");
        if name.is_empty() {
            errors.required(&name, "");
        } else {
            errors.bad_texts(&name, names::environment_name(name.text()));
        }
        if let Some(from) = variable.some("valueFrom") {
            value_from(&from, !variable.field("value").is_empty(), errors);
        }
    }
}

fn value_from(from: &At<'_>, has_value: bool, errors: &mut Errors) {
    let mut sources = 0;
    if let Some(at) = from.some("fieldRef") {
        sources += 1;
        field_ref(&at, &ENVIRONMENT_FIELDS, errors);
    }
    if let Some(at) = from.some("resourceFieldRef") {
        sources += 1;
        resource_ref(&at, false, errors);
    }
    for kind in ["configMapKeyRef", "secretKeyRef"] {
        if let Some(at) = from.some(kind) {
            sources += 1;
            key_ref(&at, errors);
        }
    }
    if let Some(at) = from.some("fileKeyRef") {
        sources += 1;
        file_key_ref(&at, errors);
    }
    let why = if sources == 0 {
        "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
    } else if has_value {
        "may not be specified when `value` is not empty"
    } else if sources > 1 {
        "may not have more than one field specified at a time"
    } else {
        return;
    };
    errors.bad_value(from, quoted(""), why);
}

/// A field of the pod, by its path, as environment or file.
pub(super) fn field_ref(at: &At<'_>, known: &[&str], errors: &mut Errors) {
    for name in ["apiVersion", "fieldPath"] {
        if at.field(name).is_empty() {
            return errors.required(&at.field(name), "");
        }
    }
    let path = at.field("fieldPath");
    let text = path.text();
    if let Some((map, key)) = text
        .strip_suffix("']")
        .and_then(|rest| rest.split_once("['"))
    {
        let messages = match map {
            "metadata.annotations" => names::qualified(&key.to_lowercase()),
            "metadata.labels" => names::qualified(key),
            _ => {
                let why = format!(
                    "error converting fieldPath: field label does not support subscript: {text}"
                );
                return errors.bad_text(&path, why);
            }
        };
        for message in messages {
            errors.bad_value(at, quoted(key), message);
        }
        return;
    }
    if !ENVIRONMENT_FIELDS.contains(&text) && !VOLUME_FIELDS.contains(&text) {
        let known = [
            "metadata.generateName",
            "metadata.name",
            "metadata.namespace",
            "metadata.uid",
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "spec.hostUsers",
            "status.phase",
            "status.hostIP",
            "status.hostIPs",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
            "metadata.annotations",
            "metadata.labels",
            "spec.host",
        ];
        if !known.contains(&text) {
            let why = format!("error converting fieldPath: field label not supported: {text}");
            return errors.bad_text(&path, why);
        }
    }
    if !known.contains(&text) {
        errors.not_supported(&path, known);
    }
}

/// A container's resource, as environment or file.
pub(super) fn resource_ref(at: &At<'_>, in_volume: bool, errors: &mut Errors) {
    let (container, resource) = (at.field("containerName"), at.field("resource"));
    let pages = |text: &str| {
        text.starts_with("limits.hugepages-") || text.starts_with("requests.hugepages-")
    };
    if in_volume && container.is_empty() {
        errors.required(&container, "");
    } else if resource.is_empty() {
        errors.required(&resource, "");
    } else if !RESOURCES.contains(&resource.text()) && !pages(resource.text()) {
        errors.not_supported(&resource, &RESOURCES);
    }
    divisor(at, resource.text(), errors);
}

fn divisor(at: &At<'_>, resource: &str, errors: &mut Errors) {
    const BYTES: [&str; 13] = [
        "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei",
    ];
    let divisor = at.field("divisor");
    if divisor.is_empty() || divisor.is("0") {
        return;
    }
    let all = BYTES.join(", ");
    let (right, why) = match resource.split_once('.').map_or("", |(_, what)| what) {
        "cpu" => (
            matches!(divisor.text(), "1m" | "1"),
            "only divisor's values 1m and 1 are supported with the cpu resource".to_owned(),
        ),
        what => {
            let name = match what {
                "ephemeral-storage" => "local ephemeral storage",
                "memory" => "memory",
                _ => "hugepages",
            };
            let why = format!("only divisor's values {all} are supported with the {name} resource");
            (BYTES.contains(&divisor.text()), why)
        }
    };
    if !right {
        errors.bad_value(&divisor, quoted(resource), why);
    }
}

fn key_ref(at: &At<'_>, errors: &mut Errors) {
    let (name, key) = (at.field("name"), at.field("key"));
    errors.bad_texts(&name, names::subdomain(name.text()));
    if key.is_empty() {
        errors.required(&key, "");
    } else {
        errors.bad_texts(&key, names::config_key(key.text()));
    }
}

fn file_key_ref(at: &At<'_>, errors: &mut Errors) {
    let (key, volume, path) = (at.field("key"), at.field("volumeName"), at.field("path"));
    for field in [&key, &volume, &path] {
        if field.is_empty() {
            errors.required(field, "");
        }
    }
    if !key.is_empty() {
        errors.bad_texts(&key, names::environment_name(key.text()));
    }
    if !volume.is_empty() {
        errors.bad_texts(&volume, names::dns_label(volume.text()));
    }
    paths::no_back_steps(&path, errors);
}

pub(super) fn environment_from(sources: &At<'_>, errors: &mut Errors) {
    for source in sources.items() {
        let prefix = source.field("prefix");
        if !prefix.is_empty() {
            errors.bad_texts(&prefix, names::environment_name(prefix.text()));
        }
        let mut count = 0;
        for kind in ["configMapRef", "secretRef"] {
            let Some(at) = source.some(kind) else {
                continue;
            };
            count += 1;
            let name = at.field("name");
            if name.is_empty() {
                errors.required(&name, "");
            } else {
                errors.bad_texts(&name, names::subdomain(&names::masked(name.text())));
            }
        }
        if count == 0 {
            let why = "must specify one of: `configMapRef` or `secretRef`";
            errors.bad_value(sources, quoted(""), why);
        } else if count > 1 {
            let why = "may not have more than one field specified at a time";
            errors.bad_value(sources, quoted(""), why);
        }
    }
}
