//! JSONPath as Kubernetes knows it: `.spec.replicas`, `.status.conditions[?(@.type=="Ready")].status`.
//!
//! Missing fields are no errors. Loops (`range` and `end`) are not known: no path of a definition can hold
//! one. Rules: <https://kubernetes.io/docs/reference/kubectl/jsonpath/>.

mod eval;
mod parse;

use std::borrow::Cow;

use serde_json::Value;

/// A path that has been read.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonPath {
    /// Texts, and the lists of steps that stood in braces.
    nodes: Vec<Node>,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
enum Node {
    Steps(Vec<Node>),
    Text(String),
    Field(String),
    Slice(Slice),
    Filter {
        left: Vec<Node>,
        /// None asks whether there is anything on the left.
        compare: Option<(String, Vec<Node>)>,
    },
    Int(i64),
    Float(f64),
    Bool(bool),
    Wildcard,
    Recursive,
    Union(Vec<Vec<Node>>),
    Word(String),
}

/// `[from:to:step]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Slice {
    from: Option<i64>,
    to: Option<i64>,
    /// Whether only one element was asked for, so that `to` follows from `from`.
    one: bool,
    step: Option<i64>,
}

impl JsonPath {
    /// Reads a path as definitions have it, without braces.
    ///
    /// # Errors
    /// What cannot be read, in the release's words.
    pub fn parse(path: &str) -> Result<Self, String> {
        let nodes = parse::template(&format!("{{{path}}}"))?;
        Ok(Self { nodes })
    }

    /// What a path leads to: a list for each part of it, which is one for every simple path.
    ///
    /// # Errors
    /// Why the path does not fit the value: an index of what is no list, an index out of bounds.
    pub fn find<'v>(&self, value: &'v Value) -> Result<Vec<Vec<Cow<'v, Value>>>, String> {
        eval::find(&self.nodes, value)
    }
}
