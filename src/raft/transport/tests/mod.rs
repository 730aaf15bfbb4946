//! The transport over real sockets on the loopback interface.

mod calls;
mod handshakes;
mod proxy;
mod secured;
mod snapshots;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::dial::{self, PeerIo};
use super::framed::{FrameBatch, FrameReader};
use super::handshake::Channel;
use super::*;

/// How long anything may take that has to happen; only ever reached when it does not.
const PATIENCE: Duration = Duration::from_secs(60);

const CLUSTER: ClusterId = ClusterId(0xc1);

/// What an [`Inbox`] was told.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    Message(MemberId, Bytes),
    Snapshot(MemberId, Bytes, Snapshot),
    Unreachable(MemberId),
    SnapshotSent(MemberId, bool),
    Removed(MemberId),
}

struct Recorder {
    events: mpsc::Sender<Event>,
    takes_snapshots: bool,
}

impl Recorder {
    fn record(&self, event: Event) {
        // A test that lets the queue overflow waits in vain and fails.
        let _ = self.events.try_send(event);
    }
}

impl Inbox for Recorder {
    fn receive(&self, from: MemberId, message: Bytes) {
        self.record(Event::Message(from, message));
    }

    fn receive_snapshot(&self, from: MemberId, message: Bytes, snapshot: Snapshot) -> bool {
        self.record(Event::Snapshot(from, message, snapshot));
        self.takes_snapshots
    }

    fn unreachable(&self, to: MemberId) {
        self.record(Event::Unreachable(to));
    }

    fn snapshot_sent(&self, to: MemberId, delivered: bool) {
        self.record(Event::SnapshotSent(to, delivered));
    }

    fn removed(&self, by: MemberId) {
        self.record(Event::Removed(by));
    }
}

/// A member under test; stops when dropped.
struct Member {
    network: Arc<PeerNetwork>,
    events: mpsc::Receiver<Event>,
    recorder: Arc<Recorder>,
    life: Lifecycle,
    dir: TempDir,
    url: String,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.life.stop();
    }
}

/// How to start a member.
struct Setup {
    listener: TcpListener,
    url: String,
    config: PeerConfig,
    dir: TempDir,
    takes_snapshots: bool,
    tls: Option<Arc<Acceptor>>,
}

impl Setup {
    async fn new(id: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let dir = TempDir::new().unwrap();
        let config = PeerConfig {
            cluster_id: CLUSTER,
            member_id: MemberId(id),
            advertised_urls: vec![url.clone()],
            peers: Vec::new(),
            removed: Vec::new(),
            incoming_dir: dir.path().join("incoming"),
            heartbeat: Duration::from_millis(20),
            max_snapshot_bytes: 1 << 30,
            calls: None,
        };
        Self {
            listener,
            url,
            config,
            dir,
            takes_snapshots: true,
            tls: None,
        }
    }

    fn secured(mut self, tls: Arc<Acceptor>) -> Self {
        self.tls = Some(tls);
        self
    }

    fn knows(mut self, id: u64, url: &str) -> Self {
        self.config.peers.push((MemberId(id), vec![url.to_owned()]));
        self
    }

    /// Starts the member and lets peers in.
    fn start(self) -> Member {
        let member = self.start_unattached();
        member.network.attach(member.recorder.clone());
        member
    }

    fn start_unattached(self) -> Member {
        let life = Lifecycle::new();
        let network =
            PeerNetwork::start(self.config, Handle::current(), &Arc::default(), &life).unwrap();
        let (sender, events) = mpsc::channel(100_000);
        let (serving, listener, tls) = (network.clone(), self.listener, self.tls);
        drop(life.task("serve", async move { serving.serve(listener, tls).await }));
        Member {
            network,
            events,
            recorder: Arc::new(Recorder {
                events: sender,
                takes_snapshots: self.takes_snapshots,
            }),
            life,
            dir: self.dir,
            url: self.url,
        }
    }
}

/// A peer that no network knows.
fn peer(id: MemberId, url: &str) -> Peer {
    let metrics = Metrics::new().peer(MemberId(1), id);
    Peer::new(id, vec![url.to_owned()], false, metrics)
}

/// Members 1 and 2, in touch with each other.
async fn pair() -> (Member, Member) {
    let (one, two) = (Setup::new(1).await, Setup::new(2).await);
    let (url_one, url_two) = (one.url.clone(), two.url.clone());
    let one = one.knows(2, &url_two).start();
    let two = two.knows(1, &url_one).start();
    one.connected(2).await;
    two.connected(1).await;
    (one, two)
}

/// Member 1, which connects to nobody by itself, and member 2, which takes it for a peer. For tests that
/// play the peer by hand.
async fn puppet_and_member() -> (Member, Member) {
    let two = Setup::new(2).await.knows(1, "http://127.0.0.1:9").start();
    (Setup::new(1).await.start(), two)
}

impl Member {
    fn stats(&self, id: u64) -> PeerStats {
        let mut stats = self.network.stats().into_iter();
        stats.find(|s| s.id == MemberId(id)).unwrap()
    }

    /// Waits until a condition of the peer's counters holds.
    async fn until(&self, id: u64, holds: impl Fn(&PeerStats) -> bool) {
        let wait = async {
            while !holds(&self.stats(id)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = timeout(PATIENCE, wait).await;
        assert!(waited.is_ok(), "still {:?}", self.stats(id));
    }

    /// Waits until messages to the peer and from it flow.
    async fn connected(&self, id: u64) {
        self.until(id, |s| s.connected_since.is_some() && s.active_streams >= 4)
            .await;
    }

    async fn next(&mut self) -> Event {
        let event = timeout(PATIENCE, self.events.recv()).await;
        event.expect("nothing happened").unwrap()
    }

    /// The next event for which `pick` returns something; others are skipped.
    async fn next_of<T>(&mut self, pick: impl Fn(Event) -> Option<T>) -> T {
        loop {
            if let Some(picked) = pick(self.next().await) {
                return picked;
            }
        }
    }

    async fn next_message(&mut self) -> Bytes {
        self.next_of(|event| match event {
            Event::Message(_, message) => Some(message),
            _ => None,
        })
        .await
    }

    fn send(&self, to: u64, message: Bytes) {
        self.network.send(MemberId(to), vec![message]);
    }

    /// A connection of this member to `to`, past the handshake, to say on it what no member says.
    async fn raw(&self, to: &Member, channel: Channel) -> RawPeer {
        let peer = peer(to.network.ctx.identity.member, &to.url);
        let io = dial::dial(&self.network.ctx, &peer, channel).await;
        let (read, write) = tokio::io::split(io.unwrap());
        RawPeer {
            reader: FrameReader::new(read),
            write,
        }
    }
}

struct RawPeer {
    reader: FrameReader<tokio::io::ReadHalf<PeerIo>>,
    write: tokio::io::WriteHalf<PeerIo>,
}

impl RawPeer {
    async fn say(&mut self, frame: &Frame) {
        let mut batch = FrameBatch::default();
        batch.push(frame);
        batch.write_to(&mut self.write).await.unwrap();
    }

    async fn say_bytes(&mut self, bytes: &[u8]) {
        self.write.write_all(bytes).await.unwrap();
        self.write.flush().await.unwrap();
    }

    /// The next frame that is not a ping.
    async fn hear(&mut self) -> Frame {
        loop {
            let frame = timeout(PATIENCE, self.reader.next()).await.unwrap();
            match frame.unwrap() {
                Frame::Ping(_) => {}
                frame => return frame,
            }
        }
    }

    /// Waits until the other side has closed the connection.
    async fn closed(&mut self) {
        let end = async { while self.reader.next().await.is_ok() {} };
        timeout(PATIENCE, end).await.expect("still open");
    }
}

/// A raft message of a type, with a number to tell it by, padded to `len` bytes. The third byte opens a
/// bytes field, which no test here decodes.
fn message(kind: u8, number: u32, len: usize) -> Bytes {
    let mut bytes = vec![0x08, kind, 0x62];
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.resize(len.max(bytes.len()), number as u8);
    bytes.into()
}

const APPEND: u8 = 3;
const HEARTBEAT: u8 = 8;

fn kind_of(message: &[u8]) -> u8 {
    message[1]
}

fn number_of(message: &[u8]) -> u32 {
    u32::from_be_bytes(message[3..7].try_into().unwrap())
}
