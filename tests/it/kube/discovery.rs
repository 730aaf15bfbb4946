//! What the server says of itself: groups, resources, schemas, tables.

use super::*;

pub fn cases() -> Vec<NamedCase> {
    cases![
        groups_and_resources_are_listed,
        discovery_in_one_document_has_a_tag,
        schemas_are_found_through_their_index,
        a_table_shows_what_kubectl_prints,
        metadata_alone_can_be_asked_for,
    ]
}

async fn groups_and_resources_are_listed(_: Case) {
    let api = space("legacy").await;
    let core = api.get("/api").await.value(200);
    assert_eq!(
        (&core["kind"], &core["versions"]),
        (&json!("APIVersions"), &json!(["v1"]))
    );
    let groups = api.get("/apis").await.value(200);
    assert_eq!(groups["kind"], "APIGroupList");
    let named = |name: &str| {
        let groups = groups["groups"].as_array().unwrap().iter();
        groups
            .clone()
            .find(|group| group["name"] == name)
            .cloned()
            .unwrap()
    };
    let apps = json!({"groupVersion": "apps/v1", "version": "v1"});
    assert_eq!(named("apps")["preferredVersion"], apps);
    named("rbac.authorization.k8s.io");
    let apps = api.get("/apis/apps").await.value(200);
    assert_eq!(
        (&apps["kind"], &apps["name"]),
        (&json!("APIGroup"), &json!("apps"))
    );

    let resources = api.get("/apis/apps/v1").await.value(200);
    assert_eq!(resources["kind"], "APIResourceList");
    assert_eq!(resources["groupVersion"], "apps/v1");
    let find = |name: &str| {
        let resources = resources["resources"].as_array().unwrap().iter();
        resources
            .clone()
            .find(|resource| resource["name"] == name)
            .cloned()
            .unwrap()
    };
    let deployments = find("deployments");
    assert_eq!(deployments["kind"], "Deployment");
    assert_eq!(deployments["shortNames"], json!(["deploy"]));
    assert_eq!(deployments["categories"], json!(["all"]));
    let verbs = json!([
        "create",
        "delete",
        "deletecollection",
        "get",
        "list",
        "patch",
        "update",
        "watch"
    ]);
    assert_eq!(deployments["verbs"], verbs);
    let scale = find("deployments/scale");
    assert_eq!(
        (&scale["kind"], &scale["group"]),
        (&json!("Scale"), &json!("autoscaling"))
    );
}

async fn discovery_in_one_document_has_a_tag(_: Case) {
    let kind = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let api = space("aggregated").await.with("accept", kind);
    for (path, group, resource) in [("/api", "", "pods"), ("/apis", "apps", "deployments")] {
        let reply = api.get(path).await;
        assert_eq!(reply.header("content-type"), kind);
        let document = reply.value(200);
        assert_eq!(document["kind"], "APIGroupDiscoveryList");
        let items = document["items"].as_array().unwrap();
        let group = items.iter().find(|item| {
            item["metadata"]
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or_default()
                == group
        });
        let resources = group.unwrap()["versions"][0]["resources"]
            .as_array()
            .unwrap();
        assert!(
            resources.iter().any(|found| found["resource"] == resource),
            "{path}"
        );
        // Definitions of other cases come and go meanwhile, and with them what the document of named groups says.
        let unchanged = async {
            loop {
                let reply = api.get(path).await;
                let tag = reply.header("etag");
                assert!(tag.starts_with('"') && tag.len() > 2, "{tag}");
                let known = api.with("if-none-match", tag).get(path).await;
                if known.status != 200 {
                    return known;
                }
            }
        };
        let known = tokio::time::timeout(PATIENCE, unchanged).await;
        let known = known.expect("a tag holds while nothing changes");
        assert_eq!((known.status, known.body.len()), (304, 0));
    }
}

async fn schemas_are_found_through_their_index(_: Case) {
    let api = space("openapi").await;
    let index = api.get("/openapi/v3").await.value(200);
    let url = index["paths"]["apis/apps/v1"]["serverRelativeURL"]
        .as_str()
        .unwrap();
    assert!(url.starts_with("/openapi/v3/apis/apps/v1?hash="), "{url}");
    let document = api.get(url).await.value(200);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.0"));
    let path = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}";
    assert!(document["paths"][path]["patch"].is_object());
    let schema = &document["components"]["schemas"]["io.k8s.api.apps.v1.Deployment"];
    assert!(schema["properties"]["spec"].is_object());
    let kind = json!([{"group": "apps", "kind": "Deployment", "version": "v1"}]);
    assert_eq!(schema["x-kubernetes-group-version-kind"], kind);
}

async fn a_table_shows_what_kubectl_prints(_: Case) {
    let api = space("table").await;
    api.post("configmaps", &config_map("a", "1")).await.ok();
    let account =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
    api.post("serviceaccounts", &account).await;
    api.post("pods", &pod("p")).await.value(201);
    let tables = api.with(
        "accept",
        "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
    );
    let columns = |table: &Value, priority: i64| {
        let columns = table["columnDefinitions"].as_array().unwrap().iter();
        let columns = columns.filter(|column| column["priority"] == priority);
        columns
            .map(|column| column["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let table = tables.get("configmaps").await.value(200);
    assert_eq!(
        (&table["kind"], &table["apiVersion"]),
        (&json!("Table"), &json!("meta.k8s.io/v1"))
    );
    assert_eq!(columns(&table, 0), "Name Data Age");
    let row = &table["rows"][0];
    assert_eq!(
        (&row["cells"][0], &row["cells"][1]),
        (&json!("a"), &json!(1))
    );
    assert_eq!(row["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(row["object"]["metadata"]["name"], "a");

    let table = tables.get("pods?includeObject=None").await.value(200);
    assert_eq!(columns(&table, 0), "Name Ready Status Restarts Age");
    assert_eq!(columns(&table, 1), "IP Node Nominated Node Readiness Gates");
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    assert_eq!(
        cells[..4],
        [json!("p"), json!("0/1"), json!("Pending"), json!("0")]
    );
    assert!(table["rows"][0]["object"].is_null());
    let one = tables.get("pods/p").await.value(200);
    assert_eq!(one["rows"].as_array().unwrap().len(), 1);
}

async fn metadata_alone_can_be_asked_for(_: Case) {
    let api = space("partial").await;
    api.post("configmaps", &config_map("a", "1")).await.ok();
    let list = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let list = api.with("accept", list).get("configmaps").await.value(200);
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(names(&list), ["a"]);
    assert!(list["items"][0].get("data").is_none());
    let one = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
    let one = api.with("accept", one).get("configmaps/a").await.value(200);
    assert_eq!(one["kind"], "PartialObjectMetadata");
    assert!(one.get("data").is_none());
}
