//! Metrics: the names that the page of the documentation lists are those that the server shows, and what they count
//! is what has happened.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

pub fn cases() -> Vec<NamedCase> {
    cases![
        the_page_shows_what_the_documentation_lists,
        requests_are_counted_by_what_they_are,
        watches_are_counted_while_they_last,
        objects_are_counted_by_resource,
        checks_of_health_are_counted,
    ]
}

/// The samples of a page, by name and labels.
async fn samples(api: &Api, path: &str) -> BTreeMap<String, f64> {
    let page = api.get(path).await;
    assert_eq!(page.status, 200, "{}", page.text());
    assert_eq!(
        page.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let lines = page.text().lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            (sample.to_owned(), value.parse().unwrap())
        })
        .collect()
}

async fn sample(api: &Api, name: &str) -> f64 {
    samples(api, "/metrics")
        .await
        .get(name)
        .copied()
        .unwrap_or_default()
}

/// Names and kinds of what is on a page.
fn families(page: &str) -> BTreeSet<String> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.map(str::to_owned).collect()
}

/// What the documentation says there is.
fn listed() -> BTreeSet<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/kubernetes-metrics.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let (name, rest) = row.split_once('`').unwrap();
        let kind = rest.split('|').nth(1).unwrap().trim();
        format!("{name} {kind}")
    })
    .collect()
}

async fn the_page_shows_what_the_documentation_lists(_: Case) {
    let api = space("listed").await;
    // What is shown only once it has happened.
    api.get("endpoints").await.value(200);
    api.post("configmaps", &config_map("a", "1")).await.ok();
    let mut events = api
        .watch(
            "configmaps",
            "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
        )
        .await;
    assert_eq!(events.told(2).await, ["ADDED a", "BOOKMARK -"]);
    api.get("/readyz").await;
    doors::time_out(&api).await;
    let page = api.get("/metrics").await;
    let (shown, listed) = (families(page.text()), listed());
    let missing: Vec<_> = listed.difference(&shown).collect();
    assert!(missing.is_empty(), "listed and not shown: {missing:?}");
    let more: Vec<_> = shown.difference(&listed).collect();
    assert!(more.is_empty(), "shown and not listed: {more:?}");
}

async fn requests_are_counted_by_what_they_are(_: Case) {
    let api = space("counted").await;
    // A kind that no other case counts.
    let path = "/apis/scheduling.k8s.io/v1/priorityclasses";
    let class = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
        "metadata": {"name": api.space()}, "value": 1});
    api.post(&format!("{path}?dryRun=All"), &class)
        .await
        .value(201);
    api.post(path, &class).await.value(201);
    api.post(path, &class).await.value(409);
    api.get(path).await.value(200);
    let one = format!("{path}/{}", api.space());
    api.get(&one).await.value(200);
    api.patch("merge", &one, &json!({"description": "x"}))
        .await
        .value(200);
    let applied = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
        "metadata": {"name": api.space(), "labels": {"a": "b"}}, "value": 1});
    api.patch("apply", &format!("{one}?fieldManager=m"), &applied)
        .await
        .value(200);
    api.anonymous().get(path).await.value(403);
    api.delete(&one).await.value(200);
    let counted = samples(&api, "/metrics").await;
    let total = |verb: &str, scope: &str, dry_run: &str, code: u16| {
        let name = format!(
            "apiserver_request_total{{code=\"{code}\",component=\"apiserver\",dry_run=\"{dry_run}\",\
             group=\"scheduling.k8s.io\",resource=\"priorityclasses\",scope=\"{scope}\",subresource=\"\",\
             verb=\"{verb}\",version=\"v1\"}}"
        );
        counted.get(&name).copied().unwrap_or_default()
    };
    for (verb, scope, dry_run, code) in [
        ("POST", "resource", "All", 201),
        ("POST", "resource", "", 201),
        ("POST", "resource", "", 409),
        ("GET", "resource", "", 200),
        ("LIST", "cluster", "", 200),
        ("PATCH", "resource", "", 200),
        ("APPLY", "resource", "", 200),
        ("DELETE", "resource", "", 200),
    ] {
        assert_eq!(total(verb, scope, dry_run, code), 1.0, "{verb} {code}");
    }
    // Whoever is not let in is counted at the gate.
    assert_eq!(total("LIST", "cluster", "", 403), 0.0);
    assert!(counted[r#"authorization_attempts_total{result="no-opinion"}"#] >= 1.0);
    let of = |begin: &str| {
        let mut of = counted.iter().filter(|(name, _)| {
            name.starts_with(begin) && name.contains("priorityclasses") && name.contains("\"LIST\"")
        });
        *of.next().unwrap_or_else(|| panic!("no {begin}")).1
    };
    assert_eq!(of("apiserver_request_duration_seconds_count"), 1.0);
    assert_eq!(of("apiserver_request_sli_duration_seconds_count"), 1.0);
    assert_eq!(of("apiserver_response_sizes_count"), 1.0);
    assert!(of("apiserver_response_sizes_sum") > 1000.0);
}

async fn watches_are_counted_while_they_last(_: Case) {
    let api = space("running").await;
    let labels = "group=\"networking.k8s.io\",resource=\"networkpolicies\"";
    let running = "apiserver_longrunning_requests{component=\"apiserver\",group=\"networking.k8s.io\",\
         resource=\"networkpolicies\",scope=\"namespace\",subresource=\"\",verb=\"WATCH\",version=\"v1\"}";
    let mut events = api
        .watch("networking.k8s.io/v1/networkpolicies", "timeoutSeconds=60")
        .await;
    assert_eq!(sample(&api, running).await, 1.0);
    let policy = json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "p"}, "spec": {"podSelector": {}}});
    api.post("networking.k8s.io/v1/networkpolicies", &policy)
        .await
        .value(201);
    assert_eq!(events.told(1).await, ["ADDED p"]);
    let sent = format!("apiserver_watch_events_total{{{labels},version=\"v1\"}}");
    assert_eq!(sample(&api, &sent).await, 1.0);
    let received = format!("apiserver_watch_cache_events_received_total{{{labels}}}");
    assert!(sample(&api, &received).await >= 1.0);
    drop(events);
    let ended = async { while sample(&api, running).await != 0.0 {} };
    tokio::time::timeout(PATIENCE, ended)
        .await
        .expect("the watch is counted for ever");
}

async fn objects_are_counted_by_resource(_: Case) {
    let api = space("objects").await;
    let class = |name: &str| json!({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": name}, "handler": "h"});
    for name in ["metrics-a", "metrics-b"] {
        api.post("/apis/node.k8s.io/v1/runtimeclasses", &class(name))
            .await
            .value(201);
    }
    // The page shows what this member has seen, which is all of it after such a read.
    api.get("/apis/node.k8s.io/v1/runtimeclasses")
        .await
        .value(200);
    let labels = "group=\"node.k8s.io\",resource=\"runtimeclasses\"";
    let counted = samples(&api, "/metrics").await;
    assert!(counted[&format!("apiserver_resource_objects{{{labels}}}")] >= 2.0);
    assert!(counted[&format!("apiserver_resource_size_estimate_bytes{{{labels}}}")] > 100.0);
    assert!(counted["apiserver_storage_objects{resource=\"runtimeclasses.node.k8s.io\"}"] >= 2.0);
    assert!(counted[&format!("apiserver_watch_cache_resource_version{{{labels}}}")] > 1.0);
    let lists =
        "apiserver_cache_list_total{group=\"node.k8s.io\",index=\"\",resource=\"runtimeclasses\"}";
    let before = counted[lists];
    api.get("/apis/node.k8s.io/v1/runtimeclasses")
        .await
        .value(200);
    let after = sample(&api, lists).await;
    assert_eq!(after, before + 1.0);
}

async fn checks_of_health_are_counted(_: Case) {
    let api = space("slis").await;
    api.get("/livez").await;
    let counted = samples(&api, "/metrics/slis").await;
    assert_eq!(
        counted[r#"kubernetes_healthcheck{name="etcd",type="livez"}"#],
        1.0
    );
    assert!(
        counted[r#"kubernetes_healthchecks_total{name="ping",status="success",type="livez"}"#]
            >= 1.0
    );
    assert!(
        counted
            .keys()
            .all(|name| name.starts_with("kubernetes_healthcheck"))
    );
    let info = samples(&api, "/metrics").await;
    let release = info
        .keys()
        .find(|name| name.starts_with("kubernetes_build_info{"))
        .unwrap();
    assert!(release.contains("git_version=\"v1.36.2"), "{release}");
    assert!(info.contains_key("process_resident_memory_bytes"));
}
