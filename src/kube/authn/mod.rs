//! Who makes a request: by a front proxy's word, a client certificate, a bearer token, or nobody in particular.
//!
//! The order is the release's: a front proxy is asked first, then the certificate, then tokens. Whoever shows
//! something that is not believed is refused, and not taken for anonymous.

mod bootstrap_token;
pub mod headers;
pub mod request_header;
pub mod reviews;
pub mod service_account;
pub mod token_file;
pub mod x509;

#[cfg(any(test, fuzzing))]
pub mod fuzzing;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use rustls_pki_types::CertificateDer;

use self::request_header::HeaderNames;
use self::service_account::ServiceAccounts;
use self::token_file::TokenFile;
use self::x509::{Authorities, Side, Subject};
use super::authz::rbac::aggregate;
use super::objects::Objects;
use super::user::{ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, User};

/// The key of [`User::extra`] that tells which credential was shown.
pub const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

/// What is said in a `TokenReview` of a token that nobody knows.
const INVALID_TOKEN: &str = "invalid bearer token";

/// How callers are known.
#[derive(Default)]
pub struct Settings {
    /// `--client-ca-file`.
    pub client_ca: Option<Authorities>,
    /// `--requestheader-*`.
    pub front_proxy: Option<FrontProxy>,
    /// `--token-auth-file`.
    pub token_file: Option<TokenFile>,
    /// `--service-account-*`.
    pub service_accounts: Option<Arc<ServiceAccounts>>,
    /// Where bootstrap tokens are kept: `--enable-bootstrap-token-auth`.
    pub bootstrap_tokens: Option<Arc<dyn Objects>>,
    /// What `TokenReview` and tokens of service accounts are for if they do not say: `--api-audiences`.
    pub audiences: Vec<String>,
    /// `--anonymous-auth`.
    pub anonymous: bool,
}

/// Who may tell the names of others.
#[derive(Debug, Clone)]
pub struct FrontProxy {
    /// `--requestheader-client-ca-file`.
    pub authorities: Authorities,
    /// `--requestheader-allowed-names`: common names; empty for any.
    pub names: Vec<String>,
    pub headers: HeaderNames,
}

/// Tells who makes requests.
pub struct Authenticator {
    settings: Settings,
}

/// What a connection has shown: read once and asked for each of its requests.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// Who the certificate is of, if the clients' authority has issued it.
    client: Option<Arc<Subject>>,
    /// Whether it is a front proxy's.
    proxy: Option<Arc<Subject>>,
    /// Why the certificate is not believed, by those who were asked.
    errors: Vec<String>,
}

/// What a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub user: User,
    /// Of those that were asked for, the audiences that the credential is for.
    pub audiences: Vec<String>,
}

/// Nobody that is known: 401. The reasons are for the log and `TokenReview`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", aggregate(.0))]
pub struct Unauthorized(pub Vec<String>);

impl Authenticator {
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// What is made of the certificates that a client has shown, its own first. `now` is since the Unix epoch.
    pub fn shown(&self, chain: &[CertificateDer<'_>], now: Duration) -> Shown {
        let mut shown = Shown::default();
        let Some(own) = chain.first() else {
            return shown;
        };
        let subject = match Subject::read(own) {
            Ok(subject) => Arc::new(subject),
            Err(error) => {
                shown.errors.push(error);
                return shown;
            }
        };
        if let Some(proxy) = &self.settings.front_proxy {
            let name = &subject.common_name;
            if !proxy.authorities.have_issued(chain, Side::Client, now) {
                shown
                    .errors
                    .push("verifying certificate failed for the front proxy".into());
            } else if !proxy.names.is_empty() && !proxy.names.contains(name) {
                let error = format!("x509: subject with cn={name} is not in the allowed list");
                shown.errors.push(error);
            } else {
                shown.proxy = Some(Arc::clone(&subject));
            }
        }
        if let Some(authorities) = &self.settings.client_ca {
            if authorities.have_issued(chain, Side::Client, now) {
                shown.client = Some(subject);
            } else {
                shown.errors.push("verifying certificate failed".into());
            }
        }
        shown
    }

    /// Who makes a request over a connection that has shown something.
    ///
    /// # Errors
    /// [`Unauthorized`].
    pub fn authenticate(
        &self,
        shown: &Shown,
        headers: &HeaderMap,
        now: Duration,
    ) -> Result<Known, Unauthorized> {
        let mut errors = shown.errors.clone();
        let known = self
            .by_proxy(shown, headers, now)
            .or_else(|| self.by_certificate(shown, now, &mut errors))
            .or_else(|| self.by_token(headers, now, &mut errors));
        match known {
            Some(mut known) => {
                add_authenticated(&mut known.user);
                Ok(known)
            }
            None if errors.is_empty() && self.settings.anonymous => Ok(Known {
                user: User::anonymous(),
                audiences: self.settings.audiences.clone(),
            }),
            None => Err(Unauthorized(errors)),
        }
    }

    /// Whom a token is of; `audiences` are those that it must be for, the server's own if there are none.
    ///
    /// # Errors
    /// [`Unauthorized`].
    pub fn review(
        &self,
        token: &str,
        audiences: &[String],
        now: Duration,
    ) -> Result<Known, Unauthorized> {
        let audiences = match audiences {
            [] => &self.settings.audiences,
            asked => asked,
        };
        let mut errors = Vec::new();
        match self.by_bearer(token, audiences, now, &mut errors) {
            Some(mut known) => {
                add_authenticated(&mut known.user);
                Ok(known)
            }
            None => Err(Unauthorized(errors)),
        }
    }

    /// Takes from a request what nobody further on may see or be told by a client.
    pub fn strip(&self, headers: &mut HeaderMap) {
        headers.remove(http::header::AUTHORIZATION);
        if let Some(proxy) = &self.settings.front_proxy {
            proxy.headers.strip(headers);
        }
    }

    fn by_proxy(&self, shown: &Shown, headers: &HeaderMap, now: Duration) -> Option<Known> {
        let proxy = self.settings.front_proxy.as_ref()?;
        let subject = shown.proxy.as_ref()?;
        let user = proxy
            .headers
            .user(headers)
            .filter(|_| !has_ended(subject, now))?;
        Some(self.for_all_audiences(user))
    }

    fn by_certificate(
        &self,
        shown: &Shown,
        now: Duration,
        errors: &mut Vec<String>,
    ) -> Option<Known> {
        let subject = shown.client.as_ref()?;
        if has_ended(subject, now) {
            errors.push("verifying certificate failed: it has expired".into());
            return None;
        }
        Some(self.for_all_audiences(subject.user.clone()?))
    }

    fn by_token(
        &self,
        headers: &HeaderMap,
        now: Duration,
        errors: &mut Vec<String>,
    ) -> Option<Known> {
        let audiences = &self.settings.audiences;
        if let Some(token) = headers::bearer(headers) {
            let known = self.by_bearer(token, audiences, now, errors);
            if known.is_some() {
                return known;
            }
        }
        if !headers::asks_for_web_socket(headers) {
            return None;
        }
        match headers::web_socket(headers) {
            Ok(Some((token, _))) => self.by_bearer(&token, audiences, now, errors),
            Ok(None) => None,
            Err(error) => {
                errors.push(error.to_owned());
                None
            }
        }
    }

    fn by_bearer(
        &self,
        token: &str,
        audiences: &[String],
        now: Duration,
        errors: &mut Vec<String>,
    ) -> Option<Known> {
        // The release asks for its own token for itself first, which never says more.
        let invalid = errors.len();
        errors.push(INVALID_TOKEN.into());
        if token.len() > headers::MAX_TOKEN {
            return None;
        }
        let known = self
            .by_file(token, audiences)
            .or_else(|| self.by_service_account(token, audiences, now, errors))
            .or_else(|| self.by_bootstrap_token(token, audiences, now));
        if known.is_some() {
            errors.truncate(invalid);
        }
        known
    }

    fn by_file(&self, token: &str, audiences: &[String]) -> Option<Known> {
        let user = self.settings.token_file.as_ref()?.user(token)?;
        self.for_any_of(audiences, user.clone())
    }

    fn by_service_account(
        &self,
        token: &str,
        audiences: &[String],
        now: Duration,
        errors: &mut Vec<String>,
    ) -> Option<Known> {
        let accounts = self.settings.service_accounts.as_ref()?;
        let known = accounts.authenticate(token, audiences, now);
        known.unwrap_or_else(|error| {
            errors.push(error);
            None
        })
    }

    fn by_bootstrap_token(
        &self,
        token: &str,
        audiences: &[String],
        now: Duration,
    ) -> Option<Known> {
        let objects = self.settings.bootstrap_tokens.as_ref()?;
        let user = bootstrap_token::user(token, &**objects, now)?;
        self.for_any_of(audiences, user)
    }

    /// A user of a credential that names no audience: it is for this server.
    fn for_any_of(&self, audiences: &[String], user: User) -> Option<Known> {
        let own = &self.settings.audiences;
        let common: Vec<_> = own
            .iter()
            .filter(|one| audiences.contains(one))
            .cloned()
            .collect();
        (own.is_empty() || !common.is_empty()).then_some(Known {
            user,
            audiences: common,
        })
    }

    fn for_all_audiences(&self, user: User) -> Known {
        Known {
            user,
            audiences: self.settings.audiences.clone(),
        }
    }
}

fn has_ended(subject: &Subject, now: Duration) -> bool {
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX) > subject.not_after
}

/// Whoever is known belongs to the group of all that are.
fn add_authenticated(user: &mut User) {
    if user.name != ANONYMOUS && !user.is_in(AUTHENTICATED) && !user.is_in(UNAUTHENTICATED) {
        user.groups.push(AUTHENTICATED.into());
    }
}
