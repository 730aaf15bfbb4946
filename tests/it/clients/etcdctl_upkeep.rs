//! etcdctl's commands for the upkeep of a member: alarms, compaction, defragmentation, backups, hashes, downgrades.

use holdfast::etcd::pb::etcdserverpb::alarm_request::AlarmAction;
use holdfast::etcd::pb::etcdserverpb::{AlarmRequest, AlarmType};

use super::ctl::{ctl, endpoint, has, is_missing, key};
use crate::harness::*;

also_over_tls![etcdctl_keeps_a_member];

#[tokio::test]
async fn etcdctl_keeps_a_member() {
    if is_missing().await {
        return;
    }
    let server = Server::fresh().await;
    // Nobody else writes while there is an alarm or a downgrade.
    let cases = cases![
        hashes_are_told,
        defragmentation_finishes,
        there_are_no_alarms,
        alarms_are_listed_and_disarmed,
        a_downgrade_is_judged_begun_and_cancelled,
        moving_the_leader_to_a_stranger_is_refused,
        a_snapshot_is_saved,
        a_compaction_is_done_and_refused_twice,
        a_physical_compaction_is_waited_for,
    ];
    Suite::new("etcdctl_upkeep", cases)
        .run_in_order(&server)
        .await;
}

async fn hashes_are_told(c: Case) {
    let output = ctl(&c, &["endpoint", "hashkv"]).await.ok();
    assert!(output.starts_with(&endpoint(&c.client)), "{output}");
}

async fn defragmentation_finishes(c: Case) {
    let output = ctl(&c, &["defrag"]).await;
    let all = output.said();
    assert!(all.contains("Finished defragmenting etcd member"), "{all}");
}

async fn there_are_no_alarms(c: Case) {
    assert_eq!(ctl(&c, &["alarm", "list"]).await.ok(), "");
    assert_eq!(ctl(&c, &["alarm", "disarm"]).await.ok(), "");
}

async fn alarms_are_listed_and_disarmed(c: Case) {
    let raise = AlarmRequest {
        action: AlarmAction::Activate.into(),
        member_id: 5,
        alarm: AlarmType::Nospace.into(),
    };
    c.client.alarm(raise).await.unwrap();
    let line = "memberID:5 alarm:NOSPACE \n";
    assert_eq!(ctl(&c, &["alarm", "list"]).await.ok(), line);
    let put = ctl(&c, &["put", &key(&c, "a"), "1"]).await;
    assert!(put.stderr.contains("mvcc: database space exceeded"));
    assert_eq!(ctl(&c, &["alarm", "disarm"]).await.ok(), line);
    assert_eq!(ctl(&c, &["alarm", "list"]).await.ok(), "");
    assert!(ctl(&c, &["put", &key(&c, "a"), "1"]).await.success);
}

async fn a_downgrade_is_judged_begun_and_cancelled(c: Case) {
    let (major, minor) = c.client.version().await;
    // The command came with 3.6.
    if (major, minor) < (3, 6) || !has("downgrade", "downgrade validate").await {
        return;
    }
    let older = format!("{major}.{}.0", minor - 1);
    for arguments in [
        &["downgrade", "validate", &older][..],
        &["downgrade", "enable", &older],
        &["downgrade", "cancel"],
        &["downgrade", "validate", &older],
    ] {
        let output = ctl(&c, arguments).await;
        assert!(output.success, "{arguments:?}: {output:?}");
    }
    let same = format!("{major}.{minor}.0");
    let refused = ctl(&c, &["downgrade", "validate", &same]).await;
    assert!(!refused.success);
    assert!(
        refused
            .stderr
            .contains("etcdserver: invalid downgrade target version")
    );
}

async fn moving_the_leader_to_a_stranger_is_refused(c: Case) {
    let output = ctl(&c, &["move-leader", "123"]).await;
    assert!(!output.success);
    assert!(output.stderr.contains("etcdserver: bad leader transferee"));
}

async fn a_snapshot_is_saved(c: Case) {
    c.put("a", &"v".repeat(100_000)).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("snapshot");
    ctl(&c, &["snapshot", "save", path.to_str().unwrap()])
        .await
        .ok();
    assert_eq!(path.metadata().unwrap().len() % 512, 32);
}

async fn a_compaction_is_done_and_refused_twice(c: Case) {
    let now = c.put("a", "1").await.to_string();
    let output = ctl(&c, &["compaction", &now]).await.ok();
    assert_eq!(output, format!("compacted revision {now}\n"));
    let output = ctl(&c, &["compaction", &now]).await;
    assert!(!output.success);
    let message = "etcdserver: mvcc: required revision has been compacted";
    assert!(output.stderr.contains(message), "{}", output.stderr);
}

async fn a_physical_compaction_is_waited_for(c: Case) {
    let first = c.put("a", "1").await;
    let now = c.put("a", "2").await.to_string();
    let output = ctl(&c, &["compaction", "--physical", &now]).await.ok();
    assert_eq!(output, format!("compacted revision {now}\n"));
    let old = format!("--rev={first}");
    let below = ctl(&c, &["get", &key(&c, "a"), &old]).await;
    let message = "etcdserver: mvcc: required revision has been compacted";
    assert!(
        !below.success && below.stderr.contains(message),
        "{below:?}"
    );
}
