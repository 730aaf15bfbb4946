//! Users, roles and their permissions while authentication is off.

use tonic::Code;

use super::calls::{self, Admin, Type, permit};
use crate::harness::*;

also_over_tls![administration];

#[tokio::test]
async fn administration() {
    let server = calls::fresh().await;
    let cases = cases![
        authentication_is_off_at_first,
        enabling_needs_a_root_user_with_the_root_role,
        a_token_cannot_be_had_while_off,
        a_user_is_added_listed_and_deleted,
        a_user_that_exists_cannot_be_added,
        a_user_needs_a_name,
        a_missing_user_is_refused_everywhere,
        a_user_may_have_no_password,
        a_role_is_added_listed_and_deleted,
        a_role_that_exists_cannot_be_added,
        a_role_needs_a_name,
        a_missing_role_is_refused_everywhere,
        roles_are_granted_and_revoked,
        granting_a_role_twice_is_fine,
        revoking_a_role_not_granted_is_refused,
        deleting_a_role_takes_it_from_its_users,
        permissions_are_granted_and_revoked,
        granting_again_replaces_the_kind,
        a_permission_must_be_given,
        a_permission_needs_a_sensible_range,
        revoking_a_permission_not_granted_is_refused,
        changes_count_up_the_auth_revision,
        the_store_revision_does_not_move,
    ];
    Suite::new("auth_admin", cases).run_in_order(&server).await;
}

const NO_USER: &str = "etcdserver: user name not found";
const NO_ROLE: &str = "etcdserver: role name not found";

#[track_caller]
fn precondition<T: std::fmt::Debug>(result: Result<T, tonic::Status>, message: &str) {
    refused(result, Code::FailedPrecondition, message);
}

#[track_caller]
fn invalid<T: std::fmt::Debug>(result: Result<T, tonic::Status>, message: &str) {
    refused(result, Code::InvalidArgument, message);
}

fn admin(c: &Case) -> Admin {
    Admin(c.client.clone())
}

async fn authentication_is_off_at_first(c: Case) {
    let status = admin(&c).status().await.unwrap();
    assert_eq!((status.enabled, status.auth_revision), (false, 1));
}

async fn enabling_needs_a_root_user_with_the_root_role(c: Case) {
    let admin = admin(&c);
    precondition(admin.enable().await, "etcdserver: root user does not exist");
    admin.user_add("root", "pw").await.unwrap();
    let text = "etcdserver: root user does not have root role";
    precondition(admin.enable().await, text);
    admin.user_delete("root").await.unwrap();
}

async fn a_token_cannot_be_had_while_off(c: Case) {
    let admin = admin(&c);
    admin.user_add("early", "pw").await.unwrap();
    let text = "etcdserver: authentication is not enabled";
    precondition(admin.authenticate("early", "pw").await, text);
}

async fn a_user_is_added_listed_and_deleted(c: Case) {
    let admin = admin(&c);
    admin.user_add("ann", "pw").await.unwrap();
    assert!(admin.users().await.unwrap().contains(&"ann".into()));
    assert!(admin.user_roles("ann").await.unwrap().is_empty());
    admin.change_password("ann", "other").await.unwrap();
    admin.user_delete("ann").await.unwrap();
    assert!(!admin.users().await.unwrap().contains(&"ann".into()));
}

async fn a_user_that_exists_cannot_be_added(c: Case) {
    let admin = admin(&c);
    admin.user_add("bob", "pw").await.unwrap();
    let text = "etcdserver: user name already exists";
    precondition(admin.user_add("bob", "pw").await, text);
}

async fn a_user_needs_a_name(c: Case) {
    invalid(
        admin(&c).user_add("", "pw").await,
        "etcdserver: user name is empty",
    );
}

async fn a_missing_user_is_refused_everywhere(c: Case) {
    let admin = admin(&c);
    admin.role_add("some").await.unwrap();
    precondition(admin.user_delete("nobody").await, NO_USER);
    precondition(admin.user_roles("nobody").await, NO_USER);
    precondition(admin.user_grant("nobody", "some").await, NO_USER);
    precondition(admin.user_revoke("nobody", "some").await, NO_USER);
    precondition(admin.change_password("nobody", "pw").await, NO_USER);
}

async fn a_user_may_have_no_password(c: Case) {
    let admin = admin(&c);
    admin.user_add_without_password("certified").await.unwrap();
    assert!(admin.users().await.unwrap().contains(&"certified".into()));
}

async fn a_role_is_added_listed_and_deleted(c: Case) {
    let admin = admin(&c);
    admin.role_add("cook").await.unwrap();
    assert!(admin.roles().await.unwrap().contains(&"cook".into()));
    assert!(admin.role_permissions("cook").await.unwrap().is_empty());
    admin.role_delete("cook").await.unwrap();
    assert!(!admin.roles().await.unwrap().contains(&"cook".into()));
}

async fn a_role_that_exists_cannot_be_added(c: Case) {
    let admin = admin(&c);
    admin.role_add("twice").await.unwrap();
    let text = "etcdserver: role name already exists";
    precondition(admin.role_add("twice").await, text);
}

async fn a_role_needs_a_name(c: Case) {
    invalid(
        admin(&c).role_add("").await,
        "etcdserver: role name is empty",
    );
}

async fn a_missing_role_is_refused_everywhere(c: Case) {
    let admin = admin(&c);
    admin.user_add("carl", "pw").await.unwrap();
    precondition(admin.role_delete("none").await, NO_ROLE);
    precondition(admin.role_permissions("none").await, NO_ROLE);
    precondition(admin.user_grant("carl", "none").await, NO_ROLE);
    let permission = permit(Type::Read, "a", "");
    precondition(admin.role_grant("none", Some(permission)).await, NO_ROLE);
    precondition(admin.role_revoke("none", "a", "").await, NO_ROLE);
}

/// A user and a role of this name.
async fn user_and_role(c: &Case, name: &str) -> Admin {
    let admin = admin(c);
    admin.user_add(name, "pw").await.unwrap();
    admin.role_add(name).await.unwrap();
    admin
}

async fn roles_are_granted_and_revoked(c: Case) {
    let admin = user_and_role(&c, "dora").await;
    admin.user_grant("dora", "dora").await.unwrap();
    assert_eq!(admin.user_roles("dora").await.unwrap(), ["dora"]);
    admin.user_revoke("dora", "dora").await.unwrap();
    assert!(admin.user_roles("dora").await.unwrap().is_empty());
}

async fn granting_a_role_twice_is_fine(c: Case) {
    let admin = user_and_role(&c, "emil").await;
    admin.user_grant("emil", "emil").await.unwrap();
    let before = admin.status().await.unwrap().auth_revision;
    admin.user_grant("emil", "emil").await.unwrap();
    assert_eq!(admin.status().await.unwrap().auth_revision, before);
    assert_eq!(admin.user_roles("emil").await.unwrap(), ["emil"]);
}

async fn revoking_a_role_not_granted_is_refused(c: Case) {
    let admin = user_and_role(&c, "fred").await;
    let text = "etcdserver: role is not granted to the user";
    precondition(admin.user_revoke("fred", "fred").await, text);
}

async fn deleting_a_role_takes_it_from_its_users(c: Case) {
    let admin = user_and_role(&c, "gina").await;
    admin.user_grant("gina", "gina").await.unwrap();
    admin.role_delete("gina").await.unwrap();
    assert!(admin.user_roles("gina").await.unwrap().is_empty());
}

async fn permissions_are_granted_and_revoked(c: Case) {
    let admin = user_and_role(&c, "hugo").await;
    let permissions = [
        permit(Type::Read, "a", ""),
        permit(Type::Write, "b", "d"),
        permit(Type::Readwrite, "x", NO_END),
    ];
    for permission in &permissions {
        admin
            .role_grant("hugo", Some(permission.clone()))
            .await
            .unwrap();
    }
    assert_eq!(admin.role_permissions("hugo").await.unwrap(), permissions);
    admin.role_revoke("hugo", "b", "d").await.unwrap();
    let left = admin.role_permissions("hugo").await.unwrap();
    assert_eq!(left, [permissions[0].clone(), permissions[2].clone()]);
}

async fn granting_again_replaces_the_kind(c: Case) {
    let admin = user_and_role(&c, "ines").await;
    for kind in [Type::Read, Type::Readwrite] {
        let permission = permit(kind, "a", "b");
        admin.role_grant("ines", Some(permission)).await.unwrap();
    }
    let permissions = admin.role_permissions("ines").await.unwrap();
    assert_eq!(permissions, [permit(Type::Readwrite, "a", "b")]);
}

async fn a_permission_must_be_given(c: Case) {
    let admin = user_and_role(&c, "jens").await;
    let text = "etcdserver: permission not given";
    invalid(admin.role_grant("jens", None).await, text);
}

async fn a_permission_needs_a_sensible_range(c: Case) {
    let admin = user_and_role(&c, "kate").await;
    for (key, range_end) in [("", ""), ("b", "a"), ("b", "b")] {
        let permission = permit(Type::Read, key, range_end);
        let result = admin.role_grant("kate", Some(permission)).await;
        invalid(result, "etcdserver: invalid auth management");
    }
}

async fn revoking_a_permission_not_granted_is_refused(c: Case) {
    let admin = user_and_role(&c, "lars").await;
    let text = "etcdserver: permission is not granted to the role";
    precondition(admin.role_revoke("lars", "a", "").await, text);
}

async fn changes_count_up_the_auth_revision(c: Case) {
    let admin = admin(&c);
    let before = admin.status().await.unwrap().auth_revision;
    admin.user_add("mona", "pw").await.unwrap();
    admin.role_add("mona").await.unwrap();
    admin.user_grant("mona", "mona").await.unwrap();
    let permission = permit(Type::Read, "a", "");
    admin.role_grant("mona", Some(permission)).await.unwrap();
    assert_eq!(admin.status().await.unwrap().auth_revision, before + 4);
    admin.user_roles("mona").await.unwrap();
    assert_eq!(admin.status().await.unwrap().auth_revision, before + 4);
}

async fn the_store_revision_does_not_move(c: Case) {
    let before = c.client.revision().await;
    user_and_role(&c, "nils").await;
    assert_eq!(c.client.revision().await, before);
}
