//! How objects end, and the subresources of those that run.

use super::api::version;
use super::*;

pub fn cases() -> Vec<NamedCase> {
    cases![
        a_finalizer_keeps_an_object_until_it_is_removed,
        a_pod_on_a_node_is_deleted_in_its_time,
        a_collection_is_deleted_by_selection,
        a_delete_can_ask_what_it_deletes,
        a_deployment_is_scaled,
        a_pod_is_bound_once,
        an_eviction_minds_the_budget,
        a_namespace_that_ends_takes_nothing_new,
    ]
}

async fn a_finalizer_keeps_an_object_until_it_is_removed(_: Case) {
    let api = space("finalizer").await;
    let mut map = config_map("a", "1");
    map["metadata"]["finalizers"] = json!(["ex.com/f"]);
    api.post("configmaps", &map).await.value(201);
    let marked = api.delete("configmaps/a").await.value(200);
    assert_eq!(marked["kind"], "ConfigMap");
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 0);
    let more = json!({"metadata": {"finalizers": ["ex.com/f", "ex.com/g"]}});
    let message = "Forbidden: no new finalizers can be added if the object is being deleted, \
                   found new finalizers []string{\"ex.com/g\"}";
    let cause = json!({"reason": "FieldValueForbidden", "message": message,
        "field": "metadata.finalizers"});
    // Two steps of the release find it, and each says so.
    let causes = json!([cause.clone(), cause]);
    api.patch("merge", "configmaps/a", &more).await.refused(
        422,
        "Invalid",
        &format!("ConfigMap \"a\" is invalid: metadata.finalizers: {message}"),
        json!({"name": "a", "kind": "ConfigMap", "causes": causes}),
    );
    let none = json!({"metadata": {"finalizers": null}});
    api.patch("merge", "configmaps/a", &none).await.value(200);
    assert_eq!(api.get("configmaps/a").await.status, 404);
}

/// A pod that is bound to a node.
async fn bound_pod(api: &Api, name: &str) -> Value {
    api.post("pods", &pod(name)).await.value(201);
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
        "target": {"kind": "Node", "name": "node-1"}});
    api.post(&format!("pods/{name}/binding"), &binding)
        .await
        .value(201);
    api.get(&format!("pods/{name}")).await.value(200)
}

async fn service_account(api: &Api) {
    let account =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
    api.post("serviceaccounts", &account).await;
}

async fn a_pod_on_a_node_is_deleted_in_its_time(_: Case) {
    let api = space("grace").await;
    service_account(&api).await;
    bound_pod(&api, "p").await;
    let marked = api.delete("pods/p").await.value(200);
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 30);
    assert!(api.get("pods/p").await.value(200)["metadata"]["deletionTimestamp"].is_string());
    let shorter = json!({"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 5});
    let marked = api.delete_with("pods/p", &shorter).await.value(200);
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 5);
    api.delete("pods/p?gracePeriodSeconds=0").await.value(200);
    assert_eq!(api.get("pods/p").await.status, 404);
    // Nobody runs one that has no node.
    api.post("pods", &pod("q")).await.value(201);
    api.delete("pods/q").await.value(200);
    assert_eq!(api.get("pods/q").await.status, 404);
}

async fn a_collection_is_deleted_by_selection(_: Case) {
    let api = space("collection").await;
    for (name, label) in [("a", "x"), ("b", "y"), ("c", "x")] {
        let mut map = config_map(name, "1");
        map["metadata"]["labels"] = json!({"l": label});
        api.post("configmaps", &map).await.ok();
    }
    let gone = api
        .delete("configmaps?labelSelector=l%3Dx")
        .await
        .value(200);
    assert_eq!(gone["kind"], "ConfigMapList");
    assert_eq!(names(&gone), ["a", "c"]);
    assert_eq!(names(&api.get("configmaps").await.ok()), ["b"]);
    api.delete("configmaps").await.value(200);
    assert!(names(&api.get("configmaps").await.ok()).is_empty());
}

async fn a_delete_can_ask_what_it_deletes(_: Case) {
    let api = space("precondition").await;
    let made = api.post("configmaps", &config_map("a", "1")).await.ok();
    let uid = made["metadata"]["uid"].as_str().unwrap();
    let asking =
        |what: Value| json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": what});
    let message = format!(
        "Operation cannot be fulfilled on ConfigMap \"a\": the UID in the precondition (abc) does not \
         match the UID in record ({uid}). The object might have been deleted and then recreated"
    );
    let details = json!({"name": "a", "kind": "ConfigMap"});
    let reply = api
        .delete_with("configmaps/a", &asking(json!({"uid": "abc"})))
        .await;
    reply.refused(409, "Conflict", &message, details);
    let old = asking(json!({"resourceVersion": "1"}));
    assert_eq!(api.delete_with("configmaps/a", &old).await.status, 409);
    let right = asking(json!({"uid": uid, "resourceVersion": version(&made)}));
    api.delete_with("configmaps/a", &right).await.value(200);
}

async fn a_deployment_is_scaled(_: Case) {
    let api = space("scale").await;
    let made = api
        .post("apps/v1/deployments", &deployment("web"))
        .await
        .ok();
    let path = "apps/v1/deployments/web/scale";
    let scale = api.get(path).await.value(200);
    assert_eq!(
        (&scale["kind"], &scale["apiVersion"]),
        (&json!("Scale"), &json!("autoscaling/v1"))
    );
    assert_eq!(version(&scale), version(&made));
    assert_eq!(
        (&scale["spec"]["replicas"], &scale["status"]["selector"]),
        (&json!(1), &json!("app=web"))
    );
    let three = json!({"spec": {"replicas": 3}});
    let scaled = api.patch("merge", path, &three).await.value(200);
    assert_eq!(scaled["spec"]["replicas"], 3);
    let now = api.get("apps/v1/deployments/web").await.ok();
    assert_eq!(
        (&now["spec"]["replicas"], &now["metadata"]["generation"]),
        (&json!(3), &json!(2))
    );
    let mut zero = scaled;
    zero["spec"]["replicas"] = json!(0);
    api.put(path, &zero).await.value(200);
    assert_eq!(
        api.get("apps/v1/deployments/web").await.ok()["spec"]["replicas"],
        0
    );
}

async fn a_pod_is_bound_once(_: Case) {
    let api = space("bind").await;
    service_account(&api).await;
    let bound = bound_pod(&api, "p").await;
    assert_eq!(bound["spec"]["nodeName"], "node-1");
    let condition = &bound["status"]["conditions"][0];
    assert_eq!(
        (&condition["type"], &condition["status"]),
        (&json!("PodScheduled"), &json!("True"))
    );
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"},
        "target": {"kind": "Node", "name": "node-2"}});
    api.post("pods/p/binding", &binding).await.refused(
        409,
        "Conflict",
        "Operation cannot be fulfilled on pods/binding \"p\": pod p is already assigned to node \"node-1\"",
        json!({"name": "p", "kind": "pods/binding"}),
    );
    let list = api
        .get("pods?fieldSelector=spec.nodeName%3Dnode-1")
        .await
        .ok();
    assert_eq!(names(&list), ["p"]);
}

async fn an_eviction_minds_the_budget(_: Case) {
    let api = space("evict").await;
    service_account(&api).await;
    for name in ["p", "q"] {
        bound_pod(&api, name).await;
        let ready = json!({"status": {"phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}]}});
        let path = format!("pods/{name}/status");
        api.patch("strategic-merge", &path, &ready).await.value(200);
    }
    let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": "pdb"}, "spec": {"minAvailable": 5, "selector": {"matchLabels": {"app": "p"}}}});
    api.post("policy/v1/poddisruptionbudgets", &budget)
        .await
        .value(201);
    let status = |allowed: i64| {
        json!({"status": {"observedGeneration": 1, "disruptionsAllowed": allowed,
            "currentHealthy": 1, "desiredHealthy": 5, "expectedPods": 1}})
    };
    let path = "policy/v1/poddisruptionbudgets/pdb/status";
    api.patch("merge", path, &status(0)).await.value(200);
    let eviction = |name: &str| json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}});
    let cause = "The disruption budget pdb needs 5 healthy pods and has 1 currently";
    api.post("pods/p/eviction", &eviction("p")).await.refused(
        429,
        "TooManyRequests",
        "Cannot evict pod as it would violate the pod's disruption budget.",
        json!({"causes": [{"reason": "DisruptionBudget", "message": cause}]}),
    );
    // No budget has this one.
    let evicted = api.post("pods/q/eviction", &eviction("q")).await.value(201);
    assert_eq!(evicted["status"], "Success");
    assert!(api.get("pods/q").await.value(200)["metadata"]["deletionTimestamp"].is_string());

    api.patch("merge", path, &status(1)).await.value(200);
    api.post("pods/p/eviction", &eviction("p")).await.value(201);
    let budget = api.get("policy/v1/poddisruptionbudgets/pdb").await.ok();
    assert_eq!(budget["status"]["disruptionsAllowed"], 0);
    assert!(budget["status"]["disruptedPods"]["p"].is_string());
}

async fn a_namespace_that_ends_takes_nothing_new(_: Case) {
    let api = space("ending").await;
    let space = api.space();
    let path = format!("/api/v1/namespaces/{space}");
    let ending = api.delete(&path).await.value(200);
    assert_eq!(ending["status"]["phase"], "Terminating");
    let causes = json!([{"reason": "NamespaceTerminating",
        "message": format!("namespace {space} is being terminated"), "field": "metadata.namespace"}]);
    let message = format!(
        "configmaps \"a\" is forbidden: unable to create new content in namespace {space} because it is \
         being terminated"
    );
    let details = json!({"name": "a", "kind": "configmaps", "causes": causes});
    let reply = api.post("configmaps", &config_map("a", "1")).await;
    reply.refused(403, "Forbidden", &message, details);
    let mut emptied = ending;
    emptied["spec"]["finalizers"] = json!([]);
    api.put(&format!("{path}/finalize"), &emptied)
        .await
        .value(200);
    assert_eq!(api.get(&path).await.status, 404);
    api.delete("/api/v1/namespaces/default").await.refused(
        403,
        "Forbidden",
        r#"namespaces "default" is forbidden: this namespace may not be deleted"#,
        json!({"name": "default", "kind": "namespaces"}),
    );
}
