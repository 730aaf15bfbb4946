//! From what a request carries to who calls.

use std::ops::Deref;
use std::sync::Arc;

use super::{SimpleTokens, Tokens};
use crate::base::clock;
use crate::base::range::KeyRange;
use crate::engine::view::View;
use crate::engine::{Engine, EngineResult};
use crate::mvcc::auth::{Access, Actor, AuthError};

/// What a request carries to say who calls.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The token, if there is one.
    pub token: Option<String>,
    /// The name in a verified client certificate. Counts only without a token.
    pub certified: Option<Arc<str>>,
}

impl std::fmt::Debug for Credentials {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("token", &self.token.is_some())
            .field("certified", &self.certified)
            .finish()
    }
}

/// Who calls, as far as it is known. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Caller(Who);

#[derive(Debug, Clone)]
enum Who {
    /// The member itself.
    Member,
    Nobody,
    User(Arc<Known>),
}

#[derive(Debug)]
struct Known {
    credentials: Credentials,
    /// For commands: with the auth revision at which the user was made out.
    proposing: Actor,
    /// For reads, which are judged by the newest state.
    reading: Actor,
    /// Whether asking again with the same credentials gives a newer revision.
    renewable: bool,
}

impl Caller {
    /// The member itself, which may do everything.
    pub(in crate::engine) const MEMBER: Self = Self(Who::Member);
    /// Nobody that is known.
    pub const NOBODY: Self = Self(Who::Nobody);

    /// A user whom the member itself vouches for, at an auth revision.
    fn vouched(name: &str, revision: u64, credentials: Credentials) -> Self {
        let actor = |revision| Actor::User {
            name: name.to_owned(),
            revision,
        };
        Self(Who::User(Arc::new(Known {
            credentials,
            proposing: actor(revision),
            reading: actor(u64::MAX),
            renewable: true,
        })))
    }

    /// A user by a statement that was signed at an auth revision, and holds for that.
    fn stated(name: String, revision: u64, credentials: Credentials) -> Self {
        let actor = Actor::User { name, revision };
        Self(Who::User(Arc::new(Known {
            credentials,
            proposing: actor.clone(),
            reading: actor,
            renewable: false,
        })))
    }

    /// The same, for what goes on after it was admitted: changes that do not concern it do not end it.
    pub(in crate::engine) fn admitted(&self) -> Self {
        match &self.0 {
            Who::User(known) => match &known.proposing {
                Actor::User { name, .. } => {
                    Self::vouched(name, u64::MAX, known.credentials.clone())
                }
                _ => self.clone(),
            },
            _ => self.clone(),
        }
    }

    /// Who proposes a command.
    pub(in crate::engine) fn proposing(&self) -> &Actor {
        match &self.0 {
            Who::Member => &Actor::Member,
            Who::Nobody => &Actor::Nobody,
            Who::User(known) => &known.proposing,
        }
    }

    /// Who reads.
    fn reading(&self) -> &Actor {
        match &self.0 {
            Who::Member => &Actor::Member,
            Who::Nobody => &Actor::Nobody,
            Who::User(known) => &known.reading,
        }
    }

    /// What to ask with again when users or roles have changed meanwhile; `None` if that does not help.
    pub(in crate::engine) fn renewable(&self) -> Option<&Credentials> {
        match &self.0 {
            Who::User(known) if known.renewable => Some(&known.credentials),
            _ => None,
        }
    }
}

/// What a call asks of its caller before anything else is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Nothing.
    Open,
    /// To be a user.
    User,
    /// To have the role `root`.
    Root,
}

/// The store on behalf of a caller.
#[derive(Debug)]
pub enum Acting<'a> {
    /// The one that a service has.
    Shared(&'a Engine),
    /// One for this caller.
    Own(Engine),
}

impl Deref for Acting<'_> {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        match self {
            Self::Shared(engine) => engine,
            Self::Own(engine) => engine,
        }
    }
}

impl Engine {
    /// The same store for requests of clients: nobody is known until [`Self::acting`] says who calls. What the
    /// member itself does with the store is never refused; what comes from a client must come through here.
    pub fn for_clients(&self) -> Self {
        self.as_caller(Caller::NOBODY)
    }

    /// The same store on behalf of a caller; without one, as this.
    pub fn acting(&self, caller: Option<&Caller>) -> Acting<'_> {
        match caller {
            None => Acting::Shared(self),
            Some(caller) => Acting::Own(self.as_caller(caller.clone())),
        }
    }

    pub(in crate::engine) fn as_caller(&self, caller: Caller) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            caller,
        }
    }

    /// Whether requests are checked. One load.
    pub fn is_guarded(&self) -> bool {
        self.inner.views.is_guarded()
    }

    /// Who calls.
    ///
    /// # Errors
    /// [`AuthError::InvalidToken`].
    pub async fn identify(&self, credentials: Credentials) -> EngineResult<Caller> {
        // Before the token is looked at: what ends it afterwards raises the revision, and is noticed by that.
        let revision = self.inner.views.load().auth.revision();
        let Some(token) = &credentials.token else {
            return Ok(match &credentials.certified {
                Some(name) if !name.is_empty() => {
                    Caller::vouched(&Arc::clone(name), revision, credentials)
                }
                _ => Caller::NOBODY,
            });
        };
        match &self.inner.auth.tokens {
            Tokens::Simple(tokens) => {
                let user = self.user_of(tokens, token).await?;
                Ok(Caller::vouched(&user, revision, credentials))
            }
            Tokens::Signed(jwt) => {
                let said = jwt.verify(token, clock::unix_time());
                let said = said.ok_or(AuthError::InvalidToken)?;
                Ok(Caller::stated(said.user, said.revision, credentials))
            }
        }
    }

    /// Whose token it is. One that was given by another member a moment ago may still be on its way here.
    async fn user_of(&self, tokens: &SimpleTokens, token: &str) -> EngineResult<Arc<str>> {
        let known = || tokens.user_of(token, clock::now());
        if let Some(user) = known() {
            return Ok(user);
        }
        let index = SimpleTokens::index(token).ok_or(AuthError::InvalidToken)?;
        if index > self.inner.applied.get() {
            self.read_barrier().await?;
        }
        known().ok_or_else(|| AuthError::InvalidToken.into())
    }

    /// Who the caller is by now; the same if it cannot have become another.
    pub(in crate::engine) async fn renewed(&self, caller: &Caller) -> EngineResult<Option<Caller>> {
        match caller.renewable() {
            None => Ok(None),
            Some(credentials) => self.identify(credentials.clone()).await.map(Some),
        }
    }

    /// Refuses a caller that a call is not for.
    ///
    /// # Errors
    /// [`AuthError::UserEmpty`], [`AuthError::PermissionDenied`].
    pub fn admit(&self, caller: &Caller, demand: Demand) -> EngineResult<()> {
        let view = self.inner.views.load();
        match demand {
            Demand::Open => {}
            Demand::User => view.auth.admit(caller.reading())?,
            Demand::Root => view.auth.administer(caller.reading())?,
        }
        Ok(())
    }

    /// Refuses this engine's caller a range that it may not read whole.
    ///
    /// # Errors
    /// [`AuthError`].
    pub fn check_read(&self, range: &KeyRange) -> EngineResult<()> {
        Ok(self.access(&self.inner.views.load())?.read(range)?)
    }

    /// What this engine's caller may do in a view.
    pub(in crate::engine) fn access<'v>(&self, view: &'v View) -> Result<Access<'v>, AuthError> {
        view.auth.access(self.caller.reading())
    }

    /// Who this engine's caller is, for questions about itself.
    pub(super) fn reader(&self) -> &Actor {
        self.caller.reading()
    }
}
