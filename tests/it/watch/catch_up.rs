//! Watchers that start in the past.

use holdfast::etcd::pb::etcdserverpb::WatchCreateRequest;
use holdfast::etcd::pb::mvccpb::Event;

use crate::harness::*;

/// etcd reads at most this many revisions for one response.
const MOST_REVISIONS: usize = 1000;

#[tokio::test]
async fn catching_up() {
    let cases = cases![
        history_from_the_start_revision_on_then_live,
        the_start_revision_itself_is_delivered,
        a_start_between_events_delivers_the_next,
        a_start_at_the_current_revision_delivers_it,
        a_start_right_after_the_current_revision_is_live,
        history_carries_prev_kv,
        history_has_the_state_of_its_time,
        history_tells_deletes_and_recreations,
        history_of_one_key_among_many,
        a_revision_of_many_keys_is_not_split,
        late_watchers_of_a_stream_catch_up_too,
        joining_under_load_neither_loses_nor_repeats,
        two_thousand_revisions_arrive_in_order,
    ];
    Suite::new("catch_up", cases).run(shared().await).await;
}

async fn watch_from(c: &Case, start_revision: i64) -> Watch {
    let request = WatchCreateRequest {
        start_revision,
        ..watch_prefix(c.prefix())
    };
    Watch::start(&c.client, request).await.0
}

async fn history_from_the_start_revision_on_then_live(c: Case) {
    c.put("a", "1").await;
    let second = c.put("a", "2").await;
    c.put("a", "3").await;
    let mut watch = watch_from(&c, second).await;
    assert_eq!(told(&watch.events(2).await), "PUT a=2, PUT a=3");
    c.put("a", "4").await;
    assert_eq!(told(&watch.next().await.events), "PUT a=4");
}

async fn the_start_revision_itself_is_delivered(c: Case) {
    let first = c.put("a", "1").await;
    let mut watch = watch_from(&c, first).await;
    assert_eq!(event_revision(&watch.events(1).await[0]), first);
}

async fn a_start_between_events_delivers_the_next(c: Case) {
    let first = c.put("a", "1").await;
    c.put("a", "2").await;
    let mut watch = watch_from(&c, first + 1).await;
    assert_eq!(told(&watch.events(1).await), "PUT a=2");
}

async fn a_start_at_the_current_revision_delivers_it(c: Case) {
    c.put("a", "1").await;
    let last = c.put("a", "2").await;
    let mut watch = watch_from(&c, last).await;
    assert_eq!(told(&watch.events(1).await), "PUT a=2");
}

async fn a_start_right_after_the_current_revision_is_live(c: Case) {
    let last = c.put("a", "1").await;
    let mut watch = watch_from(&c, last + 1).await;
    c.put("a", "2").await;
    assert_eq!(told(&watch.events(1).await), "PUT a=2");
}

async fn with_prev(c: &Case, start_revision: i64, count: usize) -> Vec<Event> {
    let request = WatchCreateRequest {
        start_revision,
        prev_kv: true,
        ..watch_prefix(c.prefix())
    };
    Watch::start(&c.client, request).await.0.events(count).await
}

async fn history_carries_prev_kv(c: Case) {
    let first = c.put_all("a=1").await;
    c.put("a", "2").await;
    c.delete("a").await;
    c.put("a", "3").await;
    let events = with_prev(&c, first, 4).await;
    let prev: Vec<_> = events
        .iter()
        .map(|event| event.prev_kv.as_ref().map(|kv| text(kv.value())))
        .collect();
    assert_eq!(prev, [None, Some("1"), Some("2"), None]);
    let of_delete = events[2].prev_kv.as_ref().unwrap();
    assert_eq!(of_delete.mod_revision(), event_revision(&events[1]));
}

async fn history_has_the_state_of_its_time(c: Case) {
    let lease = c.lease(60).await;
    let first = c.put_leased("a", "1", lease).await;
    let second = c.put("a", "2").await;
    let mut watch = watch_from(&c, first).await;
    let events = watch.events(2).await;
    let (old, new) = (
        events[0].kv.as_ref().unwrap(),
        events[1].kv.as_ref().unwrap(),
    );
    assert_eq!(
        (old.version(), old.lease(), old.mod_revision()),
        (1, lease, first)
    );
    assert_eq!(
        (new.version(), new.lease(), new.mod_revision()),
        (2, 0, second)
    );
    assert_eq!(new.create_revision(), first);
}

async fn history_tells_deletes_and_recreations(c: Case) {
    let first = c.put("a", "1").await;
    c.delete("a").await;
    c.put("a", "2").await;
    c.delete("a").await;
    let mut watch = watch_from(&c, first).await;
    let events = watch.events(4).await;
    assert_eq!(told(&events), "PUT a=1, DELETE a, PUT a=2, DELETE a");
    assert_eq!(events[2].kv.as_ref().unwrap().version(), 1);
}

async fn history_of_one_key_among_many(c: Case) {
    c.put("a", "1").await;
    let first = c.put("b", "1").await;
    c.put_all("c=1 b=2 a=2 d=1 b=3").await;
    let request = WatchCreateRequest {
        start_revision: first,
        ..watch_key(c.key("b"))
    };
    let (mut watch, _) = Watch::start(&c.client, request).await;
    let events = watch.events(3).await;
    assert_eq!(told(&events), "PUT b=1, PUT b=2, PUT b=3");
}

async fn a_revision_of_many_keys_is_not_split(c: Case) {
    let first = c.put("start", "1").await;
    for _ in 0..20 {
        let puts = (0..100).map(|n| op::put(c.key(&format!("{n:03}")), "1"));
        c.client.txn(always(puts.collect())).await.unwrap();
    }
    let mut watch = watch_from(&c, first + 1).await;
    let mut seen = 0;
    while seen < 2000 {
        let events = watch.next().await.events;
        assert_eq!(events.len() % 100, 0, "a revision was split");
        seen += events.len();
    }
}

async fn late_watchers_of_a_stream_catch_up_too(c: Case) {
    let first = c.put("a", "1").await;
    let mut watch = c.watch("a").await;
    c.put("a", "2").await;
    assert_eq!(told(&watch.next().await.events), "PUT a=2");
    let request = WatchCreateRequest {
        start_revision: first,
        ..watch_key(c.key("a"))
    };
    assert_eq!(watch.create(request).await.watch_id, 1);
    let history = watch.events(2).await;
    assert_eq!(told(&history), "PUT a=1, PUT a=2");
}

async fn joining_under_load_neither_loses_nor_repeats(c: Case) {
    let first = c.put("a", "0").await;
    let write = async {
        let mut due = vec![first];
        for n in 1..400 {
            due.push(c.put("a", &n.to_string()).await);
        }
        due
    };
    let join = async {
        let mut seen = Vec::new();
        for _ in 0..10 {
            let mut watch = watch_from(&c, first).await;
            let events = watch.events(400).await;
            seen.push(events.iter().map(event_revision).collect::<Vec<_>>());
        }
        seen
    };
    let (due, seen) = futures::future::join(write, join).await;
    assert!(seen.iter().all(|seen| seen == &due));
}

async fn two_thousand_revisions_arrive_in_order(c: Case) {
    let mut due = Vec::new();
    for _ in 0..25 {
        let puts = (0..100).map(|_| c.put("a", "1"));
        due.extend(futures::future::join_all(puts).await);
    }
    due.sort_unstable();
    let mut watch = watch_from(&c, due[0]).await;
    let mut seen = Vec::new();
    while seen.len() < due.len() {
        let response = watch.next().await;
        assert!(response.events.len() <= MOST_REVISIONS);
        assert!(revision(&response.header) >= *due.last().unwrap());
        seen.extend(response.events.iter().map(event_revision));
    }
    assert_eq!(seen, due);
}
