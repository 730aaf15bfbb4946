//! Strategic merge patch: a merge that knows from the type which lists are merged by key and which are replaced.
//!
//! Directives in a patch: `$patch: replace|delete|merge`, `$retainKeys: [..]`, `$setElementOrder/FIELD: [..]`,
//! `$deleteFromPrimitiveList/FIELD: [..]`. Errors carry the words of apimachinery's `strategicpatch`; most are not
//! API errors there and are answered with 500 and no reason.

mod lists;
mod lookup;
mod order;

use serde_json::{Map, Value};

use self::lookup::Type;
use super::print::go;
use super::{does_not_apply, json_type};
use crate::kube::schema::{Schema, TypeId};
use crate::kube::status::{ApiError, ApiResult};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList";
const SET_ORDER: &str = "$setElementOrder";

/// A strategic merge patch.
#[derive(Debug, Clone)]
pub struct StrategicPatch {
    patch: Map<String, Value>,
}

impl StrategicPatch {
    /// # Errors
    /// 400 for what is no object.
    pub fn read(body: Value) -> ApiResult<Self> {
        match body {
            Value::Object(patch) => Ok(Self { patch }),
            Value::Null => Ok(Self { patch: Map::new() }),
            other => Err(ApiError::bad_request(format!(
                "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
                json_type(&other)
            ))),
        }
    }

    pub(super) fn print(&self) -> String {
        go(&Value::Object(self.patch.clone()))
    }

    /// # Errors
    /// 400 for a directive of the wrong form, 422 for lists of lists, 500 for the rest.
    pub fn apply(&self, schema: &Schema, of: TypeId, object: Value) -> ApiResult<Value> {
        let mut object = match object {
            Value::Object(object) => object,
            _ => Map::new(),
        };
        let of = Type::object(schema, of);
        merge_map(&mut object, self.patch.clone(), of).map_err(Problem::answer)?;
        Ok(object.into())
    }
}

/// Why a patch does not apply.
enum Problem {
    BadRequest(&'static str),
    ListOfLists,
    /// What is no API error in the release.
    Other(String),
}

type Merged<T = ()> = Result<T, Problem>;

impl Problem {
    fn no_merge_key(element: &Value, key: &str) -> Self {
        let element = go(element);
        Self::Other(format!(
            "map: {element} does not contain declared merge key: {key}"
        ))
    }

    fn no_list(found: &Value) -> Self {
        Self::unexpected("[]interface {}", found)
    }

    fn no_map(found: &Value) -> Self {
        Self::unexpected("map[string]interface {}", found)
    }

    fn unexpected(wanted: &str, found: &Value) -> Self {
        let found = match found {
            Value::Null => "%!s(<nil>)",
            Value::Bool(_) => "bool",
            Value::Number(number) if number.is_f64() => "float64",
            Value::Number(_) => "int64",
            Value::String(_) => "string",
            Value::Array(_) => "[]interface {}",
            Value::Object(_) => "map[string]interface {}",
        };
        Self::Other(format!("expected a {wanted}, but received a {found}"))
    }

    fn answer(self) -> ApiError {
        match self {
            Self::BadRequest(why) => ApiError::bad_request(why),
            Self::ListOfLists => does_not_apply(),
            Self::Other(why) => ApiError::unclassified(why),
        }
    }
}

fn merge_map(original: &mut Map<String, Value>, mut patch: Map<String, Value>, of: Type) -> Merged {
    if let Some(directive) = patch.get(DIRECTIVE) {
        match directive.as_str() {
            Some("replace") => {
                patch.shift_remove(DIRECTIVE);
                *original = patch;
            }
            Some("delete") => original.clear(),
            _ => return Err(unknown_directive(directive, &patch)),
        }
        return Ok(());
    }
    retain_keys(original, &mut patch)?;
    lists::set_orders(original, &mut patch, of)?;
    for (key, new) in patch {
        let deleted_from = match key.strip_prefix(DELETE_FROM) {
            Some(rest) => Some(rest.strip_prefix('/').ok_or(Problem::BadRequest(
                "invalid patch format of primitive list",
            ))?),
            None => None,
        };
        let name = deleted_from.unwrap_or(&key);
        if new.is_null() {
            original.shift_remove(name);
            continue;
        }
        match (original.get_mut(name), new) {
            (Some(Value::Object(old)), Value::Object(new)) => {
                let (of, strategy) = of.field(name)?;
                if strategy.is_replace() {
                    *old = new;
                } else {
                    merge_map(old, new, of)?;
                }
            }
            (Some(Value::Array(old)), Value::Array(new)) => {
                let (of, strategy) = of.list(name)?;
                let delete = deleted_from.is_some();
                *old = lists::merge(std::mem::take(old), new, of, &strategy, delete)?;
            }
            _ if deleted_from.is_some() => {}
            (_, new) => match without_directives(without_nulls(new)) {
                Some(new) => {
                    original.insert(name.to_owned(), new);
                }
                None => {
                    original.shift_remove(name);
                }
            },
        }
    }
    Ok(())
}

fn unknown_directive(directive: &Value, patch: &Map<String, Value>) -> Problem {
    let (directive, patch) = (go(directive), go(&Value::Object(patch.clone())));
    Problem::Other(format!("unknown patch type: {directive} in map: {patch}"))
}

/// Clears what `$retainKeys` does not name; the patch itself may set nothing else.
fn retain_keys(original: &mut Map<String, Value>, patch: &mut Map<String, Value>) -> Merged {
    const MALFORMED: Problem = Problem::BadRequest("invalid patch format of retainKeys");
    let Some(retained) = patch.shift_remove(RETAIN_KEYS) else {
        return Ok(());
    };
    let retained = retained.as_array().ok_or(MALFORMED)?;
    let retained: std::collections::HashSet<_> =
        retained.iter().filter_map(Value::as_str).collect();
    for (key, value) in patch.iter() {
        let says_how = key.starts_with(DELETE_FROM) || key.starts_with(SET_ORDER);
        if !value.is_null() && !says_how && !retained.contains(key.as_str()) {
            return Err(MALFORMED);
        }
    }
    original.retain(|key, _| retained.contains(key.as_str()));
    Ok(())
}

/// Nulls of maps say what to delete, and there is nothing to delete.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
            fields
                .map(|(key, value)| (key, without_nulls(value)))
                .collect()
        }
        Value::Array(elements) => elements.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

/// Without the maps that hold `$patch`; none if the value is one.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(fields) if fields.contains_key(DIRECTIVE) => None,
        Value::Object(fields) => {
            let fields = fields.into_iter();
            let kept = fields.filter_map(|(key, value)| Some((key, without_directives(value)?)));
            Some(kept.collect())
        }
        Value::Array(elements) => {
            let elements = elements.into_iter();
            Some(elements.filter_map(without_directives).collect())
        }
        other => Some(other),
    }
}
