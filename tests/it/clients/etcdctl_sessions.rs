//! etcdctl's commands that go on: keep-alive, lock, elect, and watches that run commands or are typed.

use super::ctl::{Ongoing, ctl, ctl_start, is_missing, key};
use super::etcdctl::grant_lease;
use crate::harness::*;

also_over_tls![etcdctl_goes_on];

#[tokio::test]
async fn etcdctl_goes_on() {
    if is_missing().await {
        return;
    }
    let cases = cases![
        a_watch_runs_a_command,
        watches_are_typed,
        a_lease_is_kept_alive,
        a_lease_is_kept_alive_again_and_again,
        lock_runs_a_command,
        a_command_knows_the_lock_and_its_failure_is_told,
        two_locks_exclude_each_other,
        a_lock_ends_with_its_time,
        elect_tells_the_leader,
        the_next_candidate_follows,
    ];
    Suite::new("etcdctl_sessions", cases)
        .run(shared().await)
        .await;
}

/// Reads lines until all of `due` have come, in any order.
async fn told(command: &mut Ongoing, due: &[String]) {
    let mut missing = due.to_vec();
    while !missing.is_empty() {
        let line = command.line().await;
        missing.retain(|due| *due != line);
    }
}

async fn a_watch_runs_a_command(c: Case) {
    let key = key(&c, "a");
    let from = c.put("a", "1").await;
    let revision = format!("--rev={from}");
    let mut watch = ctl_start(&c, &["watch", &revision, &key, "--", "env"]);
    let due = |kind: &str, value: &str| {
        [
            format!("ETCD_WATCH_EVENT_TYPE=\"{kind}\""),
            format!("ETCD_WATCH_KEY=\"{key}\""),
            format!("ETCD_WATCH_VALUE=\"{value}\""),
        ]
    };
    told(&mut watch, &due("PUT", "1")).await;
    c.delete("a").await;
    // Not the revision that the command is told too: it is the store's, and other cases write meanwhile.
    told(&mut watch, &due("DELETE", "")).await;
}

async fn watches_are_typed(c: Case) {
    let (a, b) = (key(&c, "a"), key(&c, "b"));
    let from = c.put("a", "1").await;
    c.put("b", "2").await;
    let mut watch = ctl_start(&c, &["watch", "-i"]);
    watch.type_line(&format!("watch {a} --rev={from}")).await;
    watch.told_in_order(&["PUT", &a, "1"]).await;
    watch.type_line(&format!("watch {b} --rev={from}")).await;
    watch.told_in_order(&["PUT", &b, "2"]).await;
    // Passed over while one of the watches still reads what was before.
    let told = loop {
        watch.type_line("progress").await;
        if let Some(line) = watch.line_within(QUIET).await {
            break line;
        }
    };
    assert!(told.starts_with("progress notify: "), "{told}");
}

async fn a_lease_is_kept_alive(c: Case) {
    let id = grant_lease(&c, "60").await;
    let output = ctl(&c, &["lease", "keep-alive", "--once", &id]).await.ok();
    assert_eq!(output, format!("lease {id} keepalived with TTL(60)\n"));
}

async fn a_lease_is_kept_alive_again_and_again(c: Case) {
    let id = grant_lease(&c, "2").await;
    let mut keeper = ctl_start(&c, &["lease", "keep-alive", &id]);
    // Far more often than once in its time.
    for _ in 0..5 {
        let line = keeper.line().await;
        assert_eq!(line, format!("lease {id} keepalived with TTL(2)"));
    }
    keeper.interrupt().await;
    let left = ctl(&c, &["lease", "timetolive", &id]).await.ok();
    assert!(left.contains("granted with TTL(2s), remaining("), "{left}");
}

async fn lock_runs_a_command(c: Case) {
    let output = ctl(&c, &["lock", &key(&c, "lock"), "echo", "held"]).await;
    assert_eq!(output.ok(), "held\n");
    assert_eq!(c.stored().await, "");
}

async fn a_command_knows_the_lock_and_its_failure_is_told(c: Case) {
    let name = key(&c, "lock");
    let told = ctl(&c, &["lock", &name, "env"]).await.ok();
    let own = format!("ETCD_LOCK_KEY={name}/");
    assert!(told.lines().any(|line| line.starts_with(&own)), "{told}");
    assert!(told.contains("ETCD_LOCK_REV="), "{told}");
    let failed = ctl(&c, &["lock", &name, "false"]).await;
    assert!(!failed.success, "{failed:?}");
    assert_eq!(c.stored().await, "");
}

async fn two_locks_exclude_each_other(c: Case) {
    let name = key(&c, "lock");
    let mut first = ctl_start(&c, &["lock", &name]);
    assert!(first.line().await.starts_with(&name));
    let mut second = ctl_start(&c, &["lock", &name]);
    while c.range(c.all()).await.count < 2 {
        tokio::time::sleep(QUIET / 10).await;
    }
    second.stays_quiet().await;
    first.interrupt().await;
    assert!(second.line().await.starts_with(&name));
}

/// Whoever holds it is gone without a word.
async fn a_lock_ends_with_its_time(c: Case) {
    let name = key(&c, "lock");
    let mut gone = ctl_start(&c, &["lock", "--ttl=2", &name]);
    assert!(gone.line().await.starts_with(&name));
    let mut next = ctl_start(&c, &["lock", &name]);
    while c.range(c.all()).await.count < 2 {
        tokio::time::sleep(QUIET / 10).await;
    }
    drop(gone);
    assert!(next.line().await.starts_with(&name));
}

async fn elect_tells_the_leader(c: Case) {
    let name = key(&c, "election");
    let mut candidate = ctl_start(&c, &["elect", &name, "me"]);
    assert!(candidate.line().await.starts_with(&name));
    assert_eq!(candidate.line().await, "me");
    let mut observer = ctl_start(&c, &["elect", "--listen", &name]);
    assert!(observer.line().await.starts_with(&name));
    assert_eq!(observer.line().await, "me");
}

async fn the_next_candidate_follows(c: Case) {
    let name = key(&c, "election");
    let mut first = ctl_start(&c, &["elect", &name, "one"]);
    assert!(first.line().await.starts_with(&name));
    assert_eq!(first.line().await, "one");
    let mut second = ctl_start(&c, &["elect", &name, "two"]);
    while c.range(c.all()).await.count < 2 {
        tokio::time::sleep(QUIET / 10).await;
    }
    let mut observer = ctl_start(&c, &["elect", "--listen", &name]);
    assert!(observer.line().await.starts_with(&name));
    assert_eq!(observer.line().await, "one");
    first.interrupt().await;
    assert!(observer.line().await.starts_with(&name));
    assert_eq!(observer.line().await, "two");
    assert!(second.line().await.starts_with(&name));
}
