//! Columns in which custom objects are printed.

use serde_json::Value;

use crate::kube::tree;

/// What `metadata.creationTimestamp` is described as in the column that every kind without columns has.
const CREATION: &str = "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

/// One of `additionalPrinterColumns`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// `integer`, `number`, `string`, `boolean` or `date`.
    pub of_type: String,
    pub format: String,
    pub description: String,
    pub priority: i64,
    /// `.spec.replicas`.
    pub json_path: String,
}

impl Column {
    pub(super) fn read(of: &Value) -> Self {
        let text = |key| tree::text(of, &[key]).to_owned();
        Self {
            name: text("name"),
            of_type: text("type"),
            format: text("format"),
            description: text("description"),
            priority: tree::int(of, &["priority"]).unwrap_or(0),
            json_path: text("jsonPath"),
        }
    }

    /// The one column of a kind that names none.
    pub(super) fn age() -> Self {
        Self {
            name: "Age".into(),
            of_type: "date".into(),
            format: String::new(),
            description: CREATION.into(),
            priority: 0,
            json_path: ".metadata.creationTimestamp".into(),
        }
    }
}
