//! Which rules belong to which kind.

use super::cursor::{At, Errors};
use super::{
    autoscaler, cluster, config, definition, driver, endpoints, flow, job, metadata, network,
};
use super::{pod, pod_update, policy, quota, rbac, service, storage, webhook, workload};
use crate::kube::schema::Resource;

/// A new object of a kind.
pub(super) fn create(resource: &Resource, object: &At<'_>, errors: &mut Errors) {
    match (&*resource.group, &*resource.plural) {
        ("", "pods") => return pod::create(resource, object, errors),
        ("", "services") if service::addresses(object, None, errors) => return,
        _ => {}
    }
    if judges_metadata(resource) {
        metadata::create(resource, &object.field("metadata"), errors);
    }
    body(resource, object, None, errors);
}

/// Events of the old group and disruption budgets are left to the general rules.
fn judges_metadata(resource: &Resource) -> bool {
    !matches!(
        (&*resource.group, &*resource.plural),
        ("", "events") | ("policy", _)
    )
}

/// What holds for new and old objects of a kind alike. `old` is what an update replaces.
fn body(resource: &Resource, object: &At<'_>, old: Option<&At<'_>>, errors: &mut Errors) {
    let spec = object.field("spec");
    match (&*resource.group, &*resource.plural) {
        ("", "configmaps") => config::config_map(object, errors),
        ("", "secrets") => config::secret(object, errors),
        ("", "services") => service::service(object, old, errors),
        ("", "namespaces") => config::namespace_finalizers(object, false, errors),
        ("", "persistentvolumeclaims") => storage::claim_spec(&spec, errors),
        ("", "persistentvolumes") => storage::volume(&spec, errors),
        ("", "replicationcontrollers") => workload::replication_controller(&spec, errors),
        ("", "podtemplates") => pod::template(&object.field("template"), errors),
        ("apps", "deployments") => workload::deployment(&spec, errors),
        ("apps", "replicasets") => workload::replica_set(&spec, errors),
        ("apps", "daemonsets") => workload::daemon_set(&spec, errors),
        ("apps", "statefulsets") => workload::stateful_set(&spec, true, errors),
        ("batch", "jobs") => job::create(object, errors),
        ("batch", "cronjobs") => job::cron_create(object, errors),
        ("storage.k8s.io", plural) => storage_kinds(plural, object, errors),
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations") => {
            webhook::configuration(object, true, errors);
        }
        ("admissionregistration.k8s.io", "validatingwebhookconfigurations") => {
            webhook::configuration(object, false, errors);
        }
        ("apiextensions.k8s.io", _) => definition::definition(object, errors),
        ("flowcontrol.apiserver.k8s.io", "flowschemas") => flow::schema(object, errors),
        ("flowcontrol.apiserver.k8s.io", _) => flow::level(object, errors),
        ("apps", "controllerrevisions") => revision(object, old.is_none(), errors),
        _ => others(resource, object, old.is_none(), errors),
    }
}

fn storage_kinds(plural: &str, object: &At<'_>, errors: &mut Errors) {
    match plural {
        "storageclasses" => storage::class(object, errors),
        "csidrivers" => driver::driver(object, errors),
        "csinodes" => driver::node_drivers(object, errors),
        "csistoragecapacities" => driver::capacity_report(object, errors),
        "volumeattachments" => driver::attachment(&object.field("spec"), errors),
        _ => {}
    }
}

fn revision(object: &At<'_>, is_new: bool, errors: &mut Errors) {
    errors.not_negative(&object.field("revision"));
    let data = object.field("data");
    if !data.is_set() && is_new {
        errors.required(&data, "data is mandatory");
    } else if !data.value.is_object() && is_new {
        errors.required(&data, "data must be a valid JSON object");
    }
}

fn others(resource: &Resource, object: &At<'_>, is_new: bool, errors: &mut Errors) {
    let spec = object.field("spec");
    match (&*resource.group, &*resource.plural) {
        ("", "nodes") => cluster::node(object, errors),
        ("", "endpoints") => endpoints::endpoints(object, errors),
        ("", "resourcequotas") => quota::quota(object, errors),
        ("", "limitranges") => quota::limit_range(&spec, errors),
        (_, "events") => cluster::event(resource, object, errors),
        ("discovery.k8s.io", "endpointslices") => endpoints::slice(object, errors),
        ("networking.k8s.io", "networkpolicies") => network::policy(&spec, errors),
        ("networking.k8s.io", "ingresses") => network::ingress(object, is_new, errors),
        ("networking.k8s.io", "ingressclasses") => network::ingress_class(&spec, errors),
        ("policy", "poddisruptionbudgets") => policy::budget(&spec, errors),
        ("autoscaling", "horizontalpodautoscalers") => {
            autoscaler::autoscaler(&spec, &*resource.version == "v2", errors);
        }
        ("scheduling.k8s.io", "priorityclasses") => policy::priority_class(object, errors),
        ("coordination.k8s.io", "leases") => cluster::lease(&spec, errors),
        ("node.k8s.io", "runtimeclasses") => cluster::runtime_class(object, errors),
        ("certificates.k8s.io", "certificatesigningrequests") => {
            cluster::certificate_request(object, errors);
        }
        ("rbac.authorization.k8s.io", "roles") => rbac::role(object, true, errors),
        ("rbac.authorization.k8s.io", "clusterroles") => rbac::role(object, false, errors),
        ("rbac.authorization.k8s.io", "rolebindings") => rbac::binding(object, true, errors),
        ("rbac.authorization.k8s.io", "clusterrolebindings") => {
            rbac::binding(object, false, errors);
        }
        _ => {}
    }
}

/// An update of an object or of a part of it.
pub(super) fn update(
    resource: &Resource,
    subresource: &str,
    new: &At<'_>,
    old: &At<'_>,
    errors: &mut Errors,
) {
    let kind = (&*resource.group, &*resource.plural);
    match (kind, subresource) {
        (("", "pods"), "") => return pod_update::update(resource, new, old, errors),
        (("", "pods"), "status") => return pod_update::status(resource, new, old, errors),
        _ => {}
    }
    metadata::update_of_kind(
        resource,
        &new.field("metadata"),
        &old.field("metadata"),
        errors,
    );
    match subresource {
        "" => main(resource, new, old, errors),
        "status" => status(resource, new, old, errors),
        "ephemeralcontainers" | "resize" if kind == ("", "pods") => {
            pod::metadata_and_spec(resource, new, errors);
            pod_update::ephemeral(new, old, errors);
        }
        "finalize" if kind == ("", "namespaces") => config::namespace_finalizers(new, true, errors),
        _ => {}
    }
}

fn main(resource: &Resource, new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let (spec, before) = (new.field("spec"), old.field("spec"));
    let fixed_selector = |errors: &mut Errors| {
        errors.immutable(&spec.field("selector"), &before.field("selector"));
    };
    match (&*resource.group, &*resource.plural) {
        ("", "namespaces") => {}
        ("", "configmaps") => {
            config::frozen(new, old, &["data", "binaryData"], errors);
            again(resource, new, old, errors);
        }
        ("", "secrets") => {
            errors.immutable(&new.field("type"), &old.field("type"));
            config::frozen(new, old, &["data"], errors);
            again(resource, new, old, errors);
        }
        ("", "services") => service::update(new, old, errors),
        ("", "persistentvolumeclaims") => {
            metadata::create(resource, &new.field("metadata"), errors);
            storage::claim_update(new, old, errors);
        }
        ("", "persistentvolumes") => storage::volume_update(new, old, errors),
        ("apps", "deployments" | "replicasets") => {
            body(resource, new, Some(old), errors);
            fixed_selector(errors);
        }
        ("apps", "daemonsets") => {
            fixed_selector(errors);
            body(resource, new, Some(old), errors);
        }
        ("apps", "statefulsets") => workload::stateful_set_update(&spec, &before, errors),
        ("batch", "jobs") => job::update(new, old, errors),
        ("batch", "cronjobs") => job::cron_spec(&spec, Some(&before), errors),
        ("storage.k8s.io", "storageclasses") => storage::class_update(new, old, errors),
        ("", "nodes") => cluster::node_update(new, old, errors),
        ("", "resourcequotas") => quota::quota_update(new, old, errors),
        ("scheduling.k8s.io", "priorityclasses") => policy::priority_class_update(new, old, errors),
        ("apiextensions.k8s.io", _) => definition::update(new, old, errors),
        ("apps", "controllerrevisions") => {
            again(resource, new, old, errors);
            errors.immutable(&new.field("data"), &old.field("data"));
        }
        ("storage.k8s.io", "volumeattachments") => {
            if spec.value != before.value {
                errors.invalid(&spec, super::cursor::IMMUTABLE);
            }
        }
        ("node.k8s.io", "runtimeclasses") => {
            errors.immutable(&new.field("handler"), &old.field("handler"));
        }
        ("discovery.k8s.io", "endpointslices") => {
            again(resource, new, old, errors);
            errors.immutable(&new.field("addressType"), &old.field("addressType"));
        }
        ("networking.k8s.io", "ingressclasses") => {
            errors.immutable(&spec.field("controller"), &before.field("controller"));
            again(resource, new, old, errors);
        }
        ("rbac.authorization.k8s.io", plural) => {
            again(resource, new, old, errors);
            if plural.ends_with("bindings") {
                rbac::same_role(new, old, errors);
            }
        }
        _ => body(resource, new, Some(old), errors),
    }
}

/// Kinds that judge an update as if it were new.
fn again(resource: &Resource, new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    metadata::create(resource, &new.field("metadata"), errors);
    body(resource, new, Some(old), errors);
}

fn status(resource: &Resource, new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    const READY: [&str; 2] = ["readyReplicas", "availableReplicas"];
    match (&*resource.group, &*resource.plural) {
        ("", "namespaces") => config::namespace_status(new, errors),
        ("apiextensions.k8s.io", _) => definition::status(new, errors),
        ("", "services") => service::status(new, errors),
        ("apps", "deployments") => {
            let parts = ["updatedReplicas", "readyReplicas", "availableReplicas"];
            workload::status(new, old, &parts, errors);
        }
        ("apps", "statefulsets") => {
            let parts = [
                "readyReplicas",
                "currentReplicas",
                "updatedReplicas",
                "availableReplicas",
            ];
            workload::status(new, old, &parts, errors);
        }
        ("apps", "replicasets") | ("", "replicationcontrollers") => {
            workload::status(
                new,
                old,
                &["fullyLabeledReplicas", READY[0], READY[1]],
                errors,
            );
        }
        ("apps", "daemonsets") => workload::status(new, old, &[], errors),
        _ => {}
    }
}
