//! Which keys a user may read and write.

use holdfast::etcd::pb::etcdserverpb::{DeleteRangeRequest, PutRequest};
use tonic::{Code, Status};

use super::calls::{self, Admin, Type, permit, permit_prefix};
use crate::harness::*;

also_over_tls![permissions];

#[tokio::test]
async fn permissions() {
    let server = calls::fresh().await;
    Admin(server.client()).enable_with_root().await;
    let cases = cases![
        a_reader_reads_its_keys_only,
        a_reader_cannot_write,
        a_writer_writes_its_keys_only,
        a_writer_cannot_read,
        a_range_must_be_permitted_whole,
        adjacent_permissions_make_one_range,
        an_open_permission_reaches_to_the_end,
        a_point_permission_is_one_key,
        the_previous_value_needs_reading_too,
        a_transaction_needs_everything_in_both_branches,
        a_nested_transaction_needs_everything_too,
        a_watch_needs_its_whole_range,
        a_refused_watch_leaves_the_stream_open,
        a_revoked_role_counts_at_once,
        a_user_with_two_roles_has_both,
        a_user_without_roles_has_nothing,
        root_may_do_everything,
    ];
    Suite::new("permissions", cases)
        .since(3, 7, cases![a_watch_from_a_key_on_needs_everything_above])
        .run_in_order(&server)
        .await;
}

#[track_caller]
fn denied<T: std::fmt::Debug>(result: Result<T, Status>) {
    refused(
        result,
        Code::PermissionDenied,
        "etcdserver: permission denied",
    );
}

/// Users of a case have names of their own, since users are shared by the whole server.
struct Cast {
    root: Admin,
    login: Admin,
    prefix: String,
}

impl Cast {
    async fn of(c: &Case) -> Self {
        let login = Admin(c.client.clone());
        Self {
            root: Admin(login.as_user("root", "root").await),
            login,
            prefix: text(&c.prefix()).into(),
        }
    }

    /// A new user with one permission on all keys of the case.
    async fn user(&self, kind: Type) -> Client {
        self.user_with(vec![permit_prefix(kind, &self.prefix)])
            .await
    }

    async fn user_with(&self, permissions: Vec<holdfast::etcd::pb::authpb::Permission>) -> Client {
        let count = self.root.users().await.unwrap().len();
        let name = format!("user-{count}");
        self.root.add_with(&name, permissions).await;
        self.login.as_user(&name, &name).await
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    async fn put(&self, name: &str, value: &str) {
        self.root.0.put(put(self.key(name), value)).await.unwrap();
    }
}

async fn a_reader_reads_its_keys_only(c: Case) {
    let cast = Cast::of(&c).await;
    cast.put("a", "1").await;
    let reader = cast.user(Type::Read).await;
    assert_eq!(pairs(&reader.range(c.all()).await.unwrap().kvs), "a=1");
    denied(reader.range(point("elsewhere")).await);
    let mut local = point("elsewhere");
    local.serializable = true;
    denied(reader.range(local).await);
}

async fn a_reader_cannot_write(c: Case) {
    let cast = Cast::of(&c).await;
    let reader = cast.user(Type::Read).await;
    denied(reader.put(put(cast.key("a"), "1")).await);
    denied(reader.delete_range(delete(cast.key("a"))).await);
    let write = always(vec![op::put(cast.key("a"), "1")]);
    denied(reader.txn(write).await);
}

async fn a_writer_writes_its_keys_only(c: Case) {
    let cast = Cast::of(&c).await;
    let writer = cast.user(Type::Write).await;
    writer.put(put(cast.key("a"), "1")).await.unwrap();
    writer.delete_range(delete(cast.key("a"))).await.unwrap();
    denied(writer.put(put("elsewhere", "1")).await);
    denied(writer.delete_range(delete("elsewhere")).await);
}

async fn a_writer_cannot_read(c: Case) {
    let cast = Cast::of(&c).await;
    let writer = cast.user(Type::Write).await;
    denied(writer.range(point(cast.key("a"))).await);
}

async fn a_range_must_be_permitted_whole(c: Case) {
    let cast = Cast::of(&c).await;
    let some = permit(Type::Readwrite, cast.key("b"), cast.key("d"));
    let user = cast.user_with(vec![some]).await;
    let range = |from, to| span(cast.key(from), cast.key(to));
    user.range(range("b", "d")).await.unwrap();
    user.range(range("c", "cc")).await.unwrap();
    for (from, to) in [("a", "c"), ("c", "e"), ("a", "e"), ("d", "e")] {
        denied(user.range(range(from, to)).await);
        let request = delete_span(cast.key(from), cast.key(to));
        denied(user.delete_range(request).await);
    }
    denied(user.range(span(cast.key("c"), NO_END)).await);
}

async fn adjacent_permissions_make_one_range(c: Case) {
    let cast = Cast::of(&c).await;
    let (a, b, d) = (cast.key("a"), cast.key("b"), cast.key("d"));
    let parts = vec![permit(Type::Read, &a, &b), permit(Type::Read, &b, &d)];
    let user = cast.user_with(parts).await;
    user.range(span(&a, &d)).await.unwrap();
}

async fn an_open_permission_reaches_to_the_end(c: Case) {
    let cast = Cast::of(&c).await;
    let open = permit(Type::Read, cast.key("b"), NO_END);
    let user = cast.user_with(vec![open]).await;
    user.range(span(cast.key("b"), NO_END)).await.unwrap();
    user.range(point("zzz")).await.unwrap();
    denied(user.range(span(cast.key("a"), NO_END)).await);
    denied(user.range(point(cast.key("a"))).await);
}

async fn a_point_permission_is_one_key(c: Case) {
    let cast = Cast::of(&c).await;
    let one = permit(Type::Read, cast.key("a"), "");
    let user = cast.user_with(vec![one]).await;
    user.range(point(cast.key("a"))).await.unwrap();
    denied(user.range(point(cast.key("aa"))).await);
    denied(user.range(prefixed(cast.key("a"))).await);
}

async fn the_previous_value_needs_reading_too(c: Case) {
    let cast = Cast::of(&c).await;
    let writer = cast.user(Type::Write).await;
    let with_prev = PutRequest {
        prev_kv: true,
        ..put(cast.key("a"), "1")
    };
    denied(writer.put(with_prev.clone()).await);
    let delete_with_prev = DeleteRangeRequest {
        prev_kv: true,
        ..delete(cast.key("a"))
    };
    denied(writer.delete_range(delete_with_prev).await);
    let both = cast.user(Type::Readwrite).await;
    both.put(with_prev).await.unwrap();
}

async fn a_transaction_needs_everything_in_both_branches(c: Case) {
    let cast = Cast::of(&c).await;
    let user = cast.user(Type::Readwrite).await;
    let mine = || vec![op::put(cast.key("a"), "1")];
    let theirs = || vec![op::get("elsewhere")];
    user.txn(txn(vec![], mine(), mine())).await.unwrap();
    denied(user.txn(txn(vec![], mine(), theirs())).await);
    denied(user.txn(txn(vec![], theirs(), mine())).await);
    let compare = cmp::version("elsewhere", cmp::Result::Equal, 0);
    denied(user.txn(txn(vec![compare], mine(), vec![])).await);
}

async fn a_nested_transaction_needs_everything_too(c: Case) {
    let cast = Cast::of(&c).await;
    let user = cast.user(Type::Readwrite).await;
    let theirs = op::txn(txn(vec![], vec![], vec![op::get("elsewhere")]));
    denied(user.txn(always(vec![theirs])).await);
    let mine = op::txn(always(vec![op::put(cast.key("a"), "1")]));
    user.txn(always(vec![mine])).await.unwrap();
}

const WATCH_DENIED: &str =
    "rpc error: code = PermissionDenied desc = etcdserver: permission denied";

async fn a_watch_needs_its_whole_range(c: Case) {
    let cast = Cast::of(&c).await;
    let reader = cast.user(Type::Read).await;
    let (mut watch, created) = Watch::start(&reader, watch_prefix(c.prefix())).await;
    assert!(created.created && !created.canceled);
    cast.put("a", "1").await;
    assert_eq!(told(&watch.next().await.events), "PUT a=1");
    for request in [watch_key("elsewhere"), watch_prefix("p")] {
        let (_watch, response) = Watch::start(&reader, request).await;
        assert_eq!((response.watch_id, response.canceled), (-1, true));
        assert_eq!(response.cancel_reason, WATCH_DENIED);
    }
}

/// A watch without an upper bound must be authorised as such (GHSA-xg4h-6gfc-h4m8).
async fn a_watch_from_a_key_on_needs_everything_above(c: Case) {
    let cast = Cast::of(&c).await;
    let one = permit(Type::Read, cast.key("a"), "");
    let user = cast.user_with(vec![one]).await;
    let mut request = watch_key(cast.key("a"));
    request.range_end = bytes(NO_END);
    let (mut watch, response) = Watch::start(&user, request).await;
    if !response.canceled {
        cast.put("b", "secret").await;
        watch.stays_quiet().await;
    }
}

async fn a_refused_watch_leaves_the_stream_open(c: Case) {
    let cast = Cast::of(&c).await;
    let reader = cast.user(Type::Read).await;
    let (mut watch, response) = Watch::start(&reader, watch_key("elsewhere")).await;
    assert!(response.canceled);
    assert!(!watch.create(watch_prefix(c.prefix())).await.canceled);
    cast.put("a", "1").await;
    assert_eq!(told(&watch.next().await.events), "PUT a=1");
}

async fn a_revoked_role_counts_at_once(c: Case) {
    let cast = Cast::of(&c).await;
    let name = "leaver";
    let all = permit_prefix(Type::Read, c.prefix());
    cast.root.add_with(name, vec![all]).await;
    let user = cast.login.as_user(name, name).await;
    user.range(c.all()).await.unwrap();
    cast.root.user_revoke(name, name).await.unwrap();
    denied(user.range(c.all()).await);
}

async fn a_user_with_two_roles_has_both(c: Case) {
    let cast = Cast::of(&c).await;
    let name = "double";
    cast.root.user_add(name, name).await.unwrap();
    for (role, kind) in [("double-r", Type::Read), ("double-w", Type::Write)] {
        cast.root.role_add(role).await.unwrap();
        let permission = permit_prefix(kind, c.prefix());
        cast.root.role_grant(role, Some(permission)).await.unwrap();
        cast.root.user_grant(name, role).await.unwrap();
    }
    let user = cast.login.as_user(name, name).await;
    user.put(put(cast.key("a"), "1")).await.unwrap();
    assert_eq!(user.range(c.all()).await.unwrap().count, 1);
}

async fn a_user_without_roles_has_nothing(c: Case) {
    let cast = Cast::of(&c).await;
    let user = cast.user_with(vec![]).await;
    denied(user.range(point(cast.key("a"))).await);
    denied(user.put(put(cast.key("a"), "1")).await);
}

async fn root_may_do_everything(c: Case) {
    let cast = Cast::of(&c).await;
    let root = &cast.root.0;
    root.put(put("anywhere", "1")).await.unwrap();
    root.range(span(NO_END, NO_END)).await.unwrap();
    let (_watch, created) = Watch::start(root, watch_key("anywhere")).await;
    assert!(!created.canceled);
}
