//! What the server makes of a custom object that a client sends, before it is judged.

use serde_json::{Map, Value};

use super::kinds::Kind;
use crate::kube::tree;

type Object = Map<String, Value>;

/// A new object has no status yet if its status is a subresource, and is of the first generation.
pub fn prepare_create(kind: &Kind, object: &mut Value) {
    let Some(object) = object.as_object_mut() else {
        return;
    };
    if kind.version.status {
        tree::remove(object, "status");
    }
    set_generation(object, 1);
}

/// An update of the object itself cannot change a status that is a subresource; one of the status changes nothing else.
/// Changes of anything but metadata make a new generation.
pub fn prepare_update(kind: &Kind, subresource: &str, old: &Value, new: &mut Value) {
    let (Some(old), Some(new)) = (old.as_object(), new.as_object_mut()) else {
        return;
    };
    match subresource {
        "status" => keep_all_but_status(old, new),
        _ => update(kind, old, new),
    }
}

fn update(kind: &Kind, old: &Object, new: &mut Object) {
    if kind.version.status {
        match old.get("status") {
            Some(status) => tree::set_sorted(new, "status", status.clone()),
            None => {
                tree::remove(new, "status");
            }
        }
    }
    if counts(old, new) {
        set_generation(new, generation(old).saturating_add(1));
    }
}

/// Whether anything but metadata differs.
fn counts(old: &Object, new: &Object) -> bool {
    let rest = |of: &Object| of.len() - usize::from(of.contains_key("metadata"));
    let differs =
        |(key, value): (&String, &Value)| key != "metadata" && old.get(key) != Some(value);
    rest(old) != rest(new) || new.iter().any(differs)
}

fn keep_all_but_status(old: &Object, new: &mut Object) {
    let status = tree::remove(new, "status");
    // Who owns the status is part of the change, and the version is what it is judged by.
    let part = |new: &Object, key: &str| new.get("metadata")?.get(key).cloned();
    let own = ["managedFields", "resourceVersion"].map(|key| (key, part(new, key)));
    *new = old.clone();
    tree::remove(new, "status");
    if let Some(metadata) = tree::child(new, "metadata") {
        for (key, value) in own {
            match value {
                Some(value) => tree::set_sorted(metadata, key, value),
                None => {
                    tree::remove(metadata, key);
                }
            }
        }
    }
    if let Some(status) = status {
        tree::set_sorted(new, "status", status);
    }
}

fn generation(object: &Object) -> i64 {
    let metadata = object.get("metadata");
    let said = metadata.and_then(|metadata| metadata.get("generation")?.as_i64());
    said.unwrap_or(0)
}

fn set_generation(object: &mut Object, generation: i64) {
    if !object.contains_key("metadata") {
        tree::set_sorted(object, "metadata", Object::new().into());
    }
    if let Some(metadata) = tree::child(object, "metadata") {
        tree::set_sorted(metadata, "generation", generation.into());
    }
}
