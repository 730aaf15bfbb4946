use std::sync::Arc;

use serde_json::{Value, json};

use super::super::testing::{Stored, request, user};
use super::*;

fn cluster() -> Arc<Stored> {
    let stored = Stored::default();
    let pod = |name: &str, node: &str, more: Value| {
        let mut pod = json!({"metadata": {"name": name, "namespace": "a"}, "spec": {"nodeName": node, "serviceAccountName": format!("sa-{name}")}});
        for (key, value) in more.as_object().unwrap() {
            pod["spec"][key] = value.clone();
        }
        pod
    };
    let full = json!({
        "imagePullSecrets": [{"name": "pull"}],
        "containers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "env"}}}], "envFrom": [{"configMapRef": {"name": "conf-env"}}]}],
        "initContainers": [{"envFrom": [{"secretRef": {"name": "init"}}]}],
        "volumes": [
            {"name": "v", "secret": {"secretName": "vol"}},
            {"name": "p", "projected": {"sources": [{"configMap": {"name": "conf"}}, {"secret": {"name": "proj"}}]}},
            {"name": "c", "persistentVolumeClaim": {"claimName": "claim"}},
            {"name": "e", "ephemeral": {}},
        ],
        "resourceClaims": [{"name": "r", "resourceClaimName": "gpu"}],
    });
    stored.put("", "pods", &pod("p1", "n1", full));
    stored.put(
        "",
        "pods",
        &pod("p2", "n2", json!({"imagePullSecrets": [{"name": "other"}]})),
    );
    let mut mirror = pod(
        "p3",
        "n1",
        json!({"imagePullSecrets": [{"name": "mirrored"}]}),
    );
    mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
    stored.put("", "pods", &mirror);
    let volume = |name: &str, claim: &str| {
        let csi =
            json!({"nodePublishSecretRef": {"name": format!("csi-{name}"), "namespace": "a"}});
        json!({"metadata": {"name": name}, "spec": {"claimRef": {"namespace": "a", "name": claim}, "csi": csi}})
    };
    stored.put("", "persistentvolumes", &volume("pv1", "claim"));
    stored.put("", "persistentvolumes", &volume("pv2", "unused"));
    let attached = json!({"metadata": {"name": "va"}, "spec": {"nodeName": "n1"}});
    stored.put("storage.k8s.io", "volumeattachments", &attached);
    Arc::new(stored)
}

/// The reason of a refusal, `ok` without one.
fn said(what: &str) -> String {
    let decision = authorize(
        &*cluster(),
        &user("system:node:n1 system:nodes"),
        &request(what),
    );
    if decision.is_allowed() {
        "ok".to_owned()
    } else {
        decision.reason
    }
}

#[test]
fn nodes_read_what_their_pods_need() {
    for path in [
        "secrets/pull",
        "secrets/env",
        "secrets/init",
        "secrets/vol",
        "secrets/proj",
        "secrets/csi-pv1",
        "configmaps/conf",
        "configmaps/conf-env",
        "persistentvolumeclaims/claim",
        "persistentvolumeclaims/p1-e",
        "serviceaccounts/sa-p1",
        "pods/p1",
    ] {
        assert_eq!(
            said(&format!("GET /api/v1/namespaces/a/{path}")),
            "ok",
            "{path}"
        );
    }
    for path in [
        "secrets/other",
        "secrets/mirrored",
        "secrets/csi-pv2",
        "secrets/conf",
        "configmaps/vol",
        "persistentvolumeclaims/p1-v",
        "serviceaccounts/sa-p2",
        "pods/p2",
        "pods/none",
    ] {
        let none = "no relationship found between node 'n1' and this object";
        assert_eq!(
            said(&format!("GET /api/v1/namespaces/a/{path}")),
            none,
            "{path}"
        );
        assert_eq!(
            said(&format!("GET /api/v1/namespaces/b/{path}")),
            none,
            "{path}"
        );
    }
    assert_eq!(said("GET /api/v1/persistentvolumes/pv1"), "ok");
    assert_ne!(said("GET /api/v1/persistentvolumes/pv2"), "ok");
    assert_eq!(
        said("GET /apis/storage.k8s.io/v1/volumeattachments/va"),
        "ok"
    );
    assert_eq!(
        said("GET /apis/resource.k8s.io/v1/namespaces/a/resourceclaims/gpu"),
        "ok"
    );
    assert_eq!(
        said("GET /api/v1/namespaces/a/secrets?fieldSelector=metadata.name=vol&watch=1"),
        "ok"
    );
}

/// The reasons of kube-apiserver 1.36.
#[test]
fn refusals_have_the_words_of_the_release() {
    for (what, expected) in [
        (
            "GET /api/v1/pods",
            "can only list/watch pods with spec.nodeName field selector",
        ),
        ("GET /api/v1/pods?fieldSelector=spec.nodeName=n1", "ok"),
        (
            "GET /api/v1/pods?fieldSelector=spec.nodeName!=n1",
            "can only list/watch pods with spec.nodeName field selector",
        ),
        ("GET /api/v1/nodes/n1", "ok"),
        (
            "GET /api/v1/nodes/n2",
            "node 'n1' cannot read 'n2', only its own Node object",
        ),
        (
            "GET /api/v1/nodes",
            "node 'n1' cannot read all nodes, only its own Node object",
        ),
        ("GET /api/v1/namespaces/a/secrets", "No Object name found"),
        (
            "GET /api/v1/secrets/vol",
            "can only read namespaced object of this type",
        ),
        (
            "DELETE /api/v1/namespaces/a/secrets/vol",
            "can only read resources of this type",
        ),
        (
            "POST /api/v1/namespaces/a/serviceaccounts/sa-p1/token",
            "ok",
        ),
        (
            "POST /api/v1/namespaces/a/serviceaccounts/sa-p2/token",
            "no relationship found between node 'n1' and this object",
        ),
        (
            "PUT /apis/coordination.k8s.io/v1/namespaces/a/leases/n1",
            "can only access leases in the \"kube-node-lease\" system namespace",
        ),
        (
            "PUT /apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n2",
            "can only access node lease with the same name as the requesting node",
        ),
        (
            "PUT /apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1",
            "ok",
        ),
        (
            "GET /apis/storage.k8s.io/v1/csinodes/n2",
            "can only access CSINode with the same name as the requesting node",
        ),
        (
            "PATCH /api/v1/namespaces/a/persistentvolumeclaims/claim/status",
            "ok",
        ),
        ("GET /api/v1/services", "ok"),
        ("POST /api/v1/namespaces/a/events", "ok"),
        ("DELETE /api/v1/namespaces/a/services/s", ""),
        ("GET /metrics", ""),
    ] {
        assert_eq!(said(what), expected, "{what}");
    }
    let unknown = authorize(
        &*cluster(),
        &user("system:node: system:nodes"),
        &request("GET /api/v1/services"),
    );
    assert_eq!(unknown.reason, "unknown node for user \"system:node:\"");
    for nobody in ["system:node:n1", "n1 system:nodes"] {
        assert!(
            !authorize(&*cluster(), &user(nobody), &request("GET /api/v1/services")).is_allowed()
        );
    }
}
