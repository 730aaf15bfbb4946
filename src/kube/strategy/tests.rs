use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::deletion::{DeleteOptions, Verdict, before_delete, is_done, protected};
use super::{Context, begin_create, dedup_owners, fill, prepare_create, prepare_update};
use crate::kube::schema::{Resource, Resources, Schema};
use crate::kube::user::User;

const NOW: &str = "2026-11-21T21:26:45Z";

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_296_405)
}

fn resource(group: &str, plural: &str) -> &'static Resource {
    let groups = Resources::built_in().groups().iter();
    let mut of = groups
        .filter(|one| &*one.group == group)
        .flat_map(|one| &one.resources);
    of.find(|one| &*one.plural == plural).unwrap()
}

fn with<T>(run: impl FnOnce(&Context<'_>) -> T) -> T {
    let user = User {
        name: "alice".into(),
        groups: vec!["devs".into()],
        ..User::default()
    };
    run(&Context {
        schema: Schema::built_in(),
        user: &user,
        now: now(),
    })
}

fn created(group: &str, plural: &str, mut object: Value) -> Value {
    let of = resource(group, plural);
    begin_create(Schema::built_in(), of, "ns", &mut object).unwrap();
    let mut count = 0;
    let mut rng = || {
        count += 1;
        count
    };
    with(|cx| {
        fill(cx, of, &mut object, &mut rng);
        prepare_create(cx, of, &mut object);
    });
    object
}

fn updated(group: &str, plural: &str, sub: &str, old: &Value, mut new: Value) -> Value {
    with(|cx| prepare_update(cx, resource(group, plural), sub, old, &mut new));
    new
}

#[test]
fn a_new_object_gets_what_the_server_alone_gives() {
    let sent = json!({
        "metadata": {"generateName": "a-", "uid": "mine", "creationTimestamp": "2000-01-01T00:00:00Z", "generation": 7},
        "spec": {"containers": [{"name": "c", "image": "i:1"}]},
        "status": {"phase": "Running"},
    });
    let pod = created("", "pods", sent);
    assert_eq!(
        pod["metadata"].to_string(),
        concat!(
            r#"{"name":"a-fghjk","generateName":"a-","namespace":"ns","#,
            r#""uid":"00000000-0000-4001-8000-000000000002","generation":1,"creationTimestamp":"2026-11-21T21:26:45Z"}"#
        )
    );
    assert_eq!(
        pod["status"].to_string(),
        r#"{"phase":"Pending","qosClass":"BestEffort"}"#
    );
    let other = json!({"metadata": {"name": "a", "namespace": "other"}});
    let mut object = other;
    let error = begin_create(Schema::built_in(), resource("", "pods"), "ns", &mut object);
    assert_eq!(error.unwrap_err().code, 400);
}

#[test]
fn kinds_begin_as_they_do() {
    let namespace = created(
        "",
        "namespaces",
        json!({"metadata": {"name": "n", "namespace": "x"}, "spec": {}, "status": {"phase": "Terminating"}}),
    );
    assert_eq!(namespace["spec"]["finalizers"], json!(["kubernetes"]));
    assert_eq!(namespace["status"], json!({"phase": "Active"}));
    assert!(namespace["metadata"].get("namespace").is_none());

    let node = created(
        "",
        "nodes",
        json!({"metadata": {"name": "n"}, "spec": {"configSource": {}}, "status": {"phase": "x"}}),
    );
    assert_eq!(node["status"], json!({"phase": "x"}));
    assert_eq!(node["spec"], json!({}));

    let set = created(
        "apps",
        "daemonsets",
        json!({"metadata": {"name": "d"}, "spec": {"template": {}}, "status": {}}),
    );
    assert_eq!(
        set["metadata"]["annotations"]["deprecated.daemonset.template.generation"],
        "1"
    );
    assert_eq!(set["metadata"]["generation"], 1);

    let job = created(
        "batch",
        "jobs",
        json!({"metadata": {"name": "j"}, "spec": {"template": {"metadata": {}, "spec": {}}}, "status": {}}),
    );
    let uid = &job["metadata"]["uid"];
    assert_eq!(
        job["spec"]["selector"],
        json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}})
    );
    assert_eq!(
        job["spec"]["template"]["metadata"]["labels"].to_string(),
        json!({"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": "j", "controller-uid": uid, "job-name": "j"}).to_string()
    );

    let csr = created(
        "certificates.k8s.io",
        "certificatesigningrequests",
        json!({"metadata": {"name": "c"}, "spec": {"request": "", "signerName": "a/b", "username": "root"}, "status": {"certificate": "eA=="}}),
    );
    assert_eq!(
        csr["spec"],
        json!({"request": "", "signerName": "a/b", "username": "alice", "groups": ["devs"]})
    );
    assert_eq!(csr["status"], json!({}));

    let volume = created(
        "",
        "persistentvolumes",
        json!({"metadata": {"name": "v"}, "spec": {}, "status": {}}),
    );
    assert_eq!(
        volume["status"],
        json!({"phase": "Pending", "lastPhaseTransitionTime": NOW})
    );

    let claim = created(
        "",
        "persistentvolumeclaims",
        json!({"metadata": {"name": "c"}, "spec": {"resources": {}, "dataSource": {"kind": "PersistentVolumeClaim", "name": "p"}}, "status": {}}),
    );
    assert_eq!(
        claim["spec"]["dataSourceRef"],
        json!({"kind": "PersistentVolumeClaim", "name": "p"})
    );

    let config = created(
        "",
        "configmaps",
        json!({"metadata": {"name": "c", "generation": 3}}),
    );
    assert_eq!(config["metadata"]["generation"], 3);
}

#[test]
fn an_update_changes_neither_identity_nor_status() {
    let old = json!({
        "metadata": {"name": "a", "uid": "u", "generation": 2, "creationTimestamp": NOW},
        "spec": {"replicas": 1, "template": {}},
        "status": {"replicas": 1},
    });
    let sent = json!({"metadata": {"name": "a", "generation": 9, "labels": {"x": "y"}}, "spec": {"replicas": 1, "template": {}}, "status": {"replicas": 5}});
    let first = updated("apps", "deployments", "", &old, old.clone());
    let new = updated("apps", "deployments", "", &first, {
        let mut sent = sent;
        sent["spec"] = first["spec"].clone();
        sent
    });
    assert_eq!(new["status"], json!({"replicas": 1}));
    assert_eq!(new["metadata"]["uid"], "u");
    assert_eq!(new["metadata"]["creationTimestamp"], NOW);
    assert_eq!(
        new["metadata"]["generation"],
        first["metadata"]["generation"]
    );
    let mut scaled = new.clone();
    scaled["spec"]["replicas"] = 2.into();
    let scaled = updated("apps", "deployments", "", &new, scaled);
    let count = |value: &Value| value["metadata"]["generation"].as_i64().unwrap();
    assert_eq!(count(&scaled), count(&new) + 1);
    let mut status = scaled.clone();
    status["status"] = json!({"replicas": 3});
    status["spec"]["replicas"] = 7.into();
    status["metadata"]["labels"] = json!({"z": "z"});
    let status = updated("apps", "deployments", "status", &scaled, status);
    assert_eq!(status["spec"], scaled["spec"]);
    assert_eq!(status["status"], json!({"replicas": 3}));
    assert_eq!(status["metadata"], scaled["metadata"]);
}

#[test]
fn daemon_sets_count_their_templates() {
    let old = created(
        "apps",
        "daemonsets",
        json!({"metadata": {"name": "d"}, "spec": {"template": {"metadata": {}, "spec": {}}}, "status": {}}),
    );
    let mut new = old.clone();
    new["spec"]["template"]["spec"]["nodeName"] = "n".into();
    let new = updated("apps", "daemonsets", "", &old, new);
    assert_eq!(
        new["metadata"]["annotations"]["deprecated.daemonset.template.generation"],
        "2"
    );
    assert_eq!(new["metadata"]["generation"], 2);
}

#[test]
fn services_lose_what_their_new_type_has_no_use_for() {
    let old = json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80, "nodePort": 30000, "targetPort": 80, "protocol": "TCP"}], "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "type": "NodePort", "sessionAffinity": "None", "externalTrafficPolicy": "Cluster", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster"}, "status": {"loadBalancer": {}}});
    let mut new = old.clone();
    new["spec"]["type"] = "ClusterIP".into();
    let plain = updated("", "services", "", &old, new.clone());
    assert!(plain["spec"]["ports"][0].get("nodePort").is_none());
    assert!(plain["spec"].get("externalTrafficPolicy").is_none());
    new["spec"]["type"] = "ExternalName".into();
    let named = updated("", "services", "", &old, new);
    for gone in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        assert!(named["spec"].get(gone).is_none(), "{gone}");
    }
}

#[test]
fn requests_are_approved_through_approval_alone() {
    let old = json!({"metadata": {"name": "c"}, "spec": {"request": "", "signerName": "a/b"}, "status": {}});
    let mut new = old.clone();
    new["spec"]["signerName"] = "x/y".into();
    new["status"] = json!({"conditions": [{"type": "Approved", "status": "True", "lastUpdateTime": null, "lastTransitionTime": null}], "certificate": "eA=="});
    let plural = "certificatesigningrequests";
    let approved = updated("certificates.k8s.io", plural, "approval", &old, new.clone());
    assert_eq!(approved["spec"], old["spec"]);
    assert_eq!(
        approved["status"],
        json!({"conditions": [{"type": "Approved", "status": "True", "lastUpdateTime": NOW, "lastTransitionTime": NOW}]})
    );
    let main = updated("certificates.k8s.io", plural, "", &old, new);
    assert_eq!(main["status"], json!({}));
}

#[test]
fn namespaces_give_up_finalizers_through_finalize_alone() {
    let old = json!({"metadata": {"name": "n"}, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Terminating"}});
    let mut new = old.clone();
    new["spec"] = json!({});
    let main = updated("", "namespaces", "", &old, new.clone());
    assert_eq!(main["spec"], old["spec"]);
    let finalized = updated("", "namespaces", "finalize", &old, new);
    assert_eq!(finalized["spec"], json!({}));
}

#[test]
fn owners_named_twice_are_dropped_with_a_warning() {
    let mut object =
        json!({"metadata": {"ownerReferences": [{"uid": "a"}, {"uid": "a"}, {"uid": "b"}]}});
    let warning = dedup_owners(&mut object, false).unwrap();
    assert!(warning.ends_with("duplicate UID(s) observed: a"));
    assert_eq!(
        object["metadata"]["ownerReferences"],
        json!([{"uid": "a"}, {"uid": "b"}])
    );
    assert_eq!(dedup_owners(&mut object, false), None);
}

fn delete(group: &str, plural: &str, object: &mut Value, options: &DeleteOptions) -> Verdict {
    before_delete(
        Schema::built_in(),
        resource(group, plural),
        object,
        options,
        now(),
    )
    .unwrap()
}

fn with_grace(seconds: i64) -> DeleteOptions {
    DeleteOptions {
        grace_period_seconds: Some(seconds),
        ..DeleteOptions::default()
    }
}

#[test]
fn pods_are_given_time() {
    let running = json!({"metadata": {"name": "p", "generation": 1}, "spec": {"nodeName": "n", "terminationGracePeriodSeconds": 30}, "status": {"phase": "Running"}});
    let mut pod = running;
    assert_eq!(
        delete("", "pods", &mut pod, &DeleteOptions::default()),
        Verdict::Mark
    );
    assert_eq!(
        pod["metadata"].to_string(),
        r#"{"name":"p","generation":2,"deletionTimestamp":"2026-11-21T21:27:15Z","deletionGracePeriodSeconds":30}"#
    );
    assert_eq!(
        delete("", "pods", &mut pod, &DeleteOptions::default()),
        Verdict::Pending
    );
    assert_eq!(
        delete("", "pods", &mut pod, &with_grace(60)),
        Verdict::Pending
    );
    assert_eq!(delete("", "pods", &mut pod, &with_grace(5)), Verdict::Mark);
    assert_eq!(pod["metadata"]["deletionTimestamp"], "2026-11-21T21:26:50Z");
    assert_eq!(
        delete("", "pods", &mut pod, &with_grace(0)),
        Verdict::MarkThenRemove
    );
    for at_once in [
        json!({"metadata": {}, "spec": {"terminationGracePeriodSeconds": 30}, "status": {}}),
        json!({"metadata": {}, "spec": {"nodeName": "n"}, "status": {"phase": "Succeeded"}}),
    ] {
        let mut pod = at_once;
        assert_eq!(
            delete("", "pods", &mut pod, &DeleteOptions::default()),
            Verdict::MarkThenRemove
        );
    }
}

#[test]
fn finalizers_hold_what_is_deleted() {
    let mut map = json!({"metadata": {"name": "c", "finalizers": ["a/b"]}});
    assert_eq!(
        delete("", "configmaps", &mut map, &DeleteOptions::default()),
        Verdict::Mark
    );
    assert_eq!(map["metadata"]["deletionGracePeriodSeconds"], 0);
    let mut free = map.clone();
    free["metadata"]
        .as_object_mut()
        .unwrap()
        .shift_remove("finalizers");
    assert!(is_done(resource("", "configmaps"), &map, &free));
    let mut plain = json!({"metadata": {"name": "c"}});
    assert_eq!(
        delete("", "configmaps", &mut plain, &DeleteOptions::default()),
        Verdict::Now
    );
    let foreground = DeleteOptions {
        propagation_policy: Some("Foreground".into()),
        ..DeleteOptions::default()
    };
    let mut owner = json!({"metadata": {"name": "d", "generation": 1}});
    assert_eq!(
        delete("apps", "deployments", &mut owner, &foreground),
        Verdict::Mark
    );
    assert_eq!(
        owner["metadata"]["finalizers"],
        json!(["foregroundDeletion"])
    );
    let mut old_api = json!({"metadata": {"name": "j"}});
    assert_eq!(
        delete("batch", "jobs", &mut old_api, &DeleteOptions::default()),
        Verdict::Mark
    );
    assert_eq!(old_api["metadata"]["finalizers"], json!(["orphan"]));
    let mut event = json!({"metadata": {"name": "e"}});
    assert_eq!(delete("", "events", &mut event, &foreground), Verdict::Now);
}

#[test]
fn namespaces_terminate() {
    let mut namespace = json!({"metadata": {"name": "n"}, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}});
    assert_eq!(
        delete("", "namespaces", &mut namespace, &DeleteOptions::default()),
        Verdict::Mark
    );
    assert_eq!(namespace["status"]["phase"], "Terminating");
    assert_eq!(namespace["metadata"]["deletionTimestamp"], NOW);
    assert_eq!(
        delete("", "namespaces", &mut namespace, &DeleteOptions::default()),
        Verdict::Pending
    );
    let refused = protected(resource("", "namespaces"), "default").unwrap();
    assert_eq!(
        refused.message,
        r#"namespaces "default" is forbidden: this namespace may not be deleted"#
    );
}

#[test]
fn preconditions_are_kept() {
    let mut object = json!({"metadata": {"name": "a", "uid": "x"}});
    let options = DeleteOptions::from_value(&json!({"preconditions": {"uid": "y"}}));
    let error = before_delete(
        Schema::built_in(),
        resource("", "configmaps"),
        &mut object,
        &options,
        now(),
    )
    .unwrap_err();
    assert_eq!(
        error.message,
        r#"Operation cannot be fulfilled on ConfigMap "a": the UID in the precondition (y) does not match the UID in record (x). The object might have been deleted and then recreated"#
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn nothing_panics(old in crate::kube::defaults::tests::any_json(), new in crate::kube::defaults::tests::any_json()) {
        for of in Resources::built_in().groups().iter().flat_map(|group| &group.resources) {
            let mut rng = || 4;
            with(|cx| {
                let mut object = new.clone();
                let _ = begin_create(cx.schema, of, "ns", &mut object);
                fill(cx, of, &mut object, &mut rng);
                prepare_create(cx, of, &mut object);
                for sub in ["", "status", "finalize", "approval", "resize", "ephemeralcontainers"] {
                    let mut object = new.clone();
                    prepare_update(cx, of, sub, &old, &mut object);
                }
                let mut object = old.clone();
                let _ = before_delete(cx.schema, of, &mut object, &DeleteOptions::default(), now());
            });
        }
    }
}
