//! Defaults that are constants, and which code belongs to which type.

use serde_json::{Map, Value};

use super::{other, pod, workload};
use crate::kube::schema::{ObjectType, Schema};

/// What sets the fields of a struct that depend on others.
pub(super) type Code = fn(&Schema, &ObjectType, &mut Map<String, Value>);

/// Type, field and JSON of the value: set where nothing else is.
const CONSTANTS: &[(&str, &str, &str)] = &[
    ("core/v1.PodSpec", "dnsPolicy", r#""ClusterFirst""#),
    ("core/v1.PodSpec", "restartPolicy", r#""Always""#),
    ("core/v1.PodSpec", "securityContext", "{}"),
    ("core/v1.PodSpec", "terminationGracePeriodSeconds", "30"),
    ("core/v1.PodSpec", "schedulerName", r#""default-scheduler""#),
    (
        "core/v1.Container",
        "terminationMessagePath",
        r#""/dev/termination-log""#,
    ),
    ("core/v1.Container", "terminationMessagePolicy", r#""File""#),
    (
        "core/v1.EphemeralContainer",
        "terminationMessagePath",
        r#""/dev/termination-log""#,
    ),
    (
        "core/v1.EphemeralContainer",
        "terminationMessagePolicy",
        r#""File""#,
    ),
    ("core/v1.ContainerPort", "protocol", r#""TCP""#),
    ("core/v1.ObjectFieldSelector", "apiVersion", r#""v1""#),
    ("core/v1.FileKeySelector", "optional", "false"),
    ("core/v1.Probe", "timeoutSeconds", "1"),
    ("core/v1.Probe", "periodSeconds", "10"),
    ("core/v1.Probe", "successThreshold", "1"),
    ("core/v1.Probe", "failureThreshold", "3"),
    ("core/v1.HTTPGetAction", "path", r#""/""#),
    ("core/v1.HTTPGetAction", "scheme", r#""HTTP""#),
    ("core/v1.GRPCAction", "service", r#""""#),
    ("core/v1.SecretVolumeSource", "defaultMode", "420"),
    ("core/v1.ConfigMapVolumeSource", "defaultMode", "420"),
    ("core/v1.DownwardAPIVolumeSource", "defaultMode", "420"),
    ("core/v1.ProjectedVolumeSource", "defaultMode", "420"),
    (
        "core/v1.ServiceAccountTokenProjection",
        "expirationSeconds",
        "3600",
    ),
    ("core/v1.HostPathVolumeSource", "type", r#""""#),
    (
        "core/v1.ISCSIVolumeSource",
        "iscsiInterface",
        r#""default""#,
    ),
    (
        "core/v1.ISCSIPersistentVolumeSource",
        "iscsiInterface",
        r#""default""#,
    ),
    ("core/v1.RBDVolumeSource", "pool", r#""rbd""#),
    ("core/v1.RBDVolumeSource", "user", r#""admin""#),
    (
        "core/v1.RBDVolumeSource",
        "keyring",
        r#""/etc/ceph/keyring""#,
    ),
    ("core/v1.RBDPersistentVolumeSource", "pool", r#""rbd""#),
    ("core/v1.RBDPersistentVolumeSource", "user", r#""admin""#),
    (
        "core/v1.RBDPersistentVolumeSource",
        "keyring",
        r#""/etc/ceph/keyring""#,
    ),
    (
        "core/v1.AzureDiskVolumeSource",
        "cachingMode",
        r#""ReadWrite""#,
    ),
    ("core/v1.AzureDiskVolumeSource", "fsType", r#""ext4""#),
    ("core/v1.AzureDiskVolumeSource", "readOnly", "false"),
    ("core/v1.AzureDiskVolumeSource", "kind", r#""Shared""#),
    (
        "core/v1.ScaleIOVolumeSource",
        "storageMode",
        r#""ThinProvisioned""#,
    ),
    ("core/v1.ScaleIOVolumeSource", "fsType", r#""xfs""#),
    (
        "core/v1.ScaleIOPersistentVolumeSource",
        "storageMode",
        r#""ThinProvisioned""#,
    ),
    (
        "core/v1.ScaleIOPersistentVolumeSource",
        "fsType",
        r#""xfs""#,
    ),
    ("core/v1.ServicePort", "protocol", r#""TCP""#),
    ("core/v1.ReplicationControllerSpec", "replicas", "1"),
    ("core/v1.PersistentVolumeStatus", "phase", r#""Pending""#),
    (
        "core/v1.PersistentVolumeClaimStatus",
        "phase",
        r#""Pending""#,
    ),
    (
        "core/v1.PersistentVolumeClaimSpec",
        "volumeMode",
        r#""Filesystem""#,
    ),
    ("core/v1.NamespaceStatus", "phase", r#""Active""#),
    ("core/v1.Secret", "type", r#""Opaque""#),
    ("core/v1.EndpointPort", "protocol", r#""TCP""#),
    ("apps/v1.DeploymentSpec", "replicas", "1"),
    ("apps/v1.DeploymentSpec", "revisionHistoryLimit", "10"),
    ("apps/v1.DeploymentSpec", "progressDeadlineSeconds", "600"),
    ("apps/v1.DeploymentStrategy", "type", r#""RollingUpdate""#),
    ("apps/v1.DaemonSetSpec", "revisionHistoryLimit", "10"),
    (
        "apps/v1.DaemonSetUpdateStrategy",
        "type",
        r#""RollingUpdate""#,
    ),
    ("apps/v1.ReplicaSetSpec", "replicas", "1"),
    (
        "apps/v1.StatefulSetSpec",
        "podManagementPolicy",
        r#""OrderedReady""#,
    ),
    ("apps/v1.StatefulSetSpec", "replicas", "1"),
    ("apps/v1.StatefulSetSpec", "revisionHistoryLimit", "10"),
    (
        "apps/v1.StatefulSetSpec",
        "persistentVolumeClaimRetentionPolicy",
        "{}",
    ),
    (
        "apps/v1.StatefulSetPersistentVolumeClaimRetentionPolicy",
        "whenDeleted",
        r#""Retain""#,
    ),
    (
        "apps/v1.StatefulSetPersistentVolumeClaimRetentionPolicy",
        "whenScaled",
        r#""Retain""#,
    ),
    (
        "batch/v1.PodFailurePolicyOnPodConditionsPattern",
        "status",
        r#""True""#,
    ),
    ("batch/v1.CronJobSpec", "concurrencyPolicy", r#""Allow""#),
    ("batch/v1.CronJobSpec", "suspend", "false"),
    ("batch/v1.CronJobSpec", "successfulJobsHistoryLimit", "3"),
    ("batch/v1.CronJobSpec", "failedJobsHistoryLimit", "1"),
    (
        "autoscaling/v1.HorizontalPodAutoscalerSpec",
        "minReplicas",
        "1",
    ),
    (
        "autoscaling/v1.HorizontalPodAutoscalerSpec",
        "targetCPUUtilizationPercentage",
        "80",
    ),
    (
        "autoscaling/v2.HorizontalPodAutoscalerSpec",
        "minReplicas",
        "1",
    ),
    (
        "autoscaling/v2.HorizontalPodAutoscalerSpec",
        "metrics",
        r#"[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":80}}}]"#,
    ),
    ("networking/v1.NetworkPolicyPort", "protocol", r#""TCP""#),
    (
        "networking/v1.IngressClassParametersReference",
        "scope",
        r#""Cluster""#,
    ),
    (
        "rbac/v1.RoleRef",
        "apiGroup",
        r#""rbac.authorization.k8s.io""#,
    ),
    ("storage/v1.StorageClass", "reclaimPolicy", r#""Delete""#),
    (
        "storage/v1.StorageClass",
        "volumeBindingMode",
        r#""Immediate""#,
    ),
    ("storage/v1.CSIDriverSpec", "attachRequired", "true"),
    ("storage/v1.CSIDriverSpec", "podInfoOnMount", "false"),
    ("storage/v1.CSIDriverSpec", "storageCapacity", "false"),
    (
        "storage/v1.CSIDriverSpec",
        "fsGroupPolicy",
        r#""ReadWriteOnceWithFSType""#,
    ),
    (
        "storage/v1.CSIDriverSpec",
        "volumeLifecycleModes",
        r#"["Persistent"]"#,
    ),
    ("storage/v1.CSIDriverSpec", "requiresRepublish", "false"),
    ("storage/v1.CSIDriverSpec", "seLinuxMount", "false"),
    (
        "scheduling/v1.PriorityClass",
        "preemptionPolicy",
        r#""PreemptLowerPriority""#,
    ),
    ("discovery/v1.EndpointPort", "name", r#""""#),
    ("discovery/v1.EndpointPort", "protocol", r#""TCP""#),
    (
        "admissionregistration/v1.ValidatingWebhook",
        "failurePolicy",
        r#""Fail""#,
    ),
    (
        "admissionregistration/v1.ValidatingWebhook",
        "matchPolicy",
        r#""Equivalent""#,
    ),
    (
        "admissionregistration/v1.ValidatingWebhook",
        "namespaceSelector",
        "{}",
    ),
    (
        "admissionregistration/v1.ValidatingWebhook",
        "objectSelector",
        "{}",
    ),
    (
        "admissionregistration/v1.ValidatingWebhook",
        "timeoutSeconds",
        "10",
    ),
    (
        "admissionregistration/v1.MutatingWebhook",
        "failurePolicy",
        r#""Fail""#,
    ),
    (
        "admissionregistration/v1.MutatingWebhook",
        "matchPolicy",
        r#""Equivalent""#,
    ),
    (
        "admissionregistration/v1.MutatingWebhook",
        "namespaceSelector",
        "{}",
    ),
    (
        "admissionregistration/v1.MutatingWebhook",
        "objectSelector",
        "{}",
    ),
    (
        "admissionregistration/v1.MutatingWebhook",
        "timeoutSeconds",
        "10",
    ),
    (
        "admissionregistration/v1.MutatingWebhook",
        "reinvocationPolicy",
        r#""Never""#,
    ),
    (
        "admissionregistration/v1.RuleWithOperations",
        "scope",
        r#""*""#,
    ),
    (
        "admissionregistration/v1.NamedRuleWithOperations",
        "scope",
        r#""*""#,
    ),
    ("admissionregistration/v1.ServiceReference", "port", "443"),
    (
        "admissionregistration/v1.MatchResources",
        "matchPolicy",
        r#""Equivalent""#,
    ),
    (
        "admissionregistration/v1.MatchResources",
        "namespaceSelector",
        "{}",
    ),
    (
        "admissionregistration/v1.MatchResources",
        "objectSelector",
        "{}",
    ),
    (
        "admissionregistration/v1.ValidatingAdmissionPolicySpec",
        "failurePolicy",
        r#""Fail""#,
    ),
    (
        "admissionregistration/v1.MutatingAdmissionPolicySpec",
        "failurePolicy",
        r#""Fail""#,
    ),
    (
        "flowcontrol/v1.FlowSchemaSpec",
        "matchingPrecedence",
        "1000",
    ),
    (
        "flowcontrol/v1.ExemptPriorityLevelConfiguration",
        "nominalConcurrencyShares",
        "0",
    ),
    (
        "flowcontrol/v1.ExemptPriorityLevelConfiguration",
        "lendablePercent",
        "0",
    ),
    (
        "flowcontrol/v1.LimitedPriorityLevelConfiguration",
        "nominalConcurrencyShares",
        "30",
    ),
    (
        "flowcontrol/v1.LimitedPriorityLevelConfiguration",
        "lendablePercent",
        "0",
    ),
    ("flowcontrol/v1.QueuingConfiguration", "handSize", "8"),
    ("flowcontrol/v1.QueuingConfiguration", "queues", "64"),
    (
        "flowcontrol/v1.QueuingConfiguration",
        "queueLengthLimit",
        "50",
    ),
    (
        "resource/v1.ExactDeviceRequest",
        "allocationMode",
        r#""ExactCount""#,
    ),
    (
        "resource/v1.DeviceSubRequest",
        "allocationMode",
        r#""ExactCount""#,
    ),
    ("resource/v1.DeviceToleration", "operator", r#""Equal""#),
    (
        "resource/v1.NodeAllocatableResourceMapping",
        "allocationMultiplier",
        r#""1""#,
    ),
    (
        "apiextensions/v1.CustomResourceDefinitionSpec",
        "conversion",
        r#"{"strategy":"None"}"#,
    ),
    ("apiextensions/v1.ServiceReference", "port", "443"),
    ("apiregistration/v1.ServiceReference", "port", "443"),
];

/// The constants of a type.
pub(super) fn constants(name: &str) -> Vec<(&'static str, Value)> {
    let of = CONSTANTS.iter().filter(|(of, _, _)| *of == name);
    #[expect(clippy::expect_used, reason = "part of the program; a test reads all")]
    of.map(|(_, field, json)| (*field, serde_json::from_str(json).expect("JSON")))
        .collect()
}

/// The code of a type.
pub(super) fn code(name: &str) -> Option<Code> {
    Some(match name {
        "core/v1.Pod" => pod::pod,
        "core/v1.PodSpec" => pod::spec,
        "core/v1.PodStatus" => pod::status,
        "core/v1.PodTemplateSpec" => pod::template,
        "core/v1.Container" | "core/v1.EphemeralContainer" => pod::container,
        "core/v1.Volume" => pod::volume,
        "core/v1.ReplicationController" => workload::replication_controller,
        "apps/v1.DeploymentStrategy" => workload::deployment_strategy,
        "apps/v1.DaemonSetUpdateStrategy" => workload::daemon_set_strategy,
        "apps/v1.StatefulSetUpdateStrategy" => workload::stateful_set_strategy,
        "apps/v1.StatefulSetSpec" => workload::stateful_set_spec,
        "batch/v1.Job" => workload::job,
        "autoscaling/v2.HorizontalPodAutoscalerBehavior" => workload::scaling_behavior,
        "core/v1.Service" => other::service,
        "core/v1.PersistentVolume" => other::persistent_volume,
        "core/v1.Namespace" => other::namespace,
        "core/v1.NodeSpec" => other::node_spec,
        "core/v1.NodeStatus" => other::node_status,
        "core/v1.Secret" => other::secret,
        "core/v1.LimitRangeItem" => other::limit_range_item,
        "networking/v1.NetworkPolicySpec" => other::network_policy_spec,
        "rbac/v1.Subject" => other::subject,
        "resource/v1.ExactDeviceRequest" | "resource/v1.DeviceSubRequest" => other::device_request,
        "apiextensions/v1.CustomResourceDefinition" => other::custom_resource_definition,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_types_and_fields_that_exist() {
        let schema = Schema::built_in();
        for (of, field, json) in CONSTANTS {
            let id = schema.find(of).unwrap_or_else(|| panic!("no type {of}"));
            assert!(
                schema.get(id).field(field).is_some(),
                "no field {of}.{field}"
            );
            serde_json::from_str::<Value>(json).unwrap();
        }
    }
}
