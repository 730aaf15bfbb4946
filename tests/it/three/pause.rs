//! Members that stop without dying: a paused leader must never answer from the past (invariant I2).

use super::load::Load;
use crate::harness::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pausing_the_leader_loses_nothing_and_reads_stay_linearizable() {
    let cluster = Cluster::start(Settings::default().quick_elections()).await;
    let load = Load::start(&cluster).await;
    for _ in 0..2 {
        load.works().await;
        let leader = cluster.leader().await;
        cluster[leader].pause();
        cluster.leader_other_than(leader).await;
        load.works().await;
        cluster[leader].resume();
    }
    load.works().await;
    load.verify(&cluster).await;
}

/// By then a request lies in the socket of a paused member.
const SENDING: std::time::Duration = std::time::Duration::from_millis(100);

/// The read is waiting at the old leader when it wakes up and still thinks it leads.
#[tokio::test]
async fn a_deposed_leader_does_not_answer_from_the_past() {
    let cluster = Cluster::start(Settings::default().quick_elections()).await;
    for round in 0..3 {
        let old = cluster.leader().await;
        let on_old = cluster.client(old);
        on_old.put(put("a", "old")).await.unwrap();
        on_old.range(point("a")).await.unwrap();
        cluster[old].pause();
        let new = cluster.leader_other_than(old).await;
        let value = format!("new {round}");
        cluster.client(new).put(put("a", &value)).await.unwrap();
        let read = tokio::spawn(async move { on_old.range(point("a")).await });
        tokio::time::sleep(SENDING).await;
        cluster[old].resume();
        if let Ok(response) = read.await.unwrap() {
            assert_eq!(pairs(&response.kvs), format!("a={value}"));
        }
        cluster.converge().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_follower_disturbs_nobody() {
    let cluster = Cluster::start(Settings::default().quick_elections()).await;
    let leader = cluster.leader().await;
    let follower = (leader + 1) % 3;
    let load = Load::start(&cluster).await;
    cluster[follower].pause();
    let client = cluster.client(leader);
    for n in 0..100 {
        client.put(put("a", n.to_string())).await.unwrap();
        let response = client.range(point("a")).await.unwrap();
        assert_eq!(pairs(&response.kvs), format!("a={n}"));
    }
    cluster[follower].resume();
    load.verify(&cluster).await;
    assert_eq!(cluster.leader().await, leader);
}
