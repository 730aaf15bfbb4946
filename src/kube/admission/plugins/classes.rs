//! DefaultStorageClass and DefaultIngressClass: the class of what names none.

use std::sync::Arc;

use serde_json::Value;

use super::{annotation, name, put, spec};
use crate::kube::admission::attributes::Attributes;
use crate::kube::objects::Objects;
use crate::kube::tree::{get, text};

pub(super) const STORAGE: &str = "DefaultStorageClass";
pub(super) const INGRESS: &str = "DefaultIngressClass";

pub(super) fn storage(by: &Attributes<'_>, objects: &dyn Objects, claim: &mut Value) {
    if !by.creates() || !by.whole("", "persistentvolumeclaims") {
        return;
    }
    let said = get(claim, &["spec", "storageClassName"]).is_some()
        || annotation(claim, "volume.beta.kubernetes.io/storage-class").is_some();
    if said {
        return;
    }
    let marks = [
        "storageclass.kubernetes.io/is-default-class",
        "storageclass.beta.kubernetes.io/is-default-class",
    ];
    let class = newest(
        objects.list("storage.k8s.io", "storageclasses", None),
        &marks,
    );
    if let (Some(class), Some(spec)) = (class, spec(claim)) {
        let of = "core/v1.PersistentVolumeClaimSpec";
        put(of, spec, "storageClassName", name(&class));
    }
}

pub(super) fn ingress(by: &Attributes<'_>, objects: &dyn Objects, ingress: &mut Value) {
    if !by.creates() || !by.whole("networking.k8s.io", "ingresses") {
        return;
    }
    let said = get(ingress, &["spec", "ingressClassName"]).is_some()
        || annotation(ingress, "kubernetes.io/ingress.class").is_some();
    if said {
        return;
    }
    let marks = ["ingressclass.kubernetes.io/is-default-class"];
    let class = newest(
        objects.list("networking.k8s.io", "ingressclasses", None),
        &marks,
    );
    if let (Some(class), Some(spec)) = (class, spec(ingress)) {
        let of = "networking/v1.IngressSpec";
        put(of, spec, "ingressClassName", name(&class));
    }
}

/// The youngest of those that are marked, by name within a second. Times are written so that they sort.
fn newest(classes: Vec<Arc<Value>>, marks: &[&str]) -> Option<Arc<Value>> {
    let is_default = |class: &Value| {
        marks
            .iter()
            .any(|mark| annotation(class, mark) == Some("true"))
    };
    let age = |class: &Value| text(class, &["metadata", "creationTimestamp"]).to_owned();
    classes
        .into_iter()
        .filter(|class| is_default(class))
        .min_by(|a, b| age(b).cmp(&age(a)).then_with(|| name(a).cmp(name(b))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{Ask, CREATE_POD, Few};
    use super::*;

    #[test]
    fn the_newest_default_is_taken() {
        let class = |name: &str, time: &str, key: &str| json!({"metadata": {"name": name, "creationTimestamp": time, "annotations": {key: "true"}}});
        let (storage, ingress) = (
            "storageclass.kubernetes.io/is-default-class",
            "ingressclass.kubernetes.io/is-default-class",
        );
        let few = Few(vec![
            (
                "storage.k8s.io",
                "storageclasses",
                class("old", "2026-01-01T00:00:00Z", storage),
            ),
            (
                "storage.k8s.io",
                "storageclasses",
                class("z", "2026-01-02T00:00:00Z", storage),
            ),
            (
                "storage.k8s.io",
                "storageclasses",
                class("b", "2026-01-02T00:00:00Z", storage),
            ),
            (
                "networking.k8s.io",
                "ingressclasses",
                class("web", "2026-01-02T00:00:00Z", ingress),
            ),
        ]);
        let claims = Ask {
            resource: ("", "v1", "persistentvolumeclaims"),
            ..CREATE_POD
        };
        let claim = json!({"spec": {"resources": {}, "volumeMode": "Filesystem"}});
        let claim = claims.mutate(STORAGE, &few, None, claim).unwrap();
        assert_eq!(
            claim["spec"].to_string(),
            r#"{"resources":{},"storageClassName":"b","volumeMode":"Filesystem"}"#
        );
        let none = json!({"spec": {"storageClassName": ""}});
        assert_eq!(
            claims.mutate(STORAGE, &few, None, none.clone()).unwrap(),
            none
        );
        let ingresses = Ask {
            resource: ("networking.k8s.io", "v1", "ingresses"),
            ..CREATE_POD
        };
        let made = ingresses
            .mutate(INGRESS, &few, None, json!({"spec": {"rules": []}}))
            .unwrap();
        assert_eq!(
            made["spec"].to_string(),
            r#"{"ingressClassName":"web","rules":[]}"#
        );
    }
}
