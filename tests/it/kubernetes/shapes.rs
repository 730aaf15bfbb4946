//! Requests of kube-apiserver that are rarer: what only some resources, some moments or some settings make.

use holdfast::etcd::pb::etcdserverpb::{
    LeaseGrantRequest, PutRequest, RangeRequest, StatusRequest, WatchCreateRequest,
};
use holdfast::etcd::pb::mvccpb::KeyValue;
use tonic::Code;

use super::store::Store;
use crate::harness::*;

#[tokio::test]
async fn shapes() {
    let cases = cases![
        pages_that_double_make_the_same_list,
        an_object_moves_from_lease_to_lease,
        a_lease_for_events_lives_a_little_longer_than_they,
        one_object_is_watched_alone,
        progress_is_told_to_the_whole_stream,
        a_version_of_the_future_is_refused,
        a_traced_call_is_answered_as_any,
        progress_requests_are_known_to_be_served,
    ];
    // etcd has the call from 3.7 on.
    let minor = if Program::get().is_own() { 6 } else { 7 };
    Suite::new("shapes", cases)
        .since(3, minor, cases![a_streamed_page_is_the_page])
        .run(shared().await)
        .await;
}

#[tokio::test]
async fn versions_that_are_compacted() {
    let server = Server::fresh().await;
    let cases = cases![nothing_is_served_at_a_compacted_version];
    Suite::new("shapes", cases).run(&server).await;
}

/// With a selector the limit doubles from page to page, up to ten thousand.
async fn pages_that_double_make_the_same_list(c: Case) {
    let (store, _) = Store::filled(&c).await;
    let (whole, _) = store.list("pods", 0).await;
    let (mut paged, mut start) = (Vec::new(), store.prefix("pods").into_bytes());
    let (mut limit, mut pinned) = (3, 0);
    loop {
        let page = store.page("pods", &start, limit, pinned).await.unwrap();
        if pinned == 0 {
            pinned = revision(&page.header);
        }
        let has_more = (page.kvs.len() as i64) < page.count;
        paged.extend(page.kvs);
        if !has_more {
            break;
        }
        start = [&paged.last().unwrap().key()[..], &[0]].concat();
        limit = (limit * 2).min(10_000);
    }
    assert_eq!(paged, whole);
}

/// The address of an apiserver: renewed every few seconds, each time under a new lease.
async fn an_object_moves_from_lease_to_lease(c: Case) {
    let store = Store::new(&c);
    let address = store.object("masterleases", "10.0.0.1", "{}");
    let mut leases = vec![c.lease(1).await];
    let mut version = store.create_leased(&address, leases[0]).await.unwrap();
    for _ in 0..3 {
        let lease = c.lease(60).await;
        let write = PutRequest {
            lease,
            ..put(&address.key, &address.value)
        };
        let unchanged = cmp::modified(&address.key, cmp::Result::Equal, version);
        let failure = vec![op::get(&address.key)];
        let request = txn(vec![unchanged], vec![op::put_with(write)], failure);
        let response = c.client.txn(request).await.unwrap();
        assert!(response.succeeded);
        version = revision(&response.header);
        leases.push(lease);
    }
    // The first lease expires, and takes nothing with it.
    let gone = async {
        while c
            .client
            .lease_time_to_live(time_to_live(leases[0], false))
            .await
            .unwrap()
            .ttl
            >= 0
        {
            tokio::time::sleep(QUIET / 4).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.unwrap();
    let kv = store.get(&address.key, 0).await.unwrap();
    assert_eq!((kv.mod_revision(), kv.lease()), (version, leases[3]));
    let kept = time_to_live(leases[2], true);
    assert!(
        c.client
            .lease_time_to_live(kept)
            .await
            .unwrap()
            .keys
            .is_empty()
    );
}

/// An hour, and five per cent but at most a minute more, so that objects can share it.
async fn a_lease_for_events_lives_a_little_longer_than_they(c: Case) {
    let request = LeaseGrantRequest {
        ttl: 3600 + 60,
        id: 0,
    };
    let granted = c.client.lease_grant(request).await.unwrap();
    assert_eq!((granted.ttl, granted.error.as_str()), (3660, ""));
    assert!(granted.id > 0);
    let other = c.client.lease_grant(request).await.unwrap();
    assert_ne!(granted.id, other.id);
}

/// What a client that names the object gets: a key without an end, not for a watch cache.
async fn one_object_is_watched_alone(c: Case) {
    let store = Store::new(&c);
    let (watched, other) = (
        store.object("secrets", "default/token", "1"),
        store.object("secrets", "default/token-2", "1"),
    );
    let version = store.create(&watched).await.unwrap();
    let request = WatchCreateRequest {
        start_revision: version + 1,
        prev_kv: true,
        ..watch_key(&watched.key)
    };
    let mut watch = Watch::open_requiring_leader(&store.client);
    assert!(watch.create(request).await.created);
    store.create(&other).await.unwrap();
    let deleted = store.delete(&watched.key, version).await.unwrap();
    let event = watch.events(1).await.remove(0);
    assert_eq!(event_revision(&event), deleted);
    assert_eq!(
        event.prev_kv.as_ref().map(KeyValue::mod_revision),
        Some(version)
    );
}

/// The answer to a request for progress belongs to no watcher of the stream.
async fn progress_is_told_to_the_whole_stream(c: Case) {
    let store = Store::new(&c);
    let version = store.current_version("pods").await;
    let mut watch = store.watch("pods", version).await;
    let due = store
        .create(&store.object("configmaps", "a", ""))
        .await
        .unwrap();
    loop {
        watch.request_progress().await;
        let told = watch.next().await;
        assert!(told.events.is_empty());
        if told.watch_id == -1 && revision(&told.header) >= due {
            return;
        }
    }
}

/// A client may bring a version that it heard of from another cluster, or from before a restore.
async fn a_version_of_the_future_is_refused(c: Case) {
    let store = Store::new(&c);
    let message = "etcdserver: mvcc: required revision is a future revision";
    let future = store.current_version("pods").await + 1_000_000;
    let start = store.prefix("pods");
    let list = store.page("pods", start.as_bytes(), 500, future).await;
    refused(list, Code::OutOfRange, message);
    let get = RangeRequest {
        limit: 1,
        revision: future,
        ..point(store.prefix("pods") + "default/a")
    };
    refused(c.client.range(get).await, Code::OutOfRange, message);
}

/// Calls bring the trace that they belong to.
async fn a_traced_call_is_answered_as_any(c: Case) {
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut store = Store::new(&c);
    store.client = c.client.with_metadata("traceparent", trace);
    let pod = store.object("pods", "default/a", "1");
    let version = store.create(&pod).await.unwrap();
    let mut watch = store.watch("pods", version - 1).await;
    assert_eq!(event_revision(&watch.events(1).await[0]), version);
}

/// kube-apiserver reads from its caches consistently if every member's version says that it serves progress
/// requests: from 3.4.31 and 3.5.13 on.
async fn progress_requests_are_known_to_be_served(c: Case) {
    let status = c.client.status(StatusRequest {}).await.unwrap();
    let parts: Vec<u32> = status
        .version
        .split('.')
        .map(|part| part.parse().unwrap())
        .collect();
    let version: [u32; 3] = parts.try_into().unwrap();
    assert!(version >= [3, 4, 31]);
    assert!(!([3, 5, 0]..[3, 5, 13]).contains(&version));
}

/// Lists, gets and watches at a version that is gone: each says so, so that the client lists anew.
async fn nothing_is_served_at_a_compacted_version(c: Case) {
    let (store, stored) = Store::filled(&c).await;
    let (first, last) = (stored[0].1, stored.last().unwrap().1);
    c.client.compact(compact(last)).await.unwrap();
    let message = "etcdserver: mvcc: required revision has been compacted";
    let start = store.prefix("pods");
    let list = store.page("pods", start.as_bytes(), 500, first).await;
    refused(list, Code::OutOfRange, message);
    let get = RangeRequest {
        limit: 1,
        revision: first,
        ..point(&stored[0].0.key)
    };
    refused(c.client.range(get).await, Code::OutOfRange, message);
    let mut watch = store.watch("pods", first).await;
    let ended = watch.next().await;
    assert!(ended.canceled);
    assert_eq!(ended.compact_revision, last);
    // What is not compacted is served on: from the next version on there is nothing yet.
    let mut watch = store.watch("pods", last).await;
    let pod = store.object("pods", "default/new", "");
    let created = store.create(&pod).await.unwrap();
    assert_eq!(event_revision(&watch.events(1).await[0]), created);
}

/// A list may be streamed at a version and up to a limit.
async fn a_streamed_page_is_the_page(c: Case) {
    let (store, stored) = Store::filled(&c).await;
    let pinned = stored.last().unwrap().1;
    let pod = store.object("pods", "default/000", "");
    store.create(&pod).await.unwrap();
    for limit in [0, 1, 50, 120, 500] {
        let start = store.prefix("pods");
        let page = store.page("pods", start.as_bytes(), limit, pinned).await;
        let request = RangeRequest {
            limit,
            revision: pinned,
            ..prefixed(&start)
        };
        let stream = c.client.kv().range_stream(request).await.unwrap();
        let mut stream = stream.into_inner();
        let (mut kvs, mut more) = (Vec::new(), false);
        while let Some(part) = stream.message().await.unwrap() {
            let part = part.range_response.unwrap();
            kvs.extend(part.kvs);
            more = part.more;
        }
        let page = page.unwrap();
        assert_eq!((kvs, more), (page.kvs, page.more), "limit {limit}");
    }
}
