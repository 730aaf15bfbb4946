//! Checks of the restricted level: what pods must say that they will not do.

use std::collections::BTreeSet;

use serde_json::Value;

use super::baseline;
use super::checks::{Pod, Violation, containers, listed, plural, setters, violation};
use crate::kube::tree::{get, int, items, text};

const SECURITY: &str = "securityContext";
/// What volumes may be.
const VOLUMES: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];
/// What else they can be, in the order in which it is looked for.
const OTHERS: [&str; 21] = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "gitRepo",
    "nfs",
    "iscsi",
    "glusterfs",
    "rbd",
    "flexVolume",
    "cinder",
    "cephfs",
    "flocker",
    "fc",
    "azureFile",
    "vsphereVolume",
    "quobyte",
    "azureDisk",
    "photonPersistentDisk",
    "portworxVolume",
    "scaleIO",
    "storageos",
];

/// A yes or no of a security context; none if it is not said.
fn said(of: &Value, key: &str) -> Option<bool> {
    get(of, &[SECURITY, key]).and_then(Value::as_bool)
}

pub(super) fn escalation(pod: Pod<'_>) -> Option<Violation> {
    let names = pod.those(|container| said(container, "allowPrivilegeEscalation") != Some(false));
    if names.is_empty() {
        return None;
    }
    let who = containers(&names);
    let detail = format!("{who} must set securityContext.allowPrivilegeEscalation=false");
    violation("allowPrivilegeEscalation != false", detail)
}

/// Pods of Windows cannot say it.
pub(super) fn escalation_25(pod: Pod<'_>) -> Option<Violation> {
    if pod.is_windows() {
        return None;
    }
    escalation(pod)
}

pub(super) fn capabilities(pod: Pod<'_>) -> Option<Violation> {
    let of = |container, key| items(container, &[SECURITY, "capabilities", key]).iter();
    let keeping = pod.those(|container| !of(container, "drop").any(|one| one == "ALL"));
    let mut added = BTreeSet::new();
    let adding = pod.those(|container| {
        let all = of(container, "add").filter_map(Value::as_str);
        let bad: Vec<&str> = all.filter(|one| *one != "NET_BIND_SERVICE").collect();
        added.extend(bad.iter().copied());
        !bad.is_empty()
    });
    let mut details = Vec::new();
    if !keeping.is_empty() {
        let who = containers(&keeping);
        details.push(format!(
            "{who} must set securityContext.capabilities.drop=[\"ALL\"]"
        ));
    }
    if !adding.is_empty() {
        details.push(format!(
            "{} must not include {} in securityContext.capabilities.add",
            containers(&adding),
            listed(added)
        ));
    }
    if details.is_empty() {
        return None;
    }
    violation("unrestricted capabilities", details.join("; "))
}

/// Pods of Windows have none.
pub(super) fn capabilities_25(pod: Pod<'_>) -> Option<Violation> {
    if pod.is_windows() {
        return None;
    }
    capabilities(pod)
}

pub(super) fn volumes(pod: Pod<'_>) -> Option<Violation> {
    let has = |volume: &Value, kind: &str| get(volume, &[kind]).is_some();
    let all = items(pod.spec, &["volumes"]).iter();
    let all = all.filter(|volume| !VOLUMES.iter().any(|kind| has(volume, kind)));
    let (mut names, mut kinds) = (Vec::new(), BTreeSet::new());
    for volume in all {
        names.push(text(volume, &["name"]));
        let mut others = OTHERS.iter();
        kinds.insert(others.find(|kind| has(volume, kind)).unwrap_or(&"unknown"));
    }
    if names.is_empty() {
        return None;
    }
    let detail = format!(
        "{} {} {} {} {}",
        plural("volume", "volumes", names.len()),
        listed(&names),
        plural("uses", "use", names.len()),
        plural(
            "restricted volume type",
            "restricted volume types",
            kinds.len()
        ),
        listed(kinds)
    );
    violation("restricted volume types", detail)
}

pub(super) fn non_root(pod: Pod<'_>) -> Option<Violation> {
    let reason = "runAsNonRoot != true";
    let of_pod = said(pod.spec, "runAsNonRoot");
    let refusing = pod.those(|container| said(container, "runAsNonRoot") == Some(false));
    let by = setters(of_pod == Some(false), &refusing);
    if !by.is_empty() {
        let by = by.join(" and ");
        let detail = format!("{by} must not set securityContext.runAsNonRoot=false");
        return violation(reason, detail);
    }
    let silent = pod.those(|container| said(container, "runAsNonRoot").is_none());
    if silent.is_empty() || of_pod == Some(true) {
        return None;
    }
    let who = containers(&silent);
    let detail = format!("pod or {who} must set securityContext.runAsNonRoot=true");
    violation(reason, detail)
}

/// Root among users that are none of the host's is nobody there.
pub(super) fn non_root_35(pod: Pod<'_>) -> Option<Violation> {
    if pod.has_own_users() {
        return None;
    }
    non_root(pod)
}

pub(super) fn user(pod: Pod<'_>) -> Option<Violation> {
    let is_root = |of: &Value| int(of, &[SECURITY, "runAsUser"]) == Some(0);
    let names = pod.those(is_root);
    let by = setters(is_root(pod.spec), &names);
    if by.is_empty() {
        return None;
    }
    let by = by.join(" and ");
    violation("runAsUser=0", format!("{by} must not set runAsUser=0"))
}

pub(super) fn user_35(pod: Pod<'_>) -> Option<Violation> {
    if pod.has_own_users() {
        return None;
    }
    user(pod)
}

pub(super) fn seccomp(pod: Pod<'_>) -> Option<Violation> {
    if let Some(bad) = baseline::seccomp(pod) {
        return Some(bad);
    }
    let is_set = |of: &Value| get(of, &[SECURITY, "seccompProfile"]).is_some();
    let silent = pod.those(|container| !is_set(container));
    if silent.is_empty() || is_set(pod.spec) {
        return None;
    }
    let who = containers(&silent);
    let detail = format!(
        "pod or {who} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\""
    );
    violation("seccompProfile", detail)
}

/// Pods of Windows have no such profile.
pub(super) fn seccomp_25(pod: Pod<'_>) -> Option<Violation> {
    if pod.is_windows() {
        return None;
    }
    seccomp(pod)
}
