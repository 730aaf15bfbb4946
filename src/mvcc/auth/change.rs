//! What a command does to users and roles.
//!
//! The order of the checks is etcd's, so that a command with several faults gets the same refusal. All of them
//! come before the first change.

use std::sync::Arc;

use bytes::Bytes;

use super::command::{AuthCommand, Permission, SignIn};
use super::error::AuthError;
use super::records::{role_key, role_row, state_row, user_key, user_row};
use super::state::{AuthState, ROOT, Role, User};
use crate::base::range::{KeyRange, RangeEnd};

/// Bytes of all names, hashes and permissions together. Every member has them in memory.
const MAX_BYTES: usize = 64 << 20;

/// A row to be written; no value means that it goes.
pub(super) type Row = (Bytes, Option<Bytes>);

/// What becomes of tokens that members keep in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenChange {
    /// One was given.
    Given {
        /// The token.
        token: String,
        /// Whose it is.
        user: String,
    },
    /// Those of a user have ended.
    Ended(String),
    /// All have ended.
    AllEnded,
}

/// What a command leaves behind.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    /// To be written to the column family `auth`.
    pub(crate) rows: Vec<Row>,
    /// In order.
    pub(crate) tokens: Vec<TokenChange>,
}

type Outcome = Result<Changed, AuthError>;

impl AuthState {
    /// Applies a command; `index` is that of the log entry that carries it. A refusal changes nothing.
    ///
    /// # Errors
    /// [`AuthError`], as etcd has them.
    pub(crate) fn apply(self: &mut Arc<Self>, command: &AuthCommand, index: u64) -> Outcome {
        match command {
            AuthCommand::Enable => self.enable(),
            AuthCommand::Disable => self.disable(),
            AuthCommand::Authenticate(sign_in) => self.sign_in(sign_in, index),
            AuthCommand::UserAdd { name, hash } => self.add_user(name, hash.as_ref()),
            AuthCommand::UserDelete { name } => self.delete_user(name),
            AuthCommand::UserChangePassword { name, hash } => self.change_password(name, hash),
            AuthCommand::UserGrantRole { name, role } => self.grant_role(name, role),
            AuthCommand::UserRevokeRole { name, role } => self.revoke_role(name, role),
            AuthCommand::RoleAdd { name } => self.add_role(name),
            AuthCommand::RoleDelete { name } => self.delete_role(name),
            AuthCommand::RoleGrantPermission { name, permission } => {
                self.grant_permission(name, permission)
            }
            AuthCommand::RoleRevokePermission { name, range } => {
                self.revoke_permission(name, range)
            }
        }
    }

    fn enable(self: &mut Arc<Self>) -> Outcome {
        if self.enabled {
            return Ok(Changed::default());
        }
        let root = self.users.get(ROOT).ok_or(AuthError::RootUserMissing)?;
        if !root.has(ROOT) {
            return Err(AuthError::RootRoleMissing);
        }
        let state = Arc::make_mut(self);
        state.enabled = true;
        Ok(Changed {
            rows: vec![state_row(state)?],
            tokens: Vec::new(),
        })
    }

    fn disable(self: &mut Arc<Self>) -> Outcome {
        if !self.enabled {
            return Ok(Changed::default());
        }
        let state = Arc::make_mut(self);
        state.enabled = false;
        state.finish(Vec::new(), vec![TokenChange::AllEnded])
    }

    /// The password was found right where the command was proposed; it still is if nothing has changed since.
    fn sign_in(&self, sign_in: &SignIn, index: u64) -> Outcome {
        if !self.enabled {
            return Err(AuthError::NotEnabled);
        }
        let user = self.users.get(&sign_in.name);
        if user.is_none_or(|user| user.hash.is_none()) {
            return Err(AuthError::AuthenticationFailed);
        }
        if sign_in.checked != self.revision {
            return Err(AuthError::OldRevision);
        }
        let token = sign_in.secret.as_ref().map(|secret| TokenChange::Given {
            token: format!("{secret}.{index}"),
            user: sign_in.name.clone(),
        });
        Ok(Changed {
            rows: Vec::new(),
            tokens: token.into_iter().collect(),
        })
    }

    fn add_user(self: &mut Arc<Self>, name: &str, hash: Option<&String>) -> Outcome {
        if name.is_empty() {
            return Err(AuthError::UserEmpty);
        }
        if self.users.contains_key(name) {
            return Err(AuthError::UserExists);
        }
        let user = User {
            hash: hash.cloned(),
            roles: Vec::new(),
        };
        self.check_room(name.len() + user.weight())?;
        Arc::make_mut(self).put_user(name, user, Vec::new())
    }

    fn delete_user(self: &mut Arc<Self>, name: &str) -> Outcome {
        if self.enabled && name == ROOT {
            return Err(AuthError::InvalidManagement);
        }
        if !self.users.contains_key(name) {
            return Err(AuthError::UserNotFound);
        }
        let state = Arc::make_mut(self);
        state.users.remove(name);
        let rows = vec![(user_key(name), None)];
        state.finish(rows, vec![TokenChange::Ended(name.to_owned())])
    }

    /// A user without a password keeps none.
    fn change_password(self: &mut Arc<Self>, name: &str, hash: &str) -> Outcome {
        let user = self.user(name)?;
        self.check_room(hash.len())?;
        let hash = user.hash.is_some().then(|| hash.to_owned());
        let roles = user.roles.clone();
        let user = User { hash, roles };
        let ended = vec![TokenChange::Ended(name.to_owned())];
        Arc::make_mut(self).put_user(name, user, ended)
    }

    fn grant_role(self: &mut Arc<Self>, name: &str, role: &str) -> Outcome {
        let user = self.user(name)?;
        if role != ROOT && !self.roles.contains_key(role) {
            return Err(AuthError::RoleNotFound);
        }
        let Err(place) = user.roles.binary_search_by(|own| own.as_str().cmp(role)) else {
            return Ok(Changed::default());
        };
        self.check_room(role.len())?;
        let mut roles = user.roles.clone();
        roles.insert(place, role.to_owned());
        let hash = user.hash.clone();
        let user = User { hash, roles };
        Arc::make_mut(self).put_user(name, user, Vec::new())
    }

    fn revoke_role(self: &mut Arc<Self>, name: &str, role: &str) -> Outcome {
        if self.enabled && name == ROOT && role == ROOT {
            return Err(AuthError::InvalidManagement);
        }
        let user = self.user(name)?;
        if !user.has(role) {
            return Err(AuthError::RoleNotGranted);
        }
        let user = user.without(role);
        Arc::make_mut(self).put_user(name, user, Vec::new())
    }

    fn add_role(self: &mut Arc<Self>, name: &str) -> Outcome {
        if name.is_empty() {
            return Err(AuthError::RoleEmpty);
        }
        if self.roles.contains_key(name) {
            return Err(AuthError::RoleExists);
        }
        self.check_room(name.len())?;
        Arc::make_mut(self).put_role(name, Role::default())
    }

    fn delete_role(self: &mut Arc<Self>, name: &str) -> Outcome {
        if self.enabled && name == ROOT {
            return Err(AuthError::InvalidManagement);
        }
        if !self.roles.contains_key(name) {
            return Err(AuthError::RoleNotFound);
        }
        let state = Arc::make_mut(self);
        state.roles.remove(name);
        let mut rows = vec![(role_key(name), None)];
        let mut tokens = Vec::new();
        for (user_name, user) in &mut state.users {
            if user.has(name) {
                *user = Arc::new(user.without(name));
                rows.push(user_row(user_name, user)?);
                tokens.push(TokenChange::Ended(user_name.clone()));
            }
        }
        state.finish(rows, tokens)
    }

    fn grant_permission(self: &mut Arc<Self>, name: &str, permission: &Permission) -> Outcome {
        if !is_grantable(&permission.range) {
            return Err(AuthError::InvalidManagement);
        }
        let mut permissions = self.role(name)?.permissions.clone();
        match find(&permissions, &permission.range) {
            Ok(known) => {
                if let Some(known) = permissions.get_mut(known) {
                    known.kind = permission.kind;
                }
            }
            Err(place) => {
                self.check_room(weight(permission))?;
                permissions.insert(place, permission.clone());
            }
        }
        Arc::make_mut(self).put_role(name, Role::new(permissions))
    }

    fn revoke_permission(self: &mut Arc<Self>, name: &str, range: &KeyRange) -> Outcome {
        let mut permissions = self.role(name)?.permissions.clone();
        let known = find(&permissions, range);
        let known = known.map_err(|_| AuthError::PermissionNotGranted)?;
        permissions.remove(known);
        Arc::make_mut(self).put_role(name, Role::new(permissions))
    }

    fn user(&self, name: &str) -> Result<&User, AuthError> {
        let user = self.users.get(name).ok_or(AuthError::UserNotFound)?;
        Ok(user)
    }

    fn role(&self, name: &str) -> Result<&Role, AuthError> {
        let role = self.roles.get(name).ok_or(AuthError::RoleNotFound)?;
        Ok(role)
    }

    fn put_user(&mut self, name: &str, user: User, tokens: Vec<TokenChange>) -> Outcome {
        let rows = vec![user_row(name, &user)?];
        self.users.insert(name.to_owned(), Arc::new(user));
        self.finish(rows, tokens)
    }

    fn put_role(&mut self, name: &str, role: Role) -> Outcome {
        let rows = vec![role_row(name, &role)?];
        self.roles.insert(name.to_owned(), Arc::new(role));
        self.finish(rows, Vec::new())
    }

    /// Counts the change.
    fn finish(&mut self, mut rows: Vec<Row>, tokens: Vec<TokenChange>) -> Outcome {
        self.revision += 1;
        rows.push(state_row(self)?);
        Ok(Changed { rows, tokens })
    }

    /// Refuses what would make the whole state too large.
    fn check_room(&self, more: usize) -> Result<(), AuthError> {
        let users = self
            .users
            .iter()
            .map(|(name, user)| name.len() + user.weight());
        let roles = self
            .roles
            .iter()
            .map(|(name, role)| name.len() + role.weight());
        let used: usize = users.chain(roles).sum();
        if used.saturating_add(more) > MAX_BYTES {
            return Err(AuthError::TooLarge);
        }
        Ok(())
    }
}

impl User {
    fn without(&self, role: &str) -> Self {
        let roles = self.roles.iter().filter(|own| *own != role);
        Self {
            hash: self.hash.clone(),
            roles: roles.cloned().collect(),
        }
    }

    fn weight(&self) -> usize {
        /// What a user takes besides, roughly.
        const ENTRY: usize = 200;
        let roles: usize = self.roles.iter().map(|role| role.len() + 24).sum();
        ENTRY + self.hash.as_ref().map_or(0, String::len) + roles
    }
}

impl Role {
    fn weight(&self) -> usize {
        self.permissions.iter().map(weight).sum::<usize>()
    }
}

/// Where the permission for exactly these keys is, or belongs.
fn find(permissions: &[Permission], range: &KeyRange) -> Result<usize, usize> {
    permissions.binary_search_by(|known| {
        let known = &known.range;
        (known.start.cmp(&range.start)).then_with(|| known.wire_end().cmp(&range.wire_end()))
    })
}

fn weight(permission: &Permission) -> usize {
    /// What a permission takes besides, roughly: of its role, and of the rights of a user.
    const ENTRY: usize = 200;
    let KeyRange { start, .. } = &permission.range;
    ENTRY + start.len() + permission.range.wire_end().len()
}

/// etcd's rule: a key, and an end behind it if there is one.
fn is_grantable(range: &KeyRange) -> bool {
    !range.start.is_empty()
        && match &range.end {
            RangeEnd::Point | RangeEnd::Unbounded => true,
            RangeEnd::Before(end) => *end > range.start,
        }
}
