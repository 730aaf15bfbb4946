//! Structural schemas: the types of custom resources.
//!
//! A schema says of every value what it is (its type, fields, items), what may be in it (checks and rules), and what
//! becomes of what it does not name (pruning). Rules: <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema>.

mod node;
mod parse;

pub use node::{Additional, Checks, Junctions, ListType, MapType, Rule, SchemaType, Structural};
