//! The door to what is stored, for those who look other objects up while they judge a request.

use std::sync::Arc;

use serde_json::Value;

/// Objects as this member's views have them: possibly a moment old, never waiting for anyone.
pub trait Objects: Send + Sync {
    /// The object in its storage version with its `metadata.resourceVersion`; `namespace` is `""` at the cluster's scope.
    fn get(&self, group: &str, plural: &str, namespace: &str, name: &str) -> Option<Arc<Value>>;

    /// The objects of a namespace, or of all with `None`, in key order.
    fn list(&self, group: &str, plural: &str, namespace: Option<&str>) -> Vec<Arc<Value>>;

    /// The revision of the last change to any object of a resource, for those who keep what they make of a list
    /// until it changes; None if that is not known, and then they compare.
    fn changed(&self, _group: &str, _plural: &str) -> Option<u64> {
        None
    }
}
