use serde_json::json;

use super::check;

#[test]
fn volumes() {
    let spec = json!({
        "capacity": {"storage": "5Gi"}, "accessModes": ["ReadWriteMany", "ReadWriteOnce", "ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain", "claimRef": {"namespace": "n", "name": "c"},
        "storageClassName": "slow", "volumeMode": "Block", "volumeAttributesClassName": "gold",
    });
    check(
        "",
        "persistentvolumes",
        json!({"spec": spec, "status": {"phase": "Bound", "reason": "r"}}),
        json!([
            "x", "5Gi", "RWO,RWX", "Retain", "Bound", "n/c", "slow", "gold", "r", "3d", "Block"
        ]),
    );
    let beta = json!({
        "annotations": {"volume.beta.kubernetes.io/storage-class": "old"},
        "deletionTimestamp": "2026-01-09T00:00:00Z",
    });
    check(
        "",
        "persistentvolumes",
        json!({"metadata": beta, "spec": {}}),
        json!([
            "x",
            "0",
            "",
            "",
            "Terminating",
            "",
            "old",
            "<unset>",
            "",
            "3d",
            "<unset>"
        ]),
    );
    let pending = json!({"accessModes": ["ReadWriteOnce"], "storageClassName": "fast"});
    check(
        "",
        "persistentvolumeclaims",
        json!({"spec": pending, "status": {"phase": "Pending"}}),
        json!([
            "x", "Pending", "", "", "", "fast", "<unset>", "3d", "<unset>"
        ]),
    );
    let status = json!({"phase": "Bound", "accessModes": ["ReadWriteOncePod"], "capacity": {"storage": "1Gi"}});
    check(
        "",
        "persistentvolumeclaims",
        json!({"spec": {"volumeName": "pv", "volumeMode": "Filesystem"}, "status": status}),
        json!([
            "x",
            "Bound",
            "pv",
            "1Gi",
            "RWOP",
            "",
            "<unset>",
            "3d",
            "Filesystem"
        ]),
    );
}

#[test]
fn storage() {
    const GROUP: &str = "storage.k8s.io";
    let default = json!({"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}});
    check(
        GROUP,
        "storageclasses",
        json!({"metadata": default, "provisioner": "p", "allowVolumeExpansion": true}),
        json!(["x (default)", "p", "Delete", "Immediate", true, "3d"]),
    );
    check(
        GROUP,
        "volumeattributesclasses",
        json!({"driverName": "d"}),
        json!(["x", "d", "3d"]),
    );
    let attachment = json!({
        "spec": {"attacher": "a", "nodeName": "n", "source": {"persistentVolumeName": "pv"}},
        "status": {"attached": true},
    });
    check(
        GROUP,
        "volumeattachments",
        attachment,
        json!(["x", "a", "pv", "n", true, "3d"]),
    );
    check(
        GROUP,
        "csinodes",
        json!({"spec": {"drivers": [{}, {}]}}),
        json!(["x", 2, "3d"]),
    );
    check(
        GROUP,
        "csidrivers",
        json!({"spec": {}}),
        json!(["x", true, false, false, "<unset>", false, "<none>", "3d"]),
    );
    let driver = json!({
        "attachRequired": false, "storageCapacity": true, "tokenRequests": [{"audience": "a"}, {"audience": "b"}],
        "volumeLifecycleModes": ["Persistent", "Ephemeral"],
    });
    check(
        GROUP,
        "csidrivers",
        json!({"spec": driver}),
        json!([
            "x",
            false,
            false,
            true,
            "a,b",
            false,
            "Persistent,Ephemeral",
            "3d"
        ]),
    );
    check(
        GROUP,
        "csistoragecapacities",
        json!({}),
        json!(["x", "2026-01-07T00:00:00Z"]),
    );
}
