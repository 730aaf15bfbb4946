use serde_json::{Value, json};

use super::{cells, check};

fn template() -> Value {
    json!({
        "metadata": {"labels": {"b": "2", "a": "1"}},
        "spec": {"containers": [{"name": "c", "image": "i:1"}, {"name": "d", "image": "j"}]},
    })
}

#[test]
fn workloads() {
    let selector = json!({"matchLabels": {"app": "x"}});
    check(
        "",
        "podtemplates",
        json!({"template": template()}),
        json!(["x", "c,d", "i:1,j", "a=1,b=2"]),
    );
    let replicas = json!({
        "spec": {"replicas": 3, "selector": {"a": "b"}, "template": template()},
        "status": {"replicas": 2, "readyReplicas": 1},
    });
    check(
        "",
        "replicationcontrollers",
        replicas,
        json!(["x", 3, 2, 1, "3d", "c,d", "i:1,j", "a=b"]),
    );
    let mut of = json!({
        "spec": {"replicas": 3, "selector": selector, "template": template()},
        "status": {"replicas": 2, "readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1},
    });
    check(
        "apps",
        "replicasets",
        of.clone(),
        json!(["x", 3, 2, 1, "3d", "c,d", "i:1,j", "app=x"]),
    );
    check(
        "apps",
        "deployments",
        of.clone(),
        json!(["x", "1/3", 2, 1, "3d", "c,d", "i:1,j", "app=x"]),
    );
    check(
        "apps",
        "statefulsets",
        of.clone(),
        json!(["x", "1/3", "3d", "c,d", "i:1,j"]),
    );
    of["spec"]["selector"] = json!({});
    check(
        "apps",
        "replicasets",
        of.clone(),
        json!(["x", 3, 2, 1, "3d", "c,d", "i:1,j", "<none>"]),
    );
    check(
        "apps",
        "deployments",
        of,
        json!(["x", "1/3", 2, 1, "3d", "c,d", "i:1,j", ""]),
    );
    let mut template = template();
    template["spec"]["nodeSelector"] = json!({"disk": "ssd"});
    let daemons = json!({
        "spec": {"selector": {"matchLabels": {"app": "x"}}, "template": template},
        "status": {"desiredNumberScheduled": 5, "currentNumberScheduled": 4, "numberReady": 3,
                   "updatedNumberScheduled": 2, "numberAvailable": 1},
    });
    check(
        "apps",
        "daemonsets",
        daemons,
        json!([
            "x", 5, 4, 3, 2, 1, "disk=ssd", "3d", "c,d", "i:1,j", "app=x"
        ]),
    );
    let owner = json!({"ownerReferences": [
        {"apiVersion": "v1", "kind": "Pod", "name": "no"},
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "ds", "controller": true},
    ]});
    check(
        "apps",
        "controllerrevisions",
        json!({"metadata": owner, "revision": 4}),
        json!(["x", "daemonset.apps/ds", 4, "3d"]),
    );
    check(
        "apps",
        "controllerrevisions",
        json!({"revision": 1}),
        json!(["x", "<none>", 1, "3d"]),
    );
    for (spec, least, most) in [
        (json!({"minAvailable": "50%"}), "50%", "N/A"),
        (json!({"maxUnavailable": 1}), "N/A", "1"),
    ] {
        let budget = json!({"spec": spec, "status": {"disruptionsAllowed": 2}});
        check(
            "policy",
            "poddisruptionbudgets",
            budget,
            json!(["x", least, most, 2, "3d"]),
        );
    }
}

#[test]
fn jobs() {
    let row = |spec: Value, status: Value, metadata: Value| {
        let row = cells(
            "batch",
            "v1",
            "jobs",
            &json!({"spec": spec, "status": status, "metadata": metadata}),
        );
        [row[1].clone(), row[2].clone(), row[3].clone()]
            .map(|cell| cell.as_str().unwrap().to_owned())
    };
    let none = json!({});
    let deleted = json!({"deletionTimestamp": "2026-01-09T00:00:00Z"});
    let condition = |kind: &str| json!({"conditions": [{"type": kind, "status": "True"}]});
    assert_eq!(
        row(json!({"completions": 3}), none.clone(), none.clone()),
        ["Running", "0/3", ""]
    );
    assert_eq!(
        row(json!({"parallelism": 4}), none.clone(), deleted.clone()),
        ["Terminating", "0/1 of 4", ""]
    );
    assert_eq!(
        row(none.clone(), condition("Complete"), deleted),
        ["Complete", "0/1", ""]
    );
    for kind in ["Failed", "Suspended", "FailureTarget", "SuccessCriteriaMet"] {
        let status = condition(kind);
        let kind = if kind == "Suspended" {
            "Suspended"
        } else {
            kind
        };
        assert_eq!(row(none.clone(), status, none.clone())[0], kind);
    }
    let started = json!({"startTime": "2026-01-09T23:59:00Z", "succeeded": 1});
    assert_eq!(
        row(none.clone(), started, none.clone()),
        ["Running", "1/1", "60s"]
    );
    let done =
        json!({"startTime": "2026-01-09T23:59:00Z", "completionTime": "2026-01-09T23:59:05Z"});
    assert_eq!(row(none.clone(), done, none)[2], "5s");
}

#[test]
fn cron_jobs() {
    let spec = json!({
        "schedule": "* * * * *", "suspend": false, "timeZone": "Etc/UTC",
        "jobTemplate": {"spec": {"template": template()}},
    });
    let status = json!({"active": [{}, {}], "lastScheduleTime": "2026-01-09T23:58:00Z"});
    check(
        "batch",
        "cronjobs",
        json!({"spec": spec, "status": status}),
        json!([
            "x",
            "* * * * *",
            "Etc/UTC",
            "False",
            2,
            "2m",
            "3d",
            "c,d",
            "i:1,j",
            "<none>"
        ]),
    );
    check(
        "batch",
        "cronjobs",
        json!({"spec": {"schedule": "@daily"}}),
        json!([
            "x", "@daily", "<none>", "<unset>", 0, "<none>", "3d", "", "", "<none>"
        ]),
    );
}
