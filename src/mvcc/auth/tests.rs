//! Commands in any order: what they leave behind is what is stored, on every member.

use std::sync::Arc;

use proptest::prelude::*;

use super::change::Changed;
use super::*;
use crate::base::range::KeyRange;
use crate::mvcc::ops::{Compare, CompareResult, CompareTarget, DeleteOp, Op, PutOp, RangeOp, Txn};
use crate::mvcc::{Session, load_state};
use crate::storage::{Store, StoreOptions};

fn name() -> impl Strategy<Value = String> {
    prop_oneof![Just("root"), Just("a"), Just("b"), Just("")].prop_map(str::to_owned)
}

fn range() -> impl Strategy<Value = KeyRange> {
    let text = || prop_oneof![Just(""), Just("\0"), Just("k"), Just("m"), Just("z")];
    (text(), text()).prop_map(|(key, end)| KeyRange::from_wire(key.into(), end.into()))
}

fn permission() -> impl Strategy<Value = Permission> {
    let kind = prop_oneof![
        Just(PermissionKind::Read),
        Just(PermissionKind::Write),
        Just(PermissionKind::ReadWrite)
    ];
    (kind, range()).prop_map(|(kind, range)| Permission { kind, range })
}

fn command() -> impl Strategy<Value = AuthCommand> {
    let hash = || "[a-c]";
    let sign_in = (name(), 0..20_u64, any::<bool>()).prop_map(|(name, checked, simple)| {
        AuthCommand::Authenticate(SignIn {
            name,
            checked,
            secret: simple.then(|| "secret".into()),
        })
    });
    prop_oneof![
        2 => Just(AuthCommand::Enable),
        1 => Just(AuthCommand::Disable),
        2 => sign_in,
        6 => (name(), proptest::option::of(hash()))
            .prop_map(|(name, hash)| AuthCommand::UserAdd { name, hash }),
        2 => name().prop_map(|name| AuthCommand::UserDelete { name }),
        2 => (name(), hash()).prop_map(|(name, hash)| AuthCommand::UserChangePassword { name, hash }),
        6 => (name(), name()).prop_map(|(name, role)| AuthCommand::UserGrantRole { name, role }),
        2 => (name(), name()).prop_map(|(name, role)| AuthCommand::UserRevokeRole { name, role }),
        5 => name().prop_map(|name| AuthCommand::RoleAdd { name }),
        2 => name().prop_map(|name| AuthCommand::RoleDelete { name }),
        6 => (name(), permission())
            .prop_map(|(name, permission)| AuthCommand::RoleGrantPermission { name, permission }),
        3 => (name(), range())
            .prop_map(|(name, range)| AuthCommand::RoleRevokePermission { name, range }),
    ]
}

/// Runs commands in runs of `run` on a store, as the apply thread does. Gives the state, and what each command
/// was answered.
fn run(store: &Store, commands: &[AuthCommand], run: usize) -> (AuthState, Vec<String>) {
    let mut state = Arc::new(load(store).unwrap());
    let mut answers = Vec::new();
    for (at, commands) in commands.chunks(run).enumerate() {
        let mut session = Session::begin(store, load_state(store).unwrap());
        for (place, command) in commands.iter().enumerate() {
            let index = (at * run + place) as u64;
            answers.push(format!(
                "{:?}",
                session.change_auth(&mut state, command, index)
            ));
        }
        store.write(session.finish().batch).unwrap();
    }
    (AuthState::clone(&state), answers)
}

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &StoreOptions::default()).unwrap();
    (dir, store)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Replaying a log gives every member the same users and roles, however it is cut into runs, and what is
    /// loaded at a start is what was in memory (I7).
    #[test]
    fn members_that_replay_the_same_log_agree(
        commands in proptest::collection::vec(command(), 0..60),
        runs in 1_usize..20,
    ) {
        let ((_a, one), (_b, other)) = (store(), store());
        let (state, answers) = run(&one, &commands, 1);
        prop_assert_eq!(&run(&other, &commands, runs), &(state.clone(), answers));
        prop_assert_eq!(&load(&one).unwrap(), &state);
        prop_assert_eq!(&load(&other).unwrap(), &state);
        let hash = |store| crate::mvcc::hash_state(store).unwrap().0;
        prop_assert_eq!(hash(&one), hash(&other));
    }
}

proptest! {
    /// A refusal changes nothing; whatever changes, but switching authentication on, counts up by one.
    #[test]
    fn every_change_counts_and_no_refusal_does(
        commands in proptest::collection::vec(command(), 0..60),
    ) {
        let mut state = Arc::new(AuthState::default());
        for command in &commands {
            let before = Arc::clone(&state);
            let outcome = state.apply(command, 1);
            let grown = state.revision() - before.revision();
            let Ok(Changed { rows, tokens }) = outcome else {
                prop_assert_eq!(&state, &before);
                continue;
            };
            let changed = (&state.users, &state.roles) != (&before.users, &before.roles);
            prop_assert!(!changed || grown == 1);
            match command {
                AuthCommand::Enable => prop_assert!(grown == 0 && state.is_enabled()),
                AuthCommand::Authenticate(_) => prop_assert!(grown == 0 && rows.is_empty()),
                AuthCommand::Disable => prop_assert_eq!(grown, u64::from(before.is_enabled())),
                _ => prop_assert_eq!(grown == 1, !rows.is_empty()),
            }
            if let Some(TokenChange::Given { user, .. }) = tokens.first() {
                prop_assert!(state.is_enabled() && state.password(user).is_ok());
            }
            prop_assert!(!state.is_enabled() || state.access(&root(&state)).unwrap().is_root());
        }
    }
}

fn root(state: &AuthState) -> Actor {
    user("root", state)
}

fn user(name: &str, state: &AuthState) -> Actor {
    Actor::User {
        name: name.into(),
        revision: state.revision(),
    }
}

fn must(state: &mut Arc<AuthState>, commands: impl IntoIterator<Item = AuthCommand>) {
    for command in commands {
        state.apply(&command, 1).unwrap();
    }
}

fn add_user(name: &str) -> AuthCommand {
    AuthCommand::UserAdd {
        name: name.into(),
        hash: Some("#".into()),
    }
}

fn add_role(name: &str) -> AuthCommand {
    AuthCommand::RoleAdd { name: name.into() }
}

fn grant(name: &str, role: &str) -> AuthCommand {
    AuthCommand::UserGrantRole {
        name: name.into(),
        role: role.into(),
    }
}

fn permit(role: &str, kind: PermissionKind, key: &'static str, end: &'static str) -> AuthCommand {
    AuthCommand::RoleGrantPermission {
        name: role.into(),
        permission: Permission {
            kind,
            range: KeyRange::from_wire(key.into(), end.into()),
        },
    }
}

/// Root, and `ann`, who reads `a` to `c` and writes `b` to `d`; authentication is on.
fn guarded() -> Arc<AuthState> {
    let mut state = Arc::new(AuthState::default());
    must(
        &mut state,
        [
            add_user("root"),
            grant("root", "root"),
            add_user("ann"),
            add_role("reads"),
            add_role("writes"),
            permit("reads", PermissionKind::Read, "a", "c"),
            permit("writes", PermissionKind::Write, "b", "d"),
            grant("ann", "reads"),
            grant("ann", "writes"),
            AuthCommand::Enable,
        ],
    );
    state
}

#[test]
fn who_is_not_known_may_do_nothing() {
    let state = guarded();
    let access = |actor: &Actor| state.access(actor).map(|access| access.is_root());
    assert_eq!(access(&Actor::Member), Ok(true));
    assert_eq!(access(&root(&state)), Ok(true));
    assert_eq!(access(&user("ann", &state)), Ok(false));
    assert_eq!(access(&Actor::Nobody), Err(AuthError::UserEmpty));
    assert_eq!(access(&user("", &state)), Err(AuthError::UserEmpty));
    assert_eq!(
        access(&user("bob", &state)),
        Err(AuthError::PermissionDenied)
    );
    let before = Actor::User {
        name: "root".into(),
        revision: state.revision() - 1,
    };
    assert_eq!(access(&before), Err(AuthError::OldRevision));
    assert_eq!(
        state.administer(&before),
        Ok(()),
        "but for keys it is still root"
    );
    assert_eq!(state.administer(&user("ann", &state)), DENIED);
    assert_eq!(state.admit(&user("ann", &state)), Ok(()));
    for check in [AuthState::admit, AuthState::administer] {
        assert_eq!(check(&state, &Actor::Nobody), Err(AuthError::UserEmpty));
        assert_eq!(check(&state, &user("bob", &state)), DENIED);
        assert_eq!(check(&state, &Actor::Member), Ok(()));
    }
    let mut off = state;
    must(&mut off, [AuthCommand::Disable]);
    assert!(off.access(&Actor::Nobody).unwrap().is_root());
}

const DENIED: Result<(), AuthError> = Err(AuthError::PermissionDenied);

fn put(key: &'static str) -> PutOp {
    PutOp::new(key.into(), "v".into())
}

fn all(ops: Vec<Op>) -> Txn {
    Txn {
        success: ops,
        ..Txn::default()
    }
}

#[test]
fn previous_values_need_reading_too() {
    let state = guarded();
    let ann = state.access(&user("ann", &state)).unwrap();
    let with_prev = |key| PutOp {
        prev_kv: true,
        ..put(key)
    };
    assert_eq!(ann.put(&put("c")), Ok(()));
    assert_eq!(ann.put(&with_prev("c")), DENIED);
    assert_eq!(ann.put(&with_prev("b")), Ok(()));
    let delete = |key: &'static str, end: &'static str, prev_kv| DeleteOp {
        range: KeyRange::from_wire(key.into(), end.into()),
        prev_kv,
    };
    assert_eq!(ann.delete(&delete("b", "d", false)), Ok(()));
    assert_eq!(ann.delete(&delete("b", "d", true)), DENIED);
    assert_eq!(ann.delete(&delete("b", "c", true)), Ok(()));
    assert_eq!(ann.delete(&delete("a", "c", false)), DENIED);
    for op in [Op::Put(with_prev("c")), Op::Delete(delete("b", "d", true))] {
        assert_eq!(ann.txn(&all(vec![op])), DENIED);
    }
}

#[test]
fn a_transaction_is_judged_by_all_that_it_might_do() {
    let state = guarded();
    let ann = state.access(&user("ann", &state)).unwrap();
    let read = |key: &'static str| Op::Range(RangeOp::new(KeyRange::point(key.into())));
    let compare = |key: &'static str| Compare {
        range: KeyRange::point(key.into()),
        result: CompareResult::Equal,
        target: CompareTarget::Version(0),
    };
    let mine = Txn {
        compares: vec![compare("a")],
        success: vec![read("b"), Op::Put(put("c"))],
        failure: vec![Op::Txn(Box::new(all(vec![read("a")])))],
    };
    assert_eq!(ann.txn(&mine), Ok(()));
    let compares = Txn {
        compares: vec![compare("c")],
        ..mine.clone()
    };
    let fails = Txn {
        failure: vec![read("z")],
        ..mine
    };
    let mut deep = all(vec![read("z")]);
    for _ in 0..3 {
        deep = all(vec![Op::Txn(Box::new(deep))]);
    }
    for txn in [compares, fails, deep] {
        assert_eq!(ann.txn(&txn), DENIED);
        assert_eq!(state.access(&root(&state)).unwrap().txn(&txn), Ok(()));
    }
}

#[test]
fn root_cannot_be_taken_apart_while_it_counts() {
    let mut state = guarded();
    let apart = [
        AuthCommand::UserDelete { name: ROOT.into() },
        AuthCommand::RoleDelete { name: ROOT.into() },
        AuthCommand::UserRevokeRole {
            name: ROOT.into(),
            role: ROOT.into(),
        },
    ];
    for command in &apart {
        let refused = state.apply(command, 1);
        assert_eq!(refused, Err(AuthError::InvalidManagement));
    }
    must(
        &mut state,
        [AuthCommand::Disable, apart[2].clone(), apart[0].clone()],
    );
}

/// A password that was right before the last change may be wrong since.
#[test]
fn a_sign_in_counts_at_the_revision_it_was_checked_at() {
    let mut state = guarded();
    let mut sign_in = |checked| {
        let command = AuthCommand::Authenticate(SignIn {
            name: "ann".into(),
            checked,
            secret: Some("secret".into()),
        });
        state.apply(&command, 42).map(|changed| changed.tokens)
    };
    let revision = guarded().revision();
    assert_eq!(sign_in(revision - 1), Err(AuthError::OldRevision));
    let given = TokenChange::Given {
        token: "secret.42".into(),
        user: "ann".into(),
    };
    assert_eq!(sign_in(revision), Ok(vec![given]));
}

#[test]
fn users_and_roles_have_a_bound() {
    let mut state = Arc::new(AuthState::default());
    let large = "x".repeat(1 << 20);
    must(&mut state, [add_role("r")]);
    let refused = (0..100).find_map(|n| state.apply(&add_user(&format!("{large}{n}")), 1).err());
    assert_eq!(refused, Some(AuthError::TooLarge));
    let refused = state.apply(&permit("r", PermissionKind::Read, "k", ""), 1);
    assert!(refused.is_ok(), "there is room for what is small");
}
