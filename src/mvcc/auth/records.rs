//! The rows of the column family `auth` (`docs/format.md`).

use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::change::Row;
use super::command::Permission;
use super::error::AuthError;
use super::state::{AuthState, Role, User};
use crate::base::codec;
use crate::mvcc::MvccError;
use crate::storage::{Family, Store};

/// The version byte of the records below.
const VERSION: u8 = 1;

const STATE: &[u8] = b"s";
const USER: u8 = b'u';
const ROLE: u8 = b'r';

#[derive(Debug, Serialize, Deserialize)]
struct StateRecord {
    enabled: bool,
    revision: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct UserRecord {
    hash: Option<String>,
    roles: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct RoleRecord {
    permissions: Vec<Permission>,
}

/// Whether authentication is on, and the revision.
pub(super) fn state_row(state: &AuthState) -> Result<Row, AuthError> {
    let record = StateRecord {
        enabled: state.enabled,
        revision: state.revision,
    };
    row(Bytes::from_static(STATE), &record)
}

pub(super) fn user_row(name: &str, user: &User) -> Result<Row, AuthError> {
    let record = UserRecord {
        hash: user.hash.clone(),
        roles: user.roles.clone(),
    };
    row(user_key(name), &record)
}

pub(super) fn role_row(name: &str, role: &Role) -> Result<Row, AuthError> {
    let record = RoleRecord {
        permissions: role.permissions.clone(),
    };
    row(role_key(name), &record)
}

pub(super) fn user_key(name: &str) -> Bytes {
    key(USER, name)
}

pub(super) fn role_key(name: &str) -> Bytes {
    key(ROLE, name)
}

fn key(kind: u8, name: &str) -> Bytes {
    let mut key = Vec::with_capacity(1 + name.len());
    key.push(kind);
    key.extend_from_slice(name.as_bytes());
    key.into()
}

fn row(key: Bytes, record: &impl Serialize) -> Result<Row, AuthError> {
    // Fails only above the limit on records, which the limit on the whole state is far below.
    let value = codec::encode(VERSION, record).map_err(|_| AuthError::TooLarge)?;
    Ok((key, Some(value.into())))
}

/// The users and roles that a store has.
///
/// # Errors
/// Only fatal ones.
pub fn load(store: &Store) -> Result<AuthState, MvccError> {
    let mut state = AuthState::default();
    let mut rows = store.scan(Family::Auth, &[], None);
    while let Some((key, value)) = rows.row()? {
        match key.split_first() {
            _ if key == STATE => {
                let record: StateRecord = decode(value)?;
                (state.enabled, state.revision) = (record.enabled, record.revision);
            }
            Some((&USER, name)) => {
                let UserRecord { hash, roles } = decode(value)?;
                let user = User { hash, roles };
                state.users.insert(text(name)?, Arc::new(user));
            }
            Some((&ROLE, name)) => {
                let RoleRecord { permissions } = decode(value)?;
                let role = Role::new(permissions);
                state.roles.insert(text(name)?, Arc::new(role));
            }
            _ => return Err(MvccError::Corrupt("unknown row of users and roles")),
        }
        rows.advance();
    }
    Ok(state)
}

fn decode<T: DeserializeOwned>(record: &[u8]) -> Result<T, MvccError> {
    codec::decode(VERSION, record).map_err(|_| MvccError::Corrupt("record of users and roles"))
}

fn text(name: &[u8]) -> Result<String, MvccError> {
    let name = std::str::from_utf8(name);
    name.map(str::to_owned)
        .map_err(|_| MvccError::Corrupt("name of a user or role"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::range::KeyRange;
    use crate::mvcc::auth::PermissionKind;

    #[test]
    fn golden_bytes_of_rows() {
        let state = AuthState {
            enabled: true,
            revision: 258,
            ..AuthState::default()
        };
        let (key, value) = state_row(&state).unwrap();
        assert_eq!(key.as_ref(), b"s");
        assert_eq!(value.unwrap().as_ref(), [1, 1, 2, 1, 0, 0, 0, 0, 0, 0]);

        let user = User {
            hash: Some("#".into()),
            roles: vec!["r".into()],
        };
        let (key, value) = user_row("ann", &user).unwrap();
        assert_eq!(key.as_ref(), b"uann");
        let one = [1, 0, 0, 0, 0, 0, 0, 0];
        let expected = [&[1, 1][..], &one, b"#", &one, &one, b"r"].concat();
        assert_eq!(value.unwrap(), expected);

        let role = Role::new(vec![Permission {
            kind: PermissionKind::ReadWrite,
            range: KeyRange::from_wire("a".into(), "b".into()),
        }]);
        let (key, value) = role_row("cook", &role).unwrap();
        assert_eq!(key.as_ref(), b"rcook");
        let (kind, before) = ([2, 0, 0, 0], [1, 0, 0, 0]);
        let expected = [&[1][..], &one, &kind, &one, b"a", &before, &one, b"b"].concat();
        assert_eq!(value.unwrap(), expected);
    }
}
