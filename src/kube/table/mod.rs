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
mod descriptions;
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

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::custom;
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
#[derive(Debug, Clone)]
pub struct Printer {
    from: From,
    /// What the release's columns are for.
    texts: &'static [&'static str],
    /// Pods that are done say so in `conditions` of their row.
    is_pod: bool,
    /// Flow schemas are listed in the order in which they are tried.
    is_flow_schema: bool,
}

/// Where columns come from.
#[derive(Debug, Clone)]
enum From {
    Release(&'static Layout),
    Definition(Arc<custom::Kind>),
    /// The subresource `scale` of a custom resource.
    CustomScale,
}

impl Printer {
    /// For the objects of a resource, or for what its subresource answers.
    pub fn of(resource: &Resource, subresource: Option<&Subresource>) -> Self {
        let kind = subresource.map_or(&resource.kind, |sub| &sub.kind);
        let from = match (
            columns::of(&resource.group, &resource.plural),
            &resource.custom,
        ) {
            (_, Some(_)) if &**kind == "Scale" => From::CustomScale,
            _ if &**kind == "Scale" => From::Release(columns::scale()),
            (_, Some(custom)) => From::Definition(Arc::clone(custom)),
            (Some(layout), None) if *kind == resource.kind => From::Release(layout),
            _ => From::Release(columns::plain()),
        };
        let is_scale = &**kind == "Scale";
        Self {
            from,
            texts: descriptions::texts(&resource.group, &resource.plural, is_scale),
            is_pod: resource.group.is_empty() && &**kind == "Pod",
            is_flow_schema: &*resource.plural == "flowschemas" && resource.object.is_some(),
        }
    }

    /// `metav1.TableColumnDefinition` of each column.
    pub fn definitions(&self) -> Vec<Value> {
        match self.columns() {
            Ok(layout) => {
                let columns = layout.columns.iter().map(Column::to_value);
                descriptions::describe(columns, self.texts)
            }
            Err(columns) => custom::columns::definitions(columns),
        }
    }

    /// The cells of an object's row, one for each column.
    pub fn row(&self, object: &Value, now: SystemTime) -> Vec<Value> {
        let now = nanoseconds(now);
        match self.columns() {
            Ok(layout) => (layout.row)(Subject { object, now }),
            Err(columns) => {
                custom::columns::row(columns, object, &|time| value::since_if_any(time, now))
            }
        }
    }

    /// The release's layout, or else the columns of a definition.
    fn columns(&self) -> Result<&'static Layout, &[custom::columns::Column]> {
        match &self.from {
            From::Release(layout) => Ok(layout),
            From::Definition(kind) => Err(&kind.version.columns),
            From::CustomScale => Err(custom::columns::scale()),
        }
    }

    /// Puts the objects of a list in the order of their rows.
    fn sort(&self, items: &mut [&Value]) {
        if self.is_flow_schema {
            items.sort_by(|one, other| policy::by_precedence(one, other));
        }
    }

    fn conditions(&self, object: &Value) -> Option<Value> {
        self.is_pod.then(|| pod::row_conditions(object)).flatten()
    }
}

/// The columns of a built-in resource.
#[cfg(test)]
fn columns(resource: &Resource) -> &'static [Column] {
    match Printer::of(resource, None).from {
        From::Release(layout) => &layout.columns,
        _ => &[],
    }
}

/// The cells of an object's row.
#[cfg(test)]
fn row(resource: &Resource, object: &Value, now: SystemTime) -> Vec<Value> {
    Printer::of(resource, None).row(object, now)
}

fn nanoseconds(time: SystemTime) -> i128 {
    let signed = |span: std::time::Duration| i128::try_from(span.as_nanos()).unwrap_or(i128::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => signed(since),
        Err(before) => -signed(before.duration()),
    }
}
