//! Objects as rows of a table, for people: `Accept: application/json;as=Table;v=v1;g=meta.k8s.io`.
//!
//! The columns of each kind and what stands in them are the release's; everything is computed here, so that a client
//! needs to know nothing of a kind to list its objects. Ages are told as of a time that the caller gives.
//!
//! A `Status` is never made a table: it is sent as it is.

mod age;
mod autoscaling;
mod cluster;
mod columns;
mod network;
mod pod;
mod policy;
mod render;
mod selector;
mod storage;
#[cfg(test)]
mod tests;
mod value;
mod workloads;

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::schema::{Resource, Subresource};
use columns::Layout;
use value::Subject;

pub use columns::Column;
pub use render::{Include, Options, render_list, render_object, unsupported};

/// The cells of a row.
macro_rules! cells {
    ($($cell:expr),* $(,)?) => { vec![$(serde_json::Value::from($cell)),*] };
}
use cells;

/// What makes the rows of one kind.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    layout: &'static Layout,
    /// Pods that are done say so in `conditions` of their row.
    is_pod: bool,
    /// Flow schemas are listed in the order in which they are tried.
    is_flow_schema: bool,
}

impl Printer {
    /// For the objects of a resource, or for what its subresource answers.
    pub fn of(resource: &Resource, subresource: Option<&Subresource>) -> Self {
        let kind = subresource.map_or(&resource.kind, |sub| &sub.kind);
        let layout = match columns::of(&resource.group, &resource.plural) {
            _ if &**kind == "Scale" => columns::scale(),
            Some(layout) if *kind == resource.kind => layout,
            _ if resource.object.is_none() => columns::custom(),
            _ => columns::plain(),
        };
        Self {
            layout,
            is_pod: resource.group.is_empty() && &**kind == "Pod",
            is_flow_schema: &*resource.plural == "flowschemas" && resource.object.is_some(),
        }
    }

    pub fn columns(self) -> &'static [Column] {
        &self.layout.columns
    }

    /// The cells of an object's row, one for each column.
    pub fn row(self, object: &Value, now: SystemTime) -> Vec<Value> {
        (self.layout.row)(Subject {
            object,
            now: nanoseconds(now),
        })
    }

    /// Puts the objects of a list in the order of their rows.
    fn sort(self, items: &mut [&Value]) {
        if self.is_flow_schema {
            items.sort_by(|one, other| policy::by_precedence(one, other));
        }
    }

    fn conditions(self, object: &Value) -> Option<Value> {
        self.is_pod.then(|| pod::row_conditions(object)).flatten()
    }
}

/// The columns of a resource.
pub fn columns(resource: &Resource) -> &'static [Column] {
    Printer::of(resource, None).columns()
}

/// The cells of an object's row.
pub fn row(resource: &Resource, object: &Value, now: SystemTime) -> Vec<Value> {
    Printer::of(resource, None).row(object, now)
}

fn nanoseconds(time: SystemTime) -> i128 {
    let signed = |span: std::time::Duration| i128::try_from(span.as_nanos()).unwrap_or(i128::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => signed(since),
        Err(before) => -signed(before.duration()),
    }
}
