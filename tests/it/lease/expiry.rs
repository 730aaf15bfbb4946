//! Leases that run out.

use std::time::{Duration, Instant};

use crate::harness::*;

#[tokio::test]
async fn expiry() {
    let cases = cases![
        keys_go_with_the_lease,
        a_lease_is_never_expired_early,
        expiry_is_one_revision,
        a_lease_without_keys_ends_silently,
        a_key_moved_to_a_longer_lease_stays,
        a_key_detached_stays,
        a_hundred_leases_all_expire,
        an_expired_id_can_be_granted_again,
        a_short_lease_beside_a_long_one_expires_alone,
        attaching_a_key_does_not_restart_the_lease,
    ];
    Suite::new("expiry", cases).run(shared().await).await;
}

/// Waits for the event that deletes `name`.
async fn deleted(watch: &mut Watch, name: &str) {
    loop {
        let events = watch.next().await.events;
        if told(&events).contains(&format!("DELETE {name}")) {
            return;
        }
    }
}

async fn keys_go_with_the_lease(c: Case) {
    let mut watch = c.watch_all().await;
    let id = c.lease(3).await;
    c.put_leased("a", "1", id).await;
    c.put_leased("b", "1", id).await;
    c.put("c", "1").await;
    deleted(&mut watch, "a").await;
    assert_eq!(c.stored().await, "c=1");
}

async fn a_lease_is_never_expired_early(c: Case) {
    let mut watch = c.watch_all().await;
    let before = Instant::now();
    let id = c.lease(3).await;
    c.put_leased("a", "1", id).await;
    deleted(&mut watch, "a").await;
    assert!(before.elapsed() >= Duration::from_secs(3));
}

async fn expiry_is_one_revision(c: Case) {
    let id = c.lease(4).await;
    for name in ["a", "b", "c"] {
        c.put_leased(name, "1", id).await;
    }
    let mut watch = c.watch_all().await;
    let events = watch.next().await.events;
    assert_eq!(told(&events), "DELETE a, DELETE b, DELETE c");
    assert_eq!(event_revision(&events[0]), event_revision(&events[2]));
}

async fn gone(c: &Case, id: i64) {
    let request = time_to_live(id, false);
    while c.client.lease_time_to_live(request).await.unwrap().ttl != -1 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn a_lease_without_keys_ends_silently(c: Case) {
    let mut watch = c.watch_all().await;
    let id = c.lease(2).await;
    gone(&c, id).await;
    watch.stays_quiet().await;
}

async fn a_key_moved_to_a_longer_lease_stays(c: Case) {
    let (long, short) = (c.lease(600).await, c.lease(3).await);
    c.put_leased("a", "1", short).await;
    c.put_leased("a", "2", long).await;
    gone(&c, short).await;
    assert_eq!(c.stored().await, "a=2");
}

async fn a_key_detached_stays(c: Case) {
    let id = c.lease(3).await;
    c.put_leased("a", "1", id).await;
    c.put("a", "2").await;
    gone(&c, id).await;
    assert_eq!(c.stored().await, "a=2");
}

async fn a_hundred_leases_all_expire(c: Case) {
    let mut last = 0;
    for n in 0..100 {
        last = c.lease(3).await;
        c.put_leased(&n.to_string(), "1", last).await;
    }
    gone(&c, last).await;
    while c.range(c.all()).await.count > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn an_expired_id_can_be_granted_again(c: Case) {
    c.client.lease_grant(grant(2, 2001)).await.unwrap();
    c.put_leased("a", "1", 2001).await;
    gone(&c, 2001).await;
    c.client.lease_grant(grant(60, 2001)).await.unwrap();
    let again = c.client.lease_time_to_live(time_to_live(2001, true)).await;
    assert!(again.unwrap().keys.is_empty());
}

async fn a_short_lease_beside_a_long_one_expires_alone(c: Case) {
    let (long, short) = (c.lease(600).await, c.lease(3).await);
    c.put_leased("short", "1", short).await;
    c.put_leased("long", "1", long).await;
    gone(&c, short).await;
    assert_eq!(c.stored().await, "long=1");
}

async fn attaching_a_key_does_not_restart_the_lease(c: Case) {
    let id = c.lease(60).await;
    let left = async || {
        let request = time_to_live(id, false);
        c.client.lease_time_to_live(request).await.unwrap().ttl
    };
    while left().await > 57 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    c.put_leased("a", "1", id).await;
    assert!(left().await <= 57);
}
