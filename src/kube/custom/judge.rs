//! What is wrong with a custom object, in the release's order: its kind, metadata, schema, scale, embedded objects, lists, rules.

use serde_json::Value;

use super::kinds::{Kind, ScalePaths};
use super::scale;
use crate::kube::field::{FieldError, FieldErrorKind, quoted};
use crate::kube::schema::Resource;
use crate::kube::tree;
use crate::kube::validate;

/// What judges objects by their schema: another module's part, handed in.
#[derive(Clone, Copy)]
pub struct Judges<'a> {
    /// Value validation of a value at a path, `""` for the object; of an update with what was there, which is tolerated.
    pub values: &'a dyn Fn(&Value, Option<&Value>, &str) -> Vec<FieldError>,
    /// Metadata of embedded objects.
    pub embedded: &'a dyn Fn(&Value) -> Vec<FieldError>,
    /// Whether lists of type set and map have no duplicates.
    pub lists: &'a dyn Fn(&Value) -> Vec<FieldError>,
    /// Rules in CEL, of an update with the old object.
    pub rules: &'a dyn Fn(&Value, Option<&Value>) -> Vec<FieldError>,
}

/// What is wrong with a new object.
pub fn create(
    resource: &Resource,
    kind: &Kind,
    object: &Value,
    judges: Judges<'_>,
) -> Vec<FieldError> {
    let mut errors = type_meta(kind, object);
    if errors.is_empty() {
        errors.extend(validate::custom_metadata(resource, object));
        errors.extend((judges.values)(object, None, ""));
        errors.extend(scales(kind, object));
    }
    errors.extend((judges.embedded)(object));
    errors.extend((judges.lists)(object));
    ruled(object, None, judges, &mut errors);
    errors
}

/// What is wrong with an update of the object, or of its status: `subresource` is `""` or `status`. What is wrong with metadata
/// that any update does comes first.
pub fn update(
    kind: &Kind,
    subresource: &str,
    old: &Value,
    new: &Value,
    judges: Judges<'_>,
) -> Vec<FieldError> {
    let mut errors = type_meta(kind, new);
    let whole = subresource != "status";
    if errors.is_empty() {
        errors.extend(validate::metadata_update(old, new));
        if whole {
            errors.extend((judges.values)(new, Some(old), ""));
            errors.extend(scales(kind, new));
        } else {
            if let Some(status) = new.get("status") {
                let before = old.get("status").unwrap_or(&Value::Null);
                errors.extend((judges.values)(status, Some(before), "status"));
            }
            errors.extend(
                kind.version
                    .scale
                    .iter()
                    .flat_map(|paths| status_scale(paths, new)),
            );
        }
    }
    if whole {
        errors.extend((judges.embedded)(new));
    }
    if (judges.lists)(old).is_empty() {
        errors.extend((judges.lists)(new));
    }
    ruled(new, Some(old), judges, &mut errors);
    errors
}

/// Rules are not run on what has not the form that they rely on.
fn ruled(new: &Value, old: Option<&Value>, judges: Judges<'_>, errors: &mut Vec<FieldError>) {
    let blocked = errors.iter().any(|error| {
        matches!(
            error.kind,
            FieldErrorKind::NotSupported
                | FieldErrorKind::Required
                | FieldErrorKind::TooLong
                | FieldErrorKind::TooMany
                | FieldErrorKind::TypeInvalid
        )
    });
    if blocked {
        let why = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
        errors.push(FieldError::invalid("<nil>", "null", why));
    } else {
        errors.extend((judges.rules)(new, old));
    }
}

/// Whether an object is of the kind and version that it came in by.
fn type_meta(kind: &Kind, object: &Value) -> Vec<FieldError> {
    let version = format!("{}/{}", kind.definition.group, kind.version.name);
    let expected = [("kind", &*kind.definition.kind), ("apiVersion", &version)];
    let wrong = expected.into_iter().filter_map(|(key, expected)| {
        let is = tree::text(object, &[key]);
        let why = || format!("must be {expected}");
        (is != expected).then(|| FieldError::invalid(key, quoted(is), why()))
    });
    wrong.collect()
}

fn scales(kind: &Kind, object: &Value) -> Vec<FieldError> {
    let Some(paths) = &kind.version.scale else {
        return Vec::new();
    };
    let mut errors: Vec<_> = replicas(&paths.spec_replicas, object).into_iter().collect();
    errors.extend(status_scale(paths, object));
    errors
}

fn status_scale(paths: &ScalePaths, object: &Value) -> Vec<FieldError> {
    let mut errors: Vec<_> = replicas(&paths.status_replicas, object)
        .into_iter()
        .collect();
    if let Some(path) = paths.label_selector.as_deref()
        && let Err(why) = scale::text(object, path)
    {
        errors.push(FieldError::invalid(path, quoted(""), why));
    }
    errors
}

fn replicas(path: &str, object: &Value) -> Option<FieldError> {
    match scale::integer(object, path) {
        Err(why) => Some(FieldError::invalid(path, "0", why)),
        Ok(Some(number)) if number < 0 => {
            let why = "should be a non-negative integer";
            Some(FieldError::invalid(path, number.to_string(), why))
        }
        Ok(Some(number)) if number > i64::from(i32::MAX) => {
            let why = format!("should be less than or equal to {}", i32::MAX);
            Some(FieldError::invalid(path, number.to_string(), why))
        }
        Ok(_) => None,
    }
}

/// What a write warns of: finalizers that are new and that others could have, too.
pub fn warnings(old: Option<&Value>, new: &Value) -> Vec<String> {
    let finalizers = |object: &Value| -> std::collections::BTreeSet<String> {
        let all = tree::items(object, &["metadata", "finalizers"]).iter();
        all.filter_map(Value::as_str).map(Into::into).collect()
    };
    let known = old.map(finalizers).unwrap_or_default();
    let new = finalizers(new);
    let added = new.difference(&known);
    added.flat_map(|finalizer| warn_of(finalizer)).collect()
}

fn warn_of(finalizer: &str) -> Vec<String> {
    let mut warnings: Vec<String> = validate::qualified_name(finalizer)
        .into_iter()
        .map(|why| format!("metadata.finalizers: {finalizer:?}: {why}"))
        .collect();
    let standard = ["orphan", "foregroundDeletion", "kubernetes"];
    if !finalizer.contains('/') && !standard.contains(&finalizer) {
        let path = if finalizer.contains('.') {
            " including a path (/)"
        } else {
            ""
        };
        warnings.push(format!(
            "metadata.finalizers: {finalizer:?}: prefer a domain-qualified finalizer name{path} to avoid accidental conflicts with other finalizer writers"
        ));
    }
    warnings
}
