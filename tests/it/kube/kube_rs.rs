//! kube-rs, as operators use it: typed clients, watchers, a reflector, a controller, and kinds that are not known
//! when a program is compiled.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, pin_mut};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams,
    PostParams,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::{WatchStreamExt as _, predicates, reflector, watcher};
use kube::{Api as Typed, Client, Config, ResourceExt as _};

use super::*;

pub fn cases() -> Vec<NamedCase> {
    cases![
        kube_rs_reflects_what_is_stored,
        kube_rs_streams_the_initial_list,
        a_kube_rs_controller_makes_what_its_objects_ask_for,
        kube_rs_applies_and_is_told_of_conflicts,
        kube_rs_works_with_kinds_that_it_learns_of_at_run_time,
    ]
}

/// The administrator's client, in the namespace of `api`.
async fn client(api: &Api) -> Client {
    let file = Kubeconfig::read_from(api.kubeconfig()).unwrap();
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(file, &options)
        .await
        .unwrap();
    config.default_namespace = api.space().to_owned();
    Client::try_from(config).unwrap()
}

fn settings(name: &str, entries: &[(&str, &str)]) -> ConfigMap {
    let data = entries.iter().map(|(k, v)| (k.to_string(), v.to_string()));
    let mut map = ConfigMap {
        data: Some(data.collect::<BTreeMap<_, _>>()),
        ..ConfigMap::default()
    };
    map.metadata.name = Some(name.into());
    map
}

/// Waits until `met` holds.
async fn until(what: &str, met: impl Fn() -> bool) {
    let wait = async {
        while !met() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("{what} does not come true"));
}

async fn kube_rs_reflects_what_is_stored(_: Case) {
    reflects("reflects", watcher::Config::default()).await;
}

async fn kube_rs_streams_the_initial_list(_: Case) {
    reflects("streams", watcher::Config::default().streaming_lists()).await;
}

async fn reflects(name: &str, config: watcher::Config) {
    let api = space(name).await;
    let maps: Typed<ConfigMap> = Typed::default_namespaced(client(&api).await);
    let post = PostParams::default();
    maps.create(&post, &settings("a", &[("k", "1")]))
        .await
        .unwrap();
    let (reader, writer) = reflector::store();
    let stream = reflector(writer, watcher(maps.clone(), config))
        .default_backoff()
        .applied_objects();
    let following = async move {
        pin_mut!(stream);
        while stream.try_next().await.unwrap().is_some() {}
    };
    let changing = async {
        reader.wait_until_ready().await.unwrap();
        assert_eq!(reader.len(), 1);
        maps.create(&post, &settings("b", &[("k", "2")]))
            .await
            .unwrap();
        until("both are seen", || reader.len() == 2).await;
        let patch = serde_json::json!({"data": {"k": "3"}});
        let patched = maps
            .patch("a", &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .unwrap();
        let seen = || reader.find(|map| map.resource_version() == patched.resource_version());
        until("the change is seen", || seen().is_some()).await;
        assert_eq!(seen().unwrap().data.as_ref().unwrap()["k"], "3");
        maps.delete("b", &DeleteParams::default()).await.unwrap();
        until("the deletion is seen", || reader.len() == 1).await;
    };
    tokio::select! {
        () = following => panic!("a watcher goes on for ever"),
        () = changing => {}
    }
}

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Failed(#[from] kube::Error);

/// Makes a secret of the same content for a config map, which owns it.
async fn reconcile(map: Arc<ConfigMap>, client: Arc<Client>) -> Result<Action, Failed> {
    use kube::Resource as _;
    let secrets: Typed<Secret> = Typed::default_namespaced(Client::clone(&client));
    let mut secret = Secret {
        string_data: map.data.clone(),
        ..Secret::default()
    };
    secret.metadata.name = Some(map.name_any());
    secret.metadata.owner_references = Some(vec![map.controller_owner_ref(&()).unwrap()]);
    let params = PatchParams::apply("controller-of-the-test").force();
    secrets
        .patch(&map.name_any(), &params, &Patch::Apply(&secret))
        .await?;
    Ok(Action::await_change())
}

async fn a_kube_rs_controller_makes_what_its_objects_ask_for(_: Case) {
    let api = space("controller").await;
    let client = client(&api).await;
    let maps: Typed<ConfigMap> = Typed::default_namespaced(client.clone());
    let secrets: Typed<Secret> = Typed::default_namespaced(client.clone());
    let failed = |_: Arc<ConfigMap>, error: &Failed, _: Arc<Client>| panic!("{error}");
    let controller = Controller::new(maps.clone(), watcher::Config::default())
        .owns(secrets.clone(), watcher::Config::default())
        .run(reconcile, failed, Arc::new(client))
        .for_each(|done| async move {
            done.unwrap();
        });
    let driving = async {
        let map = settings("wanted", &[("user", "me")]);
        maps.create(&PostParams::default(), &map).await.unwrap();
        let is = |expected: &'static str| {
            move |secret: Option<&Secret>| {
                let data = secret.and_then(|secret| secret.data.as_ref());
                data.and_then(|data| data.get("user"))
                    .is_some_and(|value| value.0 == expected.as_bytes())
            }
        };
        let come = await_condition(secrets.clone(), "wanted", is("me"));
        tokio::time::timeout(PATIENCE, come).await.unwrap().unwrap();
        // What somebody changes by hand comes back.
        let patch = serde_json::json!({"stringData": {"user": "other"}});
        secrets
            .patch("wanted", &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .unwrap();
        let come = await_condition(secrets.clone(), "wanted", is("me"));
        tokio::time::timeout(PATIENCE, come).await.unwrap().unwrap();
        let secret = secrets.get("wanted").await.unwrap();
        assert_eq!(secret.owner_references()[0].kind, "ConfigMap");
    };
    tokio::select! {
        () = controller => panic!("a controller goes on for ever"),
        () = driving => {}
    }
}

async fn kube_rs_applies_and_is_told_of_conflicts(_: Case) {
    let api = space("applies").await;
    let maps: Typed<ConfigMap> = Typed::default_namespaced(client(&api).await);
    let apply = |manager: &'static str, value: &'static str| {
        let map = settings("shared", &[("k", value)]);
        let maps = maps.clone();
        async move {
            let params = PatchParams::apply(manager);
            maps.patch("shared", &params, &Patch::Apply(&map)).await
        }
    };
    apply("one", "1").await.unwrap();
    let refused = apply("two", "2").await.unwrap_err();
    let kube::Error::Api(status) = refused else {
        panic!("{refused}")
    };
    assert_eq!(status.code, 409);
    assert!(
        status.message.contains(r#"conflict with "one": .data.k"#),
        "{}",
        status.message
    );
    let params = PatchParams::apply("two").force();
    let map = settings("shared", &[("k", "2")]);
    let forced = maps
        .patch("shared", &params, &Patch::Apply(&map))
        .await
        .unwrap();
    let owners: Vec<_> = forced
        .managed_fields()
        .iter()
        .filter_map(|entry| entry.manager.clone())
        .collect();
    assert_eq!(owners, ["two"]);
}

async fn kube_rs_works_with_kinds_that_it_learns_of_at_run_time(_: Case) {
    let api = space("dynamic").await;
    let client = client(&api).await;
    let group = format!("{}.example.com", api.space());
    let definition: CustomResourceDefinition = serde_json::from_value(serde_json::json!({
        "metadata": {"name": format!("widgets.{group}")},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {
                        "size": {"type": "integer", "minimum": 1, "default": 3},
                    }},
                    "status": {"type": "object", "properties": {"ready": {"type": "boolean"}}},
                }}},
            }],
        },
    }))
    .unwrap();
    let definitions: Typed<CustomResourceDefinition> = Typed::all(client.clone());
    let name = definition.name_any();
    definitions
        .create(&PostParams::default(), &definition)
        .await
        .unwrap();
    let come = await_condition(definitions.clone(), &name, conditions::is_crd_established());
    tokio::time::timeout(PATIENCE, come).await.unwrap().unwrap();

    let kind = ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk(&group, "v1", "Widget"),
        "widgets",
    );
    let widgets: Typed<DynamicObject> = Typed::default_namespaced_with(client.clone(), &kind);
    let mut one = DynamicObject::new("one", &kind);
    one.data = serde_json::json!({"spec": {}, "status": {"ready": true}});
    let made = widgets.create(&PostParams::default(), &one).await.unwrap();
    assert_eq!(made.data["spec"]["size"], 3);
    assert!(
        made.data.get("status").is_none(),
        "a status is set by its subresource"
    );
    let status = serde_json::json!({"status": {"ready": true}});
    let told = widgets
        .patch_status("one", &PatchParams::default(), &Patch::Merge(&status))
        .await
        .unwrap();
    assert_eq!(
        (told.metadata.generation, &told.data["status"]["ready"]),
        (Some(1), &true.into())
    );
    let small = serde_json::json!({"spec": {"size": 0}});
    let refused = widgets
        .patch("one", &PatchParams::default(), &Patch::Merge(&small))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("spec.size"), "{refused}");

    let mut changes = watcher(widgets.clone(), watcher::Config::default())
        .applied_objects()
        .predicate_filter(predicates::generation, Default::default())
        .boxed();
    let first = tokio::time::timeout(PATIENCE, changes.try_next())
        .await
        .unwrap();
    assert_eq!(first.unwrap().unwrap().name_any(), "one");
    let larger = serde_json::json!({"spec": {"size": 5}});
    widgets
        .patch("one", &PatchParams::default(), &Patch::Merge(&larger))
        .await
        .unwrap();
    let next = tokio::time::timeout(PATIENCE, changes.try_next())
        .await
        .unwrap();
    assert_eq!(next.unwrap().unwrap().data["spec"]["size"], 5);

    let found =
        kube::discovery::pinned_kind(&client, &GroupVersionKind::gvk(&group, "v1", "Widget"));
    let (found, _) = found.await.unwrap();
    assert_eq!(found.plural, "widgets");
    definitions
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    let gone = await_condition(
        definitions.clone(),
        &name,
        |crd: Option<&CustomResourceDefinition>| crd.is_none(),
    );
    tokio::time::timeout(PATIENCE, gone).await.unwrap().unwrap();
    let refused = widgets.list(&ListParams::default()).await.unwrap_err();
    assert!(matches!(refused, kube::Error::Api(status) if status.code == 404));
}
