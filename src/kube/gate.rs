//! The gate: who makes a request, and whether they may.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

use super::authn::token_file::TokenFile;
use super::authn::x509::Authorities;
use super::authn::{Authenticator, Settings, Shown};
use super::authz::refusal::forbidden;
use super::authz::{Authorizer, Mode};
use super::objects::Objects;
use super::request::RequestInfo;
use super::rest::{Answer, Call, ClientCertificate};
use super::status::{ApiError, ApiResult};
use super::user::User;
use crate::base::clock;

/// Who is let in, as the flags have it.
#[derive(Debug, Clone, Default)]
pub struct GateConfig {
    pub client_ca: Option<PathBuf>,
    pub token_file: Option<PathBuf>,
    pub audiences: Vec<String>,
    pub anonymous: bool,
    /// Names of authorizers, in the order in which they are asked.
    pub authorization: Vec<String>,
}

/// See the module comment.
pub struct Gate {
    authenticator: Authenticator,
    authorizer: Authorizer,
}

impl Gate {
    /// Reads the files.
    ///
    /// # Errors
    /// The file that cannot be used, or the mode that there is not.
    pub fn new(config: &GateConfig, objects: Arc<dyn Objects>) -> Result<Self, String> {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
        };
        let client_ca = match &config.client_ca {
            Some(path) => Some(Authorities::read(&read(path)?)?),
            None => None,
        };
        let token_file = match &config.token_file {
            Some(path) => Some(TokenFile::read(&read(path)?)?),
            None => None,
        };
        let modes = config.authorization.iter();
        let modes = modes.filter_map(|name| Mode::named(name)).collect();
        Ok(Self {
            authenticator: Authenticator::new(Settings {
                client_ca,
                front_proxy: None,
                token_file,
                audiences: config.audiences.clone(),
                anonymous: config.anonymous,
            }),
            authorizer: Authorizer::new(modes, objects),
        })
    }

    /// Who makes a request.
    ///
    /// # Errors
    /// 401.
    pub fn authenticate(
        &self,
        headers: &HeaderMap,
        certificate: Option<&ClientCertificate>,
    ) -> ApiResult<User> {
        let now = clock::unix_time();
        let shown = certificate.map_or_else(Shown::default, |chain| {
            self.authenticator.shown(&chain.0, now)
        });
        match self.authenticator.authenticate(&shown, headers, now) {
            Ok(known) => Ok(known.user),
            Err(why) => {
                tracing::debug!(%why, "a request of nobody that is known");
                Err(ApiError::unauthorized())
            }
        }
    }

    /// Whether they may.
    ///
    /// # Errors
    /// 403.
    pub fn authorize(&self, user: &User, request: &RequestInfo) -> ApiResult<()> {
        let decision = self.authorizer.authorize(user, request);
        if decision.is_allowed() {
            return Ok(());
        }
        Err(forbidden(user, request, &decision.reason))
    }

    /// A token for a service account.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub async fn issue_token(&self, _call: &Call, _body: &Bytes) -> ApiResult<Answer> {
        Err(ApiError::method_not_allowed())
    }

    /// Answers an access or token review.
    ///
    /// # Errors
    /// What is wrong with the question.
    pub async fn review(&self, _call: &Call, _review: Value) -> ApiResult<Value> {
        Err(ApiError::method_not_allowed())
    }
}
