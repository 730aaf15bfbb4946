//! Fields that a write to a resource or subresource cannot set: they are reset before storing, so nobody comes to own them.

use super::set::Set;
use crate::kube::schema::Resource;

/// What stands of the fields that a writer sets.
#[derive(Debug, Clone)]
pub(super) enum Filter {
    All,
    Without(Set),
    Only(&'static [&'static [&'static str]]),
}

impl Filter {
    pub(super) fn of(resource: &Resource, subresource: &str) -> Self {
        let fields = match (&*resource.group, &*resource.plural, subresource) {
            ("", "pods", "ephemeralcontainers") => {
                return Self::Only(&[&["spec", "ephemeralContainers"]]);
            }
            ("", "pods", "resize") => {
                return Self::Only(&[
                    &["spec", "containers", "*", "resources"],
                    &["spec", "containers", "*", "resizePolicy"],
                    &["spec", "initContainers", "*", "resources"],
                    &["spec", "initContainers", "*", "resizePolicy"],
                ]);
            }
            (group, plural, subresource) => fields(group, plural, subresource),
        };
        // Custom resources and whatever else has a status.
        let fields = match (fields, subresource) {
            (Some(fields), _) => fields,
            (None, "") if resource.subresource_named("status").is_some() => &["status"],
            (None, "status") => &["metadata", "spec"],
            (None, _) => &[],
        };
        if fields.is_empty() {
            Self::All
        } else {
            Self::Without(Set::of_fields(fields))
        }
    }

    pub(super) fn apply(&self, set: &Set) -> Set {
        match self {
            Self::All => set.clone(),
            Self::Without(reset) => set.recursive_difference(reset),
            Self::Only(patterns) => set.matching(patterns),
        }
    }
}

/// Where a resource does not follow the rule: status by the main resource, metadata and spec by the status.
fn fields(group: &str, plural: &str, subresource: &str) -> Option<&'static [&'static str]> {
    Some(match (group, plural, subresource) {
        ("", "pods", "status") => &[
            "spec",
            "metadata.deletionTimestamp",
            "metadata.ownerReferences",
        ],
        ("", "namespaces", "finalize") => &["status"],
        ("apps", "deployments", "status") => &["spec", "metadata.labels"],
        ("certificates.k8s.io", "certificatesigningrequests", subresource) => match subresource {
            "" => &["spec", "status"],
            "status" => &["spec", "status.conditions"],
            "approval" => &["spec", "status.certificate"],
            _ => return None,
        },
        ("certificates.k8s.io", "podcertificaterequests", "") => &[],
        (
            ""
            | "apps"
            | "autoscaling"
            | "batch"
            | "policy"
            | "certificates.k8s.io"
            | "apiextensions.k8s.io",
            _,
            "status",
        )
        | ("networking.k8s.io", "ingresses", "status") => &["spec"],
        _ => return None,
    })
}
