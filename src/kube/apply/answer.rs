//! Why an apply patch is refused, in the words of the release.

use std::collections::BTreeMap;

use serde_json::Value;

use super::managed::Identity;
use super::path::{self, Element};
use crate::kube::patch::json_type;
use crate::kube::status::{ApiError, ApiResult, Cause, Details};

/// A field that another manager owns with another value.
pub(super) type Conflict = (Identity, Vec<Element>);

/// A kind as Go prints it: `apps/v1, Kind=Deployment`, `/v1, Kind=Pod`.
pub(super) fn kind(api_version: &str, kind: &str) -> String {
    let slash = if api_version.contains('/') { "" } else { "/" };
    format!("{slash}{api_version}, Kind={kind}")
}

fn kind_of(object: &Value) -> String {
    let text = |name| object.get(name).and_then(Value::as_str).unwrap_or_default();
    match text("apiVersion") {
        // What is no version leaves the kind out as well.
        none if none.matches('/').count() > 1 => kind("", ""),
        version => kind(version, text("kind")),
    }
}

pub(super) fn check_kind(patch: &Value, wanted: &str) -> ApiResult<()> {
    if !patch.is_object() && !patch.is_null() {
        let found = json_type(patch);
        return Err(ApiError::bad_request(format!(
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: \
             json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
        )));
    }
    let found = kind_of(patch);
    if found == wanted {
        return Ok(());
    }
    Err(ApiError::bad_request(format!(
        "invalid object type: {found}"
    )))
}

/// `namespace/name; kind`.
pub(super) fn about(object: &Value) -> String {
    let metadata = object.get("metadata");
    let text = |name| metadata.and_then(|metadata| metadata.get(name)?.as_str());
    let text = |name| text(name).unwrap_or_default();
    format!(
        "{}/{}; {}",
        text("namespace"),
        text("name"),
        kind_of(object)
    )
}

/// 409 with a cause for each field.
pub(super) fn conflicts(conflicts: &[Conflict]) -> ApiError {
    let causes = conflicts.iter().map(|(manager, path)| Cause {
        reason: "FieldManagerConflict".into(),
        message: format!("conflict with {}", manager.print()),
        field: path::print(path),
    });
    let message = match conflicts {
        [(manager, path)] => {
            let (manager, path) = (manager.print(), path::print(path));
            format!("Apply failed with 1 conflict: conflict with {manager}: {path}")
        }
        several => {
            let mut by_manager: BTreeMap<&Identity, Vec<&[Element]>> = BTreeMap::new();
            for (manager, path) in several {
                by_manager.entry(manager).or_default().push(path);
            }
            let mut lines = Vec::new();
            for (manager, paths) in by_manager {
                lines.push(format!("conflicts with {}:", manager.print()));
                lines.extend(paths.iter().map(|path| format!("- {}", path::print(path))));
            }
            format!(
                "Apply failed with {} conflicts: {}",
                several.len(),
                lines.join("\n")
            )
        }
    };
    ApiError::new(409, "Conflict", message).with_details(Details {
        causes: causes.collect(),
        ..Details::default()
    })
}
