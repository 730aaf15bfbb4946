//! The raft log and the protocol core.
//!
//! Held against `docs/decisions/0003-raft-log.md`: a synced append of one entry is bounded by the disk, and
//! from sixteen entries a sync on the disk is no longer the limit; a command in a busy cluster of three
//! costs a few microseconds of protocol on all members together.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use holdfast::raft::bench_support::{LogBench, Trio};

fn append(c: &mut Criterion) {
    let mut group = c.benchmark_group("raft_log_append");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut log = LogBench::open(dir.path(), true).expect("a new log opens");
    for count in [1, 4, 16, 64, 256, 1024] {
        group.throughput(Throughput::Elements(count));
        group.bench_with_input(BenchmarkId::new("fsync", count), &count, |b, &count| {
            b.iter(|| log.append(count, 600).expect("the disk works"));
        });
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut log = LogBench::open(dir.path(), false).expect("a new log opens");
    for count in [1, 64] {
        group.throughput(Throughput::Elements(count));
        group.bench_with_input(BenchmarkId::new("no_fsync", count), &count, |b, &count| {
            b.iter(|| log.append(count, 600).expect("the disk works"));
        });
    }
    group.finish();
}

fn step(c: &mut Criterion) {
    let mut group = c.benchmark_group("raft_core_three_members");
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (name, count, together) in [("one_by_one", 16, false), ("together", 256, true)] {
        group.throughput(Throughput::Elements(count));
        group.bench_function(name, |b| {
            let mut trio = Trio::new(&dir.path().join(name)).expect("a new cluster starts");
            b.iter(|| {
                let outcome = trio.commit(count, 600, together);
                outcome.expect("the cluster works");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, append, step);
criterion_main!(benches);
