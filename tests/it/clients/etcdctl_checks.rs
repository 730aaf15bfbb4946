//! etcdctl's measurements. What they find says something of the machine; here they must come to their end.

use super::ctl::{Ctl, has_version, is_missing};
use crate::harness::*;

/// A hundred and fifty writes a second for a minute.
#[tokio::test]
async fn check_perf() {
    if is_missing().await {
        return;
    }
    let server = Server::fresh().await;
    let arguments = [
        "check",
        "perf",
        "--load=s",
        "--auto-compact",
        "--auto-defrag",
    ];
    let output = Ctl::to(&[server.client()]).run(&arguments).await;
    let said = output.said();
    assert!(said.contains("Compacted with revision"), "{said}");
    assert!(said.contains("Defragmented "), "{said}");
    // Whatever it thinks of the throughput, no request failed.
    assert!(said.contains("hroughput"), "{said}");
    assert!(!said.contains("too many errors"), "{said}");
    let written = server
        .client()
        .range(prefixed("/etcdctl-check-perf/"))
        .await;
    assert_eq!(written.unwrap().count, 0, "it cleans up");
}

/// Ten thousand keys, and the memory that they take by `/metrics`.
#[tokio::test]
async fn check_datascale() {
    if is_missing().await {
        return;
    }
    // 3.4 reads the page of metrics without looking at its flags for TLS.
    if is_tls() && !has_version(3, 5).await {
        return;
    }
    let server = Server::fresh().await;
    let before = server.client().revision().await;
    let arguments = [
        "check",
        "datascale",
        "--load=s",
        "--auto-compact",
        "--auto-defrag",
    ];
    let output = Ctl::to(&[server.client()]).run(&arguments).await;
    let said = output.said();
    assert!(output.success, "{said}");
    assert!(
        said.contains("PASS: Approximate system memory used"),
        "{said}"
    );
    assert!(server.client().revision().await >= before + 10_000);
    let written = server
        .client()
        .range(prefixed("/etcdctl-check-datascale/"))
        .await;
    assert_eq!(written.unwrap().count, 0, "it cleans up");
}
