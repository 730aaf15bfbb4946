//! Health, version and the other plain HTTP endpoints of the client port.

use ::http::{Method, Request};

use crate::harness::*;

#[tokio::test]
async fn endpoints() {
    let cases = cases![
        health_is_true,
        health_is_json,
        health_refuses_other_methods,
        serializable_health_is_true,
        health_may_exclude_alarms,
        livez_and_readyz_say_ok,
        probe_headers_are_exact,
        verbose_readyz_lists_its_checks,
        verbose_livez_lists_its_checks,
        single_checks_can_be_asked,
        an_unknown_check_is_not_found,
        a_check_can_be_excluded,
        version_tells_server_and_cluster,
        debug_vars_are_json,
        an_unknown_path_is_not_found,
        grpc_and_http_share_the_port,
        many_requests_on_one_server,
    ];
    Suite::new("http", cases)
        .since(3, 6, cases![version_tells_storage])
        .run(shared().await)
        .await;
}

async fn get(c: &Case, path: &str) -> Answer {
    c.client.http(path).await
}

async fn send(c: &Case, method: Method, path: &str) -> Answer {
    let request = Request::builder().method(method).uri(path);
    let request = request.body(Default::default()).unwrap();
    c.client.http_send(request).await
}

const HEALTHY: &str = r#"{"health":"true","reason":""}"#;

async fn health_is_true(c: Case) {
    let answer = get(&c, "/health").await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, HEALTHY));
}

async fn health_is_json(c: Case) {
    let answer = get(&c, "/health").await;
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body["health"], "true");
}

async fn health_refuses_other_methods(c: Case) {
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let answer = send(&c, method.clone(), "/health").await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), "GET");
    }
}

async fn serializable_health_is_true(c: Case) {
    let answer = get(&c, "/health?serializable=true").await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, HEALTHY));
}

async fn health_may_exclude_alarms(c: Case) {
    for path in [
        "/health?exclude=NOSPACE",
        "/health?exclude=NOSPACE&exclude=CORRUPT",
    ] {
        let answer = get(&c, path).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, HEALTHY));
    }
}

async fn livez_and_readyz_say_ok(c: Case) {
    for path in ["/livez", "/readyz"] {
        let answer = get(&c, path).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, "ok\n"));
    }
}

async fn probe_headers_are_exact(c: Case) {
    let answer = get(&c, "/readyz").await;
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
}

/// Lines of a verbose answer; their order is not fixed.
fn lines(answer: &Answer) -> Vec<&str> {
    let mut lines: Vec<_> = answer.text().lines().collect();
    lines.sort_unstable();
    lines
}

async fn verbose_readyz_lists_its_checks(c: Case) {
    let answer = get(&c, "/readyz?verbose").await;
    let checks = [
        "data_corruption",
        "linearizable_read",
        "non_learner",
        "serializable_read",
    ];
    let mut due = checks.map(|name| format!("[+]{name} ok")).to_vec();
    due.push("ok".into());
    assert_eq!(lines(&answer), due);
}

async fn verbose_livez_lists_its_checks(c: Case) {
    let answer = get(&c, "/livez?verbose").await;
    assert_eq!(answer.text(), "[+]serializable_read ok\nok\n");
}

async fn single_checks_can_be_asked(c: Case) {
    for path in [
        "/livez/serializable_read",
        "/readyz/serializable_read",
        "/readyz/linearizable_read",
        "/readyz/data_corruption",
        "/readyz/non_learner",
    ] {
        let answer = get(&c, path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.text()),
            (200, "ok\n"),
            "{path}"
        );
    }
}

async fn an_unknown_check_is_not_found(c: Case) {
    for path in [
        "/livez/nothing",
        "/readyz/nothing",
        "/livez/linearizable_read",
    ] {
        assert_eq!(get(&c, path).await.status, 404, "{path}");
    }
}

async fn a_check_can_be_excluded(c: Case) {
    let answer = get(&c, "/readyz?verbose&exclude=linearizable_read").await;
    assert!(!answer.text().contains("[+]linearizable_read"));
    assert!(answer.text().contains("[+]serializable_read ok"));
    assert_eq!(answer.status, 200);
}

async fn version(c: &Case) -> serde_json::Value {
    let answer = get(c, "/version").await;
    assert_eq!(answer.status, 200);
    serde_json::from_slice(&answer.body).unwrap()
}

async fn version_tells_server_and_cluster(c: Case) {
    let version = version(&c).await;
    let status = c.client.status(Default::default()).await.unwrap();
    assert_eq!(version["etcdserver"], status.version);
    let cluster = version["etcdcluster"].as_str().unwrap();
    let (major, minor) = c.client.version().await;
    assert_eq!(cluster, format!("{major}.{minor}.0"));
}

async fn version_tells_storage(c: Case) {
    assert!(version(&c).await["storage"].is_string());
}

async fn debug_vars_are_json(c: Case) {
    let answer = get(&c, "/debug/vars").await;
    assert_eq!(answer.status, 200);
    let vars: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert!(vars.is_object());
}

async fn an_unknown_path_is_not_found(c: Case) {
    for path in ["/", "/nothing", "/healthz", "/v2/keys"] {
        assert_eq!(get(&c, path).await.status, 404, "{path}");
    }
}

async fn grpc_and_http_share_the_port(c: Case) {
    let mut watch = c.watch("a").await;
    assert_eq!(get(&c, "/health").await.status, 200);
    c.put("a", "1").await;
    assert_eq!(told(&watch.next().await.events), "PUT a=1");
}

async fn many_requests_on_one_server(c: Case) {
    let requests = (0..50).map(|_| get(&c, "/readyz"));
    for answer in futures::future::join_all(requests).await {
        assert_eq!(answer.status, 200);
    }
}
