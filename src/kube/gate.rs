//! The gate: who makes a request, as whom it goes on, and whether they may.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use serde_json::Value;

use super::authn::request_header::HeaderNames;
use super::authn::reviews::{self_subject_review, token_review};
use super::authn::service_account::{self, Issued, PublicKey, ServiceAccounts, SigningKey};
use super::authn::token_file::TokenFile;
use super::authn::x509::Authorities;
use super::authn::{Authenticator, FrontProxy, Settings, Shown};
use super::authz::refusal::forbidden;
use super::authz::{Authorizer, Mode, escalation, impersonation, reviews};
use super::metrics::GateMetrics;
use super::objects::Objects;
use super::request::RequestInfo;
use super::rest::ClientCertificate;
use super::schema::Resource;
use super::status::{ApiError, ApiResult};
use super::user::User;
use crate::base::clock;

/// Who is let in, as the flags have it.
#[derive(Debug, Clone, Default)]
pub struct GateConfig {
    pub client_ca: Option<PathBuf>,
    pub front_proxy: Option<FrontProxyConfig>,
    pub token_file: Option<PathBuf>,
    /// Whether the tokens in secrets are believed that nodes join with.
    pub bootstrap_tokens: bool,
    /// Of service account tokens; the first one is that of the tokens given here.
    pub issuers: Vec<String>,
    /// Public keys (or private ones) that tokens are checked with.
    pub service_account_keys: Vec<PathBuf>,
    pub signing_key: PathBuf,
    /// Where the key set is found: `https://HOST:PORT/openid/v1/jwks`.
    pub jwks_uri: String,
    /// The issuers if there are none.
    pub audiences: Vec<String>,
    pub anonymous: bool,
    /// Names of authorizers, in the order in which they are asked.
    pub authorization: Vec<String>,
}

/// Who may tell the names of others.
#[derive(Debug, Clone)]
pub struct FrontProxyConfig {
    /// Who issues their certificates.
    pub ca: PathBuf,
    /// Their common names; empty for any.
    pub names: Vec<String>,
    pub headers: HeaderNames,
}

/// See the module comment.
pub struct Gate {
    authenticator: Authenticator,
    authorizer: Arc<Authorizer>,
    accounts: Arc<ServiceAccounts>,
    metrics: GateMetrics,
}

impl Gate {
    /// Reads the files.
    ///
    /// # Errors
    /// The file that cannot be used.
    pub fn new(
        config: &GateConfig,
        objects: Arc<dyn Objects>,
        metrics: GateMetrics,
    ) -> Result<Self, String> {
        let client_ca = config.client_ca.as_deref();
        let client_ca = client_ca
            .map(|path| with(path, Authorities::read))
            .transpose()?;
        let front_proxy = config.front_proxy.as_ref().map(front_proxy).transpose()?;
        let token_file = config.token_file.as_deref();
        let token_file = token_file
            .map(|path| with(path, TokenFile::read))
            .transpose()?;
        let mut keys = Vec::new();
        for path in config
            .service_account_keys
            .iter()
            .chain([&config.signing_key])
        {
            keys.extend(with(path, PublicKey::read_all)?);
        }
        let audiences = if config.audiences.is_empty() {
            config.issuers.clone()
        } else {
            config.audiences.clone()
        };
        let accounts = service_account::Settings {
            issuers: config.issuers.clone(),
            keys,
            signing_key: Some(with(&config.signing_key, SigningKey::read)?),
            audiences: audiences.clone(),
            max_expiration: Duration::ZERO,
            extend_expiration: true,
            jwks_uri: config.jwks_uri.clone(),
        };
        let accounts = Arc::new(ServiceAccounts::new(accounts, Arc::clone(&objects)));
        let modes = config.authorization.iter();
        let modes = modes.filter_map(|name| Mode::named(name)).collect();
        Ok(Self {
            authenticator: Authenticator::new(Settings {
                client_ca,
                front_proxy,
                token_file,
                service_accounts: Some(Arc::clone(&accounts)),
                bootstrap_tokens: config.bootstrap_tokens.then(|| Arc::clone(&objects)),
                audiences,
                anonymous: config.anonymous,
            }),
            authorizer: Arc::new(Authorizer::new(modes, objects)),
            accounts,
            metrics,
        })
    }

    /// Who makes a request, or as whom they may make it.
    ///
    /// # Errors
    /// 401 for nobody that is known, 400 and 403 for one who would be somebody else.
    pub fn identify(
        &self,
        headers: &mut HeaderMap,
        certificate: Option<&ClientCertificate>,
        request: &RequestInfo,
    ) -> ApiResult<User> {
        let (began, now) = (clock::now(), clock::unix_time());
        let nothing = Shown::default();
        let shown = certificate.map_or(&nothing, |certificate| {
            certificate.shown(|chain| self.authenticator.shown(chain, now))
        });
        let known = self.authenticator.authenticate(shown, headers, now);
        let user = match known {
            Ok(known) => {
                self.metrics.known(&known.user.name, began);
                known.user
            }
            Err(why) => {
                self.metrics.unknown(began);
                tracing::debug!(%why, "a request of nobody that is known");
                return Err(ApiError::unauthorized());
            }
        };
        self.authenticator.strip(headers);
        let other = impersonation::impersonate(&self.authorizer, &user, request, headers)?;
        Ok(other.map_or(user, |other| other.user))
    }

    /// Whether they may.
    ///
    /// # Errors
    /// 403.
    pub fn authorize(&self, user: &User, request: &RequestInfo) -> ApiResult<()> {
        let began = clock::now();
        let decision = self.authorizer.authorize(user, request);
        self.metrics.judged(decision.verdict, began);
        if decision.is_allowed() {
            return Ok(());
        }
        Err(forbidden(user, request, &decision.reason))
    }

    /// Whether somebody may give the rights away that a role or binding gives.
    ///
    /// # Errors
    /// 403 with the rights that are missing.
    pub fn check_rights(
        &self,
        user: &User,
        request: &RequestInfo,
        resource: &Resource,
        new: &Value,
        old: Option<&Value>,
    ) -> ApiResult<()> {
        if &*resource.group != "rbac.authorization.k8s.io"
            || !self.authorizer.modes().contains(&Mode::Rbac)
        {
            return Ok(());
        }
        escalation::check(&self.authorizer, user, request, resource, new, old)
    }

    /// A token for a service account.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub fn issue_token(&self, namespace: &str, name: &str, request: &Value) -> ApiResult<Issued> {
        let now = clock::unix_time();
        self.accounts
            .issue(namespace, name, request, rand::random(), now)
    }

    /// Answers a review: who somebody is, or what they may.
    ///
    /// # Errors
    /// What is wrong with the question.
    pub fn review(
        &self,
        user: &User,
        resource: &Resource,
        namespace: &str,
        review: &Value,
    ) -> ApiResult<Value> {
        let now = clock::unix_time();
        match &*resource.plural {
            "tokenreviews" => token_review(&self.authenticator, review, now),
            "selfsubjectreviews" => Ok(self_subject_review(user, now)),
            plural => reviews::review(&self.authorizer, user, plural, namespace, review),
        }
    }

    /// Who judges requests.
    pub fn authorizer(&self) -> &Arc<Authorizer> {
        &self.authorizer
    }

    /// Believes and gives tokens; has the documents by which others can check them.
    pub fn accounts(&self) -> &ServiceAccounts {
        &self.accounts
    }
}

fn front_proxy(config: &FrontProxyConfig) -> Result<FrontProxy, String> {
    Ok(FrontProxy {
        authorities: with(&config.ca, Authorities::read)?,
        names: config.names.clone(),
        headers: config.headers.clone(),
    })
}

/// What a file holds.
fn with<T>(path: &Path, read: impl Fn(&[u8]) -> Result<T, String>) -> Result<T, String> {
    let content = std::fs::read(path).map_err(|error| error.to_string());
    let value = content.and_then(|content| read(&content));
    value.map_err(|error| format!("{}: {error}", path.display()))
}
