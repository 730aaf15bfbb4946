//! What the watch hub costs, and the limits it is held against.
//!
//! Fan-out is measured in CPU time of the whole process and not in wall time: it includes the readers
//! that take frames out of the queues, and does not depend on what else the machine does. A delivery is
//! one event that reaches one watcher.
//!
//! Limits, on the machine of `docs/decisions/0005-watch-ring.md`:
//! - publishing: below 0.1 us for each change, the making of the change included; the writer pays it on
//!   the apply thread;
//! - fan-out: below 0.1 us for each delivery with 100 or more watchers of a prefix; HTTP/2 costs four to
//!   nine times as much (0.46 to 0.9 us), so the hub must not show beside it;
//! - matching: below 0.5 us for each change among 100,000 watchers of single keys, whatever their number.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use holdfast::base::change::{Change, ChangeKind};
use holdfast::base::ids::{ChangeId, ClusterId, MemberId, Revision};
use holdfast::base::range::KeyRange;
use holdfast::base::shutdown::Lifecycle;
use holdfast::watch::{
    History, HistoryError, HistoryPage, Hub, HubConfig, Publisher, WatchFrames, WatchRequest,
    WatchRequests, WatchSpec,
};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Runtime;

/// Changes published at once: a busy apply thread's batch.
const BATCH: usize = 16;
/// Bytes of an event.
const EVENT_BYTES: usize = 512;

/// No bench falls out of the ring for long; what does is not measured.
struct Lost;

impl History for Lost {
    fn changes(
        &self,
        _: &KeyRange,
        _: Revision,
        upto: Revision,
        _: usize,
        _: usize,
    ) -> Result<HistoryPage, HistoryError> {
        let next = upto.next();
        Ok(HistoryPage {
            changes: Vec::new(),
            next,
        })
    }

    fn compacted(&self) -> Revision {
        Revision::ZERO
    }
}

struct Bench {
    hub: Hub,
    publisher: Publisher,
    life: Lifecycle,
    runtime: Runtime,
    revision: i64,
    event: Bytes,
}

impl Bench {
    fn new() -> Self {
        let config = HubConfig {
            dispatchers: 2,
            ..HubConfig::new(ClusterId(1), MemberId(1), Arc::new(AtomicU64::new(1)))
        };
        let life = Lifecycle::new();
        let (hub, publisher) =
            Hub::start(config, Arc::new(Lost), &life, Revision::FIRST).expect("threads start");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let event = vec![7; EVENT_BYTES].into();
        Self {
            hub,
            publisher,
            life,
            runtime,
            revision: 1,
            event,
        }
    }

    fn watch(&self, range: &KeyRange) -> (WatchRequests, WatchFrames) {
        let (requests, mut frames) = self.hub.open().expect("the hub is open");
        let spec = from_now_on(range.clone());
        self.runtime.block_on(async {
            requests
                .send(WatchRequest::Create(spec))
                .await
                .expect("the hub is open");
            frames.next().await.expect("created");
        });
        (requests, frames)
    }

    /// A batch with a change of each key, each a revision of its own.
    fn publish<'a>(&mut self, keys: impl Iterator<Item = &'a Bytes>) {
        let changes = keys.map(|key| {
            self.revision += 1;
            Change {
                id: ChangeId::new(Revision(self.revision), 0),
                kind: ChangeKind::Put,
                key: key.clone(),
                event: self.event.clone(),
                prev_at: EVENT_BYTES,
            }
        });
        let changes = changes.collect();
        self.publisher.publish(changes);
    }
}

fn from_now_on(range: KeyRange) -> WatchSpec {
    WatchSpec {
        id: None,
        range,
        start: None,
        prev_kv: false,
        progress_notify: false,
        no_put: false,
        no_delete: false,
        fragment: false,
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.life.stop();
    }
}

/// CPU time that this process has used so far, threads that have ended included.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime)
        .try_into()
        .expect("it counts up from zero")
}

fn publishing(c: &mut Criterion) {
    let mut bench = Bench::new();
    let key = Bytes::from_static(b"/registry/pods/default/some-pod-0123456789");
    let mut group = c.benchmark_group("watch/publish");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("batch of 16", |b| {
        b.iter(|| bench.publish([&key; BATCH].into_iter()));
    });
    group.finish();
}

/// CPU time of delivering every change to every watcher of a prefix, each on a stream of its own.
fn fan_out(c: &mut Criterion) {
    let mut group = c.benchmark_group("watch/fan-out, CPU");
    for watchers in [1_u64, 100, 1000] {
        let mut bench = Bench::new();
        let range = KeyRange::prefix(Bytes::from_static(b"/registry/pods/"));
        let mut streams: Vec<_> = (0..watchers).map(|_| bench.watch(&range)).collect();
        let key = Bytes::from_static(b"/registry/pods/default/some-pod-0123456789");
        group.throughput(Throughput::Elements(watchers * BATCH as u64));
        group.bench_with_input(BenchmarkId::from_parameter(watchers), &(), |b, ()| {
            b.iter_custom(|rounds| {
                let before = cpu_time();
                for _ in 0..rounds {
                    bench.publish([&key; BATCH].into_iter());
                    // A batch is published at once and its revisions are flushed together.
                    bench.runtime.block_on(async {
                        for (_, frames) in &mut streams {
                            black_box(frames.next().await);
                        }
                    });
                }
                cpu_time() - before
            });
        });
    }
    group.finish();
}

/// CPU time of walking and matching changes that none of many single-key watchers wants. The last change
/// of each batch is awaited by a watcher of its own.
fn matching(c: &mut Criterion) {
    const UNWANTED: i64 = 4096;
    let mut group = c.benchmark_group("watch/match, CPU");
    let key = |n: i64| Bytes::from(format!("/registry/configmaps/default/config-{n:08}"));
    let unwanted: Vec<_> = (0..UNWANTED).map(|n| key(n * 20 + 1)).collect();
    let awaited = Bytes::from_static(b"/registry/leases/last");
    for watchers in [1000_i64, 100_000] {
        let mut bench = Bench::new();
        let (requests, mut frames) = bench.hub.open().expect("the hub is open");
        let directory = KeyRange::prefix(Bytes::from_static(b"/registry/leases/"));
        let ranges = (0..watchers).map(|n| KeyRange::point(key(n * 2)));
        bench.runtime.block_on(async {
            for range in ranges.chain([directory]) {
                let request = WatchRequest::Create(from_now_on(range));
                requests.send(request).await.expect("the hub is open");
                frames.next().await.expect("created");
            }
        });
        group.throughput(Throughput::Elements(UNWANTED as u64));
        group.bench_with_input(BenchmarkId::from_parameter(watchers), &(), |b, ()| {
            b.iter_custom(|rounds| {
                let before = cpu_time();
                for _ in 0..rounds {
                    bench.publish(unwanted.iter().chain([&awaited]));
                    black_box(bench.runtime.block_on(frames.next()));
                }
                cpu_time() - before
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(3));
    targets = publishing, fan_out, matching
}
criterion_main!(benches);
