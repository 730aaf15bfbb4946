//! Custom resources: what CustomResourceDefinitions make of the API.

pub mod approval;
pub mod authorities;
pub mod columns;
pub mod conditions;
pub mod finalizer;
mod go;
pub mod jsonpath;
pub mod judge;
pub mod kinds;
mod names;
mod objects;
pub mod openapi;
pub mod rules;
pub mod scale;
mod settle;
pub mod strategy;
pub mod structural;
pub mod warnings;

use serde_json::{Map, Value};

pub use kinds::{Conversion, Definition, Kind, ScalePaths, Version, group_versions, served};
pub use settle::settle;

/// The status of a definition, made if it is not there. None if something else stands in its place.
fn status_of(crd: &mut Value) -> Option<&mut Map<String, Value>> {
    let crd = crd.as_object_mut()?;
    let status = crd.entry("status").or_insert_with(|| Map::new().into());
    if status.is_null() {
        *status = Map::new().into();
    }
    status.as_object_mut()
}

#[cfg(test)]
mod tests;
