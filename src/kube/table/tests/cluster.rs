use serde_json::json;

use super::{cells, check};

#[test]
fn nodes() {
    let labels = json!({"labels": {
        "node-role.kubernetes.io/worker": "", "kubernetes.io/role": "a", "node-role.kubernetes.io/": "", "z": "y",
    }});
    let status = json!({
        "conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [{"type": "Hostname", "address": "h"}, {"type": "InternalIP", "address": "10.0.0.1"}],
        "nodeInfo": {"kubeletVersion": "v1.36.2", "osImage": "OS", "kernelVersion": "6.1", "architecture": "amd64",
                     "containerRuntimeVersion": "containerd://2"},
    });
    check(
        "",
        "nodes",
        json!({"metadata": labels, "spec": {"unschedulable": true}, "status": status}),
        json!([
            "x",
            "Ready,SchedulingDisabled",
            "a,worker",
            "3d",
            "v1.36.2",
            "10.0.0.1",
            "<none>",
            "OS",
            "6.1 (amd64)",
            "containerd://2"
        ]),
    );
    let unready = json!({"conditions": [{"type": "Ready", "status": "Unknown"}]});
    check(
        "",
        "nodes",
        json!({"status": unready}),
        json!([
            "x",
            "NotReady",
            "<none>",
            "3d",
            "",
            "<none>",
            "<none>",
            "<unknown>",
            "<unknown>",
            "<unknown>"
        ]),
    );
    assert_eq!(cells("", "v1", "nodes", &json!({}))[1], "Unknown");
}

#[test]
fn events() {
    let old = json!({
        "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "spec.containers{c}"},
        "type": "Warning", "reason": "BackOff", "message": " again \n",
        "source": {"component": "kubelet", "host": "n1"},
        "firstTimestamp": "2026-01-09T23:00:00Z", "lastTimestamp": "2026-01-09T23:59:30Z", "count": 4,
    });
    let row = json!([
        "30s",
        "Warning",
        "BackOff",
        "pod/p",
        "spec.containers{c}",
        "kubelet, n1",
        "again",
        "60m",
        4,
        "x"
    ]);
    check("", "events", old, row.clone());
    let deprecated = json!({
        "regarding": {"kind": "Pod", "name": "p", "fieldPath": "spec.containers{c}"},
        "type": "Warning", "reason": "BackOff", "note": " again \n",
        "deprecatedSource": {"component": "kubelet", "host": "n1"},
        "deprecatedFirstTimestamp": "2026-01-09T23:00:00Z", "deprecatedLastTimestamp": "2026-01-09T23:59:30Z",
        "deprecatedCount": 4,
    });
    check("events.k8s.io", "events", deprecated, row);
    let new = json!({
        "involvedObject": {"kind": "Node"}, "reason": "R", "eventTime": "2026-01-09T23:59:50.000000Z",
        "reportingComponent": "scheduler", "reportingInstance": "i", "firstTimestamp": null, "source": {},
    });
    check(
        "",
        "events",
        new,
        json!([
            "10s",
            "",
            "R",
            "node",
            "",
            "scheduler, i",
            "",
            "10s",
            1,
            "x"
        ]),
    );
    let series = json!({
        "eventTime": "2026-01-09T23:59:50.000000Z",
        "series": {"count": 9, "lastObservedTime": "2026-01-09T23:59:59.500000Z"},
    });
    let row = cells("", "v1", "events", &series);
    assert_eq!((&row[0], &row[8]), (&json!("0s"), &json!(9)));
    assert_eq!(cells("", "v1", "events", &json!({}))[0], "<unknown>");
}

#[test]
fn configuration() {
    check(
        "",
        "namespaces",
        json!({"status": {"phase": "Active"}}),
        json!(["x", "Active", "3d"]),
    );
    check(
        "",
        "configmaps",
        json!({"data": {"a": "1"}, "binaryData": {"b": ""}}),
        json!(["x", 2, "3d"]),
    );
    check(
        "",
        "secrets",
        json!({"type": "Opaque", "data": {"a": ""}}),
        json!(["x", "Opaque", 1, "3d"]),
    );
    check("", "serviceaccounts", json!({}), json!(["x", "3d"]));
    let hard = json!({"requests.cpu": "2", "pods": "10", "limits.cpu": "4", "limits": "1"});
    check(
        "",
        "resourcequotas",
        json!({"status": {"hard": hard, "used": {"pods": "3", "requests.cpu": "500m"}}}),
        json!([
            "x",
            "limits: 0/1, pods: 3/10, requests.cpu: 500m/2",
            "limits.cpu: 0/4",
            "3d"
        ]),
    );
    check(
        "",
        "limitranges",
        json!({}),
        json!(["x", "2026-01-07T00:00:00Z"]),
    );
    let healthy = json!({"conditions": [{"type": "Healthy", "status": "True", "message": "ok"}]});
    check(
        "",
        "componentstatuses",
        healthy,
        json!(["x", "Healthy", "ok", ""]),
    );
    check(
        "coordination.k8s.io",
        "leases",
        json!({"spec": {"holderIdentity": "me"}}),
        json!(["x", "me", "3d"]),
    );
    check(
        "node.k8s.io",
        "runtimeclasses",
        json!({"handler": "runc"}),
        json!(["x", "runc", "3d"]),
    );
    check(
        "scheduling.k8s.io",
        "priorityclasses",
        json!({"value": 100, "globalDefault": true, "preemptionPolicy": "Never"}),
        json!(["x", 100, true, "3d", "Never"]),
    );
    let group = "apiregistration.k8s.io";
    check(
        group,
        "apiservices",
        json!({"spec": {}}),
        json!(["x", "Local", "Unknown", "3d"]),
    );
    let down = json!({"conditions": [{"type": "Available", "status": "False", "reason": "MissingEndpoints"}]});
    check(
        group,
        "apiservices",
        json!({"spec": {"service": {"namespace": "n", "name": "s"}}, "status": down}),
        json!(["x", "n/s", "False (MissingEndpoints)", "3d"]),
    );
}

#[test]
fn signing_requests() {
    let spec = json!({"signerName": "s", "username": "u", "expirationSeconds": 3600});
    let status = json!({"conditions": [{"type": "Approved"}], "certificate": "QQ=="});
    let group = "certificates.k8s.io";
    check(
        group,
        "certificatesigningrequests",
        json!({"spec": spec, "status": status}),
        json!(["x", "3d", "s", "u", "60m", "Approved,Issued"]),
    );
    let failed =
        json!({"conditions": [{"type": "Failed"}, {"type": "Approved"}, {"type": "Denied"}]});
    check(
        group,
        "certificatesigningrequests",
        json!({"status": failed}),
        json!(["x", "3d", "<none>", "", "<none>", "Denied,Failed"]),
    );
}

#[test]
fn devices() {
    const GROUP: &str = "resource.k8s.io";
    for (rest, state) in [
        (json!({}), "pending"),
        (
            json!({"status": {"allocation": {}, "reservedFor": [{}]}}),
            "allocated,reserved",
        ),
        (
            json!({"metadata": {"deletionTimestamp": "2026-01-09T00:00:00Z"}}),
            "deleted",
        ),
    ] {
        check(GROUP, "resourceclaims", rest, json!(["x", state, "3d"]));
    }
    check(GROUP, "deviceclasses", json!({}), json!(["x", "3d"]));
    check(
        GROUP,
        "resourceclaimtemplates",
        json!({}),
        json!(["x", "3d"]),
    );
    let spec = json!({"nodeName": "n", "driver": "d", "pool": {"name": "p"}});
    check(
        GROUP,
        "resourceslices",
        json!({"spec": spec}),
        json!(["x", "n", "d", "p", "3d"]),
    );
}
