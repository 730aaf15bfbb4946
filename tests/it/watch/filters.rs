//! Watchers that leave out puts or deletes.

use holdfast::etcd::pb::etcdserverpb::WatchCreateRequest;
use holdfast::etcd::pb::etcdserverpb::watch_create_request::FilterType;

use crate::harness::*;

#[tokio::test]
async fn filters() {
    let cases = cases![
        noput_leaves_out_puts,
        nodelete_leaves_out_deletes,
        both_leave_out_everything,
        a_filter_thins_a_transaction,
        a_filter_applies_to_history,
        a_filter_keeps_prev_kv,
        a_repeated_filter_is_one_filter,
        another_watcher_of_the_stream_is_not_filtered,
    ];
    Suite::new("watch_filters", cases).run(shared().await).await;
}

fn filtered(c: &Case, filters: &[FilterType]) -> WatchCreateRequest {
    WatchCreateRequest {
        filters: filters.iter().map(|&filter| filter.into()).collect(),
        ..watch_prefix(c.prefix())
    }
}

async fn start(c: &Case, filters: &[FilterType]) -> Watch {
    Watch::start(&c.client, filtered(c, filters)).await.0
}

async fn noput_leaves_out_puts(c: Case) {
    let mut watch = start(&c, &[FilterType::Noput]).await;
    c.put_all("a=1 a=2").await;
    c.delete("a").await;
    assert_eq!(told(&watch.next().await.events), "DELETE a");
}

async fn nodelete_leaves_out_deletes(c: Case) {
    c.put("a", "1").await;
    let mut watch = start(&c, &[FilterType::Nodelete]).await;
    c.delete("a").await;
    c.put("b", "2").await;
    assert_eq!(told(&watch.next().await.events), "PUT b=2");
}

async fn both_leave_out_everything(c: Case) {
    let both = [FilterType::Noput, FilterType::Nodelete];
    let mut watch = start(&c, &both).await;
    c.put("a", "1").await;
    c.delete("a").await;
    watch.stays_quiet().await;
}

async fn a_filter_thins_a_transaction(c: Case) {
    c.put_all("x=1 y=1").await;
    let mut watch = start(&c, &[FilterType::Noput]).await;
    let ops = vec![
        op::put(c.key("a"), "1"),
        op::delete(c.key("x")),
        op::put(c.key("b"), "1"),
        op::delete(c.key("y")),
    ];
    c.client.txn(always(ops)).await.unwrap();
    assert_eq!(told(&watch.next().await.events), "DELETE x, DELETE y");
}

async fn a_filter_applies_to_history(c: Case) {
    let first = c.put("a", "1").await;
    c.delete("a").await;
    c.put("a", "2").await;
    c.delete("a").await;
    let request = WatchCreateRequest {
        start_revision: first,
        ..filtered(&c, &[FilterType::Nodelete])
    };
    let (mut watch, _) = Watch::start(&c.client, request).await;
    assert_eq!(told(&watch.events(2).await), "PUT a=1, PUT a=2");
}

async fn a_filter_keeps_prev_kv(c: Case) {
    let request = WatchCreateRequest {
        prev_kv: true,
        ..filtered(&c, &[FilterType::Noput])
    };
    let (mut watch, _) = Watch::start(&c.client, request).await;
    c.put("a", "1").await;
    c.delete("a").await;
    let event = watch.events(1).await.remove(0);
    assert_eq!(event.prev_kv.unwrap().value(), b"1");
}

async fn a_repeated_filter_is_one_filter(c: Case) {
    let mut watch = start(&c, &[FilterType::Noput, FilterType::Noput]).await;
    c.put("a", "1").await;
    c.delete("a").await;
    assert_eq!(told(&watch.next().await.events), "DELETE a");
}

async fn another_watcher_of_the_stream_is_not_filtered(c: Case) {
    let mut watch = start(&c, &[FilterType::Noput]).await;
    watch.create(watch_key(c.key("a"))).await;
    c.put("a", "1").await;
    let response = watch.next().await;
    assert_eq!(response.watch_id, 1);
    assert_eq!(told(&response.events), "PUT a=1");
}
