//! The lock service.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use holdfast::etcd::pb::etcdserverpb::LeaseRevokeRequest;
use holdfast::etcd::pb::v3lockpb::lock_client::LockClient;
use holdfast::etcd::pb::v3lockpb::{LockRequest, UnlockRequest};
use tokio::task::JoinHandle;
use tonic::{Code, Status};

use crate::harness::*;

also_over_tls![locks];

#[tokio::test]
async fn locks() {
    let cases = cases![
        a_lock_is_a_key_below_its_name,
        without_a_lease_the_server_grants_one,
        the_same_lease_locks_again_at_once,
        a_second_owner_waits_for_the_first,
        waiters_follow_in_order,
        a_revoked_lease_frees_the_lock,
        an_impatient_waiter_leaves_no_key,
        a_waiter_whose_lease_ends_is_told,
        whoever_waits_longest_is_next,
        an_unknown_lease_is_refused,
        unlocking_deletes_the_key,
        unlocking_what_is_not_locked_is_fine,
        unlocking_nothing_is_refused,
        locks_of_other_names_are_independent,
    ];
    Suite::new("lock", cases).run(shared().await).await;
}

async fn lock(client: &Client, name: &Bytes, lease: i64) -> Result<Bytes, Status> {
    let mut stub = LockClient::new(client.connection());
    let request = LockRequest {
        name: name.clone(),
        lease,
    };
    Ok(stub.lock(request).await?.into_inner().key)
}

async fn unlock(c: &Case, key: Bytes) -> Result<(), Status> {
    let mut stub = LockClient::new(c.client.connection());
    stub.unlock(UnlockRequest { key }).await.map(|_| ())
}

fn key_of(name: &Bytes, lease: i64) -> String {
    format!("{}/{lease:x}", text(name))
}

async fn a_lock_is_a_key_below_its_name(c: Case) {
    let (name, lease) = (c.key("l"), c.lease(60).await);
    let key = lock(&c.client, &name, lease).await.unwrap();
    assert_eq!(key, key_of(&name, lease));
    let kv = c.range(point(&key)).await.kvs.remove(0);
    assert_eq!((kv.value(), kv.lease()), (&b""[..], lease));
}

async fn without_a_lease_the_server_grants_one(c: Case) {
    let key = lock(&c.client, &c.key("l"), 0).await.unwrap();
    let lease = c.range(point(&key)).await.kvs[0].lease();
    let response = c.client.lease_time_to_live(time_to_live(lease, true)).await;
    let response = response.unwrap();
    assert_eq!((response.granted_ttl, response.keys), (60, vec![key]));
}

async fn the_same_lease_locks_again_at_once(c: Case) {
    let (name, lease) = (c.key("l"), c.lease(60).await);
    let first = lock(&c.client, &name, lease).await.unwrap();
    let again = lock(&c.client, &name, lease).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(c.range(c.all()).await.count, 1);
}

async fn waiting(c: &Case, count: i64) {
    while c.range(c.all()).await.count < count {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A lock that one lease has and a second one waits for.
struct Contended {
    name: Bytes,
    /// The key of the first.
    key: Bytes,
    second: i64,
    waiter: JoinHandle<Result<Bytes, Status>>,
}

async fn contended(c: &Case) -> Contended {
    let name = c.key("l");
    let (first, second) = (c.lease(60).await, c.lease(60).await);
    let key = lock(&c.client, &name, first).await.unwrap();
    let (client, other) = (c.client.clone(), name.clone());
    let waiter = tokio::spawn(async move { lock(&client, &other, second).await });
    waiting(c, 2).await;
    Contended {
        name,
        key,
        second,
        waiter,
    }
}

async fn a_second_owner_waits_for_the_first(c: Case) {
    let Contended {
        name,
        key,
        second,
        waiter,
    } = contended(&c).await;
    assert!(!waiter.is_finished());
    unlock(&c, key).await.unwrap();
    assert_eq!(waiter.await.unwrap().unwrap(), key_of(&name, second));
}

async fn waiters_follow_in_order(c: Case) {
    let name = c.key("l");
    let mut key = lock(&c.client, &name, c.lease(60).await).await.unwrap();
    let mut waiters = Vec::new();
    for count in 2..6 {
        let (client, name, lease) = (c.client.clone(), name.clone(), c.lease(60).await);
        waiters.push(tokio::spawn(
            async move { lock(&client, &name, lease).await },
        ));
        waiting(&c, count).await;
    }
    for waiter in waiters {
        unlock(&c, key).await.unwrap();
        key = waiter.await.unwrap().unwrap();
    }
}

async fn a_revoked_lease_frees_the_lock(c: Case) {
    let name = c.key("l");
    let (first, second) = (c.lease(60).await, c.lease(60).await);
    lock(&c.client, &name, first).await.unwrap();
    let revoke = LeaseRevokeRequest { id: first };
    let (client, other) = (c.client.clone(), name.clone());
    let waiter = tokio::spawn(async move { lock(&client, &other, second).await });
    waiting(&c, 2).await;
    c.client.lease_revoke(revoke).await.unwrap();
    assert_eq!(waiter.await.unwrap().unwrap(), key_of(&name, second));
}

async fn an_impatient_waiter_leaves_no_key(c: Case) {
    let name = c.key("l");
    let (first, second) = (c.lease(60).await, c.lease(60).await);
    lock(&c.client, &name, first).await.unwrap();
    let waiter = lock(&c.client, &name, second);
    tokio::time::timeout(QUIET, waiter).await.unwrap_err();
    while c.range(c.all()).await.count > 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn revoke(c: &Case, id: i64) {
    c.client
        .lease_revoke(LeaseRevokeRequest { id })
        .await
        .unwrap();
}

const EXPIRED: &str = "mutex: session is expired";

async fn a_waiter_whose_lease_ends_is_told(c: Case) {
    let Contended {
        key,
        second,
        waiter,
        ..
    } = contended(&c).await;
    revoke(&c, second).await;
    unlock(&c, key).await.unwrap();
    refused(waiter.await.unwrap(), Code::Unknown, EXPIRED);
}

/// The model is a line of people: whoever leaves it, and from wherever, the first of the others is served.
async fn whoever_waits_longest_is_next(c: Case) {
    let name = c.key("l");
    let mut line = VecDeque::new();
    let mut told = Vec::new();
    let mut choice: u32 = 12345;
    for step in 0..24 {
        choice = choice.wrapping_mul(1_103_515_245).wrapping_add(12345);
        let choice = (choice >> 16) as usize;
        if step < 10 || line.is_empty() {
            let (client, name, lease) = (c.client.clone(), name.clone(), c.lease(60).await);
            let waiter = tokio::spawn(async move { lock(&client, &name, lease).await });
            line.push_back((lease, waiter));
            waiting(&c, line.len() as i64).await;
            continue;
        }
        let at = choice % line.len();
        let (lease, waiter): (i64, JoinHandle<_>) = line.remove(at).unwrap();
        if at == 0 {
            let key: Bytes = waiter.await.unwrap().unwrap();
            assert_eq!(key, key_of(&name, lease));
            unlock(&c, key).await.unwrap();
        } else if (choice / 64).is_multiple_of(2) {
            waiter.abort();
        } else {
            revoke(&c, lease).await;
            told.push(waiter);
        }
        while c.range(c.all()).await.count > line.len() as i64 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(line.iter().skip(1).all(|(_, waiter)| !waiter.is_finished()));
    }
    for (lease, waiter) in line {
        let key = waiter.await.unwrap().unwrap();
        assert_eq!(key, key_of(&name, lease));
        unlock(&c, key).await.unwrap();
    }
    for waiter in told {
        refused(waiter.await.unwrap(), Code::Unknown, EXPIRED);
    }
}

async fn an_unknown_lease_is_refused(c: Case) {
    let result = lock(&c.client, &c.key("l"), 0x7fff_0000_0000_0008).await;
    refused(
        result,
        Code::Unknown,
        "etcdserver: requested lease not found",
    );
}

async fn unlocking_deletes_the_key(c: Case) {
    let key = lock(&c.client, &c.key("l"), c.lease(60).await)
        .await
        .unwrap();
    unlock(&c, key).await.unwrap();
    assert_eq!(c.range(c.all()).await.count, 0);
}

async fn unlocking_what_is_not_locked_is_fine(c: Case) {
    unlock(&c, c.key("l/1")).await.unwrap();
}

async fn unlocking_nothing_is_refused(c: Case) {
    let result = unlock(&c, Bytes::new()).await;
    refused(result, Code::Unknown, "etcdserver: key is not provided");
}

async fn locks_of_other_names_are_independent(c: Case) {
    for name in ["a", "b", "a/b"] {
        lock(&c.client, &c.key(name), c.lease(60).await)
            .await
            .unwrap();
    }
}
