//! The plugins that the release knows, by name, in its order: what flags may name.

/// All of them, whether they are built here, and on.
const KNOWN: [&str; 41] = [
    "AlwaysAdmit",
    "NamespaceAutoProvision",
    "NamespaceLifecycle",
    "NamespaceExists",
    "LimitPodHardAntiAffinityTopology",
    "LimitRanger",
    "ServiceAccount",
    "NodeRestriction",
    "TaintNodesByCondition",
    "AlwaysPullImages",
    "ImagePolicyWebhook",
    "PodSecurity",
    "PodNodeSelector",
    "Priority",
    "DefaultTolerationSeconds",
    "PodTolerationRestriction",
    "EventRateLimit",
    "ExtendedResourceToleration",
    "DefaultStorageClass",
    "StorageObjectInUseProtection",
    "PodGroupProtection",
    "OwnerReferencesPermissionEnforcement",
    "PersistentVolumeClaimResize",
    "RuntimeClass",
    "CertificateApproval",
    "CertificateSigning",
    "ClusterTrustBundleAttest",
    "CertificateSubjectRestriction",
    "DefaultIngressClass",
    "DenyServiceExternalIPs",
    "PodTopologyLabels",
    "PodGroupWorkloadExists",
    "NodeDeclaredFeatureValidator",
    "JobValidation",
    "PodResizeValidator",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionWebhook",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionWebhook",
    "ResourceQuota",
    "AlwaysDeny",
];

/// Those that do here what they do there.
const BUILT: [&str; 12] = [
    "AlwaysAdmit",
    "NamespaceLifecycle",
    "LimitRanger",
    "ServiceAccount",
    "TaintNodesByCondition",
    "Priority",
    "DefaultTolerationSeconds",
    "DefaultStorageClass",
    "StorageObjectInUseProtection",
    "PersistentVolumeClaimResize",
    "RuntimeClass",
    "DefaultIngressClass",
];

pub(super) fn is_built(name: &str) -> bool {
    BUILT.contains(&name)
}

/// Checks what flags turn on and off.
///
/// # Errors
/// A name that is none, or that is in both lists, in the release's words.
pub(super) fn check(enabled: &[String], disabled: &[String]) -> Result<(), String> {
    let lists = [("enable", enabled), ("disable", disabled)];
    for (word, list) in lists {
        if let Some(name) = list.iter().find(|name| !KNOWN.contains(&name.as_str())) {
            return Err(format!(
                "{word}-admission-plugins plugin {name:?} is unknown"
            ));
        }
    }
    let both: Vec<&str> = enabled
        .iter()
        .filter(|name| disabled.contains(name))
        .map(String::as_str)
        .collect();
    if !both.is_empty() {
        return Err(format!(
            "[{}] in enable-admission-plugins and disable-admission-plugins overlapped",
            both.join(" ")
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_names_once() {
        let list = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            check(&list(&["NodeRestriction"]), &list(&["ServiceAccount"])),
            Ok(())
        );
        assert_eq!(
            check(&[], &list(&["Nonsense"])).unwrap_err(),
            "disable-admission-plugins plugin \"Nonsense\" is unknown"
        );
        assert_eq!(
            check(&list(&["Priority"]), &list(&["Priority"])).unwrap_err(),
            "[Priority] in enable-admission-plugins and disable-admission-plugins overlapped"
        );
        assert!(BUILT.iter().all(|name| KNOWN.contains(name)));
    }
}
