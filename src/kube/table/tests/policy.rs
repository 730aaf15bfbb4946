use serde_json::json;

use super::check;

#[test]
fn access() {
    let subjects = json!([
        {"kind": "User", "name": "u"}, {"kind": "Group", "name": "g"}, {"kind": "User", "name": "v"},
        {"kind": "ServiceAccount", "namespace": "n", "name": "s"}, {"kind": "Other", "name": "o"},
    ]);
    let binding =
        json!({"roleRef": {"kind": "ClusterRole", "name": "admin"}, "subjects": subjects});
    let group = "rbac.authorization.k8s.io";
    let row = json!(["x", "ClusterRole/admin", "3d", "u, v", "g", "n/s"]);
    check(group, "rolebindings", binding.clone(), row.clone());
    check(group, "clusterrolebindings", binding, row);
    check(
        group,
        "clusterroles",
        json!({}),
        json!(["x", "2026-01-07T00:00:00Z"]),
    );
}

#[test]
fn admission() {
    const GROUP: &str = "admissionregistration.k8s.io";
    for plural in [
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
    ] {
        check(
            GROUP,
            plural,
            json!({"webhooks": [{}]}),
            json!(["x", 1, "3d"]),
        );
    }
    let kind = json!({"apiVersion": "v1", "kind": "ConfigMap"});
    check(
        GROUP,
        "validatingadmissionpolicies",
        json!({"spec": {"paramKind": kind, "validations": [{}, {}]}}),
        json!(["x", 2, "v1/ConfigMap", "3d"]),
    );
    check(
        GROUP,
        "mutatingadmissionpolicies",
        json!({"spec": {"mutations": [{}]}}),
        json!(["x", 1, "<unset>", "3d"]),
    );
    for (reference, said) in [
        (json!(null), "<unset>"),
        (json!({"name": "n"}), "*/n"),
        (json!({"name": "n", "namespace": "ns"}), "ns/n"),
        (
            json!({"selector": {}}),
            "&LabelSelector{MatchLabels:map[string]string{},MatchExpressions:[]LabelSelectorRequirement{},}",
        ),
    ] {
        let binding = json!({"spec": {"policyName": "p", "paramRef": reference}});
        for plural in [
            "validatingadmissionpolicybindings",
            "mutatingadmissionpolicybindings",
        ] {
            check(
                GROUP,
                plural,
                binding.clone(),
                json!(["x", "p", said, "3d"]),
            );
        }
    }
}

#[test]
fn flow_control() {
    const GROUP: &str = "flowcontrol.apiserver.k8s.io";
    let spec = json!({"priorityLevelConfiguration": {"name": "pl"}, "matchingPrecedence": 500,
                      "distinguisherMethod": {"type": "ByUser"}});
    let status = json!({"conditions": [{"type": "Dangling", "status": "False"}]});
    check(
        GROUP,
        "flowschemas",
        json!({"spec": spec, "status": status}),
        json!(["x", "pl", 500, "ByUser", "3d", "False"]),
    );
    let queuing = json!({"queues": 64, "handSize": 6, "queueLengthLimit": 50});
    let limited = json!({"nominalConcurrencyShares": 30, "limitResponse": {"queuing": queuing}});
    check(
        GROUP,
        "prioritylevelconfigurations",
        json!({"spec": {"type": "Limited", "limited": limited}}),
        json!(["x", "Limited", 30, 64, 6, 50, "3d"]),
    );
    check(
        GROUP,
        "prioritylevelconfigurations",
        json!({"spec": {"type": "Exempt"}}),
        json!(["x", "Exempt", "<none>", "<none>", "<none>", "<none>", "3d"]),
    );
}
