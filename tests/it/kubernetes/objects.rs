//! Single objects: create, get, update, delete.

use holdfast::etcd::pb::etcdserverpb::{RangeRequest, StatusRequest};

use super::store::Store;
use crate::harness::*;

#[tokio::test]
async fn objects() {
    let cases = cases![
        a_created_object_has_the_version_of_its_creation,
        a_creation_of_what_exists_fails_without_an_answer,
        an_update_at_the_right_version_succeeds,
        an_update_at_a_stale_version_returns_the_object,
        an_update_of_a_deleted_object_returns_nothing,
        a_deletion_at_the_right_version_succeeds,
        a_deletion_at_a_stale_version_returns_the_object,
        a_recreated_object_has_a_new_version,
        a_get_at_a_version_returns_that_state,
        the_current_version_is_never_zero,
        values_of_every_kind_come_back_as_written,
        binary_values_come_back_as_written,
        an_object_of_a_megabyte_is_stored,
        contending_updates_all_take_effect,
        contending_creations_have_one_winner,
        the_health_probe_is_answered,
        the_database_size_is_told,
        objects_share_a_lease,
    ];
    Suite::new("objects", cases).run(shared().await).await;
}

async fn a_created_object_has_the_version_of_its_creation(c: Case) {
    let store = Store::new(&c);
    let pod = store.object("pods", "default/a", "{}");
    let version = store.create(&pod).await.unwrap();
    let kv = store.get(&pod.key, 0).await.unwrap();
    assert_eq!(
        (kv.mod_revision(), kv.create_revision()),
        (version, version)
    );
}

async fn a_creation_of_what_exists_fails_without_an_answer(c: Case) {
    let store = Store::new(&c);
    let pod = store.object("pods", "default/a", "{}");
    let version = store.create(&pod).await.unwrap();
    assert_eq!(store.create(&pod).await, Err(None));
    let kv = store.get(&pod.key, 0).await.unwrap();
    assert_eq!(kv.mod_revision(), version);
}

async fn an_update_at_the_right_version_succeeds(c: Case) {
    let store = Store::new(&c);
    let created = store.create(&store.object("pods", "a", "1")).await.unwrap();
    let changed = store.object("pods", "a", "2");
    let updated = store.update(&changed, created).await.unwrap();
    let kv = store.get(&changed.key, 0).await.unwrap();
    assert_eq!((kv.value(), kv.mod_revision()), (&b"2"[..], updated));
    assert_eq!((kv.create_revision(), kv.version()), (created, 2));
}

async fn an_update_at_a_stale_version_returns_the_object(c: Case) {
    let store = Store::new(&c);
    let pod = store.object("pods", "a", "1");
    let created = store.create(&pod).await.unwrap();
    let updated = store.update(&pod, created).await.unwrap();
    let found = store.update(&pod, created).await.unwrap_err().unwrap();
    assert_eq!(found.mod_revision(), updated);
}

async fn an_update_of_a_deleted_object_returns_nothing(c: Case) {
    let store = Store::new(&c);
    let pod = store.object("pods", "a", "1");
    let created = store.create(&pod).await.unwrap();
    store.delete(&pod.key, created).await.unwrap();
    assert_eq!(store.update(&pod, created).await, Err(None));
}

async fn a_deletion_at_the_right_version_succeeds(c: Case) {
    let store = Store::new(&c);
    let pod = store.object("pods", "a", "1");
    let created = store.create(&pod).await.unwrap();
    let mut watch = store.watch("pods", created).await;
    let deleted = store.delete(&pod.key, created).await.unwrap();
    assert_eq!(store.get(&pod.key, 0).await, None);
    let event = watch.events(1).await.remove(0);
    assert_eq!(event_revision(&event), deleted);
    assert_eq!(event.prev_kv.unwrap().mod_revision(), created);
}

async fn a_deletion_at_a_stale_version_returns_the_object(c: Case) {
    let store = Store::new(&c);
    let pod = store.object("pods", "a", "1");
    let created = store.create(&pod).await.unwrap();
    let updated = store.update(&pod, created).await.unwrap();
    let found = store.delete(&pod.key, created).await.unwrap_err().unwrap();
    assert_eq!(found.mod_revision(), updated);
    assert!(store.get(&pod.key, 0).await.is_some());
}

async fn a_recreated_object_has_a_new_version(c: Case) {
    let store = Store::new(&c);
    let pod = store.object("pods", "a", "1");
    let first = store.create(&pod).await.unwrap();
    store.delete(&pod.key, first).await.unwrap();
    let second = store.create(&pod).await.unwrap();
    assert!(second > first + 1);
    let kv = store.get(&pod.key, 0).await.unwrap();
    assert_eq!((kv.create_revision(), kv.version()), (second, 1));
}

async fn a_get_at_a_version_returns_that_state(c: Case) {
    let store = Store::new(&c);
    let first = store.create(&store.object("pods", "a", "1")).await.unwrap();
    let changed = store.object("pods", "a", "2");
    store.update(&changed, first).await.unwrap();
    let kv = store.get(&changed.key, first).await.unwrap();
    assert_eq!(kv.value(), b"1");
}

async fn the_current_version_is_never_zero(c: Case) {
    let store = Store::new(&c);
    assert!(store.current_version("pods").await > 0);
    let pod = store.object("pods", "a", "1");
    let created = store.create(&pod).await.unwrap();
    assert!(store.current_version("pods").await >= created);
}

async fn values_of_every_kind_come_back_as_written(c: Case) {
    let (store, stored) = Store::filled(&c).await;
    for (object, version) in &stored {
        let kv = store.get(&object.key, 0).await.unwrap();
        assert_eq!(
            (kv.value(), kv.mod_revision()),
            (&object.value[..], *version)
        );
    }
}

/// The protobuf envelope of kube-apiserver, and an encrypted value.
async fn binary_values_come_back_as_written(c: Case) {
    let store = Store::new(&c);
    let mut protobuf = b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x00".to_vec();
    protobuf.extend((0..=255u8).cycle().take(5000));
    let encrypted = [b"k8s:enc:aescbc:v1:key1:", &protobuf[..]].concat();
    for (name, value) in [("protobuf", protobuf), ("encrypted", encrypted)] {
        let mut object = store.object("secrets", name, "");
        object.value = value;
        store.create(&object).await.unwrap();
        let kv = store.get(&object.key, 0).await.unwrap();
        assert_eq!(kv.value(), object.value);
    }
}

async fn an_object_of_a_megabyte_is_stored(c: Case) {
    let store = Store::new(&c);
    let large = store.object("configmaps", "large", &"v".repeat(1024 * 1024));
    let created = store.create(&large).await.unwrap();
    let updated = store.update(&large, created).await.unwrap();
    let found = store.update(&large, created).await.unwrap_err().unwrap();
    assert_eq!(found.mod_revision(), updated);
    assert_eq!(found.value().len(), large.value.len());
}

async fn contending_updates_all_take_effect(c: Case) {
    let store = Store::new(&c);
    let counter = store.object("configmaps", "counter", "0");
    store.create(&counter).await.unwrap();
    let increment = |value: &[u8]| {
        let count: u32 = text(value).parse().unwrap();
        (count + 1).to_string().into_bytes()
    };
    let clients = (0..8).map(|_| async {
        for _ in 0..10 {
            store.guaranteed_update(&counter.key, increment).await;
        }
    });
    futures::future::join_all(clients).await;
    let kv = store.get(&counter.key, 0).await.unwrap();
    assert_eq!((kv.value(), kv.version()), (&b"80"[..], 81));
}

async fn contending_creations_have_one_winner(c: Case) {
    let store = Store::new(&c);
    let pod = store.object("pods", "a", "1");
    let creations = (0..20).map(|_| store.create(&pod));
    let outcomes = futures::future::join_all(creations).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
}

async fn the_health_probe_is_answered(c: Case) {
    let response = c.range(point("/registry/health")).await;
    assert_eq!(response.count, 0);
}

async fn the_database_size_is_told(c: Case) {
    let status = c.client.status(StatusRequest {}).await.unwrap();
    assert!(status.db_size > 0);
}

async fn objects_share_a_lease(c: Case) {
    let store = Store::new(&c);
    let lease = c.lease(4).await;
    let version = store.current_version("events").await;
    for n in 0..20 {
        let event = store.object("events", &format!("default/{n:02}"), "{}");
        store.create_leased(&event, lease).await.unwrap();
    }
    let mut watch = store.watch("events", version).await;
    let events = watch.events(40).await;
    let (created, deleted) = events.split_at(20);
    for (created, deleted) in created.iter().zip(deleted) {
        let prev = deleted.prev_kv.as_ref().unwrap();
        assert_eq!(Some(prev), created.kv.as_ref());
        assert_eq!(prev.lease(), lease);
    }
    let all = RangeRequest {
        count_only: true,
        ..prefixed(store.prefix("events"))
    };
    assert_eq!(c.range(all).await.count, 0);
}
