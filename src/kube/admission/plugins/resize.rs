//! PersistentVolumeClaimResize: only what a class can grow may ask for more.

use serde_json::Value;

use super::annotation;
use crate::kube::admission::attributes::{Attributes, Operation};
use crate::kube::amount::Amount;
use crate::kube::objects::Objects;
use crate::kube::status::ApiResult;
use crate::kube::tree::{flag, text};

pub(super) const NAME: &str = "PersistentVolumeClaimResize";

pub(super) fn validate(
    by: &Attributes<'_>,
    objects: &dyn Objects,
    old: Option<&Value>,
    claim: &Value,
) -> ApiResult<()> {
    let Some(old) = old.filter(|_| by.operation == Operation::Update) else {
        return Ok(());
    };
    if !by.whole("", "persistentvolumeclaims") || size(claim) <= size(old) {
        return Ok(());
    }
    if text(old, &["status", "phase"]) != "Bound" {
        let why = "Only bound persistent volume claims can be expanded";
        return Err(by.refuse(claim, why));
    }
    let of = class(claim);
    let known = (!of.is_empty() && of == class(old))
        .then(|| objects.get("storage.k8s.io", "storageclasses", "", of));
    if known
        .flatten()
        .is_some_and(|class| flag(&class, &["allowVolumeExpansion"]))
    {
        return Ok(());
    }
    let why = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must \
               support resize";
    Err(by.refuse(claim, why))
}

fn size(claim: &Value) -> Amount {
    let path = ["spec", "resources", "requests", "storage"];
    Amount::parse(text(claim, &path)).unwrap_or(Amount::ZERO)
}

fn class(claim: &Value) -> &str {
    let beta = annotation(claim, "volume.beta.kubernetes.io/storage-class");
    beta.unwrap_or_else(|| text(claim, &["spec", "storageClassName"]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{Ask, CREATE_POD, Few};
    use super::*;

    #[test]
    fn only_bound_claims_of_classes_that_can_grow() {
        let few = Few(vec![(
            "storage.k8s.io",
            "storageclasses",
            json!({"metadata": {"name": "grows"}, "allowVolumeExpansion": true}),
        )]);
        let claim = |class: &str, size: &str, phase: &str| {
            json!({"metadata": {"name": "c"}, "status": {"phase": phase},
                "spec": {"storageClassName": class, "resources": {"requests": {"storage": size}}}})
        };
        let ask = Ask {
            operation: Operation::Update,
            resource: ("", "v1", "persistentvolumeclaims"),
            ..CREATE_POD
        };
        let judge = |old: Value, new: Value| ask.judge(NAME, &few, Some(&old), &new);
        let ok = judge(
            claim("grows", "1Gi", "Bound"),
            claim("grows", "2Gi", "Bound"),
        );
        assert_eq!(ok, Ok(()));
        let same = judge(
            claim("x", "1Gi", "Pending"),
            claim("x", "1024Mi", "Pending"),
        );
        assert_eq!(same, Ok(()));
        let pending = judge(
            claim("grows", "1Gi", "Pending"),
            claim("grows", "2Gi", "Pending"),
        );
        assert!(
            pending
                .unwrap_err()
                .ends_with("Only bound persistent volume claims can be expanded")
        );
        let fixed = judge(claim("x", "1Gi", "Bound"), claim("x", "2Gi", "Bound"));
        assert!(fixed.unwrap_err().ends_with("must support resize"));
    }
}
