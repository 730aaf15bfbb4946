//! Where a container has its volumes and devices.

use super::container::Around;
use super::cursor::{At, Errors};
use super::paths;

pub(super) fn mounts(container: &At<'_>, around: &Around<'_>, errors: &mut Errors) {
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

pub(super) fn devices(container: &At<'_>, around: &Around<'_>, errors: &mut Errors) {
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
