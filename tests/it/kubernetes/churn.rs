//! Watch caches while objects change: what the watch told must be what is stored.

use std::collections::BTreeMap;

use bytes::Bytes;
use holdfast::etcd::pb::mvccpb::event::EventType;
use holdfast::etcd::pb::mvccpb::{Event, KeyValue};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::store::Store;
use crate::harness::*;

#[tokio::test]
async fn churn() {
    let cases = cases![
        a_cache_follows_random_changes,
        a_cache_that_resumes_misses_nothing,
        a_cache_reaches_the_current_version_by_progress,
        many_caches_see_the_same,
        node_leases_renewed_by_many_clients,
    ];
    Suite::new("churn", cases).run(shared().await).await;
}

/// Objects as a watch cache holds them.
#[derive(Default)]
struct Cache {
    objects: BTreeMap<Bytes, KeyValue>,
    version: i64,
}

impl Cache {
    async fn list(store: &Store, resource: &str) -> Self {
        let (kvs, version) = store.list(resource, 500).await;
        let objects = kvs.into_iter().map(|kv| (kv.key().clone(), kv)).collect();
        Self { objects, version }
    }

    /// Applies an event; checks it against what the cache holds, as kube-apiserver does.
    fn apply(&mut self, event: Event) {
        let revision = event_revision(&event);
        assert!(revision > self.version, "out of order");
        self.version = revision;
        let kind = event.r#type();
        let kv = event.kv.unwrap();
        let before = self.objects.remove(kv.key());
        assert_eq!(event.prev_kv, before, "prev_kv is not the state before");
        let is_create = kv.create_revision() == kv.mod_revision();
        assert_eq!(before.is_none(), kind == EventType::Put && is_create);
        if kind == EventType::Put {
            self.objects.insert(kv.key().clone(), kv);
        }
    }

    async fn follow(&mut self, watch: &mut Watch, until: i64) {
        while self.version < until {
            for event in watch.next().await.events {
                self.apply(event);
            }
        }
    }

    async fn assert_equals(&self, store: &Store, resource: &str) {
        let (stored, _) = store.list(resource, 0).await;
        let held: Vec<_> = self.objects.values().cloned().collect();
        assert_eq!(held, stored);
    }
}

/// Creates, updates and deletes pods at random; returns the last version.
async fn change(store: &Store, seed: u64, changes: usize) -> i64 {
    let mut random = StdRng::seed_from_u64(seed);
    let mut last = 0;
    for n in 0..changes {
        let name = format!("default/{seed}-{}", random.random_range(0..20));
        let pod = store.object("pods", &name, &format!("{n}"));
        let found = store.get(&pod.key, 0).await;
        let version = found.as_ref().map(KeyValue::mod_revision);
        last = match (version, random.random_range(0..3)) {
            (None, _) => store.create(&pod).await,
            (Some(version), 0) => store.delete(&pod.key, version).await,
            (Some(version), _) => store.update(&pod, version).await,
        }
        .unwrap();
    }
    last
}

async fn a_cache_follows_random_changes(c: Case) {
    let store = Store::new(&c);
    change(&store, 0, 20).await;
    let mut cache = Cache::list(&store, "pods").await;
    let mut watch = store.watch("pods", cache.version).await;
    let writers = (1..5).map(|seed| change(&store, seed, 50));
    let last = futures::future::join_all(writers).await;
    let last = last.into_iter().max().unwrap();
    cache.follow(&mut watch, last).await;
    cache.assert_equals(&store, "pods").await;
}

async fn a_cache_that_resumes_misses_nothing(c: Case) {
    let store = Store::new(&c);
    let mut cache = Cache::list(&store, "pods").await;
    for round in 0..10 {
        let last = change(&store, round, 15).await;
        let mut watch = store.watch("pods", cache.version).await;
        cache.follow(&mut watch, last - 5).await;
    }
    let last = change(&store, 99, 5).await;
    let mut watch = store.watch("pods", cache.version).await;
    cache.follow(&mut watch, last).await;
    cache.assert_equals(&store, "pods").await;
}

/// A consistent read from the cache: ask for progress until it is as new as a read from the store.
async fn a_cache_reaches_the_current_version_by_progress(c: Case) {
    let store = Store::new(&c);
    let mut cache = Cache::list(&store, "pods").await;
    let mut watch = store.watch("pods", cache.version).await;
    let writer = change(&store, 1, 60);
    let reader = async {
        for _ in 0..30 {
            let due = store.current_version("pods").await;
            let mut reached = cache.version;
            while reached < due {
                watch.request_progress().await;
                let patience = std::time::Duration::from_millis(100);
                let Some(response) = watch.next_within(patience).await else {
                    continue;
                };
                if response.events.is_empty() {
                    reached = revision(&response.header);
                }
                for event in response.events {
                    cache.apply(event);
                    reached = cache.version;
                }
            }
            let start = store.prefix("pods");
            let page = store.page("pods", start.as_bytes(), 0, due).await;
            let stored = page.unwrap().kvs;
            let held = cache.objects.values();
            let held: Vec<_> = held.filter(|kv| kv.mod_revision() <= due).collect();
            assert!(held.iter().all(|kv| stored.contains(kv)));
        }
    };
    futures::future::join(writer, reader).await;
}

async fn many_caches_see_the_same(c: Case) {
    let store = Store::new(&c);
    let version = store.current_version("pods").await;
    let mut watches = Vec::new();
    for _ in 0..20 {
        watches.push(store.watch("pods", version).await);
    }
    let last = change(&store, 5, 60).await;
    for watch in &mut watches {
        let mut cache = Cache {
            version,
            ..Cache::default()
        };
        cache.follow(watch, last).await;
        cache.assert_equals(&store, "pods").await;
    }
}

async fn node_leases_renewed_by_many_clients(c: Case) {
    let store = Store::new(&c);
    let nodes = (0..50).map(|node| renew(&store, node));
    futures::future::join_all(nodes).await;
    let (kvs, _) = store.list("leases", 0).await;
    assert_eq!(kvs.len(), 50);
    assert!(
        kvs.iter()
            .all(|kv| kv.version() == 10 && kv.value() == b"9")
    );
}

async fn renew(store: &Store, node: usize) {
    let name = format!("kube-node-lease/node-{node:02}");
    let mut version = store
        .create(&store.object("leases", &name, "0"))
        .await
        .unwrap();
    for n in 1..10 {
        let renewed = store.object("leases", &name, &n.to_string());
        version = store.update(&renewed, version).await.unwrap();
    }
}
