//! What becomes of an update through a subresource: it may change its own part and no other.

use serde_json::Value;

use super::update::with_metadata;
use super::{Context, Object, certificates, metadata, pod};
use crate::kube::schema::{ObjectType, Resource};
use crate::kube::tree::{self, child, keep, set_in_order, type_of};

pub(super) fn update(
    cx: &Context<'_>,
    resource: &Resource,
    subresource: &str,
    of: &ObjectType,
    new: &mut Object,
    old: &Object,
) {
    match (&*resource.plural, subresource) {
        ("namespaces", "finalize") => keep(of, new, old, "status"),
        ("pods", part) if pod::is(resource) => pods(cx, resource, part, of, new, old),
        ("certificatesigningrequests", part) => {
            certificates::update(cx, of, part == "approval", new, old);
        }
        (plural, "status") => {
            keep(of, new, old, "spec");
            others(cx, resource, plural, of, new, old);
        }
        _ => {}
    }
}

fn pods(
    cx: &Context<'_>,
    resource: &Resource,
    part: &str,
    of: &ObjectType,
    new: &mut Object,
    old: &Object,
) {
    let (Some(spec), Some(status), Some(meta)) = (
        type_of(cx.schema, of, "spec"),
        type_of(cx.schema, of, "status"),
        metadata::metadata_type(cx.schema),
    ) else {
        return;
    };
    match part {
        "status" => pod::status(of, status, meta, new, old),
        "ephemeralcontainers" | "resize" => {
            if part == "resize" {
                pod::resize(cx, spec, new, old);
            } else {
                pod::ephemeral_containers(spec, new, old);
            }
            keep(of, new, old, "status");
            with_metadata(cx, resource, new, old, metadata::reset_for_status);
        }
        _ => {}
    }
}

/// Kinds whose status update keeps more than the spec, or fills something in.
fn others(
    cx: &Context<'_>,
    resource: &Resource,
    plural: &str,
    of: &ObjectType,
    new: &mut Object,
    old: &Object,
) {
    match plural {
        "deployments" => with_metadata(cx, resource, new, old, |of, new, old| {
            keep(of, new, old, "labels");
        }),
        "apiservices" => with_metadata(cx, resource, new, old, |of, new, old| {
            for field in ["labels", "annotations", "finalizers", "ownerReferences"] {
                keep(of, new, old, field);
            }
        }),
        "flowschemas" | "prioritylevelconfigurations" => {
            with_metadata(cx, resource, new, old, |of, new, old| {
                let managers = new.get("managedFields").cloned();
                new.clone_from(old);
                match managers {
                    Some(managers) => set_in_order(of, new, "managedFields", managers),
                    None => {
                        tree::remove(new, "managedFields");
                    }
                }
            });
        }
        "servicecidrs" | "resourceclaims" | "volumeattachments" | "validatingadmissionpolicies" => {
            with_metadata(cx, resource, new, old, metadata::reset_for_status);
            if plural == "resourceclaims" {
                drop_released_devices(new);
            }
        }
        "persistentvolumes" => phase_time(cx, of, new, old),
        "nodes" => {
            let before = pod::part(old, "status").and_then(|status| status.get("config"));
            if before.is_none_or(Value::is_null)
                && let Some(status) = child(new, "status")
            {
                tree::remove(status, "config");
            }
        }
        _ => {}
    }
}

/// The time of the last change of phase, for whoever does not say it.
fn phase_time(cx: &Context<'_>, of: &ObjectType, new: &mut Object, old: &Object) {
    const TIME: &str = "lastPhaseTransitionTime";
    let of = type_of(cx.schema, of, "status");
    let (Some(of), Some(new), Some(old)) = (of, child(new, "status"), pod::part(old, "status"))
    else {
        return;
    };
    let (said, before) = (new.get(TIME).cloned(), old.get(TIME).cloned());
    let changed = new.get("phase") != old.get("phase");
    if !changed && said.is_none() {
        keep(of, new, old, TIME);
    } else if changed && (said.is_none() || said == before) {
        set_in_order(of, new, TIME, cx.stamp());
    }
}

/// What a driver says of devices counts as long as they are allocated.
fn drop_released_devices(claim: &mut Object) {
    let Some(status) = child(claim, "status") else {
        return;
    };
    let id = |device: &Value| {
        ["driver", "pool", "device", "shareID"].map(|key| tree::text(device, &[key]).to_owned())
    };
    let allocated: Vec<_> = status
        .get("allocation")
        .map_or(&[][..], |allocation| {
            tree::items(allocation, &["devices", "results"])
        })
        .iter()
        .map(id)
        .collect();
    if let Some(Value::Array(devices)) = status.get_mut("devices") {
        devices.retain(|device| allocated.contains(&id(device)));
        if devices.is_empty() {
            tree::remove(status, "devices");
        }
    }
}
