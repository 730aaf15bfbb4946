//! Custom resources: what CustomResourceDefinitions make of the API.

pub mod structural;
