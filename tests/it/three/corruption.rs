//! A member whose data differs from the others'.

use std::path::{Path, PathBuf};

use holdfast::etcd::pb::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmType, SnapshotRequest, StatusRequest,
};
use tonic::Code;

use crate::harness::*;

fn settings() -> Settings {
    Settings::default()
        .quick_elections()
        .renamed_flag("corrupt-check-time", "1s")
}

/// Two of three begin with one value of a key, the third with another, at the same place in the log.
#[tokio::test]
async fn the_member_that_differs_is_found() {
    if !Program::get().is_own() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let [right, wrong] = backups(dir.path()).await;
    let mut cluster = Cluster::start_from(settings(), [&right, &right, &wrong]).await;
    let client = cluster.client(0);
    let corrupt = AlarmMember {
        member_id: cluster.member_id(2).await,
        alarm: AlarmType::Corrupt.into(),
    };
    while alarms(&client).await.is_empty() {
        tokio::time::sleep(QUIET).await;
    }
    assert_eq!(alarms(&client).await, [corrupt]);
    for index in 0..3 {
        let refusal = cluster.client(index).put(put("b", "1")).await;
        refused(refusal, Code::DataLoss, "etcdserver: corrupt cluster");
        let ready = cluster[index].http("/readyz").await;
        assert!(
            ready
                .text()
                .contains("[-]data_corruption failed: alarm activated: CORRUPT")
        );
    }
    // It may not come back with these data; the others may.
    let checked = settings().flag("feature-gates", "InitialCorruptCheck=true");
    for index in [1, 2] {
        cluster[index].kill();
        cluster.reconfigure(index, &checked);
        cluster[index].spawn();
    }
    assert_eq!(cluster[2].ended().await.code(), Some(1));
    assert!(
        cluster[2]
            .log_tail()
            .contains("differs from the other members'")
    );
    cluster[1].alive().await;
}

/// With the gate CompactHashCheck alone, members are compared once there was a compaction, and not before.
#[tokio::test]
async fn the_member_that_differs_is_found_after_a_compaction() {
    if !Program::get().is_own() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let [right, wrong] = backups(dir.path()).await;
    let settings = Settings::default()
        .quick_elections()
        .renamed_flag("compact-hash-check-time", "100ms")
        .flag("feature-gates", "CompactHashCheck=true");
    let cluster = Cluster::start_from(settings, [&right, &right, &wrong]).await;
    let client = cluster.client(0);
    let put = client.put(put("b", "1")).await.unwrap();
    tokio::time::sleep(QUIET).await;
    assert_eq!(alarms(&client).await, []);
    let revision = put.header.unwrap().revision;
    client.compact(compact(revision)).await.unwrap();
    let corrupt = AlarmMember {
        member_id: cluster.member_id(2).await,
        alarm: AlarmType::Corrupt.into(),
    };
    while alarms(&client).await.is_empty() {
        tokio::time::sleep(QUIET).await;
    }
    assert_eq!(alarms(&client).await, [corrupt]);
}

/// Comparing finds nothing in members that are well, whatever they do meanwhile.
#[tokio::test]
async fn members_that_agree_stay_unsuspected() {
    if !Program::get().is_own() {
        return;
    }
    let settings = Settings::default()
        .quick_elections()
        .renamed_flag("corrupt-check-time", "100ms")
        .renamed_flag("compact-hash-check-time", "100ms")
        .flag(
            "feature-gates",
            "InitialCorruptCheck=true,CompactHashCheck=true",
        );
    let mut cluster = Cluster::start(settings).await;
    let client = cluster.client(0);
    for n in 0..300 {
        let put = client.put(put(format!("k{}", n % 7), n.to_string())).await;
        let revision = put.unwrap().header.unwrap().revision;
        if n % 50 == 49 {
            client.compact(compact(revision - 5)).await.unwrap();
        }
    }
    let last = cluster.len() - 1;
    cluster[last].kill();
    cluster[last].restart().await;
    tokio::time::sleep(QUIET).await;
    assert_eq!(alarms(&client).await, []);
}

async fn alarms(client: &Client) -> Vec<AlarmMember> {
    client.alarm(AlarmRequest::default()).await.unwrap().alarms
}

/// Backups of two stores that hold different values at the same revision and log index.
async fn backups(dir: &Path) -> [PathBuf; 2] {
    let servers = [Server::fresh().await, Server::fresh().await];
    for (n, server) in servers.iter().enumerate() {
        let client = server.client();
        client.put(put("a", n.to_string())).await.unwrap();
    }
    let applied = async |server: &Server| {
        let status = server.client().status(StatusRequest {}).await.unwrap();
        status.raft_applied_index
    };
    let mark = applied(&servers[0]).await.max(applied(&servers[1]).await);
    let mut files = Vec::new();
    for (n, server) in servers.iter().enumerate() {
        // What is asked of the log takes a place in it and changes nothing.
        while applied(server).await < mark {
            alarms(&server.client()).await;
        }
        let file = dir.join(format!("{n}.db"));
        std::fs::write(&file, backup(&server.client()).await).unwrap();
        files.push(file);
    }
    files.try_into().unwrap()
}

async fn backup(client: &Client) -> Vec<u8> {
    let mut maintenance = client.maintenance();
    let stream = maintenance.snapshot(SnapshotRequest {}).await.unwrap();
    let mut stream = stream.into_inner();
    let mut saved = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        saved.extend_from_slice(&message.blob);
    }
    saved
}
