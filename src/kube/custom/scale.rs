//! The `Scale` of a custom object: numbers and a selector that stand where the definition says.

use serde_json::{Map, Value, json};

use super::go;
use super::kinds::ScalePaths;
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::tree;

/// What a `Scale` wants whose object wants nothing: it cannot be written back.
const UNSET: i64 = i32::MIN as i64;

/// The `Scale` of an object, as an answer.
///
/// # Errors
/// 500 if the object has no number of replicas or something else in its place.
pub fn read(paths: &ScalePaths, object: &Value) -> ApiResult<Value> {
    let (scale, found) = of_object(paths, object).map_err(broken)?;
    if found {
        return Ok(scale);
    }
    let path = &paths.spec_replicas;
    let why = format!("the spec replicas field {path:?} does not exist");
    Err(ApiError::internal(why))
}

/// The `Scale` that an update begins with; one of an object without a number of replicas has one that cannot be.
///
/// # Errors
/// 500 if something else stands in the place of a number or a selector.
pub fn before_update(paths: &ScalePaths, object: &Value) -> ApiResult<Value> {
    let (mut scale, found) = of_object(paths, object).map_err(broken)?;
    if let (false, Some(spec)) = (found, scale.get_mut("spec").and_then(Value::as_object_mut)) {
        spec.insert("replicas".into(), UNSET.into());
    }
    Ok(scale)
}

/// Puts what a changed `Scale` wants into its object.
///
/// # Errors
/// 400 if it wants nothing, 500 if the object has no place for it.
pub fn into_object(paths: &ScalePaths, scale: &Value, object: &mut Value) -> ApiResult<()> {
    let wanted = tree::int(scale, &["spec", "replicas"]).unwrap_or(0);
    if wanted == UNSET {
        let path = &paths.spec_replicas;
        let why = format!("the spec replicas field {path:?} cannot be empty");
        return Err(ApiError::bad_request(why));
    }
    put(object, &fields(&paths.spec_replicas), wanted.into()).map_err(broken)
}

/// The `Scale` after an update.
///
/// # Errors
/// 400 if something else stands in the place of a number or a selector.
pub fn after_update(paths: &ScalePaths, object: &Value) -> ApiResult<Value> {
    let scale = of_object(paths, object).map(|(scale, _)| scale);
    scale.map_err(ApiError::bad_request)
}

/// An error that the release has no reason for.
fn broken(why: String) -> ApiError {
    ApiError::new(500, "", why)
}

/// The `Scale`, and whether the object has a number of replicas.
fn of_object(paths: &ScalePaths, object: &Value) -> Result<(Value, bool), String> {
    let wanted = integer(object, &paths.spec_replicas)?;
    let had = integer(object, &paths.status_replicas)?.unwrap_or(0);
    let selector = match paths.label_selector.as_deref() {
        Some(path) if !path.is_empty() => text(object, path)?,
        _ => None,
    };
    let mut metadata = Map::new();
    for key in [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
    ] {
        if let Some(value) = tree::get(object, &["metadata", key]) {
            metadata.insert(key.into(), value.clone());
        }
    }
    let mut spec = Map::new();
    if let Some(wanted) = wanted.filter(|wanted| *wanted != 0) {
        spec.insert("replicas".into(), wanted.into());
    }
    let mut status = Map::new();
    status.insert("replicas".into(), had.into());
    if let Some(selector) = selector.filter(|selector| !selector.is_empty()) {
        status.insert("selector".into(), selector.into());
    }
    let scale = json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": spec,
        "status": status,
    });
    Ok((scale, wanted.is_some()))
}

/// The fields of a path `.spec.replicas`.
pub(super) fn fields(path: &str) -> Vec<&str> {
    path.strip_prefix('.').unwrap_or(path).split('.').collect()
}

/// The integer at a path, none if there is nothing.
pub(super) fn integer(object: &Value, path: &str) -> Result<Option<i64>, String> {
    let fields = fields(path);
    match nested(object, &fields)? {
        None => Ok(None),
        Some(value) => match value.as_i64() {
            Some(number) => Ok(Some(number)),
            None => Err(no_such(&fields, value, "int64")),
        },
    }
}

/// The text at a path, none if there is nothing.
pub(super) fn text<'a>(object: &'a Value, path: &str) -> Result<Option<&'a str>, String> {
    let fields = fields(path);
    match nested(object, &fields)? {
        None => Ok(None),
        Some(value) => match value.as_str() {
            Some(text) => Ok(Some(text)),
            None => Err(no_such(&fields, value, "string")),
        },
    }
}

/// What stands at a path; a null is something at its end and nothing before.
fn nested<'a>(object: &'a Value, fields: &[&str]) -> Result<Option<&'a Value>, String> {
    let mut at = object;
    for (depth, field) in fields.iter().enumerate() {
        match at {
            Value::Null => return Ok(None),
            Value::Object(map) => match map.get(*field) {
                Some(next) => at = next,
                None => return Ok(None),
            },
            other => {
                let so_far = fields.get(..=depth).unwrap_or(fields);
                return Err(no_such(so_far, other, "map[string]interface{}"));
            }
        }
    }
    Ok(Some(at))
}

fn no_such(fields: &[&str], value: &Value, wanted: &str) -> String {
    let (path, shown, is) = (fields.join("."), go::shown(value), go::type_of(value));
    format!(".{path} accessor error: {shown} is of the type {is}, expected {wanted}")
}

fn put(object: &mut Value, fields: &[&str], value: Value) -> Result<(), String> {
    let Some((last, above)) = fields.split_last() else {
        return Ok(());
    };
    let mut at = object;
    for (depth, field) in above.iter().enumerate() {
        let no_map = || {
            let path = fields.get(..depth).unwrap_or(fields).join(".");
            format!("value cannot be set because .{path} is not a map[string]interface{{}}")
        };
        let map = at.as_object_mut().ok_or_else(no_map)?;
        if !map.contains_key(*field) {
            tree::set_sorted(map, field, Map::new().into());
        }
        at = map.get_mut(*field).ok_or_else(no_map)?;
    }
    let path = above.join(".");
    let map = at.as_object_mut().ok_or_else(|| {
        format!("value cannot be set because .{path} is not a map[string]interface{{}}")
    })?;
    tree::set_sorted(map, last, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths() -> ScalePaths {
        ScalePaths {
            spec_replicas: ".spec.size".into(),
            status_replicas: ".status.is".into(),
            label_selector: Some(".status.of".into()),
        }
    }

    #[test]
    fn numbers_stand_where_the_definition_says() {
        let mut object = json!({
            "metadata": {"name": "a", "uid": "u", "labels": {"x": "y"}},
            "spec": {"size": 3},
            "status": {"is": 2, "of": "a=b"},
        });
        let scale = read(&paths(), &object).unwrap();
        assert_eq!(
            scale.to_string(),
            r#"{"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{"name":"a","uid":"u"},"spec":{"replicas":3},"status":{"replicas":2,"selector":"a=b"}}"#
        );
        into_object(&paths(), &json!({"spec": {"replicas": 7}}), &mut object).unwrap();
        assert_eq!(object["spec"]["size"], 7);
        into_object(&paths(), &json!({"spec": {}}), &mut object).unwrap();
        assert_eq!(object["spec"]["size"], 0);
    }

    #[test]
    fn an_object_without_a_number_has_no_scale() {
        let mut object = json!({"spec": {}});
        let error = read(&paths(), &object).unwrap_err();
        assert_eq!(error.code, 500);
        assert!(
            error
                .message
                .ends_with("the spec replicas field \".spec.size\" does not exist"),
            "{}",
            error.message
        );
        let scale = before_update(&paths(), &object).unwrap();
        let error = into_object(&paths(), &scale, &mut object).unwrap_err();
        assert_eq!(
            (error.code, error.message.as_str()),
            (
                400,
                "the spec replicas field \".spec.size\" cannot be empty"
            )
        );
    }

    #[test]
    fn what_is_no_number_is_told() {
        for (object, why) in [
            (
                json!({"spec": {"size": "three"}}),
                ".spec.size accessor error: three is of the type string, expected int64",
            ),
            (
                json!({"spec": [1, "b"]}),
                ".spec.size accessor error: [1 b] is of the type []interface {}, expected map[string]interface{}",
            ),
            (
                json!({"spec": {"size": null}}),
                ".spec.size accessor error: <nil> is of the type <nil>, expected int64",
            ),
            (
                json!({"status": {"is": 1.5}}),
                ".status.is accessor error: 1.5 is of the type float64, expected int64",
            ),
        ] {
            assert_eq!(read(&paths(), &object).unwrap_err().message, why);
        }
    }
}
