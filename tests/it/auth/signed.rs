//! Signed tokens (`--auth-token jwt,...`).

use std::path::PathBuf;
use std::time::Duration;

use holdfast::etcd::pb::etcdserverpb::MemberListRequest;
use tonic::Code;

use super::calls::{self, Admin, Type, permit_prefix};
use crate::harness::*;

also_over_tls![
    a_signed_token_says_who_somebody_was_at_a_revision,
    a_member_may_only_check
];

/// The keys of a method in files of their own.
struct Keys {
    dir: tempfile::TempDir,
}

const PRIVATE: &[u8] = include_bytes!("../../../src/engine/auth/jwt/testdata/rsa.pkcs8.pem");
const PUBLIC: &[u8] = include_bytes!("../../../src/engine/auth/jwt/testdata/rsa.pub.pem");

impl Keys {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("private"), PRIVATE).unwrap();
        std::fs::write(dir.path().join("public"), PUBLIC).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn settings(&self, private: bool, ttl: &str) -> Settings {
        let public = self.path("public").display().to_string();
        let mut value = format!("jwt,sign-method=RS256,pub-key={public},ttl={ttl}");
        if private {
            let private = self.path("private").display().to_string();
            value.push_str(&format!(",priv-key={private}"));
        }
        calls::settings()
            .flag("auth-token", value)
            .flag("bcrypt-cost", 4)
    }
}

#[track_caller]
fn invalid_token<T: std::fmt::Debug>(result: Result<T, tonic::Status>) {
    let text = "etcdserver: invalid auth token";
    refused(result, Code::Unauthenticated, text);
}

#[track_caller]
fn old<T: std::fmt::Debug>(result: Result<T, tonic::Status>) {
    let text = "etcdserver: revision of auth store is old";
    refused(result, Code::InvalidArgument, text);
}

/// What makes a signed token another thing than a remembered one: it survives a restart, and a change of users
/// and roles ends it.
#[tokio::test]
async fn a_signed_token_says_who_somebody_was_at_a_revision() {
    let keys = Keys::new();
    let mut server = Server::start(keys.settings(true, "10m")).await;
    let admin = Admin(server.client());
    admin.enable_with_root().await;
    let token = admin.authenticate("root", "root").await.unwrap();
    assert_eq!(token.split('.').count(), 3, "{token}");
    let root = Admin(admin.0.with_metadata("token", &token));
    root.0.put(put("a", "1")).await.unwrap();
    server.kill();
    server.restart().await;
    let root = Admin(server.client().with_metadata("token", &token));
    root.0.range(point("a")).await.unwrap();
    let touched = token.replacen('.', ".A", 1);
    invalid_token(
        server
            .client()
            .with_metadata("token", &touched)
            .range(point("a"))
            .await,
    );
    root.user_add("ann", "ann").await.unwrap();
    root.role_add("role").await.unwrap();
    old(root.0.range(point("a")).await);
    old(root.0.put(put("a", "2")).await);
    let (_watch, response) = Watch::start(&root.0, watch_key("a")).await;
    let reason =
        "rpc error: code = InvalidArgument desc = etcdserver: revision of auth store is old";
    assert_eq!(
        (response.canceled, response.cancel_reason.as_str()),
        (true, reason)
    );
    let again = Admin(server.client()).as_user("root", "root").await;
    again.range(point("a")).await.unwrap();
}

#[tokio::test]
async fn a_signed_token_ends() {
    let keys = Keys::new();
    let server = Server::start(keys.settings(true, "2s")).await;
    let admin = Admin(server.client());
    let root = admin.enable_with_root().await;
    root.range(point("a")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    invalid_token(root.range(point("a")).await);
}

/// A member without the private key takes the tokens of those that have it, and gives none. etcd does not come up
/// so: it wants a token for its own health.
#[tokio::test]
async fn a_member_may_only_check() {
    if !Program::get().is_own() {
        return;
    }
    let keys = Keys::new();
    let mut server = Server::start(keys.settings(true, "10m")).await;
    let admin = Admin(server.client());
    let root = Admin(admin.enable_with_root().await);
    root.add_with("ann", vec![permit_prefix(Type::Readwrite, "ann/")])
        .await;
    let token = admin.authenticate("ann", "ann").await.unwrap();
    server.kill();
    let cluster = format!("default={}", server.peer_url());
    server.configure(&keys.settings(false, "10m"), &cluster);
    server.restart().await;
    let ann = server.client().with_metadata("token", &token);
    ann.put(put("ann/a", "1")).await.unwrap();
    ann.member_list(MemberListRequest::default()).await.unwrap();
    let refused_sign_in = Admin(server.client()).authenticate("ann", "ann").await;
    let text = "auth: token signing attempted with verify-only key";
    refused(refused_sign_in, Code::Unknown, text);
}

/// A member that could not check a token must not start as if it could.
#[tokio::test]
async fn keys_that_cannot_be_used_keep_a_member_from_starting() {
    if !Program::get().is_own() {
        return;
    }
    let keys = Keys::new();
    let value = |options: &str| format!("--auth-token=jwt,{options}");
    let public = keys.path("public").display().to_string();
    for (flag, reason) in [
        (
            value("sign-method=RS256,pub-key=/no/such/file"),
            "/no/such/file",
        ),
        (value("sign-method=RS256"), "auth: missing key data"),
        (
            value("sign-method=none"),
            "auth: invalid auth signature method",
        ),
        (
            value(&format!("sign-method=ES256,pub-key={public}")),
            "cannot read the public key",
        ),
        (value("sign=RS256"), "sign is no option of jwt"),
    ] {
        let data = keys.path("data");
        let output = Program::get()
            .command()
            .arg(&flag)
            .arg(format!("--data-dir={}", data.display()))
            .args([
                "--listen-client-urls=http://127.0.0.1:0",
                "--listen-peer-urls=http://127.0.0.1:0",
            ])
            .arg("--advertise-client-urls=http://127.0.0.1:2379")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{flag}: {said}");
        assert!(said.contains(reason), "{flag}: {said}");
    }
}
