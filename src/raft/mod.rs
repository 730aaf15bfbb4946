//! Consensus: a replicated log of opaque commands, kept by raft-rs, and the only module that names it.
//!
//! The protocol core is a step function without I/O, threads or clock; one thread drives it, a second
//! writes the log, and the state machine above is handed committed commands in order. Peers are reached
//! through [`Transport`], so that a simulation can stand in for the network.

#[doc(hidden)]
pub mod bench_support;
mod configuration;
mod core;
mod error;
mod frame;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod log;
mod logger;
mod node;
#[cfg(test)]
mod sim;
mod start;
pub mod transport;
mod types;
mod wire;

pub use self::core::PeerProgress;
pub use configuration::{Change, ChangeKind, ProposedChange};
pub use error::{
    ChangeError, ProposeError, RaftError, ReadIndexError, ReceiveError, TransferError,
};
pub use log::LogError;
pub use node::{Node, NodeConfig, NodeHandle};
pub use types::*;
pub use wire::WireError;
