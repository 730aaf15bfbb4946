//! Conditions of a definition.

use serde_json::{Map, Value};

use crate::kube::tree;

pub const NAMES_ACCEPTED: &str = "NamesAccepted";
pub const ESTABLISHED: &str = "Established";
pub const TERMINATING: &str = "Terminating";
pub const NON_STRUCTURAL: &str = "NonStructuralSchema";
pub const API_APPROVAL: &str = "KubernetesAPIApprovalPolicyConformant";

/// What a condition is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub of_type: &'static str,
    pub status: &'static str,
    pub reason: &'static str,
    pub message: String,
}

impl Condition {
    pub fn new(
        of_type: &'static str,
        status: bool,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        let status = if status { "True" } else { "False" };
        Self {
            of_type,
            status,
            reason,
            message: message.into(),
        }
    }

    /// Whether a definition says so already, whenever it began to.
    pub fn holds(&self, crd: &Value) -> bool {
        find(crd, self.of_type).is_some_and(|known| {
            tree::text(known, &["status"]) == self.status
                && tree::text(known, &["reason"]) == self.reason
                && tree::text(known, &["message"]) == self.message
        })
    }

    /// Puts it into a definition. Its time is `now` only if the status is another than before.
    pub fn put(&self, crd: &mut Value, now: &str) {
        let Some(conditions) = list(crd) else {
            return;
        };
        let known = conditions.iter_mut().find(|one| is_of(one, self.of_type));
        let since = match &known {
            Some(known) if tree::text(known, &["status"]) == self.status => {
                tree::get(known, &["lastTransitionTime"]).cloned()
            }
            _ => None,
        };
        let observed = known
            .as_deref()
            .and_then(|known| tree::get(known, &["observedGeneration"]).cloned());
        let mut made = Map::new();
        made.insert("type".into(), self.of_type.into());
        made.insert("status".into(), self.status.into());
        let since = since.unwrap_or_else(|| now.into());
        made.insert("lastTransitionTime".into(), since);
        made.insert("reason".into(), self.reason.into());
        if !self.message.is_empty() {
            made.insert("message".into(), self.message.clone().into());
        }
        if let Some(observed) = observed {
            made.insert("observedGeneration".into(), observed);
        }
        match known {
            Some(known) => *known = made.into(),
            None => conditions.push(made.into()),
        }
    }
}

/// Whether a condition is there and true.
pub fn is_true(crd: &Value, of_type: &str) -> bool {
    find(crd, of_type).is_some_and(|known| tree::text(known, &["status"]) == "True")
}

pub fn find<'a>(crd: &'a Value, of_type: &str) -> Option<&'a Value> {
    let mut all = tree::items(crd, &["status", "conditions"]).iter();
    all.find(|one| is_of(one, of_type))
}

/// Takes a condition away.
pub fn remove(crd: &mut Value, of_type: &str) {
    if let Some(conditions) = list(crd) {
        conditions.retain(|one| !is_of(one, of_type));
    }
}

fn is_of(condition: &Value, of_type: &str) -> bool {
    tree::text(condition, &["type"]) == of_type
}

/// The list of conditions, made if it is not there. None if something else stands in its place.
fn list(crd: &mut Value) -> Option<&mut Vec<Value>> {
    let status = super::status_of(crd)?;
    if status.get("conditions").is_none_or(Value::is_null) {
        // First of the fields of a status.
        status.shift_insert(0, "conditions".into(), Value::Array(Vec::new()));
    }
    status.get_mut("conditions")?.as_array_mut()
}
