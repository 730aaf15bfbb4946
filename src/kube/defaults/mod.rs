//! The values that the release gives to fields nobody has set.
//!
//! Defaults hang on types: wherever a `core/v1.Container` stands it gets the same ones, in a pod as in any
//! template. What is a constant is in [`table`], what depends on other fields is code ([`pod`], [`workload`],
//! [`other`]). A walk by types reaches them; which subtrees hold nothing to default is known beforehand, so that
//! reading an object, which defaults it again, passes over most of it.
//!
//! Conversions to the release's internal types and back change objects as well (`serviceAccount` and
//! `serviceAccountName`, `podIP` and `podIPs`, a secret's `stringData`); they are done here, because every object
//! passes here whenever it would have been converted.

mod image;
mod other;
mod plan;
mod pod;
mod table;
mod workload;

use serde_json::Value;

use super::schema::{Schema, TypeId};
use plan::Plan;

/// Sets what is not set. An object in Go form stays in Go form; a second time changes nothing.
pub fn apply(schema: &Schema, of: TypeId, object: &mut Value) {
    if std::ptr::eq(schema, Schema::built_in()) {
        plan::BUILT_IN.apply(schema, of, object);
    } else {
        Plan::of(schema).apply(schema, of, object);
    }
}

pub use image::is_latest;

#[cfg(test)]
pub(crate) mod tests;
