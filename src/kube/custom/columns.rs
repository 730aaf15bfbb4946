//! Columns in which custom objects are printed.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::go;
use super::jsonpath::JsonPath;
use crate::kube::object;
use crate::kube::tree;

/// What `metadata.creationTimestamp` is described as in the column that every kind without columns has.
const CREATION: &str = "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

const NAME: &str = "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";

/// One of `additionalPrinterColumns`.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    pub name: String,
    /// `integer`, `number`, `string`, `boolean` or `date`.
    pub of_type: String,
    pub format: String,
    pub description: String,
    pub priority: i64,
    /// `.spec.replicas`.
    pub json_path: String,
    path: JsonPath,
}

impl Column {
    /// The columns of a version; what follows one whose path cannot be read is left out, as in the release.
    pub(super) fn all(of: &Value) -> Vec<Self> {
        let columns = tree::items(of, &["additionalPrinterColumns"]);
        if columns.is_empty() {
            return Self::age().into_iter().collect();
        }
        columns.iter().map_while(Self::read).collect()
    }

    fn read(of: &Value) -> Option<Self> {
        let text = |key| tree::text(of, &[key]).to_owned();
        Some(Self {
            name: text("name"),
            of_type: text("type"),
            format: text("format"),
            description: text("description"),
            priority: tree::int(of, &["priority"]).unwrap_or(0),
            path: JsonPath::parse(tree::text(of, &["jsonPath"])).ok()?,
            json_path: text("jsonPath"),
        })
    }

    /// The one column of a kind that names none.
    fn age() -> Option<Self> {
        Self::read(&json!({
            "name": "Age",
            "type": "date",
            "description": CREATION,
            "jsonPath": ".metadata.creationTimestamp",
        }))
    }

    /// `metav1.TableColumnDefinition`.
    fn definition(&self) -> Value {
        let description = if self.description.is_empty() {
            let path = &self.json_path;
            format!("Custom resource definition column (in JSONPath format): {path}")
        } else {
            self.description.clone()
        };
        json!({
            "name": self.name,
            "type": self.of_type,
            "format": self.format,
            "description": description,
            "priority": self.priority,
        })
    }

    /// What stands in the column; `since` tells how long ago a time was, none for what is no time.
    fn cell(&self, object: &Value, since: &dyn Fn(&str) -> Option<String>) -> Value {
        let Ok(found) = self.path.find(object) else {
            return Value::Null;
        };
        let first = found.into_iter().next();
        let Some(value) = first.and_then(|of| of.into_iter().next()) else {
            return Value::Null;
        };
        let number = |value: &Value| {
            value
                .as_i64()
                .map_or(value.as_f64(), |whole| Some(whole as f64))
        };
        match (self.of_type.as_str(), &*value) {
            ("string", value) => printed(value).into(),
            ("integer", Value::Number(own)) => match own.as_i64() {
                Some(whole) => whole.into(),
                None => number(&value).map_or(Value::Null, |float| go::integer(float).into()),
            },
            ("number", Value::Number(_)) => number(&value).map_or(Value::Null, Value::from),
            ("boolean", Value::Bool(yes)) => (*yes).into(),
            ("date", Value::String(time)) => match time.as_str() {
                "" | "null" => "<unknown>".into(),
                time => since(time).unwrap_or_else(|| "<invalid>".into()).into(),
            },
            _ => Value::Null,
        }
    }
}

/// The columns of a custom kind's `Scale`.
pub fn scale() -> &'static [Column] {
    static COLUMNS: LazyLock<Vec<Column>> = LazyLock::new(|| {
        let count = |name: &str, description: &str, path: &str| {
            Column::read(&json!({
                "name": name,
                "type": "integer",
                "description": description,
                "jsonPath": path,
            }))
        };
        let columns = [
            count("Desired", "Number of desired replicas", ".spec.replicas"),
            count("Available", "Number of actual replicas", ".status.replicas"),
            Column::age(),
        ];
        columns.into_iter().flatten().collect()
    });
    &COLUMNS
}

/// The definitions of a kind's columns, the name first.
pub fn definitions(columns: &[Column]) -> Vec<Value> {
    let name = json!({
        "name": "Name",
        "type": "string",
        "format": "name",
        "description": NAME,
        "priority": 0,
    });
    let mut all = vec![name];
    all.extend(columns.iter().map(Column::definition));
    all
}

/// The cells of an object's row, the name first. `since` as for [`Column`]: `5m` for a time, none for what is none.
pub fn row(
    columns: &[Column],
    object: &Value,
    since: &dyn Fn(&str) -> Option<String>,
) -> Vec<Value> {
    let name = tree::text(object, &["metadata", "name"]);
    let mut cells = vec![name.into()];
    cells.extend(columns.iter().map(|column| column.cell(object, since)));
    cells
}

/// A value as Go prints it: text as it is, lists and maps as JSON.
pub(super) fn printed(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".into(),
        Value::Array(_) | Value::Object(_) => {
            let mut bytes = Vec::new();
            object::write_json(&sorted(value), false, &mut bytes);
            String::from_utf8(bytes).unwrap_or_default()
        }
        scalar => go::shown(scalar),
    }
}

/// Go writes the keys of maps sorted.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            let entries = entries.into_iter();
            entries
                .map(|(key, value)| (key.clone(), sorted(value)))
                .collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}
