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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What `k8s.io/client-go/util/jsonpath` finds first; an error by its words.
    #[test]
    fn paths_lead_where_the_release_says() {
        let data = json!({
            "spec": {"replicas": 3, "a.b": "dotted", "none": null},
            "items": [{"n": 1, "t": "x"}, {"n": 2, "t": "y"}, {"n": 3, "t": "x"}],
        });
        for (path, found) in [
            (".spec.replicas", json!([[3]])),
            (".spec.missing.more", json!([[]])),
            (".spec.a\\.b", json!([["dotted"]])),
            (".spec['a\\.b']", json!([["dotted"]])),
            (".spec.none", json!([[null]])),
            (".items[0].n", json!([[1]])),
            (".items[-1].n", json!([[3]])),
            (".items[1:].n", json!([[2, 3]])),
            (".items[::2].n", json!([[1, 3]])),
            (".items[0,2].n", json!([[1, 3]])),
            (".items[*].t", json!([["x", "y", "x"]])),
            (".items[?(@.t==\"x\")].n", json!([[1, 3]])),
            (".items[?(@.n>1)].n", json!([[2, 3]])),
            (".items[?(@.missing)].n", json!([[]])),
            (".items[?(@.t!='x')].n", json!([[2]])),
            ("..t", json!([["x", "y", "x"]])),
            ("$.spec.replicas", json!([[3]])),
            ("spec.replicas", json!("unrecognized identifier spec")),
            (
                ".items[5].n",
                json!("array index out of bounds: index 5, length 3"),
            ),
            (
                ".spec[0]",
                json!("map[string]interface {} is not array or slice"),
            ),
        ] {
            let path_read = JsonPath::parse(path).unwrap();
            let got = match path_read.find(&data) {
                Ok(found) => json!(found),
                Err(why) => json!(why),
            };
            assert_eq!(got, found, "{path}");
        }
        for (path, why) in [
            (".a[", "unterminated array"),
            (".a[x]", "invalid array index x"),
            ("....a", "invalid multiple recursive descent"),
            (".a[?(@.b", "unterminated filter"),
            ("#", "unrecognized character in action: U+0023 '#'"),
        ] {
            assert_eq!(JsonPath::parse(path).unwrap_err(), why, "{path}");
        }
    }
}
