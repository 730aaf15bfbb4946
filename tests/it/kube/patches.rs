//! Patches, server-side apply, dry runs and what unknown fields come to.

use super::api::version;
use super::*;

pub fn cases() -> Vec<NamedCase> {
    cases![
        a_json_patch_edits_by_path,
        a_merge_patch_removes_with_null,
        a_strategic_patch_knows_items_by_their_key,
        a_patch_of_another_kind_is_refused,
        what_names_no_object_or_another_is_refused,
        apply_creates_owns_and_conflicts,
        apply_removes_what_it_no_longer_has,
        an_update_of_nothing_changes_nothing,
        a_dry_run_stores_nothing,
        unknown_fields_are_warned_of_or_refused,
    ]
}

async fn a_json_patch_edits_by_path(_: Case) {
    let api = space("json-patch").await;
    api.post("configmaps", &config_map("a", "1")).await.ok();
    let patch = json!([
        {"op": "test", "path": "/data/k", "value": "1"},
        {"op": "add", "path": "/metadata/annotations", "value": {"x/y": "1"}},
        {"op": "replace", "path": "/metadata/annotations/x~1y", "value": "2"},
        {"op": "remove", "path": "/data/k"},
    ]);
    let patched = api.patch("json", "configmaps/a", &patch).await.value(200);
    assert_eq!(patched["metadata"]["annotations"], json!({"x/y": "2"}));
    assert!(patched.get("data").is_none());
    let failing = json!([{"op": "test", "path": "/metadata/annotations/x~1y", "value": "1"}]);
    api.patch("json", "configmaps/a", &failing).await.refused(
        422,
        "Invalid",
        "the server rejected our request due to an error in our request",
        json!({}),
    );
    let stale = json!([{"op": "replace", "path": "/metadata/resourceVersion", "value": "1"},
        {"op": "add", "path": "/data", "value": {"k": "1"}}]);
    let refused = api.patch("json", "configmaps/a", &stale).await.value(409);
    assert_eq!(refused["reason"], "Conflict");
}

async fn a_merge_patch_removes_with_null(_: Case) {
    let api = space("merge").await;
    api.post("configmaps", &config_map("a", "1")).await.ok();
    let patch = json!({"data": {"k": null, "l": "2"}, "metadata": {"labels": {"on": "yes"}}});
    let patched = api.patch("merge", "configmaps/a", &patch).await.value(200);
    assert_eq!(patched["data"], json!({"l": "2"}));
    assert_eq!(patched["metadata"]["labels"], json!({"on": "yes"}));
    let renamed = json!({"metadata": {"name": "b"}});
    assert_eq!(
        api.patch("merge", "configmaps/a", &renamed).await.status,
        400
    );
}

async fn a_strategic_patch_knows_items_by_their_key(_: Case) {
    let api = space("strategic").await;
    let path = "apps/v1/deployments/web";
    api.post("apps/v1/deployments", &deployment("web"))
        .await
        .ok();
    let containers = |items: Value| json!({"spec": {"template": {"spec": {"containers": items}}}});
    let more = containers(json!([{"name": "d", "image": "two"}, {"name": "c", "image": "new"}]));
    let patched = api.patch("strategic-merge", path, &more).await.value(200);
    let images = |object: &Value| {
        let list = object["spec"]["template"]["spec"]["containers"]
            .as_array()
            .unwrap()
            .clone();
        let mut images: Vec<_> = list
            .iter()
            .map(|item| {
                format!(
                    "{}={}",
                    item["name"].as_str().unwrap(),
                    item["image"].as_str().unwrap()
                )
            })
            .collect();
        images.sort();
        images.join(" ")
    };
    assert_eq!(images(&patched), "c=new d=two");
    let fewer = containers(json!([{"name": "c", "$patch": "delete"}]));
    let patched = api.patch("strategic-merge", path, &fewer).await.value(200);
    assert_eq!(images(&patched), "d=two");
    // A merge patch has the whole list.
    let whole = containers(json!([{"name": "e", "image": "three"}]));
    assert_eq!(
        images(&api.patch("merge", path, &whole).await.value(200)),
        "e=three"
    );
}

async fn a_patch_of_another_kind_is_refused(_: Case) {
    let api = space("patch-kind").await;
    api.post("configmaps", &config_map("a", "1")).await.ok();
    let reply = api
        .json(http::Method::PATCH, "configmaps/a", &json!({}))
        .await;
    assert_eq!(reply.status, 415);
    assert!(
        reply.text().contains("415: Unsupported Media Type"),
        "{}",
        reply.text()
    );
}

async fn what_names_no_object_or_another_is_refused(_: Case) {
    let api = space("patch-names").await;
    api.post("configmaps", &config_map("a", "1")).await.ok();
    let message =
        "the name of the object (a based on URL) was undeterminable: name must be provided";
    let nameless = json!({"apiVersion": "v1", "kind": "ConfigMap"});
    let put = api.put("configmaps/a", &nameless).await;
    put.refused(400, "BadRequest", message, Value::Null);
    let patch = json!({"metadata": null});
    let patched = api.patch("merge", "configmaps/a", &patch).await;
    patched.refused(400, "BadRequest", message, Value::Null);
    let patch = json!({"metadata": {"uid": "x"}});
    let patched = api.patch("merge", "configmaps/a", &patch).await;
    let said = r#"Invalid value: "x": field is immutable"#;
    let cause = json!({"reason": "FieldValueInvalid", "message": said, "field": "metadata.uid"});
    patched.refused(
        422,
        "Invalid",
        &format!("ConfigMap \"a\" is invalid: metadata.uid: {said}"),
        json!({"name": "a", "kind": "ConfigMap", "causes": [cause, cause]}),
    );
}

async fn apply_creates_owns_and_conflicts(_: Case) {
    let api = space("apply").await;
    let at = |manager: &str| format!("configmaps/a?fieldManager={manager}");
    let made = api
        .patch("apply", &at("one"), &config_map("a", "1"))
        .await
        .value(201);
    let owner = &made["metadata"]["managedFields"][0];
    assert_eq!(
        (&owner["manager"], &owner["operation"]),
        (&json!("one"), &json!("Apply"))
    );
    assert_eq!(owner["fieldsV1"], json!({"f:data": {"f:k": {}}}));

    let again = api
        .patch("apply", &at("one"), &config_map("a", "1"))
        .await
        .value(200);
    assert_eq!(
        version(&again),
        version(&made),
        "what is applied already is not written"
    );

    let other = config_map("a", "2");
    let causes = json!([{"reason": "FieldManagerConflict", "message": "conflict with \"one\"",
        "field": ".data.k"}]);
    api.patch("apply", &at("two"), &other).await.refused(
        409,
        "Conflict",
        "Apply failed with 1 conflict: conflict with \"one\": .data.k",
        json!({"causes": causes}),
    );
    let forced = format!("{}&force=true", at("two"));
    let taken = api.patch("apply", &forced, &other).await.value(200);
    assert_eq!(taken["data"]["k"], "2");
    let owners = taken["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(owners.len(), 1);
    assert_eq!(owners[0]["manager"], "two");

    let reply = api.patch("apply", "configmaps/a", &other).await;
    assert_eq!(reply.status, 422, "{}", reply.text());
    assert!(
        reply
            .text()
            .contains("fieldManager: Required value: is required for apply patch")
    );
}

async fn apply_removes_what_it_no_longer_has(_: Case) {
    let api = space("shrink").await;
    let path = "configmaps/a?fieldManager=one";
    let mut map = config_map("a", "1");
    map["data"]["l"] = json!("2");
    api.patch("apply", path, &map).await.value(201);
    let by_hand = json!({"data": {"mine": "3"}});
    api.patch("merge", "configmaps/a", &by_hand)
        .await
        .value(200);
    let left = api
        .patch("apply", path, &config_map("a", "1"))
        .await
        .value(200);
    assert_eq!(left["data"], json!({"k": "1", "mine": "3"}));
}

async fn an_update_of_nothing_changes_nothing(_: Case) {
    let api = space("no-op").await;
    let made = api.post("configmaps", &config_map("a", "1")).await.ok();
    let put = api.put("configmaps/a", &made).await.value(200);
    assert_eq!(put, made);
    for kind in ["merge", "strategic-merge"] {
        let same = json!({"data": {"k": "1"}});
        let patched = api.patch(kind, "configmaps/a", &same).await.value(200);
        assert_eq!(patched, made, "{kind}");
    }
}

async fn a_dry_run_stores_nothing(_: Case) {
    let api = space("dry").await;
    let tried = api
        .post("configmaps?dryRun=All", &config_map("a", "1"))
        .await
        .value(201);
    assert!(tried["metadata"]["uid"].is_string());
    assert!(tried["metadata"].get("resourceVersion").is_none());
    assert_eq!(api.get("configmaps/a").await.status, 404);
    let made = api
        .post("configmaps", &config_map("a", "1"))
        .await
        .value(201);
    let tried = api
        .put("configmaps/a?dryRun=All", &config_map("a", "2"))
        .await
        .value(200);
    assert_eq!(tried["data"]["k"], "2");
    let patch = json!({"data": {"k": "3"}});
    let tried = api
        .patch("merge", "configmaps/a?dryRun=All", &patch)
        .await
        .value(200);
    assert_eq!(tried["data"]["k"], "3");
    api.delete("configmaps/a?dryRun=All").await.value(200);
    assert_eq!(api.get("configmaps/a").await.value(200), made);
    let message = r#"Unsupported value: ["x"]: supported values: "All""#;
    let causes =
        json!([{"reason": "FieldValueNotSupported", "message": message, "field": "dryRun"}]);
    api.post("configmaps?dryRun=x", &config_map("b", "1"))
        .await
        .refused(
            422,
            "Invalid",
            &format!("CreateOptions.meta.k8s.io \"\" is invalid: dryRun: {message}"),
            json!({"group": "meta.k8s.io", "kind": "CreateOptions", "causes": causes}),
        );
}

async fn unknown_fields_are_warned_of_or_refused(_: Case) {
    let api = space("fields").await;
    let mut map = config_map("a", "1");
    map["dta"] = json!({"k": "1"});
    api.post("configmaps?fieldValidation=Strict", &map).await.refused(
        400,
        "BadRequest",
        r#"ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "dta""#,
        Value::Null,
    );
    let warned = api.post("configmaps", &map).await;
    assert_eq!(warned.value(201)["data"], json!({"k": "1"}));
    assert_eq!(warned.header("warning"), r#"299 - "unknown field \"dta\"""#);
    map["metadata"]["name"] = json!("b");
    let silent = api.post("configmaps?fieldValidation=Ignore", &map).await;
    assert_eq!((silent.status, silent.header("warning")), (201, ""));
    assert!(api.get("configmaps/b").await.ok().get("dta").is_none());
}
