//! The JSON gateway.

use ::http::{Method, Request};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use crate::harness::*;

also_over_tls![gateway];

#[tokio::test]
async fn gateway() {
    let cases = cases![
        put_and_range,
        bytes_are_base64,
        url_safe_base64_is_accepted,
        numbers_may_be_strings_or_numbers,
        names_may_be_camel_case,
        zero_values_are_left_out,
        unknown_fields_are_ignored,
        enums_are_names_or_numbers,
        delete_range_answers,
        a_transaction_answers,
        a_lease_lives_and_dies,
        members_and_status_are_told,
        errors_have_code_and_message,
        statuses_follow_codes,
        get_is_not_implemented,
        an_unknown_path_is_not_found,
        malformed_json_is_refused,
        a_watch_streams_results,
        the_beta_prefix_is_the_same,
        cross_origin_requests_are_allowed,
    ];
    Suite::new("gateway", cases).run(shared().await).await;
}

/// Standard base64, written out so that the cases do not depend on what they test.
fn base64(bytes: impl AsRef<[u8]>) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.as_ref().chunks(3) {
        let padded = [chunk, &[0, 0]].concat();
        let bits = u32::from_be_bytes([0, padded[0], padded[1], padded[2]]);
        for place in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= chunk.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    text
}

async fn send(c: &Case, method: Method, path: &str, body: String) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json");
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    c.client.http_send(request).await
}

async fn post(c: &Case, path: &str, body: Value) -> (u16, Value) {
    let answer = send(c, Method::POST, path, body.to_string()).await;
    let json = serde_json::from_slice(&answer.body);
    (answer.status.as_u16(), json.unwrap_or(Value::Null))
}

async fn ok(c: &Case, path: &str, body: Value) -> Value {
    let (status, answer) = post(c, path, body).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

fn key(c: &Case, name: &str) -> String {
    base64(c.key(name))
}

async fn put_and_range(c: Case) {
    let body = json!({"key": key(&c, "a"), "value": base64("1")});
    let put = ok(&c, "/v3/kv/put", body).await;
    let revision = put["header"]["revision"].as_str().unwrap();
    let range = ok(&c, "/v3/kv/range", json!({"key": key(&c, "a")})).await;
    assert_eq!(range["count"], "1");
    let kv = &range["kvs"][0];
    assert_eq!(kv["value"], base64("1"));
    assert_eq!(kv["mod_revision"], revision);
    assert_eq!(kv["version"], "1");
    assert_eq!(c.stored().await, "a=1");
}

async fn bytes_are_base64(c: Case) {
    let value: Vec<u8> = (0..=255).collect();
    let body = json!({"key": key(&c, "a"), "value": base64(&value)});
    ok(&c, "/v3/kv/put", body).await;
    assert_eq!(c.get("a").await.unwrap().value(), value);
    let range = ok(&c, "/v3/kv/range", json!({"key": key(&c, "a")})).await;
    assert_eq!(range["kvs"][0]["value"], base64(&value));
}

async fn url_safe_base64_is_accepted(c: Case) {
    let body = json!({"key": key(&c, "a"), "value": "-_-_"});
    ok(&c, "/v3/kv/put", body).await;
    assert_eq!(c.get("a").await.unwrap().value(), [0xfb, 0xff, 0xbf]);
}

async fn numbers_may_be_strings_or_numbers(c: Case) {
    c.put_all("a=1 b=2 c=3").await;
    let all = c.all();
    for limit in [json!(2), json!("2")] {
        let body = json!({
            "key": base64(&all.key), "range_end": base64(&all.range_end), "limit": limit,
        });
        let range = ok(&c, "/v3/kv/range", body).await;
        assert_eq!(range["kvs"].as_array().unwrap().len(), 2);
        assert_eq!(
            (&range["more"], &range["count"]),
            (&json!(true), &json!("3"))
        );
    }
}

async fn names_may_be_camel_case(c: Case) {
    c.put_all("a=1 b=2").await;
    let all = c.all();
    let body = json!({
        "key": base64(&all.key), "rangeEnd": base64(&all.range_end), "countOnly": true,
    });
    let range = ok(&c, "/v3/kv/range", body).await;
    assert_eq!(range["count"], "2");
}

async fn zero_values_are_left_out(c: Case) {
    let range = ok(&c, "/v3/kv/range", json!({"key": key(&c, "a")})).await;
    let fields: Vec<_> = range.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["header"]);
}

async fn unknown_fields_are_ignored(c: Case) {
    let body = json!({"key": key(&c, "a"), "from_the_future": {"x": 1}});
    ok(&c, "/v3/kv/range", body).await;
}

async fn enums_are_names_or_numbers(c: Case) {
    c.put_all("a=1 b=2").await;
    let all = c.all();
    for order in [json!("DESCEND"), json!(2)] {
        let body = json!({
            "key": base64(&all.key), "range_end": base64(&all.range_end), "sort_order": order,
        });
        let range = ok(&c, "/v3/kv/range", body).await;
        assert_eq!(range["kvs"][0]["key"], key(&c, "b"));
    }
}

async fn delete_range_answers(c: Case) {
    c.put("a", "1").await;
    let body = json!({"key": key(&c, "a"), "prev_kv": true});
    let answer = ok(&c, "/v3/kv/deleterange", body).await;
    assert_eq!(answer["deleted"], "1");
    assert_eq!(answer["prev_kvs"][0]["value"], base64("1"));
}

async fn a_transaction_answers(c: Case) {
    let a = key(&c, "a");
    let body = json!({
        "compare": [{"key": a, "target": "CREATE", "result": "EQUAL", "create_revision": "0"}],
        "success": [{"request_put": {"key": a, "value": base64("1")}}],
        "failure": [{"request_range": {"key": a}}],
    });
    let won = ok(&c, "/v3/kv/txn", body.clone()).await;
    assert_eq!(won["succeeded"], true);
    assert!(won["responses"][0]["response_put"].is_object());
    let lost = ok(&c, "/v3/kv/txn", body).await;
    assert_eq!(lost.get("succeeded"), None);
    let kv = &lost["responses"][0]["response_range"]["kvs"][0];
    assert_eq!(kv["value"], base64("1"));
}

async fn a_lease_lives_and_dies(c: Case) {
    let granted = ok(&c, "/v3/lease/grant", json!({"TTL": 60})).await;
    assert_eq!(granted["TTL"], "60");
    let id = granted["ID"].clone();
    let left = ok(&c, "/v3/lease/timetolive", json!({"ID": id})).await;
    assert_eq!((&left["ID"], &left["grantedTTL"]), (&id, &json!("60")));
    let alive = ok(&c, "/v3/lease/keepalive", json!({"ID": id})).await;
    assert_eq!(alive["result"]["TTL"], "60");
    let leases = ok(&c, "/v3/lease/leases", json!({})).await;
    let listed = leases["leases"].as_array().unwrap().iter();
    assert!(listed.clone().any(|lease| lease["ID"] == id));
    ok(&c, "/v3/kv/lease/revoke", json!({"ID": id})).await;
    let (status, _) = post(&c, "/v3/lease/revoke", json!({"ID": id})).await;
    assert_eq!(status, 404);
}

async fn members_and_status_are_told(c: Case) {
    let list = ok(&c, "/v3/cluster/member/list", json!({})).await;
    let member = &list["members"][0];
    assert_eq!(member["name"], "default");
    assert!(member["clientURLs"][0].is_string());
    let status = ok(&c, "/v3/maintenance/status", json!({})).await;
    assert_eq!(status["leader"], member["ID"]);
    assert!(status["dbSize"].is_string());
}

async fn errors_have_code_and_message(c: Case) {
    let (status, error) = post(&c, "/v3/kv/put", json!({"value": base64("1")})).await;
    assert_eq!(status, 400);
    assert_eq!(error["code"], 3);
    assert_eq!(error["message"], "etcdserver: key is not provided");
}

async fn statuses_follow_codes(c: Case) {
    let leased = json!({"key": key(&c, "a"), "lease": "7777"});
    let future = json!({"key": key(&c, "a"), "revision": "999999999"});
    for (path, body, expected) in [
        ("/v3/kv/put", leased, (404, 5)),
        ("/v3/kv/range", future, (400, 11)),
        ("/v3/lease/revoke", json!({"ID": "7777"}), (404, 5)),
    ] {
        let (status, error) = post(&c, path, body).await;
        assert_eq!(
            (status, error["code"].as_i64().unwrap()),
            expected,
            "{path}"
        );
    }
}

async fn get_is_not_implemented(c: Case) {
    let answer = send(&c, Method::GET, "/v3/kv/range", String::new()).await;
    assert_eq!(answer.status, 501);
    let error: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        (&error["code"], &error["message"]),
        (&json!(12), &json!("Method Not Allowed"))
    );
}

async fn an_unknown_path_is_not_found(c: Case) {
    let (status, _) = post(&c, "/v3/kv/nothing", json!({})).await;
    assert_eq!(status, 404);
}

async fn malformed_json_is_refused(c: Case) {
    for body in ["{", "[1,2", r#"{"key": 5}"#, r#"{"key": "***"}"#] {
        let answer = send(&c, Method::POST, "/v3/kv/range", body.into()).await;
        assert_eq!(answer.status, 400, "{body}");
    }
}

/// Results are lines of JSON on an answer that does not end.
async fn a_watch_streams_results(c: Case) {
    let stream = c.client.stream("http/1.1").await;
    let connection = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = connection.unwrap();
    let _driver = tokio::spawn(connection);
    let body = json!({"create_request": {"key": key(&c, "a")}}).to_string();
    let request = Request::post("/v3/watch")
        .header("host", &c.client.address)
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    let mut answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut received = Vec::new();
    while !received.contains(&b'\n') {
        received.extend(answer.frame().await.unwrap().unwrap().into_data().unwrap());
    }
    let created: Value = serde_json::from_slice(&received).unwrap();
    assert_eq!(created["result"]["created"], true);
    c.put("a", "1").await;
    received.clear();
    while !received.contains(&b'\n') {
        received.extend(answer.frame().await.unwrap().unwrap().into_data().unwrap());
    }
    let told: Value = serde_json::from_slice(&received).unwrap();
    let event = &told["result"]["events"][0];
    assert_eq!(event["kv"]["value"], base64("1"));
    assert_eq!(event.get("type"), None);
}

async fn the_beta_prefix_is_the_same(c: Case) {
    ok(&c, "/v3beta/kv/range", json!({"key": key(&c, "a")})).await;
}

async fn cross_origin_requests_are_allowed(c: Case) {
    let request = Request::builder()
        .method(Method::OPTIONS)
        .uri("/v3/kv/range")
        .header("origin", "https://dashboard.example")
        .body(Full::default())
        .unwrap();
    let answer = c.client.http_send(request).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let methods = "POST, GET, OPTIONS, PUT, DELETE";
    assert_eq!(answer.header("access-control-allow-methods"), methods);
    let headers = "accept, content-type, authorization";
    assert_eq!(answer.header("access-control-allow-headers"), headers);
}
