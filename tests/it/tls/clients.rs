//! Who is let in, and who the server is.

use std::sync::Arc;
use std::time::Duration;

use holdfast::etcd::pb::etcdserverpb::StatusRequest;

use super::{certified, is_let_in, serve};
use crate::harness::*;

#[tokio::test]
async fn every_kind_of_call_works_over_tls() {
    let pki = Pki::new();
    let server = Server::start(Settings::plain().tls(&pki)).await;
    let client = server.client();
    client.put(put("greeting", "hello")).await.unwrap();
    let (mut watch, created) = Watch::start(&client, watch_prefix("greet")).await;
    assert!(created.created);
    let large = "x".repeat(1 << 20);
    client.put(put("greeting", &large)).await.unwrap();
    let events = watch.events(1).await;
    assert_eq!(events[0].kv.as_ref().unwrap().value().len(), large.len());
    let got = client.range(point("greeting")).await.unwrap();
    assert_eq!(got.kvs[0].value(), large.as_bytes());
    let mut others = Vec::new();
    for number in 0..50 {
        let client = server.client();
        others.push(async move { client.put(put(format!("many/{number}"), "1")).await });
    }
    for put in futures::future::join_all(others).await {
        put.unwrap();
    }
    assert_eq!(client.range(prefixed("many/")).await.unwrap().count, 50);
    for path in ["/health", "/readyz", "/version", "/metrics"] {
        assert_eq!(server.http(path).await.status, 200, "{path}");
    }
    let status = client.status(StatusRequest {}).await.unwrap();
    assert_ne!(status.leader, 0);
}

#[tokio::test]
async fn clients_and_servers_know_each_other_by_their_authorities() {
    let pki = Pki::new();
    let other = Pki::new();
    let settings = certified(&pki)
        .flag("trusted-ca-file", pki.path("ca.crt"))
        .flag("client-cert-auth", true);
    let server = serve(settings, pki.client("client")).await;
    assert!(is_let_in(&server, &pki.client("client")).await);
    assert!(!is_let_in(&server, &pki.anonymous()).await);
    // It believes the wrong authority.
    assert!(!is_let_in(&server, &other.client("client")).await);
    // It is of the wrong authority.
    let stranger = ClientTls {
        authority: pki.authority.pem(),
        ..other.client("client")
    };
    assert!(!is_let_in(&server, &stranger).await);
    pki.authority
        .issue_expired("client", &[])
        .write(pki.dir(), "expired");
    assert!(!is_let_in(&server, &pki.client("expired")).await);
}

#[tokio::test]
async fn an_authority_alone_demands_certificates() {
    let pki = Pki::new();
    let settings = certified(&pki).flag("trusted-ca-file", pki.path("ca.crt"));
    let server = serve(settings, pki.client("client")).await;
    assert!(is_let_in(&server, &pki.client("client")).await);
    assert!(!is_let_in(&server, &pki.anonymous()).await);
}

#[tokio::test]
async fn without_an_authority_nobody_is_asked() {
    let pki = Pki::new();
    let server = serve(certified(&pki), pki.anonymous()).await;
    assert!(is_let_in(&server, &pki.anonymous()).await);
    assert!(is_let_in(&server, &pki.client("client")).await);
}

#[tokio::test]
async fn revoked_certificates_are_refused() {
    let pki = Pki::new();
    let revoked = pki.issue("revoked", "client", &[]);
    let crl = pki.dir().join("crl.pem");
    let list = pki.authority.revocation_list(&[&revoked]);
    // Releases differ in whether they take PEM, and all take DER.
    std::fs::write(&crl, list.der()).unwrap();
    let settings = certified(&pki)
        .flag("trusted-ca-file", pki.path("ca.crt"))
        .flag("client-cert-auth", true)
        .flag("client-crl-file", pki.path("crl.pem"));
    let server = serve(settings, pki.client("client")).await;
    assert!(is_let_in(&server, &pki.client("client")).await);
    assert!(!is_let_in(&server, &pki.client("revoked")).await);
    // The list counts from the next connection on.
    let client = pki.issue("late", "client", &[]);
    assert!(is_let_in(&server, &pki.client("late")).await);
    let list = pki.authority.revocation_list(&[&revoked, &client]);
    std::fs::write(&crl, list.der()).unwrap();
    assert!(!is_let_in(&server, &pki.client("late")).await);
}

#[tokio::test]
async fn host_names_of_clients_can_be_demanded() {
    let pki = Pki::new();
    pki.issue("named", "client", &["app.example"]);
    let settings = certified(&pki)
        .flag("trusted-ca-file", pki.path("ca.crt"))
        .flag("client-cert-auth", true)
        .flag("client-cert-allowed-hostname", "app.example");
    let server = serve(settings, pki.client("named")).await;
    assert!(is_let_in(&server, &pki.client("named")).await);
    assert!(!is_let_in(&server, &pki.client("client")).await);
}

/// Made by `openssl x509 -req` without `-extfile` for a long time. Go's clients show them as they are, and etcd
/// takes them.
#[tokio::test]
async fn a_certificate_of_version_1_is_refused_with_advice() {
    if !Program::get().is_own() {
        return;
    }
    let pki = Pki::new();
    let old = pki.authority.issue("old", &["127.0.0.1"]).as_version_1();
    old.write(pki.dir(), "old");
    let settings = certified(&pki).flag("trusted-ca-file", pki.path("ca.crt"));
    let server = serve(settings, pki.client("client")).await;
    let shaken = connect_unchecked(&pki.client("old"), server.address()).await;
    assert!(shaken.is_err(), "it was let in");
    // The client may learn of it before it is logged.
    let told = async {
        loop {
            let log = server.log_tail();
            if log.contains("UnsupportedCertVersion") {
                return log;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let log = tokio::time::timeout(PATIENCE, told)
        .await
        .expect("it is logged");
    let lines: Vec<_> = log
        .lines()
        .filter(|l| l.contains("UnsupportedCertVersion"))
        .collect();
    let [line] = lines[..] else {
        panic!("one line of it: {log}");
    };
    assert!(line.contains("rejected a client connection"), "{line}");
    assert!(line.contains("issue the certificate again"), "{line}");

    // A member whose own it is does not start.
    let flags = ["cert-file", "key-file"].map(|flag| {
        let file = if flag == "cert-file" {
            "old.crt"
        } else {
            "old.key"
        };
        format!("--{flag}={}", pki.path(file))
    });
    let data = format!("--data-dir={}", pki.path("data"));
    let mut command = Program::get().command();
    command.args(flags).arg(data).args([
        "--listen-client-urls=https://127.0.0.1:0",
        "--listen-peer-urls=http://127.0.0.1:0",
        "--advertise-client-urls=https://127.0.0.1:2379",
    ]);
    let ended = command.output().unwrap();
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{told}");
    let line = told.lines().find(|line| line.contains("old.crt"));
    assert!(
        line.is_some_and(|line| line.contains("issue the certificate again")),
        "{told}"
    );
}

/// Shakes hands, asks something and reads a byte: with TLS 1.3 a client learns only then that it is not let in. Shows what it
/// has without looking at it.
async fn connect_unchecked(tls: &ClientTls, address: &str) -> std::io::Result<()> {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (certificate, key) = tls.identity.as_ref().unwrap();
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    let shown = rustls::sign::CertifiedKey::new(vec![certificate], key);
    let anonymous = ClientTls {
        identity: None,
        ..tls.clone()
    };
    let mut config = anonymous.config(rustls::ALL_VERSIONS, &["http/1.1"]);
    config.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(shown));
    let mut stream = connect(config, address).await?;
    stream.write_all(b"GET /health HTTP/1.1\r\n\r\n").await?;
    stream.read_u8().await.map(|_| ())
}

#[tokio::test]
async fn callers_who_do_not_speak_tls_harm_nobody() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    let pki = Pki::new();
    let server = serve(certified(&pki), pki.anonymous()).await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(server.address()).await.unwrap());
    }
    for _ in 0..50 {
        let mut plain = TcpStream::connect(server.address()).await.unwrap();
        plain
            .write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let mut said = Vec::new();
        let closed = tokio::time::timeout(PATIENCE, plain.read_to_end(&mut said)).await;
        let _reset_or_alert = closed.expect("it is closed");
        assert!(!String::from_utf8_lossy(&said).contains("200 OK"));
    }
    let began = std::time::Instant::now();
    assert!(is_let_in(&server, &pki.anonymous()).await);
    assert!(began.elapsed() < Duration::from_secs(10));
    if Program::get().is_own() {
        let log = server.log_tail();
        let warnings = log.lines().filter(|l| l.contains("\"level\":\"warn\""));
        assert!(warnings.count() <= 2, "{log}");
        for mut stream in silent {
            let end = tokio::time::timeout(PATIENCE, stream.read(&mut [0; 64])).await;
            assert_eq!(end.expect("silence has a limit").unwrap_or(0), 0);
        }
    }
}
