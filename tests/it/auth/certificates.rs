//! Users by the common names of their certificates.

use ::http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use tonic::Code;

use super::calls::{Admin, Type, permit_prefix};
use crate::harness::*;

#[track_caller]
fn denied<T: std::fmt::Debug>(result: Result<T, tonic::Status>) {
    let text = "etcdserver: permission denied";
    refused(result, Code::PermissionDenied, text);
}

#[tokio::test]
async fn a_certificate_says_who_calls() {
    let pki = Pki::new();
    pki.issue("ann", "ann", &[]);
    let server = Server::start(Settings::plain().tls(&pki).flag("bcrypt-cost", 4)).await;
    let admin = Admin(server.client());
    let root = Admin(admin.enable_with_root().await);
    let mine = permit_prefix(Type::Readwrite, "ann/");
    root.add_with("ann", vec![mine]).await;
    root.user_add_without_password("ann-too").await.unwrap();

    let ann = Client::with_tls(server.address(), Some(&pki.client("ann")));
    ann.put(put("ann/a", "1")).await.unwrap();
    denied(ann.put(put("b", "1")).await);
    denied(Admin(ann.clone()).users().await);
    let (mut watch, created) = Watch::start(&ann, watch_prefix("ann/")).await;
    assert!(created.created && !created.canceled);
    ann.put(put("ann/a", "2")).await.unwrap();
    assert_eq!(told(&watch.next().await.events), "PUT a=2");
    // A certificate of nobody that the store knows.
    denied(server.client().range(point("ann/a")).await);
    // A token goes before the certificate.
    let token = admin.authenticate("root", "root").await.unwrap();
    let as_root = ann.with_metadata("token", &token);
    as_root.put(put("b", "1")).await.unwrap();
    let forged = ann.with_metadata("token", "made.1");
    let refusal = forged.put(put("ann/a", "3")).await;
    let text = "etcdserver: invalid auth token";
    refused(refusal, Code::Unauthenticated, text);

    // etcd 3.5 answered this with something that is no JSON.
    if Program::get().is_own() {
        the_gateway_asks_for_a_token(&ann).await;
    }
    root.user_delete("ann").await.unwrap();
    denied(ann.range(point("ann/a")).await);
}

/// In etcd's gateway a request comes with the gateway's certificate and not its caller's.
async fn the_gateway_asks_for_a_token(client: &Client) {
    let body = json!({"key": "YW5uL2E="}).to_string();
    let request = Request::post("/v3/kv/range").header("accept", "*/*");
    let request = request.body(Full::from(body));
    let answer = client.http_send(request.unwrap()).await;
    let said: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer.status, 400, "{said}");
    assert_eq!(said["message"], "etcdserver: user name is empty");
}
