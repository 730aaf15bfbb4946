//! Which names of a definition are its own: those that no other of its group has been given.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::conditions::{Condition, NAMES_ACCEPTED};
use super::status_of;
use crate::kube::schema::Schema;
use crate::kube::tree;

/// Names that definitions of a group have been given.
pub(super) struct Used<'a> {
    /// Plurals, singulars and short names.
    resources: BTreeSet<&'a str>,
    /// Of objects and lists.
    kinds: BTreeSet<&'a str>,
}

impl<'a> Used<'a> {
    pub(super) fn of(crd: &'a Value, all: &'a [Arc<Value>]) -> Self {
        let (group, name) = (group(crd), name(crd));
        let others = all
            .iter()
            .filter(|one| self::group(one) == group && self::name(one) != name);
        let mut used = Self {
            resources: BTreeSet::new(),
            kinds: BTreeSet::new(),
        };
        for one in others.map(|one| &**one).chain([crd]) {
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
pub(super) fn judge(crd: &Value, used: &Used<'_>) -> (Value, Condition) {
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

pub(super) fn put(names: Value, crd: &mut Value) {
    let schema = Schema::built_in();
    let of = schema.find("apiextensions/v1.CustomResourceDefinitionStatus");
    if let (Some(of), Some(status)) = (of, status_of(crd)) {
        tree::set_in_order(schema.get(of), status, "acceptedNames", names);
    }
}

pub(super) fn group(crd: &Value) -> &str {
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
pub(super) fn same(one: Option<&Value>, other: Option<&Value>) -> bool {
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
