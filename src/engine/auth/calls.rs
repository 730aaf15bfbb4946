//! The calls about users, roles and tokens.

use super::passwords::foreign_hash;
use super::{SimpleTokens, Tokens, jwt};
use crate::base::clock;
use crate::base::range::KeyRange;
use crate::engine::apply::Reply;
use crate::engine::command::Command;
use crate::engine::{Consistency, Engine, EngineError, EngineResult, Header, unexpected};
use crate::mvcc::auth::{AuthCommand, AuthError, AuthState, Permission, SignIn};

/// How often a sign-in begins anew because users or roles changed meanwhile.
const SIGN_INS: usize = 16;

/// What a user is to be known by.
#[derive(Clone, PartialEq, Eq)]
pub enum NewPassword {
    /// A password.
    Plain(String),
    /// The bcrypt hash of one, made by the client.
    Hash(Vec<u8>),
}

impl std::fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewPassword")
    }
}

impl Engine {
    /// Begins to check every request.
    ///
    /// # Errors
    /// [`AuthError::RootUserMissing`], [`AuthError::RootRoleMissing`], and those of every command.
    pub async fn auth_enable(&self) -> EngineResult<Header> {
        self.change_auth(AuthCommand::Enable).await
    }

    /// Ends it, and all tokens.
    ///
    /// # Errors
    /// Those of every command.
    pub async fn auth_disable(&self) -> EngineResult<Header> {
        self.change_auth(AuthCommand::Disable).await
    }

    /// Whether requests are checked, and the auth revision. Anyone may ask.
    ///
    /// # Errors
    /// Those of a linearizable read.
    pub async fn auth_status(&self) -> EngineResult<(Header, bool, u64)> {
        self.settle(Consistency::Linearizable).await?;
        let view = self.inner.views.load();
        Ok((self.header(), view.auth.is_enabled(), view.auth.revision()))
    }

    /// Gives a token for a password.
    ///
    /// # Errors
    /// [`AuthError::NotEnabled`], [`AuthError::AuthenticationFailed`], [`AuthError::NoPassword`],
    /// [`AuthError::VerifyOnly`], [`EngineError::TooManyRequests`], and those of every command.
    pub async fn authenticate(
        &self,
        name: String,
        password: String,
    ) -> EngineResult<(Header, String)> {
        self.settle(Consistency::Linearizable).await?;
        for _ in 1..SIGN_INS {
            let signed_in = self.sign_in(&name, password.clone()).await;
            match signed_in {
                Err(EngineError::Auth(AuthError::OldRevision)) => {}
                done => return done,
            }
        }
        self.sign_in(&name, password).await
    }

    async fn sign_in(&self, name: &str, password: String) -> EngineResult<(Header, String)> {
        let auth = &self.inner.auth;
        let known = self.inner.views.load().auth.password(name);
        if known == Err(AuthError::AuthenticationFailed) {
            auth.passwords.pretend(password.clone()).await?;
        }
        let known = known?;
        if !auth.passwords.verify(password, known.hash).await? {
            tracing::info!(user = name, "wrong password");
            return Err(AuthError::AuthenticationFailed.into());
        }
        if matches!(&auth.tokens, Tokens::Signed(jwt) if !jwt.can_sign()) {
            return Err(AuthError::VerifyOnly.into());
        }
        let sign_in = SignIn {
            name: name.to_owned(),
            checked: known.revision,
            secret: auth.tokens.simple().map(|_| SimpleTokens::secret()),
        };
        let command = Command::Auth(AuthCommand::Authenticate(sign_in));
        let (header, reply) = self.propose(command).await?;
        let token = match (&auth.tokens, reply) {
            (Tokens::Simple(_), Reply::Token(token)) => token,
            (Tokens::Signed(jwt), Reply::Done) => {
                let jwt = std::sync::Arc::clone(jwt);
                let said = jwt::Statement {
                    user: name.to_owned(),
                    revision: known.revision,
                };
                // RSA takes milliseconds.
                self.blocking(move || Ok(jwt.sign(&said, clock::unix_time())?))
                    .await?
            }
            (_, other) => return Err(unexpected(&other)),
        };
        Ok((header, token))
    }

    /// Adds a user; without a password nobody can sign in as it.
    ///
    /// # Errors
    /// [`AuthError::UserEmpty`], [`AuthError::UserExists`], [`AuthError::PasswordTooLong`], and those of every
    /// command.
    pub async fn user_add(
        &self,
        name: String,
        password: Option<NewPassword>,
    ) -> EngineResult<Header> {
        let hash = match password {
            Some(password) => Some(self.hash_of(password).await?),
            None => None,
        };
        self.change_auth(AuthCommand::UserAdd { name, hash }).await
    }

    /// The roles of a user. A user may ask for its own.
    ///
    /// # Errors
    /// [`AuthError::UserNotFound`], [`AuthError::PermissionDenied`], and those of a linearizable read.
    pub async fn user_get(&self, name: &str) -> EngineResult<(Header, Vec<String>)> {
        let own = |state: &AuthState| state.is_self(self.reader(), name);
        self.ask(own, |state| state.roles_of(name)).await
    }

    /// The names of all users.
    ///
    /// # Errors
    /// [`AuthError::PermissionDenied`], and those of a linearizable read.
    pub async fn user_list(&self) -> EngineResult<(Header, Vec<String>)> {
        self.ask(|_| false, |state| Ok(state.users())).await
    }

    /// Deletes a user and its tokens.
    ///
    /// # Errors
    /// [`AuthError::UserNotFound`], [`AuthError::InvalidManagement`], and those of every command.
    pub async fn user_delete(&self, name: String) -> EngineResult<Header> {
        self.change_auth(AuthCommand::UserDelete { name }).await
    }

    /// Gives a user another password and ends its tokens.
    ///
    /// # Errors
    /// [`AuthError::UserNotFound`], [`AuthError::PasswordTooLong`], and those of every command.
    pub async fn user_change_password(
        &self,
        name: String,
        password: NewPassword,
    ) -> EngineResult<Header> {
        let hash = self.hash_of(password).await?;
        let command = AuthCommand::UserChangePassword { name, hash };
        self.change_auth(command).await
    }

    /// Gives a user a role.
    ///
    /// # Errors
    /// [`AuthError::UserNotFound`], [`AuthError::RoleNotFound`], and those of every command.
    pub async fn user_grant_role(&self, name: String, role: String) -> EngineResult<Header> {
        let command = AuthCommand::UserGrantRole { name, role };
        self.change_auth(command).await
    }

    /// Takes a role from a user.
    ///
    /// # Errors
    /// [`AuthError::UserNotFound`], [`AuthError::RoleNotGranted`], [`AuthError::InvalidManagement`], and those of
    /// every command.
    pub async fn user_revoke_role(&self, name: String, role: String) -> EngineResult<Header> {
        let command = AuthCommand::UserRevokeRole { name, role };
        self.change_auth(command).await
    }

    /// Adds a role.
    ///
    /// # Errors
    /// [`AuthError::RoleEmpty`], [`AuthError::RoleExists`], and those of every command.
    pub async fn role_add(&self, name: String) -> EngineResult<Header> {
        self.change_auth(AuthCommand::RoleAdd { name }).await
    }

    /// The permissions of a role. A user may ask for its own roles.
    ///
    /// # Errors
    /// [`AuthError::RoleNotFound`], [`AuthError::PermissionDenied`], and those of a linearizable read.
    pub async fn role_get(&self, name: &str) -> EngineResult<(Header, Vec<Permission>)> {
        let own = |state: &AuthState| state.has_role(self.reader(), name);
        self.ask(own, |state| state.permissions_of(name)).await
    }

    /// The names of all roles.
    ///
    /// # Errors
    /// [`AuthError::PermissionDenied`], and those of a linearizable read.
    pub async fn role_list(&self) -> EngineResult<(Header, Vec<String>)> {
        self.ask(|_| false, |state| Ok(state.roles())).await
    }

    /// Deletes a role, takes it from its users and ends their tokens.
    ///
    /// # Errors
    /// [`AuthError::RoleNotFound`], [`AuthError::InvalidManagement`], and those of every command.
    pub async fn role_delete(&self, name: String) -> EngineResult<Header> {
        self.change_auth(AuthCommand::RoleDelete { name }).await
    }

    /// Gives a role a permission; one for the same keys is replaced.
    ///
    /// # Errors
    /// [`AuthError::RoleNotFound`], [`AuthError::InvalidManagement`], and those of every command.
    pub async fn role_grant(&self, name: String, permission: Permission) -> EngineResult<Header> {
        let command = AuthCommand::RoleGrantPermission { name, permission };
        self.change_auth(command).await
    }

    /// Takes a permission from a role.
    ///
    /// # Errors
    /// [`AuthError::RoleNotFound`], [`AuthError::PermissionNotGranted`], and those of every command.
    pub async fn role_revoke(&self, name: String, range: KeyRange) -> EngineResult<Header> {
        let command = AuthCommand::RoleRevokePermission { name, range };
        self.change_auth(command).await
    }

    async fn hash_of(&self, password: NewPassword) -> EngineResult<String> {
        match password {
            NewPassword::Plain(password) => self.inner.auth.passwords.hash(password).await,
            NewPassword::Hash(hash) => Ok(foreign_hash(&hash)?),
        }
    }

    async fn change_auth(&self, command: AuthCommand) -> EngineResult<Header> {
        match self.propose(Command::Auth(command)).await? {
            (header, Reply::Done) => Ok(header),
            (_, other) => Err(unexpected(&other)),
        }
    }

    /// Reads users and roles, for root or if the caller asks for its `own`.
    async fn ask<T>(
        &self,
        own: impl Fn(&AuthState) -> bool,
        read: impl Fn(&AuthState) -> Result<T, AuthError>,
    ) -> EngineResult<(Header, T)> {
        self.settle(Consistency::Linearizable).await?;
        let view = self.inner.views.load();
        if own(&view.auth) {
            view.auth.admit(self.reader())?;
        } else {
            view.auth.administer(self.reader())?;
        }
        let found = read(&view.auth)?;
        Ok((self.header(), found))
    }

    /// Forgets tokens that have ended, for as long as the member runs.
    pub(in crate::engine) async fn sweep_tokens(self) {
        let Some(tokens) = self.inner.auth.tokens.simple() else {
            return;
        };
        let mut ticks = tokio::time::interval(tokens.sweep_interval());
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            tokens.sweep(clock::now());
        }
    }
}
