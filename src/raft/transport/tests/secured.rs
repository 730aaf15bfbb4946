//! Members that speak TLS to each other, and to impostors.

use std::path::Path;

use super::*;
use crate::tls::testing::Authority as TestAuthority;
use crate::tls::{
    AcceptSettings, Acceptor, Authority, CertificateFiles, ConnectSettings, Connector, Protocol,
    Rules, TlsFile,
};

fn file(path: PathBuf) -> TlsFile {
    TlsFile { flag: "file", path }
}

/// A member with a certificate of `authority`, which it also believes.
async fn member(id: u64, authority: &TestAuthority) -> (Setup, Arc<Acceptor>) {
    let mut setup = Setup::new(id).await;
    setup.url = setup.url.replace("http://", "https://");
    setup.config.advertised_urls = vec![setup.url.clone()];
    let dir: &Path = setup.dir.path();
    let (cert, key) = authority
        .issue("member", &["127.0.0.1"])
        .write(dir, "member");
    let own = CertificateFiles {
        cert: file(cert),
        key: file(key),
    };
    let ca = file(authority.write(&dir.join("ca.crt")));
    let connector = ConnectSettings {
        own: Some(own.clone()),
        authority: Authority::File(ca.clone()),
        asked: false,
        rules: Rules::default(),
        protocol: Protocol::default(),
        alpn: &["http/1.1"],
    };
    setup.config.calls = Some(Arc::new(Connector::new(connector).unwrap()));
    let acceptor = AcceptSettings {
        callers: "peer",
        own,
        authority: Some(ca),
        rules: Rules {
            from_named_address: true,
            ..Rules::default()
        },
        certify: false,
        protocol: Protocol::default(),
        alpn: &["http/1.1"],
        handshakes: 10,
        patience: PATIENCE,
    };
    (setup, Arc::new(Acceptor::new(acceptor).unwrap()))
}

#[tokio::test]
async fn messages_large_and_small_arrive() {
    let authority = TestAuthority::new("ca");
    let (one, accept_one) = member(1, &authority).await;
    let (two, accept_two) = member(2, &authority).await;
    let (url_one, url_two) = (one.url.clone(), two.url.clone());
    let one = one.secured(accept_one).knows(2, &url_two).start();
    let mut two = two.secured(accept_two).knows(1, &url_one).start();
    one.connected(2).await;
    two.connected(1).await;
    for (number, len) in [(1, 10), (2, 5_000), (3, 3 << 20)] {
        let sent = message(APPEND, number, len);
        one.send(2, sent.clone());
        assert_eq!(two.next_message().await, sent);
    }
    let sent = message(HEARTBEAT, 4, 20);
    one.send(2, sent.clone());
    assert_eq!(two.next_message().await, sent);
}

#[tokio::test]
async fn members_of_another_authority_are_refused_both_ways() {
    let (one, accept_one) = member(1, &TestAuthority::new("ca")).await;
    let (two, accept_two) = member(2, &TestAuthority::new("other")).await;
    let (url_one, url_two) = (one.url.clone(), two.url.clone());
    let one = one.secured(accept_one).knows(2, &url_two).start();
    let two = two.secured(accept_two).knows(1, &url_one).start();
    tokio::time::sleep(Duration::from_millis(500)).await;
    for (member, other) in [(&one, 2), (&two, 1)] {
        assert_eq!(member.stats(other).connected_since, None);
        assert_eq!(member.stats(other).active_streams, 0);
        let target = peer(MemberId(other), [&url_one, &url_two][other as usize - 1]);
        let dialled = dial::dial(&member.network.ctx, &target, Channel::Snapshot).await;
        let error = dialled.unwrap_err();
        assert!(
            error.is_lasting() && error.to_string().contains("UnknownIssuer"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn plain_and_secured_do_not_mix() {
    let authority = TestAuthority::new("ca");
    let (secured, accept) = member(1, &authority).await;
    let secured = secured.secured(accept).start();
    let plain = Setup::new(2).await.start();
    let plain_url = secured.url.replace("https://", "http://");
    for (from, url, said) in [
        (&plain, &secured.url, "--peer-trusted-ca-file"),
        (&plain, &plain_url, ""),
        (&secured, &plain.url.replace("http://", "https://"), "tls: "),
    ] {
        let target = peer(MemberId(9), url);
        let error = dial::dial(&from.network.ctx, &target, Channel::Snapshot).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains(said), "{url}: {error}");
    }
}
