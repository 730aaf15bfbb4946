use serde_json::{Value, json};

use super::cells;

/// READY, STATUS and RESTARTS of a pod.
fn said(pod: &Value) -> [String; 3] {
    let row = cells("", "v1", "pods", pod);
    [&row[1], &row[2], &row[3]].map(|cell| cell.as_str().unwrap().to_owned())
}

fn waiting(reason: &str) -> Value {
    json!({"waiting": {"reason": reason}})
}

fn ended(code: i32) -> Value {
    json!({"terminated": {"exitCode": code, "reason": if code == 0 { "Completed" } else { "Error" }}})
}

/// A pod with these container statuses.
fn pod(phase: &str, statuses: &Value) -> Value {
    let containers: Vec<_> = statuses
        .as_array()
        .unwrap()
        .iter()
        .map(|_| json!({"name": "c"}))
        .collect();
    json!({"spec": {"containers": containers}, "status": {"phase": phase, "containerStatuses": statuses}})
}

#[test]
fn a_running_pod() {
    let status = json!({"ready": true, "restartCount": 0, "state": {"running": {}}});
    let mut of = pod(
        "Running",
        &json!([status, {"ready": false, "state": {"running": {}}}]),
    );
    of["spec"]["nodeName"] = "n1".into();
    of["status"]["podIPs"] = json!([{"ip": "10.1.1.1"}]);
    of["spec"]["readinessGates"] = json!([{"conditionType": "a"}, {"conditionType": "b"}]);
    of["status"]["conditions"] =
        json!([{"type": "a", "status": "True"}, {"type": "b", "status": "False"}]);
    assert_eq!(
        Value::from(cells("", "v1", "pods", &of)),
        json!([
            "x", "1/2", "Running", "0", "3d", "10.1.1.1", "n1", "<none>", "1/2"
        ])
    );
}

#[test]
fn an_empty_pod_as_in_a_bookmark() {
    let of = json!({"metadata": {"name": "", "creationTimestamp": null, "resourceVersion": "7"}});
    assert_eq!(
        Value::from(cells("", "v1", "pods", &of)),
        json!([
            "",
            "0/0",
            "",
            "0",
            "<unknown>",
            "<none>",
            "<none>",
            "<none>",
            "<none>"
        ])
    );
}

#[test]
fn restarts_tell_when_the_last_one_was() {
    let last = |time: &str| json!({"terminated": {"finishedAt": time}});
    let of = pod(
        "Running",
        &json!([
            {"restartCount": 2, "lastState": last("2026-01-09T23:57:00Z"), "state": waiting("CrashLoopBackOff")},
            {"restartCount": 1, "lastState": last("2026-01-09T23:58:00Z"), "state": {"running": {}}, "ready": true},
        ]),
    );
    assert_eq!(said(&of), ["1/2", "CrashLoopBackOff", "3 (2m ago)"]);
    let of = pod(
        "Running",
        &json!([{"restartCount": 2, "state": {"running": {}}}]),
    );
    assert_eq!(said(&of), ["0/1", "Running", "2"]);
}

#[test]
fn reasons_of_containers_go_before_the_phase() {
    for (phase, state, status) in [
        ("Pending", waiting("ContainerCreating"), "ContainerCreating"),
        ("Pending", waiting(""), "Pending"),
        ("Succeeded", ended(0), "Completed"),
        ("Failed", ended(1), "Error"),
        (
            "Failed",
            json!({"terminated": {"exitCode": 3}}),
            "ExitCode:3",
        ),
        (
            "Failed",
            json!({"terminated": {"exitCode": 137, "signal": 9}}),
            "Signal:9",
        ),
    ] {
        assert_eq!(said(&pod(phase, &json!([{"state": state}])))[1], status);
    }
    let mut evicted = pod("Failed", &json!([]));
    evicted["status"]["reason"] = "Evicted".into();
    assert_eq!(said(&evicted)[1], "Evicted");
    let mut gated = pod("Pending", &json!([]));
    gated["status"]["conditions"] = json!([{"type": "PodScheduled", "reason": "SchedulingGated"}]);
    assert_eq!(said(&gated)[1], "SchedulingGated");
}

#[test]
fn a_pod_with_some_containers_done() {
    let running = json!({"ready": true, "state": {"running": {}}});
    let mut of = pod("Running", &json!([{"state": ended(0)}, running]));
    assert_eq!(said(&of)[1], "NotReady");
    of["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
    assert_eq!(said(&of), ["1/2", "Running", "0"]);
    let failed = pod(
        "Running",
        &json!([{"state": ended(0)}, {"state": ended(1)}]),
    );
    assert_eq!(said(&failed)[1], "Error");
}

#[test]
fn init_containers_are_counted_until_they_are_done() {
    let mut of = pod("Pending", &json!([{"state": waiting("PodInitializing")}]));
    of["spec"]["initContainers"] = json!([{"name": "a"}, {"name": "b"}]);
    for (statuses, status) in [
        (
            json!([{"name": "a", "state": {"running": {}}}, {"name": "b"}]),
            "Init:0/2",
        ),
        (
            json!([{"name": "a", "state": ended(0)}, {"name": "b", "state": waiting("PodInitializing")}]),
            "Init:1/2",
        ),
        (
            json!([{"name": "a", "state": waiting("ImagePullBackOff")}]),
            "Init:ImagePullBackOff",
        ),
        (json!([{"name": "a", "state": ended(1)}]), "Init:Error"),
        (
            json!([{"name": "a", "state": {"terminated": {"exitCode": 2}}}]),
            "Init:ExitCode:2",
        ),
        (
            json!([{"name": "a", "state": {"terminated": {"exitCode": 2, "signal": 6}}}]),
            "Init:Signal:6",
        ),
        (
            json!([{"name": "a", "state": ended(0)}, {"name": "b", "state": ended(0)}]),
            "PodInitializing",
        ),
    ] {
        of["status"]["initContainerStatuses"] = statuses;
        assert_eq!(said(&of)[1], status);
    }
    of["status"]["initContainerStatuses"] =
        json!([{"name": "a", "restartCount": 4, "state": {"running": {}}}]);
    assert_eq!(said(&of), ["0/1", "Init:0/2", "4"]);
    of["status"]["conditions"] = json!([{"type": "Initialized", "status": "True"}]);
    assert_eq!(said(&of), ["0/1", "PodInitializing", "0"]);
}

#[test]
fn sidecars_count_as_containers() {
    let mut of = pod(
        "Running",
        &json!([{"ready": true, "restartCount": 1, "state": {"running": {}}}]),
    );
    of["spec"]["initContainers"] = json!([{"name": "s", "restartPolicy": "Always"}, {"name": "i"}]);
    of["status"]["initContainerStatuses"] = json!([
        {"name": "s", "ready": true, "started": true, "restartCount": 2, "state": {"running": {}},
         "lastState": {"terminated": {"finishedAt": "2026-01-09T23:00:00Z"}}},
        {"name": "i", "restartCount": 5, "state": ended(0)},
    ]);
    assert_eq!(said(&of), ["2/2", "Running", "3 (60m ago)"]);
    of["status"]["initContainerStatuses"][0]["started"] = false.into();
    assert_eq!(said(&of), ["0/2", "Init:0/2", "2 (60m ago)"]);
}

#[test]
fn a_pod_that_is_being_deleted() {
    let mut of = pod("Running", &json!([]));
    of["metadata"] = json!({"deletionTimestamp": "2026-01-09T23:59:00Z"});
    assert_eq!(said(&of)[1], "Terminating");
    of["status"]["reason"] = "NodeLost".into();
    assert_eq!(said(&of)[1], "Unknown");
    of["status"] = json!({"phase": "Succeeded"});
    assert_eq!(said(&of)[1], "Succeeded");
}
