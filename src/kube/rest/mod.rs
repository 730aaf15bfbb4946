//! The verbs of the REST API: from a request that may be to an answer.

pub mod query;
pub mod token;
