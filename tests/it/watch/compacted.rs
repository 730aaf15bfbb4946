//! Watchers and compaction.

use holdfast::etcd::pb::etcdserverpb::WatchCreateRequest;
use holdfast::etcd::wire::WatchFields;

use crate::harness::*;

#[tokio::test]
async fn compacted_watchers() {
    let server = Server::fresh().await;
    let cases = cases![
        a_start_below_is_created_then_cancelled,
        a_start_at_the_compacted_revision_is_allowed,
        prev_kv_below_the_compacted_revision_is_absent,
        prev_kv_above_the_compacted_revision_is_kept,
        a_start_above_misses_nothing,
        a_live_watcher_is_not_disturbed,
        other_watchers_of_the_stream_are_not_disturbed,
        the_stream_is_usable_afterwards,
        cancelling_the_cancelled_is_ignored,
        compacting_a_delete_keeps_its_event_at_the_boundary,
    ];
    Suite::new("watch_compacted", cases)
        .run_in_order(&server)
        .await;
}

async fn watch_from(c: &Case, start_revision: i64) -> (Watch, WatchFields) {
    let request = WatchCreateRequest {
        start_revision,
        prev_kv: true,
        ..watch_prefix(c.prefix())
    };
    Watch::start(&c.client, request).await
}

/// Five puts of `a`; returns their revisions.
async fn fill(c: &Case) -> Vec<i64> {
    let mut revisions = Vec::new();
    for n in 1..=5 {
        revisions.push(c.put("a", &n.to_string()).await);
    }
    revisions
}

async fn compact_to(c: &Case, revision: i64) {
    c.client.compact(compact(revision)).await.unwrap();
}

#[track_caller]
fn assert_cancelled(response: &WatchFields, id: i64, compacted: i64) {
    assert_eq!(
        (response.watch_id, response.created, response.canceled),
        (id, false, true)
    );
    assert_eq!(response.compact_revision, compacted);
    assert_eq!(response.cancel_reason, "");
    assert_eq!(revision(&response.header), 0);
}

async fn a_start_below_is_created_then_cancelled(c: Case) {
    let revisions = fill(&c).await;
    compact_to(&c, revisions[3]).await;
    let (mut watch, created) = watch_from(&c, revisions[1]).await;
    assert_eq!((created.created, created.canceled), (true, false));
    assert_eq!(revision(&created.header), revisions[4]);
    assert_cancelled(&watch.next().await, 0, revisions[3]);
    watch.stays_quiet().await;
}

async fn a_start_at_the_compacted_revision_is_allowed(c: Case) {
    let revisions = fill(&c).await;
    compact_to(&c, revisions[2]).await;
    let (mut watch, _) = watch_from(&c, revisions[2]).await;
    let events = watch.events(3).await;
    assert_eq!(told(&events), "PUT a=3, PUT a=4, PUT a=5");
}

async fn prev_kv_below_the_compacted_revision_is_absent(c: Case) {
    let revisions = fill(&c).await;
    compact_to(&c, revisions[2]).await;
    let (mut watch, _) = watch_from(&c, revisions[2]).await;
    assert_eq!(watch.events(3).await[0].prev_kv, None);
}

async fn prev_kv_above_the_compacted_revision_is_kept(c: Case) {
    let revisions = fill(&c).await;
    compact_to(&c, revisions[2]).await;
    let (mut watch, _) = watch_from(&c, revisions[3]).await;
    let events = watch.events(2).await;
    assert_eq!(events[0].prev_kv.as_ref().unwrap().value(), b"3");
    assert_eq!(events[1].prev_kv.as_ref().unwrap().value(), b"4");
}

async fn a_start_above_misses_nothing(c: Case) {
    let revisions = fill(&c).await;
    compact_to(&c, revisions[1]).await;
    let (mut watch, _) = watch_from(&c, revisions[2]).await;
    let events = watch.events(3).await;
    assert_eq!(told(&events), "PUT a=3, PUT a=4, PUT a=5");
}

async fn a_live_watcher_is_not_disturbed(c: Case) {
    let mut watch = c.watch("a").await;
    let revisions = fill(&c).await;
    compact_to(&c, revisions[4]).await;
    c.put("a", "6").await;
    let events = watch.events(6).await;
    assert_eq!(told(&events[5..]), "PUT a=6");
}

async fn other_watchers_of_the_stream_are_not_disturbed(c: Case) {
    let revisions = fill(&c).await;
    compact_to(&c, revisions[3]).await;
    let mut watch = c.watch("a").await;
    let request = WatchCreateRequest {
        start_revision: revisions[0],
        ..watch_key(c.key("a"))
    };
    assert!(watch.create(request).await.created);
    assert_cancelled(&watch.next().await, 1, revisions[3]);
    c.put("a", "6").await;
    let response = watch.next().await;
    assert_eq!(
        (response.watch_id, told(&response.events).as_str()),
        (0, "PUT a=6")
    );
}

async fn the_stream_is_usable_afterwards(c: Case) {
    let revisions = fill(&c).await;
    compact_to(&c, revisions[3]).await;
    let (mut watch, _) = watch_from(&c, revisions[0]).await;
    assert!(watch.next().await.canceled);
    assert_eq!(watch.create(watch_key(c.key("a"))).await.watch_id, 1);
    c.put("a", "6").await;
    assert_eq!(told(&watch.next().await.events), "PUT a=6");
}

async fn cancelling_the_cancelled_is_ignored(c: Case) {
    let revisions = fill(&c).await;
    compact_to(&c, revisions[3]).await;
    let (mut watch, _) = watch_from(&c, revisions[0]).await;
    assert!(watch.next().await.canceled);
    watch.cancel(0).await;
    let mut next = watch.create(watch_key(c.key("a"))).await;
    if next.canceled {
        next = watch.next().await;
    }
    assert_eq!((next.watch_id, next.created), (1, true));
}

async fn compacting_a_delete_keeps_its_event_at_the_boundary(c: Case) {
    c.put("a", "1").await;
    let deleted = c.delete("a").await;
    c.put("b", "1").await;
    compact_to(&c, deleted).await;
    let (mut watch, _) = watch_from(&c, deleted).await;
    assert_eq!(told(&watch.events(2).await), "DELETE a, PUT b=1");
}
