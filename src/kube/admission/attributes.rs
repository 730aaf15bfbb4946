//! What is being done to which object, as admission sees it.

use parking_lot::Mutex;
use serde_json::Value;

use super::quota::Charged;
use crate::kube::schema::Resource;
use crate::kube::status::ApiError;
use crate::kube::tree;
use crate::kube::user::User;

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
    /// Where plugins put what is told besides the answer.
    pub warnings: &'a Mutex<Vec<String>>,
    /// What quotas have been charged for the request.
    pub charged: &'a Charged,
}

impl Attributes<'_> {
    /// Whether it is about a resource, whatever the subresource.
    pub(super) fn about(&self, group: &str, plural: &str) -> bool {
        &*self.resource.group == group && &*self.resource.plural == plural
    }

    /// Whether it is about the objects of a resource themselves.
    pub(super) fn whole(&self, group: &str, plural: &str) -> bool {
        self.subresource.is_empty() && self.about(group, plural)
    }

    /// Tells something once.
    pub(super) fn warn(&self, text: String) {
        let mut all = self.warnings.lock();
        if !all.contains(&text) {
            all.push(text);
        }
    }

    pub(super) fn creates(&self) -> bool {
        self.operation == Operation::Create
    }

    /// 403, in the name of the object or of what its name will begin with.
    pub(super) fn refuse(&self, object: &Value, why: impl std::fmt::Display) -> ApiError {
        let names = [
            self.name,
            tree::text(object, &["metadata", "name"]),
            tree::text(object, &["metadata", "generateName"]),
        ];
        let name = names.into_iter().find(|name| !name.is_empty());
        ApiError::forbidden(self.resource, name.unwrap_or("Unknown"), why)
    }
}
