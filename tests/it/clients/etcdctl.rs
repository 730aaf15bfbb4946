//! etcdctl's commands about keys, watches and leases.

use holdfast::etcd::pb::etcdserverpb::RangeResponse;

use super::ctl::{Ctl, ctl, ctl_start, is_missing, key};
use crate::harness::*;

also_over_tls![etcdctl];

#[tokio::test]
async fn etcdctl() {
    if is_missing().await {
        return;
    }
    let cases = cases![
        put_and_get,
        put_tells_the_previous_value,
        put_reads_the_value_and_takes_hexadecimal,
        get_a_range_a_prefix_and_from_a_key,
        get_sorted_limited_and_at_a_revision,
        get_prints_json,
        get_prints_fields_and_the_message,
        delete_counts,
        a_successful_transaction,
        a_failed_transaction,
        a_transaction_is_asked_for_piece_by_piece,
        watch_tells_events,
        watch_tells_history,
        a_lease_is_granted_used_and_revoked,
        leases_are_listed,
        members_are_listed,
        the_endpoint_is_healthy,
        endpoint_status_is_told,
        errors_are_told,
    ];
    Suite::new("etcdctl", cases).run(shared().await).await;
}

async fn put_and_get(c: Case) {
    let key = key(&c, "a");
    assert_eq!(ctl(&c, &["put", &key, "1"]).await.ok(), "OK\n");
    assert_eq!(ctl(&c, &["get", &key]).await.ok(), format!("{key}\n1\n"));
    let value = ctl(&c, &["get", &key, "--print-value-only"]).await;
    assert_eq!(value.ok(), "1\n");
    assert_eq!(ctl(&c, &["get", &format!("{key}x")]).await.ok(), "");
}

async fn put_tells_the_previous_value(c: Case) {
    let key = key(&c, "a");
    ctl(&c, &["put", &key, "1"]).await.ok();
    let output = ctl(&c, &["put", &key, "2", "--prev-kv"]).await;
    assert_eq!(output.ok(), format!("OK\n{key}\n1\n"));
}

async fn put_reads_the_value_and_takes_hexadecimal(c: Case) {
    let key = key(&c, "a");
    let ctl = Ctl::to(&c.members);
    let put = ctl.run_with_input(&["put", &key], "from the input").await;
    assert_eq!(put.ok(), "OK\n");
    let value = ctl.run(&["get", &key, "--print-value-only"]).await.ok();
    assert_eq!(value.trim_end(), "from the input");
    let hex = ctl.run(&["get", &key, "--print-value-only", "--hex"]).await;
    assert!(hex.ok().starts_with("\\x66\\x72\\x6f\\x6d"));
}

async fn get_a_range_a_prefix_and_from_a_key(c: Case) {
    c.put_all("a=1 b=2 c=3").await;
    let prefix = text(&c.prefix()).to_owned();
    let (a, b, end) = (key(&c, "a"), key(&c, "b"), key(&c, "z"));
    let keys = |output: String| output.lines().filter(|line| !line.is_empty()).count();
    let output = ctl(&c, &["get", "--keys-only", &a, &b]).await;
    assert_eq!(keys(output.ok()), 1);
    let output = ctl(&c, &["get", "--keys-only", "--prefix", &prefix]).await;
    assert_eq!(keys(output.ok()), 3);
    let output = ctl(&c, &["get", "--keys-only", &b, &end]).await;
    assert_eq!(keys(output.ok()), 2);
    let output = ctl(&c, &["get", "--keys-only", "--from-key", &b]).await;
    assert!(output.ok().starts_with(&b));
}

async fn get_sorted_limited_and_at_a_revision(c: Case) {
    let old = c.put_all("a=3 b=1 c=2").await;
    c.put("a", "0").await;
    let prefix = text(&c.prefix()).to_owned();
    let revision = format!("--rev={old}");
    let arguments = [
        "get",
        "--prefix",
        &prefix,
        &revision,
        "--sort-by=VALUE",
        "--order=DESCEND",
        "--limit=2",
        "--print-value-only",
    ];
    assert_eq!(ctl(&c, &arguments).await.ok(), "3\n2\n");
    let local = [
        "get",
        &key(&c, "b"),
        "--consistency=s",
        "--print-value-only",
    ];
    assert_eq!(ctl(&c, &local).await.ok(), "1\n");
}

async fn get_prints_json(c: Case) {
    let written = c.put("a", "1").await;
    let output = ctl(&c, &["get", &key(&c, "a"), "-w", "json"]).await.ok();
    let json: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!(json["count"], 1);
    assert_eq!(json["kvs"][0]["mod_revision"], written);
}

async fn get_prints_fields_and_the_message(c: Case) {
    let written = c.put("a", "1").await;
    let fields = ctl(&c, &["get", &key(&c, "a"), "-w", "fields"]).await.ok();
    let line = format!("\"ModRevision\" : {written}\n");
    assert!(fields.contains(&line), "{fields}");
    let get = ["get", &key(&c, "a"), "-w", "protobuf"];
    let output = Ctl::to(&c.members).command(&get).output().await.unwrap();
    let message: RangeResponse = prost::Message::decode(&output.stdout[..]).unwrap();
    assert_eq!(pairs(&message.kvs), "a=1");
}

async fn delete_counts(c: Case) {
    c.put_all("a=1 b=2 c=3").await;
    assert_eq!(ctl(&c, &["del", &key(&c, "a")]).await.ok(), "1\n");
    assert_eq!(ctl(&c, &["del", &key(&c, "a")]).await.ok(), "0\n");
    let prefix = text(&c.prefix()).to_owned();
    let output = ctl(&c, &["del", "--prefix", &prefix, "--prev-kv"])
        .await
        .ok();
    assert!(output.starts_with("2\n"));
}

async fn transaction(c: &Case) -> String {
    let (a, b) = (key(c, "a"), key(c, "b"));
    let text = format!("value(\"{a}\") = \"1\"\n\nput {b} yes\nget {b}\n\nget {a}\n\n");
    let output = Ctl::to(&c.members).run_with_input(&["txn"], &text).await;
    output.ok()
}

async fn a_successful_transaction(c: Case) {
    c.put("a", "1").await;
    let b = key(&c, "b");
    assert_eq!(
        transaction(&c).await,
        format!("SUCCESS\n\nOK\n\n{b}\nyes\n")
    );
    assert_eq!(c.stored().await, "a=1 b=yes");
}

async fn a_transaction_is_asked_for_piece_by_piece(c: Case) {
    let a = key(&c, "a");
    let text = format!("create(\"{a}\") = \"0\"\n\nput {a} 1\n\nget {a}\n\n");
    let ctl = Ctl::to(&c.members);
    let said = ctl.run_with_input(&["txn", "-i"], &text).await.ok();
    assert!(said.starts_with("compares:\n"), "{said}");
    assert!(said.ends_with("SUCCESS\n\nOK\n"), "{said}");
    let again = ctl.run_with_input(&["txn", "--interactive"], &text).await;
    assert!(again.ok().ends_with(&format!("FAILURE\n\n{a}\n1\n")));
}

async fn a_failed_transaction(c: Case) {
    c.put("a", "2").await;
    let a = key(&c, "a");
    assert_eq!(transaction(&c).await, format!("FAILURE\n\n{a}\n2\n"));
    assert_eq!(c.stored().await, "a=2");
}

async fn watch_tells_events(c: Case) {
    let key = key(&c, "a");
    let from_now = format!("--rev={}", c.client.revision().await + 1);
    let mut watch = ctl_start(&c, &["watch", &from_now, &key]);
    c.put("a", "1").await;
    watch.told_in_order(&["PUT", &key, "1"]).await;
    c.delete("a").await;
    watch.told_in_order(&["DELETE", &key, ""]).await;
}

async fn watch_tells_history(c: Case) {
    let first = c.put("a", "1").await;
    c.put("a", "2").await;
    let key = key(&c, "a");
    let revision = format!("--rev={first}");
    let mut watch = ctl_start(&c, &["watch", &revision, "--prev-kv", &key]);
    let due = ["PUT", "", "", &key, "1", "PUT", &key, "1", &key, "2"];
    let mut seen = Vec::new();
    while seen.last().is_none_or(|last| last != "2") {
        seen.push(watch.line().await);
    }
    let seen: Vec<_> = seen.iter().filter(|line| !line.is_empty()).collect();
    let due: Vec<_> = due.iter().filter(|line| !line.is_empty()).collect();
    assert_eq!(seen, due);
}

/// Grants a lease; its id in hexadecimal.
pub(super) async fn grant_lease(c: &Case, ttl: &str) -> String {
    let output = ctl(c, &["lease", "grant", ttl]).await.ok();
    let id = output.split(' ').nth(1).unwrap();
    assert_eq!(output, format!("lease {id} granted with TTL({ttl}s)\n"));
    id.into()
}

async fn a_lease_is_granted_used_and_revoked(c: Case) {
    let id = grant_lease(&c, "100").await;
    let key = key(&c, "a");
    let lease = format!("--lease={id}");
    ctl(&c, &["put", &key, "1", &lease]).await.ok();
    let output = ctl(&c, &["lease", "timetolive", &id, "--keys"]).await.ok();
    let start = format!("lease {id} granted with TTL(100s), remaining(");
    assert!(output.starts_with(&start), "{output}");
    assert!(
        output.contains(&format!("attached keys([{key}])")),
        "{output}"
    );
    let output = ctl(&c, &["lease", "revoke", &id]).await.ok();
    assert_eq!(output, format!("lease {id} revoked\n"));
    assert_eq!(c.stored().await, "");
    let output = ctl(&c, &["lease", "timetolive", &id]).await.ok();
    assert_eq!(output, format!("lease {id} already expired\n"));
}

async fn leases_are_listed(c: Case) {
    let id = grant_lease(&c, "60").await;
    let output = ctl(&c, &["lease", "list"]).await.ok();
    assert!(output.lines().any(|line| line == id), "{output}");
}

async fn members_are_listed(c: Case) {
    let output = ctl(&c, &["member", "list"]).await.ok();
    let url = c.client.url();
    assert!(output.contains(", started, default, http"), "{output}");
    assert!(output.contains(&url), "{output}");
}

async fn the_endpoint_is_healthy(c: Case) {
    let output = ctl(&c, &["endpoint", "health"]).await;
    let all = output.said();
    assert!(
        all.contains("is healthy: successfully committed proposal"),
        "{all}"
    );
    assert!(output.success);
}

async fn endpoint_status_is_told(c: Case) {
    let output = ctl(&c, &["endpoint", "status", "-w", "json"]).await.ok();
    let json: serde_json::Value = serde_json::from_str(&output).unwrap();
    let status = &json[0]["Status"];
    assert_eq!(status["leader"], status["header"]["member_id"]);
    assert!(status["dbSize"].as_i64().unwrap() > 0);
}

async fn errors_are_told(c: Case) {
    for (arguments, message) in [
        (&["put", "", "1"][..], "etcdserver: key is not provided"),
        (
            &["put", "a", "1", "--lease=7777"],
            "etcdserver: requested lease not found",
        ),
        (
            &["get", "a", "--rev=999999999"],
            "etcdserver: mvcc: required revision is a future revision",
        ),
        (
            &["lease", "revoke", "7777"],
            "etcdserver: requested lease not found",
        ),
        (
            &["member", "remove", "7777"],
            "etcdserver: member not found",
        ),
    ] {
        let output = ctl(&c, arguments).await;
        assert!(!output.success, "{arguments:?}");
        assert!(output.stderr.contains(message), "{}", output.stderr);
    }
}
