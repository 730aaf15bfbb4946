use serde_json::{Value, json};

use super::cells;

#[test]
fn autoscalers() {
    let targets = |version: &str, spec: Value, status: Value| {
        let mut of = json!({"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "d"}, "maxReplicas": 9}});
        for (key, value) in spec.as_object().unwrap() {
            of["spec"][key] = value.clone();
        }
        of["status"] = status;
        let row = cells("autoscaling", version, "horizontalpodautoscalers", &of);
        assert_eq!(row[1], "Deployment/d");
        row[2].as_str().unwrap().to_owned()
    };
    assert_eq!(targets("v2", json!({}), json!({})), "<none>");
    assert_eq!(
        targets(
            "v1",
            json!({"targetCPUUtilizationPercentage": 80}),
            json!({})
        ),
        "cpu: <unknown>/80%"
    );
    assert_eq!(
        targets(
            "v1",
            json!({"targetCPUUtilizationPercentage": 80}),
            json!({"currentCPUUtilizationPercentage": 7})
        ),
        "cpu: 7%/80%"
    );
    let resource = |target: Value| json!({"type": "Resource", "resource": {"name": "memory", "target": target}});
    let metrics = json!({"metrics": [
        resource(json!({"averageUtilization": 80})),
        resource(json!({"averageValue": "100Mi"})),
        resource(json!({})),
        {"type": "New"},
    ]});
    let current = json!({"currentMetrics": [
        {"type": "Resource", "resource": {"name": "memory", "current": {"averageUtilization": 12}}},
        {"type": "Resource", "resource": {"name": "memory", "current": {"averageValue": "7"}}},
    ]});
    assert_eq!(
        targets("v2", metrics, current),
        "memory: 12%/80%, memory: 7/100Mi + 2 more..."
    );
    let others = json!({"metrics": [
        {"type": "Pods", "pods": {"target": {"averageValue": "1k"}}},
        {"type": "External", "external": {"target": {"averageValue": "3"}}},
    ]});
    let current = json!({"currentMetrics": [{"type": "Pods", "pods": {"current": {"averageValue": "500m"}}}]});
    assert_eq!(targets("v2", others, current), "500m/1k, <unknown>/3 (avg)");
    let object = json!({"metrics": [
        {"type": "Object", "object": {"target": {"value": "10"}}},
        {"type": "ContainerResource", "containerResource": {"name": "cpu", "target": {"averageUtilization": 5}}},
    ]});
    let current =
        json!({"currentMetrics": [{"type": "Object", "object": {"current": {"value": "4"}}}]});
    assert_eq!(targets("v2", object, current), "4/10, cpu: <unknown>/5%");
    let row = cells(
        "autoscaling",
        "v2",
        "horizontalpodautoscalers",
        &json!({
            "spec": {"scaleTargetRef": {"kind": "A", "name": "b"}, "minReplicas": 2, "maxReplicas": 5},
            "status": {"currentReplicas": 3},
        }),
    );
    assert_eq!(
        Value::from(row),
        json!(["x", "A/b", "<none>", "2", 5, 3, "3d"])
    );
}
