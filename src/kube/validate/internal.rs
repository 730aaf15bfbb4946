//! Values as the release's internal types print them: they have no JSON names, so fields are called as in Go.

use serde_json::Value;

/// Compact JSON with the first letter of every field in upper case.
pub(super) fn capitalized(value: &Value) -> String {
    super::cursor::shown(&renamed(value))
}

fn renamed(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let fields = map
                .iter()
                .map(|(key, value)| (go_name(key), renamed(value)));
            Value::Object(fields.collect())
        }
        Value::Array(items) => items.iter().map(renamed).collect(),
        other => other.clone(),
    }
}

fn go_name(json: &str) -> String {
    match json {
        "apiGroup" => "APIGroup".into(),
        "apiGroups" => "APIGroups".into(),
        "apiVersion" => "APIVersion".into(),
        "clusterIP" => "ClusterIP".into(),
        "uid" => "UID".into(),
        "ip" => "IP".into(),
        _ => {
            let mut letters = json.chars();
            let first = letters.next().map(|letter| letter.to_ascii_uppercase());
            first.into_iter().chain(letters).collect()
        }
    }
}
