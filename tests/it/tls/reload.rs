//! Files that change while the server runs.

use rustls::pki_types::CertificateDer;

use super::{certified, is_let_in, serve};
use crate::harness::*;

/// The certificate that the server shows to a new connection.
async fn shown(server: &Server, tls: &ClientTls) -> CertificateDer<'static> {
    let stream = tls.connect(server.address()).await.unwrap();
    let shown = stream.get_ref().1.peer_certificates().unwrap();
    shown[0].clone().into_owned()
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_from_the_next_connection_on() {
    let pki = Pki::new();
    let tls = pki.anonymous();
    let server = serve(certified(&pki), tls.clone()).await;
    let open = server.client();
    open.revision().await;
    let mut last = shown(&server, &tls).await;
    for _ in 0..3 {
        let renewed = pki.issue("server", "server", &["127.0.0.1"]);
        let now = shown(&server, &tls).await;
        assert_eq!(now.as_ref(), renewed.der);
        assert_ne!(now, last);
        last = now;
    }
    open.revision().await;
}

#[tokio::test]
async fn a_broken_file_changes_nothing_and_is_told_once() {
    if !Program::get().is_own() {
        return;
    }
    let pki = Pki::new();
    let tls = pki.anonymous();
    let server = serve(certified(&pki), tls.clone()).await;
    let first = shown(&server, &tls).await;
    std::fs::write(pki.dir().join("server.crt"), "nonsense").unwrap();
    for _ in 0..20 {
        assert_eq!(shown(&server, &tls).await, first);
    }
    let log = server.log_tail();
    assert_eq!(log.matches("no certificate inside").count(), 1, "{log}");
    assert!(log.contains("--cert-file="), "{log}");
    let renewed = pki.issue("server", "server", &["127.0.0.1"]);
    assert_eq!(shown(&server, &tls).await.as_ref(), renewed.der);
    assert!(server.log_tail().contains("read certificate files again"));
}

#[tokio::test]
async fn another_authority_takes_over_while_the_server_runs() {
    // etcd reads authorities at its start only.
    if !Program::get().is_own() {
        return;
    }
    let (pki, other) = (Pki::new(), Pki::new());
    let settings = certified(&pki)
        .flag("trusted-ca-file", pki.path("ca.crt"))
        .flag("client-cert-auth", true);
    let mut server = serve(settings, pki.client("client")).await;
    let newcomer = ClientTls {
        authority: pki.authority.pem(),
        ..other.client("client")
    };
    assert!(!is_let_in(&server, &newcomer).await);
    other.authority.write(&pki.dir().join("ca.crt"));
    server.set_client_tls(Some(newcomer.clone()));
    assert!(is_let_in(&server, &newcomer).await);
    assert!(!is_let_in(&server, &pki.client("client")).await);
}

#[tokio::test]
async fn members_go_over_to_renewed_certificates() {
    let pki = Pki::new();
    let mut cluster = Cluster::start(Settings::plain().tls(&pki).quick_elections()).await;
    pki.issue("server", "renewed", &["127.0.0.1", "localhost"]);
    let follower = cluster.follower().await;
    cluster[follower].kill();
    cluster[follower].restart().await;
    cluster.client(follower).put(put("a", "1")).await.unwrap();
    cluster.converge().await;
}
