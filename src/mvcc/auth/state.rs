//! The users and roles at one auth revision.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::access::Access;
use super::command::{Actor, Permission, PermissionKind};
use super::error::AuthError;
use super::rights::Rights;
use crate::base::range::KeyRange;

/// The user and the role that may do everything.
pub const ROOT: &str = "root";

/// Users, roles, whether they count, and the revision that every change of them raises. A clone is cheap beside
/// a change: it shares what did not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthState {
    pub(super) enabled: bool,
    pub(super) revision: u64,
    pub(super) users: BTreeMap<String, Arc<User>>,
    pub(super) roles: BTreeMap<String, Arc<Role>>,
}

impl Default for AuthState {
    /// What a new store has.
    fn default() -> Self {
        Self {
            enabled: false,
            revision: 1,
            users: BTreeMap::new(),
            roles: BTreeMap::new(),
        }
    }
}

/// A user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct User {
    /// The bcrypt hash; `None` if no password opens it.
    pub(super) hash: Option<String>,
    /// Sorted.
    pub(super) roles: Vec<String>,
}

impl User {
    pub(super) fn has(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own == role)
    }
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Role {
    /// In order of their keys.
    pub(super) permissions: Vec<Permission>,
    /// What they amount to.
    pub(super) rights: Rights,
}

impl Role {
    pub(super) fn new(permissions: Vec<Permission>) -> Self {
        let rights = Rights::of(&permissions);
        Self {
            permissions,
            rights,
        }
    }
}

/// How a user's password is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Password {
    /// The bcrypt hash.
    pub hash: String,
    /// The auth revision at which it is the user's.
    pub revision: u64,
}

impl AuthState {
    /// Whether requests are checked.
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Counts the changes.
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// What `actor` may do with keys.
    ///
    /// # Errors
    /// As [`Self::admit`]; [`AuthError::OldRevision`] if the actor was made out before the last change.
    pub fn access(&self, actor: &Actor) -> Result<Access<'_>, AuthError> {
        let Some(user) = self.known(actor)? else {
            return Ok(Access::everything());
        };
        match actor {
            Actor::User { revision, .. } if *revision < self.revision => {
                Err(AuthError::OldRevision)
            }
            _ if user.has(ROOT) => Ok(Access::everything()),
            _ => Ok(Access::of(self, user)),
        }
    }

    /// Refuses who is no user. When that was made out makes no difference, as in etcd: only what may be done
    /// with keys is asked of the roles that somebody had then.
    ///
    /// # Errors
    /// [`AuthError::UserEmpty`] for nobody, [`AuthError::PermissionDenied`] for a user that does not exist.
    pub fn admit(&self, actor: &Actor) -> Result<(), AuthError> {
        self.known(actor).map(drop)
    }

    /// Refuses all but root, whenever that was made out: whoever changes one user after the other does not have
    /// to sign in for each.
    ///
    /// # Errors
    /// As [`Self::admit`]; [`AuthError::PermissionDenied`].
    pub fn administer(&self, actor: &Actor) -> Result<(), AuthError> {
        match self.known(actor)? {
            Some(user) if !user.has(ROOT) => Err(AuthError::PermissionDenied),
            _ => Ok(()),
        }
    }

    /// The user; `None` for those who are not asked.
    fn known(&self, actor: &Actor) -> Result<Option<&User>, AuthError> {
        match actor {
            _ if !self.enabled => Ok(None),
            Actor::Member => Ok(None),
            Actor::Nobody => Err(AuthError::UserEmpty),
            Actor::User { name, .. } if name.is_empty() => Err(AuthError::UserEmpty),
            Actor::User { name, .. } => {
                let user = self.users.get(name).ok_or(AuthError::PermissionDenied)?;
                Ok(Some(user))
            }
        }
    }

    /// Whether the actor is `name` itself.
    pub fn is_self(&self, actor: &Actor, name: &str) -> bool {
        matches!(actor, Actor::User { name: own, .. } if own == name)
    }

    /// Whether the actor has the role.
    pub fn has_role(&self, actor: &Actor, role: &str) -> bool {
        let Actor::User { name, .. } = actor else {
            return false;
        };
        self.users.get(name).is_some_and(|user| user.has(role))
    }

    /// What the roles of a user allow, role by role.
    pub(super) fn rights<'a>(&'a self, user: &'a User) -> impl Iterator<Item = &'a Rights> + Clone {
        let roles = user.roles.iter().filter_map(|role| self.roles.get(role));
        roles.map(|role| &role.rights)
    }

    /// What a password is checked against.
    ///
    /// # Errors
    /// [`AuthError::NotEnabled`]; [`AuthError::AuthenticationFailed`] for a user that does not exist;
    /// [`AuthError::NoPassword`].
    pub fn password(&self, name: &str) -> Result<Password, AuthError> {
        if !self.enabled {
            return Err(AuthError::NotEnabled);
        }
        let user = self
            .users
            .get(name)
            .ok_or(AuthError::AuthenticationFailed)?;
        let hash = user.hash.clone().ok_or(AuthError::NoPassword)?;
        Ok(Password {
            hash,
            revision: self.revision,
        })
    }

    /// The users' names, sorted.
    pub fn users(&self) -> Vec<String> {
        self.users.keys().cloned().collect()
    }

    /// The roles' names, sorted.
    pub fn roles(&self) -> Vec<String> {
        self.roles.keys().cloned().collect()
    }

    /// The roles of a user, sorted.
    ///
    /// # Errors
    /// [`AuthError::UserNotFound`].
    pub fn roles_of(&self, name: &str) -> Result<Vec<String>, AuthError> {
        let user = self.users.get(name).ok_or(AuthError::UserNotFound)?;
        Ok(user.roles.clone())
    }

    /// The permissions of a role. Those of `root`, once it was added, are one for every key.
    ///
    /// # Errors
    /// [`AuthError::RoleNotFound`].
    pub fn permissions_of(&self, name: &str) -> Result<Vec<Permission>, AuthError> {
        let role = self.roles.get(name).ok_or(AuthError::RoleNotFound)?;
        if name == ROOT {
            return Ok(vec![Permission {
                kind: PermissionKind::ReadWrite,
                range: KeyRange::all(),
            }]);
        }
        Ok(role.permissions.clone())
    }
}
