//! The one facade that both APIs use: propose and apply, read, watch, leases, maintenance.
//!
//! Commands travel `propose -> raft -> apply -> watch ring -> answer`; the apply thread is the only
//! writer of the state (`docs/invariants.md` states the order). Nothing here knows gRPC or HTTP.

mod error;
mod types;

pub use error::EngineError;
pub use types::*;
