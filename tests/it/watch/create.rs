//! What the answer to a creation says, for every kind of request.

use std::pin::pin;

use holdfast::etcd::pb::etcdserverpb::watch_request::RequestUnion;
use holdfast::etcd::pb::etcdserverpb::{WatchCreateRequest, WatchRequest};
use holdfast::etcd::wire::WatchFields;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;

use crate::harness::*;

#[tokio::test]
async fn creation() {
    let cases = cases![
        the_answer_tells_the_current_revision,
        a_past_start_is_answered_with_the_current_revision,
        a_future_start_is_accepted_and_silent,
        a_future_start_delivers_from_its_revision_on,
        without_a_start_only_later_events_arrive,
        without_an_end_one_key_is_watched,
        a_half_open_range_is_watched,
        a_zero_byte_end_watches_from_the_key_on,
        an_empty_key_without_an_end_watches_the_zero_key,
        an_empty_key_with_a_zero_byte_end_watches_everything,
        an_empty_key_with_an_end_watches_below_it,
        an_end_equal_to_the_key_is_refused,
        an_end_below_the_key_is_refused,
        a_refused_creation_leaves_the_stream_usable,
        a_negative_start_is_refused,
        ids_are_dealt_from_zero_up,
        chosen_ids_are_used,
        a_negative_chosen_id_is_used,
        dealt_ids_skip_chosen_ones,
        a_dealt_id_is_not_dealt_again,
        an_id_in_use_is_refused,
        a_refused_duplicate_leaves_the_first_watcher,
        a_cancelled_id_can_be_chosen_again,
        ids_of_different_streams_are_independent,
        a_request_without_a_member_is_ignored,
        the_answer_precedes_history,
        the_answer_names_cluster_and_member,
        the_headers_come_with_the_answer,
    ];
    Suite::new("watch_create", cases).run(shared().await).await;
}

/// The answer to a creation that must fail.
#[track_caller]
fn assert_refused(response: &WatchFields, reason: &str) {
    assert_eq!(
        (response.watch_id, response.created, response.canceled),
        (-1, true, true)
    );
    assert_eq!(response.cancel_reason, reason);
    assert!(response.events.is_empty());
    assert_eq!(response.compact_revision, 0);
}

#[track_caller]
fn assert_created(response: &WatchFields, id: i64) {
    assert_eq!(
        (response.watch_id, response.created, response.canceled),
        (id, true, false)
    );
    assert!(response.events.is_empty());
    assert_eq!(response.cancel_reason, "");
}

async fn the_answer_tells_the_current_revision(c: Case) {
    let last = c.put("a", "1").await;
    let (_watch, created) = Watch::start(&c.client, watch_key(c.key("a"))).await;
    assert_created(&created, 0);
    assert!(revision(&created.header) >= last);
}

fn from(request: WatchCreateRequest, start_revision: i64) -> WatchCreateRequest {
    WatchCreateRequest {
        start_revision,
        ..request
    }
}

async fn a_past_start_is_answered_with_the_current_revision(c: Case) {
    let first = c.put("a", "1").await;
    let last = c.put("a", "2").await;
    let request = from(watch_key(c.key("a")), first);
    let (_watch, created) = Watch::start(&c.client, request).await;
    assert_created(&created, 0);
    assert!(revision(&created.header) >= last);
}

async fn a_future_start_is_accepted_and_silent(c: Case) {
    let last = c.put("a", "1").await;
    let request = from(watch_key(c.key("a")), last + 1_000_000);
    let (mut watch, created) = Watch::start(&c.client, request).await;
    assert_created(&created, 0);
    assert!(revision(&created.header) < last + 1_000_000);
    c.put("a", "2").await;
    watch.stays_quiet().await;
}

async fn a_future_start_delivers_from_its_revision_on(c: Case) {
    let last = c.put("a", "0").await;
    let start = last + 5;
    let request = from(watch_key(c.key("a")), start);
    let (mut watch, _) = Watch::start(&c.client, request).await;
    let mut due = Vec::new();
    for n in 0..10 {
        let written = c.put("a", &n.to_string()).await;
        due.extend((written >= start).then_some(written));
    }
    let events = watch.events(due.len()).await;
    let seen: Vec<_> = events.iter().map(event_revision).collect();
    assert_eq!(seen, due);
}

async fn without_a_start_only_later_events_arrive(c: Case) {
    c.put("a", "1").await;
    let mut watch = c.watch("a").await;
    c.put("a", "2").await;
    assert_eq!(told(&watch.next().await.events), "PUT a=2");
}

async fn without_an_end_one_key_is_watched(c: Case) {
    let mut watch = c.watch("b").await;
    c.put_all("a=1 bb=1 b=1").await;
    assert_eq!(told(&watch.next().await.events), "PUT b=1");
}

fn watch_span(key: impl AsRef<[u8]>, range_end: impl AsRef<[u8]>) -> WatchCreateRequest {
    WatchCreateRequest {
        range_end: bytes(range_end),
        ..watch_key(key)
    }
}

async fn a_half_open_range_is_watched(c: Case) {
    let request = watch_span(c.key("b"), c.key("d"));
    let (mut watch, _) = Watch::start(&c.client, request).await;
    c.put_all("a=1 d=1 b=1 e=1 c=1").await;
    assert_eq!(told(&watch.events(2).await), "PUT b=1, PUT c=1");
}

async fn a_zero_byte_end_watches_from_the_key_on(c: Case) {
    let request = watch_span(c.key("b"), NO_END);
    let (mut watch, _) = Watch::start(&c.client, request).await;
    c.put_all("a=1 b=1 z=1").await;
    let mut mine = Vec::new();
    while mine.len() < 2 {
        let events = watch.next().await.events;
        mine.extend(events.into_iter().filter(|event| {
            let key = event.kv.as_ref().unwrap().key();
            assert!(key >= &c.key("b"));
            key.starts_with(&c.prefix())
        }));
    }
    assert_eq!(told(&mine), "PUT b=1, PUT z=1");
}

async fn an_empty_key_without_an_end_watches_the_zero_key(c: Case) {
    let (mut watch, created) = Watch::start(&c.client, watch_key("")).await;
    assert_created(&created, 0);
    c.put("a", "1").await;
    c.client.put(put(NO_END, "zero")).await.unwrap();
    let events = watch.next().await.events;
    assert_eq!(events[0].kv.as_ref().unwrap().key(), NO_END);
}

async fn an_empty_key_with_a_zero_byte_end_watches_everything(c: Case) {
    let (mut watch, _) = Watch::start(&c.client, watch_span("", NO_END)).await;
    let written = c.put("a", "1").await;
    loop {
        let events = watch.next().await.events;
        let mine = events.iter().find(|event| event_revision(event) == written);
        if let Some(event) = mine {
            assert_eq!(event.kv.as_ref().unwrap().key(), &c.key("a"));
            return;
        }
    }
}

async fn an_empty_key_with_an_end_watches_below_it(c: Case) {
    let (mut watch, created) = Watch::start(&c.client, watch_span("", "\u{1}")).await;
    assert_created(&created, 0);
    c.client.put(put("\0\0low", "1")).await.unwrap();
    let events = watch.next().await.events;
    assert_eq!(events[0].kv.as_ref().unwrap().key(), "\0\0low");
}

async fn an_end_equal_to_the_key_is_refused(c: Case) {
    let request = watch_span(c.key("a"), c.key("a"));
    let (_watch, response) = Watch::start(&c.client, request).await;
    assert_refused(&response, "mvcc: watcher range is empty");
}

async fn an_end_below_the_key_is_refused(c: Case) {
    let request = watch_span(c.key("b"), c.key("a"));
    let (_watch, response) = Watch::start(&c.client, request).await;
    assert_refused(&response, "mvcc: watcher range is empty");
}

async fn a_refused_creation_leaves_the_stream_usable(c: Case) {
    let request = watch_span(c.key("b"), c.key("a"));
    let (mut watch, response) = Watch::start(&c.client, request).await;
    assert_eq!(response.watch_id, -1);
    let created = watch.create(watch_key(c.key("a"))).await;
    assert!(created.created && !created.canceled);
    c.put("a", "1").await;
    let response = watch.next().await;
    assert_eq!(response.watch_id, created.watch_id);
    assert_eq!(told(&response.events), "PUT a=1");
}

async fn a_negative_start_is_refused(c: Case) {
    let request = from(watch_key(c.key("a")), -1);
    let (_watch, response) = Watch::start(&c.client, request).await;
    let text = "etcdserver: mvcc: required revision has been compacted";
    assert_refused(&response, text);
}

fn with_id(request: WatchCreateRequest, watch_id: i64) -> WatchCreateRequest {
    WatchCreateRequest {
        watch_id,
        ..request
    }
}

async fn ids_are_dealt_from_zero_up(c: Case) {
    let mut watch = Watch::open(&c.client);
    for id in 0..5 {
        assert_created(&watch.create(watch_key(c.key("a"))).await, id);
    }
}

async fn chosen_ids_are_used(c: Case) {
    let mut watch = Watch::open(&c.client);
    for id in [7, 1, i64::MAX] {
        let request = with_id(watch_key(c.key(&id.to_string())), id);
        assert_created(&watch.create(request).await, id);
    }
    c.put("7", "1").await;
    assert_eq!(watch.next().await.watch_id, 7);
}

async fn a_negative_chosen_id_is_used(c: Case) {
    let request = with_id(watch_key(c.key("a")), -3);
    let (mut watch, created) = Watch::start(&c.client, request).await;
    assert_created(&created, -3);
    c.put("a", "1").await;
    assert_eq!(watch.next().await.watch_id, -3);
}

async fn dealt_ids_skip_chosen_ones(c: Case) {
    let mut watch = Watch::open(&c.client);
    for (asked, given) in [(2, 2), (0, 0), (0, 1), (0, 3), (5, 5), (0, 4), (0, 6)] {
        let request = with_id(watch_key(c.key("a")), asked);
        assert_created(&watch.create(request).await, given);
    }
}

async fn a_dealt_id_is_not_dealt_again(c: Case) {
    let mut watch = Watch::open(&c.client);
    assert_created(&watch.create(watch_key(c.key("a"))).await, 0);
    watch.cancel(0).await;
    assert!(watch.next().await.canceled);
    assert_created(&watch.create(watch_key(c.key("a"))).await, 1);
}

const DUPLICATE: &str = "mvcc: duplicate watch ID provided on the WatchStream";

async fn an_id_in_use_is_refused(c: Case) {
    let request = with_id(watch_key(c.key("a")), 7);
    let (mut watch, created) = Watch::start(&c.client, request.clone()).await;
    assert_created(&created, 7);
    assert_refused(&watch.create(request).await, DUPLICATE);
}

async fn a_refused_duplicate_leaves_the_first_watcher(c: Case) {
    let request = with_id(watch_key(c.key("a")), 7);
    let (mut watch, _) = Watch::start(&c.client, request).await;
    let other = with_id(watch_key(c.key("b")), 7);
    assert_refused(&watch.create(other).await, DUPLICATE);
    c.put_all("b=1 a=1").await;
    let response = watch.next().await;
    assert_eq!(response.watch_id, 7);
    assert_eq!(told(&response.events), "PUT a=1");
}

async fn a_cancelled_id_can_be_chosen_again(c: Case) {
    let request = with_id(watch_key(c.key("a")), 7);
    let (mut watch, _) = Watch::start(&c.client, request.clone()).await;
    watch.cancel(7).await;
    assert!(watch.next().await.canceled);
    assert_created(&watch.create(request).await, 7);
}

async fn ids_of_different_streams_are_independent(c: Case) {
    let request = with_id(watch_key(c.key("a")), 7);
    let (mut first, one) = Watch::start(&c.client, request.clone()).await;
    let (mut second, two) = Watch::start(&c.client, request).await;
    assert_created(&one, 7);
    assert_created(&two, 7);
    c.put("a", "1").await;
    assert_eq!(told(&first.next().await.events), "PUT a=1");
    assert_eq!(told(&second.next().await.events), "PUT a=1");
}

async fn a_request_without_a_member_is_ignored(c: Case) {
    let mut watch = Watch::open(&c.client);
    watch.send(None).await;
    assert_created(&watch.create(watch_key(c.key("a"))).await, 0);
}

async fn the_answer_precedes_history(c: Case) {
    let first = c.put("a", "1").await;
    let mut watch = Watch::open(&c.client);
    for id in 0..20 {
        let request = from(watch_key(c.key("a")), first);
        let mut response = watch.create(request).await;
        while !response.created {
            assert!(response.watch_id < id, "events before the answer");
            response = watch.next().await;
        }
        assert_created(&response, id);
    }
}

async fn the_answer_names_cluster_and_member(c: Case) {
    let (_watch, created) = Watch::start(&c.client, watch_key(c.key("a"))).await;
    let watched = created.header.unwrap();
    let ranged = c.range(c.all()).await.header.unwrap();
    assert_eq!(
        (watched.cluster_id, watched.member_id, watched.raft_term),
        (ranged.cluster_id, ranged.member_id, ranged.raft_term)
    );
}

/// Some clients take the headers for the answer (the `etcd-client` crate does), and write at once.
async fn the_headers_come_with_the_answer(c: Case) {
    let (requests, outbound) = mpsc::channel(1);
    let mut stub = c.client.watch();
    let mut opening = pin!(stub.watch(ReceiverStream::new(outbound)));
    let early = timeout(QUIET, &mut opening).await;
    assert!(early.is_err(), "headers came before anything was asked");
    let create = RequestUnion::CreateRequest(watch_key(c.key("a")));
    let create = WatchRequest {
        request_union: Some(create),
    };
    requests.send(create).await.unwrap();
    let mut responses = opening.await.unwrap().into_inner();
    c.put("a", "1").await;
    assert!(responses.message().await.unwrap().unwrap().fields.created);
    let told_of = responses.message().await.unwrap().unwrap().fields.events;
    assert_eq!(told(&told_of), "PUT a=1");
}
