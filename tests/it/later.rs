//! What Holdfast does not serve yet is refused as such, and changes nothing.

use holdfast::etcd::pb::etcdserverpb::auth_client::AuthClient;
use holdfast::etcd::pb::etcdserverpb::{AuthEnableRequest, MemberAddRequest, MemberRemoveRequest};
use tonic::Code;

use crate::harness::*;

#[tokio::test]
async fn services_that_come_later_answer_unimplemented() {
    if !Program::get().is_own() {
        return;
    }
    let server = Server::fresh().await;
    let client = server.client();
    let channel = client.channel();
    let member = MemberAddRequest {
        peer_ur_ls: vec!["http://127.0.0.1:1".into()],
        is_learner: false,
    };
    let codes = [
        code(client.cluster().member_add(member).await),
        code(
            client
                .cluster()
                .member_remove(MemberRemoveRequest { id: 1 })
                .await,
        ),
        code(
            AuthClient::new(channel)
                .auth_enable(AuthEnableRequest {})
                .await,
        ),
    ];
    assert_eq!(codes, [Code::Unimplemented; 3]);
    client.put(put("a", "1")).await.expect("still serving");
}

fn code<T>(result: Result<T, tonic::Status>) -> Code {
    result.err().map_or(Code::Ok, |status| status.code())
}
