//! Creating and cancelling watchers, row by row as etcd 3.5 answers it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::base::ids::{Revision, WatchId};
use crate::base::range::KeyRange;
use crate::watch::testing::{
    Client, Response, Rig, change, config, prefix, revisions, since, spec,
};
use crate::watch::{HubConfig, OpenError, Publisher, WatchRequest, WatchSpec};

fn created(id: i64, revision: i64, head_len: usize) -> Response {
    Response {
        id,
        revision,
        created: true,
        term: 33,
        len: head_len,
        ..Response::default()
    }
}

fn refused(revision: i64, reason: &str) -> Response {
    Response {
        id: -1,
        revision,
        created: true,
        canceled: true,
        term: 33,
        reason: reason.into(),
        ..Response::default()
    }
}

#[test]
fn from_now_on_is_everything_after_the_created_revision() {
    let mut rig = Rig::new(config());
    rig.put("k/before");
    let mut client = rig.client();
    client.send(WatchRequest::Create(spec(prefix("k/"))));
    // Published before the dispatcher saw the request, so before the watch.
    rig.put("k/also-before");
    let responses = rig.read(&mut client);
    assert_eq!(responses, [created(0, 3, responses[0].len)]);
    rig.put("k/after");
    rig.put("other");
    rig.commit(&[("k/1", Some(b"v")), ("other", None), ("k/2", None)]);
    let responses = rig.read(&mut client);
    assert_eq!(revisions(&responses), [4, 6, 6]);
    assert!(
        responses
            .iter()
            .all(|r| r.revision == 6 && r.id == 0 && r.term == 33)
    );
    let events = &responses.last().unwrap().events;
    assert_eq!(
        events
            .last()
            .map(|event| (event.key.as_ref(), event.delete)),
        Some((&b"k/2"[..], true))
    );
}

/// A reader that, when it is woken in the middle of a step, commits a change and then, having seen it,
/// asks for a watcher.
struct Meddler {
    publisher: Mutex<Publisher>,
    client: Client,
}

impl Wake for Meddler {
    fn wake(self: Arc<Self>) {
        let change = change(3, 0, "k/seen", Some(b"v"), false);
        self.publisher.lock().publish(vec![change]);
        self.client.send(WatchRequest::Create(spec(prefix("k/"))));
    }
}

#[test]
fn what_a_client_has_seen_is_before_its_watch_however_late_it_asks() {
    let mut rig = Rig::new(config());
    let mut woken = rig.client();
    rig.create(&mut woken, spec(prefix("k/")));
    rig.put("k/a");
    // Makes the flush, and with it the wake-up, come during the walk.
    rig.publisher.reset(Revision(2));
    let client = rig.client();
    // The dispatcher has a reason to look at the port in this very step.
    client.send(WatchRequest::Create(spec(prefix("k/"))));
    let meddler = Arc::new(Meddler {
        publisher: Mutex::new(rig.publisher),
        client,
    });
    let waker = Waker::from(meddler.clone());
    assert!(
        woken
            .frames
            .poll_next(&mut Context::from_waker(&waker))
            .is_pending()
    );
    for _ in 0..3 {
        rig.dispatchers[0].step(rig.now);
    }
    drop((woken, waker));
    let mut client = Arc::into_inner(meddler).unwrap().client;
    let responses = client.drain();
    let created: Vec<_> = responses
        .iter()
        .filter(|r| r.created)
        .map(|r| r.revision)
        .collect();
    assert_eq!(created, [2, 3]);
    assert_eq!(
        revisions(&responses),
        [3],
        "only the first of them was there before the change"
    );
}

#[test]
fn a_past_start_gets_history_first_and_then_live_events() {
    let mut rig = Rig::new(config());
    for _ in 0..5 {
        rig.put("k/a");
    }
    let mut client = rig.client();
    let responses = rig.create(&mut client, since(4));
    assert_eq!(responses[0], created(0, 6, responses[0].len));
    assert_eq!(revisions(&responses), [4, 5, 6]);
    rig.put("k/a");
    assert_eq!(revisions(&rig.read(&mut client)), [7]);
}

#[test]
fn a_start_at_the_compacted_revision_is_served_without_its_prev_kv() {
    let mut rig = Rig::new(config());
    for _ in 0..5 {
        rig.put("k/a");
    }
    rig.history.compact(4);
    let mut client = rig.client();
    let responses = rig.create(
        &mut client,
        WatchSpec {
            prev_kv: true,
            ..since(4)
        },
    );
    let events: Vec<_> = responses
        .iter()
        .flat_map(|r| &r.events)
        .map(|e| (e.revision, e.prev))
        .collect();
    assert_eq!(events, [(4, false), (5, true), (6, true)]);
}

#[test]
fn a_compacted_start_is_created_and_then_cancelled_with_the_revision() {
    let mut rig = Rig::new(config());
    for _ in 0..5 {
        rig.put("k/a");
    }
    rig.history.compact(4);
    let mut client = rig.client();
    let responses = rig.create(&mut client, since(3));
    assert_eq!(responses.len(), 2);
    assert_eq!(responses[0], created(0, 6, responses[0].len));
    let wanted = Response {
        canceled: true,
        compact_revision: 4,
        term: 33,
        len: responses[1].len,
        ..Response::default()
    };
    assert_eq!(responses[1], wanted);
    // It keeps its id until the client cancels it, and is not in the way of anything else.
    let again = rig.create(
        &mut client,
        WatchSpec {
            id: Some(WatchId(0)),
            ..since(5)
        },
    );
    assert!(again[0].reason.contains("duplicate"));
    assert_eq!(rig.hub.stats().watchers, 0);
    client.send(WatchRequest::Progress);
    assert!(
        rig.read(&mut client).is_empty(),
        "a stream without watchers has no progress"
    );
    rig.create(&mut client, spec(prefix("k/")));
    client.send(WatchRequest::Progress);
    assert!(rig.read(&mut client)[0].is_progress());
    client.send(WatchRequest::Cancel(WatchId(0)));
    assert!(rig.read(&mut client)[0].canceled);
}

#[test]
fn refused_creations_say_why_and_change_nothing() {
    let mut rig = Rig::new(config());
    let mut client = rig.client();
    let range =
        |start, end| KeyRange::from_wire(Bytes::from_static(start), Bytes::from_static(end));
    rig.create(
        &mut client,
        WatchSpec {
            id: Some(WatchId(5)),
            ..spec(prefix("k/"))
        },
    );
    let duplicate = "mvcc: duplicate watch ID provided on the WatchStream";
    let cases = [
        (
            since(-1),
            "etcdserver: mvcc: required revision has been compacted",
        ),
        (spec(range(b"b", b"a")), "mvcc: watcher range is empty"),
        (spec(range(b"b", b"b")), "mvcc: watcher range is empty"),
        (
            WatchSpec {
                id: Some(WatchId(5)),
                ..spec(prefix("k/"))
            },
            duplicate,
        ),
        (
            WatchSpec {
                id: Some(WatchId(-1)),
                ..spec(prefix("k/"))
            },
            duplicate,
        ),
    ];
    for (spec, reason) in cases {
        let responses = rig.create(&mut client, spec);
        assert_eq!(
            responses,
            [Response {
                len: responses[0].len,
                ..refused(1, reason)
            }]
        );
    }
    assert_eq!(rig.hub.stats().watchers, 1);
}

#[test]
fn limits_on_watchers_refuse_with_a_reason() {
    let mut rig = Rig::new(HubConfig {
        max_stream_watchers: 1,
        max_watchers: 2,
        ..config()
    });
    let (mut a, mut b, mut c) = (rig.client(), rig.client(), rig.client());
    assert!(!rig.create(&mut a, spec(prefix("k/")))[0].canceled);
    assert_eq!(
        rig.create(&mut a, spec(prefix("k/")))[0].reason,
        "etcdserver: too many requests"
    );
    assert!(!rig.create(&mut b, spec(prefix("k/")))[0].canceled);
    assert_eq!(
        rig.create(&mut c, spec(prefix("k/")))[0].reason,
        "etcdserver: too many requests"
    );
    drop(a);
    rig.settle();
    assert!(!rig.create(&mut c, spec(prefix("k/")))[0].canceled);
}

#[test]
fn the_keys_that_watchers_name_are_bounded_in_bytes() {
    const KEY: usize = 100;
    let mut rig = Rig::new(HubConfig {
        dispatchers: 2,
        key_bytes: 2 * KEY,
        ..config()
    });
    let key = |fill: u8| spec(KeyRange::point(Bytes::from(vec![fill; KEY])));
    let ids = |responses: &[Response]| (responses[0].id, responses[0].reason.clone());
    let created = |id| (id, String::new());
    let too_many = (-1, "etcdserver: too many requests".to_owned());
    let (mut a, mut b) = (rig.client(), rig.client());
    assert_eq!(ids(&rig.create(&mut a, key(b'1'))), created(0));
    assert_eq!(ids(&rig.create(&mut b, key(b'2'))), created(0));
    assert_eq!(ids(&rig.create(&mut a, key(b'3'))), too_many);
    assert_eq!(ids(&rig.create(&mut b, key(b'3'))), too_many);
    // What is named already takes no more room, and a refusal has used up no id.
    assert_eq!(ids(&rig.create(&mut a, key(b'1'))), created(1));
    a.send(WatchRequest::Cancel(WatchId(0)));
    rig.read(&mut a);
    assert_eq!(ids(&rig.create(&mut b, key(b'3'))), too_many);
    a.send(WatchRequest::Cancel(WatchId(1)));
    rig.read(&mut a);
    assert_eq!(ids(&rig.create(&mut b, key(b'3'))), created(1));
    assert_eq!(ids(&rig.create(&mut a, key(b'4'))), too_many);
    drop(b);
    rig.settle();
    assert_eq!(ids(&rig.create(&mut a, key(b'4'))), created(2));
}

#[test]
fn streams_beyond_the_limit_are_told_apart_from_a_stop() {
    let mut rig = Rig::new(HubConfig {
        max_streams: 1,
        ..config()
    });
    let client = rig.client();
    rig.settle();
    assert_eq!(rig.hub.open().err(), Some(OpenError::TooManyStreams));
    drop(client);
    rig.settle();
    assert!(rig.hub.open().is_ok());
}

#[test]
fn a_future_start_is_silent_until_it_is_reached() {
    let mut rig = Rig::new(config());
    let mut client = rig.client();
    let future = WatchSpec {
        progress_notify: true,
        ..since(4)
    };
    assert_eq!(rig.create(&mut client, future).len(), 1);
    rig.put("k/2");
    rig.now += Duration::from_secs(3600);
    client.send(WatchRequest::Progress);
    assert!(rig.read(&mut client).is_empty());
    rig.put("k/3");
    // The next change is the one it starts with, but the store is not there yet.
    client.send(WatchRequest::Progress);
    assert!(rig.read(&mut client).is_empty());
    rig.put("k/4");
    client.send(WatchRequest::Progress);
    let responses = rig.read(&mut client);
    assert_eq!(revisions(&responses), [4]);
    assert!(responses.last().unwrap().is_progress());
}

#[test]
fn a_future_start_inside_a_batch_gets_the_batch_from_there() {
    let mut rig = Rig::new(config());
    let mut client = rig.client();
    rig.create(&mut client, since(4));
    for _ in 0..5 {
        rig.put("k/a");
    }
    assert_eq!(revisions(&rig.read(&mut client)), [4, 5, 6]);
}

#[test]
fn ids_count_up_and_skip_those_in_use() {
    let mut rig = Rig::new(config());
    let mut client = rig.client();
    let with_id = |id| WatchSpec {
        id: Some(WatchId(id)),
        ..spec(prefix("k/"))
    };
    let mut ids = Vec::new();
    for spec in [
        with_id(1),
        spec(prefix("k/")),
        spec(prefix("k/")),
        with_id(-3),
    ] {
        ids.push(rig.create(&mut client, spec)[0].id);
    }
    client.send(WatchRequest::Cancel(WatchId(0)));
    rig.read(&mut client);
    // An id is not given out twice, so that a late cancel hits nobody else.
    ids.push(rig.create(&mut client, spec(prefix("k/")))[0].id);
    // The client may reuse one itself.
    ids.push(rig.create(&mut client, with_id(0))[0].id);
    assert_eq!(ids, [1, 0, 2, -3, 3, 0]);
}

#[test]
fn cancel_answers_once_and_nothing_follows() {
    let mut rig = Rig::new(config());
    let mut client = rig.client();
    rig.create(&mut client, spec(prefix("k/")));
    client.send(WatchRequest::Cancel(WatchId(0)));
    client.send(WatchRequest::Cancel(WatchId(0)));
    client.send(WatchRequest::Cancel(WatchId(77)));
    let responses = rig.read(&mut client);
    let wanted = Response {
        revision: 1,
        canceled: true,
        term: 33,
        len: responses[0].len,
        ..Response::default()
    };
    assert_eq!(responses, [wanted]);
    rig.put("k/a");
    assert!(rig.read(&mut client).is_empty());
}

#[test]
fn answers_name_the_term_of_their_time() {
    let term = Arc::new(AtomicU64::new(0));
    let mut rig = Rig::new(HubConfig {
        term: Arc::clone(&term),
        ..config()
    });
    let mut client = rig.client();
    let created = rig.create(&mut client, spec(prefix("k/")));
    assert_eq!(created[0].term, 0);
    // An election writes nothing that watchers would see.
    term.store(2, Ordering::Relaxed);
    let created = rig.create(&mut client, spec(prefix("k/")));
    assert_eq!(created[0].term, 2);
}
