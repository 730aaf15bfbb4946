//! Events and progress, row by row as etcd 3.5 sends them.

use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;

use crate::base::ids::Revision;
use crate::base::range::KeyRange;
use crate::watch::testing::{
    Client, Response, Rig, change, config, prefix, revisions, since, spec,
};
use crate::watch::{HubConfig, WatchRequest, WatchSpec};

#[test]
fn ranges_select_points_halves_and_all() {
    let range =
        |start, end| KeyRange::from_wire(Bytes::from_static(start), Bytes::from_static(end));
    let cases = [
        (range(b"b", b""), vec!["b"]),
        (range(b"b", b"c"), vec!["b", "b/1"]),
        (range(b"b", b"\0"), vec!["b", "b/1", "c"]),
        (range(b"b/", b"b0"), vec!["b/1"]),
        (KeyRange::all(), vec!["a", "b", "b/1", "c"]),
    ];
    let mut rig = Rig::new(config());
    let mut client = rig.client();
    for (range, _) in &cases {
        rig.create(&mut client, spec(range.clone()));
    }
    for key in ["a", "b", "b/1", "c"] {
        rig.put(key);
    }
    let responses = rig.read(&mut client);
    for (id, (range, wanted)) in cases.iter().enumerate() {
        let of_watcher = responses.iter().filter(|r| r.id == id as i64);
        let keys: Vec<_> = of_watcher
            .flat_map(|r| &r.events)
            .map(|e| e.key.as_ref())
            .collect();
        assert_eq!(
            keys,
            wanted.iter().map(|k| k.as_bytes()).collect::<Vec<_>>(),
            "{range:?}"
        );
    }
}

#[test]
fn filters_come_last_and_empty_responses_are_not_sent() {
    let mut rig = Rig::new(config());
    let mut client = rig.client();
    rig.create(
        &mut client,
        WatchSpec {
            no_put: true,
            ..spec(prefix("k/"))
        },
    );
    rig.create(
        &mut client,
        WatchSpec {
            no_delete: true,
            ..spec(prefix("k/"))
        },
    );
    rig.create(
        &mut client,
        WatchSpec {
            no_delete: true,
            no_put: true,
            ..spec(prefix("k/"))
        },
    );
    rig.put("k/a");
    let responses = rig.read(&mut client);
    assert_eq!(responses.iter().map(|r| r.id).collect::<Vec<_>>(), [1]);
    rig.commit(&[("k/a", None)]);
    let responses = rig.read(&mut client);
    assert_eq!(responses.iter().map(|r| r.id).collect::<Vec<_>>(), [0]);
    // The same from history.
    let history = rig.create(
        &mut client,
        WatchSpec {
            no_put: true,
            ..since(2)
        },
    );
    assert_eq!(revisions(&history), [3]);
}

#[test]
fn prev_kv_comes_only_to_those_who_ask() {
    let mut rig = Rig::new(config());
    let mut client = rig.client();
    rig.create(
        &mut client,
        WatchSpec {
            prev_kv: true,
            ..spec(prefix("k/"))
        },
    );
    rig.create(&mut client, spec(prefix("k/")));
    rig.commit(&[("k/a", Some(b"v")), ("k/b", None)]);
    for response in rig.read(&mut client) {
        let prev: Vec<_> = response.events.iter().map(|e| e.prev).collect();
        assert_eq!(prev, [response.id == 0; 2]);
    }
}

#[test]
fn a_transaction_arrives_in_one_response() {
    let mut rig = Rig::new(HubConfig {
        segment_changes: 4,
        ..config()
    });
    let mut client = rig.client();
    rig.create(&mut client, spec(prefix("k/")));
    // More than is sent without a pause, so that a flush comes as early as it may.
    let value = [b'v'; 2000];
    let keys: Vec<_> = (0..100).map(|n| format!("k/{n:03}")).collect();
    let ops: Vec<_> = keys
        .iter()
        .map(|key| (key.as_str(), Some(&value[..])))
        .collect();
    rig.commit(&ops);
    let responses = rig.read(&mut client);
    assert_eq!(responses.len(), 1);
    assert_eq!(responses[0].events.len(), 100);
}

#[test]
fn catch_up_responses_hold_a_thousand_revisions_and_name_the_current_one() {
    let mut rig = Rig::new(config());
    for _ in 0..2547 {
        rig.put("k/a");
    }
    for ring in [true, false] {
        if !ring {
            rig.publisher.reset(Revision(rig.revision));
        }
        let mut client = rig.client();
        let responses = rig.create(&mut client, since(2));
        let sizes: Vec<_> = responses.iter().map(|r| r.events.len()).collect();
        assert_eq!(sizes, [0, 1000, 1000, 547]);
        assert!(responses.iter().all(|r| r.revision == 2548));
    }
}

#[test]
fn large_responses_are_split_only_where_allowed() {
    let mut rig = Rig::new(HubConfig {
        fragment_bytes: 3000,
        ..config()
    });
    let mut client = rig.client();
    rig.create(
        &mut client,
        WatchSpec {
            fragment: true,
            ..spec(prefix("k/"))
        },
    );
    rig.create(&mut client, spec(prefix("k/")));
    let value = [b'v'; 1000];
    rig.commit(&[
        ("k/1", Some(&value)),
        ("k/2", Some(&value)),
        ("k/3", Some(&value)),
        ("k/4", Some(&value[..10])),
    ]);
    let check = |responses: &[Response]| {
        let split: Vec<_> = responses
            .iter()
            .filter(|r| r.id == 0 && !r.created)
            .collect();
        assert_eq!(
            split
                .iter()
                .map(|r| (r.events.len(), r.fragment))
                .collect::<Vec<_>>(),
            [(2, true), (2, false)]
        );
        assert!(split.iter().all(|r| r.len < 3000 && r.revision == 2));
        let whole: Vec<_> = responses
            .iter()
            .filter(|r| r.id == 1 && !r.created)
            .collect();
        assert_eq!(
            whole
                .iter()
                .map(|r| (r.events.len(), r.fragment))
                .collect::<Vec<_>>(),
            [(4, false)]
        );
    };
    check(&rig.read(&mut client));
    // The same from history.
    let mut late = rig.client();
    late.send(WatchRequest::Create(WatchSpec {
        fragment: true,
        ..since(2)
    }));
    late.send(WatchRequest::Create(since(2)));
    check(&rig.read(&mut late));
}

#[test]
fn manual_progress_waits_for_nobody_and_lies_for_nobody() {
    let mut rig = Rig::new(config());
    let mut client = rig.client();
    client.send(WatchRequest::Progress);
    assert!(rig.read(&mut client).is_empty(), "no watchers, no progress");
    rig.create(&mut client, spec(prefix("k/")));
    rig.put("other");
    client.send(WatchRequest::Progress);
    let responses = rig.read(&mut client);
    assert_eq!(responses.len(), 1);
    assert_eq!((responses[0].id, responses[0].revision), (-1, 2));
    assert!(responses[0].is_progress());
    // One watcher that has yet to catch up silences the stream.
    client.send(WatchRequest::Create(since(2)));
    client.send(WatchRequest::Progress);
    assert!(rig.read(&mut client).iter().all(|r| !r.is_progress()));
    client.send(WatchRequest::Progress);
    assert!(rig.read(&mut client)[0].is_progress());
}

#[test]
fn progress_never_overtakes_an_event() {
    let mut rig = Rig::new(config());
    let mut client = rig.client();
    rig.create(&mut client, spec(prefix("k/")));
    for _ in 0..20 {
        rig.put("k/a");
        client.send(WatchRequest::Progress);
        rig.put("k/a");
        let mut told = 0;
        for response in rig.read(&mut client) {
            assert!(response.events.iter().all(|e| e.revision > told));
            if response.is_progress() {
                told = response.revision;
            }
        }
        assert!(told > 0);
    }
}

#[test]
fn periodic_progress_comes_to_idle_synced_watchers_that_asked() {
    let mut rig = Rig::new(HubConfig {
        progress_interval: Duration::ZERO,
        ..config()
    });
    let mut client = rig.client();
    rig.create(
        &mut client,
        WatchSpec {
            progress_notify: true,
            ..spec(prefix("k/"))
        },
    );
    rig.create(&mut client, spec(prefix("k/")));
    rig.now += Duration::from_millis(99);
    assert!(
        rig.read(&mut client).is_empty(),
        "the interval is at least 100 ms"
    );
    rig.now += Duration::from_millis(12);
    let told: Vec<_> = rig
        .read(&mut client)
        .iter()
        .map(|r| (r.id, r.is_progress()))
        .collect();
    assert_eq!(told, [(0, true)]);
    rig.put("k/a");
    assert_eq!(rig.read(&mut client).len(), 2);
    rig.now += Duration::from_millis(111);
    assert!(rig.read(&mut client).is_empty(), "it was not idle");
    rig.put("other");
    rig.now += Duration::from_millis(111);
    let told: Vec<_> = rig.read(&mut client).iter().map(|r| r.revision).collect();
    assert_eq!(told, [3]);
}

#[test]
fn a_reset_sends_every_watcher_to_history_from_its_own_place() {
    let mut rig = Rig::new(config());
    let mut client = rig.client();
    rig.create(&mut client, spec(prefix("k/")));
    rig.put("k/a");
    // Three revisions that are not published, then a snapshot's revision.
    for _ in 0..3 {
        let changes = rig.next_changes(&[("k/b", Some(b"v"))]);
        rig.history.add(&changes);
    }
    rig.publisher.reset(Revision(rig.revision));
    rig.put("k/c");
    assert_eq!(revisions(&rig.read(&mut client)), [2, 3, 4, 5, 6]);
    // Compacted in between: told so.
    let changes = rig.next_changes(&[("k/b", Some(b"v"))]);
    rig.history.add(&changes);
    rig.revision = 20;
    rig.history.compact(15);
    rig.publisher.reset(Revision(20));
    let responses = rig.read(&mut client);
    assert_eq!(responses.len(), 1);
    assert_eq!(
        (
            responses[0].canceled,
            responses[0].compact_revision,
            responses[0].revision
        ),
        (true, 15, 0)
    );
}

#[test]
fn broken_history_ends_the_watcher_with_the_reason() {
    let mut rig = Rig::new(config());
    rig.put("k/a");
    rig.publisher.reset(Revision(rig.revision));
    *rig.history.broken.lock() = Some("disk on fire".into());
    let mut client = rig.client();
    let responses = rig.create(&mut client, since(2));
    assert_eq!(responses[1].reason, "disk on fire");
    assert!(responses[1].canceled);
    assert_eq!(rig.hub.stats().watchers, 0);
}

#[test]
fn streams_of_one_hub_share_bodies_and_heads() {
    let mut rig = Rig::new(config());
    let mut clients = [rig.client(), rig.client()];
    for client in &mut clients {
        rig.create(client, spec(prefix("k/")));
    }
    rig.put("k/a");
    rig.settle();
    let frames: Vec<_> = clients
        .iter_mut()
        .map(|c| c.frames.next().now_or_never().flatten().unwrap())
        .collect();
    assert_eq!(frames[0].head.as_ptr(), frames[1].head.as_ptr());
    assert_eq!(frames[0].body.as_ptr(), frames[1].body.as_ptr());
    assert_eq!(
        change(2, 0, "k/a", Some(b"v"), true).event_bytes(false),
        &frames[0].body[2..]
    );
}

#[test]
fn half_closed_streams_go_on_and_dropped_ones_end() {
    let mut rig = Rig::new(config());
    let mut client = rig.client();
    rig.create(&mut client, spec(prefix("k/")));
    let Client {
        requests,
        mut frames,
    } = client;
    drop(requests);
    rig.put("k/a");
    rig.settle();
    assert!(frames.next().now_or_never().flatten().is_some());
    assert_eq!(rig.hub.stats().streams, 1);
    drop(frames);
    rig.settle();
    let stats = rig.hub.stats();
    assert_eq!(
        (stats.streams, stats.watchers, stats.pending_bytes),
        (0, 0, 0)
    );
}
