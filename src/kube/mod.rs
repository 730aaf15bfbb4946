//! The Kubernetes API, read and written through the engine in process.
//!
//! Built-in kinds are tables ([`schema`]), not a handler each. Objects are JSON trees in the form that Go's
//! encoder gives them; what the release's code does by hand (defaults, validation, printing) is code
//! by kind beside the tables.

#![allow(
    missing_docs,
    reason = "a name that says it all is not said again; whatever has a unit, a limit, an error or a rule is documented"
)]

pub mod amount;
pub mod defaults;
pub mod field;
pub mod objects;
pub mod request;
pub mod schema;
pub mod status;
pub mod strategy;
pub mod tree;
pub mod user;
pub mod validate;
