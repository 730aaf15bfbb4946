//! The revision counter: where it starts, what moves it, what headers say (invariant I4).

use holdfast::etcd::pb::etcdserverpb::*;
use tonic::Code;

use crate::harness::*;

#[tokio::test]
async fn revisions() {
    let server = Server::fresh().await;
    let cases = cases![
        an_empty_store_is_at_revision_one,
        the_first_write_gets_revision_two,
        every_put_adds_one,
        a_put_of_the_same_value_is_a_change,
        a_delete_that_hits_adds_one,
        a_delete_of_many_keys_adds_one,
        a_delete_that_misses_adds_nothing,
        a_transaction_of_many_puts_adds_one,
        a_transaction_that_changes_nothing_adds_nothing,
        reads_add_nothing,
        a_lease_grant_and_keepalive_add_nothing,
        a_revoked_lease_without_keys_adds_nothing,
        a_revoked_lease_with_keys_adds_one,
        a_compaction_adds_nothing,
        a_refused_write_adds_nothing,
        headers_of_writes_carry_their_own_revision,
        headers_name_cluster_member_and_term,
        lease_and_maintenance_headers_carry_the_store_revision,
        member_list_headers_carry_no_revision,
        versions_and_create_revisions_follow_generations,
        revisions_survive_in_a_snapshot_of_reads,
    ];
    Suite::new("revisions", cases).run_in_order(&server).await;
}

async fn an_empty_store_is_at_revision_one(c: Case) {
    assert_eq!(c.client.revision().await, 1);
}

async fn the_first_write_gets_revision_two(c: Case) {
    assert_eq!(c.put("a", "1").await, 2);
    let kv = c.get("a").await.unwrap();
    assert_eq!(
        (kv.create_revision(), kv.mod_revision(), kv.version()),
        (2, 2, 1)
    );
}

async fn every_put_adds_one(c: Case) {
    let first = c.put("a", "1").await;
    for n in 1..10 {
        assert_eq!(c.put("a", "1").await, first + n);
    }
}

async fn a_put_of_the_same_value_is_a_change(c: Case) {
    let first = c.put("a", "1").await;
    let second = c.put("a", "1").await;
    let kv = c.get("a").await.unwrap();
    assert_eq!(second, first + 1);
    assert_eq!((kv.mod_revision(), kv.version()), (second, 2));
}

async fn a_delete_that_hits_adds_one(c: Case) {
    let put = c.put("a", "1").await;
    assert_eq!(c.delete("a").await, put + 1);
    assert_eq!(c.client.revision().await, put + 1);
}

async fn a_delete_of_many_keys_adds_one(c: Case) {
    let put = c.put_all("a=1 b=2 c=3").await;
    let request = delete_span(c.prefix(), end_of(c.prefix()));
    let response = c.client.delete_range(request).await.unwrap();
    assert_eq!((response.deleted, revision(&response.header)), (3, put + 1));
}

async fn a_delete_that_misses_adds_nothing(c: Case) {
    let before = c.put("a", "1").await;
    assert_eq!(c.delete("b").await, before);
    assert_eq!(c.client.revision().await, before);
}

async fn a_transaction_of_many_puts_adds_one(c: Case) {
    let before = c.client.revision().await;
    let puts = ["a", "b", "c"].map(|name| op::put(c.key(name), name));
    let response = c.client.txn(always(puts.into())).await.unwrap();
    assert_eq!(revision(&response.header), before + 1);
    for kv in c.range(c.all()).await.kvs {
        assert_eq!(kv.mod_revision(), before + 1);
    }
}

async fn a_transaction_that_changes_nothing_adds_nothing(c: Case) {
    let before = c.client.revision().await;
    let ops = vec![op::delete(c.key("a")), op::get(c.key("a"))];
    let response = c.client.txn(always(ops)).await.unwrap();
    assert_eq!(revision(&response.header), before);
    assert_eq!(c.client.revision().await, before);
}

async fn reads_add_nothing(c: Case) {
    let before = c.put("a", "1").await;
    for _ in 0..5 {
        c.range(c.all()).await;
        c.client
            .txn(always(vec![op::get(c.key("a"))]))
            .await
            .unwrap();
    }
    assert_eq!(c.client.revision().await, before);
}

async fn a_lease_grant_and_keepalive_add_nothing(c: Case) {
    let before = c.client.revision().await;
    let lease = c.lease(60).await;
    KeepAlive::open(&c.client).ping(lease).await.unwrap();
    assert_eq!(c.client.revision().await, before);
}

async fn a_revoked_lease_without_keys_adds_nothing(c: Case) {
    let before = c.client.revision().await;
    let id = c.lease(60).await;
    c.client
        .lease_revoke(LeaseRevokeRequest { id })
        .await
        .unwrap();
    assert_eq!(c.client.revision().await, before);
}

async fn a_revoked_lease_with_keys_adds_one(c: Case) {
    let id = c.lease(60).await;
    c.put_leased("a", "1", id).await;
    let before = c.put_leased("b", "1", id).await;
    let revoke = LeaseRevokeRequest { id };
    let response = c.client.lease_revoke(revoke).await.unwrap();
    assert_eq!(revision(&response.header), before + 1);
    assert_eq!(c.client.revision().await, before + 1);
}

async fn a_compaction_adds_nothing(c: Case) {
    let before = c.put_all("a=1 a=2 a=3").await;
    let response = c.client.compact(compact(before - 1)).await.unwrap();
    assert_eq!(revision(&response.header), before);
    assert_eq!(c.client.revision().await, before);
}

async fn a_refused_write_adds_nothing(c: Case) {
    let before = c.put("a", "1").await;
    let mut request = put(c.key("a"), "2");
    request.lease = 404;
    refused(
        c.client.put(request).await,
        Code::NotFound,
        "etcdserver: requested lease not found",
    );
    assert_eq!(c.client.revision().await, before);
    assert_eq!(c.stored().await, "a=1");
}

async fn headers_of_writes_carry_their_own_revision(c: Case) {
    let put = c.put("a", "1").await;
    assert_eq!(c.get("a").await.unwrap().mod_revision(), put);
    let txn = always(vec![op::put(c.key("b"), "1")]);
    let header = c.client.txn(txn).await.unwrap().header;
    let b = c.get("b").await.unwrap();
    assert_eq!(b.mod_revision(), revision(&header));
}

async fn headers_name_cluster_member_and_term(c: Case) {
    let header = c.range(c.all()).await.header.unwrap();
    let members = c.client.member_list(MemberListRequest::default()).await;
    let members = members.unwrap();
    let listed = members.header.unwrap();
    assert_ne!(header.cluster_id, 0);
    assert_eq!(header.member_id, members.members[0].id);
    assert_eq!(
        (header.cluster_id, header.raft_term),
        (listed.cluster_id, listed.raft_term)
    );
    assert!(header.raft_term > 0);
}

async fn lease_and_maintenance_headers_carry_the_store_revision(c: Case) {
    let now = c.put("a", "1").await;
    let granted = c.client.lease_grant(grant(60, 0)).await.unwrap();
    let alarms = c.client.alarm(AlarmRequest::default()).await.unwrap();
    let status = c.client.status(StatusRequest {}).await.unwrap();
    let hash = c.client.hash_kv(HashKvRequest::default()).await.unwrap();
    let leases = c.client.lease_leases(LeaseLeasesRequest {}).await.unwrap();
    let alive = KeepAlive::open(&c.client).ping(granted.id).await.unwrap();
    let headers = [
        granted.header,
        alarms.header,
        status.header,
        hash.header,
        leases.header,
        alive.header,
    ];
    assert_eq!(headers.map(|header| revision(&header)), [now; 6]);
}

async fn member_list_headers_carry_no_revision(c: Case) {
    let request = MemberListRequest { linearizable: true };
    let response = c.client.member_list(request).await.unwrap();
    assert_eq!(revision(&response.header), 0);
}

async fn versions_and_create_revisions_follow_generations(c: Case) {
    let created = c.put("a", "1").await;
    let modified = c.put("a", "2").await;
    let kv = c.get("a").await.unwrap();
    assert_eq!(
        (kv.create_revision(), kv.mod_revision(), kv.version()),
        (created, modified, 2)
    );
    c.delete("a").await;
    let again = c.put("a", "3").await;
    let kv = c.get("a").await.unwrap();
    assert_eq!(
        (kv.create_revision(), kv.mod_revision(), kv.version()),
        (again, again, 1)
    );
}

async fn revisions_survive_in_a_snapshot_of_reads(c: Case) {
    let last = c.put_all("a=1 b=2 c=3").await;
    let response = c.range(c.all()).await;
    let seen: Vec<_> = response.kvs.iter().map(|kv| kv.mod_revision()).collect();
    assert_eq!(seen, [last - 2, last - 1, last]);
    assert_eq!(revision(&response.header), last);
}
