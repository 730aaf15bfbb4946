//! What a schema must be for a CustomResourceDefinition to have it, in the words and the order of kube-apiserver.
//!
//! A schema is looked at as it is written ([`props::Props`]), for errors about what has no place in a node. Whether
//! rules compile, what they cost and whether defaults hold to them is not judged here. Recursion is as deep as the
//! schema, which is no deeper than [`crate::kube::object::MAX_DEPTH`].

mod defaults;
mod internal;
mod props;
mod rules;
mod standard;
mod structure;

use serde_json::Value;

pub use self::defaults::prune_defaults;
use self::props::Props;
use super::Structural;
use super::value::quoted;
use crate::kube::field::FieldError;

/// What is demanded of a schema. Everything is of a new definition; of one that is updated, nothing that the old one
/// had not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckOptions {
    /// The version has the status subresource, whose schema is a field of the whole one.
    pub status: bool,
    pub structural: bool,
    pub known_types: bool,
    pub pruned_defaults: bool,
    /// Items of sets are atomic.
    pub atomic_sets: bool,
    /// Keys of list maps are always there.
    pub map_keys: bool,
}

impl CheckOptions {
    /// For a new definition.
    pub fn new(status: bool) -> Self {
        Self {
            status,
            structural: true,
            known_types: true,
            pruned_defaults: true,
            atomic_sets: true,
            map_keys: true,
        }
    }

    /// For one that takes the place of a definition whose versions had these schemas.
    ///
    /// `preserve` is its `spec.preserveUnknownFields`, without which every schema must be structural.
    pub fn update(status: bool, old: &[&Value], preserve: bool) -> Self {
        let none = |holds: &dyn Fn(Props<'_>) -> bool| {
            !old.iter()
                .any(|schema| Props::of(schema).has(&|node| holds(node)))
        };
        Self {
            status,
            structural: !preserve || old.iter().all(|schema| is_structural(schema)),
            known_types: none(&|node| {
                !node.of_type().is_empty() && super::SchemaType::named(node.of_type()).is_none()
            }),
            pruned_defaults: old.iter().all(|schema| has_pruned_defaults(schema)),
            atomic_sets: none(&has_loose_set),
            map_keys: none(&|node| !standard::keys_are_there(node, "").is_empty()),
        }
    }
}

/// What is wrong with a schema; `path` is where it stands, such as `spec.validation.openAPIV3Schema`.
pub fn check(schema: &Value, path: &str, options: &CheckOptions) -> Vec<FieldError> {
    let props = Props::of(schema);
    let mut errors = Vec::new();
    if options.status {
        errors.extend(at_root(props, path));
    }
    if props.flag("nullable") {
        let why = "nullable cannot be true at the root";
        errors.push(FieldError::forbidden(format!("{path}.nullable"), why));
    }
    let mut unreadable = None;
    if options.structural {
        match Structural::parse(schema) {
            Err(error) => unreadable = Some(error),
            Ok(node) => {
                let mut found = structure::structure(props, path);
                if found.is_empty() {
                    found = defaults::defaults(&node, path, options.pruned_defaults);
                }
                errors.append(&mut found);
            }
        }
    }
    errors.extend(standard::standard(props, path, options));
    if let (true, Some(error)) = (errors.is_empty(), unreadable) {
        errors.push(FieldError::invalid(path, "\"\"", error));
    }
    errors
}

/// Fields of the internal type that the root may have beside a status subresource.
const AT_ROOT: [&str; 22] = [
    "Description",
    "Type",
    "Format",
    "Title",
    "Maximum",
    "ExclusiveMaximum",
    "Minimum",
    "ExclusiveMinimum",
    "MaxLength",
    "MinLength",
    "Pattern",
    "MaxItems",
    "MinItems",
    "UniqueItems",
    "MultipleOf",
    "Required",
    "Items",
    "Properties",
    "ExternalDocs",
    "Example",
    "XPreserveUnknownFields",
    "XValidations",
];

fn at_root(schema: Props<'_>, path: &str) -> Option<FieldError> {
    let of = schema.of_type();
    let holds = |field: &str| match field {
        "Type" => of == "object",
        field => AT_ROOT.contains(&field),
    };
    Some(match internal::first_but(schema, holds)? {
        "Type" => {
            let why = "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled";
            FieldError::invalid(format!("{path}.type"), quoted(of), why)
        }
        _ => {
            let fields = AT_ROOT.join(" ");
            let why = format!(
                "only [{fields}] fields are allowed at the root of the schema if the status subresource is enabled"
            );
            FieldError::invalid(path, internal::shown(schema), why)
        }
    })
}

/// Whether a schema that is stored is structural; what is said of one that is not, as a condition,
/// [`why_not_structural`] tells.
pub fn is_structural(schema: &Value) -> bool {
    why_not_structural(schema, "").is_ok_and(|errors| errors.is_empty())
}

/// What keeps a schema at a path from being structural.
///
/// # Errors
/// It has something that has no place in a structural schema at all.
pub fn why_not_structural(schema: &Value, path: &str) -> Result<Vec<FieldError>, String> {
    Structural::parse(schema)?;
    Ok(structure::structure(Props::of(schema), path))
}

fn has_pruned_defaults(schema: &Value) -> bool {
    let Ok(mut node) = Structural::parse(schema) else {
        return true;
    };
    let unpruned = is_structural(schema) && prune_defaults(&mut node) == Ok(true);
    !unpruned
}

fn has_loose_set(node: Props<'_>) -> bool {
    let (Some("set"), Some(items)) = (node.list_type(), node.child("items")) else {
        return false;
    };
    match items.of_type() {
        "array" => items.list_type().is_some_and(|of| of != "atomic"),
        "object" => items.map_type() != Some("atomic"),
        _ => false,
    }
}
