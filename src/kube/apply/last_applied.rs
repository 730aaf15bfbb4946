//! The annotation in which `kubectl apply` keeps what it has applied, for the change from there to applying on the server.

use serde_json::{Map, Value};

use super::compare::compare;
use super::set::Set;
use super::types::Type;
use super::{fieldset, validate, value};

/// The one manager that has it.
pub(super) const MANAGER: &str = "kubectl";
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Bytes of all annotations of an object.
const MAX_ANNOTATIONS: usize = 256 * 1024;

fn annotations(object: &Value) -> Option<&Map<String, Value>> {
    object.get("metadata")?.get("annotations")?.as_object()
}

/// The fields that the annotation names and that the object has unchanged.
pub(super) fn owned(live: &Value, of: Type, version: &str) -> Option<Set> {
    let text = annotations(live)?.get(ANNOTATION)?.as_str()?;
    let applied: Value = serde_json::from_str(text).ok()?;
    if applied.get("apiVersion")?.as_str()? != version {
        return None;
    }
    validate::validate(of, &applied).ok()?;
    let changes = compare(of, &applied, live).ok()?;
    let set = fieldset::of_value(of, &applied);
    let set = set.difference(&changes.modified).difference(&changes.added);
    Some(set.difference(&changes.removed))
}

/// Keeps the annotation of an object that has one up to date with what is applied.
pub(super) fn renew(object: &mut Value, patch: &Value) {
    let has = annotations(object).and_then(|all| all.get(ANNOTATION)?.as_str());
    if has.is_none_or(str::is_empty) {
        return;
    }
    let mut patch = patch.clone();
    let of_patch = patch
        .get_mut("metadata")
        .and_then(|metadata| metadata.get_mut("annotations"));
    if let Some(annotations) = of_patch.and_then(Value::as_object_mut) {
        annotations.shift_remove(ANNOTATION);
    }
    let text = value::go_json(&patch) + "\n";
    let of_object = object
        .get_mut("metadata")
        .and_then(|metadata| metadata.get_mut("annotations"));
    let Some(annotations) = of_object.and_then(Value::as_object_mut) else {
        return;
    };
    let others = annotations.iter().filter(|(key, _)| *key != ANNOTATION);
    let others = others.map(|(key, value)| key.len() + value.as_str().unwrap_or_default().len());
    if others.sum::<usize>() + ANNOTATION.len() + text.len() > MAX_ANNOTATIONS {
        annotations.shift_remove(ANNOTATION);
    } else {
        annotations.insert(ANNOTATION.into(), text.into());
    }
}
