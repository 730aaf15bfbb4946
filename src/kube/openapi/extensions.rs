//! What a schema says of a field beside its shape: defaults, values, and how apply and patches merge it.

use serde_json::{Map, Value, json};

use super::super::schema::{Field, Leaf, ListKind, Omit, Shape};
use super::names;

/// Structs of which at most one member is set, and the field that says which, if there is one.
const UNIONS: [(&str, Option<&str>, &[&str]); 6] = [
    (
        "core/v1.AppArmorProfile",
        Some("type"),
        &["localhostProfile"],
    ),
    ("core/v1.PodSchedulingGroup", None, &["podGroupName"]),
    (
        "core/v1.SeccompProfile",
        Some("type"),
        &["localhostProfile"],
    ),
    ("flowcontrol/v1.LimitResponse", Some("type"), &["queuing"]),
    (
        "flowcontrol/v1.PriorityLevelConfigurationSpec",
        Some("type"),
        &["exempt", "limited"],
    ),
    (
        "flowcontrol/v1.Subject",
        Some("kind"),
        &["group", "serviceAccount", "user"],
    ),
];

/// The default that decoding gives, as far as the type alone determines it, or as the release states.
pub(super) fn default(field: &Field) -> Option<Value> {
    if let Some(stated) = &field.default {
        return Some(stated.clone());
    }
    if field.nullable {
        return None;
    }
    match (&field.shape, field.omit) {
        (Shape::Object(_), _) => Some(json!({})),
        (Shape::Leaf(Leaf::String), Omit::Never) => Some("".into()),
        (Shape::Leaf(Leaf::Bool), Omit::Never) => Some(false.into()),
        (Shape::Leaf(Leaf::Int32 | Leaf::Int64 | Leaf::Double), Omit::Never) => Some(0.into()),
        _ => None,
    }
}

pub(super) fn enumerate(field: &Field, property: &mut Map<String, Value>) {
    if field.values.is_empty() {
        return;
    }
    let mut values: Vec<_> = field
        .values
        .iter()
        .map(|value| Value::from(&**value))
        .collect();
    values.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
    let of = match &field.shape {
        Shape::List(_) => property.get_mut("items"),
        Shape::Map(_) => property.get_mut("additionalProperties"),
        _ => None,
    };
    match of.and_then(Value::as_object_mut) {
        Some(element) => element.insert("enum".into(), values.into()),
        None => property.insert("enum".into(), values.into()),
    };
}

/// How apply and patches merge a field.
pub(super) fn merging(field: &Field, property: &mut Map<String, Value>) {
    let (list, keys) = match &field.list {
        ListKind::Atomic => ("atomic", None),
        ListKind::Set => ("set", None),
        ListKind::Map(keys) => ("map", Some(keys)),
    };
    if let Some(keys) = keys {
        property.insert("x-kubernetes-list-map-keys".into(), json!(keys));
    }
    if field.list_stated {
        property.insert("x-kubernetes-list-type".into(), list.into());
    }
    for (is, kind) in [(field.atomic, "atomic"), (field.granular, "granular")] {
        if is {
            property.insert("x-kubernetes-map-type".into(), kind.into());
        }
    }
    let Some(patch) = &field.patch else { return };
    if let Some(key) = &patch.key {
        property.insert("x-kubernetes-patch-merge-key".into(), (&**key).into());
    }
    let words = [
        (patch.merge, "merge"),
        (patch.replace, "replace"),
        (patch.retain_keys, "retainKeys"),
    ];
    let words = words.iter().filter(|(is, _)| *is).map(|(_, word)| *word);
    let words = words.collect::<Vec<_>>().join(",");
    if !words.is_empty() {
        property.insert("x-kubernetes-patch-strategy".into(), words.into());
    }
}

pub(super) fn union(type_name: &str) -> Option<Value> {
    let (_, discriminator, members) = UNIONS.iter().find(|(name, ..)| *name == type_name)?;
    let mut union = Map::new();
    if let Some(discriminator) = discriminator {
        union.insert("discriminator".into(), (*discriminator).into());
    }
    let members = members
        .iter()
        .map(|member| ((*member).into(), names::capitalized(member).into()));
    let members: Map<String, Value> = members.collect();
    union.insert("fields-to-discriminateBy".into(), members.into());
    Some(json!([union]))
}
