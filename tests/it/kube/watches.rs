//! Watches.

use super::api::version;
use super::*;

pub fn cases() -> Vec<NamedCase> {
    cases![
        every_change_is_told_in_order,
        the_state_comes_first_and_its_end_is_marked,
        a_selection_is_entered_and_left,
        a_watch_ends_when_its_time_is_up,
        one_object_is_watched_by_name,
        a_watch_of_all_namespaces_tells_of_each,
        what_a_watch_cannot_be_is_refused,
    ]
}

async fn every_change_is_told_in_order(_: Case) {
    let api = space("order").await;
    let begin = api.get("configmaps").await.ok();
    // The first part is past by the time it is asked for, the second is yet to come.
    let made = api.post("configmaps", &config_map("a", "1")).await.ok();
    let changed = api.put("configmaps/a", &config_map("a", "2")).await.ok();
    let from = format!("resourceVersion={}", version(&begin));
    let mut events = api.watch("configmaps", &from).await;
    let first = events.next().await.unwrap();
    assert_eq!(first, json!({"type": "ADDED", "object": made}));
    let second = events.next().await.unwrap();
    assert_eq!(second, json!({"type": "MODIFIED", "object": changed}));
    api.delete("configmaps/a").await.ok();
    let third = events.next().await.unwrap();
    assert_eq!(third["type"], "DELETED");
    assert_eq!(third["object"]["data"]["k"], "2");
    let number = |object: &Value| version(object).parse::<u64>().unwrap();
    assert!(number(&third["object"]) > number(&changed));
    api.post("configmaps", &config_map("b", "1")).await.ok();
    assert_eq!(events.told(1).await, ["ADDED b"]);
}

async fn the_state_comes_first_and_its_end_is_marked(_: Case) {
    let api = space("state").await;
    for name in ["a", "b"] {
        api.post("configmaps", &config_map(name, "1")).await.ok();
    }
    let query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut events = api.watch("configmaps", query).await;
    assert_eq!(events.told(2).await, ["ADDED a", "ADDED b"]);
    let mark = events.next().await.unwrap();
    let list = api.get("configmaps").await.ok();
    assert_eq!(mark["type"], "BOOKMARK");
    let metadata = &mark["object"]["metadata"];
    assert_eq!(
        metadata["annotations"],
        json!({"k8s.io/initial-events-end": "true"})
    );
    assert_eq!(mark["object"]["kind"], "ConfigMap");
    let number = |object: &Value| version(object).parse::<u64>().unwrap();
    assert!(number(&mark["object"]) <= number(&list));
    assert!(number(&mark["object"]) >= number(&list["items"][1]));
    api.delete("configmaps/a").await.ok();
    assert_eq!(events.told(1).await, ["DELETED a"]);

    // Without bookmarks the end has no mark; without the state it begins with what comes.
    let mut unmarked = api.watch("configmaps", "").await;
    assert_eq!(unmarked.told(1).await, ["ADDED b"]);
    let query = "sendInitialEvents=false&resourceVersionMatch=NotOlderThan&resourceVersion=0";
    let mut live = api.watch("configmaps", query).await;
    api.post("configmaps", &config_map("c", "1")).await.ok();
    assert_eq!(unmarked.told(1).await, ["ADDED c"]);
    assert_eq!(live.told(1).await, ["ADDED c"]);
}

async fn a_selection_is_entered_and_left(_: Case) {
    let api = space("enter").await;
    let begin = api.get("configmaps").await.ok();
    let query = format!("labelSelector=on&resourceVersion={}", version(&begin));
    let mut events = api.watch("configmaps", &query).await;
    api.post("configmaps", &config_map("a", "1")).await.ok();
    let on = json!({"metadata": {"labels": {"on": "yes"}}, "data": {"k": "2"}});
    api.patch("merge", "configmaps/a", &on).await.ok();
    api.patch("merge", "configmaps/a", &json!({"data": {"k": "3"}}))
        .await
        .ok();
    let off = json!({"metadata": {"labels": null}, "data": {"k": "4"}});
    let left = api.patch("merge", "configmaps/a", &off).await.ok();
    api.delete("configmaps/a").await.ok();
    let mut told = Vec::new();
    for _ in 0..3 {
        let event = events.next().await.unwrap();
        told.push((event["type"].clone(), event["object"]["data"]["k"].clone()));
        if event["type"] == "DELETED" {
            assert_eq!(version(&event["object"]), version(&left));
        }
    }
    let expected = [("ADDED", "2"), ("MODIFIED", "3"), ("DELETED", "3")];
    assert_eq!(
        told,
        expected.map(|(kind, value)| (json!(kind), json!(value)))
    );
}

async fn a_watch_ends_when_its_time_is_up(_: Case) {
    let api = space("ends").await;
    api.post("configmaps", &config_map("a", "1")).await.ok();
    let mut events = api.watch("configmaps", "timeoutSeconds=1").await;
    assert_eq!(events.told(1).await, ["ADDED a"]);
    assert_eq!(events.next().await, None);
}

async fn one_object_is_watched_by_name(_: Case) {
    let api = space("single").await;
    let begin = api.get("configmaps").await.ok();
    let from = format!("resourceVersion={}", version(&begin));
    let field = format!("{from}&fieldSelector=metadata.name%3Db");
    let mut by_field = api.watch("configmaps", &field).await;
    let old_path = format!("/api/v1/watch/namespaces/{}/configmaps/b", api.space());
    let mut by_old_path = api.watch(&old_path, &from).await;
    for name in ["a", "b", "c"] {
        api.post("configmaps", &config_map(name, "1")).await.ok();
    }
    api.delete("configmaps/b").await.ok();
    for events in [&mut by_field, &mut by_old_path] {
        assert_eq!(events.told(2).await, ["ADDED b", "DELETED b"]);
    }
}

async fn a_watch_of_all_namespaces_tells_of_each(_: Case) {
    let (one, two) = (space("one").await, space("two").await);
    let begin = two.get("configmaps").await.ok();
    let label = format!("{}-mark", one.space());
    let query = format!("resourceVersion={}&labelSelector={label}", version(&begin));
    let mut events = one.watch("/api/v1/configmaps", &query).await;
    for (api, name) in [(&one, "first"), (&two, "second")] {
        let mut map = config_map(name, "1");
        map["metadata"]["labels"] = json!({label.clone(): "1"});
        api.post("configmaps", &map).await.ok();
    }
    assert_eq!(events.told(2).await, ["ADDED first", "ADDED second"]);
}

async fn what_a_watch_cannot_be_is_refused(_: Case) {
    let api = space("refuse").await;
    let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
    let message = format!("Forbidden: {why}");
    let causes = json!([{"reason": "FieldValueForbidden", "message": message,
        "field": "resourceVersionMatch"}]);
    api.get("configmaps?watch=1&sendInitialEvents=true")
        .await
        .refused(
            422,
            "Invalid",
            &format!("ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: {message}"),
            json!({"group": "meta.k8s.io", "kind": "ListOptions", "causes": causes}),
        );
    let yaml = api.with("accept", "application/yaml");
    assert_eq!(
        yaml.get("configmaps?watch=1&timeoutSeconds=1").await.status,
        406
    );
}
