//! Metadata of every kind.

use serde_json::Value;

use super::cursor::{At, Errors};
use super::names::{self, Messages};
use super::selector;
use crate::kube::schema::Resource;

/// Bytes of keys and values of all annotations together.
const ANNOTATIONS: usize = 256 * 1024;
const MANAGER: usize = 128;
const SUBRESOURCE: usize = 256;

/// How names of a kind are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameRule {
    Subdomain,
    Label,
    PathSegment,
}

impl NameRule {
    pub(super) fn of(resource: &Resource) -> Self {
        match (&*resource.group, &*resource.plural) {
            ("rbac.authorization.k8s.io", _) => Self::PathSegment,
            ("", "namespaces" | "services") | ("apps", "statefulsets") => Self::Label,
            ("networking.k8s.io", "ipaddresses") => Self::PathSegment,
            ("apiregistration.k8s.io", "apiservices") => Self::PathSegment,
            ("certificates.k8s.io", _) | ("policy", _) | ("", "events") => Self::PathSegment,
            _ => Self::Subdomain,
        }
    }

    pub(super) fn judge(self, name: &str, prefix: bool) -> Messages {
        match self {
            // A prefix alone may be a dot or two.
            Self::PathSegment if prefix && matches!(name, "." | "..") => Vec::new(),
            Self::PathSegment => names::path_segment(name),
            rule => {
                let masked = if prefix {
                    names::masked(name)
                } else {
                    name.to_owned()
                };
                match rule {
                    Self::Label => names::dns_label(&masked),
                    _ => names::subdomain(&masked),
                }
            }
        }
    }
}

/// Kinds that know no finalizers of their own demand qualified ones; those of the extension groups do not ask.
fn knows_finalizers(resource: &Resource) -> bool {
    !matches!(
        &*resource.group,
        "admissionregistration.k8s.io" | "apiextensions.k8s.io" | "apiregistration.k8s.io"
    )
}

/// Metadata with the kind's rule for names.
pub(super) fn create(resource: &Resource, meta: &At<'_>, errors: &mut Errors) {
    with_rule(resource.namespaced, NameRule::of(resource), meta, errors);
    if knows_finalizers(resource) {
        standard_finalizers(meta, errors);
    }
}

fn standard_finalizers(meta: &At<'_>, errors: &mut Errors) {
    for finalizer in meta.field("finalizers").items() {
        let text = finalizer.text();
        if !text.contains('/') && !["kubernetes", "orphan", "foregroundDeletion"].contains(&text) {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            errors.bad_text(&finalizer, why);
        }
    }
}

/// Metadata of a custom object, whose finalizers are warned of and not refused.
pub(super) fn of_custom(resource: &Resource, meta: &At<'_>, errors: &mut Errors) {
    with_rule(resource.namespaced, NameRule::Subdomain, meta, errors);
}

/// What holds for all names.
pub(super) fn generic(resource: &Resource, meta: &At<'_>, errors: &mut Errors) {
    with_rule(resource.namespaced, NameRule::PathSegment, meta, errors);
}

/// Metadata of an object that lies in another: it may be in a namespace, and need not have a name.
pub(super) fn embedded(meta: &At<'_>, errors: &mut Errors) {
    let namespaced = !meta.field("namespace").is_empty();
    let mut found = Errors::default();
    with_rule(namespaced, NameRule::PathSegment, meta, &mut found);
    if meta.field("name").is_empty() {
        let name = meta.field("name").path;
        found.0.retain(|error| error.path != name);
    }
    errors.0.append(&mut found.0);
}

fn with_rule(namespaced: bool, rule: NameRule, meta: &At<'_>, errors: &mut Errors) {
    let generate = meta.field("generateName");
    if !generate.is_empty() {
        errors.bad_texts(&generate, rule.judge(generate.text(), true));
    }
    let name = meta.field("name");
    if name.is_empty() {
        errors.required(&name, "name or generateName is required");
    } else {
        errors.bad_texts(&name, rule.judge(name.text(), false));
    }
    let namespace = meta.field("namespace");
    if namespaced {
        if namespace.is_empty() {
            errors.required(&namespace, "");
        } else {
            errors.bad_texts(&namespace, names::dns_label(namespace.text()));
        }
    } else if !namespace.is_empty() {
        errors.forbidden(&namespace, "not allowed on this type");
    }
    errors.not_negative(&meta.field("generation"));
    selector::labels(&meta.field("labels"), errors);
    annotations(&meta.field("annotations"), errors);
    owners(&meta.field("ownerReferences"), errors);
    finalizers(&meta.field("finalizers"), errors);
    managers(&meta.field("managedFields"), errors);
}

pub(super) fn annotations(annotations: &At<'_>, errors: &mut Errors) {
    let mut size = 0;
    for (key, value) in annotations.entries() {
        size += key.len() + value.len();
        for message in names::qualified(&key.to_lowercase()) {
            errors.bad_value(annotations, crate::kube::field::quoted(key), message);
        }
    }
    if size > ANNOTATIONS {
        errors.too_long(annotations, ANNOTATIONS);
    }
}

fn owners(owners: &At<'_>, errors: &mut Errors) {
    let mut controller = String::new();
    for owner in owners.items() {
        let said = |name| owner.field(name).named(format!("{}.{name}", owners.path));
        let version = said("apiVersion");
        // A group with a version behind the slash, or a version alone.
        let empty = version
            .text()
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .is_empty()
            || version.text().matches('/').count() > 1;
        if empty {
            errors.bad_text(&version, "version must not be empty");
        }
        for name in ["kind", "name", "uid"] {
            let field = said(name);
            if field.is_empty() {
                errors.bad_text(&field, "must not be empty");
            }
        }
        if version.is("v1") && said("kind").is("Event") {
            let why = "/v1, Kind=Event is disallowed from being an owner";
            errors.invalid(&owner.named(owners.path.as_str()), why);
        }
        if owner.field("controller").is_true() {
            let this = format!("{}/{}", said("kind").text(), said("name").text());
            if controller.is_empty() {
                controller = this;
            } else {
                errors.invalid(
                    owners,
                    format!("Only one reference can have Controller set to true. Found \"true\" in references for {controller} and {this}"),
                );
            }
        }
    }
}

fn finalizers(finalizers: &At<'_>, errors: &mut Errors) {
    let texts = finalizers.texts();
    for finalizer in &texts {
        for message in names::qualified(finalizer) {
            errors.bad_value(finalizers, crate::kube::field::quoted(finalizer), message);
        }
    }
    if texts.contains(&"orphan") && texts.contains(&"foregroundDeletion") {
        let why = "finalizer orphan and foregroundDeletion cannot be both set";
        errors.invalid(finalizers, why);
    }
}

fn managers(managers: &At<'_>, errors: &mut Errors) {
    for entry in managers.items() {
        let operation = entry.field("operation");
        if !matches!(operation.text(), "Apply" | "Update") {
            errors.bad_text(&operation, "must be `Apply` or `Update`");
        }
        let kind = entry.field("fieldsType");
        if !kind.is_empty() && !kind.is("FieldsV1") {
            errors.bad_text(&kind, "must be `FieldsV1`");
        }
        let manager = entry.field("manager");
        if manager.len() > MANAGER {
            errors.too_long(&manager, MANAGER);
        }
        let subresource = entry.field("subresource");
        if subresource.len() > SUBRESOURCE {
            errors.too_long(&subresource, SUBRESOURCE);
        }
    }
}

/// What an update may not do to metadata.
pub(super) fn update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    if old.field("deletionTimestamp").is_set() {
        let known = old.field("finalizers").texts();
        let wanted = new.field("finalizers");
        let mut more: Vec<&str> = wanted.texts();
        more.retain(|one| !known.contains(one));
        more.sort_unstable();
        more.dedup();
        if !more.is_empty() {
            let more: Vec<String> = more.iter().map(|one| format!("{one:?}")).collect();
            let more = more.join(", ");
            errors.forbidden(
                &wanted,
                format!("no new finalizers can be added if the object is being deleted, found new finalizers []string{{{more}}}"),
            );
        }
    }
    let number = |at: &At<'_>| at.field("generation").int().unwrap_or(0);
    if number(new) < number(old) {
        errors.bad_int(&new.field("generation"), "must not be decremented");
    }
    for name in ["name", "namespace", "uid"] {
        if new.field(name).text() != old.field(name).text() {
            errors.bad_text(&new.field(name), super::cursor::IMMUTABLE);
        }
    }
    for name in [
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        errors.immutable(&new.field(name), &old.field(name));
    }
    selector::labels(&new.field("labels"), errors);
    annotations(&new.field("annotations"), errors);
    owners(&new.field("ownerReferences"), errors);
    managers(&new.field("managedFields"), errors);
}

/// [`update`] as kinds do it that look at finalizers again.
pub(super) fn update_of_kind(resource: &Resource, new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    update(new, old, errors);
    if knows_finalizers(resource) {
        standard_finalizers(new, errors);
    }
}

/// The metadata of an object.
pub(super) fn of(object: &Value) -> At<'_> {
    At::root(object).field("metadata")
}
