//! etcdctl, if it is on the PATH; 3.4 and later.

use std::process::Stdio;

use holdfast::etcd::pb::etcdserverpb::alarm_request::AlarmAction;
use holdfast::etcd::pb::etcdserverpb::{AlarmRequest, AlarmType};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::harness::*;

#[tokio::test]
async fn etcdctl() {
    if is_missing().await {
        return;
    }
    let server = Server::fresh().await;
    let cases = cases![
        put_and_get,
        put_tells_the_previous_value,
        get_a_range_a_prefix_and_from_a_key,
        get_sorted_limited_and_at_a_revision,
        get_prints_json,
        delete_counts,
        a_successful_transaction,
        a_failed_transaction,
        watch_tells_events,
        watch_tells_history,
        a_lease_is_granted_used_and_revoked,
        a_lease_is_kept_alive,
        leases_are_listed,
        lock_runs_a_command,
        two_locks_exclude_each_other,
        elect_tells_the_leader,
        members_are_listed,
        the_endpoint_is_healthy,
        endpoint_status_is_told,
        hashes_are_told,
        defragmentation_finishes,
        there_are_no_alarms,
        errors_are_told,
        moving_the_leader_to_a_stranger_is_refused,
        a_snapshot_is_saved,
    ];
    Suite::new("etcdctl", cases).run(&server).await;
    let last = cases![a_compaction_is_done_and_refused_twice];
    Suite::new("etcdctl", last).run(&server).await;
    // Nobody else writes while there is an alarm or a downgrade.
    let alone = cases![
        alarms_are_listed_and_disarmed,
        a_downgrade_is_judged_begun_and_cancelled,
    ];
    Suite::new("etcdctl", alone).run_in_order(&server).await;
}

#[tokio::test]
async fn etcdctl_on_a_cluster() {
    if is_missing().await {
        return;
    }
    let cluster = Cluster::start(Settings::default()).await;
    let endpoints = cluster.addresses().join(",");
    let leader = cluster.leader().await;
    let status = run(&endpoints, &["endpoint", "status"]).await.ok();
    assert_eq!(status.lines().count(), 3, "{status}");
    let health = run(&endpoints, &["endpoint", "health", "--cluster"]).await;
    assert!(health.success, "{health:?}");
    let target = cluster.member_id((leader + 1) % 3).await;
    let target = format!("{target:x}");
    let moved = run(&endpoints, &["move-leader", &target]).await.ok();
    assert!(moved.starts_with("Leadership transferred from"), "{moved}");
    assert_eq!(cluster.leader_other_than(leader).await, (leader + 1) % 3);
    let list = run(&endpoints, &["member", "list"]).await.ok();
    assert_eq!(list.matches(", started, ").count(), 3, "{list}");
}

/// Takes a minute, so only when asked for.
#[tokio::test]
async fn check_perf() {
    let asked = std::env::var_os("HOLDFAST_TEST_CHECK_PERF").is_some();
    if !asked || is_missing().await {
        return;
    }
    let server = Server::fresh().await;
    let output = run(server.address(), &["check", "perf", "--load", "s"]).await;
    assert!(output.success, "{output:?}");
}

pub(super) async fn is_missing() -> bool {
    let missing = Command::new("etcdctl")
        .arg("version")
        .output()
        .await
        .is_err();
    if missing {
        eprintln!("etcdctl: skipped, not on the PATH");
    }
    missing
}

#[derive(Debug)]
pub(super) struct Output {
    pub(super) success: bool,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Output {
    /// What it printed; it must have succeeded.
    #[track_caller]
    fn ok(self) -> String {
        assert!(self.success, "{self:?}");
        self.stdout
    }
}

fn command(endpoints: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("etcdctl");
    command
        .env("ETCDCTL_API", "3")
        .arg(format!("--endpoints={endpoints}"))
        .args(arguments)
        .kill_on_drop(true);
    command
}

pub(super) async fn run(endpoints: &str, arguments: &[&str]) -> Output {
    let output = command(endpoints, arguments).output().await.unwrap();
    Output {
        success: output.status.success(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

async fn ctl(c: &Case, arguments: &[&str]) -> Output {
    run(&c.client.address, arguments).await
}

/// A command with text on its standard input.
async fn ctl_with_input(c: &Case, arguments: &[&str], input: &str) -> String {
    let mut child = command(&c.client.address, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// A command that goes on; lines of its standard output.
fn ctl_lines(c: &Case, arguments: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut child = command(&c.client.address, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    (child, stdout.lines())
}

async fn line(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    let line = tokio::time::timeout(PATIENCE, lines.next_line()).await;
    line.expect("a line in time").unwrap().expect("a line")
}

fn key(c: &Case, name: &str) -> String {
    text(&c.key(name)).into()
}

async fn put_and_get(c: Case) {
    let key = key(&c, "a");
    assert_eq!(ctl(&c, &["put", &key, "1"]).await.ok(), "OK\n");
    assert_eq!(ctl(&c, &["get", &key]).await.ok(), format!("{key}\n1\n"));
    let value = ctl(&c, &["get", &key, "--print-value-only"]).await;
    assert_eq!(value.ok(), "1\n");
    assert_eq!(ctl(&c, &["get", &format!("{key}x")]).await.ok(), "");
}

async fn put_tells_the_previous_value(c: Case) {
    let key = key(&c, "a");
    ctl(&c, &["put", &key, "1"]).await.ok();
    let output = ctl(&c, &["put", &key, "2", "--prev-kv"]).await;
    assert_eq!(output.ok(), format!("OK\n{key}\n1\n"));
}

async fn get_a_range_a_prefix_and_from_a_key(c: Case) {
    c.put_all("a=1 b=2 c=3").await;
    let prefix = text(&c.prefix()).to_owned();
    let (a, b, end) = (key(&c, "a"), key(&c, "b"), key(&c, "z"));
    let keys = |output: String| output.lines().filter(|line| !line.is_empty()).count();
    let output = ctl(&c, &["get", "--keys-only", &a, &b]).await;
    assert_eq!(keys(output.ok()), 1);
    let output = ctl(&c, &["get", "--keys-only", "--prefix", &prefix]).await;
    assert_eq!(keys(output.ok()), 3);
    let output = ctl(&c, &["get", "--keys-only", &b, &end]).await;
    assert_eq!(keys(output.ok()), 2);
    let output = ctl(&c, &["get", "--keys-only", "--from-key", &b]).await;
    assert!(output.ok().starts_with(&b));
}

async fn get_sorted_limited_and_at_a_revision(c: Case) {
    let old = c.put_all("a=3 b=1 c=2").await;
    c.put("a", "0").await;
    let prefix = text(&c.prefix()).to_owned();
    let revision = format!("--rev={old}");
    let arguments = [
        "get",
        "--prefix",
        &prefix,
        &revision,
        "--sort-by=VALUE",
        "--order=DESCEND",
        "--limit=2",
        "--print-value-only",
    ];
    assert_eq!(ctl(&c, &arguments).await.ok(), "3\n2\n");
    let local = [
        "get",
        &key(&c, "b"),
        "--consistency=s",
        "--print-value-only",
    ];
    assert_eq!(ctl(&c, &local).await.ok(), "1\n");
}

async fn get_prints_json(c: Case) {
    let written = c.put("a", "1").await;
    let output = ctl(&c, &["get", &key(&c, "a"), "-w", "json"]).await.ok();
    let json: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!(json["count"], 1);
    assert_eq!(json["kvs"][0]["mod_revision"], written);
}

async fn delete_counts(c: Case) {
    c.put_all("a=1 b=2 c=3").await;
    assert_eq!(ctl(&c, &["del", &key(&c, "a")]).await.ok(), "1\n");
    assert_eq!(ctl(&c, &["del", &key(&c, "a")]).await.ok(), "0\n");
    let prefix = text(&c.prefix()).to_owned();
    let output = ctl(&c, &["del", "--prefix", &prefix, "--prev-kv"])
        .await
        .ok();
    assert!(output.starts_with("2\n"));
}

async fn transaction(c: &Case) -> String {
    let (a, b) = (key(c, "a"), key(c, "b"));
    let text = format!("value(\"{a}\") = \"1\"\n\nput {b} yes\nget {b}\n\nget {a}\n\n");
    ctl_with_input(c, &["txn"], &text).await
}

async fn a_successful_transaction(c: Case) {
    c.put("a", "1").await;
    let b = key(&c, "b");
    assert_eq!(
        transaction(&c).await,
        format!("SUCCESS\n\nOK\n\n{b}\nyes\n")
    );
    assert_eq!(c.stored().await, "a=1 b=yes");
}

async fn a_failed_transaction(c: Case) {
    c.put("a", "2").await;
    let a = key(&c, "a");
    assert_eq!(transaction(&c).await, format!("FAILURE\n\n{a}\n2\n"));
    assert_eq!(c.stored().await, "a=2");
}

/// Reads lines until `due` have come in this order.
async fn told_in_order(lines: &mut Lines<BufReader<ChildStdout>>, due: &[&str]) {
    for expected in due {
        assert_eq!(&line(lines).await, expected);
    }
}

async fn watch_tells_events(c: Case) {
    let key = key(&c, "a");
    let from_now = format!("--rev={}", c.client.revision().await + 1);
    let (_child, mut lines) = ctl_lines(&c, &["watch", &from_now, &key]);
    c.put("a", "1").await;
    told_in_order(&mut lines, &["PUT", &key, "1"]).await;
    c.delete("a").await;
    told_in_order(&mut lines, &["DELETE", &key, ""]).await;
}

async fn watch_tells_history(c: Case) {
    let first = c.put("a", "1").await;
    c.put("a", "2").await;
    let key = key(&c, "a");
    let revision = format!("--rev={first}");
    let (_child, mut lines) = ctl_lines(&c, &["watch", &revision, "--prev-kv", &key]);
    let due = ["PUT", "", "", &key, "1", "PUT", &key, "1", &key, "2"];
    let mut seen = Vec::new();
    while seen.last().is_none_or(|last| last != "2") {
        seen.push(line(&mut lines).await);
    }
    let seen: Vec<_> = seen.iter().filter(|line| !line.is_empty()).collect();
    let due: Vec<_> = due.iter().filter(|line| !line.is_empty()).collect();
    assert_eq!(seen, due);
}

/// Grants a lease; its id in hexadecimal.
async fn grant_lease(c: &Case, ttl: &str) -> String {
    let output = ctl(c, &["lease", "grant", ttl]).await.ok();
    let id = output.split(' ').nth(1).unwrap();
    assert_eq!(output, format!("lease {id} granted with TTL({ttl}s)\n"));
    id.into()
}

async fn a_lease_is_granted_used_and_revoked(c: Case) {
    let id = grant_lease(&c, "100").await;
    let key = key(&c, "a");
    let lease = format!("--lease={id}");
    ctl(&c, &["put", &key, "1", &lease]).await.ok();
    let output = ctl(&c, &["lease", "timetolive", &id, "--keys"]).await.ok();
    let start = format!("lease {id} granted with TTL(100s), remaining(");
    assert!(output.starts_with(&start), "{output}");
    assert!(
        output.contains(&format!("attached keys([{key}])")),
        "{output}"
    );
    let output = ctl(&c, &["lease", "revoke", &id]).await.ok();
    assert_eq!(output, format!("lease {id} revoked\n"));
    assert_eq!(c.stored().await, "");
    let output = ctl(&c, &["lease", "timetolive", &id]).await.ok();
    assert_eq!(output, format!("lease {id} already expired\n"));
}

async fn a_lease_is_kept_alive(c: Case) {
    let id = grant_lease(&c, "60").await;
    let output = ctl(&c, &["lease", "keep-alive", "--once", &id]).await.ok();
    assert_eq!(output, format!("lease {id} keepalived with TTL(60)\n"));
}

async fn leases_are_listed(c: Case) {
    let id = grant_lease(&c, "60").await;
    let output = ctl(&c, &["lease", "list"]).await.ok();
    assert!(output.lines().any(|line| line == id), "{output}");
}

async fn lock_runs_a_command(c: Case) {
    let output = ctl(&c, &["lock", &key(&c, "lock"), "echo", "held"]).await;
    assert_eq!(output.ok(), "held\n");
    assert_eq!(c.stored().await, "");
}

async fn two_locks_exclude_each_other(c: Case) {
    let name = key(&c, "lock");
    let (mut first, mut first_lines) = ctl_lines(&c, &["lock", &name]);
    let held = line(&mut first_lines).await;
    assert!(held.starts_with(&name), "{held}");
    let (_second, mut second_lines) = ctl_lines(&c, &["lock", &name]);
    while c.range(c.all()).await.count < 2 {
        tokio::time::sleep(QUIET / 10).await;
    }
    let waiting = tokio::time::timeout(QUIET, second_lines.next_line()).await;
    assert!(waiting.is_err(), "both hold the lock");
    let pid = rustix::process::Pid::from_raw(first.id().unwrap() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    first.wait().await.unwrap();
    assert!(line(&mut second_lines).await.starts_with(&name));
}

async fn elect_tells_the_leader(c: Case) {
    let name = key(&c, "election");
    let (_candidate, mut lines) = ctl_lines(&c, &["elect", &name, "me"]);
    assert!(line(&mut lines).await.starts_with(&name));
    assert_eq!(line(&mut lines).await, "me");
    let (_observer, mut lines) = ctl_lines(&c, &["elect", "--listen", &name]);
    assert!(line(&mut lines).await.starts_with(&name));
    assert_eq!(line(&mut lines).await, "me");
}

async fn members_are_listed(c: Case) {
    let output = ctl(&c, &["member", "list"]).await.ok();
    let url = format!("http://{}", c.client.address);
    assert!(output.contains(", started, default, http://"), "{output}");
    assert!(output.contains(&url), "{output}");
}

async fn the_endpoint_is_healthy(c: Case) {
    let output = ctl(&c, &["endpoint", "health"]).await;
    let all = format!("{}{}", output.stdout, output.stderr);
    assert!(
        all.contains("is healthy: successfully committed proposal"),
        "{all}"
    );
    assert!(output.success);
}

async fn endpoint_status_is_told(c: Case) {
    let output = ctl(&c, &["endpoint", "status", "-w", "json"]).await.ok();
    let json: serde_json::Value = serde_json::from_str(&output).unwrap();
    let status = &json[0]["Status"];
    assert_eq!(status["leader"], status["header"]["member_id"]);
    assert!(status["dbSize"].as_i64().unwrap() > 0);
}

async fn hashes_are_told(c: Case) {
    let output = ctl(&c, &["endpoint", "hashkv"]).await.ok();
    assert!(output.starts_with(&c.client.address), "{output}");
}

async fn defragmentation_finishes(c: Case) {
    let output = ctl(&c, &["defrag"]).await;
    let all = format!("{}{}", output.stdout, output.stderr);
    assert!(all.contains("Finished defragmenting etcd member"), "{all}");
}

async fn there_are_no_alarms(c: Case) {
    assert_eq!(ctl(&c, &["alarm", "list"]).await.ok(), "");
    assert_eq!(ctl(&c, &["alarm", "disarm"]).await.ok(), "");
}

async fn alarms_are_listed_and_disarmed(c: Case) {
    let raise = AlarmRequest {
        action: AlarmAction::Activate.into(),
        member_id: 5,
        alarm: AlarmType::Nospace.into(),
    };
    c.client.alarm(raise).await.unwrap();
    let line = "memberID:5 alarm:NOSPACE \n";
    assert_eq!(ctl(&c, &["alarm", "list"]).await.ok(), line);
    let put = ctl(&c, &["put", &key(&c, "a"), "1"]).await;
    assert!(put.stderr.contains("mvcc: database space exceeded"));
    assert_eq!(ctl(&c, &["alarm", "disarm"]).await.ok(), line);
    assert_eq!(ctl(&c, &["alarm", "list"]).await.ok(), "");
    assert!(ctl(&c, &["put", &key(&c, "a"), "1"]).await.success);
}

async fn a_downgrade_is_judged_begun_and_cancelled(c: Case) {
    let (major, minor) = c.client.version().await;
    let help = ctl(&c, &["downgrade", "--help"]).await;
    // The command came with 3.6.
    if (major, minor) < (3, 6) || !help.stdout.contains("downgrade validate") {
        return;
    }
    let older = format!("{major}.{}.0", minor - 1);
    for arguments in [
        &["downgrade", "validate", &older][..],
        &["downgrade", "enable", &older],
        &["downgrade", "cancel"],
        &["downgrade", "validate", &older],
    ] {
        let output = ctl(&c, arguments).await;
        assert!(output.success, "{arguments:?}: {output:?}");
    }
    let same = format!("{major}.{minor}.0");
    let refused = ctl(&c, &["downgrade", "validate", &same]).await;
    assert!(!refused.success);
    assert!(
        refused
            .stderr
            .contains("etcdserver: invalid downgrade target version")
    );
}

async fn errors_are_told(c: Case) {
    for (arguments, message) in [
        (&["put", "", "1"][..], "etcdserver: key is not provided"),
        (
            &["put", "a", "1", "--lease=7777"],
            "etcdserver: requested lease not found",
        ),
        (
            &["get", "a", "--rev=999999999"],
            "etcdserver: mvcc: required revision is a future revision",
        ),
        (
            &["lease", "revoke", "7777"],
            "etcdserver: requested lease not found",
        ),
        (
            &["member", "remove", "7777"],
            "etcdserver: member not found",
        ),
    ] {
        let output = ctl(&c, arguments).await;
        assert!(!output.success, "{arguments:?}");
        assert!(output.stderr.contains(message), "{}", output.stderr);
    }
}

async fn moving_the_leader_to_a_stranger_is_refused(c: Case) {
    let output = ctl(&c, &["move-leader", "123"]).await;
    assert!(!output.success);
    assert!(output.stderr.contains("etcdserver: bad leader transferee"));
}

async fn a_snapshot_is_saved(c: Case) {
    c.put("a", &"v".repeat(100_000)).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("snapshot");
    ctl(&c, &["snapshot", "save", path.to_str().unwrap()])
        .await
        .ok();
    assert_eq!(path.metadata().unwrap().len() % 512, 32);
}

async fn a_compaction_is_done_and_refused_twice(c: Case) {
    let now = c.put("a", "1").await.to_string();
    let output = ctl(&c, &["compaction", &now]).await.ok();
    assert_eq!(output, format!("compacted revision {now}\n"));
    let output = ctl(&c, &["compaction", &now]).await;
    assert!(!output.success);
    let message = "etcdserver: mvcc: required revision has been compacted";
    assert!(output.stderr.contains(message), "{}", output.stderr);
}
