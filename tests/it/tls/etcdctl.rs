//! etcdctl with certificates, if it is on the PATH.

use std::process::Output;

use tokio::process::Command;

use crate::harness::*;

async fn run(endpoint: &str, tls: &[String], arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new("etcdctl");
    command
        .env("ETCDCTL_API", "3")
        .arg(format!("--endpoints={endpoint}"))
        .args(["--dial-timeout=3s", "--command-timeout=5s"])
        .args(tls)
        .args(arguments);
    command.output().await.ok()
}

#[tokio::test]
async fn etcdctl_shows_its_certificate() {
    let pki = Pki::new();
    let server = Server::start(Settings::plain().tls(&pki)).await;
    let url = server.client_url();
    let cacert = format!("--cacert={}", pki.path("ca.crt"));
    let own = [
        cacert.clone(),
        format!("--cert={}", pki.path("client.crt")),
        format!("--key={}", pki.path("client.key")),
    ];
    let Some(put) = run(&url, &own, &["put", "a", "1"]).await else {
        eprintln!("etcdctl: skipped, not on the PATH");
        return;
    };
    assert!(put.status.success(), "{put:?}");
    for arguments in [
        &["get", "a"][..],
        &["endpoint", "health"],
        &["endpoint", "status", "--cluster"],
        &["member", "list"],
    ] {
        let output = run(&url, &own, arguments).await.unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }
    let anonymous = run(&url, &[cacert], &["get", "a"]).await.unwrap();
    assert!(!anonymous.status.success(), "{anonymous:?}");
}
