//! The etcd v3 API: decode a request, call the engine, encode the answer.

pub mod pb;
pub mod wire;
