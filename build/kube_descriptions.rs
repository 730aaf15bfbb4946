//! What Kubernetes' types and fields are for, in the release's words, from the schemas of the crate `k8s-openapi`.
//!
//! The program needs nothing else of that crate, which is large: it is walked once while the program is built. What is
//! written is one record for each type, of its name, its description, and name and description of each field.

use std::io::Result;
use std::path::Path;

use k8s_openapi::api;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions;
use k8s_openapi::apimachinery::pkg::{apis::meta, version};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration;
use schemars::SchemaGenerator;
use serde_json::Value;

/// Ends a record.
const RECORD: char = '\u{1e}';
/// Stands between the parts of a record.
const UNIT: char = '\u{1f}';

/// Writes the descriptions of every type that discovery leads to.
pub(crate) fn write(to: &Path) -> Result<()> {
    let mut generator = SchemaGenerator::default();
    kinds(&mut generator);
    let mut text = String::new();
    for (name, schema) in generator.definitions() {
        text.push_str(name);
        text.push(UNIT);
        text.push_str(description(schema));
        let properties = schema.get("properties").and_then(Value::as_object);
        for (field, schema) in properties.into_iter().flatten() {
            for part in [field, description(schema)] {
                text.push(UNIT);
                text.push_str(part);
            }
        }
        text.push(RECORD);
    }
    std::fs::write(to, text)
}

fn description(schema: &Value) -> &str {
    schema
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

macro_rules! add {
    ($generator:ident: $($package:path { $($kind:ident),* $(,)? })*) => {
        $({
            use $package as package;
            $($generator.subschema_for::<package::$kind>();)*
        })*
    };
}

/// The kinds; what they consist of follows by itself.
fn kinds(generator: &mut SchemaGenerator) {
    add! { generator:
        api::admissionregistration::v1 {
            MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, MutatingWebhookConfiguration,
            ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingWebhookConfiguration,
        }
        api::apps::v1 { ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet }
        api::authentication::v1 { SelfSubjectReview, TokenRequest, TokenReview }
        api::authorization::v1 {
            LocalSubjectAccessReview, SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview,
        }
        api::autoscaling::v1 { HorizontalPodAutoscaler, Scale }
        api::autoscaling::v2 { HorizontalPodAutoscaler }
        api::batch::v1 { CronJob, Job }
        api::certificates::v1 { CertificateSigningRequest }
        api::coordination::v1 { Lease }
        api::core::v1 {
            Binding, ComponentStatus, ConfigMap, Endpoints, Event, LimitRange, Namespace, Node,
            PersistentVolume, PersistentVolumeClaim, Pod, PodTemplate, ReplicationController, ResourceQuota,
            Secret, Service, ServiceAccount,
        }
        api::discovery::v1 { EndpointSlice }
        api::events::v1 { Event }
        api::flowcontrol::v1 { FlowSchema, PriorityLevelConfiguration }
        api::networking::v1 { Ingress, IngressClass, IPAddress, NetworkPolicy, ServiceCIDR }
        api::node::v1 { RuntimeClass }
        api::policy::v1 { Eviction, PodDisruptionBudget }
        api::rbac::v1 { ClusterRole, ClusterRoleBinding, Role, RoleBinding }
        api::resource::v1 { DeviceClass, ResourceClaim, ResourceClaimTemplate, ResourceSlice }
        api::scheduling::v1 { PriorityClass }
        api::storage::v1 {
            CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment, VolumeAttributesClass,
        }
        apiextensions::v1 { CustomResourceDefinition }
        apiregistration::v1 { APIService }
        meta::v1 {
            APIGroup, APIGroupList, APIResourceList, APIVersions, DeleteOptions, MicroTime, Patch, Status,
        }
        version { Info }
    }
}
