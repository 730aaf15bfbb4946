//! etcdctl's commands about users and roles.

use super::ctl::{Ctl, has, is_missing};
use crate::auth::calls;
use crate::harness::*;

also_over_tls![etcdctl_as_users];

const ROOT: &str = "--user=root:secret";
const ANN: &str = "--user=ann:word";

#[tokio::test]
async fn etcdctl_as_users() {
    if is_missing().await {
        return;
    }
    let server = Server::start(calls::settings().flag("bcrypt-cost", 4)).await;
    let ctl = Ctl::to(&[server.client()]);
    for (arguments, told) in [
        (&["user", "add", "root:secret"][..], "User root created"),
        (
            &["user", "grant-role", "root", "root"],
            "Role root is granted to user root",
        ),
        (&["role", "add", "reader"], "Role reader created"),
        (
            &[
                "role",
                "grant-permission",
                "reader",
                "--prefix=true",
                "readwrite",
                "a/",
            ],
            "Role reader updated",
        ),
        (
            &[
                "role",
                "grant-permission",
                "reader",
                "read",
                "from",
                "--from-key",
            ],
            "Role reader updated",
        ),
        (
            &["role", "revoke-permission", "reader", "from", "--from-key"],
            "Permission of range",
        ),
        (&["user", "add", "ann:word"], "User ann created"),
        (
            &["user", "add", "certified", "--no-password"],
            "User certified created",
        ),
        (
            &["user", "grant-role", "ann", "reader"],
            "Role reader is granted to user ann",
        ),
        (&["auth", "enable"], "Authentication Enabled"),
        (&[ROOT, "put", "b/secret", "1"], "OK"),
        (&[ANN, "put", "a/1", "1"], "OK"),
        (&[ANN, "get", "a/", "--prefix"], "a/1\n1"),
        (&[ROOT, "user", "list"], "ann\ncertified\nroot"),
        (&[ROOT, "user", "get", "ann"], "Roles: reader"),
        (&[ANN, "role", "get", "reader"], "[a/, a0) (prefix a/)"),
        (&[ROOT, "user", "get", "ann", "--detail"], "Role reader"),
        (&[ROOT, "role", "list"], "reader"),
        (&[ANN, "endpoint", "health"], "is healthy"),
        (
            &[ROOT, "user", "revoke-role", "ann", "reader"],
            "Role reader is revoked from user ann",
        ),
        (&[ROOT, "role", "delete", "reader"], "Role reader deleted"),
        (&[ROOT, "user", "delete", "ann"], "User ann deleted"),
        (&[ROOT, "auth", "disable"], "Authentication Disabled"),
        (&["get", "b/secret"], "b/secret\n1"),
    ] {
        let output = ctl.run(arguments).await;
        let said = output.said();
        assert!(
            output.success && said.contains(told),
            "{arguments:?}: {said}"
        );
        if arguments == ["auth", "enable"] {
            refusals(&ctl).await;
            passwords(&ctl).await;
            the_status(&ctl).await;
        }
    }
}

/// Passwords that are typed, or given apart from the name.
async fn passwords(ctl: &Ctl) {
    let typed = "--interactive=false";
    let said = ctl
        .run_with_input(&[ROOT, "user", "add", "bob", typed], "first\n")
        .await;
    assert_eq!(said.ok(), "User bob created\n");
    let said = ctl
        .run_with_input(&[ROOT, "user", "passwd", "bob", typed], "second\n")
        .await;
    assert_eq!(said.ok(), "Password updated\n");
    let old = ctl
        .run(&["--user=bob", "--password=first", "get", "a"])
        .await;
    assert!(old.stderr.contains("authentication failed"), "{old:?}");
    let new = ctl
        .run(&["--user=bob", "--password=second", "get", "a"])
        .await;
    assert!(new.stderr.contains("permission denied"), "{new:?}");
    ctl.run(&[ROOT, "user", "delete", "bob"]).await.ok();
}

async fn the_status(ctl: &Ctl) {
    // It came with 3.5.
    if has("auth", "Returns authentication status").await {
        let said = ctl.run(&[ROOT, "auth", "status"]).await.ok();
        assert!(
            said.starts_with("Authentication Status: true\nAuthRevision: "),
            "{said}"
        );
    }
}

async fn refusals(ctl: &Ctl) {
    for (arguments, told) in [
        (&["get", "a"][..], "etcdserver: user name is empty"),
        (&[ANN, "get", "b/secret"], "etcdserver: permission denied"),
        (
            &[ANN, "get", "", "--from-key"],
            "etcdserver: permission denied",
        ),
        (&[ANN, "watch", "b/secret"], "permission denied"),
        (&[ANN, "user", "list"], "etcdserver: permission denied"),
        (&[ANN, "compaction", "1"], "etcdserver: permission denied"),
        (
            &["--user=ann:wrong", "get", "a/1"],
            "etcdserver: authentication failed, invalid user ID or password",
        ),
        (
            &[ROOT, "user", "delete", "root"],
            "etcdserver: invalid auth management",
        ),
        (
            &[ROOT, "role", "add", "reader"],
            "etcdserver: role name already exists",
        ),
    ] {
        let output = ctl.run(arguments).await;
        let said = output.said();
        assert!(
            !output.success && said.contains(told),
            "{arguments:?}: {said}"
        );
    }
}
