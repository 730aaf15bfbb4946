//! What becomes of an update.

use serde_json::Value;

use super::{Context, Object, create, generation, metadata, pod, service, status};
use crate::kube::custom;
use crate::kube::defaults;
use crate::kube::schema::{ObjectType, Resource};
use crate::kube::tree::{self, keep};

/// Makes of a decoded, admitted update what will be validated and stored in place of `old`.
///
/// `subresource` is `""` for the object itself (and for a change of its scale).
pub fn prepare_update(
    cx: &Context<'_>,
    resource: &Resource,
    subresource: &str,
    old: &Value,
    new: &mut Value,
) {
    let (Some(before), Some(after)) = (old.as_object(), new.as_object_mut()) else {
        return;
    };
    with_metadata(cx, resource, after, before, metadata::keep_generation);
    if let Some(kind) = &resource.custom {
        custom::strategy::prepare_update(kind, subresource, old, new);
    }
    let (Some(before), Some(after)) = (old.as_object(), new.as_object_mut()) else {
        return;
    };
    if let Some(of) = cx.of(resource) {
        if subresource.is_empty() {
            main(cx, resource, of, after, old);
        } else {
            status::update(cx, resource, subresource, of, after, before);
        }
    }
    let counted = subresource.is_empty() || pod::is(resource) && subresource != "status";
    if counted && generation::counts(resource, old, new) {
        count(cx, resource, old, new);
    }
    if let (Some(before), Some(after)) = (old.as_object(), new.as_object_mut()) {
        with_metadata(cx, resource, after, before, metadata::keep_identity);
    }
    if let Some(id) = resource.object {
        defaults::apply(cx.schema, id, new);
    }
}

pub(super) fn with_metadata(
    cx: &Context<'_>,
    resource: &Resource,
    new: &mut Object,
    old: &Object,
    change: fn(&ObjectType, &mut Object, &Object),
) {
    let Some(old) = pod::part(old, "metadata") else {
        return;
    };
    if let Some((of, metadata)) = metadata::of(cx.schema, resource, new) {
        change(of, metadata, old);
    }
}

fn count(cx: &Context<'_>, resource: &Resource, old: &Value, new: &mut Value) {
    let templates = ["spec", "template"];
    let template_changed = tree::get(old, &templates) != tree::get(new, &templates);
    let Some(after) = new.as_object_mut() else {
        return;
    };
    if let Some((of, metadata)) = metadata::of(cx.schema, resource, after) {
        generation::count(of, metadata);
        if template_changed && &*resource.plural == "daemonsets" {
            generation::set_of_template(of, metadata, generation::of_template(old) + 1);
        }
    }
}

fn main(cx: &Context<'_>, resource: &Resource, of: &ObjectType, new: &mut Object, old: &Value) {
    let Some(before) = old.as_object() else {
        return;
    };
    if resource.subresource_named("status").is_some() {
        keep(of, new, before, "status");
    }
    match (&*resource.group, &*resource.plural) {
        ("", "namespaces") => keep_finalizers(cx, of, new, before),
        ("", "nodes") => keep_config_source(new, old),
        ("", "serviceaccounts") => create::secret_names(new),
        ("", "secrets") if tree::unset(of, new, "type") => keep(of, new, before, "type"),
        ("", "services") => {
            if let Some(spec) = tree::type_of(cx.schema, of, "spec") {
                service::normalize(spec, new, Some(before));
            }
            service::drop_left_over(of, new, before);
        }
        ("", "persistentvolumeclaims") => create::claim(cx, of, new, Some(old)),
        ("apps", "daemonsets") => {
            if let Some((of, metadata)) = metadata::of(cx.schema, resource, new) {
                generation::set_of_template(of, metadata, generation::of_template(old));
            }
        }
        ("certificates.k8s.io", "certificatesigningrequests") => keep(of, new, before, "spec"),
        ("resource.k8s.io", "resourceslices") => create::date_taints(cx, new),
        ("apiextensions.k8s.io", "customresourcedefinitions") => {
            create::stored_version(cx, of, new);
        }
        _ => {}
    }
}

/// They go through `finalize` alone.
fn keep_finalizers(cx: &Context<'_>, of: &ObjectType, new: &mut Object, old: &Object) {
    let of_spec = tree::type_of(cx.schema, of, "spec");
    let before = pod::part(old, "spec").cloned().unwrap_or_default();
    if let (Some(of), Some(spec)) = (of_spec, tree::make(of, new, "spec")) {
        keep(of, spec, &before, "finalizers");
    }
}

fn keep_config_source(new: &mut Object, old: &Value) {
    if tree::get(old, &["spec", "configSource"]).is_none()
        && let Some(spec) = tree::child(new, "spec")
    {
        tree::remove(spec, "configSource");
    }
}
