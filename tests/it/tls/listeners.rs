//! What is spoken, and where.

use rustls::version::{TLS12, TLS13};
use rustls::{ALL_VERSIONS, SupportedProtocolVersion};

use super::{certified, is_let_in, serve};
use crate::harness::*;

/// The version and the application protocol that come about, or nothing if there is no connection.
async fn agreed(
    server: &Server,
    tls: &ClientTls,
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[&str],
) -> Option<(rustls::ProtocolVersion, String)> {
    let stream = connect(tls.config(versions, alpn), server.address())
        .await
        .ok()?;
    let session = stream.get_ref().1;
    let protocol = session.alpn_protocol().unwrap_or_default().to_vec();
    Some((
        session.protocol_version()?,
        String::from_utf8(protocol).unwrap(),
    ))
}

#[tokio::test]
async fn the_oldest_and_the_newest_version_are_set() {
    let pki = Pki::new();
    let tls = pki.anonymous();
    let old = [&TLS12];
    let new = [&TLS13];
    for (flag, version, speaks_old, speaks_new) in [
        ("tls-min-version", "TLS1.2", true, true),
        ("tls-min-version", "TLS1.3", false, true),
        ("tls-max-version", "TLS1.2", true, false),
    ] {
        let server = serve(certified(&pki).flag(flag, version), tls.clone()).await;
        for (versions, expected) in [(old, speaks_old), (new, speaks_new)] {
            let agreed = agreed(&server, &tls, &versions, &["h2"]).await;
            assert_eq!(agreed.is_some(), expected, "{flag}={version}: {agreed:?}");
        }
    }
}

#[tokio::test]
async fn cipher_suites_are_those_allowed() {
    let pki = Pki::new();
    let tls = pki.anonymous();
    // etcd wants the first of them for HTTP/2; the client here would rather have one with AES-256.
    let allowed = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305";
    let settings = certified(&pki).flag("cipher-suites", allowed);
    let server = serve(settings, tls.clone()).await;
    let stream = connect(tls.config(&[&TLS12], &["h2"]), server.address())
        .await
        .unwrap();
    let suite = stream
        .get_ref()
        .1
        .negotiated_cipher_suite()
        .unwrap()
        .suite();
    assert!(
        matches!(
            suite,
            rustls::CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
                | rustls::CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        ),
        "{suite:?}"
    );
    // The suites of TLS 1.3 are not chosen by the flag.
    assert!(agreed(&server, &tls, &[&TLS13], &["h2"]).await.is_some());
}

#[tokio::test]
async fn both_generations_of_http_are_spoken() {
    let pki = Pki::new();
    let tls = pki.anonymous();
    let server = serve(certified(&pki), tls.clone()).await;
    let (_, protocol) = agreed(&server, &tls, ALL_VERSIONS, &["http/1.1", "h2"])
        .await
        .unwrap();
    assert_eq!(protocol, "h2");
    if Program::get().is_own() {
        for (offered, chosen) in [(&["http/1.1"][..], "http/1.1"), (&[], "")] {
            let (_, protocol) = agreed(&server, &tls, ALL_VERSIONS, offered).await.unwrap();
            assert_eq!(protocol, chosen);
        }
        assert!(
            agreed(&server, &tls, ALL_VERSIONS, &["imap"])
                .await
                .is_none()
        );
    }
    assert_eq!(server.http("/health").await.status, 200);
}

#[tokio::test]
async fn plain_and_secured_urls_may_be_mixed() {
    let pki = Pki::new();
    let ports = free_ports(2);
    let urls = format!(
        "http://127.0.0.1:{},https://127.0.0.1:{}",
        ports[0], ports[1]
    );
    let mut server = Server::prepare("default");
    let cluster = format!("default={}", server.peer_url());
    server.configure(&certified(&pki), &cluster);
    server.override_flag("listen-client-urls", &urls);
    server.override_flag("advertise-client-urls", &urls);
    server.set_address(&format!("127.0.0.1:{}", ports[0]));
    server.spawn();
    server.ready().await;
    server.client().put(put("a", "1")).await.unwrap();
    let secured = format!("127.0.0.1:{}", ports[1]);
    let client = Client::with_tls(&secured, Some(&pki.anonymous()));
    assert_eq!(client.range(point("a")).await.unwrap().count, 1);
    let plain = http_get(&secured, "/health").await;
    assert!(plain.is_err() || plain.unwrap().status != 200);
}

#[tokio::test]
async fn metrics_have_listeners_of_their_own() {
    let pki = Pki::new();
    let ports = free_ports(2);
    let [plain, secured] = [ports[0], ports[1]].map(|port| format!("127.0.0.1:{port}"));
    let settings = certified(&pki)
        .flag("trusted-ca-file", pki.path("ca.crt"))
        .flag("client-cert-auth", true)
        .flag(
            "listen-metrics-urls",
            format!("http://{plain},https://{secured}"),
        );
    let server = serve(settings, pki.client("client")).await;
    let mut pages = vec!["/metrics", "/health"];
    if server.client().version().await >= (3, 6) || Program::get().is_own() {
        pages.extend(["/livez", "/readyz"]);
    }
    let client = pki.client("client");
    for path in pages {
        assert_eq!(http_get(&plain, path).await.unwrap().status, 200, "{path}");
        let answer = https_get(&secured, Some(&client), path).await.unwrap();
        assert_eq!(answer.status, 200, "{path}");
    }
    assert_eq!(http_get(&plain, "/v3/kv/range").await.unwrap().status, 404);
    assert!(
        https_get(&secured, Some(&pki.anonymous()), "/health")
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_member_makes_its_own_certificate() {
    // etcd's is an authority too, which the client here does not take as a server's.
    if !Program::get().is_own() {
        return;
    }
    let mut server = Server::prepare("default");
    let cluster = format!("default={}", server.peer_url());
    server.set_client_tls(Some(Pki::new().anonymous()));
    let settings = Settings::plain()
        .flag("auto-tls", true)
        .flag("self-signed-cert-validity", 2);
    server.configure(&settings, &cluster);
    server.spawn();
    let file = server.data_dir().join("fixtures/client/cert.pem");
    let made = async {
        loop {
            if let Ok(pem) = std::fs::read_to_string(&file) {
                return pem;
            }
            tokio::time::sleep(QUIET / 10).await;
        }
    };
    let pem = tokio::time::timeout(PATIENCE, made).await.unwrap();
    let believes = ClientTls {
        authority: pem.clone(),
        ..ClientTls::default()
    };
    server.set_client_tls(Some(believes.clone()));
    server.ready().await;
    assert!(is_let_in(&server, &believes).await);
    assert!(!is_let_in(&server, &Pki::new().anonymous()).await);
    server.terminate();
    server.restart().await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), pem);
}

#[tokio::test]
async fn plain_text_beyond_the_machine_is_warned_of_once() {
    if !Program::get().is_own() {
        return;
    }
    let mut server = Server::prepare("default");
    let cluster = format!("default={}", server.peer_url());
    server.configure(&Settings::plain(), &cluster);
    let open = server.client_url().replace("127.0.0.1", "0.0.0.0");
    server.override_flag("listen-client-urls", &open);
    server.spawn();
    server.ready().await;
    let log = server.log_tail();
    assert_eq!(log.matches("LISTENING IN PLAIN TEXT").count(), 1, "{log}");
    assert!(log.contains(&open), "{log}");
    let local = Server::start(Settings::plain()).await.log_tail();
    assert!(!local.contains("PLAIN TEXT"), "{local}");
}
