//! Acceptors and connectors over real sockets.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::testing::{Authority as TestAuthority, Issued};
use super::*;

/// How long anything may take that has to happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// Files of one test: an authority, and certificates of it for both sides.
struct Files {
    dir: TempDir,
    authority: TestAuthority,
}

fn file(path: PathBuf) -> TlsFile {
    TlsFile { flag: "file", path }
}

fn own(written: (PathBuf, PathBuf)) -> CertificateFiles {
    CertificateFiles {
        cert: file(written.0),
        key: file(written.1),
    }
}

impl Files {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = TestAuthority::new("ca");
        authority.write(&dir.path().join("ca.crt"));
        authority
            .issue("server", &["127.0.0.1", "localhost"])
            .write(dir.path(), "server");
        authority
            .issue("alice", &["127.0.0.1"])
            .write(dir.path(), "client");
        Self { dir, authority }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn own(&self, name: &str) -> CertificateFiles {
        own((
            self.path(&format!("{name}.crt")),
            self.path(&format!("{name}.key")),
        ))
    }

    fn replace(&self, issued: &Issued, name: &str) {
        issued.write(self.dir.path(), name);
    }

    /// A listener that demands certificates.
    fn accepting(&self) -> AcceptSettings {
        AcceptSettings {
            callers: "client",
            own: self.own("server"),
            authority: Some(file(self.path("ca.crt"))),
            asked: false,
            rules: Rules::default(),
            certify: true,
            protocol: Protocol::default(),
            alpn: &["h2", "http/1.1"],
            handshakes: 100,
            patience: PATIENCE,
        }
    }

    fn connecting(&self) -> ConnectSettings {
        ConnectSettings {
            own: Some(self.own("client")),
            authority: Authority::File(file(self.path("ca.crt"))),
            rules: Rules::default(),
            protocol: Protocol::default(),
            alpn: &["http/1.1"],
        }
    }
}

/// A listener that answers each connection it lets in with the caller's common name, as long as its task lives.
async fn listen(acceptor: Acceptor) -> (JoinSet<()>, SocketAddr) {
    let acceptor = Arc::new(acceptor);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, caller) = listener.accept().await.unwrap();
            let acceptor = Arc::clone(&acceptor);
            connections.spawn(async move {
                if let Some(mut accepted) = acceptor.accept(stream, caller).await {
                    let name = accepted.common_name.as_deref().unwrap_or("nobody");
                    accepted.wire.write_all(name.as_bytes()).await.unwrap();
                    accepted.wire.shutdown().await.unwrap();
                }
            });
        }
    };
    let mut serving = JoinSet::new();
    serving.spawn(serve);
    (serving, address)
}

/// What the listener says, or how it ends.
async fn ask(connector: &Connector, address: SocketAddr, host: &str) -> Result<String, String> {
    let stream = TcpStream::connect(address).await.unwrap();
    let ask = async {
        let mut wire = connector
            .connect(host, stream)
            .await
            .map_err(|e| e.to_string())?;
        let mut said = String::new();
        wire.read_to_string(&mut said)
            .await
            .map_err(|e| e.to_string())?;
        Ok(said)
    };
    timeout(PATIENCE, ask).await.expect("an answer or an error")
}

async fn ask_both(
    accepting: AcceptSettings,
    connecting: ConnectSettings,
) -> Result<String, String> {
    let (_serving, address) = listen(Acceptor::new(accepting).unwrap()).await;
    ask(&Connector::new(connecting).unwrap(), address, "127.0.0.1").await
}

#[tokio::test]
async fn both_sides_know_each_other() {
    let files = Files::new();
    for version in [Version::Tls12, Version::Tls13] {
        let mut connecting = files.connecting();
        connecting.protocol.max = version;
        connecting.protocol.min = version;
        let said = ask_both(files.accepting(), connecting).await;
        assert_eq!(said.as_deref(), Ok("alice"), "{version:?}");
    }
    let mut silent = files.accepting();
    silent.certify = false;
    let said = ask_both(silent, files.connecting()).await;
    assert_eq!(said.as_deref(), Ok("nobody"));
}

#[tokio::test]
async fn without_an_authority_no_certificate_is_asked_for() {
    let files = Files::new();
    let mut accepting = files.accepting();
    accepting.authority = None;
    let said = ask_both(accepting, files.connecting()).await;
    assert_eq!(said.as_deref(), Ok("nobody"));
}

#[tokio::test]
async fn strangers_are_refused_on_either_side() {
    let files = Files::new();
    let mut none = files.connecting();
    none.own = None;
    ask_both(files.accepting(), none).await.unwrap_err();

    let other = TestAuthority::new("other");
    let mut stranger = files.connecting();
    stranger.own = Some(own(other
        .issue("alice", &[])
        .write(files.dir.path(), "stranger")));
    ask_both(files.accepting(), stranger).await.unwrap_err();

    let expired = files.authority.issue_expired("alice", &[]);
    let mut late = files.connecting();
    late.own = Some(own(expired.write(files.dir.path(), "late")));
    ask_both(files.accepting(), late).await.unwrap_err();

    let mut impostor = files.accepting();
    impostor.own = own(other
        .issue("server", &["127.0.0.1"])
        .write(files.dir.path(), "impostor"));
    let said = ask_both(impostor, files.connecting()).await.unwrap_err();
    assert!(said.contains("UnknownIssuer"), "{said}");
    let (_serving, address) = listen(Acceptor::new(files.accepting()).unwrap()).await;
    let connector = Connector::new(files.connecting()).unwrap();
    let said = ask(&connector, address, "other.example").await.unwrap_err();
    assert!(said.contains("other.example"), "{said}");
    ask(&connector, address, "localhost").await.unwrap();
}

#[tokio::test]
async fn rules_hold_on_either_side() {
    let files = Files::new();
    let only = |name: &str| Rules {
        common_names: vec![name.to_owned()],
        ..Rules::default()
    };
    let mut accepting = files.accepting();
    accepting.rules = only("bob");
    ask_both(accepting, files.connecting()).await.unwrap_err();
    let mut connecting = files.connecting();
    connecting.rules = only("alice");
    let said = ask_both(files.accepting(), connecting.clone())
        .await
        .unwrap_err();
    assert!(said.contains("\"server\""), "{said}");
    connecting.rules = only("server");
    ask_both(files.accepting(), connecting).await.unwrap();
}

#[tokio::test]
async fn anyone_is_believed_only_if_told_to() {
    let files = Files::new();
    let other = TestAuthority::new("other");
    let mut accepting = files.accepting();
    accepting.authority = None;
    accepting.own = own(other
        .issue("x", &["192.0.2.1"])
        .write(files.dir.path(), "x"));
    ask_both(accepting.clone(), files.connecting())
        .await
        .unwrap_err();
    for version in [Version::Tls12, Version::Tls13] {
        let mut trusting = files.connecting();
        trusting.authority = Authority::Anyone;
        trusting.protocol.max = version;
        ask_both(accepting.clone(), trusting).await.unwrap();
    }
}

#[tokio::test]
async fn versions_and_suites_are_those_asked_for() {
    let files = Files::new();
    let mut modern = files.accepting();
    modern.protocol.min = Version::Tls13;
    let mut old = files.connecting();
    old.protocol.max = Version::Tls12;
    ask_both(modern, old.clone()).await.unwrap_err();
    let suite = |name: &str| vec![name.to_owned()];
    let mut accepting = files.accepting();
    accepting.protocol.suites = suite("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
    ask_both(accepting.clone(), old.clone()).await.unwrap();
    old.protocol.suites = suite("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384");
    ask_both(accepting, old).await.unwrap_err();
}

#[tokio::test]
async fn renewed_files_count_from_the_next_connection_on() {
    let files = Files::new();
    let crl = files.path("crl.pem");
    files.authority.revoke(&crl, &[]);
    let mut accepting = files.accepting();
    accepting.rules.crl = Some(file(crl.clone()));
    let (_serving, address) = listen(Acceptor::new(accepting).unwrap()).await;
    let connector = Connector::new(files.connecting()).unwrap();
    let said = || ask(&connector, address, "127.0.0.1");
    assert_eq!(said().await.as_deref(), Ok("alice"));

    let bob = files.authority.issue("bob", &[]);
    files.replace(&bob, "client");
    assert_eq!(said().await.as_deref(), Ok("bob"));
    files.authority.revoke(&crl, &[&bob]);
    said().await.unwrap_err();
    fs::write(&crl, files.authority.revocation_list(&[]).der()).unwrap();
    assert_eq!(said().await.as_deref(), Ok("bob"));

    // A certificate without its key changes nothing.
    let renewed = files.authority.issue("server", &["127.0.0.1"]);
    fs::write(files.path("server.crt"), &renewed.pem).unwrap();
    assert_eq!(said().await.as_deref(), Ok("bob"));
    fs::write(files.path("server.key"), &renewed.key).unwrap();
    assert_eq!(said().await.as_deref(), Ok("bob"));

    // Both sides move to another authority, one after the other.
    let other = TestAuthority::new("other");
    other.write(&files.path("ca.crt"));
    said().await.unwrap_err();
    let server = other.issue("server", &["127.0.0.1"]);
    files.replace(&server, "server");
    said().await.unwrap_err();
    files.replace(&other.issue("carol", &[]), "client");
    assert_eq!(said().await.as_deref(), Ok("carol"));
}

#[tokio::test]
async fn callers_that_do_not_shake_hands_cost_themselves_only() {
    let files = Files::new();
    let mut accepting = files.accepting();
    accepting.handshakes = 3;
    let (_serving, address) = listen(Acceptor::new(accepting).unwrap()).await;
    let mut silent = Vec::new();
    for _ in 0..5 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    // The oldest have given way.
    for stream in &mut silent[..2] {
        let end = timeout(PATIENCE, stream.read(&mut [0; 16])).await;
        assert_eq!(end.unwrap().unwrap_or(0), 0);
    }
    let connector = Connector::new(files.connecting()).unwrap();
    assert_eq!(
        ask(&connector, address, "127.0.0.1").await.as_deref(),
        Ok("alice")
    );
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    let _reset = timeout(PATIENCE, plain.read_to_end(&mut said))
        .await
        .unwrap();
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
}

#[tokio::test]
async fn silence_has_a_limit() {
    let files = Files::new();
    let mut accepting = files.accepting();
    accepting.patience = Duration::from_millis(50);
    let (_serving, address) = listen(Acceptor::new(accepting).unwrap()).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    let end = timeout(PATIENCE, silent.read(&mut [0; 16])).await;
    assert_eq!(end.unwrap().unwrap_or(0), 0);
}

/// What is said of settings that cannot be used.
fn refused(settings: AcceptSettings) -> String {
    Acceptor::new(settings).unwrap_err().to_string()
}

#[test]
fn bad_files_are_named_with_their_flags() {
    let files = Files::new();
    let path = |name: &str| files.path(name).display().to_string();
    let with_cert = |name: &str| {
        let mut settings = files.accepting();
        settings.own.cert = TlsFile {
            flag: "cert-file",
            path: files.path(name),
        };
        refused(settings)
    };
    assert_eq!(
        with_cert("missing"),
        format!(
            "cannot use --cert-file={}: No such file or directory (os error 2)",
            path("missing")
        )
    );
    assert_eq!(
        with_cert("server.key"),
        format!(
            "cannot use --cert-file={}: no certificate inside",
            path("server.key")
        )
    );
    let mut settings = files.accepting();
    settings.own.key.path = files.path("client.key");
    assert_eq!(
        refused(settings),
        format!(
            "cannot use --file={}: not the key of the certificate in {}",
            path("client.key"),
            path("server.crt")
        )
    );
    let mut settings = files.accepting();
    settings.own.key.path = files.path("server.crt");
    assert!(refused(settings).contains("no private key inside"));
    let mut settings = files.accepting();
    settings.authority = Some(file(files.path("client.key")));
    assert!(refused(settings).contains("no certificate inside"));
    fs::write(
        files.path("half.pem"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n",
    )
    .unwrap();
    assert!(with_cert("half.pem").contains("not PEM"));
    for content in [
        &b""[..],
        b"nonsense",
        b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
    ] {
        fs::write(files.path("crl"), content).unwrap();
        let mut settings = files.accepting();
        settings.rules.crl = Some(file(files.path("crl")));
        let said = refused(settings);
        assert!(said.contains("not a certificate revocation list"), "{said}");
    }
    assert!(is_refused_for_length(&files, Path::new("/dev/zero")));
}

fn is_refused_for_length(files: &Files, path: &Path) -> bool {
    let mut settings = files.accepting();
    settings.own.cert = file(path.to_owned());
    refused(settings).contains("longer than")
}
