//! Events of the core group and of `events.k8s.io`: the same fields under two sets of names.

use serde_json::{Map, Value};

use crate::kube::object::conform;
use crate::kube::schema::{Schema, TypeId};

/// Names in `events.k8s.io/v1` and in core.
const NAMES: [(&str, &str); 8] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
    ("reportingInstance", "reportingInstance"),
];

/// `events.k8s.io/v1` of what is stored.
pub(super) fn from_core(stored: &Value) -> Value {
    rename(stored, "events.k8s.io", |name| {
        let mut names = NAMES.iter();
        names.find_map(|(new, core)| (*core == name).then_some(*new))
    })
}

/// What is stored for `events.k8s.io/v1`.
pub(super) fn to_core(event: &Value) -> Value {
    rename(event, "", |name| {
        let mut names = NAMES.iter();
        names.find_map(|(new, core)| (*new == name).then_some(*core))
    })
}

fn rename<'a>(event: &Value, group: &str, name: impl Fn(&str) -> Option<&'a str>) -> Value {
    let schema = Schema::built_in();
    let mut renamed = Map::new();
    for (key, value) in event.as_object().into_iter().flatten() {
        renamed.insert(name(key).unwrap_or(key).to_owned(), value.clone());
    }
    let version = if group.is_empty() {
        "v1"
    } else {
        "events.k8s.io/v1"
    };
    renamed.insert("apiVersion".into(), version.into());
    ordered(schema, schema.kind(group, "v1", "Event"), renamed.into())
}

/// The tree in the order of its type.
fn ordered(schema: &Schema, of: Option<TypeId>, tree: Value) -> Value {
    let conformed = of.and_then(|of| conform(schema, of, &tree).ok());
    conformed.map_or(tree, |conformed| conformed.value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn there_and_back_is_the_same() {
        let core = json!({
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {"name": "e", "namespace": "n"},
            "involvedObject": {"kind": "Pod", "name": "p"},
            "reason": "Started",
            "message": "it began",
            "source": {"component": "kubelet"},
            "firstTimestamp": "2026-01-01T00:00:00Z",
            "lastTimestamp": "2026-01-01T00:00:01Z",
            "count": 2,
            "type": "Normal",
            "eventTime": null,
            "reportingComponent": "kubelet",
            "reportingInstance": "n1",
        });
        let new = from_core(&core);
        assert_eq!(new["apiVersion"], "events.k8s.io/v1");
        assert_eq!(new["note"], "it began");
        assert_eq!(new["regarding"]["name"], "p");
        assert_eq!(new["deprecatedCount"], 2);
        let back = to_core(&new);
        for key in [
            "involvedObject",
            "message",
            "source",
            "count",
            "reportingComponent",
            "lastTimestamp",
        ] {
            assert_eq!(back[key], core[key], "{key}");
        }
    }
}
