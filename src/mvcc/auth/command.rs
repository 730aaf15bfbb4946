//! What the replicated log carries about users and roles, and who is behind a command.

use serde::{Deserialize, Serialize};

use crate::base::range::KeyRange;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Actor {
    /// The cluster itself: leases that expire, automatic compaction. May do everything.
    Member,
    /// Nobody that is known.
    Nobody,
    /// A user.
    User {
        /// The name.
        name: String,
        /// The auth revision at which the member made out who it is. A command is refused when it has
        /// changed by the time the command is applied.
        revision: u64,
    },
}

/// A change of users and roles. The order of variants is the wire format: append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthCommand {
    /// Check every request from now on.
    Enable,
    /// Check none.
    Disable,
    /// Give a user a token.
    Authenticate(SignIn),
    /// Add a user.
    UserAdd {
        /// The name.
        name: String,
        /// The bcrypt hash; `None` for a user that no password opens.
        hash: Option<String>,
    },
    /// Delete a user.
    UserDelete {
        /// The name.
        name: String,
    },
    /// Give a user another password.
    UserChangePassword {
        /// The name.
        name: String,
        /// The bcrypt hash.
        hash: String,
    },
    /// Give a user a role.
    UserGrantRole {
        /// The user.
        name: String,
        /// The role.
        role: String,
    },
    /// Take a role from a user.
    UserRevokeRole {
        /// The user.
        name: String,
        /// The role.
        role: String,
    },
    /// Add a role.
    RoleAdd {
        /// The name.
        name: String,
    },
    /// Delete a role, and take it from its users.
    RoleDelete {
        /// The name.
        name: String,
    },
    /// Give a role a permission; one for the same keys is replaced.
    RoleGrantPermission {
        /// The role.
        name: String,
        /// What it may do.
        permission: Permission,
    },
    /// Take a permission from a role.
    RoleRevokePermission {
        /// The role.
        name: String,
        /// The keys, exactly as they were granted.
        range: KeyRange,
    },
}

/// A password that was found right, to be answered with a token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// The user.
    pub name: String,
    /// The auth revision at which the password was right.
    pub checked: u64,
    /// The random part of a simple token; `None` if tokens are signed.
    pub secret: Option<String>,
}

impl std::fmt::Debug for SignIn {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignIn")
            .field("name", &self.name)
            .field("checked", &self.checked)
            .finish_non_exhaustive()
    }
}

/// What may be done with some keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permission {
    /// What.
    pub kind: PermissionKind,
    /// With which keys.
    pub range: KeyRange,
}

/// What a permission allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PermissionKind {
    /// Reading.
    Read,
    /// Writing, deletion included.
    Write,
    /// Both.
    ReadWrite,
}

impl PermissionKind {
    /// Whether reading is allowed.
    pub const fn reads(self) -> bool {
        matches!(self, Self::Read | Self::ReadWrite)
    }

    /// Whether writing is allowed.
    pub const fn writes(self) -> bool {
        matches!(self, Self::Write | Self::ReadWrite)
    }
}

impl AuthCommand {
    /// The place of the command among the variants.
    pub const fn operation(&self) -> usize {
        match self {
            Self::Enable => 0,
            Self::Disable => 1,
            Self::Authenticate(_) => 2,
            Self::UserAdd { .. } => 3,
            Self::UserDelete { .. } => 4,
            Self::UserChangePassword { .. } => 5,
            Self::UserGrantRole { .. } => 6,
            Self::UserRevokeRole { .. } => 7,
            Self::RoleAdd { .. } => 8,
            Self::RoleDelete { .. } => 9,
            Self::RoleGrantPermission { .. } => 10,
            Self::RoleRevokePermission { .. } => 11,
        }
    }

    /// Bytes that the client chose: what the request limit is held against.
    pub fn size(&self) -> usize {
        match self {
            Self::Enable | Self::Disable => 0,
            Self::Authenticate(SignIn { name, secret, .. }) => {
                name.len() + secret.as_ref().map_or(0, String::len)
            }
            Self::UserAdd { name, hash } => name.len() + hash.as_ref().map_or(0, String::len),
            Self::UserChangePassword { name, hash } => name.len() + hash.len(),
            Self::UserDelete { name } | Self::RoleAdd { name } | Self::RoleDelete { name } => {
                name.len()
            }
            Self::UserGrantRole { name, role } | Self::UserRevokeRole { name, role } => {
                name.len() + role.len()
            }
            Self::RoleGrantPermission { name, permission } => {
                name.len() + range_size(&permission.range)
            }
            Self::RoleRevokePermission { name, range } => name.len() + range_size(range),
        }
    }
}

fn range_size(range: &KeyRange) -> usize {
    range.start.len() + range.wire_end().len()
}
