//! What an operator sees: configuration files, and the log.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::harness::*;

/// Completes once a log has a line that satisfies `wanted`.
async fn line(mut log: impl FnMut() -> String, wanted: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..200 {
        let text = log();
        let lines = text.lines().filter_map(|l| serde_json::from_str(l).ok());
        if let Some(line) = lines.into_iter().find(|line| wanted(line)) {
            return line;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no such line in {}", log());
}

#[tokio::test]
async fn a_configuration_file_is_all_that_counts() {
    let lines = "max-txn-ops: 2\nenable-grpc-gateway: false\ngrpc-keepalive-interval: 7200000000000\n\
                 client-transport-security:\n  client-cert-auth: false\npeer-transport-security:\n";
    let server = Server::from_file(lines, &["--max-txn-ops=100"]).await;
    let client = server.client();
    let ops = ["a", "b", "c"].map(|key| op::put(key, "1"));
    refused(
        client.txn(always(ops.to_vec())).await,
        tonic::Code::InvalidArgument,
        "etcdserver: too many operations in txn request",
    );
    assert_eq!(server.http("/v3/kv/range").await.status, 404);
}

#[tokio::test]
async fn a_key_that_stands_for_nothing_is_refused_by_name() {
    if !Program::get().is_own() {
        return;
    }
    let dir = std::env::temp_dir().join(format!("holdfast-it-file-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("etcd.conf.yml");
    for (text, said) in [
        ("nmae: x", "unknown key in the configuration file: nmae"),
        ("name: [", "cannot read the configuration file"),
        ("wal-dir: /x", "--wal-dir=/x is not served"),
    ] {
        std::fs::write(&path, text).unwrap();
        let flag = format!("--config-file={}", path.display());
        let ended = Program::get().command().arg(flag).output().unwrap();
        assert_eq!(ended.status.code(), Some(1));
        let told = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(told.contains(said), "{told}");
        assert!(told.contains("etcd.conf.yml"), "{told}");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[tokio::test]
async fn slow_requests_are_told_with_what_they_were() {
    let settings = Settings::default().renamed_flag("warning-apply-duration", "1ns");
    let server = Server::start(settings).await;
    let client = server.client();
    // A second after the start, so that its lines are not those that are let through.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    client.put(put("some-key", "secret")).await.unwrap();
    client.range(point("some-key")).await.unwrap();
    let read = line(
        || server.log_tail(),
        |line| {
            let request = line["request"].as_str().unwrap_or_default();
            line["msg"] == "apply request took too long"
                && line["prefix"] == "read-only range "
                && request.contains("key:\"some-key\"")
        },
    )
    .await;
    assert_eq!(read["level"], "warn");
    assert_eq!(read["expected-duration"], "1ns");
    let response = read["response"].as_str().unwrap();
    assert!(response.starts_with("range_response_count:1"), "{response}");
    line(
        || server.log_tail(),
        |line| line["msg"] == "apply request took too long" && line["prefix"] == "",
    )
    .await;
    assert!(!server.log_tail().contains("secret"));
}

#[tokio::test]
async fn a_write_that_waits_is_told_with_its_stages() {
    if !Program::get().is_own() {
        return;
    }
    let settings = Settings::default().flag("warning-unary-request-duration", "1ns");
    let server = Server::start(settings).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    server.client().put(put("some-key", "1")).await.unwrap();
    let told = line(
        || server.log_tail(),
        |line| {
            let request = line["request"].as_str().unwrap_or_default();
            line["msg"] == "request took too long" && request.starts_with("Put key:\"some-key\"")
        },
    )
    .await;
    for stage in ["took", "leader", "raft", "apply"] {
        assert!(told[stage].is_string(), "{told}");
    }
}

#[tokio::test]
async fn the_log_goes_to_files_too() {
    let dir = std::env::temp_dir().join(format!("holdfast-it-log-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("own.log");
    let settings = Settings::default()
        .flag("log-outputs", format!("stderr,{}", path.display()))
        .flag("enable-log-rotation", true)
        .flag(
            "log-rotation-config-json",
            r#"{"maxsize": 1, "maxbackups": 1}"#,
        )
        .flag("log-level", "debug");
    let server = Server::start(settings).await;
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    let told = line(|| read(&path), |line| line["level"] == "info").await;
    let text = told["msg"].as_str().unwrap().to_owned();
    assert!(server.log_tail().contains(&text) || !read(&path).is_empty());
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}
