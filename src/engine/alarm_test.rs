//! What is replicated beside the data: alarms, the downgrade, what is left of leases. And the space quota,
//! which is not.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;

use super::command::LeaseCheckpoint;
use super::tests::{bytes, config, put, start, start_with};
use super::*;
use crate::base::ids::LeaseId;
use crate::base::range::KeyRange;
use crate::mvcc::auth::Actor;
use crate::mvcc::ops::Op;
use crate::storage::StoreOptions;

const STRANGER: Alarm = Alarm {
    member: MemberId(5),
    kind: AlarmKind::NoSpace,
};
const BACK: MinorVersion = MinorVersion { major: 3, minor: 5 };

fn delete_all() -> DeleteOp {
    DeleteOp {
        range: KeyRange::all(),
        prev_kv: false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn alarms_and_a_downgrade_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path());
    let (_, raised) = engine.raise_alarm(STRANGER).await.unwrap();
    assert_eq!(raised, [STRANGER]);
    engine.set_downgrade(Some(BACK)).await.unwrap();
    engine.stop().await;
    drop(engine);

    let engine = start(dir.path());
    assert_eq!(engine.local_alarms(), [STRANGER]);
    assert_eq!(engine.status().unwrap().downgrade, Some(BACK));
    assert_eq!(
        engine.put(put("a", "1")).await.unwrap_err(),
        EngineError::NoSpace
    );
    assert_eq!(
        engine.set_downgrade(Some(BACK)).await.unwrap_err(),
        EngineError::DowngradeInProgress
    );
    assert_eq!(engine.lower_alarm(STRANGER).await.unwrap().1, [STRANGER]);
    assert_eq!(engine.lower_alarm(STRANGER).await.unwrap().1, []);
    engine.set_downgrade(None).await.unwrap();
    assert_eq!(engine.alarms().await.unwrap().1, []);
    engine.put(put("a", "1")).await.unwrap();
    engine.stop().await;
    drop(engine);

    let engine = start(dir.path());
    assert_eq!(engine.local_alarms(), []);
    assert_eq!(engine.status().unwrap().downgrade, None);
    engine.stop().await;
}

/// Neither the log nor the disk sees what is refused; what is applied after all is refused by the log's order.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_alarm_forbids_is_not_even_logged() {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path());
    engine.published().await;
    engine.put(put("a", "1")).await.unwrap();
    engine.raise_alarm(STRANGER).await.unwrap();
    let logged = engine.inner.applied.get();
    for _ in 0..10 {
        let refused = engine.put(put("a", "2")).await.unwrap_err();
        assert_eq!(refused, EngineError::NoSpace);
    }
    assert_eq!(engine.inner.applied.get(), logged);
    let proposed = engine
        .replicate(&Actor::Member, Command::Put(put("a", "2")))
        .await
        .unwrap();
    assert_eq!(proposed.reply, Err(EngineError::NoSpace));
    assert_eq!(proposed.revision, Revision(2));
    engine.delete(delete_all()).await.unwrap();
    engine.compact(3, false).await.unwrap();

    let corrupt = Alarm {
        kind: AlarmKind::Corrupt,
        ..STRANGER
    };
    engine.raise_alarm(corrupt).await.unwrap();
    assert_eq!(
        engine.delete(delete_all()).await.unwrap_err(),
        EngineError::Corrupt
    );
    let read = Txn {
        success: vec![Op::Range(RangeOp::new(KeyRange::all()))],
        ..Txn::default()
    };
    engine.txn(read, Consistency::Linearizable).await.unwrap();
    engine.stop().await;
}

/// Bytes that do not compress.
fn noise(len: usize, seed: u64) -> Bytes {
    let mut state = seed + 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(next).collect()
}

fn small(dir: &Path) -> EngineConfig {
    EngineConfig {
        quota_bytes: Some(8 << 20),
        store: StoreOptions {
            block_cache: 1 << 20,
            write_buffer: 1 << 20,
            write_buffers: 4 << 20,
            background_jobs: 1,
        },
        ..config(dir)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_refuses_raises_the_alarm_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let engine = start_with(&small(dir.path()));
    let fill = async || {
        for n in 0..1000 {
            let op = PutOp::new(bytes(&n.to_string()), noise(100_000, n));
            if let Err(error) = engine.put(op).await {
                return error;
            }
        }
        panic!("the quota was exceeded twelve times over");
    };
    let own = Alarm {
        member: engine.header().member_id,
        kind: AlarmKind::NoSpace,
    };
    assert_eq!(fill().await, EngineError::NoSpace);
    assert_eq!(engine.local_alarms(), [own]);
    engine.lower_alarm(own).await.unwrap();
    assert_eq!(fill().await, EngineError::NoSpace, "there is no room yet");
    assert_eq!(engine.local_alarms(), [own]);

    let header = engine.delete(delete_all()).await.unwrap().0;
    engine.compact(header.revision.get(), true).await.unwrap();
    engine.defragment().await.unwrap();
    engine.lower_alarm(own).await.unwrap();
    engine.put(put("a", "1")).await.unwrap();
    assert_eq!(engine.local_alarms(), []);
    engine.stop().await;
}

/// I7: every member applies what was proposed while it seemed to fit, and only the client is told.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_member_has_no_space_for_is_written_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let config = EngineConfig {
        quota_bytes: Some(1),
        ..config(dir.path())
    };
    let engine = start_with(&config);
    let answer = engine
        .replicate(&Actor::Member, Command::Put(put("a", "1")))
        .await
        .unwrap();
    assert_eq!(answer.reply, Err(EngineError::NoSpace));
    assert_eq!(answer.revision, Revision(2));
    // Whoever applied it raises the alarm, whether it was its client's or not.
    while engine.local_alarms().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let all = RangeOp::new(KeyRange::all());
    let (_, found) = engine.range(all, Consistency::Serializable).await.unwrap();
    assert_eq!(found.count, 1);
    engine.stop().await;
}

fn recorded(engine: &Engine) -> Option<i64> {
    let leases = mvcc::lease::list(&engine.inner.views.load().store).unwrap();
    leases.first().unwrap().1.remaining
}

async fn left(engine: &Engine) -> i64 {
    let (_, info) = engine.lease_time_to_live(LeaseId(1), false).await.unwrap();
    info.ttl
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_a_lease_survives_a_restart_until_it_is_renewed() {
    let dir = tempfile::tempdir().unwrap();
    let config = EngineConfig {
        lease_checkpoint_interval: Some(Duration::from_millis(300)),
        ..config(dir.path())
    };
    let engine = start_with(&config);
    engine.lease_grant(LeaseId(1), 60).await.unwrap();
    while recorded(&engine).is_none_or(|left| left > 58) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    engine.stop().await;
    drop(engine);

    let engine = start_with(&EngineConfig {
        lease_checkpoint_interval: None,
        ..config
    });
    assert!(left(&engine).await <= 58, "it goes on from where it was");
    assert_eq!(engine.lease_keep_alive(LeaseId(1)).await.unwrap().1, 60);
    assert_eq!(
        recorded(&engine),
        None,
        "before the renewal is acknowledged"
    );
    assert!(left(&engine).await >= 59);
    engine.stop().await;
    drop(engine);

    let engine = start(dir.path());
    assert!(left(&engine).await >= 59);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_of_another_term_is_void() {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path());
    engine.lease_grant(LeaseId(1), 60).await.unwrap();
    let term = engine.header().raft_term;
    for (term, remaining, expected) in [
        (term + 1, 5, None),
        (term - 1, 5, None),
        (term, 5, Some(5)),
        (term, 0, None),
        (term, 60, None),
        (term, -1, None),
    ] {
        let command = Command::LeaseCheckpoint(LeaseCheckpoint {
            term,
            remaining: vec![(LeaseId(1), remaining), (LeaseId(2), 7)],
        });
        engine
            .replicate(&Actor::Member, command)
            .await
            .unwrap()
            .reply
            .unwrap();
        assert_eq!(recorded(&engine), expected, "{term} {remaining}");
    }
    engine.stop().await;
}
