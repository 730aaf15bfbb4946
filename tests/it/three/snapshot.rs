//! A member that was away too long gets a snapshot instead of the log.

use holdfast::etcd::pb::etcdserverpb::alarm_request::AlarmAction;
use holdfast::etcd::pb::etcdserverpb::{
    AlarmRequest, AlarmType, HashKvRequest, StatusRequest, WatchCreateRequest,
};
use tonic::Code;

use crate::auth::calls::{Admin, Type, permit_prefix};
use crate::harness::*;

const WRITES: i64 = 600;
/// Writes that make the log outgrow what is kept. Holdfast gives up segments of 64 MiB, and only below what a
/// flush covers, of which there is one for every 64 MiB of commands: the second lets the first segment go.
const FILLERS: usize = 160;
const FILLER_BYTES: usize = 1 << 20;
/// Fillers under way at a time.
const TOGETHER: usize = 8;

fn short_log() -> Settings {
    Settings::default()
        .quick_elections()
        .flag("snapshot-count", 50)
        .renamed_flag("snapshot-catchup-entries", 10)
}

#[tokio::test]
async fn a_lagging_member_catches_up_by_snapshot() {
    let mut cluster = Cluster::start(short_log()).await;
    let lagging = cluster.follower().await;
    let client = cluster.client((lagging + 1) % 3);
    client.lease_grant(grant(600, 1)).await.unwrap();
    client.put(put("before", "1")).await.unwrap();
    cluster[lagging].kill();
    let late = permit_prefix(Type::Read, "late/");
    Admin(client.clone()).add_with("late", vec![late]).await;
    outgrow_the_log(&client).await;
    let start_revision = client.revision().await + 1;
    for n in 0..WRITES {
        let mut request = put(format!("key/{:03}", n % 100), n.to_string());
        request.lease = i64::from(n % 2 == 0);
        client.put(request).await.unwrap();
    }
    let compacted = start_revision + WRITES / 2;
    client.compact(compact(compacted)).await.unwrap();
    alarm(&client, AlarmAction::Activate).await;
    cluster[lagging].restart().await;
    cluster.converge().await;
    assert!(snapshots_received(&cluster[lagging]).await >= 1.0);
    the_data_is_there(&cluster.client(lagging)).await;
    let users = Admin(cluster.client(lagging));
    assert_eq!(users.user_roles("late").await.unwrap(), ["late"]);
    assert_eq!(users.role_permissions("late").await.unwrap().len(), 1);
    history_is_there(&cluster.client(lagging), compacted).await;
    all_members_hash_alike(&cluster).await;
    let client = cluster.client(lagging);
    let status = client.status(StatusRequest {}).await.unwrap();
    assert_eq!(status.errors, ["memberID:7 alarm:NOSPACE "]);
    let full = "etcdserver: mvcc: database space exceeded";
    let result = client.put(put("after", "1")).await;
    refused(result, Code::ResourceExhausted, full);
    alarm(&client, AlarmAction::Deactivate).await;
    client.put(put("after", "1")).await.unwrap();
}

async fn alarm(client: &Client, action: AlarmAction) {
    let request = AlarmRequest {
        action: action.into(),
        member_id: 7,
        alarm: AlarmType::Nospace.into(),
    };
    client.alarm(request).await.unwrap();
}

async fn outgrow_the_log(client: &Client) {
    let value = vec![b'v'; FILLER_BYTES];
    for _ in 0..FILLERS / TOGETHER {
        let fillers = (0..TOGETHER).map(|n| client.put(put(format!("filler/{n}"), &value)));
        futures::future::try_join_all(fillers).await.unwrap();
    }
}

/// Snapshots that a member has received since it was started.
async fn snapshots_received(member: &Server) -> f64 {
    const NAME: &str = "etcd_network_snapshot_receive_success{";
    let page = member.http("/metrics").await;
    let samples = page.text().lines().filter(|line| line.starts_with(NAME));
    let values = samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum()
}

async fn the_data_is_there(client: &Client) {
    let mut all = prefixed("key/");
    all.serializable = true;
    let response = client.range(all).await.unwrap();
    assert_eq!(response.count, 100);
    for kv in &response.kvs {
        let name: i64 = text(kv.key()).rsplit('/').next().unwrap().parse().unwrap();
        let last = WRITES - 100 + name;
        assert_eq!(text(kv.value()), last.to_string());
        assert_eq!((kv.version(), kv.lease()), (6, i64::from(last % 2 == 0)));
    }
    let lease = client
        .lease_time_to_live(time_to_live(1, true))
        .await
        .unwrap();
    assert_eq!(lease.keys.len(), 50);
}

async fn history_is_there(client: &Client, compacted: i64) {
    let mut below = prefixed("key/");
    below.revision = compacted - 1;
    let text = "etcdserver: mvcc: required revision has been compacted";
    refused(client.range(below).await, Code::OutOfRange, text);
    let request = WatchCreateRequest {
        start_revision: compacted,
        ..watch_prefix("key/")
    };
    let (mut watch, _) = Watch::start(client, request).await;
    let events = watch.events((WRITES / 2) as usize).await;
    let revisions = events.iter().map(event_revision);
    let due = compacted..compacted + WRITES / 2;
    assert_eq!(revisions.collect::<Vec<_>>(), due.collect::<Vec<_>>());
}

async fn all_members_hash_alike(cluster: &Cluster) {
    let revision = cluster.client(0).revision().await;
    let mut hashes = Vec::new();
    for index in 0..cluster.len() {
        let request = HashKvRequest { revision };
        let hash = cluster.client(index).hash_kv(request).await.unwrap();
        hashes.push((hash.hash, hash.compact_revision));
    }
    assert_eq!(hashes[0], hashes[1]);
    assert_eq!(hashes[0], hashes[2]);
}

/// The state comes from a snapshot and the log after it, on every start.
#[tokio::test]
async fn members_with_a_short_log_restart() {
    let mut cluster = Cluster::start(short_log()).await;
    let client = cluster.client(0);
    for n in 0..300 {
        client.put(put("a", n.to_string())).await.unwrap();
    }
    for index in 0..cluster.len() {
        cluster[index].kill();
    }
    for index in 0..cluster.len() {
        cluster[index].spawn();
    }
    for index in 0..cluster.len() {
        cluster[index].ready().await;
        let response = cluster.client(index).range(point("a")).await.unwrap();
        assert_eq!(pairs(&response.kvs), "a=299");
        assert_eq!(response.kvs[0].version(), 300);
    }
}
