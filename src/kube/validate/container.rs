//! Containers of pods.

use super::cursor::{At, Errors};
use super::{names, paths, probe, resources, security};
use crate::kube::field::{FieldError, quoted};

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

/// What a container stands among.
pub(super) struct Around<'a> {
    /// The volumes that are right.
    pub(super) volumes: Vec<(&'a str, At<'a>)>,
    /// The names of the pod's resource claims.
    pub(super) claims: Vec<&'a str>,
    /// The pod's grace period.
    pub(super) period: Option<i64>,
    pub(super) restart_policy: &'a str,
    pub(super) os: At<'a>,
    /// Whether the pod's users are the host's.
    pub(super) host_users: bool,
}

pub(super) fn containers(containers: &At<'_>, around: &Around<'_>, errors: &mut Errors) {
    if containers.is_empty() {
        return errors.required(containers, "");
    }
    let mut names: Vec<&str> = Vec::new();
    for container in containers.items() {
        common(&container, around, errors);
        unique(&container, &mut names, errors);
        if let Some(lifecycle) = container.some("lifecycle") {
            probe::lifecycle(&lifecycle, around.period, &around.os, errors);
        }
        probe::of_container(&container, around.period, errors);
        restart(&container, errors);
    }
    host_ports(containers.items(), errors);
}

fn unique<'a>(container: &At<'a>, names: &mut Vec<&'a str>, errors: &mut Errors) {
    let name = container.field("name");
    if names.contains(&name.text()) {
        errors
            .0
            .push(FieldError::duplicate(&name.path, quoted(name.text())));
    } else {
        names.push(name.text());
    }
}

pub(super) fn init_containers<'a>(
    containers: &At<'a>,
    regular: &At<'a>,
    around: &Around<'_>,
    errors: &mut Errors,
) {
    let mut names: Vec<&str> = regular
        .items()
        .map(|one| one.field("name").text())
        .collect();
    for (index, container) in containers.items().enumerate() {
        common(&container, around, errors);
        restart(&container, errors);
        let sidecar = container.field("restartPolicy").is("Always");
        if names.contains(&container.field("name").text()) {
            unique(&container, &mut names, errors);
        } else if !container.field("name").is_empty() {
            names.push(container.field("name").text());
        }
        // Only a container's own ports conflict, and the release says so at the first place of the list.
        let own = container.named(format!("{}[0]", containers.path));
        host_ports(std::iter::once(own), errors);
        if sidecar {
            if let Some(lifecycle) = container.some("lifecycle") {
                probe::lifecycle(&lifecycle, around.period, &around.os, errors);
            }
            probe::of_container(&container, around.period, errors);
        } else {
            for name in [
                "lifecycle",
                "livenessProbe",
                "readinessProbe",
                "startupProbe",
            ] {
                if let Some(at) = container.some(name) {
                    let why = "may not be set for init containers without restartPolicy=Always";
                    errors.forbidden(&at, why);
                }
            }
            for policy in container.field("resizePolicy").items() {
                let restart = policy.field("restartPolicy");
                if restart.is("RestartContainer") {
                    let why =
                        "must not be set to 'RestartContainer' for non-sidecar initContainers";
                    errors.bad_text(&restart, why);
                }
            }
        }
        let _ = index;
    }
}

/// Fields that make no sense for what is added to a running pod.
const NOT_EPHEMERAL: [&str; 6] = [
    "ports",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
    "resizePolicy",
];

pub(super) fn ephemeral_containers(
    containers: &At<'_>,
    others: &[&str],
    around: &Around<'_>,
    errors: &mut Errors,
) {
    let mut names: Vec<&str> = others.to_vec();
    for container in containers.items() {
        common(&container, around, errors);
        padding(&container, errors);
        unique(&container, &mut names, errors);
        let target = container.field("targetContainerName");
        if !target.is_empty() && !others.contains(&target.text()) {
            errors.not_found(&target);
        }
        let why = "cannot be set for an Ephemeral Container";
        for name in NOT_EPHEMERAL {
            let field = container.field(name);
            if field.is_set() && !(field.value.is_array() && field.is_empty()) {
                errors.forbidden(&field, why);
            }
        }
        if !container.field("resources").is_empty() {
            errors.forbidden(&container.field("resources"), why);
        }
        for mount in container.field("volumeMounts").items() {
            for name in ["subPath", "subPathExpr"] {
                if !mount.field(name).is_empty() {
                    errors.forbidden(&mount.field(name), why);
                }
            }
        }
    }
}

/// What only pods are told: templates may hold it.
pub(super) fn padding(container: &At<'_>, errors: &mut Errors) {
    let image = container.field("image");
    if image.text().trim() != image.text() {
        errors.bad_text(&image, "must not have leading or trailing whitespace");
    }
}

fn common(container: &At<'_>, around: &Around<'_>, errors: &mut Errors) {
    let name = container.field("name");
    if name.is_empty() {
        errors.required(&name, "");
    } else {
        errors.bad_texts(&name, names::dns_label(name.text()));
    }
    if container.field("image").is_empty() {
        errors.required(&container.field("image"), "");
    }
    let policy = container.field("terminationMessagePolicy");
    errors.one_of(&policy, &["File", "FallbackToLogsOnError"]);
    ports(&container.field("ports"), errors);
    environment(&container.field("env"), errors);
    environment_from(&container.field("envFrom"), errors);
    mounts(container, around, errors);
    devices(container, around, errors);
    let policy = container.field("imagePullPolicy");
    errors.one_of(&policy, &["Always", "IfNotPresent", "Never"]);
    resources::of_container(&container.field("resources"), &around.claims, errors);
    resize_policy(&container.field("resizePolicy"), around, errors);
    let context = container.field("securityContext");
    security::of_container(&context, around.host_users, errors);
}

fn ports(ports: &At<'_>, errors: &mut Errors) {
    let mut seen: Vec<&str> = Vec::new();
    for port in ports.items() {
        let name = port.field("name");
        if !name.is_empty() {
            let messages = names::port_name(name.text());
            if !messages.is_empty() {
                errors.bad_texts(&name, messages);
            } else if seen.contains(&name.text()) {
                errors.duplicate(&name);
            } else {
                seen.push(name.text());
            }
        }
        let number = port.field("containerPort");
        match number.int().unwrap_or(0) {
            0 => errors.required(&number, ""),
            value => {
                for message in names::port_number(value) {
                    errors.bad_int(&number, message);
                }
            }
        }
        let host = port.field("hostPort");
        if let Some(value) = host.int().filter(|value| *value != 0) {
            for message in names::port_number(value) {
                errors.bad_int(&host, message);
            }
        }
        errors.one_of(&port.field("protocol"), &["SCTP", "TCP", "UDP"]);
    }
}

fn host_ports<'a>(containers: impl Iterator<Item = At<'a>>, errors: &mut Errors) {
    let mut seen: Vec<String> = Vec::new();
    for container in containers {
        for port in container.field("ports").items() {
            let number = port.field("hostPort");
            let Some(value) = number.int().filter(|value| *value != 0) else {
                continue;
            };
            let (protocol, ip) = (port.field("protocol").text(), port.field("hostIP").text());
            let this = format!("{protocol}/{ip}/{value}");
            if seen.contains(&this) {
                errors
                    .0
                    .push(FieldError::duplicate(&number.path, quoted(&this)));
            } else {
                seen.push(this);
            }
        }
    }
}

fn environment(variables: &At<'_>, errors: &mut Errors) {
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

fn environment_from(sources: &At<'_>, errors: &mut Errors) {
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

fn mounts(container: &At<'_>, around: &Around<'_>, errors: &mut Errors) {
    let mounts = container.field("volumeMounts");
    let devices: Vec<(&str, &str)> = container
        .field("volumeDevices")
        .items()
        .map(|device| {
            (
                device.field("name").text(),
                device.field("devicePath").text(),
            )
        })
        .collect();
    let mut taken: Vec<&str> = Vec::new();
    for mount in mounts.items() {
        let (name, path) = (mount.field("name"), mount.field("mountPath"));
        if name.is_empty() {
            errors.required(&name, "");
        }
        if !around
            .volumes
            .iter()
            .any(|(known, _)| *known == name.text())
        {
            errors.not_found(&name);
        }
        if path.is_empty() {
            errors.required(&path, "");
        }
        if taken.contains(&path.text()) {
            errors.bad_text(&path, "must be unique");
        }
        taken.push(path.text());
        if devices.iter().any(|(device, _)| *device == name.text()) {
            errors.bad_text(&name, "must not already exist in volumeDevices");
        }
        if devices.iter().any(|(_, device)| *device == path.text()) {
            errors.bad_text(&path, "must not already exist as a path in volumeDevices");
        }
        // Said at the list, not at the mount.
        let said = |field: &str| mount.field(field).named(format!("{}.{field}", mounts.path));
        let (sub, expression) = (said("subPath"), said("subPathExpr"));
        if !sub.is_empty() {
            paths::descending(&sub, errors);
        }
        if !expression.is_empty() {
            if !sub.is_empty() {
                let why = "subPathExpr and subPath are mutually exclusive";
                errors.bad_text(&mount.field("subPathExpr"), why);
            }
            paths::descending(&expression, errors);
        }
        propagation(&said("mountPropagation"), container, errors);
        recursive(&mount, &said("recursiveReadOnly"), errors);
    }
}

fn propagation(mode: &At<'_>, container: &At<'_>, errors: &mut Errors) {
    if !mode.is_set() {
        return;
    }
    if !matches!(mode.text(), "Bidirectional" | "HostToContainer" | "None") {
        errors.not_supported(mode, &["Bidirectional", "HostToContainer", "None"]);
    }
    let privileged = container.down(&["securityContext", "privileged"]).is_true();
    if mode.is("Bidirectional") && !privileged {
        let why = "Bidirectional mount propagation is available only to privileged containers";
        errors.forbidden(mode, why);
    }
}

fn recursive(mount: &At<'_>, mode: &At<'_>, errors: &mut Errors) {
    match mode.text() {
        _ if !mode.is_set() => {}
        "Disabled" => {}
        "Enabled" | "IfPossible" => {
            if !mount.field("readOnly").is_true() {
                errors.forbidden(mode, "may only be specified when readOnly is true");
            }
            let propagation = mount.field("mountPropagation");
            if propagation.is_set() && !propagation.is("None") {
                let why = "may only be specified when mountPropagation is None or not specified";
                errors.forbidden(mode, why);
            }
        }
        _ => errors.not_supported(mode, &["Disabled", "Enabled", "IfPossible"]),
    }
}

fn devices(container: &At<'_>, around: &Around<'_>, errors: &mut Errors) {
    let mounts: Vec<(&str, &str)> = container
        .field("volumeMounts")
        .items()
        .map(|mount| (mount.field("name").text(), mount.field("mountPath").text()))
        .collect();
    let (mut names, mut paths): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for device in container.field("volumeDevices").items() {
        let (name, path) = (device.field("name"), device.field("devicePath"));
        let volume = around
            .volumes
            .iter()
            .find(|(known, _)| *known == name.text());
        if name.is_empty() {
            errors.required(&name, "");
        }
        if names.contains(&name.text()) {
            errors.bad_text(&name, "must be unique");
        }
        match volume {
            None => errors.not_found(&name),
            Some((_, volume)) => {
                let block = ["persistentVolumeClaim", "ephemeral"];
                if !block.iter().any(|kind| volume.some(kind).is_some()) {
                    let why = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                    errors.bad_text(&name, why);
                }
            }
        }
        if path.is_empty() {
            errors.required(&path, "");
        }
        if paths.contains(&path.text()) {
            errors.bad_text(&path, "must be unique");
        }
        if path.text().split('/').any(|part| part == "..") {
            errors.bad_text(&path, "can not contain backsteps ('..')");
        } else {
            paths.push(path.text());
        }
        if mounts.iter().any(|(mount, _)| *mount == name.text()) {
            errors.bad_text(&name, "must not already exist in volumeMounts");
        }
        if mounts.iter().any(|(_, mount)| *mount == path.text()) {
            errors.bad_text(&path, "must not already exist as a path in volumeMounts");
        }
        if !name.is_empty() {
            names.push(name.text());
        }
    }
}

fn resize_policy(policies: &At<'_>, around: &Around<'_>, errors: &mut Errors) {
    let mut seen: Vec<&str> = Vec::new();
    for policy in policies.items() {
        let (name, restart) = (policy.field("resourceName"), policy.field("restartPolicy"));
        if seen.contains(&name.text()) {
            errors
                .0
                .push(FieldError::duplicate(&policy.path, quoted(name.text())));
        }
        seen.push(name.text());
        errors.one_of(&name.named(policies.path.as_str()), &["cpu", "memory"]);
        let restart = restart.named(policies.path.as_str());
        errors.one_of(&restart, &["NotRequired", "RestartContainer"]);
        if around.restart_policy == "Never" && !restart.is("NotRequired") {
            let why = "must be 'NotRequired' when pod `restartPolicy` is 'Never'";
            errors.bad_text(&restart, why);
        }
    }
}

/// When a container is started again on its own.
fn restart(container: &At<'_>, errors: &mut Errors) {
    let (policy, rules) = (
        container.field("restartPolicy"),
        container.field("restartPolicyRules"),
    );
    if !policy.is_set() {
        if !rules.is_empty() {
            let why = "must specify restartPolicy when restart rules are used";
            errors.required(&policy, why);
        } else {
            return;
        }
    } else if !matches!(policy.text(), "Always" | "Never" | "OnFailure") {
        errors.not_supported(&policy, &["Always", "Never", "OnFailure"]);
    }
    if rules.len() > 20 {
        errors.too_many(&rules, 20);
    }
    for rule in rules.items() {
        let action = rule.field("action");
        if !matches!(action.text(), "Restart" | "RestartAllContainers") {
            errors.not_supported(&action, &["Restart", "RestartAllContainers"]);
        }
        let codes = rule.field("exitCodes");
        if !codes.is_set() {
            errors.required(&codes, "must be specified");
            continue;
        }
        let operator = codes.field("operator");
        if !matches!(operator.text(), "In" | "NotIn") {
            errors.not_supported(&operator, &["In", "NotIn"]);
        }
        if codes.field("values").len() > 255 {
            errors.too_many(&codes.field("values"), 255);
        }
    }
}
