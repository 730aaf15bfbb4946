//! Custom resources: what CustomResourceDefinitions make of the API.

pub mod rules;
pub mod structural;
