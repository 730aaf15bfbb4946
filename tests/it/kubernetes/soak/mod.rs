//! An apiserver's load on three members with TLS while members are stopped and killed at random: nothing may
//! fail that would not have failed with etcd, and nothing may be lost.
//!
//! A quarter of a minute; `HOLDFAST_TEST_SOAK` says for how many seconds instead. `HOLDFAST_TEST_SEED` chooses
//! what clients do and which member goes when.

mod apiserver;
mod audit;
mod audit_test;
mod cache;
mod claims;
mod compactor;
mod weather;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use apiserver::{Apiserver, ROOT, Shared};
use audit::Audit;
use cache::{Cache, Duty, Heard};
use claims::{Change, Ledger, State, What};
use compactor::{Compactor, Won};
use weather::Weather;
use worker::Worker;

use crate::harness::*;

const SECONDS: u64 = 15;
const WORKERS: usize = 6;
const COMPACTORS: usize = 2;
/// A member that came back has this long until its clients have no more excuse.
const SETTLE: Duration = Duration::from_secs(1);
/// How long the last events may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(60);

fn number(variable: &str, default: u64) -> u64 {
    let given = std::env::var(variable);
    given.map_or(default, |given| given.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kubernetes_load_survives_restarts() {
    let seed = number("HOLDFAST_TEST_SEED", 1);
    let length = Duration::from_secs(number("HOLDFAST_TEST_SOAK", SECONDS));
    let settings = Settings::default().tls(&Pki::new()).quick_elections();
    let settings = settings.renamed_flag("watch-progress-notify-interval", "1s");
    let mut cluster = Cluster::start(settings).await;
    let load = Load::start(&cluster, seed).await;
    let outages = disturb(&mut cluster, &load, seed, length).await;
    load.finish(&cluster, outages).await;
}

/// How members went.
#[derive(Debug, Default)]
struct Outages {
    killed: usize,
    terminated: usize,
    leaders: usize,
}

/// Stops members at random, one at a time, until the time is over or a client has failed.
async fn disturb(cluster: &mut Cluster, load: &Load, seed: u64, length: Duration) -> Outages {
    let mut random = StdRng::seed_from_u64(seed);
    let mut outages = Outages::default();
    let end = Instant::now() + length;
    while Instant::now() < end && !load.has_failed() {
        sleep(Duration::from_millis(random.random_range(500..3500))).await;
        let leader = cluster.leader().await;
        // Every other time the leader: that is what clients notice.
        let index = match random.random() {
            true => leader,
            false => random.random_range(0..cluster.len()),
        };
        let leads = index == leader;
        load.shared.weather.worsen((!leads).then_some(index));
        outages.leaders += usize::from(leads);
        if random.random() {
            cluster[index].kill();
            outages.killed += 1;
        } else {
            cluster[index].terminate();
            outages.terminated += 1;
        }
        sleep(Duration::from_millis(random.random_range(0..2000))).await;
        cluster[index].restart().await;
        cluster.leader().await;
        sleep(SETTLE).await;
        load.shared.weather.clear();
    }
    outages
}

struct Load {
    shared: Arc<Shared>,
    /// The revision at which caches end.
    end: Arc<AtomicI64>,
    workers: Vec<JoinHandle<Ledger>>,
    compactors: Vec<JoinHandle<()>>,
    won: Won,
    recorder: JoinHandle<Heard>,
    idle: JoinHandle<Heard>,
    caches: Vec<JoinHandle<Heard>>,
}

impl Load {
    async fn start(cluster: &Cluster, seed: u64) -> Self {
        let clients = || -> Vec<_> { (0..cluster.len()).map(|n| cluster.client(n)).collect() };
        let start = cluster.client(0).revision().await;
        let shared = Arc::new(Shared {
            weather: Weather::new(clients()),
            newest: AtomicI64::new(start),
            stop: AtomicBool::new(false),
            compacted: AtomicI64::new(0),
            streams: streams_lists(&cluster.client(0)).await,
        });
        let end = Arc::new(AtomicI64::new(0));
        let api = |number| Apiserver::new(clients(), number, &shared);
        let mut positions = Vec::new();
        let mut cache = |number, duty, resource| {
            let cache = Cache::new(api(number), duty, resource, start, &end);
            positions.push(cache.position());
            tokio::spawn(cache.run())
        };
        let recorder = cache(0, Duty::Record, "");
        let idle = cache(1, Duty::Idle, "namespaces");
        let served = ["pods", "configmaps", worker::LEASES, worker::EVENTS];
        let served = served.iter().chain(&served).enumerate();
        let caches = served.map(|(number, resource)| cache(number, Duty::Serve, resource));
        let caches = caches.collect();
        let won = Won::default();
        let compactor = |number| Compactor::new(api(number), &positions, &won).run();
        let worker = |number| Worker::new(number, seed, api(number)).run();
        Self {
            recorder,
            idle,
            caches,
            compactors: (0..COMPACTORS)
                .map(|n| tokio::spawn(compactor(n)))
                .collect(),
            workers: (0..WORKERS).map(|n| tokio::spawn(worker(n))).collect(),
            won,
            shared,
            end,
        }
    }

    /// Whether anybody has ended before being told to.
    fn has_failed(&self) -> bool {
        let caches = self.caches.iter().chain([&self.recorder, &self.idle]);
        caches.into_iter().any(JoinHandle::is_finished)
            || self.workers.iter().any(JoinHandle::is_finished)
            || self.compactors.iter().any(JoinHandle::is_finished)
    }

    /// Stops, and checks everything that must hold. All members must be up.
    async fn finish(self, cluster: &Cluster, outages: Outages) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut ledgers = join(self.workers).await;
        for compactor in self.compactors {
            compactor.await.unwrap();
        }
        let client = cluster.client(0);
        expire(&client).await;
        let end = client.revision().await;
        self.end.store(end, Ordering::Relaxed);
        let caches = [self.recorder, self.idle].into_iter().chain(self.caches);
        let heard = timeout(ARRIVAL, join(caches)).await;
        let mut heard = heard.expect("watchers hear of everything");
        let history = std::mem::take(&mut heard[0].history);
        let segments: Vec<_> = heard
            .iter_mut()
            .flat_map(|h| h.segments.drain(..))
            .collect();
        ledgers.extend(heard.iter_mut().map(|h| std::mem::take(&mut h.ledger)));
        report(&history, &ledgers, &heard, &outages);
        let rounds = self.won.lock().unwrap().len();
        eprintln!(
            "  {rounds} compactions; excused:{}",
            self.shared.weather.report()
        );
        let audit = Audit {
            history: &history,
            ledgers: &ledgers,
            segments: &segments,
        };
        audit.check().unwrap();
        assert!(
            heard[1].notifications > 0,
            "an idle watch hears of progress"
        );
        check_members(cluster, &history).await;
    }
}

async fn join<T>(tasks: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<T> {
    let results = futures::future::join_all(tasks).await;
    results.into_iter().map(Result::unwrap).collect()
}

/// Whether the server knows RangeStream: kube-apiserver finds out by asking.
async fn streams_lists(client: &Client) -> bool {
    let first = async {
        let answer = client.kv().range_stream(point(ROOT)).await?;
        answer.into_inner().message().await
    };
    match first.await {
        Ok(_) => true,
        Err(status) if status.code() == tonic::Code::Unimplemented => false,
        Err(status) => panic!("{status}"),
    }
}

/// Waits until all events have expired.
async fn expire(client: &Client) {
    let events = || prefixed(format!("{ROOT}{}/", worker::EVENTS));
    let gone = async {
        while client.range(events()).await.unwrap().count > 0 {
            sleep(SETTLE / 4).await;
        }
    };
    timeout(ARRIVAL, gone).await.expect("leases expire");
}

fn report(history: &[Change], ledgers: &[Ledger], heard: &[Heard], outages: &Outages) {
    let claims = || ledgers.iter().flat_map(|ledger| &ledger.claims);
    let count = |accept: fn(&What) -> bool| claims().filter(|claim| accept(&claim.what)).count();
    let wrote = count(|what| matches!(what, What::Wrote(_)));
    let refused = count(|what| matches!(what, What::Refused(..)));
    let reads = count(|what| matches!(what, What::Read(..)));
    let lists = count(|what| matches!(what, What::Listed(_)));
    let unknown: usize = ledgers.iter().map(|ledger| ledger.unknown.len()).sum();
    let events: usize = heard.iter().map(|h| h.notifications).sum();
    let streams: usize = heard.iter().map(|h| h.streams).sum();
    eprintln!(
        "soak: {wrote} writes, {refused} refused, {unknown} of unknown outcome, {reads} reads, \
         {lists} lists and pages, {} events, {streams} watch streams, {events} progress \
         notifications, {outages:?}",
        history.len()
    );
}

/// Every member stores what the history leaves, and all have the same hash.
async fn check_members(cluster: &Cluster, history: &[Change]) {
    let mut due = std::collections::BTreeMap::new();
    for change in history {
        match change.after {
            Some(state) => due.insert(change.key.as_str(), state),
            None => due.remove(change.key.as_str()),
        };
    }
    cluster.converge().await;
    for index in 0..cluster.len() {
        let mut request = prefixed(ROOT);
        request.serializable = true;
        let stored = cluster.client(index).range(request).await.unwrap().kvs;
        let stored = stored.iter().map(|kv| (text(kv.key()), State::from(kv)));
        assert!(
            stored.eq(due.iter().map(|(key, state)| (*key, *state))),
            "member {index} stores something else"
        );
    }
    crate::three::check_hashes(cluster).await;
}
