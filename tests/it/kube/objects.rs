//! Create, read, update, delete, and what is refused.

use bytes::Bytes;
use http::Method;

use super::api::version;
use super::*;

pub fn cases() -> Vec<NamedCase> {
    cases![
        an_object_is_created_read_updated_and_deleted,
        a_deployment_comes_back_with_its_defaults,
        an_object_of_the_cluster_has_no_namespace,
        a_generated_name_has_five_letters_more,
        a_name_is_taken_once,
        what_is_not_there_is_not_found,
        an_update_of_an_old_version_conflicts,
        body_and_url_must_agree,
        an_object_that_is_invalid_is_refused_by_field,
        unknown_paths_are_told_apart,
        what_a_resource_does_not_do_is_not_allowed,
        a_body_too_large_is_refused,
        media_types_are_negotiated,
    ]
}

async fn an_object_is_created_read_updated_and_deleted(_: Case) {
    let api = space("crud").await;
    let made = api
        .post("configmaps", &config_map("a", "1"))
        .await
        .value(201);
    assert_eq!(
        (&made["kind"], &made["data"]["k"]),
        (&json!("ConfigMap"), &json!("1"))
    );
    assert_eq!(made["metadata"]["namespace"], api.space());
    let read = api.get("configmaps/a").await.value(200);
    assert_eq!(read, made);

    let mut changed = read.clone();
    changed["data"]["k"] = json!("2");
    let updated = api.put("configmaps/a", &changed).await.value(200);
    assert_eq!(updated["data"]["k"], "2");
    assert_eq!(updated["metadata"]["uid"], made["metadata"]["uid"]);
    let later = |text: &str| text.parse::<u64>().unwrap();
    assert!(later(version(&updated)) > later(version(&made)));

    let list = api.get("configmaps").await.value(200);
    assert_eq!(
        (&list["kind"], &list["apiVersion"]),
        (&json!("ConfigMapList"), &json!("v1"))
    );
    assert_eq!(names(&list), ["a"]);
    assert!(list["items"][0].get("kind").is_none());

    let deleted = api.delete("configmaps/a").await.value(200);
    let uid = made["metadata"]["uid"].clone();
    let success = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {"name": "a", "kind": "configmaps", "uid": uid}});
    assert_eq!(deleted, success);
    assert_eq!(api.get("configmaps/a").await.status, 404);
}

async fn a_deployment_comes_back_with_its_defaults(_: Case) {
    let api = space("defaults").await;
    let made = api
        .post("apps/v1/deployments", &deployment("web"))
        .await
        .value(201);
    let spec = &made["spec"];
    assert_eq!(spec["revisionHistoryLimit"], 10);
    assert_eq!(spec["progressDeadlineSeconds"], 600);
    let rolling = json!({"type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}});
    assert_eq!(spec["strategy"], rolling);
    assert_eq!(spec["template"]["spec"]["restartPolicy"], "Always");
    assert_eq!(made["metadata"]["generation"], 1);

    let mut changed = made.clone();
    changed["spec"]["replicas"] = json!(2);
    changed["status"]["replicas"] = json!(7);
    let changed = api
        .put("apps/v1/deployments/web", &changed)
        .await
        .value(200);
    assert_eq!(changed["metadata"]["generation"], 2);
    assert_eq!(
        changed["status"],
        json!({}),
        "the status has its own subresource"
    );
    let mut counted = changed.clone();
    counted["status"]["replicas"] = json!(2);
    counted["spec"]["replicas"] = json!(9);
    let counted = api
        .put("apps/v1/deployments/web/status", &counted)
        .await
        .value(200);
    assert_eq!(counted["status"]["replicas"], 2);
    assert_eq!(counted["spec"]["replicas"], 2);
    assert_eq!(counted["metadata"]["generation"], 2);
    api.delete("apps/v1/deployments/web").await.value(200);
}

async fn an_object_of_the_cluster_has_no_namespace(_: Case) {
    let api = space("cluster").await;
    let name = format!("role-{}", api.space());
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": name}, "rules": []});
    let roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    let made = api.post(roles, &role).await.value(201);
    assert!(made["metadata"].get("namespace").is_none());
    assert!(names(&api.get(roles).await.ok()).contains(&name));
    let path = format!("{roles}/{name}");
    api.delete(&path).await.value(200);
    let details =
        json!({"name": name, "group": "rbac.authorization.k8s.io", "kind": "clusterroles"});
    let message = format!("clusterroles.rbac.authorization.k8s.io \"{name}\" not found");
    api.get(&path)
        .await
        .refused(404, "NotFound", &message, details);
}

async fn a_generated_name_has_five_letters_more(_: Case) {
    let api = space("generate").await;
    let mut map = config_map("x", "1");
    map["metadata"] = json!({"generateName": "gen-"});
    let made = api.post("configmaps", &map).await.value(201);
    let name = made["metadata"]["name"].as_str().unwrap();
    let random = name.strip_prefix("gen-").unwrap();
    assert_eq!(random.len(), 5);
    assert!(
        random
            .chars()
            .all(|c| "bcdfghjklmnpqrstvwxz2456789".contains(c)),
        "{name}"
    );
    map["metadata"] = json!({});
    let causes = json!([{"reason": "FieldValueRequired", "field": "metadata.name",
        "message": "Required value: name or generateName is required"}]);
    api.post("configmaps", &map).await.refused(
        422,
        "Invalid",
        r#"ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required"#,
        json!({"kind": "ConfigMap", "causes": causes}),
    );
}

async fn a_name_is_taken_once(_: Case) {
    let api = space("taken").await;
    api.post("configmaps", &config_map("a", "1")).await.ok();
    api.post("configmaps", &config_map("a", "2")).await.refused(
        409,
        "AlreadyExists",
        r#"configmaps "a" already exists"#,
        json!({"name": "a", "kind": "configmaps"}),
    );
    assert_eq!(api.get("configmaps/a").await.ok()["data"]["k"], "1");
}

async fn what_is_not_there_is_not_found(_: Case) {
    let api = space("missing").await;
    let details = json!({"name": "nope", "kind": "configmaps"});
    let message = r#"configmaps "nope" not found"#;
    for reply in [
        api.get("configmaps/nope").await,
        api.delete("configmaps/nope").await,
        api.patch("merge", "configmaps/nope", &json!({"data": {}}))
            .await,
        api.put("configmaps/nope", &config_map("nope", "1")).await,
    ] {
        reply.refused(404, "NotFound", message, details.clone());
    }
    api.get("apps/v1/deployments/nope").await.refused(
        404,
        "NotFound",
        r#"deployments.apps "nope" not found"#,
        json!({"name": "nope", "group": "apps", "kind": "deployments"}),
    );
    api.post("/api/v1/namespaces/nope/configmaps", &config_map("a", "1"))
        .await
        .refused(
            404,
            "NotFound",
            r#"namespaces "nope" not found"#,
            json!({"name": "nope", "kind": "namespaces"}),
        );
}

async fn an_update_of_an_old_version_conflicts(_: Case) {
    let api = space("stale").await;
    let old = api.post("configmaps", &config_map("a", "1")).await.ok();
    let mut new = old.clone();
    new["data"]["k"] = json!("2");
    api.put("configmaps/a", &new).await.ok();
    new["data"]["k"] = json!("3");
    api.put("configmaps/a", &new).await.refused(
        409,
        "Conflict",
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; \
         please apply your changes to the latest version and try again",
        json!({"name": "a", "kind": "configmaps"}),
    );
    let unconditional = api.put("configmaps/a", &config_map("a", "4")).await;
    assert_eq!(unconditional.value(200)["data"]["k"], "4");
}

async fn body_and_url_must_agree(_: Case) {
    let api = space("agree").await;
    api.post("configmaps", &config_map("a", "1")).await.ok();
    api.put("configmaps/a", &config_map("zz", "1"))
        .await
        .refused(
            400,
            "BadRequest",
            "the name of the object (zz) does not match the name on the URL (a)",
            Value::Null,
        );
    let mut elsewhere = config_map("b", "1");
    elsewhere["metadata"]["namespace"] = json!("default");
    api.post("configmaps", &elsewhere).await.refused(
        400,
        "BadRequest",
        "the namespace of the provided object does not match the namespace sent on the request",
        Value::Null,
    );
}

async fn an_object_that_is_invalid_is_refused_by_field(_: Case) {
    let api = space("invalid").await;
    let mut wrong = deployment("web");
    wrong["spec"]["replicas"] = json!(-1);
    let message = "Invalid value: -1: must be greater than or equal to 0";
    let causes =
        json!([{"reason": "FieldValueInvalid", "message": message, "field": "spec.replicas"}]);
    api.post("apps/v1/deployments", &wrong).await.refused(
        422,
        "Invalid",
        &format!("Deployment.apps \"web\" is invalid: spec.replicas: {message}"),
        json!({"name": "web", "group": "apps", "kind": "Deployment", "causes": causes}),
    );
}

async fn unknown_paths_are_told_apart(_: Case) {
    let api = space("paths").await;
    for path in ["/apis/nope/v1/x", "/nope"] {
        let reply = api.get(path).await;
        assert_eq!(
            (reply.status, reply.text()),
            (404, "404 page not found\n"),
            "{path}"
        );
        assert!(reply.header("content-type").starts_with("text/plain"));
    }
    // The group is there, in other versions.
    for path in ["/api/v2/pods", "/apis/apps/v2"] {
        let message = "the server could not find the requested resource";
        let reply = api.get(path).await;
        reply.refused(404, "NotFound", message, json!({}));
    }
    api.post("configmaps", &config_map("a", "1")).await.ok();
    for path in [
        "/api/v1/nope",
        "nope",
        "configmaps/a/nope",
        "/apis/apps/v1/nope",
    ] {
        let message = "the server could not find the requested resource";
        api.get(path)
            .await
            .refused(404, "NotFound", message, json!({}));
    }
}

async fn what_a_resource_does_not_do_is_not_allowed(_: Case) {
    let api = space("methods").await;
    api.post("configmaps", &config_map("a", "1")).await.ok();
    let body = config_map("a", "2");
    for (method, path) in [
        (Method::PUT, "configmaps"),
        (Method::PATCH, "configmaps"),
        (Method::POST, "configmaps/a"),
        (Method::POST, "/api/v1/configmaps"),
        (Method::DELETE, "/api/v1/namespaces"),
    ] {
        let message = "the server does not allow this method on the requested resource";
        let reply = api.json(method, path, &body).await;
        reply.refused(405, "MethodNotAllowed", message, json!({}));
    }
}

async fn a_body_too_large_is_refused(_: Case) {
    let api = space("large").await;
    let large = config_map("a", &"x".repeat(3 << 20));
    let reply = api.post("configmaps", &large).await;
    assert_eq!(reply.status, 413);
    let message = "Request entity too large: limit is 3145728";
    reply.refused(413, "RequestEntityTooLarge", message, Value::Null);
}

async fn media_types_are_negotiated(_: Case) {
    let api = space("media").await;
    let body = Bytes::from(config_map("a", "1").to_string());
    let text = api.with("content-type", "text/plain");
    text.call(Method::POST, "configmaps", body).await.refused(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: \
         application/json, application/yaml, application/vnd.kubernetes.protobuf",
        Value::Null,
    );
    assert_eq!(
        api.with("accept", "text/css")
            .get("configmaps")
            .await
            .status,
        406
    );

    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: yaml\ndata:\n  k: '1'\n";
    let as_yaml = api.with("content-type", "application/yaml");
    let made = as_yaml.call(Method::POST, "configmaps", yaml.into()).await;
    assert_eq!(made.value(201)["data"]["k"], "1");
    let read = api
        .with("accept", "application/yaml")
        .get("configmaps/yaml")
        .await;
    assert_eq!(read.header("content-type"), "application/yaml");
    assert!(
        read.text().contains("data:\n  k: \"1\"\n"),
        "{}",
        read.text()
    );

    let kind = "application/vnd.kubernetes.protobuf";
    let read = api.with("accept", kind).get("configmaps/yaml").await;
    assert_eq!(read.header("content-type"), kind);
    assert!(read.body.starts_with(b"k8s\0"));
    // What was read in protobuf can be written in it.
    api.delete("configmaps/yaml").await.ok();
    let writer = api
        .with("content-type", kind)
        .with("accept", "application/json");
    let refused = writer
        .call(Method::POST, "configmaps", read.body.clone())
        .await;
    assert!(
        refused
            .text()
            .contains("resourceVersion should not be set on objects to be created")
    );
    let fresh = api
        .with("accept", kind)
        .post("configmaps?dryRun=All", &config_map("p", "2"))
        .await;
    assert_eq!(fresh.status, 201);
    let made = writer.call(Method::POST, "configmaps", fresh.body).await;
    assert_eq!(made.value(201)["data"], json!({"k": "2"}));
}
