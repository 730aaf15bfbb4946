//! What the built-in kinds look like, as tables: the fields of every type and the resources of every group.
//!
//! `types.txt` is written by `scripts/kube-types.py` from one Kubernetes release, `resources.txt` holds that
//! release's default groups. Both are read once, at first use; a table that cannot be read is a defect of the
//! program and is found by a test.

mod parse;
mod resources;
mod types;

pub use parse::TableError;
pub use resources::{GroupVersion, Resource, Resources, Subresource, Verb, Verbs};
pub use types::{Field, Leaf, ListKind, Numbered, ObjectType, Omit, Patch, Schema, Shape, TypeId};

/// The Kubernetes release that the tables are taken from.
pub const RELEASE: &str = "1.36.2";
