//! Which columns the tables of each resource have, and what fills them.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::value::Subject;
use super::{autoscaling, cluster, network, pod, policy, storage, workloads};

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    /// `string`, `integer`, `boolean` or `date`.
    pub kind: &'static str,
    /// Whether it holds the object's name (`format: name`).
    pub is_name: bool,
    /// 0 is always shown, 1 only in wide tables.
    pub priority: u8,
}

impl Column {
    /// `metav1.TableColumnDefinition`; what it is for is said by [`super::descriptions`].
    pub fn to_value(&self) -> Value {
        json!({
            "name": self.name,
            "type": self.kind,
            "format": if self.is_name { "name" } else { "" },
            "description": "",
            "priority": self.priority,
        })
    }

    /// Reads `Name`, `Count:integer`, `Reason*` (wide only); what is called Name holds the name.
    fn read(word: &'static str) -> Self {
        let (word, priority) = match word.strip_suffix('*') {
            Some(word) => (word, 1),
            None => (word, 0),
        };
        let (name, kind) = word.split_once(':').unwrap_or((word, "string"));
        Self {
            name,
            kind: if kind == "name" { "string" } else { kind },
            is_name: name == "Name" || kind == "name",
            priority,
        }
    }
}

type Row = fn(Subject<'_>) -> Vec<Value>;

/// The columns of a resource and the function that fills a row.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) columns: Vec<Column>,
    pub(super) row: Row,
}

/// Of a resource by its group and plural: see [`super::Printer`].
pub(super) fn of(group: &str, plural: &str) -> Option<&'static Layout> {
    let mut all = BUILT_IN.iter();
    all.find(|one| (one.group, one.plural) == (group, plural))
        .map(|one| &one.layout)
}

/// Of a built-in resource that has no columns of its own.
pub(super) fn plain() -> &'static Layout {
    static PLAIN: LazyLock<Layout> = LazyLock::new(|| layout("Name, Created At:date", created_at));
    &PLAIN
}

/// Of the subresource `scale`, whose name is no name to clients.
pub(super) fn scale() -> &'static Layout {
    static SCALE: LazyLock<Layout> = LazyLock::new(|| {
        let mut scale = layout(
            "Name, Desired:integer, Available:integer, Age",
            autoscaling::scale,
        );
        for column in &mut scale.columns {
            column.is_name = false;
        }
        scale
    });
    &SCALE
}

fn created_at(of: Subject<'_>) -> Vec<Value> {
    // Go's zero time stands for none.
    let created = of.dig("metadata.creationTimestamp").as_str();
    super::cells![of.name(), created.unwrap_or("0001-01-01T00:00:00Z")]
}

fn layout(columns: &'static str, row: Row) -> Layout {
    Layout {
        columns: columns.split(", ").map(Column::read).collect(),
        row,
    }
}

/// A layout and whose it is.
struct Known {
    group: &'static str,
    plural: &'static str,
    layout: Layout,
}

static BUILT_IN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let all = LAYOUTS.iter().map(|&(group, plural, columns, row)| Known {
        group,
        plural,
        layout: layout(columns, row),
    });
    all.collect()
});

const EVENT: &str =
    "Last Seen, Type, Reason, Object, Subobject*, Source*, Message, First Seen*, Count*, Name*";
const REPLICAS: &str =
    "Name, Desired:integer, Current:integer, Ready:integer, Age, Containers*, Images*, Selector*";
const BINDING: &str = "Name, Role, Age, Users*, Groups*, ServiceAccounts*";
const WEBHOOKS: &str = "Name, Webhooks:integer, Age";
const POLICY_BINDING: &str = "Name, PolicyName, ParamRef, Age";

const ADMISSION: &str = "admissionregistration.k8s.io";
const DRA: &str = "resource.k8s.io";
const FLOW: &str = "flowcontrol.apiserver.k8s.io";
const NETWORK: &str = "networking.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";
const STORAGE: &str = "storage.k8s.io";

/// Group, plural, columns, row.
#[rustfmt::skip]
const LAYOUTS: &[(&str, &str, &str, Row)] = &[
    ("", "componentstatuses", "Name, Status, Message, Error", cluster::component_status),
    ("", "configmaps", "Name, Data, Age", cluster::config_map),
    ("", "endpoints", "Name, Endpoints, Age", network::endpoints),
    ("", "events", EVENT, cluster::event),
    ("", "namespaces", "Name, Status, Age", cluster::namespace),
    ("", "nodes", "Name, Status, Roles, Age, Version, Internal-IP*, External-IP*, OS-Image*, Kernel-Version*, Container-Runtime*", cluster::node),
    ("", "persistentvolumeclaims", "Name, Status, Volume, Capacity, Access Modes, StorageClass, VolumeAttributesClass, Age, VolumeMode*", storage::claim),
    ("", "persistentvolumes", "Name, Capacity, Access Modes, Reclaim Policy, Status, Claim, StorageClass, VolumeAttributesClass, Reason, Age, VolumeMode*", storage::volume),
    ("", "pods", "Name, Ready, Status, Restarts, Age, IP*, Node*, Nominated Node*, Readiness Gates*", pod::row),
    ("", "podtemplates", "Name, Containers, Images, Pod Labels", workloads::pod_template),
    ("", "replicationcontrollers", REPLICAS, workloads::replication_controller),
    ("", "resourcequotas", "Name, Request, Limit, Age", cluster::resource_quota),
    ("", "secrets", "Name, Type, Data, Age", cluster::secret),
    ("", "serviceaccounts", "Name, Age", cluster::named),
    ("", "services", "Name, Type, Cluster-IP, External-IP, Port(s), Age, Selector*", network::service),
    ("apiregistration.k8s.io", "apiservices", "Name, Service, Available, Age", cluster::api_service),
    ("apps", "controllerrevisions", "Name, Controller, Revision, Age", workloads::controller_revision),
    ("apps", "daemonsets", "Name, Desired:integer, Current:integer, Ready:integer, Up-to-date:integer, Available:integer, Node Selector, Age, Containers*, Images*, Selector*", workloads::daemon_set),
    ("apps", "deployments", "Name, Ready, Up-to-date, Available, Age, Containers*, Images*, Selector*", workloads::deployment),
    ("apps", "replicasets", REPLICAS, workloads::replica_set),
    ("apps", "statefulsets", "Name, Ready, Age, Containers*, Images*", workloads::stateful_set),
    ("events.k8s.io", "events", EVENT, cluster::event),
    ("autoscaling", "horizontalpodautoscalers", "Name, Reference, Targets, MinPods, MaxPods, Replicas, Age", autoscaling::autoscaler),
    ("batch", "cronjobs", "Name, Schedule, Timezone, Suspend:boolean, Active:integer, Last Schedule, Age, Containers*, Images*, Selector*", workloads::cron_job),
    ("batch", "jobs", "Name, Status, Completions, Duration, Age, Containers*, Images*, Selector*", workloads::job),
    ("certificates.k8s.io", "certificatesigningrequests", "Name, Age, SignerName, Requestor, RequestedDuration, Condition", cluster::signing_request),
    (NETWORK, "ingressclasses", "Name, Controller, Parameters, Age", network::ingress_class),
    (NETWORK, "ingresses", "Name, Class, Hosts, Address, Ports, Age", network::ingress),
    (NETWORK, "ipaddresses", "Name, ParentRef", network::ip_address),
    (NETWORK, "networkpolicies", "Name, Pod-Selector, Age", network::network_policy),
    (NETWORK, "servicecidrs", "Name, CIDRs, Age", network::service_cidr),
    ("policy", "poddisruptionbudgets", "Name, Min Available, Max Unavailable, Allowed Disruptions:integer, Age", workloads::disruption_budget),
    (RBAC, "clusterrolebindings", BINDING, policy::role_binding),
    (RBAC, "rolebindings", BINDING, policy::role_binding),
    (STORAGE, "csidrivers", "Name, AttachRequired:boolean, PodInfoOnMount:boolean, StorageCapacity:boolean, TokenRequests, RequiresRepublish:boolean, Modes, Age", storage::csi_driver),
    (STORAGE, "csinodes", "Name, Drivers:integer, Age", storage::csi_node),
    (STORAGE, "storageclasses", "Name, Provisioner, ReclaimPolicy, VolumeBindingMode, AllowVolumeExpansion, Age", storage::storage_class),
    (STORAGE, "volumeattachments", "Name, Attacher:name, PV, Node, Attached:boolean, Age", storage::attachment),
    (STORAGE, "volumeattributesclasses", "Name, DriverName, Age", storage::attributes_class),
    (ADMISSION, "mutatingadmissionpolicies", "Name, Mutations:integer, ParamKind, Age", policy::mutating_policy),
    (ADMISSION, "mutatingadmissionpolicybindings", POLICY_BINDING, policy::policy_binding),
    (ADMISSION, "mutatingwebhookconfigurations", WEBHOOKS, policy::webhooks),
    (ADMISSION, "validatingadmissionpolicies", "Name, Validations:integer, ParamKind, Age", policy::validating_policy),
    (ADMISSION, "validatingadmissionpolicybindings", POLICY_BINDING, policy::policy_binding),
    (ADMISSION, "validatingwebhookconfigurations", WEBHOOKS, policy::webhooks),
    ("scheduling.k8s.io", "priorityclasses", "Name, Value:integer, Global-Default:boolean, Age, PreemptionPolicy", cluster::priority_class),
    ("coordination.k8s.io", "leases", "Name, Holder, Age", cluster::lease),
    ("node.k8s.io", "runtimeclasses", "Name, Handler, Age", cluster::runtime_class),
    ("discovery.k8s.io", "endpointslices", "Name, AddressType, Ports, Endpoints, Age", network::endpoint_slice),
    (DRA, "deviceclasses", "Name, Age", cluster::named),
    (DRA, "resourceclaims", "Name, State, Age", cluster::resource_claim),
    (DRA, "resourceclaimtemplates", "Name, Age", cluster::named),
    (DRA, "resourceslices", "Name, Node, Driver, Pool, Age", cluster::resource_slice),
    (FLOW, "flowschemas", "Name, PriorityLevel, MatchingPrecedence, DistinguisherMethod, Age, MissingPL", policy::flow_schema),
    (FLOW, "prioritylevelconfigurations", "Name, Type, NominalConcurrencyShares, Queues, HandSize, QueueLengthLimit, Age", policy::priority_level),
];
