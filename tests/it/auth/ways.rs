//! Every way to the keys asks who calls: locks, elections and the JSON gateway too.

use ::http::Request;
use bytes::Bytes;
use holdfast::etcd::pb::v3electionpb::election_client::ElectionClient;
use holdfast::etcd::pb::v3electionpb::{CampaignRequest, LeaderRequest, ResignRequest};
use holdfast::etcd::pb::v3lockpb::lock_client::LockClient;
use holdfast::etcd::pb::v3lockpb::{LockRequest, UnlockRequest};
use http_body_util::Full;
use serde_json::{Value, json};
use tonic::Status;

use super::calls::{self, Admin, Type, permit_prefix};
use crate::harness::*;

also_over_tls![ways_to_the_keys];

#[tokio::test]
async fn ways_to_the_keys() {
    let server = calls::fresh().await;
    let root = Admin(Admin(server.client()).enable_with_root().await);
    let mine = permit_prefix(Type::Readwrite, "mine");
    root.add_with("user", vec![mine]).await;
    let cases = cases![
        a_lock_needs_its_keys,
        an_election_needs_its_keys,
        observing_needs_reading,
        the_gateway_takes_a_token,
    ];
    Suite::new("ways", cases).run_in_order(&server).await;
}

const DENIED: &str = "etcdserver: permission denied";

async fn user(c: &Case) -> Client {
    Admin(c.client.clone()).as_user("user", "user").await
}

async fn lock(client: &Client, name: &'static str) -> Result<Bytes, Status> {
    let mut stub = LockClient::new(client.connection());
    let name = Bytes::from_static(name.as_bytes());
    let request = LockRequest { name, lease: 0 };
    Ok(stub.lock(request).await?.into_inner().key)
}

async fn a_lock_needs_its_keys(c: Case) {
    let user = user(&c).await;
    let key = lock(&user, "mine/lock").await.unwrap();
    let mut stub = LockClient::new(user.connection());
    stub.unlock(UnlockRequest { key }).await.unwrap();
    let foreign = lock(&user, "foreign").await.unwrap_err();
    assert_eq!(foreign.message(), DENIED);
    let unlocked = stub
        .unlock(UnlockRequest {
            key: "foreign/1".into(),
        })
        .await;
    assert_eq!(unlocked.unwrap_err().message(), DENIED);
    let nobody = lock(&c.client, "mine/lock").await.unwrap_err();
    assert_eq!(nobody.message(), "etcdserver: user name is empty");
}

async fn an_election_needs_its_keys(c: Case) {
    let user = user(&c).await;
    let mut stub = ElectionClient::new(user.connection());
    let campaign = |name: &'static str| CampaignRequest {
        name: name.into(),
        value: "v".into(),
        ..CampaignRequest::default()
    };
    let won = stub.campaign(campaign("mine/election")).await.unwrap();
    let leader = won.into_inner().leader;
    stub.resign(ResignRequest { leader }).await.unwrap();
    let foreign = stub.campaign(campaign("foreign")).await.unwrap_err();
    assert_eq!(foreign.message(), DENIED);
}

async fn observing_needs_reading(c: Case) {
    let user = user(&c).await;
    let mut stub = ElectionClient::new(user.connection());
    let foreign = LeaderRequest {
        name: "foreign".into(),
    };
    assert_eq!(
        stub.leader(foreign.clone()).await.unwrap_err().message(),
        DENIED
    );
    let told = match stub.observe(foreign).await {
        Ok(mut stream) => stream.get_mut().message().await,
        Err(status) => Err(status),
    };
    // etcd ends the stream without a word.
    match told {
        Ok(told) => assert_eq!(told, None),
        Err(status) => assert_eq!(status.message(), DENIED),
    }
}

async fn the_gateway_takes_a_token(c: Case) {
    let token = Admin(c.client.clone()).authenticate("user", "user").await;
    let token = token.unwrap();
    let put = |key: &str| json!({"key": key, "value": "dg=="}).to_string();
    // "mine/a" and "foreign".
    let (mine, foreign) = (put("bWluZS9h"), put("Zm9yZWlnbg=="));
    let send = async |body: &str, token: Option<&str>| {
        let mut request = Request::post("/v3/kv/put");
        if let Some(token) = token {
            request = request.header("authorization", token);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes())));
        let answer = c.client.http_send(request.unwrap()).await;
        let said: Value = serde_json::from_slice(&answer.body).unwrap();
        let message = said["message"].as_str().map(str::to_owned);
        (answer.status.as_u16(), message)
    };
    assert_eq!(send(&mine, Some(&token)).await, (200, None));
    let (status, said) = send(&foreign, Some(&token)).await;
    assert_eq!((status, said.as_deref()), (403, Some(DENIED)));
    let (status, said) = send(&mine, None).await;
    let empty = "etcdserver: user name is empty";
    assert_eq!((status, said.as_deref()), (400, Some(empty)));
    let (status, said) = send(&mine, Some("made.up")).await;
    let invalid = "etcdserver: invalid auth token";
    assert_eq!((status, said.as_deref()), (401, Some(invalid)));
}
