//! The rows of volumes, claims and what provides them.

use serde_json::Value;

use super::cells;
use super::value::{Subject, amount, joined, or, text};

const BETA_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

pub(super) fn volume(of: Subject<'_>) -> Vec<Value> {
    let claim = of.dig("spec.claimRef");
    let claim = if claim.is_null() {
        String::new()
    } else {
        format!("{}/{}", text(claim, "namespace"), text(claim, "name"))
    };
    cells![
        of.name(),
        amount(of.dig("spec.capacity.storage")),
        access_modes(of.list("spec.accessModes")),
        of.text("spec.persistentVolumeReclaimPolicy"),
        phase(of),
        claim,
        class(of),
        unless_unset(of, "spec.volumeAttributesClassName"),
        of.text("status.reason"),
        of.age(),
        unless_unset(of, "spec.volumeMode"),
    ]
}

pub(super) fn claim(of: Subject<'_>) -> Vec<Value> {
    let volume = of.text("spec.volumeName");
    // What is bound is told, not what was asked for.
    let (capacity, modes) = if volume.is_empty() {
        Default::default()
    } else {
        (
            amount(of.dig("status.capacity.storage")),
            access_modes(of.list("status.accessModes")),
        )
    };
    cells![
        of.name(),
        phase(of),
        volume,
        capacity,
        modes,
        class(of),
        unless_unset(of, "spec.volumeAttributesClassName"),
        of.age(),
        unless_unset(of, "spec.volumeMode"),
    ]
}

fn phase(of: Subject<'_>) -> &str {
    if of.has("metadata.deletionTimestamp") {
        "Terminating"
    } else {
        of.text("status.phase")
    }
}

fn class(of: Subject<'_>) -> &str {
    let beta = of.annotation(BETA_CLASS);
    beta.unwrap_or(of.text("spec.storageClassName"))
}

fn unless_unset<'a>(of: Subject<'a>, path: &str) -> &'a str {
    of.dig(path).as_str().unwrap_or("<unset>")
}

/// Short names, always in this order.
fn access_modes(modes: &[Value]) -> String {
    let names = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    let mut present = Vec::from(names);
    present.retain(|(mode, _)| modes.iter().any(|one| one == mode));
    let present: Vec<_> = present.into_iter().map(|(_, short)| short).collect();
    present.join(",")
}

pub(super) fn storage_class(of: Subject<'_>) -> Vec<Value> {
    let mut name = of.name().to_owned();
    let is_default = [
        "storageclass.kubernetes.io/is-default-class",
        "storageclass.beta.kubernetes.io/is-default-class",
    ]
    .iter()
    .any(|key| of.annotation(key) == Some("true"));
    if is_default {
        name.push_str(" (default)");
    }
    cells![
        name,
        of.text("provisioner"),
        of.dig("reclaimPolicy").as_str().unwrap_or("Delete"),
        of.dig("volumeBindingMode").as_str().unwrap_or("Immediate"),
        of.flag("allowVolumeExpansion"),
        of.age(),
    ]
}

pub(super) fn attributes_class(of: Subject<'_>) -> Vec<Value> {
    cells![of.name(), of.text("driverName"), of.age()]
}

pub(super) fn attachment(of: Subject<'_>) -> Vec<Value> {
    cells![
        of.name(),
        of.text("spec.attacher"),
        of.text("spec.source.persistentVolumeName"),
        of.text("spec.nodeName"),
        of.flag("status.attached"),
        of.age(),
    ]
}

pub(super) fn csi_node(of: Subject<'_>) -> Vec<Value> {
    cells![of.name(), of.list("spec.drivers").len(), of.age()]
}

pub(super) fn csi_driver(of: Subject<'_>) -> Vec<Value> {
    let tokens = of.list("spec.tokenRequests").iter();
    let audiences: Vec<_> = tokens.map(|one| text(one, "audience")).collect();
    let audiences = if of.has("spec.tokenRequests") {
        audiences.join(",")
    } else {
        "<unset>".into()
    };
    cells![
        of.name(),
        of.dig("spec.attachRequired").as_bool().unwrap_or(true),
        of.flag("spec.podInfoOnMount"),
        of.flag("spec.storageCapacity"),
        audiences,
        of.flag("spec.requiresRepublish"),
        or(&joined(of.list("spec.volumeLifecycleModes")), "<none>"),
        of.age(),
    ]
}
