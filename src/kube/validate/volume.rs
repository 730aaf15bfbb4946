//! Volumes of pods.

use super::container::{field_ref, resource_ref};
use super::cursor::{At, Errors};
use super::{names, paths, storage};
use crate::kube::field::quoted;

const MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";
const HOST_PATHS: [&str; 8] = [
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
];
/// Kinds of volumes in the order in which the release asks for them, and what is required of those that are judged
/// by nothing else.
const SOURCES: [(&str, &[&str]); 30] = [
    ("emptyDir", &[]),
    ("hostPath", &[]),
    ("gitRepo", &["repository"]),
    ("gcePersistentDisk", &["pdName"]),
    ("awsElasticBlockStore", &["volumeID"]),
    ("secret", &["secretName"]),
    ("nfs", &["server", "path"]),
    ("iscsi", &["targetPortal", "iqn"]),
    ("glusterfs", &["endpoints", "path"]),
    ("flocker", &[]),
    ("persistentVolumeClaim", &["claimName"]),
    ("rbd", &["monitors", "image"]),
    ("cinder", &["volumeID"]),
    ("cephfs", &["monitors"]),
    ("quobyte", &["registry", "volume"]),
    ("downwardAPI", &[]),
    ("fc", &[]),
    ("flexVolume", &["driver"]),
    ("configMap", &["name"]),
    ("azureFile", &["secretName", "shareName"]),
    ("vsphereVolume", &["volumePath"]),
    ("photonPersistentDisk", &["pdID"]),
    ("portworxVolume", &["volumeID"]),
    ("azureDisk", &["diskName", "diskURI"]),
    ("storageos", &[]),
    ("projected", &[]),
    ("scaleIO", &["gateway", "system", "volumeName"]),
    ("csi", &[]),
    ("ephemeral", &[]),
    ("image", &[]),
];

/// Judges volumes; those that are right, which mounts may name. `pod` is the name of the pod, `""` in templates.
pub(super) fn volumes<'a>(
    volumes: &At<'a>,
    pod: Option<&str>,
    errors: &mut Errors,
) -> Vec<(&'a str, At<'a>)> {
    let mut right: Vec<(&str, At<'_>)> = Vec::new();
    for volume in volumes.items() {
        let before = errors.len();
        source(&volume, pod, errors);
        let name = volume.field("name");
        if name.is_empty() {
            errors.required(&name, "");
        } else {
            errors.bad_texts(&name, names::dns_label(name.text()));
        }
        if right.iter().any(|(other, _)| *other == name.text()) {
            errors.duplicate(&name);
        }
        if errors.len() == before {
            right.push((name.text(), volume));
        }
    }
    right
}

fn source(volume: &At<'_>, pod: Option<&str>, errors: &mut Errors) {
    let mut found = 0;
    for (kind, required) in SOURCES {
        let Some(source) = volume.some(kind) else {
            continue;
        };
        found += 1;
        if found > 1 {
            errors.forbidden(&source, "may not specify more than 1 volume type");
            continue;
        }
        for name in required {
            let field = source.field(name);
            if field.is_empty() {
                errors.required(&field, "");
            }
        }
        of_kind(kind, &source, pod, volume.field("name").text(), errors);
    }
    if found == 0 {
        errors.required(volume, "must specify a volume type");
    }
}

fn of_kind(kind: &str, source: &At<'_>, pod: Option<&str>, name: &str, errors: &mut Errors) {
    match kind {
        "emptyDir" => {
            let limit = source.field("sizeLimit");
            if super::resources::amount(&limit).is_some_and(|a| a.sign().is_lt()) {
                let why = "SizeLimit field must be a valid resource quantity";
                errors.forbidden(&limit, why);
            }
        }
        "hostPath" => host_path(source, errors),
        "gitRepo" => paths::descending(&source.field("directory"), errors),
        "secret" | "configMap" => {
            mode(&source.field("defaultMode"), errors);
            for item in source.field("items").items() {
                key_to_path(&item, errors);
            }
        }
        "nfs" => {
            let path = source.field("path");
            if !path.text().starts_with('/') {
                errors.bad_text(&path, "must be an absolute path");
            }
        }
        "downwardAPI" => {
            mode(&source.field("defaultMode"), errors);
            for file in source.field("items").items() {
                // The release says what is wrong with a file at the volume.
                downward_file(&file.named(source.path.as_str()), errors);
            }
        }
        "projected" => {
            mode(&source.field("defaultMode"), errors);
            projections(source, errors);
        }
        "csi" => {
            let driver = source.field("driver");
            csi_driver(&driver, errors);
            if let Some(secret) = source.some("nodePublishSecretRef")
                && secret.field("name").is_empty()
            {
                errors.required(&secret.field("name"), "");
            }
        }
        "ephemeral" => ephemeral(source, pod, name, errors),
        "image" => {
            if pod.is_some() && source.field("reference").is_empty() {
                errors.required(&source.field("reference"), "");
            }
            let policy = source.field("pullPolicy");
            errors.one_of(&policy, &["Always", "IfNotPresent", "Never"]);
        }
        _ => {}
    }
}

pub(super) fn host_path(source: &At<'_>, errors: &mut Errors) {
    let path = source.field("path");
    if path.is_empty() {
        return errors.required(&path, "");
    }
    paths::no_back_steps(&path, errors);
    if let Some(kind) = source.some("type")
        && !HOST_PATHS.contains(&kind.text())
    {
        errors.not_supported(&kind, &HOST_PATHS);
    }
}

pub(super) fn csi_driver(driver: &At<'_>, errors: &mut Errors) {
    if driver.is_empty() {
        return errors.required(driver, "");
    }
    if driver.len() > 63 {
        errors.too_long(driver, 63);
    }
    errors.bad_texts(driver, names::subdomain(&driver.text().to_lowercase()));
}

fn mode(mode: &At<'_>, errors: &mut Errors) {
    if mode.int().is_some_and(|mode| !(0..=0o777).contains(&mode)) {
        errors.bad_int(mode, MODE);
    }
}

fn key_to_path(item: &At<'_>, errors: &mut Errors) {
    for name in ["key", "path"] {
        let field = item.field(name);
        if field.is_empty() {
            errors.required(&field, "");
        }
    }
    paths::not_reserved(&item.field("path"), errors);
    mode(&item.field("mode"), errors);
}

fn downward_file(file: &At<'_>, errors: &mut Errors) {
    let path = file.field("path");
    if path.is_empty() {
        errors.required(&path, "");
    }
    paths::not_reserved(&path, errors);
    let (field, resource) = (file.some("fieldRef"), file.some("resourceFieldRef"));
    match (field, resource) {
        (Some(field), resource) => {
            field_ref(&field, &super::container::VOLUME_FIELDS, errors);
            if resource.is_some() {
                let why = "fieldRef and resourceFieldRef can not be specified simultaneously";
                errors.bad_value(file, quoted("resource"), why);
            }
        }
        (None, Some(resource)) => resource_ref(&resource, true, errors),
        (None, None) => {
            errors.required(file, "one of fieldRef and resourceFieldRef is required");
        }
    }
    mode(&file.field("mode"), errors);
}

fn projections(projected: &At<'_>, errors: &mut Errors) {
    let mut taken: Vec<String> = Vec::new();
    for source in projected.field("sources").items() {
        let mut found = 0;
        for kind in ["secret", "configMap"] {
            let Some(of) = source.some(kind) else {
                continue;
            };
            found += 1;
            if of.field("name").is_empty() {
                errors.required(&of.field("name"), "");
            }
            for item in of.field("items").items() {
                key_to_path(&item, errors);
                let shown = quoted(of.field("name").text());
                take(&item.field("path"), shown, projected, &mut taken, errors);
            }
        }
        if let Some(of) = source.some("downwardAPI") {
            found += 1;
            for file in of.field("items").items() {
                downward_file(&file.named(of.path.as_str()), errors);
                let shown = quoted(file.field("path").text());
                take(&file.field("path"), shown, projected, &mut taken, errors);
            }
        }
        if let Some(of) = source.some("serviceAccountToken") {
            found += 1;
            token(&of, projected, errors);
        }
        found += usize::from(source.some("clusterTrustBundle").is_some());
        found += usize::from(source.some("podCertificate").is_some());
        if found > 1 {
            let why = "may not specify more than 1 volume type per source";
            errors.forbidden(&source, why);
        }
    }
}

fn take(
    path: &At<'_>,
    shown: String,
    projected: &At<'_>,
    taken: &mut Vec<String>,
    errors: &mut Errors,
) {
    if path.is_empty() {
        return;
    }
    if taken.iter().any(|one| one == path.text()) {
        errors.bad_value(projected, shown, "conflicting duplicate paths");
    } else {
        taken.push(path.text().to_owned());
    }
}

fn token(token: &At<'_>, projected: &At<'_>, errors: &mut Errors) {
    let seconds = token.field("expirationSeconds");
    let count = seconds.int().unwrap_or(0);
    if count < 600 {
        errors.bad_int(&seconds, "may not specify a duration less than 10 minutes");
    }
    if count > 1 << 32 {
        errors.bad_int(
            &seconds,
            "may not specify a duration larger than 2^32 seconds",
        );
    }
    let path = token.field("path");
    let said = path.named(projected.field("path").path);
    if path.is_empty() {
        errors.required(&said, "");
    } else {
        paths::not_reserved(&said, errors);
    }
}

fn ephemeral(source: &At<'_>, pod: Option<&str>, name: &str, errors: &mut Errors) {
    let Some(template) = source.some("volumeClaimTemplate") else {
        return errors.required(&source.field("volumeClaimTemplate"), "");
    };
    let meta = template.field("metadata");
    super::selector::labels(&meta.field("labels"), errors);
    super::metadata::annotations(&meta.field("annotations"), errors);
    storage::claim_spec(&template.field("spec"), errors);
    if let Some(pod) = pod.filter(|pod| !pod.is_empty() && !name.is_empty()) {
        let claim = format!("{pod}-{name}");
        for message in names::subdomain(&claim) {
            let place = source
                .named(source.path.trim_end_matches(".ephemeral"))
                .field("name");
            let why = format!("PVC name {}: {message}", quoted(&claim));
            errors.bad_value(&place, quoted(name), why);
        }
    }
}
