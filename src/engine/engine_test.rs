//! The engine as a whole, with one member over a temporary directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::poll;

use super::restore::UNFINISHED_RESTORE;
use super::*;
use crate::base::ids::LeaseId;
use crate::base::range::KeyRange;
use crate::mvcc::ops::{Compare, CompareResult, CompareTarget, Op};
use crate::raft::transport::{DEFAULT_MAX_SNAPSHOT, PeerConfig};
use crate::storage::StoreOptions;
use crate::watch::{WatchRequest, WatchSpec};

#[path = "auth_test.rs"]
mod auth;

const ID: u64 = 7;

pub(super) fn config(dir: &Path) -> EngineConfig {
    EngineConfig {
        data_dir: dir.to_owned(),
        cluster_id: ClusterId(1),
        member_id: MemberId(ID),
        name: "only".into(),
        client_urls: vec!["http://127.0.0.1:2379".into()],
        initial_members: vec![Member {
            id: ID,
            peer_urls: vec!["http://127.0.0.1:2380".into()],
            ..Member::default()
        }],
        joining: false,
        strict_reconfig: true,
        max_learners: 1,
        force_new_cluster: false,
        heartbeat: Duration::from_millis(10),
        election_ticks: 10,
        max_request_bytes: 1 << 20,
        snapshot_catchup_entries: 100,
        fsync: true,
        progress_interval: Duration::from_secs(600),
        slow: SlowLimits::default(),
        auto_compaction: AutoCompaction::Off,
        auth: AuthConfig::default(),
        quota_bytes: None,
        lease_checkpoint_interval: None,
        corrupt_check_interval: None,
        compact_check_interval: None,
        store: StoreOptions::default(),
    }
}

pub(crate) fn start(dir: &Path) -> Engine {
    start_with(&config(dir))
}

pub(super) fn start_with(config: &EngineConfig) -> Engine {
    let life = Lifecycle::new();
    let peers = PeerConfig {
        cluster_id: config.cluster_id,
        member_id: config.member_id,
        advertised_urls: Vec::new(),
        peers: Vec::new(),
        removed: Vec::new(),
        incoming_dir: config.data_dir.join("incoming"),
        heartbeat: config.heartbeat,
        max_snapshot_bytes: DEFAULT_MAX_SNAPSHOT,
        calls: None,
    };
    let runtime = tokio::runtime::Handle::current();
    let metrics = Arc::default();
    let network = PeerNetwork::start(peers, runtime, &metrics, &life).unwrap();
    Engine::start(config, &network, &metrics, &life).unwrap()
}

pub(super) fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

pub(super) fn put(key: &str, value: &str) -> PutOp {
    PutOp::new(bytes(key), bytes(value))
}

fn get(key: &str) -> RangeOp {
    RangeOp::new(KeyRange::point(bytes(key)))
}

async fn value(engine: &Engine, op: RangeOp) -> Option<Bytes> {
    let (_, result) = engine.range(op, Consistency::Linearizable).await.unwrap();
    let kv = result.kvs.first()?;
    Some(Bytes::copy_from_slice(kv.view().unwrap().value))
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive_a_restart_with_their_revisions() {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path());
    for n in 0..20 {
        let (header, _) = engine.put(put("a", &n.to_string())).await.unwrap();
        assert_eq!(header.revision, Revision(n + 2));
    }
    engine.stop().await;
    drop(engine);
    let engine = start(dir.path());
    assert_eq!(value(&engine, get("a")).await.as_deref(), Some(&b"19"[..]));
    let mut old = get("a");
    old.revision = Some(Revision(4));
    assert_eq!(value(&engine, old).await.as_deref(), Some(&b"2"[..]));
    let (header, _) = engine.put(put("b", "")).await.unwrap();
    assert_eq!(header.revision, Revision(22));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_tells_what_happened() {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path());
    engine.put(put("a", "1")).await.unwrap();
    engine.put(put("a", "2")).await.unwrap();
    engine.compact(2, false).await.unwrap();
    engine.report();
    let text = engine.inner.metrics.encode().unwrap();
    for line in [
        "etcd_server_has_leader 1",
        "etcd_server_is_leader 1",
        "etcd_server_leader_changes_seen_total 1",
        "etcd_mvcc_put_total 2",
        "etcd_debugging_mvcc_total_put_size_in_bytes 4",
        "etcd_debugging_mvcc_current_revision 3",
        "etcd_debugging_mvcc_compact_revision 2",
        "etcd_mvcc_db_open_read_transactions 0",
        r#"etcd_server_apply_duration_seconds_count{version="v3",op="Put",success="true"} 2"#,
        r#"etcd_server_apply_duration_seconds_count{version="v3",op="Compaction",success="true"} 1"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    assert!(engine.inner.metrics.raft.log_bytes.get() > 0);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_succeeds_once_for_each_revision() {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path());
    let swap = |expected: i64, value: &str| Txn {
        compares: vec![Compare {
            range: KeyRange::point(bytes("k")),
            result: CompareResult::Equal,
            target: CompareTarget::ModRevision(expected),
        }],
        success: vec![Op::Put(put("k", value))],
        failure: vec![Op::Range(get("k"))],
    };
    let run = async |txn| engine.txn(txn, Consistency::Linearizable).await.unwrap();
    let (header, result) = run(swap(0, "first")).await;
    assert!(result.succeeded);
    assert_eq!(header.revision, Revision(2));
    let (header, result) = run(swap(0, "again")).await;
    assert!(!result.succeeded);
    assert_eq!(header.revision, Revision(2));
    assert!(run(swap(2, "second")).await.1.succeeded);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path());
    let mut leased = put("k", "v");
    leased.lease = LeaseId(99);
    assert_eq!(
        engine.put(leased).await.unwrap_err(),
        EngineError::LeaseNotFound
    );
    let large = PutOp::new(bytes("k"), vec![0; 2 << 20].into());
    assert_eq!(
        engine.put(large).await.unwrap_err(),
        EngineError::RequestTooLarge
    );
    let future = engine.compact(50, false).await.unwrap_err();
    assert_eq!(future, EngineError::FutureRevision);
    assert_eq!(engine.header().revision, Revision::FIRST);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_is_physical_when_asked_and_refuses_older_reads() {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path());
    for n in 0..10 {
        engine.put(put("k", &n.to_string())).await.unwrap();
    }
    engine.compact(8, true).await.unwrap();
    let mut old = get("k");
    old.revision = Some(Revision(7));
    let refused = engine.range(old.clone(), Consistency::Serializable).await;
    assert_eq!(refused.unwrap_err(), EngineError::Compacted);
    old.revision = Some(Revision(8));
    assert_eq!(value(&engine, old).await.as_deref(), Some(&b"6"[..]));
    let again = engine.compact(8, false).await.unwrap_err();
    assert_eq!(again, EngineError::Compacted);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_range_adds_up_to_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path());
    for n in 0..100 {
        engine.put(put(&format!("k{n:03}"), "v")).await.unwrap();
    }
    for (limit, expected, more) in [
        (None, 100, false),
        (Some(25), 25, true),
        (Some(100), 100, false),
    ] {
        let mut op = RangeOp::new(KeyRange::prefix(bytes("k")));
        op.limit = limit;
        let chunks = engine.range_stream(op, Consistency::Linearizable).await;
        let mut chunks = chunks.unwrap();
        let mut keys = Vec::new();
        let mut end = None;
        while let Some(chunk) = chunks.recv().await {
            let chunk = chunk.unwrap();
            assert!(end.is_none(), "nothing follows the closing chunk");
            keys.extend(chunk.kvs.into_iter().map(|kv| kv.key));
            end = chunk.end;
        }
        let wanted: Vec<_> = (0..expected).map(|n| bytes(&format!("k{n:03}"))).collect();
        assert_eq!(keys, wanted);
        let end = end.unwrap();
        assert_eq!((end.more, end.count), (more, 100));
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_end_and_take_their_keys_with_them() {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path());
    let (_, id, ttl) = engine.lease_grant(LeaseId::NONE, 0).await.unwrap();
    assert_eq!(ttl, 1, "raised to one and a half election timeouts");
    let mut leased = put("k", "v");
    leased.lease = id;
    engine.put(leased).await.unwrap();
    let (_, info) = engine.lease_time_to_live(id, true).await.unwrap();
    assert_eq!((info.granted_ttl, info.keys), (1, vec![bytes("k")]));
    assert_eq!(engine.lease_keep_alive(id).await.unwrap().1, 1);
    while value(&engine, get("k")).await.is_some() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(engine.lease_keep_alive(id).await.unwrap().1, 0);
    assert_eq!(
        engine.lease_time_to_live(id, false).await.unwrap().1.ttl,
        -1
    );
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_from_now_on_does_not_see_an_acknowledged_write() {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path());
    for round in 0..50 {
        engine.put(put("k", "before")).await.unwrap();
        let (requests, mut frames) = engine.open_watch().unwrap();
        let spec = WatchSpec {
            id: None,
            range: KeyRange::point(bytes("k")),
            start: None,
            prev_kv: false,
            progress_notify: false,
            no_put: false,
            no_delete: false,
            fragment: false,
        };
        requests.send(WatchRequest::Create(spec)).await.unwrap();
        let created = frames.next().await.unwrap();
        assert!(created.body.is_empty(), "round {round}");
        engine.put(put("k", "after")).await.unwrap();
        let event = frames.next().await.unwrap();
        let text = String::from_utf8_lossy(&event.body).into_owned();
        assert!(
            text.contains("after") && !text.contains("before"),
            "round {round}"
        );
    }
    engine.stop().await;
}

/// A backup of fifty writes.
async fn backup(dir: &Path) -> PathBuf {
    let engine = start(&dir.join("old"));
    for n in 0..50 {
        engine.put(put(&format!("k{n}"), "v")).await.unwrap();
    }
    let file = save(&engine, dir).await;
    engine.stop().await;
    file
}

/// A backup as a client would save it.
async fn save(engine: &Engine, dir: &Path) -> PathBuf {
    use sha2::{Digest, Sha256};

    let (length, mut pieces) = engine.snapshot().await.unwrap();
    let mut saved = Vec::new();
    while let Some(piece) = pieces.recv().await {
        saved.extend_from_slice(&piece.unwrap());
    }
    assert_eq!(saved.len() as u64, length);
    let checksum = Sha256::digest(&saved);
    saved.extend_from_slice(&checksum);
    let file = dir.join("snapshot.db");
    std::fs::write(&file, &saved).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_restores_into_a_new_cluster() {
    let dir = tempfile::tempdir().unwrap();
    let file = backup(dir.path()).await;
    assert_eq!(snapshot_status(&file).unwrap().revision, 51);
    let new = dir.path().join("new");
    restore_snapshot(&file, &new, &config(&new).initial_members).unwrap();
    let engine = start(&new);
    assert!(value(&engine, get("k49")).await.is_some());
    let (header, _) = engine.put(put("more", "")).await.unwrap();
    assert_eq!(header.revision, Revision(52));
    engine.stop().await;

    let occupied = restore_snapshot(&file, &new, &[]).unwrap_err();
    assert!(matches!(occupied, RestoreError::Occupied(_)), "{occupied}");
    let mut saved = std::fs::read(&file).unwrap();
    let middle = saved.len() / 2;
    saved[middle] ^= 1;
    std::fs::write(&file, &saved).unwrap();
    let damaged = snapshot_status(&file).unwrap_err();
    assert!(damaged.to_string().contains("checksum"), "{damaged}");
}

/// Everything but the last step leaves nothing that a member would take for its state (I1).
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_is_cut_short_shows_no_state() {
    let dir = tempfile::tempdir().unwrap();
    let file = backup(dir.path()).await;
    let new = dir.path().join("new");
    let members = config(&new).initial_members;
    // As if the power went before the whole state got its name.
    restore::build(&file, &new.join(UNFINISHED_RESTORE), &members).unwrap();
    let names = || {
        let entries = std::fs::read_dir(&new).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    };
    let left: Vec<_> = names();
    assert_eq!(left, [UNFINISHED_RESTORE]);
    restore_snapshot(&file, &new, &members).unwrap();
    let made: Vec<_> = names();
    assert_eq!(made, ["state"]);
    let engine = start(&new);
    assert!(value(&engine, get("k49")).await.is_some());
    engine.stop().await;
}

/// Stops whichever thread wakes it until it is let go.
struct Ambush {
    caught: crossbeam::channel::Sender<()>,
    let_go: crossbeam::channel::Receiver<()>,
}

impl std::task::Wake for Ambush {
    fn wake(self: Arc<Self>) {
        self.caught.send(()).unwrap();
        self.let_go.recv().unwrap_err();
    }
}

/// Does not end if a serializable read waits for anything that the apply thread has yet to do (I9). What it
/// sees is what was applied before (I3).
#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_apply_thread_holds_up_no_serializable_read() {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path());
    engine.published().await;
    engine.put(put("a", "1")).await.unwrap();
    let (caught, is_caught) = crossbeam::channel::bounded(1);
    let (release, let_go) = crossbeam::channel::bounded::<()>(0);
    let waker = std::task::Waker::from(Arc::new(Ambush { caught, let_go }));
    let next = engine.inner.applied.get() + 1;
    let mut reached = Box::pin(engine.inner.applied.reach(next));
    let context = &mut std::task::Context::from_waker(&waker);
    assert!(reached.as_mut().poll(context).is_pending());

    let mut published = Box::pin(engine.put(put("a", "2")));
    assert!(poll!(&mut published).is_pending());
    let caught = tokio::task::spawn_blocking(move || is_caught.recv());
    caught.await.unwrap().unwrap();
    let mut unapplied = Box::pin(engine.put(put("a", "3")));
    assert!(poll!(&mut unapplied).is_pending());
    while engine.inner.node.status().commit <= next {
        tokio::task::yield_now().await;
    }
    let local = Consistency::Serializable;
    for _ in 0..100 {
        let (header, found) = engine.range(get("a"), local).await.unwrap();
        let found = found.kvs.first().unwrap().view().unwrap().value;
        assert_eq!((header.revision, found), (Revision(3), &b"2"[..]));
        let all = RangeOp::new(KeyRange::all());
        let (_, all) = engine.range(all, local).await.unwrap();
        assert_eq!(all.count, 1);
    }
    assert!(poll!(&mut published).is_pending() && poll!(&mut unapplied).is_pending());
    assert_eq!(engine.inner.applied.get(), next);
    drop(release);
    published.await.unwrap();
    unapplied.await.unwrap();
    assert_eq!(value(&engine, get("a")).await, Some(bytes("3")));
    drop(reached);
    engine.stop().await;
}

/// Does not end if a write, a compaction, a copy or rewrite of the state, or another read waits for a read
/// (I9). What the read then sees is still the state that it began with (I3).
#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_hangs_holds_up_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path());
    engine.put(put("a", "1")).await.unwrap();
    let (begun, has_begun) = crossbeam::channel::bounded(1);
    let (release, released) = crossbeam::channel::bounded::<()>(0);
    let hanging = engine.read(false, None, move |_, view| {
        begun.try_send(()).unwrap();
        released.recv().unwrap_err();
        let all = RangeOp::new(KeyRange::all());
        mvcc::read::range(&view.store, view.state, &all)
    });
    let others = async {
        let begun = tokio::task::spawn_blocking(move || has_begun.recv());
        begun.await.unwrap().unwrap();
        engine.put(put("b", "1")).await.unwrap();
        engine.put(put("a", "2")).await.unwrap();
        assert_eq!(value(&engine, get("b")).await, Some(bytes("1")));
        engine.compact(2, true).await.unwrap();
        engine.defragment().await.unwrap();
        engine.hash().await.unwrap();
        let (length, mut pieces) = engine.snapshot().await.unwrap();
        let mut received = 0;
        while let Some(piece) = pieces.recv().await {
            received += piece.unwrap().len() as u64;
        }
        assert_eq!(received, length);
        drop(release);
    };
    let (found, ()) = tokio::join!(hanging, others);
    let (header, found) = found.unwrap();
    assert_eq!(header.revision, Revision(2));
    let pairs: Vec<_> = found
        .kvs
        .iter()
        .map(|kv| kv.view().unwrap().value)
        .collect();
    assert_eq!(pairs, [b"1"]);
    engine.stop().await;
}
