//! A healthy cluster answers alike on every member.

use std::time::Duration;

use holdfast::etcd::pb::etcdserverpb::{
    HashKvRequest, HashRequest, LeaseRevokeRequest, MemberListRequest, MoveLeaderRequest,
    StatusRequest, WatchCreateRequest,
};
use tonic::Code;

use crate::harness::*;

#[tokio::test]
async fn members_agree() {
    let cluster = Cluster::start(Settings::default()).await;
    let cases = cases![
        every_member_takes_writes,
        a_write_is_seen_at_once_on_every_other_member,
        a_transaction_through_a_follower_is_atomic,
        compare_and_swap_over_all_members_has_one_winner,
        counters_over_all_members_lose_nothing,
        a_delete_through_a_follower_counts,
        serializable_reads_catch_up,
        a_watch_on_each_member_tells_the_same_story,
        history_is_the_same_on_each_member,
        progress_on_a_follower_reaches_the_last_write,
        a_lease_can_be_used_through_any_member,
        a_lease_is_kept_alive_through_followers,
        a_lease_expires_everywhere,
        a_revoke_through_a_follower_deletes_everywhere,
        every_member_lists_all_members,
        every_member_names_the_same_leader,
        headers_name_the_answering_member,
        hashes_agree,
        refusals_are_the_same_on_every_member,
        health_is_true_everywhere,
        metrics_name_the_peers,
        metrics_tell_one_leader,
    ];
    let members = cluster.members();
    Suite::new("three", cases).run_on(&members, 8).await;
    Suite::new(
        "three",
        cases![
            a_compaction_through_a_follower_holds_everywhere,
            hashes_of_everything_agree,
            moving_the_leader_must_be_asked_of_the_leader,
            the_leader_can_be_moved_to_any_member,
        ],
    )
    .run_on(&members, 1)
    .await;
}

async fn every_member_takes_writes(c: Case) {
    for (n, member) in c.members.iter().enumerate() {
        let key = c.key(&n.to_string());
        member.put(put(key, "1")).await.unwrap();
    }
    assert_eq!(c.stored().await, "0=1 1=1 2=1");
}

async fn a_write_is_seen_at_once_on_every_other_member(c: Case) {
    for n in 0..60 {
        let writer = &c.members[n % 3];
        writer.put(put(c.key("a"), n.to_string())).await.unwrap();
        for reader in &c.members {
            let kvs = reader.range(point(c.key("a"))).await.unwrap().kvs;
            assert_eq!(pairs(&kvs), format!("a={n}"));
        }
    }
}

async fn a_transaction_through_a_follower_is_atomic(c: Case) {
    let writers = c.members.iter().map(|member| async {
        for n in 0..30 {
            let puts = ["a", "b", "c"].map(|name| op::put(c.key(name), n.to_string()));
            member.txn(always(puts.into())).await.unwrap();
        }
    });
    let reader = async {
        for n in 0..90 {
            let kvs = c.members[n % 3].range(c.all()).await.unwrap().kvs;
            let same = |kv: &holdfast::etcd::pb::mvccpb::KeyValue| {
                kv.mod_revision() == kvs[0].mod_revision()
            };
            assert!(kvs.iter().all(same));
        }
    };
    futures::future::join(futures::future::join_all(writers), reader).await;
}

async fn compare_and_swap_over_all_members_has_one_winner(c: Case) {
    let tries = (0..30).map(|n| {
        let missing = vec![cmp::created(c.key("a"), cmp::Result::Equal, 0)];
        let write = vec![op::put(c.key("a"), n.to_string())];
        c.members[n % 3].txn(txn(missing, write, vec![]))
    });
    let outcomes = futures::future::join_all(tries).await;
    let won = outcomes
        .into_iter()
        .filter(|o| o.as_ref().unwrap().succeeded);
    assert_eq!(won.count(), 1);
    assert_eq!(c.get("a").await.unwrap().version(), 1);
}

async fn counters_over_all_members_lose_nothing(c: Case) {
    c.put("a", "0").await;
    let clients = c.members.iter().map(|member| async {
        let mut done = 0;
        while done < 15 {
            let kv = member.range(point(c.key("a"))).await.unwrap().kvs.remove(0);
            let next = text(kv.value()).parse::<i64>().unwrap() + 1;
            let same = cmp::modified(c.key("a"), cmp::Result::Equal, kv.mod_revision());
            let write = vec![op::put(c.key("a"), next.to_string())];
            let response = member.txn(txn(vec![same], write, vec![])).await.unwrap();
            done += i32::from(response.succeeded);
        }
    });
    futures::future::join_all(clients).await;
    assert_eq!(c.stored().await, "a=45");
}

async fn a_delete_through_a_follower_counts(c: Case) {
    for member in &c.members {
        c.put_all("a=1 b=2").await;
        let request = delete_span(c.prefix(), end_of(c.prefix()));
        assert_eq!(member.delete_range(request).await.unwrap().deleted, 2);
        assert_eq!(c.stored().await, "");
    }
}

async fn serializable_reads_catch_up(c: Case) {
    c.put("a", "1").await;
    for member in &c.members {
        let mut request = c.all();
        request.serializable = true;
        while member.range(request.clone()).await.unwrap().count == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn a_watch_on_each_member_tells_the_same_story(c: Case) {
    let mut watches = Vec::new();
    for member in &c.members {
        let (watch, _) = Watch::start(member, watch_prefix(c.prefix())).await;
        watches.push(watch);
    }
    let names: Vec<_> = (0..90).map(|n| (n % 7).to_string()).collect();
    let writes = names
        .iter()
        .enumerate()
        .map(|(n, name)| c.members[n % 3].put(put(c.key(name), n.to_string())));
    futures::future::join_all(writes).await;
    let mut stories = Vec::new();
    for watch in &mut watches {
        let events = watch.events(90).await;
        let revisions: Vec<_> = events.iter().map(event_revision).collect();
        stories.push((told(&events), revisions));
    }
    assert_eq!(stories[0], stories[1]);
    assert_eq!(stories[0], stories[2]);
}

async fn history_is_the_same_on_each_member(c: Case) {
    let start_revision = c.put("a", "1").await;
    c.put_all("a=2 b=1").await;
    c.delete("a").await;
    for member in &c.members {
        let request = WatchCreateRequest {
            start_revision,
            ..watch_prefix(c.prefix())
        };
        let (mut watch, _) = Watch::start(member, request).await;
        let story = told(&watch.events(4).await);
        assert_eq!(story, "PUT a=1, PUT a=2, PUT b=1, DELETE a");
    }
}

async fn progress_on_a_follower_reaches_the_last_write(c: Case) {
    for member in &c.members {
        let (mut watch, _) = Watch::start(member, watch_key(c.key("idle"))).await;
        let last = c.put("busy", "1").await;
        let mut reached = 0;
        while reached < last {
            watch.request_progress().await;
            let response = watch.next_within(Duration::from_millis(100)).await;
            reached = response.map_or(reached, |response| revision(&response.header));
        }
    }
}

async fn a_lease_can_be_used_through_any_member(c: Case) {
    for (n, member) in c.members.iter().enumerate() {
        let id = member.lease_grant(grant(60, 0)).await.unwrap().id;
        for (m, other) in c.members.iter().enumerate() {
            let mut request = put(c.key(&format!("{n}-{m}")), "1");
            request.lease = id;
            other.put(request).await.unwrap();
        }
        for other in &c.members {
            let response = other
                .lease_time_to_live(time_to_live(id, true))
                .await
                .unwrap();
            assert_eq!((response.keys.len(), response.granted_ttl), (3, 60));
        }
    }
}

async fn a_lease_is_kept_alive_through_followers(c: Case) {
    let id = c.lease(4).await;
    c.put_leased("a", "1", id).await;
    let mut streams: Vec<_> = c.members.iter().map(KeepAlive::open).collect();
    for n in 0..14 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let response = streams[n % 3].ping(id).await.unwrap();
        assert_eq!((response.id, response.ttl), (id, 4));
    }
    assert_eq!(c.stored().await, "a=1");
}

async fn a_lease_expires_everywhere(c: Case) {
    let mut watches = Vec::new();
    for member in &c.members {
        watches.push(Watch::start(member, watch_key(c.key("a"))).await.0);
    }
    let id = c.lease(3).await;
    c.put_leased("a", "1", id).await;
    for watch in &mut watches {
        assert_eq!(told(&watch.events(2).await), "PUT a=1, DELETE a");
    }
    for member in &c.members {
        let response = member.lease_time_to_live(time_to_live(id, true)).await;
        assert_eq!(response.unwrap().ttl, -1);
    }
}

async fn a_revoke_through_a_follower_deletes_everywhere(c: Case) {
    for member in &c.members {
        let id = c.lease(60).await;
        c.put_leased("a", "1", id).await;
        member
            .lease_revoke(LeaseRevokeRequest { id })
            .await
            .unwrap();
        for other in &c.members {
            assert_eq!(other.range(c.all()).await.unwrap().count, 0);
        }
    }
}

async fn every_member_lists_all_members(c: Case) {
    let mut lists = Vec::new();
    for member in &c.members {
        let request = MemberListRequest { linearizable: true };
        lists.push(member.member_list(request).await.unwrap().members);
    }
    assert_eq!(lists[0], lists[1]);
    assert_eq!(lists[0], lists[2]);
    let mut names: Vec<_> = lists[0].iter().map(|member| member.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["a", "b", "c"]);
    assert!(lists[0].is_sorted_by(|a, b| a.id < b.id));
    assert!(
        lists[0]
            .iter()
            .all(|member| !member.client_ur_ls.is_empty())
    );
}

async fn every_member_names_the_same_leader(c: Case) {
    let mut views = Vec::new();
    for member in &c.members {
        let status = member.status(StatusRequest {}).await.unwrap();
        assert!(status.errors.is_empty());
        views.push((status.leader, status.raft_term));
    }
    assert_ne!(views[0].0, 0);
    assert_eq!(views[0], views[1]);
    assert_eq!(views[0], views[2]);
}

async fn headers_name_the_answering_member(c: Case) {
    let mut ids = Vec::new();
    let mut clusters = Vec::new();
    for member in &c.members {
        let header = member.range(c.all()).await.unwrap().header.unwrap();
        ids.push(header.member_id);
        clusters.push(header.cluster_id);
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    assert!(clusters.iter().all(|&id| id == clusters[0] && id != 0));
}

async fn hashes_agree(c: Case) {
    let revision = c.put_all("a=1 b=2 a=3").await;
    let mut hashes = Vec::new();
    for member in &c.members {
        member.range(c.all()).await.unwrap();
        let hash = member.hash_kv(HashKvRequest { revision }).await.unwrap();
        hashes.push((hash.hash, hash.compact_revision));
    }
    assert_eq!(hashes[0], hashes[1]);
    assert_eq!(hashes[0], hashes[2]);
}

/// Of all members, once they have applied the same.
async fn hash_of_everything(c: &Case) -> u32 {
    loop {
        let mut hashes = Vec::new();
        for member in &c.members {
            member.range(c.all()).await.unwrap();
            hashes.push(member.hash(HashRequest {}).await.unwrap().hash);
        }
        if hashes.iter().all(|hash| *hash == hashes[0]) {
            return hashes[0];
        }
    }
}

/// Unlike the key space's, this hash sees a lease that has no keys.
async fn hashes_of_everything_agree(c: Case) {
    c.put_all("a=1 b=2 a=3").await;
    let before = hash_of_everything(&c).await;
    let lease = c.client.lease_grant(grant(600, 0)).await.unwrap();
    let granted = hash_of_everything(&c).await;
    assert_ne!(granted, before);
    let revoked = LeaseRevokeRequest { id: lease.id };
    c.client.lease_revoke(revoked).await.unwrap();
    assert_ne!(hash_of_everything(&c).await, granted);
}

async fn refusals_are_the_same_on_every_member(c: Case) {
    for member in &c.members {
        let mut leased = put(c.key("a"), "1");
        leased.lease = 0x7fff_0000_0000_0007;
        let text = "etcdserver: requested lease not found";
        refused(member.put(leased).await, Code::NotFound, text);
        let twice = always(vec![op::put(c.key("a"), "1"); 2]);
        let text = "etcdserver: duplicate key given in txn request";
        refused(member.txn(twice).await, Code::InvalidArgument, text);
        let text = "etcdserver: mvcc: required revision is a future revision";
        let future = compact(1_000_000_000);
        refused(member.compact(future).await, Code::OutOfRange, text);
    }
}

async fn health_is_true_everywhere(c: Case) {
    for member in &c.members {
        for path in ["/health", "/readyz", "/livez"] {
            let answer = member.http(path).await;
            assert_eq!(answer.status, 200, "{path}");
        }
    }
}

async fn metrics(member: &Client) -> String {
    let page = member.http("/metrics").await;
    page.text().into()
}

/// Round trips are measured every few seconds.
async fn metrics_name_the_peers(c: Case) {
    c.put("a", "1").await;
    for member in &c.members {
        for series in [
            "etcd_network_peer_sent_bytes_total{To=",
            "etcd_network_peer_received_bytes_total{From=",
            "etcd_network_active_peers{Local=",
            "etcd_network_known_peers{Local=",
            "etcd_network_peer_round_trip_time_seconds_count{To=",
        ] {
            while !metrics(member).await.contains(series) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn metrics_tell_one_leader(c: Case) {
    let mut leaders = 0;
    for member in &c.members {
        let page = metrics(member).await;
        assert!(page.contains("etcd_server_has_leader 1"));
        leaders += usize::from(page.contains("etcd_server_is_leader 1"));
    }
    assert_eq!(leaders, 1);
}

async fn a_compaction_through_a_follower_holds_everywhere(c: Case) {
    for member in &c.members {
        let first = c.put("a", "1").await;
        let second = c.put("a", "2").await;
        member.compact(compact(second)).await.unwrap();
        for other in &c.members {
            let mut below = c.all();
            below.revision = first;
            let text = "etcdserver: mvcc: required revision has been compacted";
            refused(other.range(below).await, Code::OutOfRange, text);
        }
    }
}

/// The index of the leader, and all member ids.
async fn leader(c: &Case) -> (usize, Vec<u64>) {
    let mut ids = Vec::new();
    for member in &c.members {
        let status = member.status(StatusRequest {}).await.unwrap();
        ids.push(status.header.unwrap().member_id);
    }
    loop {
        let status = c.client.status(StatusRequest {}).await.unwrap();
        if let Some(index) = ids.iter().position(|&id| id == status.leader) {
            return (index, ids);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn moving_the_leader_must_be_asked_of_the_leader(c: Case) {
    let (leader, ids) = leader(&c).await;
    let follower = (leader + 1) % 3;
    let target_id = ids[follower];
    let result = c.members[follower].move_leader(MoveLeaderRequest { target_id });
    let text = "etcdserver: not leader";
    refused(result.await, Code::FailedPrecondition, text);
    let stranger = MoveLeaderRequest { target_id: 1 };
    let text = "etcdserver: bad leader transferee";
    let result = c.members[leader].move_leader(stranger).await;
    refused(result, Code::FailedPrecondition, text);
}

async fn the_leader_can_be_moved_to_any_member(c: Case) {
    for step in [1, 2] {
        let (before, ids) = leader(&c).await;
        let target = (before + step) % 3;
        let request = MoveLeaderRequest {
            target_id: ids[target],
        };
        let response = c.members[before].move_leader(request).await.unwrap();
        assert_eq!(response.header, None);
        while leader(&c).await.0 != target {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for member in &c.members {
            member.put(put(c.key("a"), "1")).await.unwrap();
        }
    }
}
