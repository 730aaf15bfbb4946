//! What may be written: plugins that complete objects and plugins that judge them, in kube-apiserver's order.

mod attributes;
mod lifecycle;
mod names;
mod plugins;
mod provision;
mod quota;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

pub use attributes::{Attributes, Operation};
pub use quota::Charged;

use super::authz::Authorizer;
use super::live::Live;
use super::objects::Objects as _;
use super::request::RequestInfo;
use super::status::ApiResult;
use super::store::ObjectStore;
use crate::base::clock;

/// Times that a namespace's own account is looked for: a controller makes it when it sees the namespace.
const ACCOUNT_TRIED: usize = 10;
/// Between two of them.
const ACCOUNT_PAUSE: Duration = Duration::from_millis(150);

/// The plugins of a server.
pub struct Admission {
    store: ObjectStore,
    live: Arc<Live>,
    /// Who may do what besides the request itself.
    authorizer: Arc<Authorizer>,
    on: HashSet<&'static str>,
    turns: quota::Turns,
}

impl Admission {
    /// All default plugins and those in `enabled`, but those in `disabled`.
    ///
    /// # Errors
    /// A text for the log: a name in either list is no plugin of the release, or is in both.
    pub fn new(
        store: ObjectStore,
        live: Arc<Live>,
        authorizer: Arc<Authorizer>,
        enabled: &[String],
        disabled: &[String],
    ) -> Result<Self, String> {
        names::check(enabled, disabled)?;
        for name in enabled.iter().filter(|name| !names::is_built(name)) {
            tracing::warn!(plugin = %name, "this admission plugin does nothing here yet");
        }
        Ok(Self {
            store,
            live,
            authorizer,
            on: names::on(enabled, disabled),
            turns: quota::Turns::default(),
        })
    }

    fn has(&self, plugin: &str) -> bool {
        self.on.contains(plugin)
    }

    /// Completes an object that is to be written.
    ///
    /// # Errors
    /// What a plugin refuses.
    pub async fn mutate(
        &self,
        attributes: &Attributes<'_>,
        old: Option<&Value>,
        object: &mut Value,
    ) -> ApiResult<()> {
        if self.has(provision::NAME) {
            let now = UNIX_EPOCH + clock::unix_time();
            provision::ensure(&self.store, &self.live, attributes, now).await?;
        }
        if self.has(lifecycle::NAME) {
            lifecycle::check(&self.store, &self.live, attributes).await?;
        }
        if self.has(plugins::ACCOUNTS)
            && let Some(account) = plugins::wanted_account(attributes, object)
        {
            self.await_account(attributes.namespace, account).await?;
        }
        if self.complete(attributes, old, object).is_ok() {
            return Ok(());
        }
        // What was missing may have been made a moment ago, on another member.
        self.store.latest().await?;
        self.complete(attributes, old, object)
    }

    /// Judges what is to be done: `object` is what will be written, none for a deletion.
    ///
    /// # Errors
    /// What a plugin refuses.
    pub async fn validate(
        &self,
        attributes: &Attributes<'_>,
        old: Option<&Value>,
        object: Option<&Value>,
    ) -> ApiResult<()> {
        if self.has(lifecycle::NAME) && attributes.operation == Operation::Delete {
            lifecycle::check(&self.store, &self.live, attributes).await?;
        }
        if self.has(lifecycle::EXISTS) {
            lifecycle::exists(&self.store, &self.live, attributes).await?;
        }
        let told = attributes.warnings.lock().len();
        if self.judge(attributes, old, object).is_err() {
            attributes.warnings.lock().truncate(told);
            self.store.latest().await?;
            self.judge(attributes, old, object)?;
        }
        match object {
            // What is charged for is about to be written: nobody is asked any more.
            Some(object) if self.has(quota::NAME) => {
                let stored = (&self.store, &*self.live);
                let now = UNIX_EPOCH + clock::unix_time();
                quota::check(stored, &self.turns, attributes, (old, object), now).await
            }
            _ => Ok(()),
        }
    }

    /// Whether whoever makes the request may do something else too; otherwise why not.
    fn may(&self, attributes: &Attributes<'_>, request: &RequestInfo) -> Result<(), String> {
        let decision = self.authorizer.authorize(attributes.user, request);
        if decision.is_allowed() {
            return Ok(());
        }
        Err(decision.reason)
    }

    fn complete(
        &self,
        attributes: &Attributes<'_>,
        old: Option<&Value>,
        object: &mut Value,
    ) -> ApiResult<()> {
        let given = plugins::Given {
            attributes,
            objects: &*self.live,
            has: &|plugin| self.has(plugin),
            may: &|request| self.may(attributes, request),
        };
        plugins::mutate(given, old, object, &mut rand::random)
    }

    fn judge(
        &self,
        attributes: &Attributes<'_>,
        old: Option<&Value>,
        object: Option<&Value>,
    ) -> ApiResult<()> {
        let given = plugins::Given {
            attributes,
            objects: &*self.live,
            has: &|plugin| self.has(plugin),
            may: &|request| self.may(attributes, request),
        };
        plugins::validate(given, old, object)
    }

    /// Waits a moment for an account that may be about to come. Who needs it finds out whether it has.
    async fn await_account(&self, namespace: &str, name: &str) -> ApiResult<()> {
        let known = || self.live.get("", "serviceaccounts", namespace, name);
        let tried = if name == "default" { ACCOUNT_TRIED } else { 1 };
        for attempt in 0..tried {
            if known().is_some() {
                return Ok(());
            }
            if attempt > 0 {
                tokio::time::sleep(ACCOUNT_PAUSE).await;
            }
            self.store.latest().await?;
        }
        Ok(())
    }
}
