//! Cancelling watchers and ending streams.

use crate::harness::*;

#[tokio::test]
async fn cancelling() {
    let cases = cases![
        a_cancel_is_answered,
        no_event_follows_the_answer,
        events_before_the_cancel_are_not_lost_to_others,
        an_unknown_id_is_ignored,
        a_second_cancel_is_ignored,
        other_watchers_stay,
        a_half_closed_stream_still_delivers,
        a_dropped_stream_leaves_others_alone,
        a_cancelled_watcher_does_not_hold_progress,
    ];
    Suite::new("watch_cancel", cases).run(shared().await).await;
}

async fn a_cancel_is_answered(c: Case) {
    let mut watch = c.watch("a").await;
    watch.cancel(0).await;
    let response = watch.next().await;
    assert_eq!(
        (response.watch_id, response.canceled, response.created),
        (0, true, false)
    );
    assert_eq!(
        (response.cancel_reason.as_str(), response.compact_revision),
        ("", 0)
    );
    assert!(revision(&response.header) > 0);
    assert!(response.events.is_empty());
}

async fn no_event_follows_the_answer(c: Case) {
    let mut watch = c.watch("a").await;
    watch.cancel(0).await;
    assert!(watch.next().await.canceled);
    c.put("a", "1").await;
    watch.stays_quiet().await;
}

async fn events_before_the_cancel_are_not_lost_to_others(c: Case) {
    let mut watch = c.watch("a").await;
    watch.create(watch_key(c.key("a"))).await;
    c.put("a", "1").await;
    watch.cancel(0).await;
    let mut heard = Vec::new();
    while heard.is_empty() {
        let response = watch.next().await;
        if response.watch_id == 1 {
            heard = response.events;
        }
    }
    assert_eq!(told(&heard), "PUT a=1");
}

async fn an_unknown_id_is_ignored(c: Case) {
    let mut watch = c.watch("a").await;
    watch.cancel(99).await;
    watch.cancel(-1).await;
    c.put("a", "1").await;
    assert_eq!(told(&watch.next().await.events), "PUT a=1");
}

async fn a_second_cancel_is_ignored(c: Case) {
    let mut watch = c.watch("a").await;
    watch.create(watch_key(c.key("b"))).await;
    watch.cancel(0).await;
    watch.cancel(0).await;
    assert!(watch.next().await.canceled);
    c.put("b", "1").await;
    assert_eq!(told(&watch.next().await.events), "PUT b=1");
}

async fn other_watchers_stay(c: Case) {
    let mut watch = Watch::open(&c.client);
    for _ in 0..3 {
        watch.create(watch_key(c.key("a"))).await;
    }
    watch.cancel(1).await;
    assert_eq!(watch.next().await.watch_id, 1);
    c.put("a", "1").await;
    let mut ids = [watch.next().await.watch_id, watch.next().await.watch_id];
    ids.sort_unstable();
    assert_eq!(ids, [0, 2]);
    watch.stays_quiet().await;
}

/// One-shot clients send their requests, close their half and listen.
async fn a_half_closed_stream_still_delivers(c: Case) {
    let mut watch = c.watch("a").await;
    watch.half_close();
    c.put("a", "1").await;
    assert_eq!(told(&watch.next().await.events), "PUT a=1");
}

async fn a_dropped_stream_leaves_others_alone(c: Case) {
    let gone = c.watch("a").await;
    let mut stays = c.watch("a").await;
    drop(gone);
    c.put("a", "1").await;
    assert_eq!(told(&stays.next().await.events), "PUT a=1");
}

async fn a_cancelled_watcher_does_not_hold_progress(c: Case) {
    let mut watch = c.watch("a").await;
    watch.create(watch_key(c.key("b"))).await;
    watch.cancel(0).await;
    assert!(watch.next().await.canceled);
    watch.request_progress().await;
    let progress = watch.next().await;
    assert_eq!((progress.watch_id, progress.events.len()), (-1, 0));
}
