//! A learner joins, is promoted, serves and leaves.

use std::time::Duration;

use holdfast::etcd::pb::etcdserverpb::{
    MemberAddRequest, MemberListRequest, MemberPromoteRequest, MemberRemoveRequest,
    MoveLeaderRequest, SnapshotRequest, StatusRequest,
};
use tokio::time::sleep;
use tonic::{Code, Status};

use crate::harness::*;

also_over_tls![a_learner_joins_is_promoted_and_leaves];

#[tokio::test]
async fn a_learner_joins_is_promoted_and_leaves() {
    let mut cluster = Cluster::start(Settings::default()).await;
    let leader = cluster.leader().await;
    cluster.client(leader).put(put("a", "1")).await.unwrap();
    let joining = cluster.prepare_joining("d");
    let id = add_learner(&cluster, joining).await;
    it_is_listed_unstarted(&cluster, id).await;
    a_second_learner_is_refused(&cluster).await;
    it_cannot_be_promoted_yet(&cluster, id).await;
    cluster[joining].spawn();
    cluster[joining].alive().await;
    while cluster
        .client(joining)
        .range(local("a"))
        .await
        .unwrap()
        .count
        == 0
    {
        sleep(Duration::from_millis(50)).await;
    }
    a_learner_serves_little(&cluster, joining).await;
    it_cannot_lead(&cluster, id).await;
    promote(&cluster, id).await;
    it_serves_everything(&mut cluster, joining).await;
    remove(&cluster, id).await;
    it_is_gone(&mut cluster, joining, id).await;
}

fn local(key: &str) -> holdfast::etcd::pb::etcdserverpb::RangeRequest {
    let mut request = point(key);
    request.serializable = true;
    request
}

/// Repeats a call while members do not yet count as connected.
pub(super) async fn once_healthy<T, F: Future<Output = Result<T, Status>>>(
    mut call: impl FnMut() -> F,
) -> T {
    loop {
        match call().await {
            Ok(response) => return response,
            Err(status) if status.message() == "etcdserver: unhealthy cluster" => {
                sleep(Duration::from_millis(200)).await;
            }
            Err(status) => panic!("{status:?}"),
        }
    }
}

async fn add_learner(cluster: &Cluster, joining: usize) -> u64 {
    let request = MemberAddRequest {
        peer_ur_ls: vec![cluster[joining].peer_url().into()],
        is_learner: true,
    };
    let client = cluster.client(cluster.leader().await);
    let response = once_healthy(|| async { client.cluster().member_add(request.clone()).await });
    let response = response.await.into_inner();
    let member = response.member.unwrap();
    assert!(member.is_learner);
    assert_eq!(member.peer_ur_ls, request.peer_ur_ls);
    assert_eq!(response.members.len(), 4);
    member.id
}

async fn it_is_listed_unstarted(cluster: &Cluster, id: u64) {
    let request = MemberListRequest { linearizable: true };
    for index in 0..3 {
        let list = cluster.client(index).member_list(request).await.unwrap();
        let member = list.members.iter().find(|member| member.id == id);
        let member = member.expect("the learner is listed");
        assert!(member.is_learner);
        assert_eq!((member.name.as_str(), member.client_ur_ls.len()), ("", 0));
    }
}

async fn a_second_learner_is_refused(cluster: &Cluster) {
    let request = MemberAddRequest {
        peer_ur_ls: vec!["http://127.0.0.1:11999".into()],
        is_learner: true,
    };
    let client = cluster.client(cluster.leader().await);
    let result = client.cluster().member_add(request).await;
    let text = "etcdserver: too many learner members in cluster";
    refused(result, Code::FailedPrecondition, text);
}

async fn it_cannot_be_promoted_yet(cluster: &Cluster, id: u64) {
    let client = cluster.client(cluster.leader().await);
    let result = client
        .cluster()
        .member_promote(MemberPromoteRequest { id })
        .await;
    let text = "etcdserver: can only promote a learner member which is in sync with leader";
    refused(result, Code::FailedPrecondition, text);
    let metrics = cluster[cluster.leader().await].http("/metrics").await;
    let counted = format!("etcd_server_learner_promote_failures{{Reason=\"{text}\"}} 1\n");
    assert!(metrics.text().contains(&counted), "{}", metrics.text());
}

/// 3.5 answers with another code than its successors.
#[track_caller]
fn not_for_learners<T: std::fmt::Debug>(result: Result<T, Status>) {
    let status = result.unwrap_err();
    assert_eq!(
        status.message(),
        "etcdserver: rpc not supported for learner"
    );
    assert!([Code::FailedPrecondition, Code::Unavailable].contains(&status.code()));
}

async fn a_learner_serves_little(cluster: &Cluster, joining: usize) {
    let client = cluster.client(joining);
    let status = client.status(StatusRequest {}).await.unwrap();
    assert!(status.is_learner);
    assert_ne!(status.leader, 0);
    not_for_learners(client.range(point("a")).await);
    not_for_learners(client.put(put("a", "2")).await);
    not_for_learners(client.lease_grant(grant(60, 0)).await);
    not_for_learners(client.member_list(MemberListRequest::default()).await);
    let mut watch = Watch::open(&client);
    watch.send_create(watch_key("a")).await;
    not_for_learners(watch.message().await);
    not_for_learners(KeepAlive::open(&client).ping(1).await);
    let backup = client.maintenance().snapshot(SnapshotRequest {}).await;
    let first = backup.unwrap().into_inner().message().await.unwrap();
    assert!(first.is_some_and(|piece| !piece.blob.is_empty()));
    let metrics = cluster[joining].http("/metrics").await;
    assert!(metrics.text().contains("\netcd_server_is_learner 1\n"));
    let ready = cluster[joining].http("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(
        ready.text().contains("[-]non_learner failed"),
        "{}",
        ready.text()
    );
}

async fn it_cannot_lead(cluster: &Cluster, id: u64) {
    let client = cluster.client(cluster.leader().await);
    let result = client
        .move_leader(MoveLeaderRequest { target_id: id })
        .await;
    let text = "etcdserver: bad leader transferee";
    refused(result, Code::FailedPrecondition, text);
}

/// Through a follower, which forwards.
async fn promote(cluster: &Cluster, id: u64) {
    let follower = (0..3).find(|index| index != &0).unwrap();
    let client = cluster.client(follower);
    loop {
        let request = MemberPromoteRequest { id };
        match client.cluster().member_promote(request).await {
            Ok(response) => {
                let members = response.into_inner().members;
                assert!(members.iter().all(|member| !member.is_learner));
                return;
            }
            Err(status) => {
                assert!(
                    status.message().contains("in sync with leader"),
                    "{status:?}"
                );
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn it_serves_everything(cluster: &mut Cluster, joining: usize) {
    cluster[joining].ready().await;
    let client = cluster.client(joining);
    client.put(put("b", "2")).await.unwrap();
    assert_eq!(client.range(span("a", "c")).await.unwrap().count, 2);
    let list = client
        .member_list(MemberListRequest::default())
        .await
        .unwrap();
    assert!(list.members.iter().any(|member| member.name == "d"));
    cluster[joining].kill();
    cluster[joining].restart().await;
    let response = cluster.client(joining).range(span("a", "c")).await.unwrap();
    assert_eq!(pairs(&response.kvs), "a=1 b=2");
}

async fn remove(cluster: &Cluster, id: u64) {
    let client = cluster.client(cluster.leader().await % 3);
    let response = once_healthy(|| async {
        client
            .cluster()
            .member_remove(MemberRemoveRequest { id })
            .await
    });
    assert_eq!(response.await.into_inner().members.len(), 3);
}

async fn it_is_gone(cluster: &mut Cluster, joining: usize, id: u64) {
    while cluster[joining].is_running() {
        sleep(Duration::from_millis(50)).await;
    }
    let client = cluster.client(0);
    let again = client
        .cluster()
        .member_remove(MemberRemoveRequest { id })
        .await;
    refused(again, Code::NotFound, "etcdserver: member not found");
    client.put(put("c", "3")).await.unwrap();
}
