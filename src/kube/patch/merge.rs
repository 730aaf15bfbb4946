//! JSON Merge Patch (RFC 7386), with one difference that the release has: nulls inside of lists are taken out where the list stands
//! in the place of nothing or of something that is no object.

use serde_json::{Map, Value};

use super::json_type;
use crate::kube::status::{ApiError, ApiResult};

/// A merge patch.
#[derive(Debug, Clone)]
pub struct MergePatch {
    patch: Map<String, Value>,
}

impl MergePatch {
    /// # Errors
    /// 400 for what is no object.
    pub fn read(body: Value) -> ApiResult<Self> {
        match body {
            Value::Object(patch) => Ok(Self { patch }),
            Value::Null => Err(ApiError::bad_request("Invalid JSON Patch")),
            other => Err(ApiError::bad_request(format!(
                "error decoding patch: json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
                json_type(&other)
            ))),
        }
    }

    pub fn apply(&self, object: Value) -> Value {
        let mut object = match object {
            Value::Object(object) => object,
            _ => Map::new(),
        };
        merge(&mut object, &self.patch);
        object.into()
    }
}

fn merge(object: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, new) in patch {
        if new.is_null() {
            object.shift_remove(key);
            continue;
        }
        match (object.get_mut(key), new) {
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            (Some(old @ Value::Object(_)), new) => *old = new.clone(),
            (Some(old), new) => *old = without_nulls(new),
            (None, new) => {
                object.insert(key.clone(), without_nulls(new));
            }
        }
    }
}

/// Without the fields that are null; null elements of lists stay.
pub(super) fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            fields
                .map(|(key, value)| (key.clone(), without_nulls(value)))
                .collect()
        }
        Value::Array(elements) => elements.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}
