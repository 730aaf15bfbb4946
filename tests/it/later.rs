//! What Holdfast does not serve yet is refused as such, and changes nothing.

use holdfast::etcd::pb::etcdserverpb::alarm_request::AlarmAction;
use holdfast::etcd::pb::etcdserverpb::{
    AlarmRequest, AlarmType, DowngradeRequest,
};
use holdfast::etcd::pb::v3electionpb::CampaignRequest;
use holdfast::etcd::pb::v3electionpb::election_client::ElectionClient;
use holdfast::etcd::pb::v3lockpb::LockRequest;
use holdfast::etcd::pb::v3lockpb::lock_client::LockClient;
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
    let raise = AlarmRequest {
        action: AlarmAction::Activate.into(),
        member_id: 1,
        alarm: AlarmType::Nospace.into(),
    };
    let codes = [
        code(client.maintenance().alarm(raise).await),
        code(
            client
                .maintenance()
                .downgrade(DowngradeRequest::default())
                .await,
        ),
        code(
            LockClient::new(channel.clone())
                .lock(LockRequest::default())
                .await,
        ),
        code(
            ElectionClient::new(channel)
                .campaign(CampaignRequest::default())
                .await,
        ),
    ];
    assert_eq!(codes, [Code::Unimplemented; 4]);
    client.put(put("a", "1")).await.expect("still serving");
}

fn code<T>(result: Result<T, tonic::Status>) -> Code {
    result.err().map_or(Code::Ok, |status| status.code())
}
