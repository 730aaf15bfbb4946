//! The quality of service that a pod's requests and limits make.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::kube::amount::Amount;
use crate::kube::tree;

type Sum = BTreeMap<String, Amount>;

/// `Guaranteed`, `Burstable` or `BestEffort`.
pub fn class(pod: &Value) -> &'static str {
    let (mut requests, mut limits) = (Sum::new(), Sum::new());
    let mut guaranteed = true;
    let mut count = |holder: &Value, both_needed: bool| {
        add(&mut requests, holder, "requests");
        let mut own = Sum::new();
        add(&mut own, holder, "limits");
        if both_needed && !(own.contains_key("cpu") && own.contains_key("memory")) {
            guaranteed = false;
        }
        add(&mut limits, holder, "limits");
    };
    if tree::get(pod, &["spec", "resources"]).is_some() {
        let spec = tree::get(pod, &["spec"]).unwrap_or(&Value::Null);
        let said = tree::get(spec, &["resources", "limits"]).is_some_and(|l| !tree::is_zero(l));
        count(spec, said);
    } else {
        for list in ["containers", "initContainers"] {
            for container in tree::items(pod, &["spec", list]) {
                count(container, true);
            }
        }
    }
    if requests.is_empty() && limits.is_empty() {
        "BestEffort"
    } else if guaranteed && requests == limits {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

fn add(sum: &mut Sum, holder: &Value, list: &str) {
    for (name, value) in tree::entries(holder, &["resources", list]) {
        let amount = value.as_str().and_then(Amount::parse);
        let Some(amount) = amount.filter(|amount| *amount > Amount::ZERO) else {
            continue;
        };
        if matches!(name, "cpu" | "memory") {
            let total = sum.get(name).map_or(amount, |so_far| so_far.plus(amount));
            sum.insert(name.to_owned(), total);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn classes_follow_requests_and_limits() {
        let full = json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1Gi"}});
        for (containers, class_) in [
            (json!([{"resources": {}}]), "BestEffort"),
            (
                json!([{"resources": {"requests": {"cpu": "0"}}}]),
                "BestEffort",
            ),
            (json!([{"resources": full}]), "Guaranteed"),
            (json!([{"resources": full}, {"resources": {}}]), "Burstable"),
            (
                json!([{"resources": {"requests": {"memory": "1"}}}]),
                "Burstable",
            ),
        ] {
            assert_eq!(class(&json!({"spec": {"containers": containers}})), class_);
        }
        let pod = json!({"spec": {"containers": [{}], "resources": full}});
        assert_eq!(class(&pod), "Guaranteed");
    }
}
