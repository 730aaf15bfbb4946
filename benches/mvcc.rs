//! The storage path without consensus and network, against what others reach on a machine of two cores.
//!
//! Limits are CPU time for one operation on an idle machine; above them something got worse. They come
//! from measurements of the same operations on bare RocksDB with a like layout (600-byte values, LZ4) and
//! of etcd's whole put path (60 microseconds and more).
//!
//! | bench | limit |
//! | --- | --- |
//! | apply of 100 puts | 1.0 ms: 10 us for a put, three quarters of it the random insert |
//! | point get | 4 us |
//! | list of 500 | 0.9 ms: 1.8 us a key |
//! | list of 500, ten versions back | 25 ms: one event lookup for each version between |
//! | history of 10,000 events | 4.6 ms: 0.46 us an event |
//! | count of what remains, cached | 1 us more than the page |

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use holdfast::base::ids::Revision;
use holdfast::base::range::KeyRange;
use holdfast::mvcc::ops::{PutOp, RangeOp};
use holdfast::mvcc::{Applied, CountCache, Session, State, history, read};
use holdfast::storage::{Store, StoreOptions};
use tempfile::TempDir;

const KEYS: u64 = 100_000;
const VALUE_LEN: usize = 600;
const BATCH: u64 = 100;
const PAGE: u64 = 500;
const VERSIONS: u64 = 10;
const EVENTS: i64 = 10_000;

struct Bench {
    store: Store,
    state: State,
    next: u64,
    _dir: TempDir,
}

impl Bench {
    /// A store with every key written once.
    fn new() -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let path = dir.path().join("state");
        let store = Store::open(&path, &StoreOptions::default()).expect("a fresh store opens");
        let mut bench = Self {
            store,
            state: State::default(),
            next: 0,
            _dir: dir,
        };
        for first in (0..KEYS).step_by(BATCH as usize) {
            let batch: Vec<PutOp> = (first..first + BATCH).map(put).collect();
            bench.apply(&batch);
        }
        bench.store.flush().expect("a flush");
        bench
    }

    fn apply(&mut self, puts: &[PutOp]) {
        let mut session = Session::begin(&self.store, self.state);
        for op in puts {
            session.put(op).expect("a plain put");
        }
        let Applied { batch, state, .. } = session.finish();
        self.store.write(batch).expect("a write");
        self.state = state;
    }

    /// Puts to keys all over the key space, another set at each call.
    fn scattered(&mut self) -> Vec<PutOp> {
        let first = self.next;
        self.next += BATCH;
        let spread = |index: u64| index.wrapping_mul(0x9e37_79b9_7f4a_7c15) % KEYS;
        (first..self.next).map(|index| put(spread(index))).collect()
    }

    fn list(&self, revision: Option<Revision>) -> RangeOp {
        RangeOp {
            limit: Some(PAGE),
            revision,
            ..RangeOp::new(KeyRange::prefix(Bytes::from_static(b"/registry/pods/")))
        }
    }
}

/// Keys as Kubernetes makes them.
fn key(index: u64) -> Bytes {
    format!(
        "/registry/pods/namespace-{:03}/workload-{index:08}-x7f9k",
        index % 100
    )
    .into()
}

/// Half of the value compresses.
fn put(index: u64) -> PutOp {
    let noise = |byte: usize| (index.rotate_left(byte as u32 % 64) >> 8) as u8 ^ byte as u8;
    let value = (0..VALUE_LEN).map(|byte| if byte % 2 == 0 { b'{' } else { noise(byte) });
    PutOp::new(key(index), value.collect::<Vec<u8>>().into())
}

fn writes(c: &mut Criterion) {
    let mut bench = Bench::new();
    let mut group = c.benchmark_group("apply");
    group.throughput(Throughput::Elements(BATCH));
    group.bench_function("100 puts", |b| {
        b.iter(|| {
            let puts = bench.scattered();
            bench.apply(&puts);
        });
    });
    group.finish();
}

fn reads(c: &mut Criterion) {
    let bench = Bench::new();
    let mut index = 0;
    c.bench_function("point get", |b| {
        b.iter_batched(
            || {
                index = (index + 7919) % KEYS;
                RangeOp::new(KeyRange::point(key(index)))
            },
            |op| read::range(&bench.store, bench.state, &op),
            BatchSize::SmallInput,
        );
    });
    let counts = CountCache::new();
    let op = bench.list(None);
    let mut group = c.benchmark_group("list");
    group.throughput(Throughput::Elements(PAGE));
    group.bench_function("500 keys, count cached", |b| {
        b.iter(|| read::range_with_counts(&bench.store, bench.state, black_box(&op), &counts));
    });
    group.finish();
}

fn old_reads(c: &mut Criterion) {
    let mut bench = Bench::new();
    let pinned = bench.state.revision;
    let listed = read::range(&bench.store, bench.state, &bench.list(None)).expect("a list");
    for _ in 0..VERSIONS {
        let again: Vec<PutOp> = listed
            .kvs
            .iter()
            .map(|kv| PutOp::new(kv.key.clone(), "v".into()))
            .collect();
        bench.apply(&again);
    }
    let counts = CountCache::new();
    let op = bench.list(Some(pinned));
    let mut group = c.benchmark_group("list");
    group.throughput(Throughput::Elements(PAGE));
    group.bench_function("500 keys, ten versions back", |b| {
        b.iter(|| read::range_with_counts(&bench.store, bench.state, black_box(&op), &counts));
    });
    group.finish();
}

fn histories(c: &mut Criterion) {
    let bench = Bench::new();
    let upto = bench.state.revision;
    let from = Revision(upto.0 - EVENTS + 1);
    let mut group = c.benchmark_group("history");
    group.throughput(Throughput::Elements(EVENTS as u64));
    for (name, range) in [
        ("10,000 events, all match", KeyRange::all()),
        (
            "10,000 events, none matches",
            KeyRange::prefix(Bytes::from_static(b"/none/")),
        ),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let (store, state) = (&bench.store, bench.state);
                history::changes(
                    store,
                    state,
                    black_box(&range),
                    from,
                    upto,
                    usize::MAX,
                    usize::MAX,
                )
            });
        });
    }
    group.finish();
}

criterion_group!(benches, writes, reads, old_reads, histories);
criterion_main!(benches);
