//! Server-side apply: who owns which fields of an object, and merging what several managers apply.
//!
//! Every write goes through [`FieldManager`]: an apply patch through [`FieldManager::apply`], all others through
//! [`FieldManager::update`], which finds out what changed. Owners stand in `metadata.managedFields`.
//!
//! Objects come and go in the version of the request, in Go form and with defaults. What [`FieldManager::apply`] returns has
//! not been conformed or defaulted yet. Rules: <https://kubernetes.io/docs/reference/using-api/server-side-apply/> and,
//! where that says nothing, what kube-apiserver does.

mod answer;
mod compare;
mod fieldset;
mod keys;
mod last_applied;
mod managed;
mod manager;
mod merge;
mod path;
mod reconcile;
mod remove;
mod reset;
mod scale;
mod set;
#[cfg(test)]
mod tests;
mod types;
mod update;
mod validate;
mod value;

use serde_json::Value;

pub use manager::{Apply, FieldManager, Update};
pub use path::Element;
pub use scale::ScaleFields;
pub use set::Set;
pub use types::Type;

/// Other versions of an object: what was written in another version is owned under that version's names.
pub trait Versions: Send + Sync {
    /// The object as `version` (`group/version`) has it, and its type there; its own version is a version as well. None if
    /// it is not served (any more).
    fn convert(&self, object: &Value, version: &str) -> Option<(Value, Type<'_>)>;
}

/// For kinds with one version.
#[derive(Debug, Clone, Copy)]
pub struct OneVersion;

impl Versions for OneVersion {
    fn convert(&self, _: &Value, _: &str) -> Option<(Value, Type<'_>)> {
        None
    }
}

/// Whether a body as it was sent asks for the owners to be forgotten: `managedFields: []` or `[{}]`.
pub fn is_reset(body: &Value) -> bool {
    match managed::of(body)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
    {
        Some([]) => true,
        Some([one]) => one.as_object().is_some_and(serde_json::Map::is_empty),
        _ => false,
    }
}

/// Keeps the times of the owners if nothing else has changed, so that the object is stored byte by byte as it was. To be
/// called last before storing.
pub fn keep_times(old: &Value, new: &mut Value) {
    if same_but_for_times(old, new) {
        old.clone_into(new);
    }
}

fn same_but_for_times(old: &Value, new: &Value) -> bool {
    let all_but = |name: &str, old: &Value, new: &Value| {
        let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else {
            return old == new;
        };
        let same = |(key, value): (&String, &Value)| key == name || new.get(key) == Some(value);
        old.len() == new.len() && old.iter().all(same)
    };
    let part = |of: &Value, name: &str| of.get(name).cloned().unwrap_or_default();
    let entries = |of: &Value| match managed::of(of) {
        Some(Value::Array(entries)) => entries.clone(),
        _ => Vec::new(),
    };
    let timeless = |mut entry: Value| {
        if let Some(fields) = entry.as_object_mut() {
            fields.shift_remove("time");
        }
        entry
    };
    let (before, after) = (entries(old), entries(new));
    before.len() == after.len()
        && all_but("metadata", old, new)
        && all_but(
            "managedFields",
            &part(old, "metadata"),
            &part(new, "metadata"),
        )
        && before
            .into_iter()
            .map(timeless)
            .eq(after.into_iter().map(timeless))
}

/// What managedFields must be after an admission webhook has changed them; otherwise those before it stand, with a warning.
///
/// # Errors
/// What is wrong with them.
pub fn check_managed_fields(object: &Value) -> Result<(), String> {
    managed::read(managed::of(object)).map(drop)
}

/// Fuzz check: field sets that can be read are written in one form, and obey the algebra of sets.
#[cfg(any(test, fuzzing))]
pub fn fuzz_fields(data: &[u8]) {
    let Ok(fields) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    let Ok(set) = Set::read(&fields) else {
        return;
    };
    let written = set.write();
    assert_eq!(Set::read(&written).as_ref(), Ok(&set), "{written}");
    assert!(set.difference(&set).is_empty());
    assert_eq!(set.union(&set), set);
    assert_eq!(set.intersection(&set), set);
    reconcile::reconcile(&set, Type::deduced());
    let schema = crate::kube::schema::Schema::built_in();
    if let Some(of) = schema.find("core/v1.Pod") {
        let of = Type::of(schema, of);
        reconcile::reconcile(&set, of);
        set.with_named_fields(Some(of));
    }
}
