//! Pods of a node: it shows those that it runs by itself, tells how others are, and sends them away.

use serde_json::Value;

use super::Asked;
use crate::kube::admission::attributes::Operation;
use crate::kube::object::meta;
use crate::kube::status::ApiResult;
use crate::kube::tree::{flag, get, items, text};

use super::super::service_account::{MIRROR, uses_secrets};

impl Asked<'_> {
    pub(super) fn pod(self) -> ApiResult<()> {
        let node = self.node;
        match (self.by.subresource, self.by.operation) {
            ("", Operation::Create) => self.mirror(),
            ("", Operation::Delete) if self.runs_here(self.old) => Ok(()),
            ("", Operation::Delete) => self.refuse(format!(
                "node {node:?} can only delete pods with spec.nodeName set to itself"
            )),
            ("", _) => self.refuse(format!(
                "unexpected operation {:?}, node {node:?} can only create and delete mirror pods",
                self.operation()
            )),
            ("status", Operation::Update) => self.pod_status(),
            ("status", _) => self.refuse(format!("unexpected operation {:?}", self.operation())),
            ("eviction", Operation::Create) => self.eviction(),
            ("eviction", _) => self.refuse(format!("unexpected operation {}", self.operation())),
            (other, _) => self.refuse(format!(
                "unexpected pod subresource {other:?}, only 'status' and 'eviction' are allowed"
            )),
        }
    }

    fn runs_here(self, pod: Option<&Value>) -> bool {
        pod.is_some_and(|pod| text(pod, &["spec", "nodeName"]) == self.node)
    }

    /// A pod that a node runs by itself, as it shows it.
    fn mirror(self) -> ApiResult<()> {
        let pod = self.object.unwrap_or(&Value::Null);
        let node = self.node;
        if meta::annotation(pod, MIRROR).is_none() {
            return self.refuse(format!(
                "pod does not have {MIRROR:?} annotation, node {node:?} can only create mirror pods"
            ));
        }
        if !self.runs_here(self.object) {
            return self.refuse(format!(
                "node {node:?} can only create pods with spec.nodeName set to itself"
            ));
        }
        self.owner(meta::owner_references(pod))?;
        match reference(pod) {
            Some(what) => self.refuse(format!(
                "node {node:?} can not create pods that reference {what}"
            )),
            None => Ok(()),
        }
    }

    /// It goes with the node, and keeps nothing else from going.
    fn owner(self, owners: &[Value]) -> ApiResult<()> {
        let node = self.node;
        let only = |what: &str| {
            self.refuse(format!(
                "node {node:?} can only create pods with {what} owner reference set to itself"
            ))
        };
        let owner = match owners {
            [owner] => owner,
            [] => return only("an"),
            _ => return only("a single"),
        };
        let is = |field: &str, value: &str| text(owner, &[field]) == value;
        if !is("apiVersion", "v1") || !is("kind", "Node") || !is("name", node) {
            return only("an");
        }
        if !flag(owner, &["controller"]) {
            return only("a controller");
        }
        if flag(owner, &["blockOwnerDeletion"]) {
            return self.refuse(format!(
                "node {node:?} must not set blockOwnerDeletion on an owner reference"
            ));
        }
        let known = self.find(("", "nodes"), "", node, "node")?;
        let (given, known) = (text(owner, &["uid"]), meta::uid(&known));
        if given != known {
            return self.refuse(format!(
                "node {node} UID mismatch: expected {given} got {known}"
            ));
        }
        Ok(())
    }

    fn pod_status(self) -> ApiResult<()> {
        let (Some(old), Some(new)) = (self.old, self.object) else {
            return Ok(());
        };
        let node = self.node;
        if !self.runs_here(self.old) {
            return self.refuse(format!(
                "node {node:?} can only update pod status for pods with spec.nodeName set to itself"
            ));
        }
        let labels = |pod| meta::labels(pod).filter(|labels| !labels.is_empty());
        if labels(old) != labels(new) {
            return self.refuse(format!(
                "node {node:?} cannot update labels through pod status"
            ));
        }
        let claims = |pod| items(pod, &["status", "resourceClaimStatuses"]);
        if claims(old) != claims(new) {
            return self.refuse(format!(
                "node {node:?} cannot update resource claim statues"
            ));
        }
        let extended = |pod| get(pod, &["status", "extendedResourceClaimStatus"]);
        if extended(old) != extended(new) {
            return self.refuse(format!(
                "node {node:?} cannot update extended resource claim status"
            ));
        }
        Ok(())
    }

    fn eviction(self) -> ApiResult<()> {
        let name = match self.by.name {
            "" => super::super::name(self.object.unwrap_or(&Value::Null)),
            name => name,
        };
        if name.is_empty() {
            return self.refuse("could not determine pod from request data");
        }
        let pod = self.find(("", "pods"), self.by.namespace, name, "pod")?;
        if self.runs_here(Some(&pod)) {
            return Ok(());
        }
        let node = self.node;
        self.refuse(format!(
            "node {node} can only evict pods with spec.nodeName set to itself"
        ))
    }
}

/// What a pod needs of the API, of which a node's own pods may need nothing.
fn reference(pod: &Value) -> Option<&'static str> {
    if !text(pod, &["spec", "serviceAccountName"]).is_empty() {
        return Some("serviceaccounts");
    }
    if uses_secrets(pod) {
        return Some("secrets");
    }
    if uses_config_maps(pod) {
        return Some("configmaps");
    }
    if !items(pod, &["spec", "resourceClaims"]).is_empty() {
        return Some("resourceclaims");
    }
    items(pod, &["spec", "volumes"]).iter().find_map(of_volume)
}

fn uses_config_maps(pod: &Value) -> bool {
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    let mut all = lists.iter().flat_map(|list| items(pod, &["spec", list]));
    let in_container = |container: &Value| {
        let mut one = items(container, &["env"]).iter();
        let mut whole = items(container, &["envFrom"]).iter();
        one.any(|one| get(one, &["valueFrom", "configMapKeyRef"]).is_some())
            || whole.any(|from| get(from, &["configMapRef"]).is_some())
    };
    let in_volume = |volume: &Value| {
        let mut sources = items(volume, &["projected", "sources"]).iter();
        get(volume, &["configMap"]).is_some()
            || sources.any(|source| get(source, &["configMap"]).is_some())
    };
    all.any(in_container) || items(pod, &["spec", "volumes"]).iter().any(in_volume)
}

fn of_volume(volume: &Value) -> Option<&'static str> {
    let own = [
        ("csi", "csidrivers (via CSI volumes)"),
        ("glusterfs", "endpoints (via glusterFS volumes)"),
        ("persistentVolumeClaim", "persistentvolumeclaims"),
        (
            "ephemeral",
            "persistentvolumeclaims (via ephemeral volumes)",
        ),
        ("azureFile", "secrets (via azureFile volumes)"),
    ];
    let has = |value: &Value, key: &str| get(value, &[key]).is_some();
    if let Some((_, what)) = own.iter().find(|(key, _)| has(volume, key)) {
        return Some(what);
    }
    let projected = [
        (
            "serviceAccountToken",
            "serviceaccounts (via projected volumes)",
        ),
        ("clusterTrustBundle", "clustertrustbundles"),
        ("podCertificate", "podcertificates"),
    ];
    let sources = items(volume, &["projected", "sources"]).iter();
    let mut found = sources.filter_map(|source| {
        let mut all = projected.iter();
        all.find(|(key, _)| has(source, key)).map(|(_, what)| *what)
    });
    found.next()
}
