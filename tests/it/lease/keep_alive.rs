//! The keep-alive stream.

use std::time::Duration;

use holdfast::etcd::pb::etcdserverpb::LeaseRevokeRequest;
use tokio::time::sleep;

use crate::harness::*;

#[tokio::test]
async fn keep_alive() {
    let cases = cases![
        each_request_gets_one_answer,
        the_answer_is_the_granted_ttl,
        the_answer_carries_a_header,
        an_unknown_lease_answers_zero,
        an_unknown_lease_leaves_the_stream_open,
        a_revoked_lease_answers_zero,
        an_expired_lease_answers_zero,
        many_leases_share_a_stream,
        a_lease_kept_alive_outlives_its_ttl,
        a_lease_no_longer_kept_alive_expires,
        keep_alive_restarts_the_whole_ttl,
        two_streams_may_keep_one_lease,
    ];
    Suite::new("keep_alive", cases).run(shared().await).await;
}

async fn each_request_gets_one_answer(c: Case) {
    let id = c.lease(60).await;
    let mut alive = KeepAlive::open(&c.client);
    for _ in 0..10 {
        alive.send(id).await;
    }
    for _ in 0..10 {
        let response = alive.next().await.unwrap();
        assert_eq!((response.id, response.ttl), (id, 60));
    }
}

async fn the_answer_is_the_granted_ttl(c: Case) {
    let id = c.lease(4321).await;
    let response = KeepAlive::open(&c.client).ping(id).await.unwrap();
    assert_eq!((response.id, response.ttl), (id, 4321));
}

async fn the_answer_carries_a_header(c: Case) {
    let id = c.lease(60).await;
    let last = c.put("a", "1").await;
    let response = KeepAlive::open(&c.client).ping(id).await.unwrap();
    assert!(revision(&response.header) >= last);
}

const UNKNOWN: i64 = 0x7fff_0000_0000_0006;

async fn an_unknown_lease_answers_zero(c: Case) {
    let response = KeepAlive::open(&c.client).ping(UNKNOWN).await.unwrap();
    assert_eq!((response.id, response.ttl), (UNKNOWN, 0));
    assert!(response.header.is_some());
}

async fn an_unknown_lease_leaves_the_stream_open(c: Case) {
    let id = c.lease(60).await;
    let mut alive = KeepAlive::open(&c.client);
    assert_eq!(alive.ping(UNKNOWN).await.unwrap().ttl, 0);
    assert_eq!(alive.ping(id).await.unwrap().ttl, 60);
    assert_eq!(alive.ping(0).await.unwrap().ttl, 0);
    assert_eq!(alive.ping(id).await.unwrap().ttl, 60);
}

async fn a_revoked_lease_answers_zero(c: Case) {
    let id = c.lease(60).await;
    let mut alive = KeepAlive::open(&c.client);
    assert_eq!(alive.ping(id).await.unwrap().ttl, 60);
    let revoke = LeaseRevokeRequest { id };
    c.client.lease_revoke(revoke).await.unwrap();
    assert_eq!(alive.ping(id).await.unwrap().ttl, 0);
}

/// Waits until the server no longer knows the lease.
async fn gone(c: &Case, id: i64) {
    loop {
        let request = time_to_live(id, false);
        let left = c.client.lease_time_to_live(request).await.unwrap().ttl;
        if left == -1 {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

async fn an_expired_lease_answers_zero(c: Case) {
    let id = c.lease(2).await;
    gone(&c, id).await;
    let response = KeepAlive::open(&c.client).ping(id).await.unwrap();
    assert_eq!(response.ttl, 0);
}

async fn many_leases_share_a_stream(c: Case) {
    let mut alive = KeepAlive::open(&c.client);
    let mut due = Vec::new();
    for ttl in 60..110 {
        let id = c.lease(ttl).await;
        alive.send(id).await;
        due.push((id, ttl));
    }
    let mut seen = Vec::new();
    for _ in 60..110 {
        let response = alive.next().await.unwrap();
        seen.push((response.id, response.ttl));
    }
    assert_eq!(seen, due);
}

async fn a_lease_kept_alive_outlives_its_ttl(c: Case) {
    let id = c.lease(4).await;
    c.put_leased("a", "1", id).await;
    let mut alive = KeepAlive::open(&c.client);
    for _ in 0..14 {
        sleep(Duration::from_millis(400)).await;
        assert_eq!(alive.ping(id).await.unwrap().ttl, 4);
    }
    assert_eq!(c.stored().await, "a=1");
}

async fn a_lease_no_longer_kept_alive_expires(c: Case) {
    let id = c.lease(3).await;
    c.put_leased("a", "1", id).await;
    let mut alive = KeepAlive::open(&c.client);
    assert_eq!(alive.ping(id).await.unwrap().ttl, 3);
    drop(alive);
    gone(&c, id).await;
    assert_eq!(c.stored().await, "");
}

async fn keep_alive_restarts_the_whole_ttl(c: Case) {
    let id = c.lease(5).await;
    let left = async || {
        let request = time_to_live(id, false);
        c.client.lease_time_to_live(request).await.unwrap().ttl
    };
    while left().await > 3 {
        sleep(Duration::from_millis(50)).await;
    }
    let mut alive = KeepAlive::open(&c.client);
    assert_eq!(alive.ping(id).await.unwrap().ttl, 5);
    assert!(left().await > 3);
}

async fn two_streams_may_keep_one_lease(c: Case) {
    let id = c.lease(60).await;
    let mut first = KeepAlive::open(&c.client);
    let mut second = KeepAlive::open(&c.client.another());
    assert_eq!(first.ping(id).await.unwrap().ttl, 60);
    assert_eq!(second.ping(id).await.unwrap().ttl, 60);
    assert_eq!(first.ping(id).await.unwrap().ttl, 60);
}
