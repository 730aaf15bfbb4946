//! Structural schemas: the types of custom resources.
//!
//! A schema says of every value what it is (its type, fields, items), what may be in it (checks and rules), and what
//! becomes of what it does not name (pruning). Rules: <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema>.

mod check;
mod default;
mod field_path;
mod formats;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod list_type;
mod metadata;
mod node;
mod parse;
pub mod pattern;
mod prune;
mod validate;
mod value;

pub use check::{CheckOptions, check, is_structural, prune_defaults, why_not_structural};
pub use default::{default, drop_nulls};
pub use field_path::field_path;
pub use list_type::{validate_list_types, validate_lists};
pub use metadata::{Malformed, coerce, receive, validate_metadata};
pub use node::{Additional, Checks, Junctions, ListType, MapType, Rule, SchemaType, Structural};
pub use prune::prune;
pub use validate::{validate, validate_at};

#[cfg(test)]
mod tests;
