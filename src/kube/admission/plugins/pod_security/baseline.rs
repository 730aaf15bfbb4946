//! Checks of the baseline level: what would give a pod more than is usual.

use std::collections::BTreeSet;

use serde_json::Value;

use super::checks::{Pod, Violation, containers, listed, plural, setters, violation};
use crate::kube::field::quoted;
use crate::kube::tree::{entries, flag, get, int, items, text};

const SECURITY: &str = "securityContext";
const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
/// Newer ones behind older ones; how many a version knows is said where they are used.
const SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
];
/// The last one from version 1.31 on.
const SE_LINUX_TYPES: [&str; 5] = [
    "",
    "container_t",
    "container_init_t",
    "container_kvm_t",
    "container_engine_t",
];

pub(super) fn app_armor(pod: Pod<'_>) -> Option<Violation> {
    let path = [SECURITY, "appArmorProfile", "type"];
    let mut values = BTreeSet::new();
    let mut is_bad = |of| {
        let set = get(of, &[SECURITY, "appArmorProfile"]).is_some();
        let value = text(of, &path);
        let bad = set && !matches!(value, "RuntimeDefault" | "Localhost");
        if bad {
            values.insert(value.to_owned());
        }
        bad
    };
    let of_pod = is_bad(pod.spec);
    let names = pod.those(is_bad);
    let mut by = setters(of_pod, &names);
    let mut values: Vec<String> = values.into_iter().collect();
    let annotations = entries(pod.metadata, &["annotations"]).filter_map(|(key, value)| {
        let value = value.as_str()?;
        let allowed =
            value.is_empty() || value == "runtime/default" || value.starts_with("localhost/");
        let ours = key.starts_with("container.apparmor.security.beta.kubernetes.io/");
        (ours && !allowed).then(|| format!("{key}={}", quoted(value)))
    });
    let mut annotations: Vec<String> = annotations.collect();
    annotations.sort();
    if !annotations.is_empty() {
        by.push(plural("annotation", "annotations", annotations.len()).to_owned());
        values.extend(annotations);
    }
    if by.is_empty() {
        return None;
    }
    let reason = plural(
        "forbidden AppArmor profile",
        "forbidden AppArmor profiles",
        values.len(),
    );
    let by = by.join(" and ");
    let detail = format!(
        "{by} must not set AppArmor profile type to {}",
        listed(&values)
    );
    violation(reason, detail)
}

pub(super) fn capabilities(pod: Pod<'_>) -> Option<Violation> {
    let mut added = BTreeSet::new();
    let names = pod.those(|container| {
        let all = items(container, &[SECURITY, "capabilities", "add"]).iter();
        let all = all.filter_map(Value::as_str);
        let bad: Vec<&str> = all.filter(|one| !CAPABILITIES.contains(one)).collect();
        added.extend(bad.iter().copied());
        !bad.is_empty()
    });
    if names.is_empty() {
        return None;
    }
    let detail = format!(
        "{} must not include {} in securityContext.capabilities.add",
        containers(&names),
        listed(added)
    );
    violation("non-default capabilities", detail)
}

pub(super) fn host_namespaces(pod: Pod<'_>) -> Option<Violation> {
    let all = ["hostNetwork", "hostPID", "hostIPC"].into_iter();
    let all = all.filter(|key| flag(pod.spec, &[key]));
    let all: Vec<String> = all.map(|key| format!("{key}=true")).collect();
    if all.is_empty() {
        return None;
    }
    violation("host namespaces", all.join(", "))
}

pub(super) fn host_paths(pod: Pod<'_>) -> Option<Violation> {
    let all = items(pod.spec, &["volumes"]).iter();
    let all = all.filter(|volume| get(volume, &["hostPath"]).is_some());
    let all: Vec<&str> = all.map(|volume| text(volume, &["name"])).collect();
    if all.is_empty() {
        return None;
    }
    let word = plural("volume", "volumes", all.len());
    violation("hostPath volumes", format!("{word} {}", listed(all)))
}

pub(super) fn host_ports(pod: Pod<'_>) -> Option<Violation> {
    let mut ports = BTreeSet::new();
    let names = pod.those(|container| {
        let all = items(container, &["ports"]).iter();
        let all = all.filter_map(|port| int(port, &["hostPort"]));
        let all = all.filter(|port| *port != 0).map(|port| port.to_string());
        let all: Vec<String> = all.collect();
        let bad = !all.is_empty();
        ports.extend(all);
        bad
    });
    if names.is_empty() {
        return None;
    }
    let uses = plural("uses", "use", names.len());
    let word = plural("hostPort", "hostPorts", ports.len());
    let ports: Vec<String> = ports.into_iter().collect();
    let detail = format!("{} {uses} {word} {}", containers(&names), ports.join(", "));
    violation("hostPort", detail)
}

pub(super) fn probe_hosts(pod: Pod<'_>) -> Option<Violation> {
    let mut hosts = BTreeSet::new();
    let names = pod.those(|container| {
        let handlers = [
            &["livenessProbe"][..],
            &["readinessProbe"],
            &["startupProbe"],
            &["lifecycle", "postStart"],
            &["lifecycle", "preStop"],
        ];
        let mut bad = false;
        let handlers = handlers.into_iter();
        for handler in handlers.filter_map(|path| get(container, path)) {
            for way in ["httpGet", "tcpSocket"] {
                let host = text(handler, &[way, "host"]);
                if !host.is_empty() {
                    hosts.insert(host.to_owned());
                    bad = true;
                }
            }
        }
        bad
    });
    if names.is_empty() {
        return None;
    }
    let names: BTreeSet<&str> = names.into_iter().collect();
    let names: Vec<&str> = names.into_iter().collect();
    let uses = plural("uses", "use", names.len());
    let what = "probe or lifecycle host";
    let word = plural(what, "probe or lifecycle hosts", hosts.len());
    let detail = format!("{} {uses} {word} {}", containers(&names), listed(hosts));
    violation(what, detail)
}

pub(super) fn privileged(pod: Pod<'_>) -> Option<Violation> {
    let names = pod.those(|container| flag(container, &[SECURITY, "privileged"]));
    if names.is_empty() {
        return None;
    }
    let who = containers(&names);
    let detail = format!("{who} must not set securityContext.privileged=true");
    violation("privileged", detail)
}

pub(super) fn proc_mount(pod: Pod<'_>) -> Option<Violation> {
    let mut values = BTreeSet::new();
    let names = pod.those(|container| {
        let value = get(container, &[SECURITY, "procMount"]).and_then(Value::as_str);
        let bad = value.filter(|value| *value != "Default");
        values.extend(bad);
        bad.is_some()
    });
    if names.is_empty() {
        return None;
    }
    let detail = format!(
        "{} must not set securityContext.procMount to {}",
        containers(&names),
        listed(values)
    );
    violation("procMount", detail)
}

pub(super) fn proc_mount_of_host_users(pod: Pod<'_>) -> Option<Violation> {
    if pod.has_own_users() {
        return None;
    }
    proc_mount(pod)
}

pub(super) fn se_linux(pod: Pod<'_>) -> Option<Violation> {
    options(pod, SE_LINUX_TYPES.get(..4).unwrap_or(&[]))
}

pub(super) fn se_linux_31(pod: Pod<'_>) -> Option<Violation> {
    options(pod, &SE_LINUX_TYPES)
}

fn options(pod: Pod<'_>, allowed: &[&str]) -> Option<Violation> {
    let mut types = BTreeSet::new();
    let (mut user, mut role) = (false, false);
    let mut is_bad = |of| {
        let Some(options) = get(of, &[SECURITY, "seLinuxOptions"]) else {
            return false;
        };
        let kind = text(options, &["type"]);
        let bad_kind = !allowed.contains(&kind);
        if bad_kind {
            types.insert(kind.to_owned());
        }
        let has_user = !text(options, &["user"]).is_empty();
        let has_role = !text(options, &["role"]).is_empty();
        user |= has_user;
        role |= has_role;
        bad_kind || has_user || has_role
    };
    let of_pod = is_bad(pod.spec);
    let names = pod.those(is_bad);
    let by = setters(of_pod, &names);
    if by.is_empty() {
        return None;
    }
    let mut what = Vec::new();
    if !types.is_empty() {
        let word = plural("type", "types", types.len());
        what.push(format!("{word} {}", listed(&types)));
    }
    what.extend(user.then(|| "user may not be set".to_owned()));
    what.extend(role.then(|| "role may not be set".to_owned()));
    let detail = format!(
        "{} set forbidden securityContext.seLinuxOptions: {}",
        by.join(" and "),
        what.join("; ")
    );
    violation("seLinuxOptions", detail)
}

pub(super) fn seccomp_annotations(pod: Pod<'_>) -> Option<Violation> {
    let mut bad = BTreeSet::new();
    let mut look = |key: String| {
        let value = get(pod.metadata, &["annotations", &key]).and_then(Value::as_str);
        let allowed = |value: &&str| {
            matches!(*value, "runtime/default" | "docker/default")
                || value.starts_with("localhost/")
        };
        if let Some(value) = value.filter(|value| !allowed(value)) {
            bad.insert(format!("{key}={}", quoted(value)));
        }
    };
    look("seccomp.security.alpha.kubernetes.io/pod".to_owned());
    for container in pod.containers() {
        let name = text(container, &["name"]);
        look(format!(
            "container.seccomp.security.alpha.kubernetes.io/{name}"
        ));
    }
    if bad.is_empty() {
        return None;
    }
    let word = plural("annotation", "annotations", bad.len());
    let bad: Vec<String> = bad.into_iter().collect();
    violation(
        "seccompProfile",
        format!("forbidden {word} {}", bad.join(", ")),
    )
}

/// What is set to a profile that is none of the allowed kinds.
pub(super) fn seccomp(pod: Pod<'_>) -> Option<Violation> {
    let mut values = BTreeSet::new();
    let mut is_bad = |of| {
        let set = get(of, &[SECURITY, "seccompProfile"]).is_some();
        let value = text(of, &[SECURITY, "seccompProfile", "type"]);
        let bad = set && !matches!(value, "RuntimeDefault" | "Localhost");
        if bad {
            values.insert(value.to_owned());
        }
        bad
    };
    let of_pod = is_bad(pod.spec);
    let names = pod.those(is_bad);
    let by = setters(of_pod, &names);
    if by.is_empty() {
        return None;
    }
    let detail = format!(
        "{} must not set securityContext.seccompProfile.type to {}",
        by.join(" and "),
        listed(values)
    );
    violation("seccompProfile", detail)
}

pub(super) fn sysctls(pod: Pod<'_>) -> Option<Violation> {
    other_sysctls(pod, 5)
}

pub(super) fn sysctls_27(pod: Pod<'_>) -> Option<Violation> {
    other_sysctls(pod, 6)
}

pub(super) fn sysctls_29(pod: Pod<'_>) -> Option<Violation> {
    other_sysctls(pod, 10)
}

pub(super) fn sysctls_32(pod: Pod<'_>) -> Option<Violation> {
    other_sysctls(pod, 12)
}

fn other_sysctls(pod: Pod<'_>, known: usize) -> Option<Violation> {
    let allowed = SYSCTLS.get(..known).unwrap_or(&SYSCTLS);
    let all = items(pod.spec, &[SECURITY, "sysctls"]).iter();
    let all = all.map(|one| text(one, &["name"]));
    let all: Vec<&str> = all.filter(|name| !allowed.contains(name)).collect();
    if all.is_empty() {
        return None;
    }
    violation("forbidden sysctls", all.join(", "))
}

pub(super) fn host_process(pod: Pod<'_>) -> Option<Violation> {
    let is_bad = |of: &Value| flag(of, &[SECURITY, "windowsOptions", "hostProcess"]);
    let names = pod.those(is_bad);
    let by = setters(is_bad(pod.spec), &names);
    if by.is_empty() {
        return None;
    }
    let by = by.join(" and ");
    let detail = format!("{by} must not set securityContext.windowsOptions.hostProcess=true");
    violation("hostProcess", detail)
}
