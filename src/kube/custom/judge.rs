//! What is wrong with a custom object, in the release's order: its kind, metadata, schema, scale, embedded objects, lists, rules.

use serde_json::Value;

use super::kinds::{Kind, ScalePaths};
use super::{scale, structural};
use crate::kube::field::{FieldError, FieldErrorKind, quoted};
use crate::kube::schema::Resource;
use crate::kube::tree;
use crate::kube::validate;

/// Runs the rules of a schema on an object, of an update with the old one: another module's part, handed in.
pub type Rules<'a> = &'a dyn Fn(&Value, Option<&Value>) -> Vec<FieldError>;

/// What is wrong with a new object.
pub fn create(
    resource: &Resource,
    kind: &Kind,
    object: &Value,
    rules: Rules<'_>,
) -> Vec<FieldError> {
    let schema = kind.version.schema.as_deref();
    let mut errors = type_meta(kind, object);
    if errors.is_empty() {
        errors.extend(validate::custom_metadata(resource, object));
        errors.extend(
            schema
                .iter()
                .flat_map(|of| structural::validate(of, object, None)),
        );
        errors.extend(scales(kind, object));
    }
    if let Some(schema) = schema {
        errors.extend(structural::validate_metadata(schema, object, false));
        errors.extend(structural::validate_lists(schema, object));
    }
    if kind.version.ruled {
        ruled(object, None, rules, &mut errors);
    }
    errors
}

/// What is wrong with an update of the object, or of its status: `subresource` is `""` or `status`. What is wrong with metadata
/// that any update does comes first.
pub fn update(
    kind: &Kind,
    subresource: &str,
    old: &Value,
    new: &Value,
    rules: Rules<'_>,
) -> Vec<FieldError> {
    let schema = kind.version.schema.as_deref();
    let mut errors = type_meta(kind, new);
    let whole = subresource != "status";
    if errors.is_empty() {
        errors.extend(validate::metadata_update(old, new));
        if whole {
            let values = |of| structural::validate(of, new, Some(old));
            errors.extend(schema.iter().copied().flat_map(values));
            errors.extend(scales(kind, new));
        } else {
            let of_status = schema.and_then(|schema| schema.properties.get("status"));
            if let (Some(of), Some(status)) = (of_status, new.get("status")) {
                let before = old.get("status").unwrap_or(&Value::Null);
                let found = structural::validate_at(of, "status", status, Some(before));
                errors.extend(found);
            }
            errors.extend(
                kind.version
                    .scale
                    .iter()
                    .flat_map(|paths| status_scale(paths, new)),
            );
        }
    }
    if let Some(schema) = schema {
        if whole {
            errors.extend(structural::validate_metadata(schema, new, false));
        }
        errors.extend(structural::validate_list_types(schema, new, Some(old)));
    }
    if kind.version.ruled {
        ruled(new, Some(old), rules, &mut errors);
    }
    errors
}

/// Rules are not run on what has not the form that they rely on.
fn ruled(new: &Value, old: Option<&Value>, rules: Rules<'_>, errors: &mut Vec<FieldError>) {
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
        errors.extend(rules(new, old));
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
