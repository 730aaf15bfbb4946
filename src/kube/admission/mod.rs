//! What may be written: plugins that complete objects and plugins that judge them, in kube-apiserver's order.

mod lifecycle;

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;

use super::live::Live;
use super::schema::Resource;
use super::status::ApiResult;
use super::store::ObjectStore;
use super::user::User;

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Create,
    Update,
    Delete,
    Connect,
}

/// What plugins know of a request besides the objects.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    pub operation: Operation,
    pub resource: &'a Resource,
    /// `""` for the object itself.
    pub subresource: &'a str,
    pub namespace: &'a str,
    /// `""` for a new object whose name is made up.
    pub name: &'a str,
    pub user: &'a User,
    pub dry_run: bool,
}

/// The plugins of a server.
#[derive(Debug)]
pub struct Admission {
    store: ObjectStore,
    live: Arc<Live>,
    disabled: HashSet<String>,
}

impl Admission {
    /// All default plugins but those in `disabled`.
    pub fn new(store: ObjectStore, live: Arc<Live>, disabled: &[String]) -> Self {
        Self {
            store,
            live,
            disabled: disabled.iter().cloned().collect(),
        }
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
        _old: Option<&Value>,
        _object: &mut Value,
    ) -> ApiResult<()> {
        if self.has(lifecycle::NAME) {
            lifecycle::check(&self.store, &self.live, attributes).await?;
        }
        Ok(())
    }

    /// Judges what is to be done: `object` is what will be written, none for a deletion.
    ///
    /// # Errors
    /// What a plugin refuses.
    pub async fn validate(
        &self,
        attributes: &Attributes<'_>,
        _old: Option<&Value>,
        _object: Option<&Value>,
    ) -> ApiResult<()> {
        if self.has(lifecycle::NAME) && attributes.operation == Operation::Delete {
            lifecycle::check(&self.store, &self.live, attributes).await?;
        }
        Ok(())
    }
}
