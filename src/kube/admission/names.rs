//! The plugins that the release knows, by name, in its order: what flags may name.

use std::collections::HashSet;

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

/// Those that are on unless they are disabled.
const DEFAULT: [&str; 27] = [
    "NamespaceLifecycle",
    "LimitRanger",
    "ServiceAccount",
    "TaintNodesByCondition",
    "PodSecurity",
    "Priority",
    "DefaultTolerationSeconds",
    "DefaultStorageClass",
    "StorageObjectInUseProtection",
    "PodGroupProtection",
    "PersistentVolumeClaimResize",
    "RuntimeClass",
    "CertificateApproval",
    "CertificateSigning",
    "ClusterTrustBundleAttest",
    "CertificateSubjectRestriction",
    "DefaultIngressClass",
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
];

/// Those that do nothing here and would there. What gates of the release leave nothing to do is not among them:
/// PodGroupProtection, PodGroupWorkloadExists, JobValidation and ClusterTrustBundleAttest.
const MISSING: [&str; 7] = [
    "ImagePolicyWebhook",
    "EventRateLimit",
    "NodeDeclaredFeatureValidator",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionWebhook",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionWebhook",
];

pub(super) fn is_built(name: &str) -> bool {
    !MISSING.contains(&name)
}

/// The plugins that are on.
pub(super) fn on(enabled: &[String], disabled: &[String]) -> HashSet<&'static str> {
    let among = |list: &[String], name: &str| list.iter().any(|one| one == name);
    let on = |name: &&'static str| {
        (DEFAULT.contains(name) || among(enabled, name)) && !among(disabled, name)
    };
    KNOWN.into_iter().filter(on).collect()
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
        let named = DEFAULT.iter().chain(&MISSING);
        assert!(named.into_iter().all(|name| KNOWN.contains(name)));
    }

    #[test]
    fn flags_add_to_what_is_on_and_take_from_it() {
        let list = |name: &str| [name.to_owned()];
        let on = on(&list("NodeRestriction"), &list("PodSecurity"));
        assert!(on.contains("NodeRestriction") && on.contains("ResourceQuota"));
        assert!(!on.contains("PodSecurity") && !on.contains("AlwaysDeny"));
    }
}
