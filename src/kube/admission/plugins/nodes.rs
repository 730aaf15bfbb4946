//! TaintNodesByCondition: nothing runs on a new node until somebody has found it ready.

use serde_json::{Value, json};

use super::{append, spec};
use crate::kube::admission::attributes::Attributes;
use crate::kube::tree::{items, text};

pub(super) const NAME: &str = "TaintNodesByCondition";

const KEY: &str = "node.kubernetes.io/not-ready";
const EFFECT: &str = "NoSchedule";

pub(super) fn mutate(by: &Attributes<'_>, node: &mut Value) {
    if !by.whole("", "nodes") || !by.creates() {
        return;
    }
    let mut taints = items(node, &["spec", "taints"]).iter();
    if taints.any(|one| text(one, &["key"]) == KEY && text(one, &["effect"]) == EFFECT) {
        return;
    }
    if let Some(spec) = spec(node) {
        let taint = json!({"key": KEY, "effect": EFFECT});
        append("core/v1.NodeSpec", spec, "taints", taint);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Ask, CREATE_POD, Few};
    use super::*;

    #[test]
    fn new_nodes_are_not_ready() {
        let ask = Ask {
            resource: ("", "v1", "nodes"),
            ..CREATE_POD
        };
        let node = json!({"metadata": {"name": "n"}, "spec": {"unschedulable": true}});
        let node = ask.mutate(NAME, &Few::default(), None, node).unwrap();
        assert_eq!(
            node["spec"].to_string(),
            r#"{"unschedulable":true,"taints":[{"key":"node.kubernetes.io/not-ready","effect":"NoSchedule"}]}"#
        );
    }
}
