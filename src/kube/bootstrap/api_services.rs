//! Objects that say which group versions are served here and not by an aggregated server.

use serde_json::{Map, json};

use crate::kube::schema::Resources;

use super::{Own, Upkeep};

/// Groups by the priority that the release gives them in `/apis`.
const PRIORITIES: [(&str, u32); 20] = [
    ("", 18_000),
    ("apps", 17_800),
    ("events.k8s.io", 17_750),
    ("authentication.k8s.io", 17_700),
    ("authorization.k8s.io", 17_600),
    ("autoscaling", 17_500),
    ("batch", 17_400),
    ("certificates.k8s.io", 17_300),
    ("networking.k8s.io", 17_200),
    ("policy", 17_100),
    ("rbac.authorization.k8s.io", 17_000),
    ("storage.k8s.io", 16_800),
    ("admissionregistration.k8s.io", 16_700),
    ("apiextensions.k8s.io", 16_700),
    ("scheduling.k8s.io", 16_600),
    ("coordination.k8s.io", 16_500),
    ("node.k8s.io", 16_300),
    ("discovery.k8s.io", 16_200),
    ("resource.k8s.io", 16_200),
    ("flowcontrol.apiserver.k8s.io", 16_100),
];

/// One for each group version that this server has itself.
pub(super) fn own(time: &str) -> impl Iterator<Item = Own> {
    let groups = Resources::built_in().groups().iter();
    // The group of these objects has none of its own.
    let served = groups.filter(|of| &*of.group != "apiregistration.k8s.io");
    let time = time.to_owned();
    served.map(move |of| {
        let (group, version) = (&*of.group, &*of.version);
        let priority = PRIORITIES.iter().find(|(group, _)| *group == &*of.group);
        let version_priority = match (&*of.group, &*of.version) {
            ("", _) => 1,
            (_, "v2") => 30,
            ("flowcontrol.apiserver.k8s.io" | "resource.k8s.io", _) => 21,
            _ => 15,
        };
        let group_priority = priority.map_or(1_000, |(_, priority)| *priority);
        let priorities = (group_priority, version_priority);
        local(group, version, priorities, "onstart", &time)
    })
}

/// What marks the objects that [`custom_api_service`] makes: those that nothing is served for any more are removed.
pub const AUTOMANAGED: &str = "kube-aggregator.kubernetes.io/automanaged";

/// Of a group version that definitions add, with the priorities that the release gives them all.
pub fn custom_api_service(group: &str, version: &str, time: &str) -> Own {
    local(group, version, (1_000, 100), "true", time)
}

/// `managed` says whether it goes when its version does: `true`, or `onstart` for those that are there for good.
fn local(
    group: &str,
    version: &str,
    (group_priority, version_priority): (u32, u32),
    managed: &str,
    time: &str,
) -> Own {
    let mut spec = Map::new();
    if !group.is_empty() {
        spec.insert("group".into(), group.into());
    }
    spec.insert("version".into(), version.into());
    spec.insert("groupPriorityMinimum".into(), group_priority.into());
    spec.insert("versionPriority".into(), version_priority.into());
    Own {
        group: "apiregistration.k8s.io",
        version: "v1",
        plural: "apiservices",
        object: json!({
            "kind": "APIService",
            "apiVersion": "apiregistration.k8s.io/v1",
            "metadata": {
                "name": format!("{version}.{group}"),
                "labels": {AUTOMANAGED: managed},
            },
            "spec": spec,
            "status": {"conditions": [{
                "type": "Available",
                "status": "True",
                "lastTransitionTime": time,
                "reason": "Local",
                "message": "Local APIServices are always available",
            }]},
        }),
        upkeep: Upkeep::Spec,
    }
}
