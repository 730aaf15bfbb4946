//! AlwaysPullImages: nobody runs a private image because somebody else has brought it to the node.

use std::collections::HashSet;

use serde_json::Value;

use super::put;
use crate::kube::admission::attributes::{Attributes, Operation};
use crate::kube::field::FieldError;
use crate::kube::status::{ApiError, ApiResult};
use crate::kube::tree::{get, items, text};

pub(super) const NAME: &str = "AlwaysPullImages";

const ALWAYS: &str = "Always";
/// Lists of containers and the type of what is in each.
const LISTS: [(&str, &str); 3] = [
    ("initContainers", "core/v1.Container"),
    ("containers", "core/v1.Container"),
    ("ephemeralContainers", "core/v1.EphemeralContainer"),
];

/// New pods, and those that get another image.
fn applies(by: &Attributes<'_>, old: Option<&Value>, pod: &Value) -> bool {
    if !by.whole("", "pods") {
        return false;
    }
    let images = |pod| -> HashSet<&str> {
        let all = LISTS
            .iter()
            .flat_map(|(list, _)| items(pod, &["spec", list]));
        all.map(|container| text(container, &["image"])).collect()
    };
    match (by.operation, old) {
        (Operation::Create, _) => true,
        (Operation::Update, Some(old)) => !images(pod).is_subset(&images(old)),
        _ => false,
    }
}

pub(super) fn mutate(by: &Attributes<'_>, old: Option<&Value>, pod: &mut Value) {
    if !applies(by, old, pod) {
        return;
    }
    let mut each = |list: &str, path: &str, of: &str, key: &str| {
        let all = pod.pointer_mut(&format!("/spec/{list}"));
        let all = all.and_then(Value::as_array_mut).into_iter().flatten();
        let parts = all.filter_map(|one| one.pointer_mut(path)?.as_object_mut());
        parts.for_each(|part| put(of, part, key, ALWAYS));
    };
    for (list, of) in LISTS {
        each(list, "", of, "imagePullPolicy");
    }
    each(
        "volumes",
        "/image",
        "core/v1.ImageVolumeSource",
        "pullPolicy",
    );
}

pub(super) fn validate(by: &Attributes<'_>, old: Option<&Value>, pod: &Value) -> ApiResult<()> {
    if !applies(by, old, pod) {
        return Ok(());
    }
    let mut wrong = Vec::new();
    let mut judge = |path: String, policy: &str| {
        if policy != ALWAYS {
            let error = FieldError::not_supported(path, policy, &[ALWAYS]);
            wrong.push(by.refuse(pod, error).message);
        }
    };
    for (list, _) in LISTS {
        for (at, container) in items(pod, &["spec", list]).iter().enumerate() {
            let policy = text(container, &["imagePullPolicy"]);
            judge(format!("spec.{list}[{at}].imagePullPolicy"), policy);
        }
    }
    for (at, volume) in items(pod, &["spec", "volumes"]).iter().enumerate() {
        if let Some(image) = get(volume, &["image"]) {
            let policy = text(image, &["pullPolicy"]);
            judge(format!("spec.volumes[{at}].image.pullPolicy"), policy);
        }
    }
    // The release answers several errors without a status, even one.
    match wrong.as_slice() {
        [] => Ok(()),
        [one] => Err(ApiError::unclassified(one)),
        all => Err(ApiError::unclassified(format!("[{}]", all.join(", ")))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{Ask, CREATE_POD, Few};
    use super::*;

    #[test]
    fn every_image_is_pulled() {
        let few = Few::default();
        let pod = |image: &str| {
            json!({"metadata": {"name": "p"}, "spec": {
            "volumes": [{"name": "v", "image": {"reference": "r", "pullPolicy": "Never"}}],
            "containers": [{"name": "c", "image": image, "imagePullPolicy": "Never"}]}})
        };
        let made = CREATE_POD.mutate(NAME, &few, None, pod("a")).unwrap();
        assert_eq!(made["spec"]["containers"][0]["imagePullPolicy"], ALWAYS);
        assert_eq!(made["spec"]["volumes"][0]["image"]["pullPolicy"], ALWAYS);
        assert_eq!(CREATE_POD.judge(NAME, &few, None, &made), Ok(()));
        let update = Ask {
            operation: Operation::Update,
            ..CREATE_POD
        };
        let same = update
            .mutate(NAME, &few, Some(&pod("a")), pod("a"))
            .unwrap();
        assert_eq!(same, pod("a"));
        let why = update.judge(NAME, &few, Some(&pod("a")), &pod("b"));
        assert_eq!(
            why.unwrap_err(),
            "[pods \"p\" is forbidden: spec.containers[0].imagePullPolicy: Unsupported value: \"Never\": supported \
             values: \"Always\", pods \"p\" is forbidden: spec.volumes[0].image.pullPolicy: Unsupported value: \
             \"Never\": supported values: \"Always\"]"
        );
    }
}
