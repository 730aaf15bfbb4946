//! What events say, in which order, in which batches.

use holdfast::etcd::pb::etcdserverpb::{PutRequest, WatchCreateRequest};
use holdfast::etcd::pb::mvccpb::Event;
use holdfast::etcd::pb::mvccpb::event::EventType;

use crate::harness::*;

#[tokio::test]
async fn events() {
    let cases = cases![
        a_put_event_is_the_whole_key_value,
        a_create_is_told_from_an_update_by_its_revisions,
        a_put_after_a_delete_is_a_create,
        a_delete_event_has_only_key_and_revision,
        without_prev_kv_none_is_sent,
        prev_kv_of_a_create_is_absent,
        prev_kv_of_an_update_is_the_state_before,
        prev_kv_of_a_delete_is_the_state_before,
        prev_kv_of_a_put_after_a_delete_is_absent,
        prev_kv_keeps_the_lease,
        a_put_of_the_same_value_is_an_event,
        a_put_that_keeps_the_value_tells_it,
        a_delete_of_nothing_is_no_event,
        a_refused_write_is_no_event,
        a_range_delete_tells_keys_in_order_at_one_revision,
        a_transaction_is_one_response_in_operation_order,
        prev_kv_inside_a_transaction_is_the_state_before_it,
        the_header_of_a_live_response_is_not_behind_its_events,
        revisions_increase_across_responses,
        no_event_is_lost_or_repeated_under_load,
        two_watchers_of_a_stream_both_hear,
        a_watcher_hears_only_its_range,
        events_keep_arbitrary_bytes,
        a_large_event_arrives,
        a_lease_that_is_revoked_deletes_in_key_order,
        a_lease_that_expires_deletes_in_key_order,
    ];
    Suite::new("events", cases).run(shared().await).await;
}

async fn watch_with_prev(c: &Case) -> Watch {
    let request = WatchCreateRequest {
        prev_kv: true,
        ..watch_prefix(c.prefix())
    };
    Watch::start(&c.client, request).await.0
}

async fn one(watch: &mut Watch) -> Event {
    watch.events(1).await.remove(0)
}

async fn a_put_event_is_the_whole_key_value(c: Case) {
    let lease = c.lease(60).await;
    let mut watch = c.watch("a").await;
    c.put_leased("a", "1", lease).await;
    let event = one(&mut watch).await;
    assert_eq!(event.r#type(), EventType::Put);
    assert_eq!(event.kv, c.get("a").await);
    assert_eq!(event.kv.unwrap().lease(), lease);
}

async fn a_create_is_told_from_an_update_by_its_revisions(c: Case) {
    let mut watch = c.watch("a").await;
    let created = c.put("a", "1").await;
    let modified = c.put("a", "2").await;
    let events = watch.events(2).await;
    let told = events.iter().map(|event| {
        let kv = event.kv.as_ref().unwrap();
        (kv.create_revision(), kv.mod_revision(), kv.version())
    });
    let told: Vec<_> = told.collect();
    assert_eq!(told, [(created, created, 1), (created, modified, 2)]);
}

async fn a_put_after_a_delete_is_a_create(c: Case) {
    c.put("a", "1").await;
    let mut watch = c.watch("a").await;
    c.delete("a").await;
    let again = c.put("a", "2").await;
    let events = watch.events(2).await;
    let kv = events[1].kv.as_ref().unwrap();
    assert_eq!((kv.create_revision(), kv.version()), (again, 1));
}

async fn a_delete_event_has_only_key_and_revision(c: Case) {
    let lease = c.lease(60).await;
    c.put_leased("a", "1", lease).await;
    let mut watch = c.watch("a").await;
    let deleted = c.delete("a").await;
    let event = one(&mut watch).await;
    assert_eq!(event.r#type(), EventType::Delete);
    assert_eq!(event.prev_kv, None);
    let kv = event.kv.unwrap();
    assert_eq!((kv.key(), kv.mod_revision()), (&c.key("a"), deleted));
    assert_eq!((kv.create_revision(), kv.version(), kv.lease()), (0, 0, 0));
    assert!(kv.value().is_empty());
}

async fn without_prev_kv_none_is_sent(c: Case) {
    c.put("a", "1").await;
    let mut watch = c.watch("a").await;
    c.put("a", "2").await;
    c.delete("a").await;
    for event in watch.events(2).await {
        assert_eq!(event.prev_kv, None);
    }
}

async fn prev_kv_of_a_create_is_absent(c: Case) {
    let mut watch = watch_with_prev(&c).await;
    c.put("a", "1").await;
    assert_eq!(one(&mut watch).await.prev_kv, None);
}

async fn prev_kv_of_an_update_is_the_state_before(c: Case) {
    c.put_all("a=1 a=2").await;
    let before = c.get("a").await;
    let mut watch = watch_with_prev(&c).await;
    c.put("a", "3").await;
    assert_eq!(one(&mut watch).await.prev_kv, before);
}

async fn prev_kv_of_a_delete_is_the_state_before(c: Case) {
    c.put_all("a=1 a=2").await;
    let before = c.get("a").await;
    let mut watch = watch_with_prev(&c).await;
    c.delete("a").await;
    assert_eq!(one(&mut watch).await.prev_kv, before);
}

async fn prev_kv_of_a_put_after_a_delete_is_absent(c: Case) {
    c.put("a", "1").await;
    c.delete("a").await;
    let mut watch = watch_with_prev(&c).await;
    c.put("a", "2").await;
    assert_eq!(one(&mut watch).await.prev_kv, None);
}

async fn prev_kv_keeps_the_lease(c: Case) {
    let lease = c.lease(60).await;
    c.put_leased("a", "1", lease).await;
    let mut watch = watch_with_prev(&c).await;
    c.put("a", "2").await;
    let event = one(&mut watch).await;
    assert_eq!(event.prev_kv.unwrap().lease(), lease);
    assert_eq!(event.kv.unwrap().lease(), 0);
}

async fn a_put_of_the_same_value_is_an_event(c: Case) {
    c.put("a", "1").await;
    let mut watch = c.watch("a").await;
    c.put("a", "1").await;
    assert_eq!(one(&mut watch).await.kv.unwrap().version(), 2);
}

async fn a_put_that_keeps_the_value_tells_it(c: Case) {
    c.put("a", "1").await;
    let mut watch = c.watch("a").await;
    let request = PutRequest {
        ignore_value: true,
        ..put(c.key("a"), "")
    };
    c.client.put(request).await.unwrap();
    assert_eq!(told(&[one(&mut watch).await]), "PUT a=1");
}

async fn a_delete_of_nothing_is_no_event(c: Case) {
    let mut watch = c.watch_all().await;
    c.delete("a").await;
    c.put("b", "1").await;
    assert_eq!(told(&watch.next().await.events), "PUT b=1");
}

async fn a_refused_write_is_no_event(c: Case) {
    let mut watch = c.watch_all().await;
    let mut request = put(c.key("a"), "1");
    request.lease = 0x7fff_0000_0000_0003;
    c.client.put(request).await.unwrap_err();
    c.put("b", "1").await;
    assert_eq!(told(&watch.next().await.events), "PUT b=1");
}

async fn a_range_delete_tells_keys_in_order_at_one_revision(c: Case) {
    c.put_all("c=1 a=1 b=1").await;
    let mut watch = c.watch_all().await;
    let request = delete_span(c.prefix(), end_of(c.prefix()));
    let response = c.client.delete_range(request).await.unwrap();
    let events = watch.next().await.events;
    assert_eq!(told(&events), "DELETE a, DELETE b, DELETE c");
    for event in &events {
        assert_eq!(event_revision(event), revision(&response.header));
    }
}

async fn a_transaction_is_one_response_in_operation_order(c: Case) {
    c.put("x", "0").await;
    let mut watch = c.watch_all().await;
    let ops = vec![
        op::put(c.key("c"), "1"),
        op::put(c.key("a"), "2"),
        op::delete(c.key("x")),
        op::put(c.key("b"), "3"),
    ];
    c.client.txn(always(ops)).await.unwrap();
    let events = watch.next().await.events;
    assert_eq!(told(&events), "PUT c=1, PUT a=2, DELETE x, PUT b=3");
}

async fn prev_kv_inside_a_transaction_is_the_state_before_it(c: Case) {
    c.put_all("a=1 b=2").await;
    let mut watch = watch_with_prev(&c).await;
    let ops = vec![
        op::put(c.key("a"), "3"),
        op::delete(c.key("b")),
        op::put(c.key("c"), "4"),
    ];
    c.client.txn(always(ops)).await.unwrap();
    let events = watch.next().await.events;
    let prev = |n: usize| events[n].prev_kv.as_ref().map(|kv| kv.value().to_vec());
    assert_eq!(
        [prev(0), prev(1), prev(2)],
        [Some(b"1".to_vec()), Some(b"2".to_vec()), None]
    );
}

async fn the_header_of_a_live_response_is_not_behind_its_events(c: Case) {
    let mut watch = c.watch("a").await;
    for n in 0..20 {
        c.put("a", &n.to_string()).await;
    }
    let mut seen = 0;
    while seen < 20 {
        let response = watch.next().await;
        let last = event_revision(response.events.last().unwrap());
        assert!(revision(&response.header) >= last);
        seen += response.events.len();
    }
}

async fn revisions_increase_across_responses(c: Case) {
    let mut watch = c.watch_all().await;
    let names: Vec<_> = (0..100).map(|n| n.to_string()).collect();
    let puts = names.iter().map(|name| c.put(name, "1"));
    futures::future::join_all(puts).await;
    let events = watch.events(100).await;
    assert!(events.is_sorted_by(|a, b| event_revision(a) < event_revision(b)));
}

async fn no_event_is_lost_or_repeated_under_load(c: Case) {
    let mut watch = c.watch_all().await;
    let mut due = Vec::new();
    let write = async {
        for _ in 0..20 {
            let names: Vec<_> = (0..20).map(|n| n.to_string()).collect();
            let puts = names.iter().map(|name| c.put(name, "1"));
            due.extend(futures::future::join_all(puts).await);
        }
    };
    let (events, ()) = futures::future::join(watch.events(400), write).await;
    due.sort_unstable();
    let seen: Vec<_> = events.iter().map(event_revision).collect();
    assert_eq!(seen, due);
}

async fn two_watchers_of_a_stream_both_hear(c: Case) {
    let mut watch = Watch::open(&c.client);
    watch.create(watch_key(c.key("a"))).await;
    watch.create(watch_prefix(c.prefix())).await;
    c.put("a", "1").await;
    let mut ids = [watch.next().await, watch.next().await].map(|response| {
        assert_eq!(told(&response.events), "PUT a=1");
        response.watch_id
    });
    ids.sort_unstable();
    assert_eq!(ids, [0, 1]);
}

async fn a_watcher_hears_only_its_range(c: Case) {
    let mut watch = Watch::open(&c.client);
    for name in ["a", "b", "c"] {
        watch.create(watch_key(c.key(name))).await;
    }
    c.put_all("b=1 d=1 a=2").await;
    let first = watch.next().await;
    assert_eq!(
        (first.watch_id, told(&first.events).as_str()),
        (1, "PUT b=1")
    );
    let second = watch.next().await;
    assert_eq!(
        (second.watch_id, told(&second.events).as_str()),
        (0, "PUT a=2")
    );
}

async fn events_keep_arbitrary_bytes(c: Case) {
    let all_bytes: Vec<u8> = (0..=255).collect();
    let key = [&c.prefix()[..], &all_bytes].concat();
    let mut watch = c.watch_all().await;
    c.client.put(put(&key, &all_bytes)).await.unwrap();
    let kv = one(&mut watch).await.kv.unwrap();
    assert_eq!((&kv.key()[..], kv.value()), (&key[..], &all_bytes[..]));
}

async fn a_large_event_arrives(c: Case) {
    let mut watch = c.watch("a").await;
    let value = "v".repeat(1_500_000);
    c.put("a", &value).await;
    assert_eq!(one(&mut watch).await.kv.unwrap().value(), value.as_bytes());
}

async fn deletes_in_key_order(c: &Case, watch: &mut Watch) {
    let events = watch.next().await.events;
    assert_eq!(told(&events), "DELETE a, DELETE b, DELETE c");
    assert_eq!(event_revision(&events[0]), event_revision(&events[2]));
    assert_eq!(c.stored().await, "d=1");
}

async fn put_three_leased(c: &Case, lease: i64) {
    for name in ["c", "a", "b"] {
        c.put_leased(name, "1", lease).await;
    }
    c.put("d", "1").await;
}

async fn a_lease_that_is_revoked_deletes_in_key_order(c: Case) {
    let id = c.lease(60).await;
    put_three_leased(&c, id).await;
    let mut watch = c.watch_all().await;
    let revoke = holdfast::etcd::pb::etcdserverpb::LeaseRevokeRequest { id };
    c.client.lease_revoke(revoke).await.unwrap();
    deletes_in_key_order(&c, &mut watch).await;
}

async fn a_lease_that_expires_deletes_in_key_order(c: Case) {
    let id = c.lease(4).await;
    let mut watch = c.watch("a").await;
    put_three_leased(&c, id).await;
    assert_eq!(told(&watch.next().await.events), "PUT a=1");
    let mut all = c.watch_all().await;
    deletes_in_key_order(&c, &mut all).await;
    assert_eq!(told(&watch.next().await.events), "DELETE a");
}
