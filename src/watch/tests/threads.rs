//! The hub with its real threads: seeded loads under whatever schedule the machine gives.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::runtime::Runtime;

use crate::base::ids::{Revision, WatchId};
use crate::base::shutdown::Lifecycle;
use crate::watch::testing::{MemoryHistory, Response, change, config, prefix, revisions, spec};
use crate::watch::{
    Hub, HubConfig, OpenError, Publisher, WatchFrames, WatchRequest, WatchRequests, WatchSpec,
};

/// Small enough that readers are lapped, fall behind and read history all the time.
fn tiny() -> HubConfig {
    HubConfig {
        dispatchers: 2,
        segment_changes: 8,
        ring_segments: 4,
        stream_buffer_frames: 4,
        coalesce: Duration::from_micros(50),
        ..config()
    }
}

/// Commits transactions of one to three keys up to about revision `last`, resting now and then.
fn write(
    mut publisher: Publisher,
    history: &MemoryHistory,
    last: i64,
    seed: u64,
) -> (Publisher, i64) {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut revision = 1;
    while revision < last {
        let mut batch = Vec::new();
        for _ in 0..random.random_range(1..4) {
            revision += 1;
            for sub in 0..random.random_range(1..4) {
                let key = format!("k/{}", random.random_range(0..4));
                batch.push(change(revision, sub, &key, Some(b"v"), true));
            }
        }
        history.add(&batch);
        if random.random_bool(0.02) {
            publisher.reset(Revision(revision));
        } else {
            publisher.publish(batch);
        }
        if random.random_bool(0.2) {
            std::thread::sleep(Duration::from_micros(random.random_range(0..300)));
        }
    }
    (publisher, revision)
}

/// Commits the change that every reader stops at.
fn end((mut publisher, revision): (Publisher, i64), history: &MemoryHistory) {
    let end = [change(revision + 1, 0, "k/end", Some(b"v"), false)];
    history.add(&end);
    publisher.publish(end.to_vec());
}

/// Creates a watcher from `start` on and checks everything it receives until the end.
async fn follow(
    (requests, mut frames): (WatchRequests, WatchFrames),
    start: Option<i64>,
    seed: u64,
    history: Arc<MemoryHistory>,
    started: Arc<AtomicUsize>,
) {
    let mut random = SmallRng::seed_from_u64(seed);
    let start = start.map(Revision);
    let wanted = WatchSpec {
        start,
        ..spec(prefix("k/"))
    };
    requests.send(WatchRequest::Create(wanted)).await.unwrap();
    let created = Response::decode(&frames.next().await.unwrap());
    assert!(created.created);
    started.fetch_add(1, Ordering::SeqCst);
    let from = start.map_or(created.revision + 1, Revision::get);
    let mut next = from;
    let mut received = 0;
    loop {
        if random.random_bool(0.05) {
            tokio::time::sleep(Duration::from_micros(random.random_range(0..2000))).await;
        }
        if random.random_bool(0.05) {
            requests.send(WatchRequest::Progress).await.unwrap();
        }
        let response = Response::decode(&frames.next().await.unwrap());
        if response.is_progress() {
            assert!(response.revision + 1 >= next);
            next = response.revision + 1;
            continue;
        }
        let first = response.events[0].revision;
        assert!(first >= next, "{first} after {next}");
        assert!(revisions(std::slice::from_ref(&response)).is_sorted());
        received += response.events.len();
        let last = response.events.last().unwrap();
        next = last.revision + 1;
        if last.key.as_ref() == b"k/end" {
            let all = history.all();
            let wanted = all.iter().filter(|c| c.id.revision.get() >= from);
            assert_eq!(received, wanted.count());
            return;
        }
    }
}

fn stress(seed: u64) {
    let life = Lifecycle::new();
    let history = Arc::new(MemoryHistory::default());
    let (hub, publisher) = Hub::start(tiny(), history.clone(), &life, Revision::FIRST).unwrap();
    let runtime = Runtime::new().unwrap();
    let writer = {
        let history = history.clone();
        std::thread::spawn(move || write(publisher, &history, 2000, seed))
    };
    let mut random = SmallRng::seed_from_u64(seed);
    let started = Arc::new(AtomicUsize::new(0));
    let mut readers = Vec::new();
    for n in 0..12 {
        let stream = hub.open().unwrap();
        let start = (n % 3 != 0).then(|| random.random_range(2..200));
        let seed = random.random();
        let reader = follow(stream, start, seed, history.clone(), started.clone());
        readers.push(runtime.handle().clone().spawn(reader));
        std::thread::sleep(Duration::from_micros(random.random_range(0..500)));
    }
    let written = writer.join().unwrap();
    while started.load(Ordering::SeqCst) < readers.len() {
        std::thread::yield_now();
    }
    end(written, &history);
    for reader in readers {
        runtime.block_on(reader).unwrap();
    }
    life.stop();
    assert_eq!(life.failure(), None);
}

#[test]
fn readers_at_every_pace_receive_everything_once() {
    (0..8).for_each(stress);
}

/// Streams come, ask, cancel and go while changes are published; in the end nothing is left of them.
#[test]
fn streams_that_come_and_go_leave_nothing() {
    let life = Lifecycle::new();
    let history = Arc::new(MemoryHistory::default());
    let (hub, publisher) = Hub::start(tiny(), history.clone(), &life, Revision::FIRST).unwrap();
    let runtime = Runtime::new().unwrap();
    let writer = std::thread::spawn(move || write(publisher, &history, 2000, 7));
    runtime.block_on(async {
        for round in 0..200_u64 {
            let (requests, mut frames) = hub.open().unwrap();
            for start in [None, Some(Revision(2)), Some(Revision(1 << 40))] {
                let wanted = WatchSpec {
                    start,
                    progress_notify: true,
                    ..spec(prefix("k/"))
                };
                requests.send(WatchRequest::Create(wanted)).await.unwrap();
            }
            if round % 2 == 0 {
                requests
                    .send(WatchRequest::Cancel(WatchId(1)))
                    .await
                    .unwrap();
            }
            for _ in 0..round % 5 {
                frames.next().await.unwrap();
            }
        }
    });
    writer.join().unwrap();
    while hub.stats().streams > 0 || hub.stats().watchers > 0 {
        std::thread::yield_now();
    }
    let stats = hub.stats();
    assert_eq!(
        (stats.behind, stats.pending_responses, stats.pending_bytes),
        (0, 0, 0)
    );
    life.stop();
    assert_eq!(life.failure(), None);
}

#[test]
fn stopping_ends_streams_after_what_they_hold() {
    let life = Lifecycle::new();
    let history = Arc::new(MemoryHistory::default());
    let (hub, mut publisher) = Hub::start(config(), history, &life, Revision::FIRST).unwrap();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let (requests, mut frames) = hub.open().unwrap();
        requests
            .send(WatchRequest::Create(spec(prefix("k/"))))
            .await
            .unwrap();
        frames.next().await.unwrap();
        publisher.publish(vec![change(2, 0, "k/a", Some(b"v"), false)]);
        while hub.stats().delivered_events == 0 {
            tokio::task::yield_now().await;
        }
        life.stop();
        assert!(frames.next().await.is_some());
        assert_eq!(frames.next().await, None);
        // Who takes requests ends a moment after its frames.
        while requests.send(WatchRequest::Progress).await.is_ok() {
            tokio::task::yield_now().await;
        }
        while hub.open().is_ok() {
            tokio::task::yield_now().await;
        }
        assert_eq!(hub.open().err(), Some(OpenError::Stopped));
    });
}

/// A reader that waits is woken, whatever dispatcher serves it and however long everything was asleep.
#[test]
fn sleeping_parts_wake_up() {
    let life = Lifecycle::new();
    let history = Arc::new(MemoryHistory::default());
    let (hub, mut publisher) = Hub::start(tiny(), history, &life, Revision::FIRST).unwrap();
    let runtime = Runtime::new().unwrap();

    runtime.block_on(async {
        let mut streams = Vec::new();
        for _ in 0..4 {
            let (requests, mut frames) = hub.open().unwrap();
            requests
                .send(WatchRequest::Create(spec(prefix("k/"))))
                .await
                .unwrap();
            frames.next().await.unwrap();
            streams.push((requests, frames));
        }
        for revision in 2..300 {
            publisher.publish(vec![change(revision, 0, "k/a", Some(b"v"), false)]);
            for (_, frames) in &mut streams {
                let response = Response::decode(&frames.next().await.unwrap());
                assert_eq!(revisions(&[response]), [revision]);
            }
            if revision % 50 == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });

    life.stop();
}

/// Whoever has seen a change and then creates a watcher "from now on" is answered at that change or later.
#[test]
fn from_now_on_is_after_what_the_client_has_seen() {
    let life = Lifecycle::new();
    let history = Arc::new(MemoryHistory::default());
    let (hub, mut publisher) = Hub::start(tiny(), history, &life, Revision::FIRST).unwrap();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let (requests, mut frames) = hub.open().unwrap();
        let elsewhere = spec(prefix("elsewhere/"));
        for revision in 2..3000 {
            publisher.publish(vec![change(revision, 0, "k/a", Some(b"v"), false)]);
            let create = WatchRequest::Create(elsewhere.clone());
            requests.send(create).await.unwrap();
            let created = Response::decode(&frames.next().await.unwrap());
            assert_eq!((created.created, created.revision), (true, revision));
        }
    });
    life.stop();
}
