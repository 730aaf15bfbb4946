//! Messages, servers and clients generated from `src/etcd/proto`; names are those of the wire.
//!
//! `mvccpb.KeyValue` and `etcdserverpb.WatchResponse` are not among them: [`wire`](super::wire) has
//! hand-written ones, which send stored bytes without decoding them.

#![allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::large_futures,
    clippy::needless_pass_by_value,
    reason = "generated code"
)]

pub mod mvccpb {
    tonic::include_proto!("mvccpb");
    pub use crate::etcd::wire::KeyValue;
}

pub mod authpb {
    tonic::include_proto!("authpb");
}

pub mod etcdserverpb {
    tonic::include_proto!("etcdserverpb");
    pub use crate::etcd::wire::WatchResponse;
}

pub mod v3lockpb {
    tonic::include_proto!("v3lockpb");
}

pub mod v3electionpb {
    tonic::include_proto!("v3electionpb");
}
