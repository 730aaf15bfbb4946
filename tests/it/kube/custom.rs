//! Custom resources: definitions, and what they make of the API.

use super::reply::Reply;
use super::*;

pub fn cases() -> Vec<NamedCase> {
    cases![
        a_definition_is_served_once_it_is_established,
        custom_objects_are_pruned_completed_and_judged,
        rules_hold_objects_to_what_they_were,
        custom_objects_have_a_status_and_a_scale,
        a_definition_takes_its_objects_with_it,
        versions_differ_in_their_name_alone,
        clients_are_told_of_custom_kinds,
    ]
}

/// A definition in a group of the namespace's own, and its group.
fn definition(api: &Api) -> (String, Value) {
    let group = format!("{}.example.com", api.space());
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {
        "spec": {
            "type": "object",
            "x-kubernetes-validations": [
                {"rule": "self.replicas <= self.max", "message": "too many"},
                {"rule": "self.color == oldSelf.color", "message": "color is fixed"},
            ],
            "properties": {
                "replicas": {"type": "integer", "default": 2, "maximum": 10},
                "max": {"type": "integer", "default": 8},
                "color": {"type": "string", "default": "red", "enum": ["red", "blue"]},
            },
        },
        "status": {"type": "object", "properties": {"replicas": {"type": "integer"}}},
    }}});
    let version = |name: &str, storage: bool| {
        json!({
            "name": name, "served": true, "storage": storage, "deprecated": !storage, "schema": schema,
            "subresources": {"status": {}, "scale":
                {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
            "additionalPrinterColumns": [{"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"}],
            "selectableFields": [{"jsonPath": ".spec.color"}],
        })
    };
    let object = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("widgets.{group}")},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "shortNames": ["wd"]},
            "versions": [version("v1", true), version("v1beta1", false)],
        },
    });
    (group, object)
}

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// Writes the definition and waits until it is served; gives its group.
async fn defined(api: &Api) -> String {
    let (group, object) = definition(api);
    let made = api.post(DEFINITIONS, &object).await.value(201);
    let name = made["metadata"]["name"].as_str().unwrap().to_owned();
    wait_for(&format!("{name} is established"), async || {
        let now = api.get(&format!("{DEFINITIONS}/{name}")).await.value(200);
        condition(&now, "Established").is_some_and(|one| one["status"] == "True")
            && api.get(&format!("/apis/{group}/v1")).await.status == 200
    })
    .await;
    group
}

fn condition<'a>(object: &'a Value, of_type: &str) -> Option<&'a Value> {
    let all = object["status"]["conditions"].as_array()?;
    all.iter().find(|one| one["type"] == of_type)
}

async fn wait_for(what: &str, met: impl AsyncFn() -> bool) {
    let wait = async {
        while !met().await {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("{what}: that does not come"));
}

async fn merge(api: &Api, path: &str, change: &Value) -> Reply {
    api.patch("merge", path, change).await
}

fn message(refusal: &Value) -> String {
    refusal["message"].as_str().unwrap().to_owned()
}

fn widget(group: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": format!("{group}/v1"), "kind": "Widget", "metadata": {"name": name}, "spec": spec})
}

async fn a_definition_is_served_once_it_is_established(_: Case) {
    let api = space("established").await;
    let group = defined(&api).await;
    let name = format!("{DEFINITIONS}/widgets.{group}");
    let now = api.get(&name).await.value(200);
    assert_eq!(
        condition(&now, "NamesAccepted").unwrap()["reason"],
        "NoConflicts"
    );
    assert_eq!(now["status"]["storedVersions"], json!(["v1"]));
    assert_eq!(now["status"]["acceptedNames"]["listKind"], "WidgetList");
    // Another one cannot have its names.
    let mut other = definition(&api).1;
    other["metadata"]["name"] = format!("gadgets.{group}").into();
    other["spec"]["names"] = json!({"plural": "gadgets", "kind": "Widget"});
    api.post(DEFINITIONS, &other).await.value(201);
    let name = format!("{DEFINITIONS}/gadgets.{group}");
    wait_for("the conflict is told", async || {
        let now = api.get(&name).await.value(200);
        condition(&now, "NamesAccepted").is_some_and(|one| one["reason"] == "ListKindConflict")
    })
    .await;
    // Neither is there a schema that is none.
    let mut wrong = definition(&api).1;
    wrong["spec"]["versions"][0]["schema"] = json!({"openAPIV3Schema": {"type": "object",
        "properties": {"spec": {"type": "object", "x-kubernetes-validations": [{"rule": "self.none == 1"}]}}}});
    let refused = api.post(DEFINITIONS, &wrong).await;
    let told = message(&refused.value(422));
    assert!(told.contains("undefined field 'none'"), "{told}");
}

async fn custom_objects_are_pruned_completed_and_judged(_: Case) {
    let api = space("judged").await;
    let group = defined(&api).await;
    let path = format!("{group}/v1/widgets");
    let body = widget(&group, "a", &json!({"replicas": 3, "bogus": 1}));
    let lax = api.post(&path, &body).await;
    let made = lax.value(201);
    assert_eq!(
        made["spec"],
        json!({"color": "red", "max": 8, "replicas": 3})
    );
    assert_eq!(made["metadata"]["generation"], 1);
    let strict = api
        .post(
            &format!("{path}?fieldValidation=Strict"),
            &widget(&group, "b", &json!({"bogus": 1})),
        )
        .await;
    let told = message(&strict.value(400));
    assert!(
        told.contains(r#"strict decoding error: unknown field "spec.bogus""#),
        "{told}"
    );
    let wrong = api
        .post(
            &path,
            &widget(&group, "c", &json!({"replicas": 11, "color": "green"})),
        )
        .await;
    let told = message(&wrong.value(422));
    assert!(
        told.contains("spec.replicas: Invalid value: 11: spec.replicas in body should be less than or equal to 10"),
        "{told}"
    );
    assert!(
        told.contains(r#"spec.color: Unsupported value: "green": supported values: "red", "blue""#),
        "{told}"
    );
    assert_eq!(api.get(&format!("{path}/c")).await.status, 404);
    let list = api
        .get(&format!("{path}?fieldSelector=spec.color%3Dred"))
        .await
        .value(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&list["items"][0]["kind"], &list["kind"]),
        (&json!("Widget"), &json!("WidgetList"))
    );
    let list = api
        .get(&format!("{path}?fieldSelector=spec.color%3Dblue"))
        .await
        .value(200);
    assert_eq!(list["items"], json!([]));
}

async fn rules_hold_objects_to_what_they_were(_: Case) {
    let api = space("rules").await;
    let group = defined(&api).await;
    let path = format!("{group}/v1/widgets");
    api.post(&path, &widget(&group, "a", &json!({})))
        .await
        .value(201);
    for (change, said) in [
        (json!({"replicas": 9}), "spec: Invalid value: too many"),
        (
            json!({"color": "blue"}),
            "spec: Invalid value: color is fixed",
        ),
    ] {
        let refused = merge(&api, &format!("{path}/a"), &json!({"spec": change})).await;
        let told = message(&refused.value(422));
        assert!(told.contains(said), "{told}");
    }
    merge(
        &api,
        &format!("{path}/a"),
        &json!({"spec": {"replicas": 8}}),
    )
    .await
    .value(200);
}

async fn custom_objects_have_a_status_and_a_scale(_: Case) {
    let api = space("parts").await;
    let group = defined(&api).await;
    let path = format!("{group}/v1/widgets");
    let mut body = widget(&group, "a", &json!({}));
    body["status"] = json!({"replicas": 1});
    assert!(
        api.post(&path, &body)
            .await
            .value(201)
            .get("status")
            .is_none()
    );
    let status = json!({"status": {"replicas": 1}, "spec": {"replicas": 7}});
    let told = merge(&api, &format!("{path}/a/status"), &status)
        .await
        .value(200);
    assert_eq!(
        (&told["status"]["replicas"], &told["spec"]["replicas"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(told["metadata"]["generation"], 1);
    let scale = api.get(&format!("{path}/a/scale")).await.value(200);
    assert_eq!(
        (&scale["kind"], &scale["spec"]["replicas"]),
        (&json!("Scale"), &json!(2))
    );
    let scaled = merge(
        &api,
        &format!("{path}/a/scale"),
        &json!({"spec": {"replicas": 5}}),
    )
    .await
    .value(200);
    assert_eq!(scaled["spec"]["replicas"], 5);
    let now = api.get(&format!("{path}/a")).await.value(200);
    assert_eq!(
        (&now["spec"]["replicas"], &now["metadata"]["generation"]),
        (&json!(5), &json!(2))
    );
}

async fn a_definition_takes_its_objects_with_it(_: Case) {
    let api = space("ends").await;
    let group = defined(&api).await;
    let path = format!("{group}/v1/widgets");
    let mut held = widget(&group, "held", &json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/held"]);
    api.post(&path, &held).await.value(201);
    let name = format!("{DEFINITIONS}/widgets.{group}");
    let marked = api.delete(&name).await.value(200);
    assert_eq!(
        condition(&marked, "Terminating").unwrap()["reason"],
        "InstanceDeletionPending"
    );
    wait_for("its objects are deleted", async || {
        let held = api.get(&format!("{path}/held")).await.value(200);
        held["metadata"].get("deletionTimestamp").is_some()
    })
    .await;
    let refused = api.post(&path, &widget(&group, "late", &json!({}))).await;
    let told = message(&refused.value(403));
    assert!(
        told.contains("create not allowed while custom resource definition is terminating"),
        "{told}"
    );
    merge(
        &api,
        &format!("{path}/held"),
        &json!({"metadata": {"finalizers": null}}),
    )
    .await
    .value(200);
    wait_for("it is gone", async || api.get(&name).await.status == 404).await;
    wait_for("nothing is served for it", async || {
        api.get(&path).await.status == 404
    })
    .await;
}

async fn versions_differ_in_their_name_alone(_: Case) {
    let api = space("versions").await;
    let group = defined(&api).await;
    let space = api.space();
    let old = format!("/apis/{group}/v1beta1/namespaces/{space}/widgets");
    let mut body = widget(&group, "a", &json!({}));
    body["apiVersion"] = format!("{group}/v1beta1").into();
    let made = api.post(&old, &body).await;
    assert_eq!(
        made.header("warning"),
        format!("299 - \"{group}/v1beta1 Widget is deprecated; use {group}/v1 Widget\"")
    );
    assert_eq!(made.value(201)["apiVersion"], format!("{group}/v1beta1"));
    let new = api.get(&format!("{group}/v1/widgets/a")).await.value(200);
    assert_eq!(new["apiVersion"], format!("{group}/v1"));
}

async fn clients_are_told_of_custom_kinds(_: Case) {
    let api = space("told").await;
    let group = defined(&api).await;
    let resources = api.get(&format!("/apis/{group}/v1")).await.value(200);
    assert_eq!(
        names_of(&resources["resources"]),
        ["widgets", "widgets/scale", "widgets/status"]
    );
    let groups = api.get("/apis").await.value(200);
    let known = groups["groups"].as_array().unwrap().iter();
    let preferred = known
        .filter(|one| one["name"] == *group)
        .map(|one| &one["preferredVersion"]["version"]);
    assert_eq!(preferred.collect::<Vec<_>>(), ["v1"]);
    let service = api
        .get(&format!(
            "/apis/apiregistration.k8s.io/v1/apiservices/v1.{group}"
        ))
        .await;
    assert_eq!(
        condition(&service.value(200), "Available").unwrap()["status"],
        "True"
    );
    let document = api
        .get(&format!("/openapi/v3/apis/{group}/v1"))
        .await
        .value(200);
    let path = format!("/apis/{group}/v1/namespaces/{{namespace}}/widgets/{{name}}");
    let parameters = &document["paths"][&path]["patch"]["parameters"];
    assert!(
        parameters
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["name"] == "fieldValidation")
    );
    api.post(
        &format!("{group}/v1/widgets"),
        &widget(&group, "a", &json!({})),
    )
    .await
    .value(201);
    let table = api
        .with("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
        .get(&format!("{group}/v1/widgets"))
        .await
        .value(200);
    assert_eq!(table["rows"][0]["cells"], json!(["a", 2]));
}

fn names_of(list: &Value) -> Vec<&str> {
    let mut all: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    all.sort_unstable();
    all
}
