//! Security contexts.

use super::cursor::{At, Errors};
use super::{internal, names, paths};

fn ids(context: &At<'_>, fields: &[&str], errors: &mut Errors) {
    for name in fields {
        let field = context.field(name);
        if let Some(id) = field.int() {
            for message in names::user_id(id) {
                errors.bad_int(&field, message);
            }
        }
    }
}

fn enumerated(at: &At<'_>, words: &[&str], errors: &mut Errors) {
    if at.is_set() && !words.contains(&at.text()) {
        errors.not_supported(at, words);
    }
}

/// Of a whole pod. `spec` is the pod's.
pub(super) fn of_pod(context: &At<'_>, spec: &At<'_>, errors: &mut Errors) {
    if !context.is_set() {
        return;
    }
    ids(context, &["fsGroup", "runAsUser", "runAsGroup"], errors);
    for group in context.field("supplementalGroups").items() {
        for message in names::user_id(group.int().unwrap_or(0)) {
            errors.bad_int(&group, message);
        }
    }
    let share = spec.field("shareProcessNamespace");
    if share.is_true() && spec.field("hostPID").is_true() {
        let why = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.bad_value(&context.field("shareProcessNamespace"), "true", why);
    }
    sysctls(&context.field("sysctls"), spec, errors);
    let policy = context.field("fsGroupChangePolicy");
    enumerated(&policy, &["Always", "OnRootMismatch"], errors);
    seccomp(&context.field("seccompProfile"), errors);
    app_armor(&context.field("appArmorProfile"), errors);
    let policy = context.field("supplementalGroupsPolicy");
    enumerated(&policy, &["Merge", "Strict"], errors);
    let policy = context.field("seLinuxChangePolicy");
    enumerated(&policy, &["MountOption", "Recursive"], errors);
}

fn sysctls(sysctls: &At<'_>, spec: &At<'_>, errors: &mut Errors) {
    const EXPRESSION: &str =
        r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
    let mut seen: Vec<&str> = Vec::new();
    for sysctl in sysctls.items() {
        let name = sysctl.field("name");
        let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let segment = |part: &str| {
            let bytes = part.as_bytes();
            let inner = |b: &u8| edge(Some(b)) || matches!(b, b'-' | b'_');
            edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(inner)
        };
        if name.is_empty() {
            errors.required(&name, "");
        } else if name.len() > 253 || !name.text().split(['.', '/']).all(segment) {
            let why = format!("must have at most 253 characters and match regex {EXPRESSION}");
            errors.bad_text(&name, why);
        } else if seen.contains(&name.text()) {
            errors.duplicate(&name);
        }
        for (flag, prefix) in [("hostNetwork", "net."), ("hostIPC", "kernel.shm")] {
            if spec.field(flag).is_true() && name.text().starts_with(prefix) {
                errors.bad_text(&name, format!("may not be specified when '{flag}' is true"));
            }
        }
        seen.push(name.text());
    }
}

fn seccomp(profile: &At<'_>, errors: &mut Errors) {
    if !profile.is_set() {
        return;
    }
    let (kind, local) = (profile.field("type"), profile.field("localhostProfile"));
    match kind.text() {
        "Localhost" if local.is_set() => paths::descending(&local, errors),
        "Localhost" => {
            errors.required(&local, "must be set when seccomp type is Localhost");
        }
        "" => errors.required(&kind, "type is required when seccompProfile is set"),
        "RuntimeDefault" | "Unconfined" => {}
        _ => errors.not_supported(&kind, &["Localhost", "RuntimeDefault", "Unconfined"]),
    }
    if !kind.is("Localhost") && local.is_set() {
        let why = "can only be set when seccomp type is Localhost";
        errors.bad_value(
            &local,
            internal::shown("core/v1.SeccompProfile", profile.value),
            why,
        );
    }
}

fn app_armor(profile: &At<'_>, errors: &mut Errors) {
    if !profile.is_set() {
        return;
    }
    let (kind, local) = (profile.field("type"), profile.field("localhostProfile"));
    match kind.text() {
        "Localhost" => {
            let trimmed = local.text().trim();
            if local.is_set() && trimmed != local.text() {
                errors.bad_text(&local, "must not be padded with whitespace");
            } else if trimmed.is_empty() {
                errors.required(&local, "must be set when AppArmor type is Localhost");
            }
            if local.len() > 4095 {
                errors.too_long(&local, 4095);
            }
        }
        "RuntimeDefault" | "Unconfined" => {
            if local.is_set() {
                errors.bad_text(&local, "can only be set when AppArmor type is Localhost");
            }
        }
        "" => errors.required(&kind, "type is required when appArmorProfile is set"),
        _ => errors.not_supported(&kind, &["Localhost", "RuntimeDefault", "Unconfined"]),
    }
}

/// Of one container.
pub(super) fn of_container(context: &At<'_>, host_users: bool, errors: &mut Errors) {
    if !context.is_set() {
        return;
    }
    ids(context, &["runAsUser", "runAsGroup"], errors);
    if let Some(mount) = context.some("procMount") {
        if !matches!(mount.text(), "Default" | "Unmasked") {
            errors.not_supported(&mount, &["Default", "Unmasked"]);
        }
        if host_users && mount.is("Unmasked") {
            errors.bad_text(&mount, "`hostUsers` must be false to use `Unmasked`");
        }
    }
    seccomp(&context.field("seccompProfile"), errors);
    let refused =
        context.field("allowPrivilegeEscalation").value == &serde_json::Value::Bool(false);
    if refused {
        let shown = || internal::shown("core/v1.SecurityContext", context.value);
        if context.field("privileged").is_true() {
            let why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            errors.bad_value(context, shown(), why);
        }
        let added = context.down(&["capabilities", "add"]).texts();
        if added.contains(&"CAP_SYS_ADMIN") {
            let why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            errors.bad_value(context, shown(), why);
        }
    }
    app_armor(&context.field("appArmorProfile"), errors);
}
