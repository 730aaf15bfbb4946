//! StorageObjectInUseProtection: storage stays until nobody uses it.

use serde_json::Value;

use super::append;
use crate::kube::admission::attributes::Attributes;
use crate::kube::tree::items;

pub(super) const NAME: &str = "StorageObjectInUseProtection";

const FINALIZERS: [(&str, &str, &str); 3] = [
    ("", "persistentvolumes", "kubernetes.io/pv-protection"),
    ("", "persistentvolumeclaims", "kubernetes.io/pvc-protection"),
    (
        "storage.k8s.io",
        "volumeattributesclasses",
        "kubernetes.io/vac-protection",
    ),
];

pub(super) fn mutate(by: &Attributes<'_>, object: &mut Value) {
    if !by.creates() {
        return;
    }
    let mut all = FINALIZERS.iter();
    let Some((_, _, finalizer)) = all.find(|(group, plural, _)| by.whole(group, plural)) else {
        return;
    };
    let has = items(object, &["metadata", "finalizers"]);
    if has.iter().any(|one| one.as_str() == Some(finalizer)) {
        return;
    }
    let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
    if let Some(metadata) = metadata {
        append("meta/v1.ObjectMeta", metadata, "finalizers", *finalizer);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{Ask, CREATE_POD, Few};
    use super::*;

    #[test]
    fn storage_is_protected() {
        for (group, version, plural, finalizer) in [
            ("", "v1", "persistentvolumes", "kubernetes.io/pv-protection"),
            (
                "",
                "v1",
                "persistentvolumeclaims",
                "kubernetes.io/pvc-protection",
            ),
            (
                "storage.k8s.io",
                "v1",
                "volumeattributesclasses",
                "kubernetes.io/vac-protection",
            ),
        ] {
            let ask = Ask {
                resource: (group, version, plural),
                ..CREATE_POD
            };
            let object = json!({"metadata": {"name": "o", "finalizers": ["a/b"]}});
            let made = ask.mutate(NAME, &Few::default(), None, object).unwrap();
            assert_eq!(made["metadata"]["finalizers"], json!(["a/b", finalizer]));
        }
    }
}
