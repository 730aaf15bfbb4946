//! Definitions of custom resources, but for their schemas.

use super::cursor::{At, Errors};
use super::{internal, names, webhook};

pub(super) fn definition(object: &At<'_>, errors: &mut Errors) {
    let spec = object.field("spec");
    let (group, called) = (spec.field("group"), spec.field("names"));
    let name = object.down(&["metadata", "name"]);
    let wanted = format!("{}.{}", called.field("plural").text(), group.text());
    if !name.is_empty() && name.text() != wanted {
        errors.bad_text(&name, "must be spec.names.plural+\".\"+spec.group");
    }
    let messages = names::subdomain(group.text());
    if group.is_empty() {
        errors.required(&group, "");
    } else if !messages.is_empty() {
        errors.bad_text(&group, messages.join(","));
    } else if !group.text().contains('.') {
        errors.bad_text(&group, "should be a domain with at least one dot");
    }
    errors.one_of(&spec.field("scope"), &["Cluster", "Namespaced"]);
    versions(&spec.field("versions"), errors);
    for field in ["plural", "singular", "kind", "listKind"] {
        if called.field(field).is_empty() {
            errors.required(&called.field(field), "");
        }
    }
    own_names(&called, errors);
    conversion(&spec.field("conversion"), errors);
    let stored = object.down(&["status", "storedVersions"]);
    if stored.is_empty() {
        errors.invalid(&stored, "must have at least one stored version");
    }
}

fn versions(versions: &At<'_>, errors: &mut Errors) {
    for version in versions.items() {
        let schema = version.down(&["schema", "openAPIV3Schema"]);
        if !schema.is_set() {
            errors.required(&schema, "");
        }
    }
    let mut seen: Vec<&str> = Vec::new();
    let (mut unique, mut storage) = (true, 0);
    for version in versions.items() {
        let name = version.field("name");
        unique &= !seen.contains(&name.text());
        seen.push(name.text());
        storage += usize::from(version.field("storage").is_true());
        let messages = names::dns_1035_label(name.text());
        if !messages.is_empty() {
            errors.bad_text(&name, messages.join(","));
        }
    }
    let shown = || {
        let of = "apiextensions/v1.CustomResourceDefinitionVersion";
        internal::shown_list(of, versions.value)
    };
    if !unique {
        errors.bad_value(versions, shown(), "must contain unique version names");
    }
    if storage != 1 {
        errors.invalid(
            versions,
            "must have exactly one version marked as storage version",
        );
    }
}

fn own_names(called: &At<'_>, errors: &mut Errors) {
    for field in ["plural", "singular", "kind", "listKind"] {
        let name = called.field(field);
        // Kinds are labels but for their capitals.
        let text = match field {
            "kind" | "listKind" => name.text().to_lowercase(),
            _ => name.text().to_owned(),
        };
        let messages = names::dns_1035_label(&text);
        if !name.is_empty() && !messages.is_empty() {
            let messages = messages.join(",");
            let case = if field.to_lowercase().ends_with("kind") {
                format!("may have mixed case, but should otherwise match: {messages}")
            } else {
                messages
            };
            errors.bad_text(&name, case);
        }
    }
    labels(&called.field("shortNames"), errors);
    let (kind, list) = (called.field("kind"), called.field("listKind"));
    if !kind.is_empty() && kind.is(list.text()) {
        errors.bad_text(&list, "kind and listKind may not be the same");
    }
    labels(&called.field("categories"), errors);
}

fn labels(list: &At<'_>, errors: &mut Errors) {
    for name in list.items() {
        let messages = names::dns_1035_label(name.text());
        if !messages.is_empty() {
            errors.bad_text(&name, messages.join(","));
        }
    }
}

fn conversion(conversion: &At<'_>, errors: &mut Errors) {
    if !conversion.is_set() {
        return;
    }
    let (strategy, hook) = (conversion.field("strategy"), conversion.field("webhook"));
    errors.one_of(&strategy, &["None", "Webhook"]);
    let config = hook
        .field("clientConfig")
        .named(conversion.field("webhookClientConfig").path);
    if strategy.is("Webhook") {
        if config.is_set() {
            webhook::client(&config, errors);
        } else {
            let why = "required when strategy is set to Webhook";
            errors.required(&config, why);
        }
    } else if config.is_set() {
        errors.forbidden(
            &config,
            "should not be set when strategy is not set to Webhook",
        );
    }
}

/// What those who store objects rely on.
pub(super) fn update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    definition(new, errors);
    for path in [&["spec", "group"][..], &["spec", "names", "plural"][..]] {
        errors.immutable(&new.down(path), &old.down(path));
    }
    let established = old
        .down(&["status", "conditions"])
        .items()
        .any(|condition| {
            condition.field("type").is("Established") && condition.field("status").is("True")
        });
    for path in [&["spec", "scope"][..], &["spec", "names", "kind"][..]] {
        if established {
            errors.immutable(&new.down(path), &old.down(path));
        }
    }
}
