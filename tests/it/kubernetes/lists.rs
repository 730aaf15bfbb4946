//! Lists, counts and key listings.

use std::collections::BTreeMap;

use holdfast::etcd::pb::etcdserverpb::RangeRequest;
use tonic::Code;

use super::fixtures::Object;
use super::store::Store;
use crate::harness::*;

#[tokio::test]
async fn lists() {
    let cases = cases![
        a_list_is_every_object_in_key_order,
        pages_of_any_size_make_the_same_list,
        pages_are_pinned_to_one_revision,
        a_page_past_the_end_is_empty,
        counts_are_exact_on_every_page,
        a_namespace_is_a_prefix_with_its_slash,
        the_list_of_an_empty_resource_has_a_version,
        counts_follow_creations_and_deletions,
        a_key_listing_has_no_values,
        a_list_at_an_exact_version_shows_it,
        a_thousand_objects_in_pages_of_five_hundred,
    ];
    // etcd has the call from 3.7 on.
    let minor = if Program::get().is_own() { 6 } else { 7 };
    Suite::new("lists", cases)
        .since(3, minor, cases![a_streamed_list_is_the_list])
        .run(shared().await)
        .await;
}

#[tokio::test]
async fn a_page_after_compaction_is_refused() {
    let server = Server::fresh().await;
    let cases = cases![a_continued_list_whose_version_is_compacted_is_refused];
    Suite::new("lists", cases).run(&server).await;
}

fn of_resource(store: &Store, stored: &[(Object, i64)], resource: &str) -> BTreeMap<String, i64> {
    let prefix = store.prefix(resource);
    let mine = stored
        .iter()
        .filter(|(object, _)| object.key.starts_with(&prefix));
    mine.map(|(object, version)| (object.key.clone(), *version))
        .collect()
}

fn versions(kvs: &[holdfast::etcd::pb::mvccpb::KeyValue]) -> Vec<(String, i64)> {
    let entry =
        |kv: &holdfast::etcd::pb::mvccpb::KeyValue| (text(kv.key()).to_owned(), kv.mod_revision());
    kvs.iter().map(entry).collect()
}

const RESOURCES: [&str; 6] = [
    "pods",
    "configmaps",
    "secrets",
    "minions",
    "services/specs",
    "leases",
];

async fn a_list_is_every_object_in_key_order(c: Case) {
    let (store, stored) = Store::filled(&c).await;
    for resource in RESOURCES {
        let due = of_resource(&store, &stored, resource);
        let (kvs, _) = store.list(resource, 0).await;
        assert_eq!(
            versions(&kvs),
            due.into_iter().collect::<Vec<_>>(),
            "{resource}"
        );
    }
}

async fn pages_of_any_size_make_the_same_list(c: Case) {
    let (store, _) = Store::filled(&c).await;
    let (whole, _) = store.list("pods", 0).await;
    for limit in [1, 7, 50, 119, 120, 121, 500] {
        let (paged, _) = store.list("pods", limit).await;
        assert_eq!(paged, whole, "pages of {limit}");
    }
}

async fn pages_are_pinned_to_one_revision(c: Case) {
    let (store, _) = Store::filled(&c).await;
    let (before, _) = store.list("pods", 0).await;
    let disturb = async {
        for (n, kv) in before.iter().enumerate() {
            let key = text(kv.key());
            match n % 3 {
                0 => drop(store.delete(key, kv.mod_revision()).await.unwrap()),
                1 => drop(store.guaranteed_update(key, |_| b"changed".to_vec()).await),
                _ => drop(
                    store
                        .create(&store.object("pods", &format!("default/0{n}"), ""))
                        .await,
                ),
            }
        }
    };
    let list = async {
        for _ in 0..5 {
            let (kvs, pinned) = store.list("pods", 7).await;
            let again = store
                .page("pods", store.prefix("pods").as_bytes(), 0, pinned)
                .await;
            assert_eq!(kvs, again.unwrap().kvs);
        }
    };
    futures::future::join(disturb, list).await;
}

async fn a_page_past_the_end_is_empty(c: Case) {
    let store = Store::new(&c);
    let pod = store.object("pods", "default/a", "");
    store.create(&pod).await.unwrap();
    let start = format!("{}\0", pod.key);
    let page = store.page("pods", start.as_bytes(), 10, 0).await.unwrap();
    assert_eq!((page.kvs.len(), page.count, page.more), (0, 0, false));
}

async fn counts_are_exact_on_every_page(c: Case) {
    let (store, _) = Store::filled(&c).await;
    let mut start = store.prefix("pods").into_bytes();
    for left in (1..=120).rev() {
        let page = store.page("pods", &start, 1, 0).await.unwrap();
        assert_eq!((page.count, page.more), (left, left > 1));
        start = [&page.kvs[0].key()[..], &[0]].concat();
    }
}

async fn a_namespace_is_a_prefix_with_its_slash(c: Case) {
    let (store, _) = Store::filled(&c).await;
    let (shop, _) = store.list("pods/shop", 0).await;
    let (staging, _) = store.list("pods/shop-staging", 0).await;
    assert_eq!((shop.len(), staging.len()), (30, 30));
    assert_eq!(store.count("pods").await, 120);
}

async fn the_list_of_an_empty_resource_has_a_version(c: Case) {
    let store = Store::new(&c);
    let (kvs, version) = store.list("pods", 500).await;
    assert!(kvs.is_empty());
    assert!(version > 0);
}

async fn counts_follow_creations_and_deletions(c: Case) {
    let store = Store::new(&c);
    for n in 0..20 {
        let pod = store.object("pods", &format!("default/{n:02}"), "");
        let version = store.create(&pod).await.unwrap();
        assert_eq!(store.count("pods").await, n / 2 + 1 + n % 2);
        if n % 2 == 1 {
            store.delete(&pod.key, version).await.unwrap();
        }
    }
}

async fn a_key_listing_has_no_values(c: Case) {
    let (store, stored) = Store::filled(&c).await;
    let request = RangeRequest {
        keys_only: true,
        ..prefixed(store.prefix("secrets"))
    };
    let kvs = c.range(request).await.kvs;
    assert_eq!(kvs.len(), of_resource(&store, &stored, "secrets").len());
    assert!(kvs.iter().all(|kv| kv.value().is_empty()));
}

async fn a_list_at_an_exact_version_shows_it(c: Case) {
    let (store, stored) = Store::filled(&c).await;
    let version = stored.last().unwrap().1;
    let (before, _) = store.list("pods", 0).await;
    for kv in &before {
        store
            .delete(text(kv.key()), kv.mod_revision())
            .await
            .unwrap();
    }
    let start = store.prefix("pods");
    let page = store
        .page("pods", start.as_bytes(), 0, version)
        .await
        .unwrap();
    assert_eq!(page.kvs, before);
    assert_eq!(store.count("pods").await, 0);
}

async fn a_thousand_objects_in_pages_of_five_hundred(c: Case) {
    let store = Store::new(&c);
    for batch in 0..10 {
        let key = |n| format!("{}default/{batch}-{n:03}", store.prefix("pods"));
        let puts = (0..100).map(|n| op::put(key(n), "v".repeat(1000)));
        c.client.txn(always(puts.collect())).await.unwrap();
    }
    let (kvs, _) = store.list("pods", 500).await;
    assert_eq!(kvs.len(), 1000);
    assert!(kvs.is_sorted_by(|a, b| a.key() < b.key()));
}

async fn a_continued_list_whose_version_is_compacted_is_refused(c: Case) {
    let (store, _) = Store::filled(&c).await;
    let start = store.prefix("pods");
    let first = store.page("pods", start.as_bytes(), 10, 0).await.unwrap();
    let pinned = revision(&first.header);
    let pod = store.object("pods", "default/new", "");
    let later = store.create(&pod).await.unwrap();
    c.client.compact(compact(later)).await.unwrap();
    let next = [&first.kvs[9].key()[..], &[0]].concat();
    let result = store.page("pods", &next, 10, pinned).await;
    let text = "etcdserver: mvcc: required revision has been compacted";
    refused(result, Code::OutOfRange, text);
}

async fn a_streamed_list_is_the_list(c: Case) {
    let (store, _) = Store::filled(&c).await;
    for resource in RESOURCES {
        let request = prefixed(store.prefix(resource));
        let mut stream = c
            .client
            .kv()
            .range_stream(request)
            .await
            .unwrap()
            .into_inner();
        let (mut kvs, mut header) = (Vec::new(), None);
        while let Some(part) = stream.message().await.unwrap() {
            let part = part.range_response.unwrap();
            kvs.extend(part.kvs);
            header = part.header.or(header);
        }
        assert_eq!(kvs, store.list(resource, 0).await.0);
        assert!(revision(&header) > 0);
    }
}
