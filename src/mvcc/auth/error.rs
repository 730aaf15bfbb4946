//! Why something is refused.

/// Why a request of an unknown or unentitled caller, or a change of users and roles, is refused. Nothing has
/// changed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Enabling needs a user `root`.
    #[error("root user does not exist")]
    RootUserMissing,
    /// Enabling needs `root` to have the role `root`.
    #[error("root user does not have root role")]
    RootRoleMissing,
    /// The user's name is taken.
    #[error("user name already exists")]
    UserExists,
    /// There is no name: nobody calls, or nobody is named.
    #[error("user name is empty")]
    UserEmpty,
    /// No such user.
    #[error("user name not found")]
    UserNotFound,
    /// The role's name is taken.
    #[error("role name already exists")]
    RoleExists,
    /// No such role.
    #[error("role name not found")]
    RoleNotFound,
    /// A role needs a name.
    #[error("role name is empty")]
    RoleEmpty,
    /// Name and password do not belong together.
    #[error("authentication failed, invalid user ID or password")]
    AuthenticationFailed,
    /// A permission was to be granted, and there is none in the request.
    #[error("permission not given")]
    PermissionNotGiven,
    /// The caller may not do this.
    #[error("permission denied")]
    PermissionDenied,
    /// The user does not have the role.
    #[error("role is not granted to the user")]
    RoleNotGranted,
    /// The role does not have the permission.
    #[error("permission is not granted to the role")]
    PermissionNotGranted,
    /// There are no tokens while nobody needs one.
    #[error("authentication is not enabled")]
    NotEnabled,
    /// The token is unknown, expired or forged.
    #[error("invalid auth token")]
    InvalidToken,
    /// The change would lock everybody out, or makes no sense.
    #[error("invalid auth management")]
    InvalidManagement,
    /// Users, roles or permissions have changed since the caller was identified.
    #[error("revision of auth store is old")]
    OldRevision,
    /// The user cannot have a token for a password.
    #[error("authentication failed, password was given for no password user")]
    NoPassword,
    /// This member has no key to sign tokens with.
    #[error("token signing attempted with verify-only key")]
    VerifyOnly,
    /// All users and roles together may take so much memory and no more.
    #[error("too many users, roles or permissions")]
    TooLarge,
    /// bcrypt would cut the password off.
    #[error("password length exceeds 72 bytes")]
    PasswordTooLong,
}
