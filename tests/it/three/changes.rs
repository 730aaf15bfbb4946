//! Members come, leave, move, die and are replaced, while clients write and processes are killed.

use std::time::Duration;

use holdfast::etcd::pb::etcdserverpb::{
    Member, MemberAddRequest, MemberListRequest, MemberRemoveRequest, MemberUpdateRequest,
};
use rand::RngExt;
use tokio::time::sleep;
use tonic::Code;

use super::load::Load;
use super::membership::once_healthy;
use crate::harness::*;

/// Adds the member at `joining`, asking the one at `through`.
async fn add(cluster: &Cluster, through: usize, joining: usize) -> u64 {
    let request = MemberAddRequest {
        peer_ur_ls: vec![cluster[joining].peer_url().into()],
        is_learner: false,
    };
    let client = cluster.client(through);
    let added = once_healthy(|| async { client.cluster().member_add(request.clone()).await });
    added.await.into_inner().member.unwrap().id
}

async fn remove(cluster: &Cluster, through: usize, id: u64) {
    let request = MemberRemoveRequest { id };
    let client = cluster.client(through);
    once_healthy(|| async { client.cluster().member_remove(request).await }).await;
}

async fn members(cluster: &Cluster, through: usize) -> Vec<Member> {
    let request = MemberListRequest { linearizable: true };
    let list = cluster.client(through).member_list(request).await;
    list.unwrap().members
}

async fn started(cluster: &mut Cluster, index: usize) {
    cluster[index].spawn();
    cluster[index].ready().await;
    // It serves before it has told its name, and counts as started only then.
    let name = cluster[index].name().to_owned();
    while members(cluster, index)
        .await
        .iter()
        .all(|member| member.name != name)
    {
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_grows_from_one_to_three_under_load() {
    let mut cluster = Cluster::start_one(Settings::default().quick_elections()).await;
    let load = Load::start(&cluster).await;
    for name in ["b", "c"] {
        load.works().await;
        let joining = cluster.prepare_joining(name);
        let id = add(&cluster, 0, joining).await;
        started(&mut cluster, joining).await;
        assert_eq!(cluster.member_id(joining).await, id);
    }
    load.works().await;
    load.verify(&cluster).await;
    // Every one has a vote: any two go on without the third.
    cluster[0].kill();
    let leader = cluster.leader_other_than(0).await;
    let client = cluster.client(leader);
    client.put(put("without the first", "1")).await.unwrap();
    assert_eq!(members(&cluster, leader).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_member_is_replaced_under_load() {
    let mut cluster = Cluster::start(Settings::default().quick_elections()).await;
    let load = Load::start(&cluster).await;
    load.works().await;
    let dead = cluster.leader().await;
    let id = cluster.member_id(dead).await;
    cluster[dead].kill();
    let leader = cluster.leader_other_than(dead).await;
    load.works().await;
    remove(&cluster, leader, id).await;
    let mut gone = cluster.take(dead);
    let joining = cluster.prepare_joining("d");
    add(&cluster, 0, joining).await;
    started(&mut cluster, joining).await;
    load.works().await;
    // It comes back with its old data, and is turned away.
    gone.spawn();
    gone.ended().await;
    load.verify(&cluster).await;
    assert!(
        members(&cluster, 0)
            .await
            .iter()
            .all(|member| member.id != id)
    );
}

#[tokio::test]
async fn a_removed_leader_ends_and_joins_again_as_another() {
    let mut cluster = Cluster::start(Settings::default().quick_elections()).await;
    cluster.client(0).put(put("a", "1")).await.unwrap();
    let leader = cluster.leader().await;
    let id = cluster.member_id(leader).await;
    remove(&cluster, leader, id).await;
    let mut gone = cluster.take(leader);
    let status = gone.ended().await;
    assert!(status.success(), "{status}\n{}", gone.log_tail());
    let said = gone.log_tail();
    assert!(
        said.contains("permanently removed from the cluster"),
        "{said}"
    );
    let next = cluster.leader().await;
    cluster.client(next).put(put("b", "2")).await.unwrap();

    gone.wipe();
    let joining = cluster.join_as(gone);
    let new = add(&cluster, 0, joining).await;
    assert_ne!(new, id);
    started(&mut cluster, joining).await;
    let client = cluster.client(joining);
    let response = client.range(span("a", "c")).await.unwrap();
    assert_eq!(pairs(&response.kvs), "a=1 b=2");
    client.put(put("c", "3")).await.unwrap();
}

#[tokio::test]
async fn a_survivor_goes_on_alone_and_grows_again() {
    let mut cluster = Cluster::start(Settings::default().quick_elections()).await;
    for n in 0..100 {
        let key = format!("key/{n:03}");
        cluster.client(n % 3).put(put(&key, "1")).await.unwrap();
    }
    // etcd gives up what its disk does not say to be committed, and with it the last write.
    let last = put("last", "1");
    cluster.client(0).put(last).await.unwrap();
    cluster.converge().await;
    let survivor = cluster.follower().await;
    let id = cluster.member_id(survivor).await;
    for index in 0..3 {
        cluster[index].kill();
    }
    let mut lost: Vec<_> = (0..3).map(|_| cluster.take(0)).collect();
    cluster.put_back(lost.remove(survivor));
    cluster[0].set_flag("force-new-cluster", true);
    started(&mut cluster, 0).await;
    let client = cluster.client(0);
    assert_eq!(client.range(prefixed("key/")).await.unwrap().count, 100);
    if Program::get().is_own() {
        assert_eq!(client.range(point("last")).await.unwrap().count, 1);
    }
    client.put(put("key/alone", "1")).await.unwrap();
    let listed = members(&cluster, 0).await;
    assert_eq!(
        listed.iter().map(|member| member.id).collect::<Vec<_>>(),
        [id]
    );

    cluster[0].terminate();
    cluster[0].set_flag("force-new-cluster", false);
    started(&mut cluster, 0).await;
    // One of those that were lost is found again; it is not one of them any more.
    let mut found = lost.into_iter().next().unwrap();
    found.spawn();
    found.ended().await;
    let joining = cluster.prepare_joining("d");
    add(&cluster, 0, joining).await;
    started(&mut cluster, joining).await;
    let client = cluster.client(joining);
    assert_eq!(client.range(prefixed("key/")).await.unwrap().count, 101);
}

/// Whoever dies when: a change has happened everywhere or nowhere.
#[tokio::test]
async fn a_change_survives_the_death_of_everyone() {
    let lax = Settings::default().quick_elections();
    let mut cluster = Cluster::start(lax.flag("strict-reconfig-check", false)).await;
    for round in 0..4 {
        let leader = cluster.leader().await;
        let client = cluster.client(leader);
        let request = MemberAddRequest {
            peer_ur_ls: vec![format!("http://127.0.0.1:{}", free_ports(1)[0])],
            is_learner: round % 2 == 0,
        };
        let asked = tokio::spawn(async move { client.cluster().member_add(request).await });
        sleep(Duration::from_millis(rand::rng().random_range(0..30))).await;
        for index in 0..3 {
            cluster[index].kill();
        }
        let answered = asked.await.unwrap();
        for index in 0..3 {
            cluster[index].spawn();
        }
        for index in 0..3 {
            cluster[index].ready().await;
        }
        let first = members(&cluster, 0).await;
        for index in 1..3 {
            assert_eq!(members(&cluster, index).await, first);
        }
        if answered.is_ok() {
            assert_eq!(first.len(), 4, "acknowledged and lost: {first:?}");
        }
        for member in first.iter().filter(|member| member.name.is_empty()) {
            remove(&cluster, 0, member.id).await;
        }
        assert_eq!(members(&cluster, 1).await.len(), 3);
        cluster.client(2).put(put("a", "1")).await.unwrap();
    }
}

/// A member that dies while it begins goes on with what it has, be it only its name.
#[tokio::test]
async fn a_joining_member_may_die_at_any_time() {
    if !Program::get().is_own() {
        return;
    }
    let settings = Settings::default().quick_elections();
    let mut cluster = Cluster::start_one(settings).await;
    for n in 0..200 {
        let request = put(format!("key/{n:03}"), "x".repeat(1000));
        cluster.client(0).put(request).await.unwrap();
    }
    let joining = cluster.prepare_joining("b");
    let id = add(&cluster, 0, joining).await;
    for _ in 0..8 {
        cluster[joining].spawn();
        sleep(Duration::from_millis(rand::rng().random_range(5..250))).await;
        cluster[joining].kill();
    }
    started(&mut cluster, joining).await;
    assert_eq!(cluster.member_id(joining).await, id);
    let client = cluster.client(joining);
    assert_eq!(client.range(prefixed("key/")).await.unwrap().count, 200);
    cluster[joining].kill();
    cluster[joining].restart().await;
    client.put(put("a", "1")).await.unwrap();
}

#[tokio::test]
async fn a_member_moves_to_another_address() {
    let mut cluster = Cluster::start(Settings::default().quick_elections()).await;
    let mover = cluster.follower().await;
    let id = cluster.member_id(mover).await;
    cluster[mover].terminate();
    cluster[mover].move_peer_url();
    let other = (mover + 1) % 3;
    let url = cluster[mover].peer_url().to_owned();
    let update = |id, url: String| MemberUpdateRequest {
        id,
        peer_ur_ls: vec![url],
    };
    let client = cluster.client(other);
    let taken = cluster[other].peer_url().to_owned();
    let refusal = client.cluster().member_update(update(id, taken)).await;
    let text = "etcdserver: Peer URLs already exists";
    refused(refusal, Code::FailedPrecondition, text);
    let updated = client
        .cluster()
        .member_update(update(id, url.clone()))
        .await;
    let updated = updated.unwrap().into_inner();
    assert_eq!(updated.header.unwrap().revision, 0);
    let moved = updated.members.into_iter().find(|member| member.id == id);
    assert_eq!(moved.unwrap().peer_ur_ls, [url]);
    started(&mut cluster, mover).await;
    let client = cluster.client(mover);
    client.put(put("from there", "1")).await.unwrap();
}

/// Who was not added has no place, and who was there before cannot begin anew.
#[tokio::test]
async fn members_that_do_not_belong_do_not_start() {
    let mut cluster = Cluster::start(Settings::default().quick_elections()).await;
    let stranger = cluster.prepare_joining("d");
    cluster[stranger].spawn();
    let status = cluster[stranger].ended().await;
    assert!(!status.success());
    let said = cluster[stranger].log_tail();
    assert!(said.contains("member count is unequal"), "{said}");

    cluster[2].kill();
    cluster[2].wipe();
    cluster[2].spawn();
    let status = cluster[2].ended().await;
    assert!(!status.success());
    let said = cluster[2].log_tail();
    assert!(said.contains("has already been bootstrapped"), "{said}");
    let client = cluster.client(cluster.leader_other_than(2).await);
    client.put(put("a", "1")).await.unwrap();
}

/// A flag that etcd 3.5 does not know.
#[tokio::test]
async fn the_number_of_learners_can_be_set() {
    if !Program::get().is_own() {
        return;
    }
    let settings = Settings::default()
        .flag("max-learners", 2)
        .flag("strict-reconfig-check", false);
    let cluster = Cluster::start_one(settings).await;
    let client = cluster.client(0);
    let learner = |port: u16| MemberAddRequest {
        peer_ur_ls: vec![format!("http://127.0.0.1:{port}")],
        is_learner: true,
    };
    for port in [2, 3] {
        client.cluster().member_add(learner(port)).await.unwrap();
    }
    let refusal = client.cluster().member_add(learner(4)).await;
    let text = "etcdserver: too many learner members in cluster";
    refused(refusal, Code::FailedPrecondition, text);
    client.put(put("a", "1")).await.unwrap();
}
