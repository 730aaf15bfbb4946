//! Holdfast: a Raft-replicated, RocksDB-backed, multi-version key-value store that speaks etcd's v3 API.
//!
//! `docs/architecture.md` draws the layers; each module says what it must not touch.

pub mod base;
pub mod bench;
pub mod config;
pub mod engine;
pub mod etcd;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod kube;
pub mod mvcc;
pub mod raft;
pub mod server;
pub mod storage;
pub mod tls;
pub mod watch;
