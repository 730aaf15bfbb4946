//! PodTopologyLabels: pods get the zone and region of their node as labels, with their binding.

use serde_json::Value;

use crate::kube::admission::attributes::Attributes;
use crate::kube::object::meta;
use crate::kube::objects::Objects;
use crate::kube::tree::{set_sorted, text};

pub(super) const NAME: &str = "PodTopologyLabels";

const LABELS: [&str; 2] = [
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];

/// `object` is a pod that has its node from the beginning, or a binding, whose labels its pod gets.
pub(super) fn mutate(by: &Attributes<'_>, objects: &dyn Objects, object: &mut Value) {
    if !by.creates() || !by.about("", "pods") {
        return;
    }
    let node = match by.subresource {
        "" => text(object, &["spec", "nodeName"]),
        "binding" if text(object, &["target", "kind"]) == "Node" => {
            text(object, &["target", "name"])
        }
        _ => return,
    };
    // A node that is not there (yet) is no reason to keep a pod from it.
    let Some(node) = objects.get("", "nodes", "", node) else {
        return;
    };
    let mut labels = meta::labels(object).cloned().unwrap_or_default();
    let before = labels.clone();
    for key in LABELS {
        if let Some(value) = meta::label(&node, key) {
            set_sorted(&mut labels, key, value.into());
        }
    }
    if labels != before {
        meta::set(object, "labels", labels);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{Ask, CREATE_POD, Few};
    use super::*;

    #[test]
    fn a_pod_is_where_its_node_is() {
        let few = Few(vec![(
            "",
            "nodes",
            json!({"metadata": {"name": "n", "labels": {"topology.kubernetes.io/zone": "z",
                "topology.kubernetes.io/region": "r", "other": "o"}}}),
        )]);
        let bind = Ask {
            subresource: "binding",
            ..CREATE_POD
        };
        let target = |kind: &str, name: &str| {
            json!({"metadata": {"name": "p", "labels": {"topology.kubernetes.io/zone": "x"}},
            "target": {"kind": kind, "name": name}})
        };
        let bound = bind.mutate(NAME, &few, None, target("Node", "n")).unwrap();
        assert_eq!(
            bound["metadata"]["labels"].to_string(),
            r#"{"topology.kubernetes.io/region":"r","topology.kubernetes.io/zone":"z"}"#
        );
        for other in [target("Pod", "n"), target("Node", "gone")] {
            let same = bind.mutate(NAME, &few, None, other.clone()).unwrap();
            assert_eq!(same, other);
        }
        let pod = json!({"metadata": {"name": "p"}, "spec": {"nodeName": "n"}});
        let pod = CREATE_POD.mutate(NAME, &few, None, pod).unwrap();
        assert_eq!(
            pod["metadata"]["labels"]["topology.kubernetes.io/region"],
            "r"
        );
    }
}
