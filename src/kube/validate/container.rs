//! Containers of pods.

use super::cursor::{At, Errors};
use super::{environment, mounts, names, probe, resources, security};
use crate::kube::field::{FieldError, quoted};

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
    for container in containers.items() {
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
    environment::environment(&container.field("env"), errors);
    environment::environment_from(&container.field("envFrom"), errors);
    mounts::mounts(container, around, errors);
    mounts::devices(container, around, errors);
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
