//! Roles and who has them.

use super::cursor::{At, Errors};
use super::{internal, names, selector};
use crate::kube::field::FieldError;

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) fn role(role: &At<'_>, namespaced: bool, errors: &mut Errors) {
    for rule in role.field("rules").items() {
        policy_rule(&rule, namespaced, errors);
    }
    let Some(aggregation) = role.some("aggregationRule") else {
        return;
    };
    let selectors = aggregation.field("clusterRoleSelectors");
    if selectors.is_empty() {
        let why = "at least one clusterRoleSelector required if aggregationRule is non-nil";
        errors.required(&selectors, why);
    }
    for one in selectors.items() {
        selector::label_selector(&one, errors);
    }
}

fn policy_rule(rule: &At<'_>, namespaced: bool, errors: &mut Errors) {
    let (verbs, urls) = (rule.field("verbs"), rule.field("nonResourceURLs"));
    if verbs.is_empty() {
        errors.required(&verbs, "verbs must contain at least one value");
    }
    let (groups, resources) = (rule.field("apiGroups"), rule.field("resources"));
    if !urls.is_empty() {
        if namespaced {
            let why = "namespaced rules cannot apply to non-resource URLs";
            errors.invalid(&urls, why);
        }
        let named = !rule.field("resourceNames").is_empty();
        if !groups.is_empty() || !resources.is_empty() || named {
            let why = "rules cannot apply to both regular resources and non-resource URLs";
            errors.invalid(&urls, why);
        }
        return;
    }
    if groups.is_empty() {
        errors.required(&groups, "resource rules must supply at least one api group");
    }
    if resources.is_empty() {
        errors.required(
            &resources,
            "resource rules must supply at least one resource",
        );
    }
}

pub(super) fn binding(binding: &At<'_>, namespaced: bool, errors: &mut Errors) {
    let reference = binding.field("roleRef");
    let (group, kind, name) = (
        reference.field("apiGroup"),
        reference.field("kind"),
        reference.field("name"),
    );
    if !group.is(GROUP) {
        errors.not_supported(&group, &[GROUP]);
    }
    let kinds: &[&str] = if namespaced {
        &["Role", "ClusterRole"]
    } else {
        &["ClusterRole"]
    };
    if !kinds.contains(&kind.text()) {
        errors.not_supported(&kind, kinds);
    }
    if name.is_empty() {
        errors.required(&name, "");
    } else {
        errors.bad_texts(&name, names::path_segment(name.text()));
    }
    for one in binding.field("subjects").items() {
        subject(&one, namespaced, errors);
    }
}

fn subject(subject: &At<'_>, namespaced: bool, errors: &mut Errors) {
    let (name, group) = (subject.field("name"), subject.field("apiGroup"));
    if name.is_empty() {
        errors.required(&name, "");
    }
    let kind = subject.field("kind");
    match kind.text() {
        "ServiceAccount" => {
            if !name.is_empty() {
                errors.bad_texts(&name, names::subdomain(name.text()));
            }
            if !group.is_empty() {
                let error = FieldError::not_supported(&group.path, group.text(), &[""]);
                errors.0.push(error);
            }
            if !namespaced && subject.field("namespace").is_empty() {
                errors.required(&subject.field("namespace"), "");
            }
        }
        "User" | "Group" => {
            if !group.is(GROUP) {
                errors.not_supported(&group, &[GROUP]);
            }
        }
        _ => errors.not_supported(&kind, &["ServiceAccount", "User", "Group"]),
    }
}

/// Whom a binding gives a role may change; which role, not.
pub(super) fn same_role(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let reference = new.field("roleRef");
    if reference.value != old.field("roleRef").value {
        let shown = internal::shown("rbac/v1.RoleRef", reference.value);
        errors.bad_value(&reference, shown, "cannot change roleRef");
    }
}
