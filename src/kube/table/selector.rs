//! Labels and label selectors as text.

use serde_json::Value;

use super::value::{list, text};

/// `a=b,c=d` by key; `<none>` without labels.
pub(super) fn labels(map: &Value) -> String {
    let mut pairs: Vec<String> = match map.as_object() {
        Some(map) => map
            .iter()
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
            .collect(),
        None => Vec::new(),
    };
    if pairs.is_empty() {
        return "<none>".into();
    }
    pairs.sort_unstable();
    pairs.join(",")
}

/// A `LabelSelector`: `<none>` if it is empty, `<error>` if it is none.
pub(super) fn of_labels(selector: &Value) -> String {
    match plain(selector) {
        Some(text) if text.is_empty() => "<none>".into(),
        Some(text) => text,
        None => "<error>".into(),
    }
}

/// A `LabelSelector` in the form of the query parameter `labelSelector`; none if it is not valid.
pub(super) fn plain(selector: &Value) -> Option<String> {
    let mut requirements: Vec<(&str, String)> = Vec::new();
    if let Some(labels) = selector.get("matchLabels").and_then(Value::as_object) {
        for (key, value) in labels {
            requirements.push((key, format!("{key}={}", value.as_str()?)));
        }
    }
    for one in list(selector, "matchExpressions") {
        let key = text(one, "key");
        let mut values: Vec<_> = list(one, "values")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        values.sort_unstable();
        let set = values.join(",");
        let said = match (text(one, "operator"), values.is_empty()) {
            ("In", false) => format!("{key} in ({set})"),
            ("NotIn", false) => format!("{key} notin ({set})"),
            ("Exists", true) => key.into(),
            ("DoesNotExist", true) => format!("!{key}"),
            _ => return None,
        };
        requirements.push((key, said));
    }
    requirements.sort_by_key(|(key, _)| *key);
    let said: Vec<_> = requirements.into_iter().map(|(_, said)| said).collect();
    Some(said.join(","))
}

/// A `LabelSelector` as Go prints the struct, which is what one column shows.
pub(super) fn debug(selector: &Value) -> String {
    let mut labels: Vec<String> = Vec::new();
    if let Some(map) = selector.get("matchLabels").and_then(Value::as_object) {
        for (key, value) in map {
            labels.push(format!("{key}: {},", value.as_str().unwrap_or_default()));
        }
    }
    labels.sort_unstable();
    let expressions = list(selector, "matchExpressions").iter().map(|one| {
        let values: Vec<_> = list(one, "values")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        format!(
            "LabelSelectorRequirement{{Key:{},Operator:{},Values:[{}],}},",
            text(one, "key"),
            text(one, "operator"),
            values.join(" ")
        )
    });
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{}}},MatchExpressions:[]LabelSelectorRequirement{{{}}},}}",
        labels.concat(),
        expressions.collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_are_told_by_key() {
        let selector = json!({
            "matchLabels": {"b": "1", "a": ""},
            "matchExpressions": [
                {"key": "d", "operator": "In", "values": ["y", "x"]},
                {"key": "c", "operator": "DoesNotExist"},
                {"key": "e", "operator": "NotIn", "values": ["z"]},
                {"key": "f", "operator": "Exists"},
            ],
        });
        assert_eq!(of_labels(&selector), "a=,b=1,!c,d in (x,y),e notin (z),f");
        assert_eq!(of_labels(&json!({})), "<none>");
        assert_eq!(of_labels(&Value::Null), "<none>");
        for (operator, values) in [
            ("In", json!([])),
            ("Exists", json!(["a"])),
            ("Like", json!([])),
        ] {
            let wrong =
                json!({"matchExpressions": [{"key": "a", "operator": operator, "values": values}]});
            assert_eq!(of_labels(&wrong), "<error>");
        }
    }

    #[test]
    fn a_parameter_selector_is_told_as_go_has_it() {
        let selector = json!({
            "matchLabels": {"a": "b"},
            "matchExpressions": [{"key": "c", "operator": "In", "values": ["x", "y"]}],
        });
        assert_eq!(
            debug(&selector),
            "&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{\
             LabelSelectorRequirement{Key:c,Operator:In,Values:[x y],},},}"
        );
    }
}
