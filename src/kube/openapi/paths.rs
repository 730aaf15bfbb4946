//! `paths` of a document: what all operations of a path have in common stands with the path.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::operation::{content, phrase};

/// Paths by name, each with its operations by method.
#[derive(Default)]
pub(super) struct Paths(BTreeMap<String, Item>);

#[derive(Default)]
struct Item {
    operations: Vec<(&'static str, Value)>,
    parameters: Vec<Value>,
}

impl Paths {
    pub(super) fn add(&mut self, path: &str, method: &'static str, operation: Value) {
        let item = self.0.entry(path.into()).or_default();
        item.operations.push((method, operation));
    }

    /// Parameters of the path as a whole.
    pub(super) fn add_parameters(&mut self, path: &str, parameters: &[Value]) {
        let item = self.0.entry(path.into()).or_default();
        item.parameters.extend_from_slice(parameters);
    }

    /// A path that is no resource and can only be read.
    pub(super) fn plain(&mut self, path: &str, tag: &str, id: &str, answer: &Value) {
        let media = [
            "application/json",
            "application/vnd.kubernetes.protobuf",
            "application/yaml",
        ];
        self.document(path, tag, id, &content(&media, answer));
    }

    /// [`Self::plain`], with what it answers as which media type.
    pub(super) fn document(&mut self, path: &str, tag: &str, id: &str, content: &Value) {
        let operation = json!({
            "tags": [tag],
            "operationId": id,
            "responses": {
                "200": {"description": phrase("200"), "content": content},
                "401": {"description": phrase("401")},
            },
        });
        self.add(path, "get", operation);
    }

    pub(super) fn finish(self) -> Value {
        let paths = self.0.into_iter();
        let paths = paths.map(|(path, item)| (path, item.finish()));
        Value::Object(paths.collect())
    }
}

impl Item {
    fn finish(mut self) -> Value {
        let mut shared = self.hoist();
        shared.append(&mut self.parameters);
        shared.sort_by(|one, other| key(one).cmp(&key(other)));
        let mut item = Map::new();
        for (method, operation) in self.operations {
            item.insert(method.into(), operation);
        }
        if !shared.is_empty() {
            item.insert("parameters".into(), shared.into());
        }
        item.into()
    }

    /// Takes the parameters that every operation has out of the operations.
    fn hoist(&mut self) -> Vec<Value> {
        let mut all = self.operations.iter();
        let first = all.next().map(|(_, one)| parameters(one).to_vec());
        let mut shared = first.unwrap_or_default();
        for (_, operation) in all {
            shared.retain(|one| parameters(operation).contains(one));
        }
        for (_, operation) in &mut self.operations {
            let Some(operation) = operation.as_object_mut() else {
                continue;
            };
            let Some(Value::Array(own)) = operation.get_mut("parameters") else {
                continue;
            };
            own.retain(|one| !shared.contains(one));
            if own.is_empty() {
                operation.shift_remove("parameters");
            }
        }
        shared
    }
}

fn parameters(operation: &Value) -> &[Value] {
    let parameters = operation.get("parameters").and_then(Value::as_array);
    parameters.map_or(&[], Vec::as_slice)
}

fn key(parameter: &Value) -> (&str, &str) {
    let text = |key| {
        parameter
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    (text("name"), text("in"))
}
