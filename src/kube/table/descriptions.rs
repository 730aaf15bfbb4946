//! What columns are for, as tables tell it.
//!
//! Most texts are those of the fields that the columns show; the release words the rest for the column.

use serde_json::Value;

use super::super::openapi;

const NAME: &str = "=NAME";
const AGE: &str = "=AGE";
const CONTAINERS: &str = "Names of each container in the template.";
const IMAGES: &str = "Images referenced by each container in the template.";
const SCALE: &[&str] = &[
    NAME,
    "=autoscaling.v1.ScaleSpec.replicas",
    "=autoscaling.v1.ScaleStatus.replicas",
    AGE,
];

/// Columns, with what they are for.
pub(super) fn describe(columns: impl Iterator<Item = Value>, texts: &[&'static str]) -> Vec<Value> {
    let texts = texts.iter().copied().chain(std::iter::repeat(""));
    let described = columns.zip(texts).map(|(mut column, text)| {
        if let Some(said) = column.get_mut("description") {
            *said = resolve(text).into();
        }
        column
    });
    described.collect()
}

/// A text for each column of a resource, or of a subresource `scale`; `=` stands before the field whose text it is.
pub(super) fn texts(group: &str, plural: &str, is_scale: bool) -> &'static [&'static str] {
    if is_scale {
        return SCALE;
    }
    let own = COLUMNS.iter().find(|one| (one.0, one.1) == (group, plural));
    own.map_or(&[NAME, AGE], |one| one.2)
}

fn resolve(text: &'static str) -> &'static str {
    const OBJECT: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
    let field = match text {
        NAME => openapi::field_description(OBJECT, "name"),
        AGE => openapi::field_description(OBJECT, "creationTimestamp"),
        _ => match text.strip_prefix('=').and_then(|of| of.rsplit_once('.')) {
            Some((of, field)) => openapi::field_description(&format!("io.k8s.api.{of}"), field),
            None => Some(text),
        },
    };
    field.unwrap_or_default()
}

/// Resources whose columns are more than a name and an age.
#[rustfmt::skip]
const COLUMNS: &[(&str, &str, &[&str])] = &[
    ("", "configmaps", &[NAME, "=core.v1.ConfigMap.data", AGE]),
    ("", "endpoints", &[NAME, "=core.v1.Endpoints.subsets", AGE]),
    ("", "events", &["=core.v1.Event.lastTimestamp", "=core.v1.Event.type", "=core.v1.Event.reason", "=core.v1.Event.involvedObject", "=core.v1.ObjectReference.fieldPath", "=core.v1.Event.source", "=core.v1.Event.message", "=core.v1.Event.firstTimestamp", "=core.v1.Event.count", NAME]),
    ("", "namespaces", &[NAME, "The status of the namespace", AGE]),
    ("", "nodes", &[NAME, "The status of the node", "The roles of the node", AGE, "=core.v1.NodeSystemInfo.kubeletVersion", "=core.v1.NodeStatus.addresses", "=core.v1.NodeStatus.addresses", "=core.v1.NodeSystemInfo.osImage", "=core.v1.NodeSystemInfo.kernelVersion", "=core.v1.NodeSystemInfo.containerRuntimeVersion"]),
    ("", "persistentvolumeclaims", &[NAME, "=core.v1.PersistentVolumeClaimStatus.phase", "=core.v1.PersistentVolumeClaimSpec.volumeName", "=core.v1.PersistentVolumeClaimStatus.capacity", "=core.v1.PersistentVolumeClaimStatus.accessModes", "StorageClass of the pvc", "VolumeAttributesClass of the pvc", AGE, "=core.v1.PersistentVolumeClaimSpec.volumeMode"]),
    ("", "persistentvolumes", &[NAME, "=core.v1.PersistentVolumeSpec.capacity", "=core.v1.PersistentVolumeSpec.accessModes", "=core.v1.PersistentVolumeSpec.persistentVolumeReclaimPolicy", "=core.v1.PersistentVolumeStatus.phase", "=core.v1.PersistentVolumeSpec.claimRef", "StorageClass of the pv", "VolumeAttributesClass of the pv", "=core.v1.PersistentVolumeStatus.reason", AGE, "=core.v1.PersistentVolumeSpec.volumeMode"]),
    ("", "pods", &[NAME, "The aggregate readiness state of this pod for accepting traffic.", "The aggregate status of the containers in this pod.", "The number of times the containers in this pod have been restarted and when the last container in this pod has restarted.", AGE, "=core.v1.PodStatus.podIP", "=core.v1.PodSpec.nodeName", "=core.v1.PodStatus.nominatedNodeName", "=core.v1.PodSpec.readinessGates"]),
    ("", "podtemplates", &[NAME, CONTAINERS, IMAGES, "The labels for the pod template."]),
    ("", "replicationcontrollers", &[NAME, "=core.v1.ReplicationControllerSpec.replicas", "=core.v1.ReplicationControllerStatus.replicas", "=core.v1.ReplicationControllerStatus.readyReplicas", AGE, CONTAINERS, IMAGES, "=core.v1.ReplicationControllerSpec.selector"]),
    ("", "resourcequotas", &[NAME, "Request represents a minimum amount of cpu/memory that a container may consume.", "Limits control the maximum amount of cpu/memory that a container may use independent of contention on the node.", AGE]),
    ("", "secrets", &[NAME, "=core.v1.Secret.type", "=core.v1.Secret.data", AGE]),
    ("", "services", &[NAME, "=core.v1.ServiceSpec.type", "=core.v1.ServiceSpec.clusterIP", "=core.v1.ServiceSpec.externalIPs", "=core.v1.ServiceSpec.ports", AGE, "=core.v1.ServiceSpec.selector"]),
    ("apiregistration.k8s.io", "apiservices", &[NAME, "The reference to the service that hosts this API endpoint.", "Whether this service is available.", AGE]),
    ("apps", "controllerrevisions", &[NAME, "Controller of the object", "=apps.v1.ControllerRevision.revision", AGE]),
    ("apps", "daemonsets", &[NAME, "=apps.v1.DaemonSetStatus.desiredNumberScheduled", "=apps.v1.DaemonSetStatus.currentNumberScheduled", "=apps.v1.DaemonSetStatus.numberReady", "=apps.v1.DaemonSetStatus.updatedNumberScheduled", "=apps.v1.DaemonSetStatus.numberAvailable", "=core.v1.PodSpec.nodeSelector", AGE, CONTAINERS, IMAGES, "=apps.v1.DaemonSetSpec.selector"]),
    ("apps", "deployments", &[NAME, "Number of the pod with ready state", "=apps.v1.DeploymentStatus.updatedReplicas", "=apps.v1.DeploymentStatus.availableReplicas", AGE, CONTAINERS, IMAGES, "=apps.v1.DeploymentSpec.selector"]),
    ("apps", "replicasets", &[NAME, "=apps.v1.ReplicaSetSpec.replicas", "=apps.v1.ReplicaSetStatus.replicas", "=apps.v1.ReplicaSetStatus.readyReplicas", AGE, CONTAINERS, IMAGES, "=apps.v1.ReplicaSetSpec.selector"]),
    ("apps", "statefulsets", &[NAME, "Number of the pod with ready state", AGE, CONTAINERS, IMAGES]),
    ("events.k8s.io", "events", &["=core.v1.Event.lastTimestamp", "=core.v1.Event.type", "=core.v1.Event.reason", "=core.v1.Event.involvedObject", "=core.v1.ObjectReference.fieldPath", "=core.v1.Event.source", "=core.v1.Event.message", "=core.v1.Event.firstTimestamp", "=core.v1.Event.count", NAME]),
    ("autoscaling", "horizontalpodautoscalers", &[NAME, "=autoscaling.v2.HorizontalPodAutoscalerSpec.scaleTargetRef", "=autoscaling.v2.HorizontalPodAutoscalerSpec.metrics", "=autoscaling.v1.HorizontalPodAutoscalerSpec.minReplicas", "=autoscaling.v2.HorizontalPodAutoscalerSpec.maxReplicas", "=autoscaling.v2.HorizontalPodAutoscalerStatus.currentReplicas", AGE]),
    ("batch", "cronjobs", &[NAME, "=batch.v1.CronJobSpec.schedule", "=batch.v1.CronJobSpec.timeZone", "=batch.v1.CronJobSpec.suspend", "=batch.v1.CronJobStatus.active", "=batch.v1.CronJobStatus.lastScheduleTime", AGE, CONTAINERS, IMAGES, "=batch.v1.JobSpec.selector"]),
    ("batch", "jobs", &[NAME, "Status of the job.", "=batch.v1.JobStatus.succeeded", "Time required to complete the job.", AGE, CONTAINERS, IMAGES, "=batch.v1.JobSpec.selector"]),
    ("certificates.k8s.io", "certificatesigningrequests", &[NAME, AGE, "Requested signer for the request. It is a qualified name in the form: `scope-hostname.io/name`. If empty, it will be defaulted:\n 1. If it's a kubelet client certificate, it is assigned\n    \"kubernetes.io/kube-apiserver-client-kubelet\".\n 2. If it's a kubelet serving certificate, it is assigned\n    \"kubernetes.io/kubelet-serving\".\n 3. Otherwise, it is assigned \"kubernetes.io/legacy-unknown\".\nDistribution of trust for signers happens out of band. You can select on this field using `spec.signerName`.", "Base64-encoded PKCS#10 CSR data", "=certificates.v1.CertificateSigningRequestSpec.expirationSeconds", "Conditions applied to the request, such as approval or denial."]),
    ("networking.k8s.io", "ingressclasses", &[NAME, "Controller that is responsible for handling this class", "A reference to a resource with additional parameters", AGE]),
    ("networking.k8s.io", "ingresses", &[NAME, "The name of the IngressClass resource that should be used for additional configuration", "Hosts that incoming requests are matched against before the ingress rule", "Address is a list containing ingress points for the load-balancer", "Ports of TLS configurations that open", AGE]),
    ("networking.k8s.io", "ipaddresses", &[NAME, "=networking.v1.IPAddressSpec.parentRef"]),
    ("networking.k8s.io", "networkpolicies", &[NAME, "=networking.v1.NetworkPolicySpec.podSelector", AGE]),
    ("networking.k8s.io", "servicecidrs", &[NAME, "=networking.v1.ServiceCIDRSpec.cidrs", AGE]),
    ("policy", "poddisruptionbudgets", &[NAME, "The minimum number of pods that must be available.", "The maximum number of pods that may be unavailable.", "Calculated number of pods that may be disrupted at this time.", AGE]),
    ("rbac.authorization.k8s.io", "clusterrolebindings", &[NAME, "RoleRef can only reference a ClusterRole in the global namespace. If the RoleRef cannot be resolved, the Authorizer must return an error.", AGE, "Users in the clusterRoleBinding", "Groups in the clusterRoleBinding", "ServiceAccounts in the clusterRoleBinding"]),
    ("rbac.authorization.k8s.io", "rolebindings", &[NAME, "RoleRef can reference a Role in the current namespace or a ClusterRole in the global namespace. If the RoleRef cannot be resolved, the Authorizer must return an error.", AGE, "Users in the roleBinding", "Groups in the roleBinding", "ServiceAccounts in the roleBinding"]),
    ("storage.k8s.io", "csidrivers", &[NAME, "=storage.v1.CSIDriverSpec.attachRequired", "=storage.v1.CSIDriverSpec.podInfoOnMount", "=storage.v1.CSIDriverSpec.storageCapacity", "=storage.v1.CSIDriverSpec.tokenRequests", "=storage.v1.CSIDriverSpec.requiresRepublish", "=storage.v1.CSIDriverSpec.volumeLifecycleModes", AGE]),
    ("storage.k8s.io", "csinodes", &[NAME, "Drivers indicates the number of CSI drivers registered on the node", AGE]),
    ("storage.k8s.io", "storageclasses", &[NAME, "=storage.v1.StorageClass.provisioner", "=storage.v1.StorageClass.reclaimPolicy", "=storage.v1.StorageClass.volumeBindingMode", "=storage.v1.StorageClass.allowVolumeExpansion", AGE]),
    ("storage.k8s.io", "volumeattachments", &[NAME, "=storage.v1.VolumeAttachmentSpec.attacher", "=storage.v1.VolumeAttachmentSource.persistentVolumeName", "=storage.v1.VolumeAttachmentSpec.nodeName", "=storage.v1.VolumeAttachmentStatus.attached", AGE]),
    ("storage.k8s.io", "volumeattributesclasses", &[NAME, "=storage.v1.VolumeAttributesClass.driverName", AGE]),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies", &[NAME, "Mutation indicates the number of mutations rules defined in this configuration", "ParamKind specifies the kind of resources used to parameterize this policy", AGE]),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings", &[NAME, "PolicyName indicates the policy definition which the policy binding binded to", "ParamRef indicates the param resource which sets the configuration param", AGE]),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations", &[NAME, "Webhooks indicates the number of webhooks registered in this configuration", AGE]),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies", &[NAME, "Validations indicates the number of validation rules defined in this configuration", "ParamKind specifies the kind of resources used to parameterize this policy", AGE]),
    ("admissionregistration.k8s.io", "validatingadmissionpolicybindings", &[NAME, "PolicyName indicates the policy definition which the policy binding binded to", "ParamRef indicates the param resource which sets the configuration param", AGE]),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations", &[NAME, "Webhooks indicates the number of webhooks registered in this configuration", AGE]),
    ("scheduling.k8s.io", "priorityclasses", &[NAME, "=scheduling.v1.PriorityClass.value", "=scheduling.v1.PriorityClass.globalDefault", AGE, "=scheduling.v1.PriorityClass.preemptionPolicy"]),
    ("coordination.k8s.io", "leases", &[NAME, "=coordination.v1.LeaseSpec.holderIdentity", AGE]),
    ("node.k8s.io", "runtimeclasses", &[NAME, "", AGE]),
    ("discovery.k8s.io", "endpointslices", &[NAME, "=discovery.v1.EndpointSlice.addressType", "=discovery.v1.EndpointSlice.ports", "=discovery.v1.EndpointSlice.endpoints", AGE]),
    ("resource.k8s.io", "resourceclaims", &[NAME, "A summary of the current state (allocated, pending, reserved, etc.).", AGE]),
    ("resource.k8s.io", "resourceslices", &[NAME, "=resource.v1.ResourceSliceSpec.nodeName", "=resource.v1.ResourceSliceSpec.driver", "=resource.v1.ResourcePool.name", AGE]),
    ("flowcontrol.apiserver.k8s.io", "flowschemas", &[NAME, "=flowcontrol.v1.PriorityLevelConfigurationReference.name", "=flowcontrol.v1.FlowSchemaSpec.matchingPrecedence", "=flowcontrol.v1.FlowSchemaSpec.distinguisherMethod", AGE, "references a broken or non-existent PriorityLevelConfiguration"]),
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations", &[NAME, "=flowcontrol.v1.PriorityLevelConfigurationSpec.type", "=flowcontrol.v1.LimitedPriorityLevelConfiguration.nominalConcurrencyShares", "=flowcontrol.v1.QueuingConfiguration.queues", "=flowcontrol.v1.QueuingConfiguration.handSize", "=flowcontrol.v1.QueuingConfiguration.queueLengthLimit", AGE]),
];

#[cfg(test)]
mod tests {
    use super::super::Printer;
    use super::*;
    use crate::kube::schema::Resources;

    fn definitions(group: &str, plural: &str) -> Vec<Value> {
        let version = if group == "autoscaling" { "v2" } else { "v1" };
        let resource = Resources::built_in().find(group, version, plural).unwrap();
        Printer::of(resource, None).definitions()
    }

    #[test]
    fn there_is_a_text_for_each_column() {
        for &(group, plural, texts) in COLUMNS {
            let columns = definitions(group, plural);
            assert_eq!(columns.len(), texts.len(), "{group} {plural}");
            for text in texts.iter().filter(|text| text.starts_with('=')) {
                assert!(!resolve(text).is_empty(), "{group} {plural} {text}");
            }
        }
    }

    #[test]
    fn a_column_that_shows_a_field_has_its_text() {
        let columns = definitions("", "secrets");
        let said = |nth: usize| columns[nth]["description"].as_str().unwrap();
        assert!(said(0).starts_with("Name must be unique within a namespace."));
        assert!(said(1).starts_with("Used to facilitate programmatic handling"));
        let columns = definitions("", "namespaces");
        assert_eq!(columns[1]["description"], "The status of the namespace");
    }
}
