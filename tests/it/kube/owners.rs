//! Owners of fields: those of a scale, and those that are to be forgotten.

use super::*;

pub fn cases() -> Vec<NamedCase> {
    cases![
        a_scale_owns_the_number_alone,
        owners_are_forgotten_on_request,
    ]
}

/// The fields of an object that a manager owns through a subresource.
fn owned(object: &Value, manager: &str, subresource: &str) -> Value {
    let entries = object["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter();
    let mut of = entries.filter(|entry| {
        entry["manager"] == manager
            && entry["subresource"].as_str().unwrap_or_default() == subresource
    });
    of.next()
        .map_or(Value::Null, |entry| entry["fieldsV1"].clone())
}

async fn a_scale_owns_the_number_alone(_: Case) {
    let api = space("scale").await;
    let path = "apps/v1/deployments/web";
    api.post("apps/v1/deployments?fieldManager=maker", &deployment("web"))
        .await
        .ok();
    let scale = json!({"spec": {"replicas": 3}});
    let scaled = api
        .patch(
            "merge",
            &format!("{path}/scale?fieldManager=scaler"),
            &scale,
        )
        .await
        .value(200);
    assert_eq!(scaled["spec"]["replicas"], 3);
    assert_eq!(scaled["metadata"].get("managedFields"), None);
    let web = api.get(path).await.value(200);
    assert_eq!(
        owned(&web, "scaler", "scale"),
        json!({"f:spec": {"f:replicas": {}}})
    );
    assert_eq!(owned(&web, "maker", "")["f:spec"].get("f:replicas"), None);
    assert!(
        owned(&web, "maker", "")["f:spec"]
            .get("f:template")
            .is_some()
    );

    let applied = json!({"apiVersion": "autoscaling/v1", "kind": "Scale",
        "metadata": {"name": "web"}, "spec": {"replicas": 4}});
    let path_of = |force| format!("{path}/scale?fieldManager=applier&force={force}");
    let refused = api
        .patch("apply", &path_of(false), &applied)
        .await
        .value(409);
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("conflict with \"scaler\""),
        "{refused}"
    );
    api.patch("apply", &path_of(true), &applied)
        .await
        .value(200);
    let web = api.get(path).await.value(200);
    assert_eq!(web["spec"]["replicas"], 4);
    assert_eq!(
        owned(&web, "applier", "scale"),
        json!({"f:spec": {"f:replicas": {}}})
    );
    assert_eq!(owned(&web, "scaler", "scale"), Value::Null);

    let mut whole = api.get(&format!("{path}/scale")).await.value(200);
    whole["spec"]["replicas"] = 5.into();
    api.put(&format!("{path}/scale?fieldManager=putter"), &whole)
        .await
        .value(200);
    let web = api.get(path).await.value(200);
    assert_eq!(web["spec"]["replicas"], 5);
    assert_eq!(
        owned(&web, "putter", "scale"),
        json!({"f:spec": {"f:replicas": {}}})
    );
}

async fn owners_are_forgotten_on_request(_: Case) {
    let api = space("forget").await;
    for kind in ["put", "merge", "json"] {
        let path = format!("configmaps/{kind}");
        let made = api
            .post("configmaps?fieldManager=m", &config_map(kind, "1"))
            .await
            .ok();
        assert_ne!(owned(&made, "m", ""), Value::Null);
        let reply = match kind {
            "put" => {
                let mut object = config_map(kind, "1");
                object["metadata"]["managedFields"] = json!([]);
                api.put(&path, &object).await
            }
            "merge" => {
                api.patch("merge", &path, &json!({"metadata": {"managedFields": []}}))
                    .await
            }
            _ => {
                let all =
                    json!([{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]);
                api.patch("json", &path, &all).await
            }
        };
        assert_eq!(
            reply.value(200)["metadata"].get("managedFields"),
            None,
            "{kind}"
        );
        let stored = api.get(&path).await.value(200);
        assert_eq!(stored["metadata"].get("managedFields"), None, "{kind}");
        assert_eq!(stored["data"]["k"], "1");
    }
}
