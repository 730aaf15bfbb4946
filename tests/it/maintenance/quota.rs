//! A full store: refusal, alarm, and the way back.

use holdfast::etcd::pb::etcdserverpb::alarm_request::AlarmAction;
use holdfast::etcd::pb::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmType, CompactionRequest, DefragmentRequest,
};
use tonic::{Code, Status};

use crate::harness::*;

const QUOTA: usize = 16 * 1024 * 1024;
const VALUE: usize = 500_000;

#[tokio::test]
async fn a_full_store_refuses_writes_and_recovers() {
    let settings = Settings::default().flag("quota-backend-bytes", QUOTA);
    let server = Server::start(settings).await;
    let client = server.client();
    let refusal = fill(&client).await;
    let text = "etcdserver: mvcc: database space exceeded";
    refused::<()>(Err(refusal), Code::ResourceExhausted, text);
    let raised = alarms(&client).await;
    assert_eq!(raised.len(), 1);
    assert_eq!(raised[0].alarm(), AlarmType::Nospace);
    // Lowered without room being made it rises again.
    lower(&client, raised[0]).await;
    let more = client.put(put("more", noise(0))).await;
    refused(more, Code::ResourceExhausted, text);
    assert_eq!(alarms(&client).await, raised);
    make_room(&client).await;
    for alarm in raised {
        lower(&client, alarm).await;
    }
    client.put(put("a", "1")).await.unwrap();
    assert_eq!(pairs(&client.range(point("a")).await.unwrap().kvs), "a=1");
}

/// Writes until refused.
async fn fill(client: &Client) -> Status {
    for n in 0..10 * QUOTA / VALUE {
        if let Err(refusal) = client.put(put(format!("fill/{n}"), noise(n))).await {
            return refusal;
        }
    }
    panic!("ten times the quota was accepted");
}

/// A value that takes as much space on disk as it is long.
fn noise(seed: usize) -> Vec<u8> {
    let mut state = seed as u64 + 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..VALUE).map(next).collect()
}

async fn alarms(client: &Client) -> Vec<AlarmMember> {
    client.alarm(AlarmRequest::default()).await.unwrap().alarms
}

async fn make_room(client: &Client) {
    let everything = delete_span(NO_END, NO_END);
    client.delete_range(everything).await.unwrap();
    let compaction = CompactionRequest {
        revision: client.revision().await,
        physical: true,
    };
    client.compact(compaction).await.unwrap();
    client.defragment(DefragmentRequest {}).await.unwrap();
}

async fn lower(client: &Client, alarm: AlarmMember) {
    let request = AlarmRequest {
        action: AlarmAction::Deactivate.into(),
        member_id: alarm.member_id,
        alarm: alarm.alarm,
    };
    assert_eq!(client.alarm(request).await.unwrap().alarms, [alarm]);
}
