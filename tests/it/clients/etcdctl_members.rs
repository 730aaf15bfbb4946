//! etcdctl's commands about the members of a cluster.

use std::time::Duration;

use super::ctl::{Ctl, has_version, is_missing};
use crate::harness::*;

also_over_tls![etcdctl_on_a_cluster, members_come_move_and_go];

#[tokio::test]
async fn etcdctl_on_a_cluster() {
    if is_missing().await {
        return;
    }
    let cluster = Cluster::start(Settings::default()).await;
    let ctl = Ctl::to(&cluster.clients());
    let leader = cluster.leader().await;
    let status = ctl.run(&["endpoint", "status"]).await.ok();
    assert_eq!(status.lines().count(), 3, "{status}");
    let health = ctl.run(&["endpoint", "health", "--cluster"]).await;
    assert!(health.success, "{health:?}");
    let target = cluster.member_id((leader + 1) % 3).await;
    let target = format!("{target:x}");
    let moved = ctl.run(&["move-leader", &target]).await.ok();
    assert!(moved.starts_with("Leadership transferred from"), "{moved}");
    assert_eq!(cluster.leader_other_than(leader).await, (leader + 1) % 3);
    let list = ctl.run(&["member", "list"]).await.ok();
    assert_eq!(list.matches(", started, ").count(), 3, "{list}");
    one_of_them_leads_to_all(&cluster).await;
}

/// The members that `--cluster` finds by asking one.
async fn one_of_them_leads_to_all(cluster: &Cluster) {
    // Without TLS 3.4 sends a URL as the authority of these calls, which only Go's servers take.
    if Program::get().is_own() && !is_tls() && !has_version(3, 5).await {
        return;
    }
    let ctl = Ctl::to(&[cluster.client(0)]);
    for arguments in [
        ["endpoint", "status", "--cluster"],
        ["endpoint", "hashkv", "--cluster"],
    ] {
        let told = ctl.run(&arguments).await.ok();
        for member in cluster.clients() {
            assert!(told.contains(&member.url()), "{arguments:?}: {told}");
        }
    }
    let defrag = ctl.run(&["defrag", "--cluster"]).await;
    let finished = defrag
        .said()
        .matches("Finished defragmenting etcd member")
        .count();
    assert_eq!(finished, 3, "{defrag:?}");
}

/// Repeats a command while members do not count as connected or a learner not as caught up.
async fn once_taken(ctl: &Ctl, arguments: &[&str]) -> String {
    loop {
        let output = ctl.run(arguments).await;
        let early = ["unhealthy cluster", "in sync with leader"];
        if output.success || !early.iter().any(|reason| output.stderr.contains(reason)) {
            return output.ok();
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// `NAME="value"` of what `member add` prints for the new member's start.
fn printed(said: &str, name: &str) -> String {
    let start = format!("{name}=\"");
    let line = said.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("no {name} in {said}"))
        .trim_end_matches('"')
        .into()
}

#[tokio::test]
async fn members_come_move_and_go() {
    if is_missing().await {
        return;
    }
    let mut cluster = Cluster::start_one(Settings::default().quick_elections()).await;
    let ctl = Ctl::to(&[cluster.client(0)]);
    let joining = cluster.prepare_joining("b");
    let url = format!("--peer-urls={}", cluster[joining].peer_url());
    let said = once_taken(&ctl, &["member", "add", "b", &url, "--learner"]).await;
    assert!(said.contains(" added to cluster "), "{said}");
    // It may be padded here, and is not in the list.
    let id = said.split_whitespace().nth(1).unwrap().to_owned();
    let list = ctl.run(&["member", "list"]).await.ok();
    let unstarted = format!("{id}, unstarted, ");
    assert!(
        list.lines()
            .any(|line| line.starts_with(&unstarted) && line.ends_with("true")),
        "{list}"
    );

    // It starts with what was printed.
    assert_eq!(printed(&said, "ETCD_NAME"), "b");
    for (flag, name) in [
        ("initial-cluster", "ETCD_INITIAL_CLUSTER"),
        ("initial-cluster-state", "ETCD_INITIAL_CLUSTER_STATE"),
        (
            "initial-advertise-peer-urls",
            "ETCD_INITIAL_ADVERTISE_PEER_URLS",
        ),
    ] {
        cluster[joining].set_flag(flag, printed(&said, name));
    }
    cluster[joining].spawn();
    cluster[joining].alive().await;
    let promoted = once_taken(&ctl, &["member", "promote", &id]).await;
    assert!(
        promoted.contains(&format!("{id} promoted in cluster ")),
        "{promoted}"
    );
    cluster[joining].ready().await;

    cluster[joining].move_peer_url();
    let url = format!("--peer-urls={}", cluster[joining].peer_url());
    let updated = ctl.run(&["member", "update", &id, &url]).await.ok();
    assert!(
        updated.contains(&format!("{id} updated in cluster ")),
        "{updated}"
    );
    cluster[joining].terminate();
    cluster[joining].restart().await;
    let list = ctl.run(&["member", "list"]).await.ok();
    assert!(list.contains(cluster[joining].peer_url()), "{list}");
    assert_eq!(list.matches(", started, ").count(), 2, "{list}");

    let removed = once_taken(&ctl, &["member", "remove", &id]).await;
    assert!(
        removed.contains(&format!("{id} removed from cluster ")),
        "{removed}"
    );
    cluster[joining].ended().await;
    let voter = format!("--peer-urls=http://127.0.0.1:{}", free_ports(1)[0]);
    let said = once_taken(&ctl, &["member", "add", "c", &voter]).await;
    assert_eq!(printed(&said, "ETCD_NAME"), "c");
}
