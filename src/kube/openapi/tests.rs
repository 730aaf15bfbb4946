use std::sync::LazyLock;

use serde_json::{Value, json};

use super::*;

/// One for all tests, which only read.
fn documents() -> &'static OpenApi {
    static DOCUMENTS: LazyLock<OpenApi> =
        LazyLock::new(|| OpenApi::new(Schema::built_in(), Resources::built_in()));
    &DOCUMENTS
}

fn parsed(answer: Answer) -> Value {
    match answer {
        Answer::Found { document, .. } => serde_json::from_slice(&document.body).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Without the texts, which are not ours.
fn bare(mut value: Value) -> Value {
    if let Some(map) = value.as_object_mut() {
        if map.get("description").is_some_and(Value::is_string) {
            map.shift_remove("description");
        }
        for value in map.values_mut() {
            *value = bare(value.take());
        }
    } else if let Some(list) = value.as_array_mut() {
        for value in list {
            *value = bare(value.take());
        }
    }
    value
}

#[test]
fn kubectl_finds_how_a_patch_is_checked() {
    let apps = parsed(documents().version("apis/apps/v1", None, &Customs::default()));
    let path = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}";
    let patch = &apps["paths"][path]["patch"];
    assert_eq!(patch["operationId"], "patchAppsV1NamespacedDeployment");
    assert_eq!(patch["x-kubernetes-action"], "patch");
    assert_eq!(
        patch["x-kubernetes-group-version-kind"],
        json!({"group": "apps", "version": "v1", "kind": "Deployment"})
    );
    let parameters = patch["parameters"].as_array().unwrap().iter();
    let names: Vec<_> = parameters
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["dryRun", "fieldManager", "fieldValidation", "force"]
    );
    let shared = apps["paths"][path]["parameters"].as_array().unwrap().iter();
    let names: Vec<_> = shared.map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["name", "namespace", "pretty"]);
}

#[test]
fn definitions_have_types_defaults_and_merge_rules() {
    let core = bare(parsed(documents().version(
        "api/v1",
        None,
        &Customs::default(),
    )));
    let schemas = &core["components"]["schemas"];
    assert_eq!(
        schemas["io.k8s.api.core.v1.ContainerPort"],
        json!({"type": "object", "required": ["containerPort"], "properties": {
            "containerPort": {"type": "integer", "format": "int32", "default": 0},
            "hostIP": {"type": "string"},
            "hostPort": {"type": "integer", "format": "int32"},
            "name": {"type": "string"},
            "protocol": {"type": "string", "default": "TCP", "enum": ["SCTP", "TCP", "UDP"]},
        }})
    );
    let meta = &schemas["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"]["properties"];
    assert_eq!(
        meta["ownerReferences"],
        json!({
            "type": "array",
            "items": {"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference"},
            "x-kubernetes-list-map-keys": ["uid"],
            "x-kubernetes-list-type": "map",
            "x-kubernetes-patch-merge-key": "uid",
            "x-kubernetes-patch-strategy": "merge",
        })
    );
    assert_eq!(
        meta["creationTimestamp"],
        json!({"allOf": [{"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.Time"}]})
    );
    let pod = &schemas["io.k8s.api.core.v1.Pod"];
    assert_eq!(
        pod["x-kubernetes-group-version-kind"],
        json!([{"group": "", "kind": "Pod", "version": "v1"}])
    );
    let spec = json!({"default": {}, "allOf": [{"$ref": "#/components/schemas/io.k8s.api.core.v1.PodSpec"}]});
    assert_eq!(pod["properties"]["spec"], spec);
}

#[test]
fn whatever_is_referred_to_is_there() {
    let documents = documents();
    for subject in Subject::all(documents.resources) {
        let document = subject.describe(documents.schema, documents.resources);
        check_references(&document, &document, "#/components/schemas/");
    }
    let swagger =
        serde_json::from_slice(&documents.swagger(Form::Json, &Customs::default()).body).unwrap();
    check_references(&swagger, &swagger, "#/definitions/");
}

fn check_references(document: &Value, within: &Value, prefix: &str) {
    if let Some(reference) = within.get("$ref").and_then(Value::as_str) {
        assert!(reference.starts_with(prefix), "{reference}");
        assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
    }
    match within {
        Value::Object(map) => map
            .values()
            .for_each(|one| check_references(document, one, prefix)),
        Value::Array(list) => list
            .iter()
            .for_each(|one| check_references(document, one, prefix)),
        _ => {}
    }
}

#[test]
fn operation_ids_are_used_once() {
    let swagger: Value =
        serde_json::from_slice(&documents().swagger(Form::Json, &Customs::default()).body).unwrap();
    let mut ids: Vec<&str> = Vec::new();
    for item in swagger["paths"].as_object().unwrap().values() {
        let operations = item.as_object().unwrap().values();
        ids.extend(operations.filter_map(|one| one.get("operationId")?.as_str()));
    }
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
    for id in [
        "listCoreV1NamespacedPod",
        "listCoreV1PodForAllNamespaces",
        "deleteRbacAuthorizationV1CollectionClusterRole",
        "connectCoreV1GetNamespacedPodProxyWithPath",
        "replaceCoreV1NamespaceFinalize",
        "watchBatchV1NamespacedJobList",
    ] {
        assert!(ids.binary_search(&id).is_ok(), "{id}");
    }
}

#[test]
fn the_index_leads_to_each_document_by_its_hash() {
    let documents = documents();
    let index: Value = serde_json::from_slice(&documents.index(&Customs::default()).body).unwrap();
    let paths = index["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 47);
    for path in [
        "api",
        "apis/apps",
        ".well-known/openid-configuration",
        "openid/v1/jwks",
        "version",
    ] {
        let url = paths[path]["serverRelativeURL"].as_str().unwrap();
        let (place, hash) = url.split_once("?hash=").unwrap();
        assert_eq!(place, format!("/openapi/v3/{path}"));
        let Answer::Found {
            document,
            immutable,
        } = documents.version(path, Some(hash), &Customs::default())
        else {
            panic!("{url}");
        };
        assert!(immutable);
        assert_eq!(document.etag(), format!("\"{hash}\""));
        assert_eq!(
            documents.version(path, Some("0"), &Customs::default()),
            Answer::Moved(url.into())
        );
        assert!(matches!(
            documents.version(path, None, &Customs::default()),
            Answer::Found {
                immutable: false,
                ..
            }
        ));
    }
    assert_eq!(
        documents.version("apis/none/v1", None, &Customs::default()),
        Answer::Unknown
    );
}

#[test]
fn documents_are_kept_while_there_is_room() {
    let mut kept = Kept::default();
    let document = |bytes: usize| Document {
        body: vec![0; bytes].into(),
        hash: String::new(),
    };
    kept.add("a", document(KEPT / 2));
    kept.add("b", document(KEPT / 4));
    assert!(kept.find("a").is_some());
    kept.add("c", document(KEPT / 2));
    assert!(kept.find("b").is_none() && kept.find("a").is_some() && kept.find("c").is_some());
    kept.add("d", document(2 * KEPT));
    assert!(kept.find("c").is_none() && kept.find("d").is_some());
}

#[test]
fn the_older_form_has_its_own_words() {
    let swagger = bare(
        serde_json::from_slice(&documents().swagger(Form::Json, &Customs::default()).body).unwrap(),
    );
    let definitions = &swagger["definitions"];
    assert_eq!(
        definitions["io.k8s.apimachinery.pkg.util.intstr.IntOrString"],
        json!({"type": "string", "format": "int-or-string"})
    );
    assert_eq!(
        definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"],
        json!({"type": "string"})
    );
    let job = &definitions["io.k8s.api.batch.v1.Job"]["properties"]["spec"];
    assert_eq!(
        *job,
        json!({"$ref": "#/definitions/io.k8s.api.batch.v1.JobSpec"})
    );
    let options = &definitions["io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"];
    let kinds = options["x-kubernetes-group-version-kind"]
        .as_array()
        .unwrap();
    assert!(kinds.contains(&json!({"group": "apps", "kind": "DeleteOptions", "version": "v1"})));
    let create = &swagger["paths"]["/api/v1/namespaces"]["post"];
    assert_eq!(create["consumes"], json!(["*/*"]));
    assert_eq!(
        create["parameters"][0],
        json!({"name": "body", "in": "body", "required": true,
               "schema": {"$ref": "#/definitions/io.k8s.api.core.v1.Namespace"}})
    );
    assert_eq!(
        create["parameters"][1],
        json!({"name": "dryRun", "in": "query", "type": "string", "uniqueItems": true})
    );
}

#[test]
fn the_form_is_what_is_asked_for_first() {
    use Form::{Json, Protobuf};
    let v2 = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    for (accept, wanted) in [
        (None, Some(Json)),
        (Some(""), Some(Json)),
        (Some("*/*"), Some(Json)),
        (Some("application/json"), Some(Json)),
        (Some(v2), Some(Protobuf)),
        (Some(PROTOBUF_MEDIA_TYPE), Some(Protobuf)),
        (
            Some(&*format!("{v2};q=0.5, application/json;q=0.9")),
            Some(Json),
        ),
        (Some(&*format!("text/html, {v2}, */*")), Some(Protobuf)),
        (Some("text/html"), None),
    ] {
        assert_eq!(form(accept), wanted, "{accept:?}");
    }
    let v3 = "application/com.github.proto-openapi.spec.v3@v1.0+protobuf";
    assert!(json_is_acceptable(None) && !json_is_acceptable(Some(v3)));
    assert!(json_is_acceptable(Some(&format!(
        "{v3}, application/json;q=0.9"
    ))));
}

#[test]
fn the_older_form_is_there_as_protobuf() {
    let document = documents().swagger(Form::Protobuf, &Customs::default());
    assert!(
        document
            .body
            .starts_with(b"\x0a\x032.0\x12\x12\x0a\x0aKubernetes\x12\x041.36")
    );
    assert_ne!(
        document.hash,
        documents().swagger(Form::Json, &Customs::default()).hash
    );
}
