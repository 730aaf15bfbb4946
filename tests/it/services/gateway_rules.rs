//! The JSON gateway beyond single requests: streams, headers, methods, and who is let in.

use ::http::{Method, Request};
use bytes::Bytes;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::harness::*;

also_over_tls![
    rules_of_the_gateway,
    a_gateway_that_is_switched_off_is_not_found,
    only_listed_hosts_and_origins_are_let_in
];

#[tokio::test]
async fn rules_of_the_gateway() {
    let cases = cases![
        only_the_first_value_of_a_body_is_read,
        no_body_is_an_empty_message,
        null_is_no_value,
        an_unknown_enum_name_is_ignored,
        one_of_several_is_given_once,
        a_field_is_given_once,
        only_post_is_implemented,
        not_found_has_code_and_message,
        the_directory_is_elsewhere,
        answers_tell_of_the_call_behind,
        a_keepalive_takes_many_objects,
        a_stream_ends_before_what_is_no_object,
        a_watch_takes_many_requests,
        a_snapshot_is_lines,
        a_timeout_is_kept,
        metadata_is_passed_on,
        a_request_that_is_too_large_is_refused,
        other_content_types_are_json_all_the_same,
    ];
    Suite::new("gateway_rules", cases).run(shared().await).await;
}

async fn post(c: &Case, path: &str, body: impl Into<Bytes>) -> Answer {
    with(c, path, &[], body).await
}

async fn with(c: &Case, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
    send_to(&c.client, path, headers, body).await
}

async fn send_to(
    client: &Client,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    let mut request = Request::post(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).unwrap();
    client.http_send(request).await
}

fn value(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

fn lines(answer: &Answer) -> Vec<Value> {
    let lines = answer.text().lines();
    lines.map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// `YQ==` and the like, for keys that only this file uses.
fn base64(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut digits = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let padded = [chunk, &[0, 0]].concat();
        let bits = u32::from_be_bytes([0, padded[0], padded[1], padded[2]]);
        for place in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * place)) as usize & 63];
            digits.push(if place <= chunk.len() {
                digit.into()
            } else {
                '='
            });
        }
    }
    digits
}

fn key(c: &Case, name: &str) -> String {
    base64(std::str::from_utf8(&c.key(name)).unwrap())
}

async fn only_the_first_value_of_a_body_is_read(c: Case) {
    c.put_all("a=1").await;
    let (a, b) = (key(&c, "a"), key(&c, "b"));
    for text in [
        format!(r#"{{"key":"{a}"}} {{"key":"{b}"}}"#),
        format!(r#"{{"key":"{a}"}} xx"#),
    ] {
        let answer = post(&c, "/v3/kv/range", text).await;
        assert_eq!(answer.status, 200);
        assert_eq!(value(&answer)["count"], "1");
    }
}

async fn no_body_is_an_empty_message(c: Case) {
    let answer = post(&c, "/v3/kv/range", "").await;
    assert_eq!(answer.status, 400);
    assert_eq!(value(&answer)["message"], "etcdserver: key is not provided");
    let answer = post(&c, "/v3/cluster/member/list", "").await;
    assert_eq!(answer.status, 200);
}

async fn null_is_no_value(c: Case) {
    c.put_all("a=1").await;
    let body = json!({"key": key(&c, "a"), "range_end": null, "limit": null, "keys_only": null});
    let answer = post(&c, "/v3/kv/range", body.to_string()).await;
    assert_eq!(value(&answer)["count"], "1");
    assert_eq!(post(&c, "/v3/kv/range", "null").await.status, 400);
}

async fn an_unknown_enum_name_is_ignored(c: Case) {
    c.put_all("a=1").await;
    let body = json!({"key": key(&c, "a"), "sort_order": "SIDEWAYS"});
    let answer = post(&c, "/v3/kv/range", body.to_string()).await;
    assert_eq!(value(&answer)["count"], "1");
}

async fn one_of_several_is_given_once(c: Case) {
    let compare = json!({"key": key(&c, "a"), "version": "1", "value": "YQ=="});
    let body = json!({"compare": [compare]});
    let answer = post(&c, "/v3/kv/txn", body.to_string()).await;
    assert_eq!(
        (answer.status.as_u16(), &value(&answer)["code"]),
        (400, &json!(3))
    );
}

/// Under either of its names, and in messages within messages.
async fn a_field_is_given_once(c: Case) {
    for (path, body, place) in [
        (
            "/v3/kv/put",
            r#"{"key":"YQ==","key":"Yg=="}"#,
            r#"(line 1:15): duplicate field "key""#,
        ),
        (
            "/v3/kv/range",
            r#"{"key":"YQ==","range_end":"Yg==","rangeEnd":"Yg=="}"#,
            r#"(line 1:34): duplicate field "rangeEnd""#,
        ),
        (
            "/v3/kv/txn",
            r#"{"success":[{"requestPut":{"key":"YQ==","key":"YQ=="}}]}"#,
            r#"(line 1:41): duplicate field "key""#,
        ),
    ] {
        let answer = post(&c, path, body).await;
        assert_eq!(answer.status, 400, "{body}");
        let answer = value(&answer);
        assert_eq!(answer["code"], 3);
        let message = answer["message"].as_str().unwrap();
        assert!(message.ends_with(place), "{message}");
    }
    assert_eq!(c.stored().await, "");
}

async fn only_post_is_implemented(c: Case) {
    for method in [Method::PUT, Method::DELETE, Method::PATCH] {
        let request = Request::builder().method(method).uri("/v3/kv/put");
        let request = request.body(Full::default()).unwrap();
        let answer = c.client.http_send(request).await;
        assert_eq!(answer.status, 501);
        let expected = json!({"code": 12, "message": "Method Not Allowed"});
        assert_eq!(value(&answer), expected);
    }
}

async fn not_found_has_code_and_message(c: Case) {
    for path in ["/v3/kv/nothing", "/v3/kv/range/", "/v3/", "/v3beta/x"] {
        let answer = post(&c, path, "{}").await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(value(&answer), json!({"code": 5, "message": "Not Found"}));
        assert_eq!(answer.header("content-type"), "application/json");
    }
    let answer = post(&c, "/v3alpha/kv/range", "{}").await;
    assert_eq!(answer.text(), "404 page not found\n");
}

async fn the_directory_is_elsewhere(c: Case) {
    let answer = post(&c, "/v3", "{}").await;
    assert_eq!(answer.status, 301);
    assert_eq!(answer.header("location"), "/v3/");
}

async fn answers_tell_of_the_call_behind(c: Case) {
    let header = "grpc-metadata-content-type";
    let body = json!({"key": key(&c, "a")}).to_string();
    let answer = post(&c, "/v3/kv/range", body).await;
    assert_eq!(answer.header(header), "application/grpc");
    assert_eq!(answer.header("content-type"), "application/json");
    let answer = post(&c, "/v3/kv/range", "{}").await;
    assert_eq!(answer.header(header), "");
    assert_eq!(answer.header("content-type"), "application/json");
}

async fn a_keepalive_takes_many_objects(c: Case) {
    let answer = post(&c, "/v3/lease/keepalive", r#"{"ID":77777}{"ID":"77778"}"#).await;
    assert_eq!(answer.status, 200);
    let ids: Vec<_> = lines(&answer)
        .iter()
        .map(|line| line["result"]["ID"].clone())
        .collect();
    assert_eq!(ids, ["77777", "77778"]);
}

async fn a_stream_ends_before_what_is_no_object(c: Case) {
    for (text, expected) in [
        (r#"{"ID":77777} {"#, 1),
        (r#"{"ID":77777} 5 {"ID":77778}"#, 1),
        (r#"{"ID":"x"}"#, 0),
        ("", 0),
    ] {
        let answer = post(&c, "/v3/lease/keepalive", text).await;
        assert_eq!(answer.status, 200, "{text}");
        assert_eq!(lines(&answer).len(), expected, "{text}");
    }
}

/// The stream ends with the call's timeout, since a watch has no end of its own.
async fn a_watch_takes_many_requests(c: Case) {
    let requests = [
        json!({"create_request": {"key": key(&c, "a"), "watch_id": "5"}}),
        json!({"cancel_request": {"watch_id": 5}}),
    ];
    let body = requests.map(|r| r.to_string()).join("\n");
    let answer = with(&c, "/v3/watch", &[("grpc-timeout", "2S")], body).await;
    assert_eq!(answer.status, 200);
    let lines = lines(&answer);
    assert_eq!(lines[0]["result"]["created"], true, "{lines:?}");
    assert_eq!(lines[0]["result"]["watch_id"], "5");
    assert_eq!(lines[1]["result"]["canceled"], true);
    assert_eq!(lines[2]["error"]["code"], 4);
}

async fn a_snapshot_is_lines(c: Case) {
    c.put_all("a=1").await;
    let answer = post(&c, "/v3/maintenance/snapshot", "{}").await;
    assert_eq!(answer.status, 200);
    let lines = lines(&answer);
    assert!(lines.len() > 1);
    assert!(lines.iter().all(|line| line["result"]["blob"].is_string()));
    // The last one is a checksum of 32 bytes.
    let checksum = lines.last().unwrap()["result"]["blob"].as_str().unwrap();
    assert_eq!(checksum.len(), 44);
}

async fn a_timeout_is_kept(c: Case) {
    let body = json!({"key": key(&c, "a")}).to_string();
    let late = with(&c, "/v3/kv/range", &[("grpc-timeout", "1n")], body.clone()).await;
    assert_eq!(late.status, 504);
    let expected = json!({"code": 4, "message": "context deadline exceeded"});
    assert_eq!(value(&late), expected);
    let wrong = with(
        &c,
        "/v3/kv/range",
        &[("grpc-timeout", "soon")],
        body.clone(),
    )
    .await;
    assert_eq!(wrong.status, 400);
    assert_eq!(value(&wrong)["message"], "invalid grpc-timeout: soon");
    let fine = with(&c, "/v3/kv/range", &[("grpc-timeout", "9S")], body).await;
    assert_eq!(fine.status, 200);
}

async fn metadata_is_passed_on(c: Case) {
    let body = json!({"key": key(&c, "a")}).to_string();
    let headers = [
        ("grpc-metadata-hasleader", "true"),
        ("authorization", "no-token"),
    ];
    let answer = with(&c, "/v3/kv/range", &headers, body).await;
    assert_eq!(answer.status, 200);
}

async fn a_request_that_is_too_large_is_refused(c: Case) {
    let put = |size: usize| json!({"key": key(&c, "a"), "value": "A".repeat(size)}).to_string();
    let large = post(&c, "/v3/kv/put", put(2_400_000)).await;
    assert_eq!(large.status, 400);
    assert_eq!(value(&large)["message"], "etcdserver: request is too large");
    let larger = post(&c, "/v3/kv/put", put(3_200_000)).await;
    assert_eq!(larger.status, 429);
    let message = value(&larger)["message"].as_str().unwrap().to_owned();
    assert!(message.contains("larger than max"), "{message}");
}

async fn other_content_types_are_json_all_the_same(c: Case) {
    let body = json!({"key": key(&c, "a")}).to_string();
    for content in ["text/plain", "application/x-www-form-urlencoded", "x"] {
        let headers = [("content-type", content)];
        let answer = with(&c, "/v3/kv/range", &headers, body.clone()).await;
        assert_eq!(answer.status, 200, "{content}");
    }
}

#[tokio::test]
async fn a_gateway_that_is_switched_off_is_not_found() {
    let settings = Settings::default().flag("enable-grpc-gateway", false);
    let server = Server::start(settings).await;
    let client = server.client();
    let answer = send_to(&client, "/v3/kv/range", &[], r#"{"key":"YQ=="}"#).await;
    assert_eq!(answer.status, 404);
    assert_eq!(client.http("/health").await.status, 200);
}

#[tokio::test]
async fn only_listed_hosts_and_origins_are_let_in() {
    let settings = Settings::default()
        .flag("host-whitelist", "127.0.0.1,good.example")
        .flag("cors", "http://ui.example:80,https://ui.example:443");
    let server = Server::start(settings).await;
    let client = server.client();
    let host = async |host| raw_status(&client, host).await;
    assert_eq!(host("good.example:2379").await, 200);
    // Over TLS the certificate says which server this is, and etcd does not look at the list.
    let refusal = if is_tls() { 200 } else { 421 };
    assert_eq!(host("evil.example").await, refusal);
    for (origin, expected) in [
        ("https://ui.example:443", "https://ui.example:443"),
        ("https://evil.example:443", ""),
    ] {
        let answer = send_to(&client, "/v3/kv/range", &[("origin", origin)], "{}").await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.header("access-control-allow-origin"), expected);
    }
    client
        .put(put("a", "1"))
        .await
        .expect("calls have no host that is looked at");
}

/// The status of `/health`, asked for by a name of the server.
async fn raw_status(client: &Client, host: &str) -> u16 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let request = format!("GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let mut stream = client.stream("http/1.1").await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let code = answer.split(' ').nth(1).unwrap();
    code.parse().unwrap()
}
