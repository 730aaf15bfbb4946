//! What storage drivers say of themselves and of volumes.

use super::cursor::{At, Errors};
use super::{names, resources, volume};
use crate::kube::amount::Amount;

pub(super) fn node_drivers(node: &At<'_>, errors: &mut Errors) {
    let mut seen: Vec<&str> = Vec::new();
    for driver in node.down(&["spec", "drivers"]).items() {
        let (name, id) = (driver.field("name"), driver.field("nodeID"));
        volume::csi_driver(&name, errors);
        if id.is_empty() {
            errors.required(&id, "");
        } else if id.len() > 256 {
            let why = "must be 256 characters or less";
            errors.bad_text(&id, why);
        }
        if driver
            .down(&["allocatable", "count"])
            .int()
            .is_some_and(|count| count < 0)
        {
            errors.bad_int(
                &driver.down(&["allocatable", "count"]),
                "must be greater than or equal to 0",
            );
        }
        if seen.contains(&name.text()) {
            errors.duplicate(&name);
        }
        seen.push(name.text());
    }
}

pub(super) fn attachment(spec: &At<'_>, errors: &mut Errors) {
    volume::csi_driver(&spec.field("attacher"), errors);
    let source = spec.field("source");
    let kinds = ["inlineVolumeSpec", "persistentVolumeName"];
    if kinds
        .iter()
        .filter(|kind| source.some(kind).is_some())
        .count()
        != 1
    {
        let why = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
        errors.required(&source, why);
    } else if let Some(name) = source.some("persistentVolumeName") {
        if name.is_empty() {
            errors.required(&name, "must specify non empty persistentVolumeName");
        } else {
            errors.bad_texts(&name, names::subdomain(name.text()));
        }
    }
    let node = spec.field("nodeName");
    errors.bad_texts(&node, names::subdomain(node.text()));
}

pub(super) fn capacity_report(report: &At<'_>, errors: &mut Errors) {
    let class = report.field("storageClassName");
    errors.bad_texts(&class, names::subdomain(class.text()));
    for name in ["capacity", "maximumVolumeSize"] {
        let at = report.field(name);
        if resources::amount(&at).is_some_and(|amount| amount < Amount::ZERO) {
            errors.bad_text(&at, "must be greater than or equal to 0");
        }
    }
}

pub(super) fn driver(driver: &At<'_>, errors: &mut Errors) {
    let name = driver.down(&["metadata", "name"]);
    volume::csi_driver(&name, errors);
    let spec = driver.field("spec");
    let modes = spec.field("volumeLifecycleModes");
    for mode in modes.items() {
        if !matches!(mode.text(), "Persistent" | "Ephemeral") {
            let place = mode.named(modes.path.as_str());
            errors.not_supported(&place, &["Ephemeral", "Persistent"]);
        }
    }
    let policy = spec.field("fsGroupPolicy");
    let known = ["File", "None", "ReadWriteOnceWithFSType"];
    if policy.is_set() && !known.contains(&policy.text()) {
        errors.not_supported(&policy, &known);
    }
}
