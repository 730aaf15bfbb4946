//! Three members, each with the Kubernetes API.

use super::api::{flags, version};
use super::*;

/// What is written through one member is read through the others, and is there after a restart.
#[tokio::test]
async fn members_serve_each_others_writes_and_keep_them() {
    if !Program::get().is_own() {
        eprintln!("kube: not run, the server under test has no Kubernetes API");
        return;
    }
    let ports = free_ports(3);
    let authority = tempfile::tempdir().unwrap();
    // All members' certificates have one issuer: they share what is made in this directory.
    let settings = Settings::plain().flag("cert-dir", authority.path().display());
    let mut cluster = Cluster::prepare(settings.clone());
    for (index, &port) in ports.iter().enumerate() {
        cluster.reconfigure(index, &flags(settings.clone(), port));
    }
    for index in 0..3 {
        cluster[index].spawn();
    }
    let mut apis = Vec::new();
    for (index, &port) in ports.iter().enumerate() {
        cluster[index].ready().await;
        apis.push(Api::serving(port, authority.path()).await);
    }
    let made = apis[0].namespace("three").await;
    let each: Vec<_> = apis.iter().map(|api| api.within(made.space())).collect();

    for (index, writer) in each.iter().enumerate() {
        let name = format!("m{index}");
        let written = writer
            .post("configmaps", &config_map(&name, "1"))
            .await
            .value(201);
        for reader in &each {
            let path = format!("configmaps/{name}");
            // The latest, and what is not older than the version that was written.
            assert_eq!(reader.get(&path).await.value(200), written);
            let asked = format!("resourceVersion={}", version(&written));
            assert_eq!(
                reader.get(&format!("{path}?{asked}")).await.value(200),
                written
            );
            let list = reader.get(&format!("configmaps?{asked}")).await.value(200);
            assert!(names(&list).contains(&name));
        }
    }
    // A watch at one member tells what another one takes.
    let begin = each[2].get("configmaps").await.ok();
    let from = format!("resourceVersion={}", version(&begin));
    let mut events = each[1].watch("configmaps", &from).await;
    each[0]
        .put("configmaps/m2", &config_map("m2", "2"))
        .await
        .value(200);
    each[2].delete("configmaps/m1").await.value(200);
    assert_eq!(events.told(2).await, ["MODIFIED m2", "DELETED m1"]);
    let before = each[0].get("configmaps").await.ok();

    for index in 0..3 {
        cluster[index].kill();
    }
    for index in 0..3 {
        cluster[index].spawn();
    }
    for (index, &port) in ports.iter().enumerate() {
        cluster[index].ready().await;
        let api = Api::serving(port, authority.path())
            .await
            .within(made.space());
        assert_eq!(names(&api.get("configmaps").await.ok()), ["m0", "m2"]);
        let kept = api.get("configmaps").await.ok();
        assert_eq!(kept["items"], before["items"]);
        // What happened before this start is told no more: the client is to list again.
        let mut past = api.watch("configmaps", &from).await;
        let error = past.next().await.unwrap();
        assert_eq!(
            (&error["type"], &error["object"]["code"]),
            (&json!("ERROR"), &json!(410))
        );
        assert_eq!(error["object"]["reason"], "Expired");
        let begin = format!("too old resource version: {} (", version(&begin));
        assert!(
            error["object"]["message"]
                .as_str()
                .unwrap()
                .starts_with(&begin),
            "{error}"
        );
        assert_eq!(past.next().await, None);
    }
}
