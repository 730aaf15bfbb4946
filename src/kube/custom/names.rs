//! The status of a definition: which of its names are its own, and whether it is served.
//!
//! The release has a controller for each condition, which all write on their own. Here one function says what the next write
//! is, and there are at most two: the first accepts names and judges approval and schemas, the second establishes.
//! Between the two the resource is served already and not yet told of, so that whoever hears of it can use it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::approval::{self, Approval};
use super::conditions::{
    API_APPROVAL, Condition, ESTABLISHED, NAMES_ACCEPTED, NON_STRUCTURAL, find, is_true, remove,
};
use super::{authorities, status_of};
use crate::kube::field::FieldError;
use crate::kube::schema::Schema;
use crate::kube::tree;

/// Judges a schema as a definition has it in `openAPIV3Schema`, which stands at a path: what is not structural in it.
pub type CheckStructure<'a> = &'a dyn Fn(&Value, &str) -> Vec<FieldError>;

/// A definition with the status that it should have next; none if it has it.
///
/// `all` are the definitions that there are, from whose groups names may be taken; the definition itself may be
/// among them. `now` is a time as objects have it.
pub fn settle(crd: &Value, all: &[Value], check: CheckStructure<'_>, now: &str) -> Option<Value> {
    let mut next = crd.clone();
    settle_names(crd, all, now, &mut next);
    settle_approval(now, &mut next);
    settle_structure(check, now, &mut next);
    if next == *crd {
        establish(now, &mut next);
    }
    (next != *crd).then_some(next)
}

/// Accepts the names that nobody else has.
fn settle_names(crd: &Value, all: &[Value], now: &str, next: &mut Value) {
    let wanted = tree::get(crd, &["spec", "names"]);
    let accepted = tree::get(crd, &["status", "acceptedNames"]);
    if same_names(wanted, accepted) {
        return;
    }
    let (names, verdict) = judge_names(crd, &Used::of(crd, all));
    if same_names(Some(&names), accepted) && verdict.holds(crd) {
        return;
    }
    put_names(names, next);
    let accepted = verdict.status == "True";
    verdict.put(next, now);
    if is_true(crd, ESTABLISHED) {
        return;
    }
    // Also if it was refused once and the bundle of its webhook was at fault.
    if accepted {
        let message = "the initial names have been accepted";
        Condition::new(ESTABLISHED, false, "Installing", message).put(next, now);
    } else if find(crd, ESTABLISHED).is_none() {
        let message = "not all names are accepted";
        Condition::new(ESTABLISHED, false, "NotAccepted", message).put(next, now);
    }
}

/// Names that definitions of a group have been given.
struct Used<'a> {
    /// Plurals, singulars and short names.
    resources: BTreeSet<&'a str>,
    /// Of objects and lists.
    kinds: BTreeSet<&'a str>,
}

impl<'a> Used<'a> {
    fn of(crd: &'a Value, all: &'a [Value]) -> Self {
        let (group, name) = (group(crd), name(crd));
        let others = all
            .iter()
            .filter(|one| self::group(one) == group && self::name(one) != name);
        let mut used = Self {
            resources: BTreeSet::new(),
            kinds: BTreeSet::new(),
        };
        for one in others.chain([crd]) {
            let accepted = |key| tree::text(one, &["status", "acceptedNames", key]);
            used.resources
                .extend([accepted("plural"), accepted("singular")]);
            used.resources
                .extend(short_names(one, "status", "acceptedNames"));
            used.kinds.extend([accepted("kind"), accepted("listKind")]);
        }
        used
    }
}

/// The names that a definition gets, and the condition that says why not all if so. The last conflict is told.
fn judge_names(crd: &Value, used: &Used<'_>) -> (Value, Condition) {
    let mut names = tree::get(crd, &["status", "acceptedNames"])
        .cloned()
        .unwrap_or_else(|| serde_json::json!({}));
    let wanted = |key| tree::text(crd, &["spec", "names", key]);
    let accepted = |key| tree::text(crd, &["status", "acceptedNames", key]);
    let mut verdict = Condition::new(NAMES_ACCEPTED, true, "NoConflicts", "no conflicts found");
    let mut refuse = |reason, message| {
        verdict = Condition::new(NAMES_ACCEPTED, false, reason, message);
    };
    let mut one = |key, reason, used: &BTreeSet<&str>, names: &mut Value| {
        let wanted = wanted(key);
        if wanted != accepted(key) && used.contains(wanted) {
            refuse(reason, in_use(wanted));
        } else {
            put_name(names, key, wanted.into());
        }
    };
    one("plural", "PluralConflict", &used.resources, &mut names);
    one("singular", "SingularConflict", &used.resources, &mut names);
    let own: BTreeSet<_> = short_names(crd, "status", "acceptedNames").collect();
    let mut taken: Vec<_> = short_names(crd, "spec", "names")
        .filter(|short| !own.contains(short) && !short.is_empty())
        .filter(|short| used.resources.contains(short))
        .map(in_use)
        .collect();
    let mut seen = BTreeSet::new();
    taken.retain(|message| seen.insert(message.clone()));
    let shorts_free = taken.is_empty();
    if shorts_free {
        let wanted = tree::get(crd, &["spec", "names", "shortNames"]);
        put_name(
            &mut names,
            "shortNames",
            wanted.cloned().unwrap_or_default(),
        );
    }
    one("kind", "KindConflict", &used.kinds, &mut names);
    one("listKind", "ListKindConflict", &used.kinds, &mut names);
    let categories = tree::get(crd, &["spec", "names", "categories"]);
    put_name(
        &mut names,
        "categories",
        categories.cloned().unwrap_or_default(),
    );
    // Conflicts of kinds are told rather than those of short names.
    if !shorts_free && !verdict.reason.contains("Kind") {
        let message = aggregate(&taken);
        verdict = Condition::new(NAMES_ACCEPTED, false, "ShortNamesConflict", message);
    }
    (names, verdict)
}

fn in_use(name: &str) -> String {
    format!("{name:?} is already in use")
}

/// Several messages as one, as Go's aggregate of errors has them.
pub(super) fn aggregate(messages: &[String]) -> String {
    match messages {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    }
}

fn put_name(names: &mut Value, key: &str, value: Value) {
    let schema = Schema::built_in();
    let of = schema.find("apiextensions/v1.CustomResourceDefinitionNames");
    let (Some(of), Some(names)) = (of, names.as_object_mut()) else {
        return;
    };
    let required = matches!(key, "plural" | "kind");
    if !required && tree::is_zero(&value) {
        tree::remove(names, key);
    } else {
        tree::set_in_order(schema.get(of), names, key, value);
    }
}

fn put_names(names: Value, crd: &mut Value) {
    let schema = Schema::built_in();
    let of = schema.find("apiextensions/v1.CustomResourceDefinitionStatus");
    if let (Some(of), Some(status)) = (of, status_of(crd)) {
        tree::set_in_order(schema.get(of), status, "acceptedNames", names);
    }
}

fn group(crd: &Value) -> &str {
    tree::text(crd, &["spec", "group"])
}

fn name(crd: &Value) -> &str {
    tree::text(crd, &["metadata", "name"])
}

fn short_names<'a>(
    crd: &'a Value,
    part: &'a str,
    names: &'a str,
) -> impl Iterator<Item = &'a str> + use<'a> {
    let all = tree::items(crd, &[part, names, "shortNames"]);
    all.iter().filter_map(Value::as_str)
}

/// Whether two sets of names are equal, where what is empty is as good as absent.
fn same_names(one: Option<&Value>, other: Option<&Value>) -> bool {
    const KEYS: [&str; 6] = [
        "plural",
        "singular",
        "shortNames",
        "kind",
        "listKind",
        "categories",
    ];
    let set = |of: Option<&Value>, key| {
        let value = of.and_then(|of| tree::get(of, &[key]));
        value.filter(|value| !tree::is_zero(value)).cloned()
    };
    KEYS.iter().all(|key| set(one, key) == set(other, key))
}

/// Says whether a definition of a protected group has been approved.
fn settle_approval(now: &str, next: &mut Value) {
    if !approval::is_protected(group(next)) {
        return;
    }
    let (state, message) = approval::of(next);
    let (status, reason) = match state {
        Approval::Invalid => (false, "InvalidAnnotation"),
        Approval::Missing => (false, "MissingAnnotation"),
        Approval::Approved => (true, "ApprovedAnnotation"),
        Approval::Bypassed => (false, "UnapprovedAnnotation"),
    };
    let condition = Condition::new(API_APPROVAL, status, reason, message);
    if !condition.holds(next) {
        condition.put(next, now);
    }
}

/// Says what is not structural in the schemas of a definition; nothing is said if all is well.
fn settle_structure(check: CheckStructure<'_>, now: &str, next: &mut Value) {
    let mut errors = Vec::new();
    if tree::flag(next, &["spec", "preserveUnknownFields"]) {
        let path = "spec.preserveUnknownFields";
        errors.push(FieldError::invalid(path, "true", "must be false"));
    }
    for (at, version) in tree::items(next, &["spec", "versions"]).iter().enumerate() {
        if let Some(schema) = tree::get(version, &["schema", "openAPIV3Schema"]) {
            let path = format!("spec.versions[{at}].schema.openAPIV3Schema");
            errors.extend(check(schema, &path));
        }
    }
    if errors.is_empty() {
        if find(next, NON_STRUCTURAL).is_some() {
            remove(next, NON_STRUCTURAL);
        }
        return;
    }
    let mut seen = BTreeSet::new();
    let mut messages: Vec<String> = errors.iter().map(ToString::to_string).collect();
    messages.retain(|message| seen.insert(message.clone()));
    let condition = Condition::new(NON_STRUCTURAL, true, "Violations", aggregate(&messages));
    if !condition.holds(next) {
        condition.put(next, now);
    }
}

/// Lets a definition be told of whose names are accepted.
fn establish(now: &str, next: &mut Value) {
    if !is_true(next, NAMES_ACCEPTED) || is_true(next, ESTABLISHED) {
        return;
    }
    let config = ["spec", "conversion", "webhook", "clientConfig"];
    let bundle = tree::get(next, &config).map(|config| tree::text(config, &["caBundle"]));
    let bad_bundle = bundle.is_some_and(|bundle| !authorities::readable(bundle));
    let condition = if bad_bundle {
        let message = "The conversion webhook CABundle is invalid";
        Condition::new(ESTABLISHED, false, "InvalidCABundle", message)
    } else {
        let message = "the initial names have been accepted";
        Condition::new(ESTABLISHED, true, "InitialNamesAccepted", message)
    };
    if !condition.holds(next) {
        condition.put(next, now);
    }
}
