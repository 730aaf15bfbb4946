//! Which objects a list, a watch or a deletion is about: label and field selectors.
//!
//! A selector is read once for a request and then asked for every object or event, so reading does all the looking up.

mod fields;
mod known;
mod labels;
mod names;
mod parse;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub use fields::FieldSelector;
pub use known::Fields;
pub use labels::{LabelSelector, Operator, Requirement, labels_of};

use crate::kube::status::{ApiError, ApiResult};

/// The selectors of a request: both must hold.
#[derive(Debug, Clone, Default)]
pub struct Selector {
    pub labels: LabelSelector,
    pub fields: FieldSelector,
}

impl Selector {
    /// Reads the parameters `labelSelector` and `fieldSelector`; what is missing is empty.
    ///
    /// # Errors
    /// 400, for labels before fields.
    pub fn parse(labels: &str, fields: &str, known: &Fields) -> ApiResult<Self> {
        Ok(Self {
            labels: LabelSelector::parse(labels).map_err(ApiError::bad_request)?,
            fields: FieldSelector::parse(fields, known).map_err(ApiError::bad_request)?,
        })
    }

    /// Whether every object is selected.
    pub fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.is_everything()
    }

    /// Whether an object, in the version that is stored, is selected.
    pub fn matches(&self, object: &Value) -> bool {
        self.fields.matches(object) && self.labels.matches_object(object)
    }

    /// The one name that can be selected.
    pub fn name(&self) -> Option<&str> {
        self.fields.exactly("metadata.name")
    }

    /// The one namespace that can be selected.
    pub fn namespace(&self) -> Option<&str> {
        self.fields.exactly("metadata.namespace")
    }

    /// The one node whose pods can be selected; `""` for pods that have none.
    pub fn node_name(&self) -> Option<&str> {
        self.fields.exactly("spec.nodeName")
    }
}

/// Fuzz check: a selector that can be read says the same when it is written and read again, and matching never fails.
#[cfg(any(test, fuzzing))]
#[expect(clippy::panic, reason = "a check fails by panicking")]
pub fn fuzz_selector(data: &[u8]) {
    use crate::kube::schema::Resources;

    let text = String::from_utf8_lossy(data);
    let object = serde_json::json!({"metadata": {"name": "a", "labels": {"a": "b", "n": "7"}}});
    if let Ok(labels) = LabelSelector::parse(&text) {
        let written = labels.to_string();
        match LabelSelector::parse(&written) {
            Ok(again) if again == labels => {}
            other => panic!("{labels:?} is written {written:?} and read {other:?}"),
        }
        labels.matches_object(&object);
    }
    for (group, version, plural) in [
        ("", "v1", "pods"),
        ("", "v1", "events"),
        ("apps", "v1", "deployments"),
    ] {
        if let Some(resource) = Resources::built_in().find(group, version, plural)
            && let Ok(fields) = FieldSelector::parse(&text, &Fields::of(resource))
        {
            fields.matches(&object);
        }
    }
}
