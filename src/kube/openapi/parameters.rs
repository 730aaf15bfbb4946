//! Parameters of operations: names, types and a word on what each does.

use serde_json::{Map, Value, json};

use super::super::schema::{Leaf, Schema, Shape};

/// What a client may send with an operation beside the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    text: &'static str,
}

const fn parameter(name: &'static str, kind: &'static str, text: &'static str) -> Parameter {
    Parameter { name, kind, text }
}

const DRY_RUN: Parameter = parameter(
    "dryRun",
    "string",
    "All: the request is judged as usual, and nothing is stored.",
);
const CONTINUE: Parameter = parameter(
    "continue",
    "string",
    "Where a list with a limit goes on: the token that its last part gave.",
);
const FIELDS: Parameter = parameter(
    "fieldSelector",
    "string",
    "Only objects whose fields match.",
);
const LABELS: Parameter = parameter(
    "labelSelector",
    "string",
    "Only objects whose labels match.",
);
const LIMIT: Parameter = parameter("limit", "integer", "The most objects that one answer has.");
const VERSION: Parameter = parameter(
    "resourceVersion",
    "string",
    "The state to be answered from, or after which changes are told.",
);
const MATCH: Parameter = parameter(
    "resourceVersionMatch",
    "string",
    "How resourceVersion is meant: Exact or NotOlderThan.",
);
const INITIAL: Parameter = parameter(
    "sendInitialEvents",
    "boolean",
    "Whether a watch begins with the objects that are there, and a bookmark behind them.",
);
const SHARD: Parameter = parameter("shardSelector", "string", "Only objects of one shard.");
const TIMEOUT: Parameter = parameter(
    "timeoutSeconds",
    "integer",
    "After how many seconds the server ends the call.",
);
const MANAGER: Parameter = parameter(
    "fieldManager",
    "string",
    "Who makes the change, for the record of who manages which field; at most 128 characters.",
);
const VALIDATION: Parameter = parameter(
    "fieldValidation",
    "string",
    "What unknown and repeated fields lead to: Ignore, Warn or Strict.",
);
pub(super) const PRETTY: Parameter =
    parameter("pretty", "string", "Whether the answer is indented.");
pub(super) const PROXY_PATH: Parameter =
    parameter("path", "string", "The path that the proxied request has.");

/// Of lists and watches.
pub(super) const LIST: &[Parameter] = &[
    parameter(
        "allowWatchBookmarks",
        "boolean",
        "Whether a watch also sends bookmarks.",
    ),
    CONTINUE,
    FIELDS,
    LABELS,
    LIMIT,
    VERSION,
    MATCH,
    INITIAL,
    SHARD,
    TIMEOUT,
    parameter(
        "watch",
        "boolean",
        "Whether changes are told as they happen, and not a list.",
    ),
];

/// Of reading one custom object.
pub(super) const READ: &[Parameter] = &[VERSION];

const GRACE: Parameter = parameter(
    "gracePeriodSeconds",
    "integer",
    "How many seconds the object has to end; 0 is at once.",
);
const UNREADABLE: Parameter = parameter(
    "ignoreStoreReadErrorWithClusterBreakingPotential",
    "boolean",
    "Whether an object that cannot be read is removed, whatever depends on it.",
);
const ORPHAN: Parameter = parameter(
    "orphanDependents",
    "boolean",
    "Whether dependents stay; propagationPolicy takes its place.",
);
const PROPAGATION: Parameter = parameter(
    "propagationPolicy",
    "string",
    "What becomes of dependents: Orphan, Background or Foreground.",
);

pub(super) const DELETE: &[Parameter] = &[DRY_RUN, GRACE, UNREADABLE, ORPHAN, PROPAGATION];

pub(super) const DELETE_COLLECTION: &[Parameter] = &[
    CONTINUE,
    DRY_RUN,
    FIELDS,
    GRACE,
    UNREADABLE,
    LABELS,
    LIMIT,
    ORPHAN,
    PROPAGATION,
    VERSION,
    MATCH,
    INITIAL,
    SHARD,
    TIMEOUT,
];

/// Of creation and update.
pub(super) const WRITE: &[Parameter] = &[DRY_RUN, MANAGER, VALIDATION];

pub(super) const PATCH: &[Parameter] = &[
    DRY_RUN,
    MANAGER,
    VALIDATION,
    parameter(
        "force",
        "boolean",
        "Whether apply takes over fields that others manage.",
    ),
];

/// What a container said.
pub(super) const LOG: &[Parameter] = &[
    parameter("container", "string", "Which container."),
    parameter(
        "follow",
        "boolean",
        "Whether what it says later is sent, too.",
    ),
    parameter(
        "insecureSkipTLSVerifyBackend",
        "boolean",
        "Whether the node's certificate is taken as it is.",
    ),
    parameter("limitBytes", "integer", "The most bytes to be sent."),
    parameter(
        "previous",
        "boolean",
        "Whether the container's run before this one is meant.",
    ),
    parameter(
        "sinceSeconds",
        "integer",
        "Only what is at most that many seconds old.",
    ),
    parameter("stream", "string", "All, Stdout or Stderr."),
    parameter("tailLines", "integer", "Only that many lines at the end."),
    parameter(
        "timestamps",
        "boolean",
        "Whether each line begins with its time.",
    ),
];

impl Parameter {
    /// In the query.
    pub(super) fn to_value(self) -> Value {
        value(self.name, "query", self.kind, self.text)
    }
}

/// In the path.
pub(super) fn in_path(name: &str) -> Value {
    let text = match name {
        "name" => "The object's name.",
        "namespace" => "The object's namespace.",
        _ => PROXY_PATH.text,
    };
    value(name, "path", "string", text)
}

/// Of a subresource that opens a connection: the fields of its options.
pub(super) fn of_options(schema: &Schema, kind: &str) -> Vec<Value> {
    let Some(id) = schema.kind("", "v1", kind) else {
        return Vec::new();
    };
    let fields = schema.get(id).flat.iter();
    let fields = fields.filter(|field| field.number.is_some());
    let fields = fields.map(|field| {
        let kind = match field.shape {
            Shape::Leaf(Leaf::Bool) => "boolean",
            // One number, though it may be given several times.
            Shape::List(ref inner) if **inner != Shape::Leaf(Leaf::String) => "integer",
            _ => "string",
        };
        value(&field.json, "query", kind, "")
    });
    fields.collect()
}

fn value(name: &str, place: &str, kind: &str, text: &str) -> Value {
    let mut parameter = Map::new();
    parameter.insert("name".into(), name.into());
    parameter.insert("in".into(), place.into());
    if !text.is_empty() {
        parameter.insert("description".into(), text.into());
    }
    if place == "path" {
        parameter.insert("required".into(), true.into());
    }
    parameter.insert("schema".into(), json!({"type": kind, "uniqueItems": true}));
    parameter.into()
}
