//! Whole tables: of a list, of one object, of a change that a watch reports.

use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::super::schema::Resource;
use super::super::status::{ApiError, ApiResult};
use super::Printer;

/// The annotation of the bookmark after which a watch has sent everything that was there before.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// How much of the object itself stands in its row: the query's `includeObject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Include {
    None,
    #[default]
    Metadata,
    Object,
}

impl Include {
    /// Reads the query parameter; `""` is none given.
    ///
    /// # Errors
    /// 400 for any other word.
    pub fn parse(word: &str) -> ApiResult<Self> {
        match word {
            "" | "Metadata" => Ok(Self::Metadata),
            "None" => Ok(Self::None),
            "Object" => Ok(Self::Object),
            other => Err(ApiError::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: must be \
                 'Metadata', 'Object', 'None', or empty"
            ))),
        }
    }
}

/// How a table is written.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Of `meta.k8s.io`, as the client asked: `v1` or `v1beta1`.
    pub version: &'static str,
    pub include: Include,
    /// False after the first event of a watch: `columnDefinitions` is null then.
    pub headers: bool,
    /// As of when ages are told.
    pub now: SystemTime,
}

/// The table of a list. `metadata` is the list's; the items are its objects, with or without `kind`.
pub fn render_list<'a>(
    printer: &Printer,
    resource: &Resource,
    metadata: &Value,
    items: impl IntoIterator<Item = &'a Value>,
    options: &Options,
) -> Value {
    let mut items: Vec<&Value> = items.into_iter().collect();
    printer.sort(&mut items);
    let rows = items.into_iter();
    let rows = rows
        .map(|item| row(printer, resource, item, options))
        .collect();
    let keys = ["resourceVersion", "continue", "remainingItemCount"];
    table(printer, metadata, &keys, rows, options)
}

/// The table of one object, be it an answer or what a watch event holds (bookmarks too).
///
/// # Errors
/// 406 if it has no metadata, which a table cannot do without.
pub fn render_object(
    printer: &Printer,
    resource: &Resource,
    object: &Value,
    options: &Options,
) -> ApiResult<Value> {
    let metadata = object
        .get("metadata")
        .ok_or_else(|| unsupported(resource))?;
    let rows = vec![row(printer, resource, object, options)];
    Ok(table(
        printer,
        metadata,
        &["resourceVersion"],
        rows,
        options,
    ))
}

/// The refusal of a table of what has no metadata.
pub fn unsupported(resource: &Resource) -> ApiError {
    let message = format!(
        "the resource {} does not support being converted to a Table",
        resource.qualified()
    );
    ApiError::new(406, "NotAcceptable", message)
}

fn table(
    printer: &Printer,
    metadata: &Value,
    keys: &[&str],
    rows: Vec<Value>,
    options: &Options,
) -> Value {
    let mut kept = Map::new();
    for key in keys {
        if let Some(value) = metadata.get(key) {
            kept.insert((*key).into(), value.clone());
        }
    }
    let columns = if options.headers {
        printer.definitions().into()
    } else {
        Value::Null
    };
    let mut table = Map::new();
    table.insert("kind".into(), "Table".into());
    table.insert("apiVersion".into(), api_version(options));
    table.insert("metadata".into(), kept.into());
    table.insert("columnDefinitions".into(), columns);
    table.insert("rows".into(), rows.into());
    table.into()
}

fn row(printer: &Printer, resource: &Resource, object: &Value, options: &Options) -> Value {
    let mut row = Map::new();
    row.insert("cells".into(), printer.row(object, options.now).into());
    if let Some(conditions) = printer.conditions(object) {
        row.insert("conditions".into(), conditions);
    }
    let metadata = object.get("metadata");
    let mark = metadata.and_then(|metadata| metadata.get("annotations")?.get(INITIAL_EVENTS_END));
    let included = match options.include {
        Include::Object => whole(resource, object),
        // Clients find the end of the initial events in it, whatever else they leave out.
        Include::None if mark.is_none_or(|mark| mark != "true") => Value::Null,
        Include::None | Include::Metadata => json!({
            "kind": "PartialObjectMetadata",
            "apiVersion": api_version(options),
            "metadata": metadata,
        }),
    };
    row.insert("object".into(), included);
    row.into()
}

fn api_version(options: &Options) -> Value {
    format!("meta.k8s.io/{}", options.version).into()
}

/// The object with its kind, which items of built-in lists leave out.
fn whole(resource: &Resource, object: &Value) -> Value {
    let mut whole = Map::new();
    whole.insert("kind".into(), resource.kind.to_string().into());
    whole.insert("apiVersion".into(), resource.api_version().into());
    for (key, value) in object.as_object().into_iter().flatten() {
        whole.insert(key.clone(), value.clone());
    }
    whole.into()
}
