//! Grant, Revoke, TimeToLive, Leases.

use holdfast::etcd::pb::etcdserverpb::{
    LeaseLeasesRequest, LeaseRevokeRequest, LeaseTimeToLiveResponse,
};
use tonic::Code;

use crate::harness::*;

const NOT_FOUND: &str = "etcdserver: requested lease not found";

#[tokio::test]
async fn calls() {
    let cases = cases![
        the_server_chooses_a_positive_id,
        chosen_ids_differ,
        an_id_can_be_chosen,
        a_negative_id_can_be_chosen,
        an_id_in_use_is_refused,
        a_revoked_id_can_be_used_again,
        the_granted_ttl_is_told,
        a_ttl_below_the_minimum_is_raised,
        the_largest_ttl_is_granted,
        a_larger_ttl_is_refused,
        revoking_an_unknown_lease_is_refused,
        revoking_lease_zero_is_refused,
        revoking_twice_is_refused,
        revoking_deletes_the_attached_keys_at_one_revision,
        revoking_leaves_detached_keys,
        revoking_leaves_keys_moved_to_another_lease,
        revoking_leaves_a_key_created_again_without_it,
        time_to_live_of_an_unknown_lease_is_minus_one,
        time_to_live_tells_granted_and_remaining,
        time_to_live_lists_keys_when_asked,
        time_to_live_lists_no_keys_when_not_asked,
        a_key_is_listed_once,
        a_revoked_lease_is_unknown,
        leases_lists_what_was_granted,
        leases_does_not_list_what_was_revoked,
        many_keys_on_one_lease,
    ];
    Suite::new("lease", cases).run(shared().await).await;
}

#[tokio::test]
async fn listing() {
    let server = Server::fresh().await;
    let cases = cases![
        without_leases_the_list_is_empty,
        leases_are_listed_by_expiry,
    ];
    Suite::new("leases", cases).run_in_order(&server).await;
}

async fn revoke(c: &Case, id: i64) -> Result<(), tonic::Status> {
    let request = LeaseRevokeRequest { id };
    c.client.lease_revoke(request).await.map(|_| ())
}

async fn ttl(c: &Case, id: i64) -> LeaseTimeToLiveResponse {
    let request = time_to_live(id, true);
    c.client.lease_time_to_live(request).await.unwrap()
}

async fn the_server_chooses_a_positive_id(c: Case) {
    let response = c.client.lease_grant(grant(60, 0)).await.unwrap();
    assert!(response.id > 0);
    assert_eq!(response.error, "");
    assert!(revision(&response.header) > 0);
}

async fn chosen_ids_differ(c: Case) {
    let grants = (0..50).map(|_| c.lease(60));
    let mut ids = futures::future::join_all(grants).await;
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 50);
}

async fn an_id_can_be_chosen(c: Case) {
    let response = c.client.lease_grant(grant(60, 1001)).await.unwrap();
    assert_eq!(response.id, 1001);
    c.put_leased("a", "1", 1001).await;
    assert_eq!(c.get("a").await.unwrap().lease(), 1001);
}

async fn a_negative_id_can_be_chosen(c: Case) {
    let response = c.client.lease_grant(grant(60, -3)).await.unwrap();
    assert_eq!(response.id, -3);
    c.put_leased("a", "1", -3).await;
    assert_eq!(ttl(&c, -3).await.keys, [c.key("a")]);
}

async fn an_id_in_use_is_refused(c: Case) {
    let id = c.lease(60).await;
    let result = c.client.lease_grant(grant(30, id)).await;
    refused(
        result,
        Code::FailedPrecondition,
        "etcdserver: lease already exists",
    );
    assert_eq!(ttl(&c, id).await.granted_ttl, 60);
}

async fn a_revoked_id_can_be_used_again(c: Case) {
    c.client.lease_grant(grant(60, 1002)).await.unwrap();
    c.put_leased("a", "1", 1002).await;
    revoke(&c, 1002).await.unwrap();
    c.client.lease_grant(grant(30, 1002)).await.unwrap();
    let again = ttl(&c, 1002).await;
    assert_eq!((again.granted_ttl, again.keys.len()), (30, 0));
}

async fn the_granted_ttl_is_told(c: Case) {
    let response = c.client.lease_grant(grant(12345, 0)).await.unwrap();
    assert_eq!(response.ttl, 12345);
}

async fn a_ttl_below_the_minimum_is_raised(c: Case) {
    for asked in [1, 0, -5, i64::MIN] {
        let response = c.client.lease_grant(grant(asked, 0)).await.unwrap();
        assert_eq!(response.ttl, 2, "asked for {asked}");
    }
}

async fn the_largest_ttl_is_granted(c: Case) {
    let response = c.client.lease_grant(grant(9_000_000_000, 0)).await.unwrap();
    assert_eq!(response.ttl, 9_000_000_000);
    revoke(&c, response.id).await.unwrap();
}

async fn a_larger_ttl_is_refused(c: Case) {
    for asked in [9_000_000_001, i64::MAX] {
        let result = c.client.lease_grant(grant(asked, 0)).await;
        refused(result, Code::OutOfRange, "etcdserver: too large lease TTL");
    }
}

async fn revoking_an_unknown_lease_is_refused(c: Case) {
    refused(
        revoke(&c, 0x7fff_0000_0000_0004).await,
        Code::NotFound,
        NOT_FOUND,
    );
    refused(revoke(&c, -99).await, Code::NotFound, NOT_FOUND);
}

async fn revoking_lease_zero_is_refused(c: Case) {
    refused(revoke(&c, 0).await, Code::NotFound, NOT_FOUND);
}

async fn revoking_twice_is_refused(c: Case) {
    let id = c.lease(60).await;
    revoke(&c, id).await.unwrap();
    refused(revoke(&c, id).await, Code::NotFound, NOT_FOUND);
}

async fn revoking_deletes_the_attached_keys_at_one_revision(c: Case) {
    let id = c.lease(60).await;
    for name in ["a", "b", "c"] {
        c.put_leased(name, "1", id).await;
    }
    c.put("d", "1").await;
    let mut watch = c.watch_all().await;
    revoke(&c, id).await.unwrap();
    assert_eq!(c.stored().await, "d=1");
    let events = watch.next().await.events;
    assert_eq!(events.len(), 3);
    assert_eq!(event_revision(&events[0]), event_revision(&events[2]));
}

async fn revoking_leaves_detached_keys(c: Case) {
    let id = c.lease(60).await;
    c.put_leased("a", "1", id).await;
    c.put("a", "2").await;
    revoke(&c, id).await.unwrap();
    assert_eq!(c.stored().await, "a=2");
}

async fn revoking_leaves_keys_moved_to_another_lease(c: Case) {
    let (first, second) = (c.lease(60).await, c.lease(60).await);
    c.put_leased("a", "1", first).await;
    c.put_leased("a", "2", second).await;
    revoke(&c, first).await.unwrap();
    assert_eq!(c.stored().await, "a=2");
    revoke(&c, second).await.unwrap();
    assert_eq!(c.stored().await, "");
}

async fn revoking_leaves_a_key_created_again_without_it(c: Case) {
    let id = c.lease(60).await;
    c.put_leased("a", "1", id).await;
    c.delete("a").await;
    c.put("a", "2").await;
    revoke(&c, id).await.unwrap();
    assert_eq!(c.stored().await, "a=2");
}

async fn time_to_live_of_an_unknown_lease_is_minus_one(c: Case) {
    let response = ttl(&c, 0x7fff_0000_0000_0005).await;
    assert_eq!((response.ttl, response.granted_ttl), (-1, 0));
    assert_eq!(response.id, 0x7fff_0000_0000_0005);
    assert!(response.keys.is_empty());
}

async fn time_to_live_tells_granted_and_remaining(c: Case) {
    let id = c.lease(600).await;
    let response = ttl(&c, id).await;
    assert_eq!((response.id, response.granted_ttl), (id, 600));
    assert!((500..=600).contains(&response.ttl), "{}", response.ttl);
}

async fn time_to_live_lists_keys_when_asked(c: Case) {
    let id = c.lease(60).await;
    for name in ["b", "a", "c"] {
        c.put_leased(name, "1", id).await;
    }
    let mut keys = ttl(&c, id).await.keys;
    keys.sort();
    assert_eq!(keys, [c.key("a"), c.key("b"), c.key("c")]);
}

async fn time_to_live_lists_no_keys_when_not_asked(c: Case) {
    let id = c.lease(60).await;
    c.put_leased("a", "1", id).await;
    let request = time_to_live(id, false);
    let response = c.client.lease_time_to_live(request).await.unwrap();
    assert!(response.keys.is_empty());
}

async fn a_key_is_listed_once(c: Case) {
    let id = c.lease(60).await;
    for n in 0..3 {
        c.put_leased("a", &n.to_string(), id).await;
    }
    assert_eq!(ttl(&c, id).await.keys, [c.key("a")]);
}

async fn a_revoked_lease_is_unknown(c: Case) {
    let id = c.lease(60).await;
    revoke(&c, id).await.unwrap();
    assert_eq!(ttl(&c, id).await.ttl, -1);
    let mut request = put(c.key("a"), "1");
    request.lease = id;
    refused(c.client.put(request).await, Code::NotFound, NOT_FOUND);
}

async fn listed(c: &Case) -> Vec<i64> {
    let response = c.client.lease_leases(LeaseLeasesRequest {}).await.unwrap();
    response.leases.iter().map(|lease| lease.id).collect()
}

async fn leases_lists_what_was_granted(c: Case) {
    let (first, second) = (c.lease(600).await, c.lease(600).await);
    let listed = listed(&c).await;
    assert!(listed.contains(&first) && listed.contains(&second));
}

async fn leases_does_not_list_what_was_revoked(c: Case) {
    let id = c.lease(600).await;
    revoke(&c, id).await.unwrap();
    assert!(!listed(&c).await.contains(&id));
}

async fn many_keys_on_one_lease(c: Case) {
    let id = c.lease(60).await;
    for batch in 0..10 {
        let ops = (0..100).map(|n| {
            let mut request = put(c.key(&format!("{batch}-{n}")), "1");
            request.lease = id;
            op::put_with(request)
        });
        c.client.txn(always(ops.collect())).await.unwrap();
    }
    assert_eq!(ttl(&c, id).await.keys.len(), 1000);
    revoke(&c, id).await.unwrap();
    assert_eq!(c.range(c.all()).await.count, 0);
}

async fn without_leases_the_list_is_empty(c: Case) {
    assert!(listed(&c).await.is_empty());
}

async fn leases_are_listed_by_expiry(c: Case) {
    for ttl in [500, 100, 900, 300] {
        c.client.lease_grant(grant(ttl, ttl)).await.unwrap();
    }
    assert_eq!(listed(&c).await, [100, 300, 500, 900]);
}
