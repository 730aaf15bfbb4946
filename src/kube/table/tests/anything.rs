//! Whatever stands in the store, printing it ends well: somebody may have written there past this server.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::now;
use crate::kube::schema::Resources;

/// Names of fields that rows are made of.
const KEYS: &[&str] = &[
    "metadata",
    "name",
    "creationTimestamp",
    "deletionTimestamp",
    "labels",
    "annotations",
    "ownerReferences",
    "controller",
    "spec",
    "status",
    "containers",
    "initContainers",
    "initContainerStatuses",
    "containerStatuses",
    "restartCount",
    "lastState",
    "state",
    "terminated",
    "finishedAt",
    "exitCode",
    "waiting",
    "running",
    "reason",
    "conditions",
    "type",
    "ports",
    "port",
    "nodePort",
    "subsets",
    "addresses",
    "endpoints",
    "rules",
    "host",
    "metrics",
    "currentMetrics",
    "resource",
    "current",
    "target",
    "averageValue",
    "selector",
    "matchLabels",
    "matchExpressions",
    "operator",
    "values",
    "startTime",
    "completionTime",
    "expirationSeconds",
    "hard",
    "used",
    "series",
    "lastObservedTime",
];
const TEXTS: &[&str] = &[
    "",
    "x",
    "é",
    "In",
    "Resource",
    "LoadBalancer",
    "9999-12-31T23:59:60Z",
    "0000-01-01T00:00:00+99:99",
    "2026-01-09T00:00:00.999999999999999999999999999999999999999Z",
    "2026-01-09T00:00:00é",
];

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(json!(i64::MAX)),
        Just(json!(i64::MIN)),
        prop::sample::select(TEXTS).prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        let key = prop::sample::select(KEYS).prop_map(String::from);
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            4 => prop::collection::btree_map(key, inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #[test]
    fn every_row_has_its_cells(spec in anything(), status in anything(), metadata in anything()) {
        let object = json!({"metadata": metadata, "spec": spec, "status": status});
        for of in Resources::built_in().groups() {
            for resource in &of.resources {
                for object in [&object, &spec] {
                    let row = crate::kube::table::row(resource, object, now());
                    prop_assert_eq!(row.len(), crate::kube::table::columns(resource).len());
                }
            }
        }
    }
}
