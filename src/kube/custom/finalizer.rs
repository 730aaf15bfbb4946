//! The end of a definition: its objects are deleted before it.

use serde_json::{Value, json};

use super::conditions::{Condition, ESTABLISHED, TERMINATING, is_true};
use crate::kube::schema::Schema;
use crate::kube::tree;

/// What holds a definition until its objects are gone.
pub const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Marks a definition that a client deletes for the first time: it stays until [`finish`], and nothing can be created.
/// The time of deletion is the caller's.
pub fn begin(crd: &mut Value, now: &str) {
    let schema = Schema::built_in();
    let of = schema.find("meta/v1.ObjectMeta").map(|id| schema.get(id));
    let metadata = crd.get_mut("metadata").and_then(Value::as_object_mut);
    if let (Some(of), Some(metadata)) = (of, metadata) {
        if metadata.get("finalizers").is_none_or(Value::is_null) {
            tree::set_in_order(of, metadata, "finalizers", json!([]));
        }
        if let Some(Value::Array(all)) = metadata.get_mut("finalizers")
            && !all.iter().any(|one| one == FINALIZER)
        {
            all.push(FINALIZER.into());
        }
    }
    let message =
        "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
    Condition::new(TERMINATING, true, "InstanceDeletionPending", message).put(crd, now);
}

/// Whether a definition waits for its objects to be deleted.
pub fn is_due(crd: &Value) -> bool {
    let deleting = tree::get(crd, &["metadata", "deletionTimestamp"]).is_some();
    let finalizers = tree::items(crd, &["metadata", "finalizers"]);
    deleting && finalizers.iter().any(|one| one == FINALIZER)
}

/// Says that objects are being deleted.
pub fn deleting(crd: &mut Value, now: &str) {
    let message = "CustomResource deletion is in progress";
    Condition::new(TERMINATING, true, "InstanceDeletionInProgress", message).put(crd, now);
}

/// Says why objects could not be deleted: `could not list instances: ...`, `could not issue all deletes: ...`.
pub fn failed(crd: &mut Value, why: &str, now: &str) {
    Condition::new(TERMINATING, true, "InstanceDeletionFailed", why).put(crd, now);
}

/// Lets a definition go whose objects are gone, or that never had any because it was never established.
pub fn finish(crd: &mut Value, now: &str) {
    let (reason, message) = if is_true(crd, ESTABLISHED) {
        ("InstanceDeletionCompleted", "removed all instances")
    } else {
        ("NeverEstablished", "resource was never established")
    };
    Condition::new(TERMINATING, false, reason, message).put(crd, now);
    let finalizers = crd
        .get_mut("metadata")
        .and_then(|metadata| metadata.get_mut("finalizers"));
    if let Some(Value::Array(all)) = finalizers {
        all.retain(|one| one != FINALIZER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_waits_for_its_objects() {
        let now = "2026-01-02T03:04:05Z";
        let mut crd = json!({
            "metadata": {"name": "a", "deletionTimestamp": now},
            "status": {"conditions": [{"type": "Established", "status": "True"}]},
        });
        assert!(!is_due(&crd));
        begin(&mut crd, now);
        assert!(is_due(&crd));
        assert_eq!(
            crd["status"]["conditions"][1]["reason"],
            "InstanceDeletionPending"
        );
        deleting(&mut crd, now);
        finish(&mut crd, now);
        assert!(!is_due(&crd));
        assert_eq!(
            crd["status"]["conditions"][1].to_string(),
            r#"{"type":"Terminating","status":"False","lastTransitionTime":"2026-01-02T03:04:05Z","reason":"InstanceDeletionCompleted","message":"removed all instances"}"#
        );
        assert_eq!(crd["metadata"]["finalizers"], json!([]));
    }
}
