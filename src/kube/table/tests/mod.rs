//! Rows of every kind, and tables as a whole.

mod autoscaling;
mod cluster;
mod network;
mod pods;
mod policy;
mod storage;
mod tables;
mod workloads;

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::kube::schema::{Resource, Resources};

/// 2026-01-10T00:00:00Z.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_768_003_200)
}

fn resource(group: &str, version: &str, plural: &str) -> &'static Resource {
    Resources::built_in().find(group, version, plural).unwrap()
}

/// The cells of an object called `x`, made three days before [`now`]; `rest` are its other fields.
fn cells(group: &str, version: &str, plural: &str, rest: &Value) -> Vec<Value> {
    let mut object =
        json!({"metadata": {"name": "x", "creationTimestamp": "2026-01-07T00:00:00Z"}});
    for (key, value) in rest.as_object().unwrap() {
        match (key.as_str(), value) {
            ("metadata", Value::Object(more)) => {
                for (key, value) in more {
                    object["metadata"][key] = value.clone();
                }
            }
            _ => object[key] = value.clone(),
        }
    }
    let row = super::row(resource(group, version, plural), &object, now());
    let columns = super::columns(resource(group, version, plural));
    assert_eq!(row.len(), columns.len(), "{plural}");
    row
}

/// `expected` is the whole row.
#[expect(clippy::needless_pass_by_value, reason = "cases read better so")]
fn check(group: &str, plural: &str, rest: Value, expected: Value) {
    let row = cells(group, "v1", plural, &rest);
    assert_eq!(Value::from(row), expected, "{plural} {rest}");
}
