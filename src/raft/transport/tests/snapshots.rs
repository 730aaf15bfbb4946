//! Snapshots: whole, resumed, and everything that must not get in.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::proxy::{Mode, Proxy};
use super::*;
use crate::raft::{AppliedState, Configuration};

/// A directory of files whose contents depend on their names, as a snapshot.
fn snapshot(dir: &Path, files: &[(&str, usize)]) -> Arc<Snapshot> {
    fs::create_dir_all(dir).unwrap();
    for &(name, size) in files {
        let seed = crc32c::crc32c(name.as_bytes()) as usize;
        let content: Vec<u8> = (0..size).map(|n| (n * 31 + n / 251 + seed) as u8).collect();
        fs::write(dir.join(name), content).unwrap();
    }
    let configuration = Configuration {
        voters: vec![1, 2],
        ..Configuration::default()
    };
    Arc::new(Snapshot {
        state: AppliedState {
            index: 42,
            term: 7,
            configuration,
        },
        dir: dir.to_owned(),
    })
}

const FILES: [(&str, usize); 5] = [
    ("000004.sst", 1_500_000),
    ("000007.sst", 700_001),
    ("CURRENT", 16),
    ("EMPTY", 0),
    ("MANIFEST-000005", 262_144),
];

const TOTAL: usize = 1_500_000 + 700_001 + 16 + 262_144;

fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(dir).unwrap().map(Result::unwrap);
    files
        .map(|file| {
            let name = file.file_name().into_string().unwrap();
            (name, fs::read(file.path()).unwrap())
        })
        .collect()
}

async fn arrived(member: &mut Member) -> (Bytes, Snapshot) {
    member
        .next_of(|event| match event {
            Event::Snapshot(MemberId(1), message, snapshot) => Some((message, snapshot)),
            _ => None,
        })
        .await
}

async fn outcome(member: &mut Member) -> bool {
    member
        .next_of(|event| match event {
            Event::SnapshotSent(MemberId(2), delivered) => Some(delivered),
            _ => None,
        })
        .await
}

fn send(member: &Member, snapshot: &Arc<Snapshot>) {
    let message = Bytes::from_static(b"raft snapshot");
    let snapshot = snapshot.clone();
    member.network.send_snapshot(MemberId(2), message, snapshot);
}

/// Sends until the snapshot has arrived, as consensus does, and says how many attempts failed: at least
/// those that meet the disk side of an interrupted transfer before it has ended.
async fn deliver(member: &mut Member, snapshot: &Arc<Snapshot>) -> u32 {
    let attempts = async {
        for failures in 0.. {
            send(member, snapshot);
            if outcome(member).await {
                return failures;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        unreachable!()
    };
    timeout(PATIENCE, attempts).await.expect("never arrived")
}

/// Members 1 and 2 with a proxy on the way from one to two.
async fn proxied_pair() -> (Member, Proxy, Member) {
    let two = Setup::new(2).await;
    let proxy = Proxy::to(&two.url).await;
    let one = Setup::new(1).await.knows(2, &proxy.url).start();
    let two = two.knows(1, &one.url).start();
    one.connected(2).await;
    two.connected(1).await;
    (one, proxy, two)
}

#[tokio::test]
async fn a_directory_arrives_byte_for_byte() {
    let (mut one, mut two) = pair().await;
    let sent = snapshot(&one.dir.path().join("snapshot"), &FILES);
    send(&one, &sent);
    let (message, received) = arrived(&mut two).await;
    assert_eq!(message, "raft snapshot");
    assert_eq!(received.state, sent.state);
    assert_eq!(contents(&received.dir), contents(&sent.dir));
    assert!(outcome(&mut one).await);
    assert_eq!(one.stats(2).metrics.snapshots_sent.successes.get(), 1);
    two.until(1, |s| s.metrics.snapshots_received.successes.get() == 1)
        .await;
    let syncs = &two.network.ctx.metrics.disk.received_sync;
    assert_eq!(syncs.count(), FILES.len() as u64);

    // While it lies there it need not come again; when it has been moved away it is sent again.
    let sent_bytes = two.stats(1).metrics.received_bytes.get();
    deliver(&mut one, &sent).await;
    assert!(two.stats(1).metrics.received_bytes.get() < sent_bytes + TOTAL as u64);
    assert!(received.dir.exists());
    fs::remove_dir_all(&received.dir).unwrap();
    deliver(&mut one, &sent).await;
    assert_eq!(arrived(&mut two).await.1, received);
}

#[tokio::test]
async fn a_connection_lost_after_the_last_byte_loses_no_snapshot() {
    let (mut one, mut two) = pair().await;
    let sent = snapshot(&one.dir.path().join("snapshot"), &[("a", 4)]);
    fs::write(sent.dir.join("a"), b"data").unwrap();
    let frames = [
        Frame::Offer(snapshot::encoded(&sent)),
        chunk(0, 0, b"data"),
        Frame::FileEnd {
            file: 0,
            crc: crc32c::crc32c(b"data"),
        },
        Frame::Finish,
    ];
    let mut raw = one.raw(&two, Channel::Snapshot).await;
    for frame in &frames {
        raw.say(frame).await;
    }
    assert!(matches!(raw.hear().await, Frame::Resume(_)));
    drop(raw);
    // Whether the disk side or the loss of the connection comes first is a race; the next attempt
    // succeeds either way.
    deliver(&mut one, &sent).await;
    let (_, received) = arrived(&mut two).await;
    assert_eq!(contents(&received.dir), contents(&sent.dir));
}

#[tokio::test]
async fn a_transfer_that_is_cut_fails_and_the_next_one_completes_it() {
    let (mut one, proxy, mut two) = proxied_pair().await;
    let sent = snapshot(&one.dir.path().join("snapshot"), &FILES);
    proxy.cut_after(TOTAL as i64 * 3 / 4);
    send(&one, &sent);
    proxy.is_cut().await;
    assert!(!outcome(&mut one).await);
    proxy.mend();
    deliver(&mut one, &sent).await;
    let (_, received) = arrived(&mut two).await;
    assert_eq!(contents(&received.dir), contents(&sent.dir));
}

/// Puts the first `bytes` of a snapshot's files where member 2 looks for what an interrupted transfer
/// left, and says where that is.
fn leave_partial(two: &Member, sent: &Snapshot, mut bytes: usize) -> PathBuf {
    let name = snapshot::dir_name(sent, MemberId(1));
    let partial = two.dir.path().join(format!("incoming/{name}.partial"));
    fs::create_dir(&partial).unwrap();
    for (name, content) in contents(&sent.dir) {
        let left = content.len().min(bytes);
        bytes -= left;
        fs::write(partial.join(name), &content[..left]).unwrap();
    }
    partial
}

#[tokio::test]
async fn what_is_there_is_not_sent_again() {
    let (mut one, proxy, mut two) = proxied_pair().await;
    let sent = snapshot(&one.dir.path().join("snapshot"), &FILES);
    leave_partial(&two, &sent, TOTAL - 300_000);
    let before = proxy.forwarded();
    send(&one, &sent);
    assert!(outcome(&mut one).await);
    let again = proxy.forwarded() - before;
    assert!(
        (300_000..400_000).contains(&again),
        "{again} bytes were sent"
    );
    let (_, received) = arrived(&mut two).await;
    assert_eq!(contents(&received.dir), contents(&sent.dir));
}

#[tokio::test]
async fn a_leftover_that_does_not_belong_is_found_out_and_sent_again() {
    let (mut one, mut two) = pair().await;
    let sent = snapshot(&one.dir.path().join("snapshot"), &FILES);
    let partial = leave_partial(&two, &sent, 1_600_000);
    let mut spoilt = fs::read(partial.join("000004.sst")).unwrap();
    spoilt[1000] ^= 1;
    fs::write(partial.join("000004.sst"), spoilt).unwrap();
    fs::write(partial.join("CURRENT"), b"longer than announced").unwrap();
    send(&one, &sent);
    assert!(!outcome(&mut one).await);
    assert!(!partial.join("000004.sst").exists());
    deliver(&mut one, &sent).await;
    let (_, received) = arrived(&mut two).await;
    assert_eq!(contents(&received.dir), contents(&sent.dir));
}

/// Tells member 2 these frames as member 1 and returns its verdict.
async fn verdict(one: &Member, two: &Member, frames: &[Frame]) -> Frame {
    let mut raw = one.raw(two, Channel::Snapshot).await;
    for frame in frames {
        raw.say(frame).await;
    }
    loop {
        match raw.hear().await {
            Frame::Resume(_) => {}
            frame => return frame,
        }
    }
}

fn refusal(frame: &Frame) -> &str {
    match frame {
        Frame::Refused(text) => text,
        other => panic!("not refused: {other:?}"),
    }
}

fn chunk(file: u32, offset: u64, data: &'static [u8]) -> Frame {
    let data = Bytes::from_static(data);
    Frame::Chunk { file, offset, data }
}

#[tokio::test]
async fn names_sizes_checksums_and_order_are_enforced() {
    let (one, mut two) = puppet_and_member().await;
    let offer = |files: &[(&str, u64)]| Frame::Offer(snapshot::encoded_offer(files));
    let end = |file, crc| Frame::FileEnd { file, crc };
    let crc = crc32c::crc32c(b"data");
    for (frames, reason) in [
        (vec![offer(&[("../escaped", 4)])], "file name"),
        (vec![offer(&[("a", 1), ("a", 1)])], "twice"),
        (vec![offer(&[("a", 2 << 30)])], "above the limit"),
        (
            vec![Frame::Offer(Bytes::from_static(b"junk"))],
            "malformed offer",
        ),
        (vec![Frame::Done], "unexpected done"),
        (
            vec![offer(&[("a", 4)]), chunk(0, 0, b"data"), end(0, !crc)],
            "checksum",
        ),
        (
            vec![offer(&[("b", 4)]), chunk(0, 1, b"ata")],
            "out of order",
        ),
        (
            vec![offer(&[("c", 4)]), chunk(1, 0, b"data")],
            "out of order",
        ),
        (
            vec![offer(&[("d", 3)]), chunk(0, 0, b"data")],
            "announced size",
        ),
        (
            vec![offer(&[("e", 5)]), chunk(0, 0, b"data"), end(0, crc)],
            "announced size",
        ),
        (
            vec![offer(&[("f", 4)]), chunk(0, 0, b"data"), Frame::Finish],
            "out of order",
        ),
        (
            vec![offer(&[("g", 4)]), Frame::Refused("gone".into())],
            "gone",
        ),
        (vec![offer(&[("h", 4)]), Frame::Pong(1)], "unexpected pong"),
    ] {
        // The slot of the transfer before may still be held by its disk side.
        let mut heard = verdict(&one, &two, &frames).await;
        while refusal(&heard).contains("earlier transfer") {
            heard = verdict(&one, &two, &frames).await;
        }
        assert!(refusal(&heard).contains(reason), "{heard:?} for {reason}");
    }
    assert!(!two.dir.path().join("escaped").exists());
    let good = [
        offer(&[("i", 4)]),
        chunk(0, 0, b"data"),
        end(0, crc),
        Frame::Finish,
    ];
    let mut heard = verdict(&one, &two, &good).await;
    while heard != Frame::Done {
        assert!(refusal(&heard).contains("earlier transfer"), "{heard:?}");
        heard = verdict(&one, &two, &good).await;
    }
    let (_, received) = arrived(&mut two).await;
    assert_eq!(contents(&received.dir)["i"], b"data");
}

#[tokio::test]
async fn a_snapshot_that_is_not_taken_over_leaves_nothing() {
    let mut two = Setup::new(2).await;
    two.takes_snapshots = false;
    let mut one = Setup::new(1).await.knows(2, &two.url).start();
    let mut two = two.knows(1, &one.url).start();
    one.connected(2).await;
    let sent = snapshot(&one.dir.path().join("snapshot"), &FILES);
    send(&one, &sent);
    assert!(!outcome(&mut one).await);
    arrived(&mut two).await;
    assert!(contents(&two.dir.path().join("incoming")).is_empty());
}

#[tokio::test]
async fn a_disk_that_fails_is_reported_to_both_sides() {
    let (mut one, mut two) = pair().await;
    let sent = snapshot(&one.dir.path().join("snapshot"), &FILES);
    // A file where the directory should be: every write below it fails.
    let incoming = two.dir.path().join("incoming");
    fs::remove_dir(&incoming).unwrap();
    fs::write(&incoming, b"").unwrap();
    send(&one, &sent);
    assert!(!outcome(&mut one).await);
    two.until(1, |s| s.metrics.snapshots_received.failures.get() == 1)
        .await;
    // The other way round: a directory among the files cannot be sent.
    fs::create_dir(sent.dir.join("nested")).unwrap();
    send(&one, &sent);
    assert!(!outcome(&mut one).await);
    // Messages flow all the while.
    one.send(2, message(APPEND, 1, 0));
    assert_eq!(number_of(&two.next_message().await), 1);
}

#[tokio::test]
async fn a_receiver_that_falls_silent_costs_only_its_transfer() {
    let (mut one, proxy, _two) = proxied_pair().await;
    let sent = snapshot(&one.dir.path().join("snapshot"), &[("a.sst", 20_000_000)]);
    proxy.set(Mode::Stall);
    send(&one, &sent);
    assert!(!outcome(&mut one).await);
    assert_eq!(one.stats(2).metrics.snapshots_sent.in_flight.get(), 0);
    assert_eq!(one.stats(2).metrics.snapshots_sent.failures.get(), 1);
}

#[tokio::test]
async fn one_snapshot_at_a_time_goes_to_a_peer_and_its_outcome_is_for_all() {
    let (mut one, proxy, mut two) = proxied_pair().await;
    let sent = snapshot(&one.dir.path().join("snapshot"), &FILES);
    proxy.set(Mode::Stall);
    send(&one, &sent);
    one.until(2, |s| s.metrics.snapshots_sent.in_flight.get() == 1)
        .await;
    // As a leader does that was deposed and elected again meanwhile.
    for _ in 0..3 {
        send(&one, &sent);
    }
    proxy.set(Mode::Forward);
    assert!(outcome(&mut one).await);
    assert_eq!(arrived(&mut two).await.1.state, sent.state);
    let metrics = one.stats(2).metrics.snapshots_sent;
    assert_eq!((metrics.successes.get(), metrics.failures.get()), (1, 0));
    // What comes next is the outcome of the next one.
    fs::create_dir(sent.dir.join("nested")).unwrap();
    send(&one, &sent);
    assert!(!outcome(&mut one).await);
}

#[tokio::test]
async fn what_an_earlier_run_received_and_did_not_take_is_cleared() {
    let two = Setup::new(2).await;
    let incoming = two.config.incoming_dir.clone();
    fs::create_dir_all(incoming.join("1-1-1-0")).unwrap();
    fs::create_dir_all(incoming.join("1-1-2-0.partial")).unwrap();
    let two = two.start();
    assert!(!incoming.join("1-1-1-0").exists());
    assert!(incoming.join("1-1-2-0.partial").exists());
    drop(two);
}
