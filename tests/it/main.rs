//! The etcd API from outside: one suite for any server that claims to speak it.
//!
//! Each case states one rule of the wire contract and knows nothing of the server but its address and
//! its process. `HOLDFAST_TEST_SERVER` names a command that takes etcd's flags (etcd itself, to prove
//! the suite); by default it is this package's binary. Cases of a later API than the server reports
//! are skipped and say so. With `HOLDFAST_TEST_TLS` everything goes through TLS, else some areas do a second
//! time.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::large_futures,
    unreachable_pub,
    missing_docs,
    reason = "test code"
)]

mod auth;
mod clients;
mod differential;
mod harness;
mod kube;
mod kubernetes;
mod kv;
mod lease;
mod linearizability;
mod maintenance;
mod operator;
mod services;
mod three;
mod tls;
mod txn;
mod watch;
mod wire;
