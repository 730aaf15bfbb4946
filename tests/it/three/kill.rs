//! Members killed under load: nothing acknowledged is lost (invariants I1, I2, I4, I6).

use super::load::Load;
use crate::harness::*;

/// How often the chaos test kills the leader; more by `HOLDFAST_TEST_CHAOS`.
const KILLS: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_the_leader_loses_nothing() {
    let kills = std::env::var("HOLDFAST_TEST_CHAOS");
    let kills = kills.map_or(KILLS, |kills| kills.parse().expect("a number"));
    let mut cluster = Cluster::start(Settings::default().quick_elections()).await;
    let load = Load::start(&cluster).await;
    for _ in 0..kills {
        load.works().await;
        let leader = cluster.leader().await;
        cluster[leader].kill();
        cluster.leader_other_than(leader).await;
        load.works().await;
        cluster[leader].restart().await;
    }
    load.verify(&cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_all_members_at_once_loses_nothing() {
    let mut cluster = Cluster::start(Settings::default().quick_elections()).await;
    let load = Load::start(&cluster).await;
    for _ in 0..2 {
        load.works().await;
        for index in 0..cluster.len() {
            cluster[index].kill();
        }
        for index in 0..cluster.len() {
            cluster[index].spawn();
        }
        for index in 0..cluster.len() {
            cluster[index].ready().await;
        }
    }
    load.works().await;
    load.verify(&cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarting_members_one_by_one_loses_nothing() {
    let mut cluster = Cluster::start(Settings::default().quick_elections()).await;
    let load = Load::start(&cluster).await;
    for index in 0..cluster.len() {
        load.works().await;
        cluster[index].terminate();
        load.works().await;
        cluster[index].restart().await;
    }
    load.verify(&cluster).await;
}

#[tokio::test]
async fn a_single_member_loses_nothing_when_killed() {
    let mut server = Server::fresh().await;
    let mut written = Vec::new();
    for round in 0..3 {
        let client = server.client();
        for n in 0..100 {
            let key = format!("{round}/{n:03}");
            let response = client.put(put(&key, "1")).await.unwrap();
            written.push((key, revision(&response.header)));
        }
        server.kill();
        server.restart().await;
    }
    let response = server.client().range(span(NO_END, NO_END)).await.unwrap();
    let stored = response.kvs.iter();
    let stored = stored.map(|kv| (text(kv.key()).to_owned(), kv.mod_revision()));
    assert_eq!(stored.collect::<Vec<_>>(), written);
}

/// SIGTERM ends a member by itself, in good order.
#[tokio::test]
async fn a_terminated_member_ends_and_comes_back() {
    let mut server = Server::fresh().await;
    server.client().put(put("a", "1")).await.unwrap();
    let mut watch = Watch::start(&server.client(), watch_key("a")).await.0;
    server.terminate();
    let ended = watch.message().await;
    assert!(!matches!(ended, Ok(Some(_))), "{ended:?}");
    server.restart().await;
    let response = server.client().range(point("a")).await.unwrap();
    assert_eq!(pairs(&response.kvs), "a=1");
}
