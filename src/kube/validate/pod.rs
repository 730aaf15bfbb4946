//! Pods and pod templates.

use serde_json::Value;

use super::container::{self, Around};
use super::cursor::{At, Errors};
use super::{
    internal, ip, metadata, names, probe, resources, scheduling, security, selector, volume,
};
use crate::kube::schema::Resource;

const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const MIRROR: &str = "kubernetes.io/config.mirror";

/// A new pod.
pub(super) fn create(resource: &Resource, pod: &At<'_>, errors: &mut Errors) {
    metadata_and_spec(resource, pod, errors);
    let spec = pod.field("spec");
    if !spec.field("ephemeralContainers").is_empty() {
        errors.forbidden(
            &spec.field("ephemeralContainers"),
            "cannot be set on create",
        );
    }
    if !spec.field("nodeName").is_empty() && !spec.field("schedulingGates").is_empty() {
        let why = "cannot be set until all schedulingGates have been cleared";
        errors.forbidden(&spec.field("nodeName"), why);
    }
}

fn metadata_and_spec(resource: &Resource, pod: &At<'_>, errors: &mut Errors) {
    let (meta, spec_at) = (pod.field("metadata"), pod.field("spec"));
    metadata::create(resource, &meta, errors);
    annotations(&meta.field("annotations"), &spec_at, errors);
    spec(&spec_at, Some(meta.field("name").text()), errors);
    if spec_at.field("serviceAccountName").is_empty() {
        for volume in spec_at.field("volumes").items() {
            for source in volume.down(&["projected", "sources"]).items() {
                if let Some(token) = source.some("serviceAccountToken") {
                    let why = "must not be specified when serviceAccountName is not set";
                    errors.forbidden(&token, why);
                }
            }
        }
    }
    for list in ["containers", "initContainers"] {
        for one in spec_at.field(list).items() {
            container::padding(&one, errors);
        }
    }
}

fn annotations(annotations: &At<'_>, spec: &At<'_>, errors: &mut Errors) {
    for (key, value) in annotations.entries() {
        if key == MIRROR && spec.field("nodeName").is_empty() {
            errors.bad_text(
                &value,
                "must set spec.nodeName if mirror pod annotation is set",
            );
        }
        let cost = "controller.kubernetes.io/pod-deletion-cost";
        if key == cost && value.text().parse::<i32>().is_err() {
            errors.bad_text(&value, "must be a 32bit integer");
        }
    }
}

/// The template of a workload.
pub(super) fn template(template: &At<'_>, errors: &mut Errors) {
    // Labels and annotations are said to stand at the template itself.
    let meta = template.field("metadata");
    let said = |name: &str| meta.field(name).named(template.field(name).path);
    selector::labels(&said("labels"), errors);
    metadata::annotations(&said("annotations"), errors);
    annotations(&said("annotations"), &template.field("spec"), errors);
    spec(&template.field("spec"), None, errors);
    let ephemeral = template.down(&["spec", "ephemeralContainers"]);
    if !ephemeral.is_empty() {
        errors.forbidden(
            &ephemeral,
            "ephemeral containers not allowed in pod template",
        );
    }
}

/// A pod's spec; `name` is the pod's, none in templates.
pub(super) fn spec(spec: &At<'_>, name: Option<&str>, errors: &mut Errors) {
    let period = spec.field("terminationGracePeriodSeconds");
    if !period.is_set() {
        errors.required(&period, "");
    }
    let host_users = spec.field("hostUsers").value != &Value::Bool(false);
    let volumes = volume::volumes(&spec.field("volumes"), name, errors);
    let claims = resource_claims(&spec.field("resourceClaims"), errors);
    let around = Around {
        volumes,
        claims,
        period: period.int(),
        restart_policy: spec.field("restartPolicy").text(),
        os: spec.field("os"),
        host_users,
    };
    let (regular, init) = (spec.field("containers"), spec.field("initContainers"));
    container::containers(&regular, &around, errors);
    container::init_containers(&init, &regular, &around, errors);
    let others: Vec<&str> = regular
        .items()
        .chain(init.items())
        .map(|one| one.field("name").text())
        .collect();
    let ephemeral = spec.field("ephemeralContainers");
    container::ephemeral_containers(&ephemeral, &others, &around, errors);
    if let Some(own) = spec.some("resources") {
        resources::of_pod(&own, &around.claims, errors);
    }
    host_network(spec, name.is_some(), errors);
    let policy = spec.field("restartPolicy");
    errors.one_of(&policy, &["Always", "OnFailure", "Never"]);
    let policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    errors.one_of(&spec.field("dnsPolicy"), &policies);
    selector::labels(&spec.field("nodeSelector"), errors);
    security::of_pod(&spec.field("securityContext"), spec, errors);
    scheduling::affinity(&spec.field("affinity"), errors);
    dns(spec, errors);
    gates(spec, errors);
    scheduling::spread(&spec.field("topologySpreadConstraints"), errors);
    if !host_users {
        for flag in ["hostPID", "hostIPC"] {
            if spec.field(flag).is_true() {
                let place = spec.field(&format!("H{}", flag.trim_start_matches('h')));
                errors.forbidden(&place, "when `hostUsers` is false");
            }
        }
    }
    own_names(spec, errors);
    rest(spec, errors);
    file_keys(spec, errors);
}

fn host_network(spec: &At<'_>, is_pod: bool, errors: &mut Errors) {
    if !spec.field("hostNetwork").is_true() {
        return;
    }
    for container in spec.field("containers").items() {
        for port in container.field("ports").items() {
            let (host, own) = (port.field("hostPort"), port.field("containerPort"));
            let (host_is, own_is) = (host.int().unwrap_or(0), own.int().unwrap_or(0));
            if (is_pod || host_is != 0) && host_is != own_is {
                errors.bad_int(
                    &host,
                    "must match `containerPort` when `hostNetwork` is true",
                );
            }
        }
    }
}

fn resource_claims<'a>(claims: &At<'a>, errors: &mut Errors) -> Vec<&'a str> {
    let mut seen: Vec<&str> = Vec::new();
    for claim in claims.items() {
        let name = claim.field("name");
        if name.is_empty() {
            errors.required(&name, "");
        } else {
            errors.bad_texts(&name, names::dns_label(name.text()));
            if seen.contains(&name.text()) {
                errors.duplicate(&name);
            }
            seen.push(name.text());
        }
        let kinds = ["resourceClaimName", "resourceClaimTemplateName"];
        match kinds.iter().filter(|kind| claim.some(kind).is_some()).count() {
            0 => errors.bad_value(
                &claim,
                internal::shown("core/v1.PodResourceClaim", claim.value),
                "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
            ),
            1 => {}
            _ => errors.bad_value(
                &claim,
                internal::shown("core/v1.PodResourceClaim", claim.value),
                "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
            ),
        }
        for kind in kinds {
            if let Some(name) = claim.some(kind) {
                errors.bad_texts(&name, names::subdomain(name.text()));
            }
        }
    }
    seen
}

fn dns(spec: &At<'_>, errors: &mut Errors) {
    let config = spec.field("dnsConfig");
    let servers = config.field("nameservers");
    if spec.field("dnsPolicy").is("None") {
        if !config.is_set() {
            let why = "must provide `dnsConfig` when `dnsPolicy` is None";
            return errors.required(&config, why);
        }
        if servers.is_empty() {
            let why = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            return errors.required(&servers, why);
        }
    }
    if servers.len() > 3 {
        errors.invalid(&servers, "must not have more than 3 nameservers");
    }
    for server in servers.items() {
        ip::address(&server, errors);
    }
    let searches = config.field("searches");
    if searches.len() > 32 {
        errors.invalid(&searches, "must not have more than 32 search paths");
    }
    if searches.texts().join(" ").len() > 2048 {
        let why = "must not have more than 2048 characters (including spaces) in the search list";
        errors.invalid(&searches, why);
    }
    for search in searches.items().filter(|search| !search.is(".")) {
        let text = search.text().strip_suffix('.').unwrap_or(search.text());
        for message in names::subdomain_with_underscores(text) {
            errors.bad_value(&search, crate::kube::field::quoted(text), message);
        }
    }
    for option in config.field("options").items() {
        if option.field("name").is_empty() {
            errors.required(&option, "must not be empty");
        }
    }
}

fn gates(spec: &At<'_>, errors: &mut Errors) {
    for gate in spec.field("readinessGates").items() {
        let kind = gate.field("conditionType");
        errors.bad_texts(&kind, names::qualified(kind.text()));
    }
    let mut seen: Vec<&str> = Vec::new();
    for gate in spec.field("schedulingGates").items() {
        let name = gate.field("name").named(gate.path.as_str());
        errors.bad_texts(&name, names::qualified(name.text()));
        if seen.contains(&name.text()) {
            errors.duplicate(&name);
        }
        seen.push(name.text());
    }
}

/// What the pod calls itself, and what it names.
fn own_names(spec: &At<'_>, errors: &mut Errors) {
    let name = spec.field("hostnameOverride");
    if name.is_set() {
        if spec.field("setHostnameAsFQDN").is_true() {
            errors.forbidden(&name, "may not be specified when setHostnameAsFQDN is true");
        }
        if spec.field("hostNetwork").is_true() {
            errors.forbidden(&name, "may not be specified when hostNetwork is true");
        }
        if name.len() > 64 {
            errors.too_long(&name, 64);
        }
        errors.bad_texts(&name, names::subdomain(name.text()));
    }
    for field in ["serviceAccountName", "nodeName"] {
        let name = spec.field(field);
        if !name.is_empty() {
            errors.bad_texts(&name, names::subdomain(name.text()));
        }
    }
    let deadline = spec.field("activeDeadlineSeconds");
    let most = i64::from(i32::MAX);
    if deadline
        .int()
        .is_some_and(|seconds| !(1..=most).contains(&seconds))
    {
        errors.bad_int(&deadline, names::in_range(1, most));
    }
    for field in ["hostname", "subdomain"] {
        let name = spec.field(field);
        if !name.is_empty() {
            errors.bad_texts(&name, names::dns_label(name.text()));
        }
    }
}

fn rest(spec: &At<'_>, errors: &mut Errors) {
    scheduling::tolerations(&spec.field("tolerations"), errors);
    for alias in spec.field("hostAliases").items() {
        ip::address(&alias.field("ip"), errors);
        for name in alias.field("hostnames").items() {
            errors.bad_texts(&name, names::subdomain(name.text()));
        }
    }
    let class = spec.field("priorityClassName");
    if !class.is_empty() {
        errors.bad_texts(&class, names::subdomain(class.text()));
    }
    if let Some(class) = spec.some("runtimeClassName") {
        errors.bad_texts(&class, names::subdomain(class.text()));
    }
    if let Some(policy) = spec.some("preemptionPolicy") {
        errors.one_of(&policy, &["PreemptLowerPriority", "Never"]);
    }
    for (name, amount) in spec.field("overhead").entries() {
        let said = amount.named(format!("{}.limits[{name}]", spec.field("overhead").path));
        resources::container_name(name, &said, errors);
        resources::quantity(name, &said, errors);
    }
    if let Some(os) = spec.some("os") {
        let name = os.field("name");
        if name.is_empty() {
            errors.required(&name, "");
        } else if !matches!(name.text(), "linux" | "windows") {
            errors.not_supported(&name.named(os.path), &["linux", "windows"]);
        }
    }
}

fn file_keys(spec: &At<'_>, errors: &mut Errors) {
    let volumes: Vec<At<'_>> = spec.field("volumes").items().collect();
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in spec.field(list).items() {
            for variable in container.field("env").items() {
                let Some(key) = variable.down(&["valueFrom"]).some("fileKeyRef") else {
                    continue;
                };
                let name = key.field("volumeName");
                match volumes.iter().find(|one| one.field("name").is(name.text())) {
                    None => errors.not_found(&name),
                    Some(volume) if volume.some("emptyDir").is_none() => {
                        errors.bad_text(&name, "referenced volume must be of type emptyDir");
                    }
                    Some(_) => {}
                }
            }
        }
    }
}

const MUTABLE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// An update of a pod that runs or waits.
pub(super) fn update(resource: &Resource, new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let meta = new.field("metadata");
    metadata::update_of_kind(resource, &meta, &old.field("metadata"), errors);
    metadata_and_spec(resource, new, errors);
    fixed_annotations(
        &meta.field("annotations"),
        &old.down(&["metadata", "annotations"]),
        errors,
    );
    let (spec, before) = (new.field("spec"), old.field("spec"));
    for list in ["containers", "initContainers"] {
        let containers = spec.field(list);
        if containers.len() != before.field(list).len() {
            let why = "pod updates may not add or remove containers";
            return errors.forbidden(&containers, why);
        }
        for container in containers.items() {
            let image = container.field("image");
            if image.is_empty() {
                errors.required(&image, "");
            }
            container::padding(&container, errors);
        }
    }
    if !deadline(&spec, &before, errors) {
        return;
    }
    tolerations(
        &spec.field("tolerations"),
        &before.field("tolerations"),
        errors,
    );
    let known: Vec<&str> = before
        .field("schedulingGates")
        .items()
        .map(|gate| gate.field("name").text())
        .collect();
    for gate in spec.field("schedulingGates").items() {
        let name = gate.field("name");
        if !known.contains(&name.text()) {
            let gate = name.text();
            let why = format!("only deletion is allowed, but found new scheduling gate '{gate}'");
            errors.forbidden(&name, why);
        }
    }
    let changed = other_changes(spec.value, before.value, !known.is_empty());
    if !changed.is_empty() {
        let why = format!("pod updates may not change fields other than {MUTABLE}\n{changed}");
        errors.forbidden(&spec, why);
    }
}

fn fixed_annotations(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    for (key, value) in old.entries() {
        if new.field(key).value == value.value {
            continue;
        }
        let place = value.named(format!("{}[{key}]", new.path));
        if key.starts_with(APP_ARMOR) {
            errors.forbidden(&place, "may not remove or update AppArmor annotations");
        }
        if key == MIRROR {
            errors.forbidden(&place, "may not remove or update mirror pod annotation");
        }
    }
    for (key, value) in new.entries() {
        if old.field(key).is_set() {
            continue;
        }
        if key.starts_with(APP_ARMOR) {
            errors.forbidden(&value, "may not add AppArmor annotations");
        }
        if key == MIRROR {
            errors.forbidden(&value, "may not add mirror pod annotation");
        }
    }
}

/// Whether there is any use in looking further.
fn deadline(new: &At<'_>, old: &At<'_>, errors: &mut Errors) -> bool {
    let at = new.field("activeDeadlineSeconds");
    let (now, before) = (at.int(), old.field("activeDeadlineSeconds").int());
    match (now, before) {
        (Some(now), _) if !(0..=i64::from(i32::MAX)).contains(&now) => {
            errors.bad_int(&at, names::in_range(0, i64::from(i32::MAX)));
            return false;
        }
        (Some(now), Some(before)) if before < now => {
            errors.bad_int(&at, "must be less than or equal to previous value");
            return false;
        }
        (None, Some(_)) => {
            errors.invalid(&at, "must not update from a positive integer to nil value");
        }
        _ => {}
    }
    true
}

fn tolerations(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let without_time = |toleration: &Value| {
        let mut toleration = toleration.clone();
        if let Some(map) = toleration.as_object_mut() {
            map.shift_remove("tolerationSeconds");
        }
        toleration
    };
    let now: Vec<Value> = new.items().map(|one| without_time(one.value)).collect();
    if old
        .items()
        .any(|one| !now.contains(&without_time(one.value)))
    {
        let why = "existing toleration can not be modified except its tolerationSeconds";
        return errors.forbidden(new, why);
    }
    scheduling::tolerations(new, errors);
}

/// The fields of a spec that changed and may not have, a line for what was and one for what is.
fn other_changes(new: &Value, old: &Value, gated: bool) -> String {
    let (Some(new), Some(old)) = (new.as_object(), old.as_object()) else {
        return String::new();
    };
    let mut lines = String::new();
    let keys = old
        .keys()
        .chain(new.keys().filter(|key| !old.contains_key(*key)));
    for key in keys {
        let (now, before) = (new.get(key), old.get(key));
        let free = match key.as_str() {
            "activeDeadlineSeconds" | "tolerations" | "schedulingGates" => true,
            "containers" | "initContainers" => without_images(now) == without_images(before),
            "nodeSelector" | "affinity" => gated,
            "terminationGracePeriodSeconds" => {
                before
                    .and_then(Value::as_i64)
                    .is_some_and(|seconds| seconds < 0)
                    && now.and_then(Value::as_i64) == Some(1)
            }
            _ => false,
        };
        if !free && now != before {
            for (sign, value) in [('-', before), ('+', now)] {
                if let Some(value) = value {
                    lines.push_str(&format!("{sign} {key}: {value}\n"));
                }
            }
        }
    }
    lines
}

fn without_images(containers: Option<&Value>) -> Vec<Value> {
    let containers = containers.and_then(Value::as_array).into_iter().flatten();
    let each = containers.map(|container| {
        let mut container = container.clone();
        if let Some(map) = container.as_object_mut() {
            map.shift_remove("image");
        }
        container
    });
    each.collect()
}

/// What a kubelet or controller says of a pod.
pub(super) fn status(resource: &Resource, new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let meta = new.field("metadata");
    metadata::update_of_kind(resource, &meta, &old.field("metadata"), errors);
    fixed_annotations(
        &meta.field("annotations"),
        &old.down(&["metadata", "annotations"]),
        errors,
    );
    let status = new.field("status");
    for condition in status.field("conditions").items() {
        let kind = condition.field("type");
        if !matches!(kind.text(), "PodScheduled" | "Ready" | "Initialized") {
            let place = kind.named(condition.field("Type").path);
            errors.bad_texts(&place, names::qualified(kind.text()));
        }
    }
    let node = status.field("nominatedNodeName");
    if !node.is_empty() && node.value != old.down(&["status", "nominatedNodeName"]).value {
        errors.bad_texts(&node, names::subdomain(node.text()));
    }
    let class = status.field("qosClass");
    errors.immutable(&class, &old.down(&["status", "qosClass"]));
    for list in ["podIPs", "hostIPs"] {
        for address in status.field(list).items() {
            ip::address(&address.field("ip").named(address.path.as_str()), errors);
        }
    }
}

/// A port of a service or probe, by number or name.
pub(super) fn port(at: &At<'_>, errors: &mut Errors) {
    probe::port(at, errors);
}
