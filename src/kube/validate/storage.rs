//! Claims, volumes and what provisions them.

use serde_json::Value;

use super::cursor::{At, Errors};
use super::{names, paths, resources, selector, volume};
use crate::kube::amount::Amount;
use crate::kube::field::{FieldError, quoted};

const MODES: [&str; 4] = [
    "ReadOnlyMany",
    "ReadWriteMany",
    "ReadWriteOnce",
    "ReadWriteOncePod",
];
const POSITIVE: &str = "must be greater than zero";

fn access_modes(modes: &At<'_>, errors: &mut Errors) {
    let texts = modes.texts();
    for mode in modes.items() {
        if !MODES.contains(&mode.text()) {
            errors.not_supported(&mode.named(modes.path.as_str()), &MODES);
        }
    }
    let alone = texts.contains(&"ReadWriteOncePod");
    let others = texts
        .iter()
        .any(|one| MODES.contains(one) && *one != "ReadWriteOncePod");
    if alone && others {
        errors.forbidden(
            modes,
            "may not use ReadWriteOncePod with other access modes",
        );
    }
}

fn class_name(name: &At<'_>, errors: &mut Errors) {
    if !name.is_empty() {
        errors.bad_texts(name, names::subdomain(name.text()));
    }
}

fn volume_mode(mode: &At<'_>, errors: &mut Errors) {
    if mode.is_set() && !matches!(mode.text(), "Block" | "Filesystem") {
        errors.not_supported(mode, &["Block", "Filesystem"]);
    }
}

/// What a claim asks for.
pub(super) fn claim_spec(spec: &At<'_>, errors: &mut Errors) {
    let modes = spec.field("accessModes");
    if modes.is_empty() {
        errors.required(&modes, "at least 1 access mode is required");
    }
    selector::label_selector(&spec.field("selector"), errors);
    access_modes(&modes, errors);
    let size = spec.down(&["resources", "requests", "storage"]);
    let place = size.named(format!("{}[storage]", spec.field("resources").path));
    if !size.is_set() {
        errors.required(&place, "");
    } else if resources::amount(&size).is_some_and(|size| size <= Amount::ZERO) {
        errors.bad_text(&place, POSITIVE);
    }
    class_name(&spec.field("storageClassName"), errors);
    volume_mode(&spec.field("volumeMode"), errors);
    let (source, reference) = (spec.field("dataSource"), spec.field("dataSourceRef"));
    for at in [&source, &reference] {
        if at.is_set() {
            data_source(at, errors);
        }
    }
    let shown = || quoted(&source.path);
    if !reference.field("namespace").is_empty() {
        if source.is_set() {
            let why = "may not be specified when dataSourceRef.namespace is specified";
            errors.bad_value(spec, shown(), why);
        }
    } else if source.is_set() && reference.is_set() {
        let same = |name: &str| source.field(name).text() == reference.field(name).text();
        if !["apiGroup", "kind", "name"].iter().all(|name| same(name)) {
            errors.bad_value(spec, shown(), "must match dataSourceRef");
        }
    }
    class_name(&spec.field("volumeAttributesClassName"), errors);
}

fn data_source(source: &At<'_>, errors: &mut Errors) {
    for name in ["name", "kind"] {
        if source.field(name).is_empty() {
            errors.required(&source.field(name), "");
        }
    }
    let (group, kind) = (source.field("apiGroup"), source.field("kind"));
    if group.is_empty() {
        if !kind.is("PersistentVolumeClaim") {
            let why = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
            errors.bad_value(source, quoted(kind.text()), why);
        }
    } else {
        errors.bad_texts(&group, names::subdomain(group.text()));
    }
    let namespace = source.field("namespace");
    if !namespace.is_empty() {
        errors.bad_texts(&namespace, names::dns_label(namespace.text()));
    }
}

/// A spec that is fixed once it was given, but for the size and class of what is bound.
pub(super) fn claim_update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    claim_spec(&new.field("spec"), errors);
    let bound = new.down(&["status", "phase"]).is("Bound");
    let (mut now, mut before) = (
        new.field("spec").value.clone(),
        old.field("spec").value.clone(),
    );
    let forget = |value: &mut Value, name: &str| {
        if let Some(map) = value.as_object_mut() {
            map.shift_remove(name);
        }
    };
    if old.down(&["spec", "volumeName"]).is_empty() {
        forget(&mut now, "volumeName");
        forget(&mut before, "volumeName");
    }
    let class = |at: &At<'_>| at.down(&["spec", "storageClassName"]).is_set();
    if !class(old) && class(new) {
        forget(&mut now, "storageClassName");
    }
    if bound {
        for value in [&mut now, &mut before] {
            forget(value, "volumeAttributesClassName");
            let requests = value
                .get_mut("resources")
                .and_then(|all| all.get_mut("requests"));
            if let Some(requests) = requests {
                forget(requests, "storage");
            }
        }
    }
    if now != before {
        let why = format!(
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n- {before}\n+ {now}\n"
        );
        errors.forbidden(&new.field("spec"), why);
    }
    let size = new.down(&["spec", "resources", "requests", "storage"]);
    let amount = |at: &At<'_>, path: &[&str]| resources::amount(&at.down(path));
    let asked = ["spec", "resources", "requests", "storage"];
    if let (Some(wanted), Some(had)) = (amount(new, &asked), amount(old, &asked))
        && wanted < had
        && wanted <= amount(old, &["status", "capacity", "storage"]).unwrap_or(Amount::ZERO)
    {
        errors.forbidden(&size, "field can not be less than status.capacity");
    }
    let mode = new.down(&["spec", "volumeMode"]);
    errors.immutable(
        &mode.named("volumeMode"),
        &old.down(&["spec", "volumeMode"]),
    );
}

/// What makes a volume, in the order in which the release asks, and what each needs.
const SOURCES: [(&str, &[&str]); 21] = [
    ("hostPath", &[]),
    ("gcePersistentDisk", &["pdName"]),
    ("awsElasticBlockStore", &["volumeID"]),
    ("glusterfs", &["endpoints", "path"]),
    ("flocker", &[]),
    ("nfs", &["server", "path"]),
    ("rbd", &["monitors", "image"]),
    ("quobyte", &["registry", "volume"]),
    ("cephfs", &["monitors"]),
    ("iscsi", &["targetPortal", "iqn"]),
    ("cinder", &["volumeID"]),
    ("fc", &[]),
    ("flexVolume", &["driver"]),
    ("azureFile", &["secretName", "shareName"]),
    ("vsphereVolume", &["volumePath"]),
    ("photonPersistentDisk", &["pdID"]),
    ("portworxVolume", &["volumeID"]),
    ("azureDisk", &["diskName", "diskURI"]),
    ("scaleIO", &["gateway", "system", "volumeName"]),
    ("local", &["path"]),
    ("csi", &[]),
];

pub(super) fn volume(spec: &At<'_>, errors: &mut Errors) {
    let modes = spec.field("accessModes");
    if modes.is_empty() {
        errors.required(&modes, "");
    }
    access_modes(&modes, errors);
    capacity(&spec.field("capacity"), errors);
    let policy = spec.field("persistentVolumeReclaimPolicy");
    let policies = ["Delete", "Recycle", "Retain"];
    if !policy.is_empty() && !policies.contains(&policy.text()) {
        errors.not_supported(&policy, &policies);
    }
    if let Some(affinity) = spec.some("nodeAffinity") {
        let required = affinity.field("required");
        if required.is_set() {
            selector::node_selector(&required, true, errors);
        } else {
            errors.required(&required, "must specify required node constraints");
        }
    }
    sources(spec, errors);
    class_name(&spec.field("storageClassName"), errors);
    volume_mode(&spec.field("volumeMode"), errors);
    if let Some(class) = spec.some("volumeAttributesClassName") {
        if class.is_empty() {
            errors.required(&class, "an empty string is disallowed");
        }
        class_name(&class, errors);
        if !spec.field("csi").is_set() {
            let why = "has to be specified when using volumeAttributesClassName";
            errors.required(&spec.field("csi"), why);
        }
    }
}

fn capacity(capacity: &At<'_>, errors: &mut Errors) {
    if capacity.is_empty() {
        errors.required(capacity, "");
    }
    if !capacity.field("storage").is_set() || capacity.len() > 1 {
        let mut error = FieldError::not_supported(&capacity.path, "", &["storage"]);
        error.value = capacity.shown();
        errors.0.push(error);
    }
    for (_, amount) in capacity.entries() {
        let Some(size) = resources::amount(&amount) else {
            continue;
        };
        if size < Amount::ZERO {
            let shown = size.units().to_string();
            errors.bad_value(&amount, shown, "must be a valid resource quantity");
        }
        if size <= Amount::ZERO {
            errors.bad_text(&amount, POSITIVE);
        }
    }
}

fn sources(spec: &At<'_>, errors: &mut Errors) {
    let mut found = 0;
    for (kind, required) in SOURCES {
        let Some(source) = spec.some(kind) else {
            continue;
        };
        found += 1;
        if found > 1 {
            errors.forbidden(&source, "may not specify more than 1 volume type");
            continue;
        }
        for name in required {
            if source.field(name).is_empty() {
                errors.required(&source.field(name), "");
            }
        }
        match kind {
            "hostPath" => volume::host_path(&source, errors),
            "nfs" if !source.field("path").text().starts_with('/') => {
                errors.bad_text(&source.field("path"), "must be an absolute path");
            }
            "local" => {
                paths::no_back_steps(&source.field("path"), errors);
                if !spec.field("nodeAffinity").is_set() {
                    let why = "Local volume requires node affinity";
                    errors.required(&spec.field("nodeAffinity"), why);
                }
            }
            "csi" => {
                volume::csi_driver(&source.field("driver"), errors);
                if source.field("volumeHandle").is_empty() {
                    errors.required(&source.field("volumeHandle"), "");
                }
            }
            _ => {}
        }
    }
    if found == 0 {
        errors.required(spec, "must specify a volume type");
    }
}

pub(super) fn volume_update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    volume(&new.field("spec"), errors);
    let (now, before) = (new.field("spec"), old.field("spec"));
    let changed = SOURCES
        .iter()
        .map(|(kind, _)| *kind)
        .chain(["storageos"])
        .filter(|kind| now.field(kind).value != before.field(kind).value);
    let lines: String = changed
        .map(|kind| {
            let (before, now) = (before.field(kind).value, now.field(kind).value);
            format!("- {kind}: {before}\n+ {kind}: {now}\n")
        })
        .collect();
    if !lines.is_empty() {
        let place = new.field("spec").named("spec.persistentvolumesource");
        let why = format!("spec.persistentvolumesource is immutable after creation\n{lines}");
        errors.forbidden(&place, why);
    }
    let mode = now.field("volumeMode").named("volumeMode");
    errors.immutable(&mode, &before.field("volumeMode"));
}

pub(super) fn class(class: &At<'_>, errors: &mut Errors) {
    let provisioner = class.field("provisioner");
    if provisioner.is_empty() {
        errors.required(&provisioner, "");
    } else {
        let text = provisioner.text().to_lowercase();
        for message in names::qualified(&text) {
            errors.bad_value(&provisioner, quoted(&text), message);
        }
    }
    parameters(&class.field("parameters"), errors);
    let policy = class.field("reclaimPolicy");
    if policy.is_set() && !matches!(policy.text(), "Delete" | "Retain") {
        errors.not_supported(&policy, &["Delete", "Retain"]);
    }
    let mode = class.field("volumeBindingMode");
    if !mode.is_set() {
        errors.required(&mode, "");
    } else if !matches!(mode.text(), "Immediate" | "WaitForFirstConsumer") {
        errors.not_supported(&mode, &["Immediate", "WaitForFirstConsumer"]);
    }
}

fn parameters(parameters: &At<'_>, errors: &mut Errors) {
    const SIZE: usize = 256 * 1024;
    let mut size = 0;
    if parameters.len() > 512 {
        errors.too_long(parameters, 512);
        return;
    }
    for (key, value) in parameters.entries() {
        if key.is_empty() {
            let why = "field can not be empty.";
            errors.bad_value(parameters, quoted(key), why);
        }
        size += key.len() + value.len();
    }
    if size > SIZE {
        errors.too_long(parameters, SIZE);
    }
}

pub(super) fn class_update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    for (name, why) in [
        ("parameters", "updates to parameters are forbidden."),
        ("provisioner", "updates to provisioner are forbidden."),
    ] {
        if new.field(name).value != old.field(name).value {
            errors.forbidden(&new.field(name), why);
        }
    }
    for name in ["reclaimPolicy", "volumeBindingMode"] {
        errors.immutable(&new.field(name), &old.field(name));
    }
}
