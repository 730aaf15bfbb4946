//! JSON Patch (RFC 6902) as the release's library (evanphx/json-patch 4) understands it.
//!
//! It takes more than the RFC: a negative index counts from the end, a field that is missing can be replaced, and what
//! stands before the first slash of a path is ignored. Whatever does not apply is one answer, without saying why.

use serde_json::{Map, Value};

use super::{MAX_STRICT_ERRORS, does_not_apply, json_type};
use crate::kube::status::{ApiError, ApiResult};

/// Operations of a patch at most.
const MAX_OPERATIONS: usize = 10_000;
/// Bytes of JSON that the `copy` operations of a patch may copy in all; `--max-resource-write-bytes` of the release.
const MAX_COPIED: usize = 3 * 1024 * 1024;
/// Levels of the patched object: more than can be read, few enough to recurse into.
const MAX_DEPTH: usize = 256;

/// A JSON patch.
#[derive(Debug, Clone)]
pub struct JsonPatch {
    operations: Vec<Operation>,
    strict_errors: Vec<String>,
}

/// As it was sent; what is missing or of the wrong type fails when it is used.
#[derive(Debug, Clone, Default)]
struct Operation {
    op: String,
    path: Option<String>,
    from: Option<String>,
    value: Option<Value>,
}

/// The operation does not apply.
struct Failed;

type Applied<T = ()> = Result<T, Failed>;

impl JsonPatch {
    /// # Errors
    /// 400 for what is no patch, 413 for too many operations.
    pub fn read(body: Value) -> ApiResult<Self> {
        let malformed = |what: &Value, of: &str| {
            ApiError::bad_request(format!(
                "error decoding patch: json: cannot unmarshal {} into Go {of}",
                json_type(what)
            ))
        };
        let sent = match body {
            Value::Array(sent) => sent,
            Value::Null => Vec::new(),
            other => return Err(malformed(&other, "value of type []handlers.jsonPatchOp")),
        };
        if sent.len() > MAX_OPERATIONS {
            return Err(ApiError::too_large(format!(
                "Request entity too large: The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
                sent.len()
            )));
        }
        let mut strict_errors = Vec::new();
        let mut operations = Vec::with_capacity(sent.len());
        for (at, one) in sent.into_iter().enumerate() {
            let fields = match one {
                Value::Object(fields) => fields,
                Value::Null => Map::new(),
                other => return Err(malformed(&other, "value of type handlers.jsonPatchOp")),
            };
            let mut operation = Operation::default();
            for (name, value) in fields {
                let text = |value: Value| match value {
                    Value::String(text) => Ok(Some(text)),
                    Value::Null => Ok(None),
                    other => {
                        let of = format!("struct field jsonPatchOp.{name} of type string");
                        Err(malformed(&other, &of))
                    }
                };
                match name.as_str() {
                    "op" => operation.op = text(value)?.unwrap_or_default(),
                    "path" => operation.path = text(value)?,
                    "from" => operation.from = text(value)?,
                    "value" => operation.value = Some(value),
                    other if strict_errors.len() < MAX_STRICT_ERRORS => {
                        strict_errors.push(format!("unknown field \"[{at}].{other}\""));
                    }
                    _ => {}
                }
            }
            operations.push(operation);
        }
        Ok(Self {
            operations,
            strict_errors,
        })
    }

    /// What is wrong with the operations that does not keep them from being applied.
    pub(super) fn strict_errors(&self) -> &[String] {
        &self.strict_errors
    }

    /// # Errors
    /// 422 if an operation does not apply or a test fails; nothing else is said.
    pub fn apply(&self, object: Value) -> ApiResult<Value> {
        let depth = depth(&object);
        let mut patched = Patched {
            object,
            copied: 0,
            depth,
        };
        for operation in &self.operations {
            let applied = patched.apply(operation);
            applied.map_err(|Failed| does_not_apply())?;
        }
        Ok(patched.object)
    }
}

/// An object that is being patched.
struct Patched {
    object: Value,
    /// Bytes copied so far.
    copied: usize,
    /// Levels at most: an upper bound.
    depth: usize,
}

impl Patched {
    fn apply(&mut self, operation: &Operation) -> Applied {
        let path = operation.path.as_deref().ok_or(Failed);
        let value = || operation.value.clone().unwrap_or_default();
        match operation.op.as_str() {
            "add" => self.add(path?, value()),
            "remove" => self.remove(path?).map(drop),
            "replace" => self.replace(path?, operation.value.as_ref()),
            "move" => {
                let from = operation.from.as_deref().ok_or(Failed)?;
                self.relocate(from, path?)
            }
            "copy" => {
                let from = operation.from.as_deref().ok_or(Failed)?;
                let copied = self.get(from)?.cloned().unwrap_or_default();
                self.copied += serde_json::to_string(&copied).map_err(|_| Failed)?.len();
                if self.copied > MAX_COPIED {
                    return Err(Failed);
                }
                self.add(path?, copied)
            }
            "test" => self.test(path?, operation.value.as_ref()),
            _ => Err(Failed),
        }
    }

    fn add(&mut self, path: &str, value: Value) -> Applied {
        self.deepen(levels(path) + depth(&value))?;
        self.insert(path, value)
    }

    /// Measuring what is moved would cost as much as the object is large, for each operation; what it can be at most
    /// costs nothing.
    fn relocate(&mut self, from: &str, path: &str) -> Applied {
        let moved = self.remove(from)?;
        let at_most = self.depth.saturating_sub(levels(from)) + levels(path);
        if at_most > MAX_DEPTH {
            self.depth = depth(&self.object);
            self.deepen(levels(path) + depth(&moved))?;
        } else {
            self.deepen(at_most)?;
        }
        self.insert(path, moved)
    }

    fn insert(&mut self, path: &str, value: Value) -> Applied {
        let (container, key) = self.container(path)?;
        match container {
            Value::Object(fields) => {
                fields.insert(key, value);
            }
            Value::Array(elements) if key == "-" => elements.push(value),
            Value::Array(elements) => {
                let at = index(&key, elements.len() + 1)?;
                elements.insert(at, value);
            }
            _ => return Err(Failed),
        }
        Ok(())
    }

    fn remove(&mut self, path: &str) -> Applied<Value> {
        let (container, key) = self.container(path)?;
        match container {
            Value::Object(fields) => fields.shift_remove(&key).ok_or(Failed),
            Value::Array(elements) => {
                let at = index(&key, elements.len())?;
                Ok(elements.remove(at))
            }
            _ => Err(Failed),
        }
    }

    fn replace(&mut self, path: &str, value: Option<&Value>) -> Applied {
        if path.is_empty() {
            let value = value.filter(|value| value.is_object() || value.is_array());
            self.object = value.ok_or(Failed)?.clone();
            self.depth = depth(&self.object);
            return Ok(());
        }
        let value = value.cloned().unwrap_or_default();
        self.deepen(levels(path) + depth(&value))?;
        let (container, key) = self.container(path)?;
        match container {
            // Also a field that is not there.
            Value::Object(fields) => {
                fields.insert(key, value);
            }
            Value::Array(elements) => {
                let at = index(&key, elements.len())?;
                *elements.get_mut(at).ok_or(Failed)? = value;
            }
            _ => return Err(Failed),
        }
        Ok(())
    }

    fn test(&mut self, path: &str, value: Option<&Value>) -> Applied {
        let null = &Value::Null;
        let found = if path.is_empty() {
            &self.object
        } else {
            self.get(path)?.unwrap_or(null)
        };
        if found == value.unwrap_or(null) {
            Ok(())
        } else {
            Err(Failed)
        }
    }

    /// The value at a path: none if the object has no such field.
    fn get(&mut self, path: &str) -> Applied<Option<&Value>> {
        let (container, key) = self.container(path)?;
        match container {
            Value::Object(fields) => Ok(fields.get(&key)),
            Value::Array(elements) => {
                let at = index(&key, elements.len())?;
                Ok(elements.get(at))
            }
            _ => Err(Failed),
        }
    }

    /// What holds the last part of a path, and that part.
    fn container(&mut self, path: &str) -> Applied<(&mut Value, String)> {
        let mut parts = path.split('/').skip(1).map(unescape);
        let mut key = parts.next().ok_or(Failed)?;
        let mut container = &mut self.object;
        for next in parts {
            container = match container {
                Value::Object(fields) => fields.get_mut(&key).ok_or(Failed)?,
                Value::Array(elements) => {
                    let at = index(&key, elements.len())?;
                    elements.get_mut(at).ok_or(Failed)?
                }
                _ => return Err(Failed),
            };
            key = next;
        }
        Ok((container, key))
    }

    /// Refuses to make the object deeper than whoever walks it can bear; moves could, a level for each.
    fn deepen(&mut self, depth: usize) -> Applied {
        self.depth = self.depth.max(depth);
        if self.depth > MAX_DEPTH {
            Err(Failed)
        } else {
            Ok(())
        }
    }
}

/// How deep the last part of a path stands at most.
fn levels(path: &str) -> usize {
    path.bytes().filter(|byte| *byte == b'/').count()
}

/// A place in a list of which `length` can be meant; negative from the end.
fn index(key: &str, length: usize) -> Applied<usize> {
    let at: i64 = key.parse().map_err(|_| Failed)?;
    let length = i64::try_from(length).map_err(|_| Failed)?;
    let at = if at < 0 {
        at.saturating_add(length)
    } else {
        at
    };
    if at < length {
        usize::try_from(at).map_err(|_| Failed)
    } else {
        Err(Failed)
    }
}

/// `~1` is a slash, `~0` a tilde; in one pass, so that `~01` is `~1`.
fn unescape(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

fn depth(value: &Value) -> usize {
    let below = match value {
        Value::Object(fields) => fields.values().map(depth).max(),
        Value::Array(elements) => elements.iter().map(depth).max(),
        _ => return 0,
    };
    1 + below.unwrap_or_default()
}
