//! Definitions of custom resources.
//!
//! The release judges them in its internal form, in which what is equal in all versions stands once, above them:
//! errors name it there ([`hoisted`]).

mod conversion;
mod hoisted;
mod names;
mod selectable;
mod version;

use serde_json::Value;

use super::cursor::{At, Errors};
use super::internal;
use super::names as rules;
use crate::kube::custom::approval::{self, Approval};
use crate::kube::custom::conditions;
use crate::kube::field::FieldError;
use hoisted::Hoisted;

/// What an update may leave as it is although it would be refused in a new definition.
#[derive(Debug, Clone, Copy, Default)]
struct Tolerated<'a> {
    old: Option<&'a At<'a>>,
}

/// A new definition.
pub(super) fn definition(object: &At<'_>, errors: &mut Errors) {
    let spec = object.field("spec");
    let (group, plural) = (spec.field("group"), spec.down(&["names", "plural"]));
    let name = object.down(&["metadata", "name"]);
    let wanted = format!("{}.{}", plural.text(), group.text());
    if !name.is_empty() && name.text() != wanted {
        errors.bad_text(&name, "must be spec.names.plural+\".\"+spec.group");
    }
    judge(object, Tolerated::default(), errors);
}

/// What those who store objects rely on stays as it is.
pub(super) fn update(new: &At<'_>, old: &At<'_>, errors: &mut Errors) {
    let mut judged = Errors::default();
    let tolerated = Tolerated { old: Some(old) };
    spec(&new.field("spec"), tolerated, &mut judged);
    errors.0.append(&mut judged.0);
    let mut paths: Vec<&[&str]> = Vec::new();
    if conditions::is_true(old.value, conditions::ESTABLISHED) {
        paths.extend([&["spec", "scope"][..], &["spec", "names", "kind"][..]]);
    }
    paths.extend([&["spec", "group"][..], &["spec", "names", "plural"][..]]);
    for path in paths {
        errors.immutable(&new.down(path), &old.down(path));
    }
    rest(new, tolerated, errors);
}

/// An update of the status.
pub(super) fn status(new: &At<'_>, errors: &mut Errors) {
    names::form(&new.down(&["status", "acceptedNames"]), errors);
}

fn judge(object: &At<'_>, tolerated: Tolerated<'_>, errors: &mut Errors) {
    spec(&object.field("spec"), tolerated, errors);
    rest(object, tolerated, errors);
}

/// What follows the specification.
fn rest(object: &At<'_>, tolerated: Tolerated<'_>, errors: &mut Errors) {
    status(object, errors);
    stored_versions(object, errors);
    approved(object, tolerated, errors);
    let path = &["spec", "preserveUnknownFields"];
    let kept_before = tolerated.old.is_some_and(|old| old.down(path).is_true());
    let preserve = object.down(path);
    if preserve.is_true() && !kept_before {
        let why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        errors.invalid(&preserve, why);
    }
}

fn spec(spec: &At<'_>, tolerated: Tolerated<'_>, errors: &mut Errors) {
    let group = spec.field("group");
    let messages = rules::subdomain(group.text());
    if group.is_empty() {
        errors.required(&group, "");
    } else if !messages.is_empty() {
        errors.bad_text(&group, messages.join(","));
    } else if !group.text().contains('.') {
        errors.bad_text(&group, "should be a domain with at least one dot");
    }
    errors.one_of(&spec.field("scope"), &["Cluster", "Namespaced"]);
    let hoisted = Hoisted::of(spec);
    schemas_are_there(spec, tolerated, errors);
    let preserve = spec.field("preserveUnknownFields");
    if preserve.is_true() && version::any_has_default(spec) {
        let why = "must be false in order to use defaults in the schema";
        errors.invalid(&preserve, why);
    }
    versions(spec, &hoisted, tolerated, errors);
    names::required(&spec.field("names"), errors);
    names::form(&spec.field("names"), errors);
    hoisted.judge(spec, tolerated, errors);
    let strategy = spec.down(&["conversion", "strategy"]);
    if strategy.is_set() && !strategy.is("None") && preserve.is_true() {
        errors.bad_text(
            &strategy,
            "must be None if spec.preserveUnknownFields is true",
        );
    }
    conversion::conversion(&spec.field("conversion"), tolerated, errors);
}

/// Every version has a schema, unless an old definition had none.
fn schemas_are_there(spec: &At<'_>, tolerated: Tolerated<'_>, errors: &mut Errors) {
    const SCHEMA: [&str; 2] = ["schema", "openAPIV3Schema"];
    let all_have = |spec: &At<'_>| {
        let mut versions = spec.field("versions").items();
        versions.all(|version| version.down(&SCHEMA).is_set())
    };
    let (needed, detail) = match tolerated.old {
        Some(old) if !all_have(&old.field("spec")) => {
            (false, "because otherwise all fields are pruned")
        }
        _ => (true, ""),
    };
    if !needed && spec.field("preserveUnknownFields").is_true() {
        return;
    }
    for version in spec.field("versions").items() {
        let schema = version.down(&SCHEMA);
        if !schema.is_set() && (needed || version.field("served").is_true()) {
            errors.required(&schema, detail);
        }
    }
}

fn versions(spec: &At<'_>, hoisted: &Hoisted, tolerated: Tolerated<'_>, errors: &mut Errors) {
    let versions = spec.field("versions");
    let mut seen: Vec<&str> = Vec::new();
    let (mut unique, mut storage) = (true, 0);
    for version in versions.items() {
        let name = version.field("name");
        unique &= !seen.contains(&name.text());
        seen.push(name.text());
        storage += usize::from(version.field("storage").is_true());
        let messages = rules::dns_1035_label(name.text());
        if !messages.is_empty() {
            errors.bad_text(&name, messages.join(","));
        }
        version::version(&version, hoisted, tolerated, errors);
    }
    let shown = || {
        let of = "apiextensions/v1.CustomResourceDefinitionVersion";
        internal::shown_list(of, &hoisted.without(versions.value))
    };
    if !unique {
        errors.bad_value(&versions, shown(), "must contain unique version names");
    }
    if storage != 1 {
        let why = "must have exactly one version marked as storage version";
        errors.bad_value(&versions, shown(), why);
    }
    // The internal form names the first version once more.
    if let Some(first) = seen.first().filter(|first| !first.is_empty()) {
        let messages = rules::dns_1035_label(first);
        if !messages.is_empty() {
            let path = format!("{}.version", spec.path);
            let shown = crate::kube::field::quoted(first);
            let error = FieldError::invalid(path, shown, messages.join(","));
            errors.0.push(error);
        }
    }
}

fn stored_versions(object: &At<'_>, errors: &mut Errors) {
    let stored = object.down(&["status", "storedVersions"]);
    if stored.is_empty() {
        return errors.invalid(&stored, "must have at least one stored version");
    }
    let known = stored.texts();
    let versions: Vec<At<'_>> = object.down(&["spec", "versions"]).items().collect();
    for version in &versions {
        let name = version.field("name").text();
        if version.field("storage").is_true() && !known.contains(&name) {
            errors.invalid(&stored, format!("must have the storage version {name}"));
        }
    }
    for one in stored.items() {
        let name = one.text();
        if !versions
            .iter()
            .any(|version| version.field("name").is(name))
        {
            errors.bad_text(&one, format!("missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"));
        }
    }
}

/// Groups of the Kubernetes project need approval; an update need not bring it.
fn approved(object: &At<'_>, tolerated: Tolerated<'_>, errors: &mut Errors) {
    if !approval::is_protected(object.down(&["spec", "group"]).text()) {
        return;
    }
    let (state, why) = approval::of(object.value);
    if tolerated
        .old
        .is_some_and(|old| approval::of(old.value).0 == state)
    {
        return;
    }
    let annotation = object
        .down(&["metadata", "annotations", approval::ANNOTATION])
        .named(format!("metadata.annotations[{}]", approval::ANNOTATION));
    match state {
        Approval::Missing => errors.required(&annotation, why),
        Approval::Invalid => errors.bad_text(&annotation, why),
        Approval::Approved | Approval::Bypassed => {}
    }
}

/// Whether two values are as good as equal: what is empty is as good as absent.
fn same(one: &Value, other: &Value) -> bool {
    one == other
        || crate::kube::tree::is_zero(one)
            && crate::kube::tree::is_zero(other)
            && !one.is_object()
            && !other.is_object()
}
