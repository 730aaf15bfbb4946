//! Connections over TLS, through the entrance to the request.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::routing::get;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::accept::{Entrance, at_once};
use super::connection::Serving;
use super::listen::Socket;
use crate::base::shutdown::Lifecycle;
use crate::config::{KeepaliveConfig, LimitConfig};
use crate::etcd::CertifiedName;
use crate::tls::testing::Authority as TestAuthority;
use crate::tls::{
    AcceptSettings, Acceptor, Authority, CertificateFiles, ConnectSettings, Connector, Protocol,
    Rules, TlsFile,
};

const PATIENCE: Duration = Duration::from_secs(30);

fn file(path: PathBuf) -> TlsFile {
    TlsFile { flag: "file", path }
}

fn issue(authority: &TestAuthority, dir: &TempDir, name: &str) -> CertificateFiles {
    let (cert, key) = authority
        .issue(name, &["127.0.0.1"])
        .write(dir.path(), name);
    CertificateFiles {
        cert: file(cert),
        key: file(key),
    }
}

async fn who(request: Request) -> String {
    let name = request.extensions().get::<CertifiedName>();
    name.map_or("nobody".to_owned(), |name| name.0.to_string())
}

/// What a server says to `alice` of who she is.
async fn asked(certify: bool) -> String {
    let dir = tempfile::tempdir().unwrap();
    let authority = TestAuthority::new("ca");
    let ca = file(authority.write(&dir.path().join("ca.crt")));
    let acceptor = Acceptor::new(AcceptSettings {
        callers: "client",
        own: issue(&authority, &dir, "server"),
        authority: Some(ca.clone()),
        asked: false,
        rules: Rules::default(),
        certify,
        protocol: Protocol::default(),
        alpn: &["h2", "http/1.1"],
        handshakes: 10,
        patience: PATIENCE,
    });
    let connector = Connector::new(ConnectSettings {
        own: Some(issue(&authority, &dir, "alice")),
        authority: Authority::File(ca),
        rules: Rules::default(),
        protocol: Protocol::default(),
        alpn: &["http/1.1"],
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = LimitConfig {
        max_request_bytes: 1 << 20,
        max_txn_ops: 128,
        max_concurrent_streams: 8,
        quota_bytes: 0,
    };
    let keepalive = KeepaliveConfig {
        interval: None,
        timeout: PATIENCE,
    };
    let (life, serving) = (
        Lifecycle::new(),
        Arc::new(Serving::new(&limits, &keepalive, PATIENCE)),
    );
    let entrance = Entrance {
        sockets: vec![Socket {
            listener,
            https: true,
        }],
        respond: axum::Router::new(),
        respond_secured: axum::Router::new().route("/who", get(who)),
        tls: Some(Arc::new(acceptor.unwrap())),
        room: 10,
        open: at_once(),
    };
    entrance.serve(&life, &serving);
    let stream = TcpStream::connect(address).await.unwrap();
    let mut wire = connector
        .unwrap()
        .connect("127.0.0.1", stream)
        .await
        .unwrap();
    let request = b"GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    wire.write_all(request).await.unwrap();
    let mut answer = String::new();
    wire.read_to_string(&mut answer).await.unwrap();
    life.stop();
    answer.lines().last().unwrap().to_owned()
}

#[tokio::test]
async fn a_request_knows_whose_certificate_its_connection_has() {
    assert_eq!(asked(true).await, "alice");
    assert_eq!(asked(false).await, "nobody");
}
