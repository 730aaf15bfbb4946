//! What may be written: plugins that complete objects and plugins that judge them, in kube-apiserver's order.

mod attributes;
mod lifecycle;
mod names;
mod plugins;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

pub use attributes::{Attributes, Operation};

use super::live::Live;
use super::objects::Objects as _;
use super::status::ApiResult;
use super::store::ObjectStore;

/// Times that a namespace's own account is looked for: a controller makes it when it sees the namespace.
const ACCOUNT_TRIED: usize = 10;
/// Between two of them.
const ACCOUNT_PAUSE: Duration = Duration::from_millis(150);

/// The plugins of a server.
#[derive(Debug)]
pub struct Admission {
    store: ObjectStore,
    live: Arc<Live>,
    disabled: HashSet<String>,
}

impl Admission {
    /// All default plugins but those in `disabled`.
    ///
    /// # Errors
    /// A text for the log: a name in either list is no plugin of the release, or is in both.
    pub fn new(
        store: ObjectStore,
        live: Arc<Live>,
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
            disabled: disabled.iter().cloned().collect(),
        })
    }

    fn has(&self, plugin: &str) -> bool {
        !self.disabled.contains(plugin)
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
        let Some(object) = object else {
            return Ok(());
        };
        if self.judge(attributes, old, object).is_ok() {
            return Ok(());
        }
        self.store.latest().await?;
        self.judge(attributes, old, object)
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
        };
        plugins::mutate(given, old, object, &mut rand::random)
    }

    fn judge(
        &self,
        attributes: &Attributes<'_>,
        old: Option<&Value>,
        object: &Value,
    ) -> ApiResult<()> {
        let given = plugins::Given {
            attributes,
            objects: &*self.live,
            has: &|plugin| self.has(plugin),
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
