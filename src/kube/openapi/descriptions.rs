//! What types and fields are for, as `kubectl explain` tells it.
//!
//! The texts are the release's own, from a published crate; `build/kube_descriptions.rs` gathers them.

use std::collections::HashMap;
use std::sync::LazyLock;

static TEXT: &str = include_str!(concat!(env!("OUT_DIR"), "/kube-descriptions.txt"));

static TYPES: LazyLock<HashMap<&str, Type>> = LazyLock::new(|| {
    let records = TEXT.split_terminator('\u{1e}').filter_map(|record| {
        let mut parts = record.split('\u{1f}');
        let (name, text) = (parts.next()?, parts.next()?);
        let mut fields = HashMap::new();
        while let (Some(field), Some(text)) = (parts.next(), parts.next()) {
            fields.insert(field, text);
        }
        Some((name, Type { text, fields }))
    });
    records.collect()
});

struct Type {
    text: &'static str,
    fields: HashMap<&'static str, &'static str>,
}

/// Of a definition by its name.
pub(super) fn of_type(definition: &str) -> Option<&'static str> {
    let text = TYPES.get(definition).map(|of| of.text);
    text.filter(|text| !text.is_empty())
}

/// Of a field of a definition.
pub(in crate::kube) fn of_field(definition: &str, field: &str) -> Option<&'static str> {
    let text = match TYPES.get(definition) {
        Some(of) => of.fields.get(field).copied(),
        // The crate has no types of lists; their fields are the same everywhere.
        None => of_list(field),
    };
    text.filter(|text| !text.is_empty())
}

fn of_list(field: &str) -> Option<&'static str> {
    match field {
        "items" => Some("The objects."),
        "metadata" => Some("The state that the list shows, and where a list in parts goes on."),
        "apiVersion" | "kind" => {
            let like = TYPES.get("io.k8s.api.core.v1.Pod")?;
            like.fields.get(field).copied()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_fields_are_described() {
        let pod = "io.k8s.api.core.v1.Pod";
        assert!(of_type(pod).unwrap().contains("containers"));
        assert!(of_field(pod, "spec").is_some());
        assert_eq!(of_field(pod, "none"), None);
        assert!(of_field("io.k8s.api.core.v1.PodList", "kind").is_some());
        assert_eq!(of_type("io.k8s.api.core.v1.PodList"), None);
    }
}
