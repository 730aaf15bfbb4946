//! Who may do what with a store, with one member over a temporary directory.

use super::*;
use crate::base::range::KeyRange;

const EVERYTHING: (&str, &str) = ("a", "\0");

fn guarded(dir: &Path) -> EngineConfig {
    EngineConfig {
        auth: AuthConfig {
            bcrypt_cost: 4,
            ..AuthConfig::default()
        },
        ..config(dir)
    }
}

/// A store with root and `ann`, whose role has these permissions; authentication is on.
async fn with_ann(config: &EngineConfig, permissions: &[(PermissionKind, &str, &str)]) -> Engine {
    let engine = start_with(config);
    let name = |name: &str| name.to_owned();
    let password = |text: &str| Some(NewPassword::Plain(text.to_owned()));
    engine
        .user_add(name("root"), password("root"))
        .await
        .unwrap();
    engine
        .user_grant_role(name("root"), name("root"))
        .await
        .unwrap();
    engine.user_add(name("ann"), password("ann")).await.unwrap();
    engine.role_add(name("role")).await.unwrap();
    engine
        .user_grant_role(name("ann"), name("role"))
        .await
        .unwrap();
    for &(kind, key, end) in permissions {
        let range = KeyRange::from_wire(bytes(key), bytes(end));
        let permission = Permission { kind, range };
        engine.role_grant(name("role"), permission).await.unwrap();
    }
    engine.auth_enable().await.unwrap();
    engine
}

/// The store as clients see it, on behalf of a user.
async fn sign_in(engine: &Engine, name: &str) -> (String, Engine) {
    let clients = engine.for_clients();
    let signed_in = clients.authenticate(name.into(), name.into()).await;
    let token = signed_in.unwrap().1;
    let caller = clients.identify(with_token(&token)).await.unwrap();
    match clients.acting(Some(&caller)) {
        Acting::Own(engine) => (token, engine),
        Acting::Shared(_) => unreachable!("there is a caller"),
    }
}

fn with_token(token: &str) -> Credentials {
    Credentials {
        token: Some(token.to_owned()),
        certified: None,
    }
}

const EMPTY: EngineError = EngineError::Auth(AuthError::UserEmpty);
const DENIED: EngineError = EngineError::Auth(AuthError::PermissionDenied);
const OLD: EngineError = EngineError::Auth(AuthError::OldRevision);
const INVALID: EngineError = EngineError::Auth(AuthError::InvalidToken);

/// Every call that comes from clients, with what it is refused.
async fn refusals(clients: &Engine, key: &str, lease: LeaseId) -> Vec<EngineError> {
    let serializable = Consistency::Serializable;
    let read = Txn {
        success: vec![Op::Range(get(key))],
        ..Txn::default()
    };
    let write = Txn {
        success: vec![Op::Put(put(key, "1"))],
        ..Txn::default()
    };
    let delete = DeleteOp {
        range: KeyRange::point(bytes(key)),
        prev_kv: false,
    };
    vec![
        clients.range(get(key), serializable).await.unwrap_err(),
        clients
            .range(get(key), Consistency::Linearizable)
            .await
            .unwrap_err(),
        clients
            .range_stream(get(key), serializable)
            .await
            .unwrap_err(),
        clients.txn(read, serializable).await.unwrap_err(),
        clients.put(put(key, "1")).await.unwrap_err(),
        clients.txn(write, serializable).await.unwrap_err(),
        clients.delete(delete).await.unwrap_err(),
        clients.compact(1, false).await.unwrap_err(),
        clients.lease_revoke(lease).await.unwrap_err(),
        clients.lease_keep_alive(lease).await.unwrap_err(),
        clients.lease_time_to_live(lease, true).await.unwrap_err(),
        clients.leases().await.unwrap_err(),
        clients
            .check_read(&KeyRange::point(bytes(key)))
            .unwrap_err(),
        clients.user_list().await.unwrap_err(),
        clients.user_get("root").await.unwrap_err(),
        clients.role_get("other").await.unwrap_err(),
        clients.role_add("x".into()).await.unwrap_err(),
        clients.auth_disable().await.unwrap_err(),
    ]
}

/// Whoever forgets to say who calls is refused, and so is who may not; the member itself is neither.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_may_is_refused_and_what_the_member_does_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let mine = [(PermissionKind::ReadWrite, "mine", "")];
    let engine = with_ann(&guarded(dir.path()), &mine).await;
    let (_, lease, _) = engine.lease_grant(LeaseId(5), 60).await.unwrap();
    let mut attached = put("theirs", "1");
    attached.lease = lease;
    engine.put(attached).await.unwrap();
    let before = engine.header().revision;

    let refused = refusals(&engine.for_clients(), "theirs", lease).await;
    assert!(refused.iter().all(|error| *error == EMPTY), "{refused:?}");
    let grant = engine.for_clients().lease_grant(LeaseId(6), 60).await;
    assert_eq!(grant.unwrap_err(), EMPTY);
    let (_, ann) = sign_in(&engine, "ann").await;
    let refused = refusals(&ann, "theirs", lease).await;
    assert!(refused.iter().all(|error| *error == DENIED), "{refused:?}");
    assert_eq!(engine.header().revision, before);

    ann.put(put("mine", "1")).await.unwrap();
    assert!(value(&ann, get("mine")).await.is_some());
    let (_, root) = sign_in(&engine, "root").await;
    root.lease_revoke(lease).await.unwrap();
    assert_eq!(value(&engine, get("theirs")).await, None);
    engine.stop().await;
}

/// A caller who was made out before a change of users and roles is made out again, and what the change took
/// away is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_judged_where_it_is_applied() {
    let dir = tempfile::tempdir().unwrap();
    let all = [(PermissionKind::ReadWrite, EVERYTHING.0, EVERYTHING.1)];
    let engine = with_ann(&guarded(dir.path()), &all).await;
    let (token, ann) = sign_in(&engine, "ann").await;
    engine.role_add("unrelated".into()).await.unwrap();
    ann.put(put("a", "1")).await.unwrap();
    assert!(value(&ann, get("a")).await.is_some());
    engine
        .user_revoke_role("ann".into(), "role".into())
        .await
        .unwrap();
    assert_eq!(ann.put(put("a", "2")).await.unwrap_err(), DENIED);
    assert_eq!(
        ann.range(get("a"), Consistency::Serializable)
            .await
            .unwrap_err(),
        DENIED
    );
    let new = NewPassword::Plain("new".into());
    engine
        .user_change_password("ann".into(), new)
        .await
        .unwrap();
    assert_eq!(ann.put(put("a", "2")).await.unwrap_err(), INVALID);
    let clients = engine.for_clients();
    assert_eq!(
        clients.identify(with_token(&token)).await.unwrap_err(),
        INVALID
    );
    let old = clients.authenticate("ann".into(), "ann".into()).await;
    assert_eq!(
        old.unwrap_err(),
        EngineError::Auth(AuthError::AuthenticationFailed)
    );
    engine.auth_disable().await.unwrap();
    clients.put(put("a", "3")).await.unwrap();
    engine.stop().await;
}

/// A signed token holds for the revision that it names, whoever asks again.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_holds_for_its_revision() {
    let dir = tempfile::tempdir().unwrap();
    let jwt = Jwt::new(&JwtSettings {
        method: "HS256".into(),
        public_key: None,
        private_key: Some(b"a secret".to_vec()),
        ttl: Duration::from_secs(600),
    });
    let tokens = TokenConfig::Jwt(Arc::new(jwt.unwrap()));
    let auth = AuthConfig {
        tokens,
        bcrypt_cost: 4,
    };
    let config = EngineConfig {
        auth,
        ..config(dir.path())
    };
    let all = [(PermissionKind::ReadWrite, EVERYTHING.0, EVERYTHING.1)];
    let engine = with_ann(&config, &all).await;
    let (token, ann) = sign_in(&engine, "ann").await;
    ann.put(put("a", "1")).await.unwrap();
    engine.role_add("unrelated".into()).await.unwrap();
    assert_eq!(ann.put(put("a", "2")).await.unwrap_err(), OLD);
    assert_eq!(
        ann.range(get("a"), Consistency::Serializable)
            .await
            .unwrap_err(),
        OLD
    );
    let clients = engine.for_clients();
    let caller = clients.identify(with_token(&token)).await.unwrap();
    assert_eq!(clients.admit(&caller, Demand::User), Ok(()));
    assert_eq!(ann.user_get("ann").await.unwrap().1, ["role"]);
    assert_eq!(ann.check_read(&KeyRange::all()).unwrap_err(), OLD);
    let (_, again) = sign_in(&engine, "ann").await;
    again.put(put("a", "2")).await.unwrap();
    engine.stop().await;
}

/// Without a token the name in a certificate counts, and only then.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_a_name_without_a_password() {
    let dir = tempfile::tempdir().unwrap();
    let all = [(PermissionKind::Read, EVERYTHING.0, EVERYTHING.1)];
    let engine = with_ann(&guarded(dir.path()), &all).await;
    let clients = engine.for_clients();
    let certified = |name: &str, token: Option<&str>| Credentials {
        token: token.map(str::to_owned),
        certified: Some(name.into()),
    };
    let admitted = async |credentials: Credentials, demand| {
        let caller = clients.identify(credentials).await?;
        clients.admit(&caller, demand)
    };
    assert_eq!(admitted(certified("ann", None), Demand::User).await, Ok(()));
    assert_eq!(
        admitted(certified("ann", None), Demand::Root).await,
        Err(DENIED)
    );
    assert_eq!(
        admitted(certified("root", None), Demand::Root).await,
        Ok(())
    );
    assert_eq!(
        admitted(certified("bob", None), Demand::User).await,
        Err(DENIED)
    );
    assert_eq!(
        admitted(certified("", None), Demand::User).await,
        Err(EMPTY)
    );
    let forged = certified("root", Some("abcdefghijklmnop.1"));
    assert_eq!(admitted(forged, Demand::User).await, Err(INVALID));
    let ahead = certified("root", Some("abcdefghijklmnop.999999999"));
    assert_eq!(admitted(ahead, Demand::User).await, Err(INVALID));
    assert_eq!(
        admitted(Credentials::default(), Demand::User).await,
        Err(EMPTY)
    );
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_roles_survive_a_restart_and_a_restore() {
    let dir = tempfile::tempdir().unwrap();
    let mine = [(PermissionKind::ReadWrite, "mine", "")];
    let old = guarded(&dir.path().join("old"));
    let engine = with_ann(&old, &mine).await;
    let (_, _, revision) = engine.auth_status().await.unwrap();
    engine.stop().await;
    drop(engine);
    let engine = start_with(&old);
    same_users(&engine, revision).await;
    let file = save(&engine, dir.path()).await;
    engine.stop().await;
    drop(engine);
    let new = guarded(&dir.path().join("new"));
    restore_snapshot(&file, &new.data_dir, &new.initial_members).unwrap();
    let engine = start_with(&new);
    same_users(&engine, revision).await;
    engine.stop().await;
}

async fn same_users(engine: &Engine, revision: u64) {
    let clients = engine.for_clients();
    let (_, enabled, found) = clients.auth_status().await.unwrap();
    assert_eq!((enabled, found), (true, revision));
    assert!(clients.is_guarded());
    assert_eq!(clients.put(put("mine", "1")).await.unwrap_err(), EMPTY);
    let (_, ann) = sign_in(engine, "ann").await;
    ann.put(put("mine", "1")).await.unwrap();
    assert_eq!(ann.put(put("theirs", "1")).await.unwrap_err(), DENIED);
}
