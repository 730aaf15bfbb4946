//! Writers, and a watcher that follows them, while members come and go.
//!
//! Every writer writes each key once, so that what the cluster acknowledged can be compared with what it
//! stores and with what the watcher heard.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use holdfast::etcd::pb::etcdserverpb::{HashKvRequest, WatchCreateRequest};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::registers::Registers;
use crate::harness::*;

const WRITERS: usize = 4;
/// After this long a client gives up on a member; the outcome counts as unknown.
const CALL_LIMIT: Duration = Duration::from_secs(1);
/// Pause between calls, so that the load does not starve a small machine.
const PAUSE: Duration = Duration::from_millis(3);
const PREFIX: &str = "load/";
const SENTINEL: &str = "load/~";

/// Calls on one member after the other: on a failure the next call goes to the next member.
pub struct Roaming {
    clients: Vec<Client>,
    at: usize,
}

impl Roaming {
    /// Over connections of its own to the members that `clients` lead to.
    pub fn new(clients: &[Client], at: usize) -> Self {
        Self {
            clients: clients.iter().map(Client::another).collect(),
            at,
        }
    }

    pub fn client(&self) -> Client {
        self.clients[self.at % self.clients.len()].clone()
    }

    pub fn move_on(&mut self) {
        self.at += 1;
    }

    /// One call; `None` if it failed or took too long.
    pub async fn call<T, F>(&mut self, call: impl FnOnce(Client) -> F) -> Option<T>
    where
        F: Future<Output = Result<T, tonic::Status>>,
    {
        let outcome = timeout(CALL_LIMIT, call(self.client())).await;
        let answer = outcome.ok().and_then(Result::ok);
        if answer.is_none() {
            self.move_on();
            sleep(PAUSE * 10).await;
        }
        sleep(PAUSE).await;
        answer
    }
}

/// A key that was acknowledged, and at which revision.
type Acknowledged = (String, i64);

/// Writers, register clients and a watcher at work.
pub struct Load {
    stop: Arc<AtomicBool>,
    writes: Arc<AtomicUsize>,
    writers: Vec<JoinHandle<Vec<Acknowledged>>>,
    registers: Registers,
    watcher: JoinHandle<Vec<Acknowledged>>,
}

impl Load {
    /// Starts the load on all members.
    pub async fn start(cluster: &Cluster) -> Self {
        let clients = cluster.clients();
        let stop = Arc::new(AtomicBool::new(false));
        let start = cluster.client(0).revision().await + 1;
        let writes = Arc::new(AtomicUsize::new(0));
        let writer = |number| Writer {
            number,
            roaming: Roaming::new(&clients, number),
            stop: stop.clone(),
            writes: writes.clone(),
        };
        Self {
            registers: Registers::start(&clients, &stop),
            watcher: tokio::spawn(follow(Roaming::new(&clients, 0), start)),
            writers: (0..WRITERS)
                .map(|number| tokio::spawn(writer(number).run()))
                .collect(),
            writes,
            stop,
        }
    }

    /// Waits until the cluster has acknowledged another hundred writes.
    pub async fn works(&self) {
        let due = self.writes.load(Ordering::Relaxed) + 100;
        let works = async {
            while self.writes.load(Ordering::Relaxed) < due {
                sleep(PAUSE).await;
            }
        };
        timeout(PATIENCE, works)
            .await
            .expect("the cluster takes writes");
    }

    /// Stops, and checks everything that must hold. All members must be up.
    pub async fn verify(self, cluster: &Cluster) {
        self.stop.store(true, Ordering::Relaxed);
        let mut acknowledged = Vec::new();
        for writer in self.writers {
            acknowledged.push(writer.await.unwrap());
        }
        cluster.leader().await;
        settle(cluster).await;
        let heard = timeout(PATIENCE, self.watcher).await;
        let heard = heard.expect("the watcher hears of the sentinel").unwrap();
        let total: usize = acknowledged.iter().map(Vec::len).sum();
        let checked = self.registers.verify().await;
        eprintln!(
            "load: {total} writes, {} events, {checked} register operations",
            heard.len()
        );
        assert!(total > 0);
        check_order(&acknowledged, &heard);
        check_stored(cluster, &acknowledged, &heard).await;
        check_hashes(cluster).await;
    }
}

/// Writes the last key of the load once the cluster takes it.
async fn settle(cluster: &Cluster) {
    let mut roaming = Roaming::new(&cluster.clients(), 0);
    let settled = async {
        while roaming
            .call(|client| async move { client.put(put(SENTINEL, "")).await })
            .await
            .is_none()
        {}
    };
    timeout(PATIENCE, settled)
        .await
        .expect("the cluster takes writes again");
}

struct Writer {
    number: usize,
    roaming: Roaming,
    stop: Arc<AtomicBool>,
    writes: Arc<AtomicUsize>,
}

impl Writer {
    async fn run(mut self) -> Vec<Acknowledged> {
        let mut acknowledged = Vec::new();
        let mut number = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let key = format!("{PREFIX}{}/{number:06}", self.number);
            let request = put(&key, "value");
            let call = |client: Client| async move { client.put(request).await };
            if let Some(answer) = self.roaming.call(call).await {
                acknowledged.push((key, revision(&answer.header)));
                self.writes.fetch_add(1, Ordering::Relaxed);
            }
            number += 1;
        }
        acknowledged
    }
}

/// Watches from `start` on, resuming on another member when a stream breaks or falls silent, until the
/// sentinel arrives.
async fn follow(mut roaming: Roaming, start: i64) -> Vec<Acknowledged> {
    let mut heard: Vec<Acknowledged> = Vec::new();
    loop {
        let next = heard.last().map_or(start, |(_, revision)| revision + 1);
        let request = WatchCreateRequest {
            start_revision: next,
            ..watch_prefix(PREFIX)
        };
        let mut watch = Watch::open(&roaming.client());
        watch.send_create(request).await;
        while let Ok(Ok(Some(response))) = timeout(CALL_LIMIT, watch.message()).await {
            assert!(!response.canceled, "{response:?}");
            for event in response.events {
                let kv = event.kv.unwrap();
                heard.push((text(kv.key()).into(), kv.mod_revision()));
            }
            if heard.last().is_some_and(|(key, _)| key == SENTINEL) {
                return heard;
            }
        }
        roaming.move_on();
    }
}

/// Revisions increase with each writer and with the watcher, and nothing acknowledged went unheard.
fn check_order(acknowledged: &[Vec<Acknowledged>], heard: &[Acknowledged]) {
    for writes in acknowledged {
        assert!(
            writes.is_sorted_by(|a, b| a.1 < b.1),
            "a writer's revisions"
        );
    }
    assert!(
        heard.is_sorted_by(|a, b| a.1 < b.1),
        "the watcher's revisions"
    );
    let heard: BTreeSet<_> = heard.iter().collect();
    let unheard: Vec<_> = acknowledged
        .iter()
        .flatten()
        .filter(|write| !heard.contains(write))
        .collect();
    assert!(unheard.is_empty(), "acknowledged but unheard: {unheard:?}");
}

/// Every member stores exactly what the watcher heard, and so all that was acknowledged.
async fn check_stored(
    cluster: &Cluster,
    acknowledged: &[Vec<Acknowledged>],
    heard: &[Acknowledged],
) {
    let heard: BTreeMap<_, _> = heard.iter().cloned().collect();
    for index in 0..cluster.len() {
        let response = cluster.client(index).range(prefixed(PREFIX)).await.unwrap();
        let stored = response.kvs.iter().map(|kv| {
            assert!(kv.version() == 1 || kv.key() == SENTINEL, "{kv:?}");
            (text(kv.key()).to_owned(), kv.mod_revision())
        });
        let stored: BTreeMap<_, _> = stored.collect();
        for (key, revision) in acknowledged.iter().flatten() {
            assert_eq!(stored.get(key), Some(revision), "lost: {key}");
        }
        assert!(
            stored == heard,
            "member {index} stores other keys than were heard"
        );
    }
}

/// All members give the same hash of everything.
pub async fn check_hashes(cluster: &Cluster) {
    let revision = cluster.client(0).revision().await;
    let mut hashes = BTreeSet::new();
    for index in 0..cluster.len() {
        let client = cluster.client(index);
        client.revision().await;
        let request = HashKvRequest { revision };
        hashes.insert(client.hash_kv(request).await.unwrap().hash);
    }
    assert_eq!(hashes.len(), 1, "members differ");
}
