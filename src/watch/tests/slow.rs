//! Streams that are not read: what they cost, and what they get once they are read again (I8).

use std::time::Duration;

use crate::base::ids::Revision;
use crate::watch::testing::{Response, Rig, config, prefix, revisions, spec};
use crate::watch::{HubConfig, WatchRequest, WatchSpec};

/// Little of everything, so that a few changes fill any of it.
fn tiny() -> HubConfig {
    HubConfig {
        segment_changes: 4,
        ring_segments: 3,
        stream_buffer_frames: 2,
        ..config()
    }
}

#[test]
fn a_stopped_reader_keeps_only_its_next_revision_and_misses_nothing() {
    let mut rig = Rig::new(tiny());
    let mut client = rig.client();
    rig.create(&mut client, spec(prefix("k/")));
    for _ in 0..100 {
        rig.put("k/a");
        rig.settle();
    }
    let stats = rig.hub.stats();
    assert!(stats.pending_responses <= 2, "{stats:?}");
    assert_eq!((stats.behind, stats.synced), (1, 0));
    // Far more than the ring holds was missed.
    assert_eq!(
        revisions(&rig.read(&mut client)),
        (2..=101).collect::<Vec<_>>()
    );
    assert!(rig.history.reads.load(std::sync::atomic::Ordering::SeqCst) > 0);
    assert_eq!(rig.hub.stats().synced, 1);
    rig.put("k/a");
    assert_eq!(revisions(&rig.read(&mut client)), [102]);
}

#[test]
fn a_short_stop_is_made_up_from_the_ring() {
    let mut rig = Rig::new(HubConfig {
        segment_changes: 1024,
        ..tiny()
    });
    let mut client = rig.client();
    rig.create(&mut client, spec(prefix("k/")));
    for _ in 0..100 {
        rig.put("k/a");
        rig.settle();
    }
    assert_eq!(
        revisions(&rig.read(&mut client)),
        (2..=101).collect::<Vec<_>>()
    );
    assert_eq!(
        rig.history.reads.load(std::sync::atomic::Ordering::SeqCst),
        0
    );
}

#[test]
fn a_slow_stream_costs_the_others_nothing() {
    let mut rig = Rig::new(tiny());
    let (mut slow, mut quick) = (rig.client(), rig.client());
    rig.create(&mut slow, spec(prefix("k/")));
    rig.create(&mut quick, spec(prefix("k/")));
    for revision in 2..50 {
        rig.put("k/a");
        rig.step(0);
        // Without a single page being read for the slow one.
        assert_eq!(revisions(&quick.drain()), [revision]);
    }
}

#[test]
fn a_reader_that_stops_past_a_compaction_is_told() {
    let mut rig = Rig::new(tiny());
    let mut client = rig.client();
    rig.create(&mut client, spec(prefix("k/")));
    for _ in 0..50 {
        rig.put("k/a");
        rig.settle();
    }
    rig.history.compact(40);
    let responses = rig.read(&mut client);
    let received = revisions(&responses);
    assert_eq!(received, (2..2 + received.len() as i64).collect::<Vec<_>>());
    let last = responses.last().unwrap();
    assert_eq!(
        (last.canceled, last.compact_revision, last.revision),
        (true, 40, 0)
    );
}

#[test]
fn a_compaction_between_pages_cancels_and_leaves_no_gap() {
    let mut rig = Rig::new(tiny());
    for _ in 0..2500 {
        rig.put("k/a");
    }
    rig.step(0);
    let mut client = rig.client();
    client.send(WatchRequest::Create(WatchSpec {
        start: Some(Revision(2)),
        ..spec(prefix("k/"))
    }));
    rig.step(1);
    rig.step(0);
    rig.history.compact(2000);
    let responses = rig.read(&mut client);
    assert_eq!(revisions(&responses), (2..1002).collect::<Vec<_>>());
    assert_eq!(responses.last().map(|r| r.compact_revision), Some(2000));
}

#[test]
fn memory_of_streams_that_are_never_read_is_bounded() {
    let budget = 64 << 10;
    let mut rig = Rig::new(HubConfig {
        buffer_bytes: budget,
        ..config()
    });
    let clients: Vec<_> = (0..200).map(|_| rig.client()).collect();
    for (n, client) in clients.iter().enumerate() {
        // Half of them catch up with events of their own, half of them follow the ring.
        let start = (n % 2 == 0).then_some(Revision(2));
        client.send(WatchRequest::Create(WatchSpec {
            start,
            ..spec(prefix("k/"))
        }));
    }
    rig.settle();
    for _ in 0..300 {
        rig.commit(&[("k/a", Some(&[0; 2000]))]);
        rig.settle();
    }
    let stats = rig.hub.stats();
    assert_eq!(stats.streams, 200);
    // Each stream may hold the answer to its request besides its part of the budget.
    assert!(stats.pending_bytes <= budget + 200 * 1000, "{stats:?}");
    assert_eq!(stats.behind, 200);
}

#[test]
fn a_hub_short_of_memory_reads_small_pages() {
    let budget = 256 << 10;
    let mut rig = Rig::new(HubConfig {
        buffer_bytes: budget,
        ..config()
    });
    for _ in 0..100 {
        rig.commit(&[("k/a", Some(&[0; 4000]))]);
    }
    // Each asks for a history of 400 kB that nobody shares, reads the answer, and stops.
    let mut clients: Vec<_> = (0..100).map(|_| rig.client()).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        let end = format!("k/a{n:03}").into_bytes();
        let range = crate::base::range::KeyRange::from_wire("k/".into(), end.into());
        let start = Some(Revision(2));
        client.send(WatchRequest::Create(WatchSpec {
            start,
            ..spec(range)
        }));
        rig.step(0);
        assert!(client.poll().is_some_and(|response| response.created));
        rig.settle();
    }
    let stats = rig.hub.stats();
    let large = 2 * (400 << 10);
    assert!(
        stats.pending_bytes < budget + large + 100 * (21 << 10),
        "{stats:?}"
    );
}

#[test]
fn a_client_that_asks_without_reading_is_not_answered_for_ever() {
    let mut rig = Rig::new(HubConfig {
        stream_buffer_frames: 4,
        ..config()
    });
    let client = rig.client();
    let mut accepted = 0;
    for _ in 0..1000 {
        let request = WatchRequest::Create(spec(prefix("k/")));
        let sent = futures::FutureExt::now_or_never(client.requests.send(request));
        accepted += usize::from(sent.is_some());
        rig.step(0);
    }
    assert!(accepted < 40, "{accepted} requests were taken");
    assert_eq!(rig.hub.stats().pending_responses, 4 + 16);
}

#[test]
fn a_client_that_is_slow_to_read_can_still_cancel() {
    let mut rig = Rig::new(tiny());
    let mut client = rig.client();
    rig.create(&mut client, spec(prefix("k/")));
    for _ in 0..20 {
        rig.put("k/a");
        rig.settle();
    }
    client.send(WatchRequest::Cancel(crate::base::ids::WatchId(0)));
    rig.settle();
    assert_eq!(rig.hub.stats().watchers, 0);
    let responses = rig.read(&mut client);
    assert_eq!(revisions(&responses), [2, 3]);
    assert!(responses.last().is_some_and(|last| last.canceled));
}

#[test]
fn watchers_that_fall_behind_together_read_together() {
    let mut rig = Rig::new(tiny());
    let mut clients: Vec<_> = (0..20).map(|_| rig.client()).collect();
    for client in &mut clients {
        rig.create(client, spec(prefix("k/")));
    }
    for _ in 0..100 {
        rig.put("k/a");
        rig.step(0);
    }
    let mut received = vec![Vec::new(); clients.len()];
    for _ in 0..20 {
        for (client, received) in clients.iter_mut().zip(&mut received) {
            received.extend(revisions(&client.drain()));
        }
        rig.settle();
    }
    assert!(
        received
            .iter()
            .all(|revisions| *revisions == (2..=101).collect::<Vec<_>>())
    );
    let reads = rig.history.reads.load(std::sync::atomic::Ordering::SeqCst);
    assert!(reads <= 3, "{reads} pages were read for the same events");
}

#[test]
fn cancelling_while_a_page_is_read_leaves_nothing_behind() {
    let mut rig = Rig::new(tiny());
    for _ in 0..100 {
        rig.put("k/a");
    }
    let mut client = rig.client();
    let past = WatchSpec {
        start: Some(Revision(2)),
        ..spec(prefix("k/"))
    };
    client.send(WatchRequest::Create(past.clone()));
    rig.step(0);
    client.send(WatchRequest::Cancel(crate::base::ids::WatchId(0)));
    rig.step(0);
    // The page of the cancelled watcher is still under way; the next one must get its own.
    let responses = rig.create(&mut client, past);
    assert!(
        responses
            .iter()
            .filter(|r| r.id == 0)
            .all(|r| r.events.is_empty())
    );
    assert_eq!(revisions(&responses), (2..=101).collect::<Vec<_>>());
    drop(client);
    rig.settle();
    let stats = rig.hub.stats();
    assert_eq!((stats.streams, stats.watchers, stats.behind), (0, 0, 0));
}

#[test]
fn changes_wait_for_each_other_while_most_readers_have_not_read() {
    const CROWDED: Duration = Duration::from_millis(20);
    let mut rig = Rig::new(HubConfig {
        coalesce: Duration::from_micros(200),
        coalesce_crowded: CROWDED,
        ..config()
    });
    let mut clients = [rig.client(), rig.client(), rig.client()];
    for client in &mut clients {
        rig.create(client, spec(prefix("k/")));
    }
    rig.put("k/a");
    rig.step(0);
    // Nobody has read: what comes now waits, although the shorter time has passed.
    rig.now += CROWDED / 2;
    rig.put("k/b");
    rig.put("k/c");
    rig.step(0);
    assert_eq!(rig.hub.stats().pending_responses, 3);
    rig.now += CROWDED / 2;
    rig.step(0);
    assert_eq!(rig.hub.stats().pending_responses, 6);
    let shapes = |responses: Vec<Response>| -> Vec<usize> {
        responses
            .iter()
            .map(|response| response.events.len())
            .collect()
    };
    assert_eq!(shapes(clients[0].drain()), [1, 2]);
    assert_eq!(shapes(clients[1].drain()), [1, 2]);
    // Most have read: one that does not makes the others wait no longer than usual.
    rig.put("k/d");
    rig.now += Duration::from_micros(200);
    rig.step(0);
    assert_eq!(shapes(clients[0].drain()), [1]);
}

#[test]
fn the_larger_the_audience_the_longer_changes_wait_for_each_other() {
    const EACH: Duration = Duration::from_micros(100);
    let mut rig = Rig::new(HubConfig {
        coalesce: EACH,
        coalesce_per_response: EACH,
        coalesce_crowded: Duration::from_millis(20),
        ..config()
    });
    let mut crowd: Vec<_> = (0..50).map(|_| rig.client()).collect();
    for client in &mut crowd {
        rig.create(client, spec(prefix("k/")));
    }
    let mut single = rig.client();
    rig.create(&mut single, spec(prefix("other/")));
    let mut told = |rig: &mut Rig| -> usize {
        rig.step(0);
        crowd.iter_mut().map(|client| client.drain().len()).sum()
    };
    rig.put("k/a");
    assert_eq!(told(&mut rig), 50, "the first change waits for nothing");
    rig.put("k/b");
    rig.now += EACH * 49;
    assert_eq!(told(&mut rig), 0);
    rig.now += EACH;
    assert_eq!(told(&mut rig), 50);
    // What is for one waits for nobody.
    rig.put("other/a");
    rig.now += EACH;
    rig.step(0);
    assert_eq!(single.drain().len(), 1);
}
