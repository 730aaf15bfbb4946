//! The Kubernetes API, read and written through the engine in process.
//!
//! Built-in kinds are tables ([`schema`]), not a handler each. Objects are JSON trees in the form that Go's
//! encoder gives them; what the release's code does by hand (defaults, validation, printing) is code
//! by kind beside the tables.

#![allow(
    missing_docs,
    reason = "a name that says it all is not said again; whatever has a unit, a limit, an error or a rule is documented"
)]

pub mod admission;
pub mod amount;
pub mod apply;
pub mod authn;
pub mod authz;
pub mod bootstrap;
pub mod catalog;
pub mod cel;
pub mod codec;
pub mod convert;
pub mod custom;
pub mod defaults;
pub mod discovery;
pub mod field;
pub mod flow;
pub mod gate;
pub mod health;
pub mod live;
pub mod metrics;
pub mod negotiate;
pub mod object;
pub mod objects;
pub mod openapi;
pub mod patch;
pub mod pki;
pub mod request;
pub mod rest;
pub mod schema;
pub mod select;
pub mod services;
pub mod status;
pub mod store;
pub mod strategy;
pub mod streams;
pub mod table;
pub mod tree;
pub mod user;
pub mod validate;
pub mod version;
pub mod views;

pub use rest::{
    ClientAddress, ClientCertificate, KubeBody, KubeServer, KubeSettings, LimitSettings,
    request_body,
};
